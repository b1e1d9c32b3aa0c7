"""One message of the chat as rows of text: what it says, who says it, and what happened to it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from easy_llama_tui.code_lines import PLAIN
from easy_llama_tui.display_text import Line, one_line, plain_lines, printable, wrap
from easy_llama_tui.markdown_lines import MarkdownLines, MarkdownStyles

INDENT = 2
"""Cells to the left of everything in a message."""
MARGIN = 1
"""Cells to the right of it."""
_NARROWEST = 16
"""A message is never laid out narrower; what does not fit is cut off."""
CHARACTER_LIMIT = 100_000
"""Characters of one message that are shown: some 40 pages."""
_BLANK = Line(())


@dataclass(frozen=True, slots=True)
class ChatEntry:
    """A message, as the chat shows it. Its texts may be anything; they are made printable here."""

    id: str
    role: Literal["system", "user", "bot"]
    name: str
    """Who speaks, as the reader is to see it."""
    text: str
    """Markdown where the bot wrote it, else shown as it is."""
    note: str = ""
    """A line below the text, on how the message came to its end."""
    alternative: tuple[int, int] | None = None
    """Which alternative of how many this is, from 1; not shown where `None`."""
    streaming: bool = False
    """Whether the text is still being written."""


@dataclass(frozen=True, slots=True)
class ChatStyles:
    """The styles of messages, which the theme decides; plain where it says nothing."""

    markdown: MarkdownStyles = field(default_factory=MarkdownStyles)
    user_name: Style = PLAIN
    bot_name: Style = PLAIN
    system_name: Style = PLAIN
    user_text: Style = PLAIN
    system_text: Style = PLAIN
    counter: Style = PLAIN
    note: Style = PLAIN
    note_bar: Style = PLAIN


class Layout(NamedTuple):
    """What the rows of a message depend on, besides the message."""

    width: int
    """Cells from the left edge of the chat to its scrollbar."""
    styles: ChatStyles


class MessageView:
    """The rows of one message, made when they are first asked for."""

    def __init__(self, entry: ChatEntry, layout: Layout) -> None:
        self.entry = entry
        self._layout = layout
        self._lines: list[Line] | None = None
        self._markdown: MarkdownLines | None = None
        self._estimate = 0

    @property
    def lines(self) -> list[Line]:
        """The rows; a row that did not change since the last time is the same object."""
        if self._lines is None:
            self._lines = []
            self._render(_shown(self.entry))
        return self._lines

    @property
    def is_laid_out(self) -> bool:
        """Whether the rows exist, and `height` is exact."""
        return self._lines is not None

    @property
    def height(self) -> int:
        """The number of rows, estimated until they are asked for."""
        if self._lines is not None:
            return len(self._lines)
        if not self._estimate:
            self._estimate = _estimated_height(self.entry, self._body_width)
        return self._estimate

    def update(self, entry: ChatEntry) -> int:
        """Show another state of the message, and return the first row that changed.

        Text that continues the old one costs only what it changes.
        """
        old, self.entry = self.entry, entry
        self._estimate = 0
        if self._lines is None:
            return 0
        old_text, text = _shown(old), _shown(entry)
        before = self._lines
        if text.startswith(old_text) and old.role == entry.role:
            self._lines = list(before)
            self._render(text[len(old_text) :])
        else:
            self._lines, self._markdown = [], None
            self._render(text)
        return _first_difference(before, self._lines)

    def set_layout(self, layout: Layout) -> None:
        """Use another width or other styles; the rows are made again when they are asked for."""
        self._layout = layout
        self._lines = self._markdown = None
        self._estimate = 0

    def position_of(self, row: int) -> int:
        """Return how many visible characters come before a row: a place that no width changes much."""
        return sum(map(_visible_characters, self.lines[:row]))

    def row_of(self, position: int) -> int:
        """Return the row with the visible character at `position`."""
        for row, line in enumerate(self.lines):
            position -= _visible_characters(line)
            if position < 0:
                return row
        return len(self.lines) - 1

    @property
    def _body_width(self) -> int:
        return max(_NARROWEST, self._layout.width - INDENT - MARGIN)

    def _render(self, added: str) -> None:
        """Bring the rows up to date after `added` was put to the end of the text."""
        assert self._lines is not None
        entry, styles = self.entry, self._layout.styles
        header = self._header()
        if self._lines[:1] != [header]:
            self._lines[:1] = [header]
        if entry.role == "bot":
            if self._markdown is None:
                self._markdown = MarkdownLines(self._body_width, styles.markdown)
            changed = self._markdown.extend(printable(added), complete=not self._grows)
            body = self._markdown.lines
        else:
            style = styles.user_text if entry.role == "user" else styles.system_text
            changed = 0
            body = plain_lines(printable(_shown(entry)).strip("\n"), style, self._body_width)
        self._lines[1 + changed :] = map(_indented, body[changed:])
        if not entry.text:
            del self._lines[1:]
        self._lines += map(_indented, self._below())
        self._lines.append(_BLANK)

    @property
    def _grows(self) -> bool:
        return self.entry.streaming and len(self.entry.text) < CHARACTER_LIMIT

    def _header(self) -> Line:
        styles, entry = self._layout.styles, self.entry
        style = {"user": styles.user_name, "bot": styles.bot_name, "system": styles.system_name}[entry.role]
        counter = "‹ {}/{} ›".format(*entry.alternative) if entry.alternative else ""
        name = one_line(entry.name)
        room = self._body_width - (len(counter) + 1 if counter else 0)
        if cell_len(name) > room:
            name = set_cell_size(name, room - 1).rstrip() + "…"
        segments = [Segment(" " * INDENT), Segment(name, style)]
        if counter:
            gap = self._body_width - cell_len(name) - len(counter)
            segments += [Segment(" " * gap), Segment(counter, styles.counter)]
        return Line(tuple(segments), INDENT)

    def _below(self) -> Iterator[Line]:
        """Yield the rows between the text and the blank one at the end."""
        styles, entry = self._layout.styles, self.entry
        left_out = len(entry.text) - CHARACTER_LIMIT
        if left_out > 0:
            yield from wrap([(f"… {left_out:,} more characters", styles.note)], self._body_width)
        if entry.streaming and not entry.text:
            yield Line((Segment("…", styles.note),))
        if entry.note:
            if entry.text:
                yield _BLANK
            for line in wrap([(one_line(entry.note), styles.note)], self._body_width - 2):
                yield Line((Segment("▌ ", styles.note_bar), *line.segments), 2, line.joint)


def _shown(entry: ChatEntry) -> str:
    return entry.text[:CHARACTER_LIMIT]


def _indented(line: Line) -> Line:
    if not line.segments:
        return line
    return Line((Segment(" " * INDENT), *line.segments), line.lead + INDENT, line.joint, line.fill)


def _first_difference(before: list[Line], after: list[Line]) -> int:
    for index, (old, new) in enumerate(zip(before, after, strict=False)):
        if old is not new and old != new:
            return index
    return min(len(before), len(after))


def _visible_characters(line: Line) -> int:
    text = line.text[line.lead :]
    return len(text) - text.count(" ")


def _estimated_height(entry: ChatEntry, width: int) -> int:
    """Return about how many rows a message will have: quick, and close for ordinary text."""
    text = _shown(entry)
    source = text.split("\n") if text else []
    if entry.role == "bot":
        source = [line for line in source if not line.startswith("```")]
    body = sum(max(0, len(line) - 1) // width + 1 for line in source)
    return 2 + body + (2 if entry.note else 0) + (len(entry.text) > CHARACTER_LIMIT)

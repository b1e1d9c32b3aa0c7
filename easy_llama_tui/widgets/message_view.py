"""One message of the chat as rows of text: what it says, who says it, and what happened to it."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import field
from typing import Literal, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from easy_llama.record import Record
from easy_llama_tui.text.code_lines import PLAIN
from easy_llama_tui.text.display_text import Line, one_line, plain_lines, printable, wrap
from easy_llama_tui.text.markdown_inline import MarkdownStyles, markdown_parser
from easy_llama_tui.text.reasoning import ReasoningSplitter, may_have_reasoning, split_reasoning
from easy_llama_tui.widgets.message_part import INDENT, PartRows, cut, indented, toned

MARGIN = 1
"""Cells to the right of it."""
_NARROWEST = 16
"""A message is never laid out narrower; what does not fit is cut off."""
CHARACTER_LIMIT = 100_000
"""Characters of one message that are shown: some 40 pages."""
_LEAST_NAME = 8
"""Cells that a name keeps before what else the header says is cut."""
_BLANK = Line(())
_RULES = (
    "the model no longer reads what is above",
    "what is above is no longer read",
    "no longer read ↑",
    "not read ↑",
)
"""What the rule says below what is outside the context, at length and in short."""


class ChatEntry(Record):
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
    outside: bool = False
    """Whether the model does not read it any more, as the context is too short."""
    pinned: bool = False
    """Whether it is kept in the context whatever else is left out."""
    begins_in_reasoning: bool = False
    """Whether the prompt opened the bot's reasoning, so that the text begins in it."""


class ChatStyles(Record):
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
    outside: Style = PLAIN
    """Of messages that are outside the context; its colour is that of all their text."""
    pinned: Style = PLAIN
    selected: Style = PLAIN
    reasoning: Style = PLAIN
    """Of what the bot reasons; its colour is that of all such text."""
    outside_markdown: MarkdownStyles = field(init=False)
    reasoning_markdown: MarkdownStyles = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outside_markdown", toned(self.markdown, self.outside))
        object.__setattr__(self, "reasoning_markdown", toned(self.markdown, self.reasoning))


class Layout(NamedTuple):
    """What the rows of a message depend on, besides the message."""

    width: int
    """Cells from the left edge of the chat to its scrollbar."""
    styles: ChatStyles
    folded: bool = True
    """Whether reasoning is folded to one row."""
    fold_key: str = "Ctrl+T"
    """What folds and opens it."""


class Position(NamedTuple):
    """A place in a message that neither its width nor folded reasoning changes much."""

    section: int
    """The header, a part of the text, or what is below."""
    characters: int
    """How many visible characters of the section come before."""


class MessageView:
    """The rows of one message, made when they are first asked for."""

    def __init__(self, entry: ChatEntry, layout: Layout) -> None:
        self.entry = entry
        self.selected = False
        self.has_rule = False
        """Whether a rule below it says that the model reads no more than what follows."""
        self._layout = layout
        self._lines: list[Line] | None = None
        self._begin()
        self._estimate = 0

    def _begin(self) -> None:
        self._splitter = ReasoningSplitter(begins_inside=self.entry.begins_in_reasoning)
        self._parts: list[PartRows] = []
        self._starts: list[int] = []
        """The first row of each section."""

    @property
    def lines(self) -> list[Line]:
        """The rows; a row that did not change since the last time is the same object."""
        if self._lines is None:
            self._begin()
            self._lines = self._render(_shown(self.entry))
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
            self._estimate = _estimated_height(self.entry, self._body_width, self._layout.folded)
        return self._estimate + self._rows_below - 1

    @property
    def own_height(self) -> int:
        """The number of its rows without those that part it from the next message."""
        return self.height - self._rows_below

    @property
    def _rows_below(self) -> int:
        return 3 if self.has_rule else 1

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
        if text.startswith(old_text) and _kind(old) == _kind(entry):
            self._lines = self._render(text[len(old_text) :])
        else:
            self._begin()
            self._lines = self._render(text)
        first = _first_difference(before, self._lines)
        self._lines[:first] = before[:first]  # the very same objects, for which drawn rows are kept
        return first

    def set_layout(self, layout: Layout) -> None:
        """Use another layout; the rows are made again when they are asked for."""
        self._layout = layout
        self._lines = None
        self._estimate = 0

    def set_selected(self, selected: bool) -> None:
        """Say in the header whether this is the message that keys are for."""
        self.selected = selected
        if self._lines:
            self._lines[0] = self._header()

    def set_rule(self, has_rule: bool) -> None:
        """Draw the rule below the message, or no longer."""
        own_height = self.own_height
        self.has_rule = has_rule
        if self._lines is not None:
            self._lines = [*self._lines[:own_height], *self._separation()]

    def position_of(self, row: int) -> Position:
        """Return the place of a row."""
        lines = self.lines
        section = max(0, bisect_right(self._starts, row) - 1)
        return Position(section, sum(map(_visible_characters, lines[self._starts[section] : row])))

    def row_of(self, position: Position) -> int:
        """Return the row at a place."""
        lines = self.lines
        section = min(position.section, len(self._starts) - 1)
        end = self._starts[section + 1] if section + 1 < len(self._starts) else len(lines)
        left = position.characters
        for row in range(self._starts[section], end):
            left -= _visible_characters(lines[row])
            if left < 0:
                return row
        return max(self._starts[section], end - 1)

    def shown_text(self) -> str:
        """Return the printable source of what is shown, all of it.

        Folded reasoning is left out, unless there is nothing else.
        """
        if self.entry.role == "bot" and self._layout.folded:
            parts = split_reasoning(printable(self.entry.text), begins_inside=self.entry.begins_in_reasoning)
            if answers := [part.text.rstrip() for part in parts if part.kind == "answer"]:
                return "\n\n".join(answers)
        return printable(self.entry.text).strip("\n")

    def code_blocks(self) -> tuple[str, ...]:
        """Return what is in the fenced code blocks of the text that is shown, without the last newline."""
        tokens = markdown_parser().parse(self.shown_text())
        return tuple(token.content.removesuffix("\n") for token in tokens if token.type == "fence")

    @property
    def _body_width(self) -> int:
        return max(_NARROWEST, self._layout.width - INDENT - MARGIN)

    def _render(self, added: str) -> list[Line]:
        """Return the rows after `added` was put to the end of the text."""
        lines = [self._header()]
        self._starts = [0]
        if self.entry.role == "bot":
            for part in self._bot_parts(added):
                self._starts.append(len(lines))
                if len(lines) > 1:
                    lines.append(_BLANK)
                lines += part.rows
        elif self.entry.text:
            self._starts.append(1)
            lines += map(indented, self._plain_lines())
        self._starts.append(len(lines))
        lines += map(indented, self._below(has_text=len(lines) > 1))
        lines += self._separation()
        return lines

    def _separation(self) -> list[Line]:
        """Return the rows between the message and the next; copied, they are one blank line."""
        if not self.has_rule:
            return [_BLANK]
        width = self._body_width
        text = next((text for text in _RULES if len(text) + 6 <= width), _RULES[-1])
        rule = f"── {text} ──".ljust(width, "─")
        # All of it is lead: it is no text of the chat.
        row = Line((Segment(rule, self._layout.styles.outside),), len(rule), "")
        return [_BLANK, indented(row), Line((), joint="")]

    def _bot_parts(self, added: str) -> list[PartRows]:
        """Bring the parts of a bot's text up to date."""
        layout, styles = self._layout, self._layout.styles
        self._splitter.extend(printable(added), complete=not self._grows)
        parts = self._splitter.parts
        for index, part in enumerate(parts):
            if index < len(self._parts) and not self._parts[index].continues_with(part):
                del self._parts[index:]
            if index == len(self._parts):
                markdown = (
                    styles.outside_markdown
                    if self.entry.outside
                    else styles.reasoning_markdown
                    if part.kind == "reasoning"
                    else styles.markdown
                )
                fold = styles.outside if self.entry.outside else styles.reasoning
                self._parts.append(PartRows(part, self._body_width, markdown, fold))
            self._parts[index].show(
                part,
                grows=self._grows and index == len(parts) - 1,
                folded=layout.folded,
                key=layout.fold_key,
            )
        del self._parts[len(parts) :]
        return self._parts

    def _plain_lines(self) -> list[Line]:
        styles, entry = self._layout.styles, self.entry
        style = styles.user_text if entry.role == "user" else styles.system_text
        if entry.outside:
            style = style + styles.outside
        return plain_lines(printable(_shown(entry)).strip("\n"), style, self._body_width)

    @property
    def _grows(self) -> bool:
        return self.entry.streaming and len(self.entry.text) < CHARACTER_LIMIT

    def _header(self) -> Line:
        styles, entry = self._layout.styles, self.entry
        style = {"user": styles.user_name, "bot": styles.bot_name, "system": styles.system_name}[entry.role]
        counter = "‹ {}/{} ›".format(*entry.alternative) if entry.alternative else ""
        room = self._body_width - (len(counter) + 1 if counter else 0)
        labels = [("pinned", styles.pinned)] if entry.pinned else []
        labels += [("outside the context", styles.outside)] if entry.outside else []
        labels += [("selected", styles.selected)] if self.selected else []
        for_labels = sum(len(label) + 3 for label, _ in labels)
        name = cut(one_line(entry.name), max(room - for_labels, min(room, _LEAST_NAME)))
        segments = [Segment(" " * INDENT), Segment(name, style)]
        used = cell_len(name)
        for label, label_style in labels:
            label = cut(f" · {label}", room - used)
            segments.append(Segment(label, label_style))
            used += len(label)
        if counter:
            gap = self._body_width - used - len(counter)
            segments += [Segment(" " * gap), Segment(counter, styles.counter)]
        return Line(tuple(segments), INDENT)

    def _below(self, *, has_text: bool) -> Iterator[Line]:
        """Yield the rows between the text and the blank one at the end."""
        styles, entry = self._layout.styles, self.entry
        left_out = len(entry.text) - CHARACTER_LIMIT
        if left_out > 0:
            yield from wrap([(f"… {left_out:,} more characters", styles.note)], self._body_width)
        if entry.streaming and not has_text:
            yield Line((Segment("…", styles.note),))
        if entry.note:
            if has_text:
                yield _BLANK
            for line in wrap([(one_line(entry.note), styles.note)], self._body_width - 2):
                yield Line((Segment("▌ ", styles.note_bar), *line.segments), 2, line.joint)


def _shown(entry: ChatEntry) -> str:
    return entry.text[:CHARACTER_LIMIT]


def _kind(entry: ChatEntry) -> tuple[object, ...]:
    """Return what a message's rows depend on besides what it says."""
    return entry.role, entry.outside, entry.begins_in_reasoning


def _first_difference(before: list[Line], after: list[Line]) -> int:
    for index, (old, new) in enumerate(zip(before, after, strict=False)):
        if old is not new and old != new:
            return index
    return min(len(before), len(after))


def _visible_characters(line: Line) -> int:
    text = line.text[line.lead :]
    return len(text) - text.count(" ")


def _estimated_height(entry: ChatEntry, width: int, folded: bool) -> int:
    """Return about how many rows a message will have: quick, and close for ordinary text."""
    text, hidden = _shown(entry), 0
    if entry.role == "bot" and folded and (entry.begins_in_reasoning or may_have_reasoning(text)):
        parts = split_reasoning(text, begins_inside=entry.begins_in_reasoning)
        text = "\n\n".join(part.text.rstrip() for part in parts if part.kind == "answer")
        hidden = 2 * sum(part.kind == "reasoning" for part in parts)
    source = text.split("\n") if text else []
    if entry.role == "bot":
        source = [line for line in source if not line.startswith("```")]
    body = sum(max(0, len(line) - 1) // width + 1 for line in source)
    return 2 + body + hidden + (2 if entry.note else 0) + (len(entry.text) > CHARACTER_LIMIT)

"""Markdown → lines of styled text at one width, cheap to continue while the text is still being written.

CommonMark decides the block structure line by line: once a later block has begun on a complete line, the
blocks before it can no longer change. So those are rendered once and kept, and only the source from the
start of the last such block is read again when text arrives. The same holds for the items of a list, which
can be long. Of what is read again, paragraphs whose text is the same as before are taken from a cache,
because reading the inside of a paragraph is what takes time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from rich.segment import Segment
from rich.style import Style

from easy_llama_tui.text.code_lines import CodeLines, load_lexers
from easy_llama_tui.text.display_text import TAB_SIZE, Line, Run, wrap
from easy_llama_tui.text.markdown_inline import MarkdownStyles, inline_runs, markdown_parser
from easy_llama_tui.text.table_lines import Align, Row, Table, table_lines

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["MarkdownLines", "MarkdownStyles", "preload"]

_BULLETS = "•◦▪"
_LISTS = ("bullet_list_open", "ordered_list_open")
_SET_APART = {"fence", "code_block", "table_open"}
"""Blocks that get a blank line around them even where the source has none."""
_NARROWEST = 12
"""Lists and quotes are not indented further where less than this is left."""
_ONLY_MARKS = re.compile(r"[\s>]*(?:[-=_*+#|:`~>\s]*|\d{1,9}[.)]?\s*)\Z")
"""What may still turn out to be a bullet, an underline or a fence; shown once it is clear which."""
_DEEPEST = 17
"""Levels of nesting that are drawn; blocks that go deeper are shown as their source."""
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)

_T = TypeVar("_T")


@lru_cache(maxsize=1)
def preload() -> None:
    """Load in a thread, once, what texts are read with: else the first reply waits for it."""

    def load() -> None:
        markdown_parser()
        load_lexers()

    Thread(target=load, name="preload-markdown", daemon=True).start()


class _Settled(NamedTuple):
    """What can no longer change."""

    source: int = 0
    """How many lines of the source."""
    lines: int = 0
    """How many lines they became."""
    kind: str = ""
    """The type of the last block."""
    blank: bool = False
    """Whether the source has a blank line at the end."""
    items: int = 0
    """How many items it has of the list that goes on after it."""
    number: int = 0
    """The number of that list's next item."""


class _Part(NamedTuple):
    """A block that stands in no other, or an item of a list that stands in no other."""

    tokens: Sequence[Token]
    kind: str
    """The type of the block."""
    number: int | None = None
    """The number of the item, also in a list without numbers; None for other blocks."""
    items: int = 0
    """How many items come before it in its list."""


class MarkdownLines:
    """The lines of one Markdown text, which may still grow."""

    def __init__(self, width: int, styles: MarkdownStyles) -> None:
        self.lines: list[Line] = []
        """The lines so far; a line that did not change stays the same object."""
        self._blocks = _Blocks(width, styles)
        self._tail = ""
        self._settled = _Settled()
        self._complete = False

    def extend(self, text: str, *, complete: bool) -> int:
        """Add printable `text` to the end, and return the index of the first line that changed.

        `complete` says that nothing more is expected; the lines are then those of the whole text
        rendered at once, however it arrived. More may follow nevertheless.
        """
        if complete and self._complete and not text:
            return len(self.lines)
        self._complete = complete
        self._tail += text
        unfinished = self._tail.rfind("\n") + 1
        held_back = not complete and _ONLY_MARKS.match(self._tail, unfinished)
        first = self._render(self._tail[:unfinished] if held_back else self._tail, complete)
        self._blocks.forget_unused(everything=complete)
        return first

    def _render(self, source: str, complete: bool) -> int:
        """Render `source`, the tail or what of it is to be shown."""
        source_lines = source.split("\n")
        settled, kind = self._settled, self._settled.kind
        parts = list(_parts(self._blocks.parse(source), settled))
        finished = [index for index, part in enumerate(parts) if _is_finished(part, source_lines)]
        before = self.lines[settled.lines :]
        lines: list[Line] = []
        self._blocks.begin(source_lines, settled, complete)
        for index, part in enumerate(parts):
            if finished and index == finished[-1]:
                self._settled = self._settled_before(part, source_lines, len(lines), kind)
            self._blocks.last = index == len(parts) - 1
            if kind and self._blocks.apart(kind, part.tokens):
                lines.append(Line(()))
            lines += self._blocks.render(part)
            kind = part.kind
        return settled.lines + self._replace_lines(settled.lines, before, lines)

    def _settled_before(self, part: _Part, source_lines: list[str], lines: int, kind: str) -> _Settled:
        """Return what is settled when `part` is the first that may change, and cut the tail there."""
        start = _start(part.tokens)
        if not start:
            return self._settled
        self._tail = self._tail[sum(len(line) + 1 for line in source_lines[:start]) :]
        blank = _is_blank(source_lines[start - 1])
        before = self._settled
        return _Settled(
            before.source + start, before.lines + lines, kind, blank, part.items, part.number or 0
        )

    def _replace_lines(self, at: int, before: list[Line], lines: list[Line]) -> int:
        """Put `lines` in place of `before`, and return how many at the start are the same."""
        same = 0
        for old, new in zip(before, lines, strict=False):
            if old is not new and old != new:
                break
            same += 1
        self.lines[at + same :] = lines[same:]
        return same


def _siblings(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Yield the tokens of each block, from its opening to its closing one."""
    start = depth = 0
    for index, token in enumerate(tokens, 1):
        depth += token.nesting
        if not depth:
            yield tokens[start:index]
            start = index


def _parts(tokens: Sequence[Token], settled: _Settled) -> Iterator[_Part]:
    """Yield the blocks of a text that goes on after what is settled, and for lists their items."""
    items, number = settled.items, settled.number
    for block in _siblings(tokens):
        kind = block[0].type
        if kind in _LISTS:
            if not items:
                number = _first_number(block)
            for item in _siblings(block[1:-1]):
                yield _Part(item, kind, number, items)
                items, number = items + 1, number + 1
        else:
            yield _Part(block, kind)
        items = 0


def _first_number(block: Sequence[Token]) -> int:
    start = block[0].attrGet("start")
    return 1 if start is None else int(start)


def _start(block: Sequence[Token]) -> int:
    return block[0].map[0] if block[0].map else 0


def _is_finished(part: _Part, source_lines: list[str]) -> bool:
    """Return whether all before the part can no longer change, and the part can be read without it."""
    start = _start(part.tokens)
    # What starts on the unfinished last line may yet turn out to belong to the part before; and what is an
    # item where items came before it may be the head of a table where it comes first.
    return start < len(source_lines) - 1 and not (part.items and "|" in source_lines[start])


def _is_blank(source_line: str) -> bool:
    return not source_line.strip(" \t>")


def _mark(kind: str, number: int, depth: int) -> str:
    """Return what stands before an item of a list."""
    return f"{number}." if kind == "ordered_list_open" else _BULLETS[depth % len(_BULLETS)]


def _prefixed(lines: list[Line], first: Segment, rest: Segment, *, border: bool = False) -> Iterator[Line]:
    for index, line in enumerate(lines):
        prefix = rest if index else first
        lead = line.lead + len(prefix.text) if border or line.lead else 0
        yield Line((prefix, *line.segments), lead, line.joint, line.fill)


class _Blocks:
    """Renders blocks, and remembers the paragraphs and code blocks of the last time."""

    def __init__(self, width: int, styles: MarkdownStyles) -> None:
        self.last = False
        """Whether the block to render is the last one, and may grow."""
        self._width = width
        self._styles = styles
        self._source_lines: list[str] = []
        self._settled = _Settled()
        self._complete = False
        self._cache: dict[object, object] = {}
        self._used: dict[object, object] = {}

    def parse(self, source: str) -> list[Token]:
        """Return the block tokens of `source`; what is inside paragraphs is not read."""
        tokens: list[Token] = []
        parser = markdown_parser()
        parser.block.parse(source, parser, {}, tokens)
        return tokens

    def begin(self, source_lines: list[str], settled: _Settled, complete: bool) -> None:
        """Tell what source the blocks to render are from, and what came before it."""
        self._source_lines, self._settled, self._complete = source_lines, settled, complete

    def forget_unused(self, *, everything: bool) -> None:
        """Drop from the cache what the last rendering did not use."""
        self._cache = {} if everything else self._used
        self._used = {}

    def apart(self, kind: str, block: Sequence[Token]) -> bool:
        """Tell whether a blank line belongs between a block of `kind` and the one after it.

        Mostly as in the source, so that lists neither spread nor close up while they grow.
        """
        start = _start(block)
        if block[0].level == 0 and (kind in _SET_APART or block[0].type in _SET_APART | {"heading_open"}):
            return True
        return _is_blank(self._source_lines[start - 1]) if start else self._settled.blank

    def render(self, part: _Part) -> list[Line]:
        """Return the lines of a part."""
        block = part.tokens
        if any(token.level >= _DEEPEST for token in block):
            # The parser leaves out what is nested deeper still.
            start, end = block[0].map or (0, 0)
            source = "\n".join(self._source_lines[start:end])
            return wrap([(source.expandtabs(TAB_SIZE), self._styles.text)], self._width)
        if part.number is not None:
            mark = _mark(part.kind, part.number, 0)
            return list(self._item(block, mark, self._width, self._styles.text, 0))
        return self._block(block, self._width, self._styles.text, 0)

    def _children(self, tokens: Sequence[Token], width: int, base: Style, depth: int) -> list[Line]:
        lines: list[Line] = []
        kind = ""
        for block in _siblings(tokens):
            if kind and self.apart(kind, block):
                lines.append(Line(()))
            lines += self._block(block, width, base, depth)
            kind = block[0].type
        return lines

    def _block(self, block: Sequence[Token], width: int, base: Style, depth: int) -> list[Line]:
        first = block[0]
        match first.type:
            case "paragraph_open":
                return self._text(block[1].content, width, base)
            case "heading_open":
                styles = self._styles
                style = styles.heading if first.tag in ("h1", "h2") else styles.subheading
                return self._text(block[1].content, width, base + style)
            case "bullet_list_open" | "ordered_list_open":
                return self._list(block, width, base, depth)
            case "blockquote_open":
                return self._quote(block, width, base, depth)
            case "fence" | "code_block":
                return self._code(first, width)
            case "table_open":
                return table_lines(self._table(block, base), width, self._styles.line)
            case "hr":
                return [Line((Segment("─" * width, self._styles.line),))]
        return wrap([(first.content, base)], width)

    def _list(self, block: Sequence[Token], width: int, base: Style, depth: int) -> list[Line]:
        lines: list[Line] = []
        for number, item in enumerate(_siblings(block[1:-1]), _first_number(block)):
            if lines and self.apart("list_item_open", item):
                lines.append(Line(()))
            lines += self._item(item, _mark(block[0].type, number, depth), width, base, depth)
        return lines

    def _item(self, item: Sequence[Token], mark: str, width: int, base: Style, depth: int) -> Iterable[Line]:
        indent = "" if depth or width < _NARROWEST * 2 else "  "
        room = width - len(indent) - len(mark) - 1
        if room < _NARROWEST and depth:
            return self._children(item[1:-1], width, base, depth + 1)
        content = self._children(item[1:-1], room, base, depth + 1) or [Line(())]
        first = Segment(f"{indent}{mark} ", base + self._styles.bullet)
        return _prefixed(content, first, Segment(" " * len(first.text)))

    def _quote(self, block: Sequence[Token], width: int, base: Style, depth: int) -> list[Line]:
        base = base + self._styles.quote
        if width - 2 < _NARROWEST:
            return self._children(block[1:-1], width, base, depth)
        bar = Segment("│ ", self._styles.line)
        content = self._children(block[1:-1], width - 2, base, depth) or [Line(())]
        return list(_prefixed(content, bar, bar, border=True))

    def _code(self, token: Token, width: int) -> list[Line]:
        words = token.info.split(maxsplit=1)
        language = words[0].lower().strip("{}.") if words else ""
        start, end = token.map or (0, 0)
        code = token.content
        key = ("code", self._settled.source + start, width, language)
        lines = self._cached(key, lambda: CodeLines(language, width, self._styles.block))
        written = code.count("\n") + (not code.endswith("\n") and code != "")
        closed = token.type == "fence" and end - start == written + 2
        return lines.render(code, complete=self._complete or closed or not self.last)

    def _table(self, block: Sequence[Token], base: Style) -> Table:
        rows: list[Row] = []
        aligns: list[Align] = []
        contents: list[str] = []
        for index, token in enumerate(block):
            if token.type in ("th_open", "td_open"):
                contents.append(block[index + 1].content)
                if token.type == "th_open":
                    css = str(token.attrGet("style") or "")
                    aligns.append("right" if "right" in css else "center" if "center" in css else "left")
            elif token.type == "tr_close":
                style = base if rows else base + self._styles.strong
                rows.append(self._row(tuple(contents), style))
                contents = []
        return Table(rows[0], rows[1:], aligns)

    def _row(self, contents: tuple[str, ...], style: Style) -> Row:
        def make() -> Row:
            return Row([self._runs(_BREAK.sub("\n", content), style) for content in contents])

        return self._cached((contents, style), make)

    def _text(self, content: str, width: int, base: Style) -> list[Line]:
        return self._cached((content, width, base), lambda: wrap(self._runs(content, base), width))

    def _runs(self, content: str, base: Style) -> list[Run]:
        return self._cached(
            (content, base), lambda: inline_runs(markdown_parser(), content, self._styles, base)
        )

    def _cached(self, key: object, make: Callable[[], _T]) -> _T:
        value = self._used.get(key) or self._cache.get(key) or make()
        self._used[key] = value
        return value  # type: ignore[return-value]

"""The lines of a code block, highlighted by Pygments, cheap to ask for again while the block grows.

A Pygments lexer starts at the top of its text each time. So a block that still grows is highlighted in
chunks: finished chunks are kept, and only the lines since then are read again, when one more is complete.
A chunk starts without knowing what came before (a script inside a page, say), so a block of ordinary size
is read once more as a whole when it is complete.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from rich.segment import Segment
from rich.style import Style

from easy_llama.record import Record
from easy_llama_tui.text.display_text import TAB_SIZE, Line, Run, chop

_CHUNK_LINES = 24
_CHUNK_LIMIT = 8 * _CHUNK_LINES
"""A chunk may grow to this many lines while it would end inside a string or a comment."""
_WHOLE_LIMIT = 12_000
"""Characters of a block that is read as a whole once complete: some 30 ms on a slow machine."""
_COMMON_LANGUAGES = ("python", "bash", "javascript", "json", "html")
_LONG_LINE = 1_000
"""Text with longer lines is not code that someone wrote, and lexers can be slow on it."""


PLAIN = Style()
"""The style that changes nothing."""


class CodeStyles(Record):
    """The styles of code, each with the background of a code block."""

    plain: Style = PLAIN
    comment: Style = PLAIN
    keyword: Style = PLAIN
    string: Style = PLAIN
    number: Style = PLAIN
    name: Style = PLAIN
    """Where something gets its name: functions, classes, tags, attributes."""
    removed: Style = PLAIN
    """Removed lines of a diff, and what the lexer takes for an error of a traceback."""


_ROLES: dict[tuple[str, ...], str] = {
    (): "plain",
    ("Comment",): "comment",
    ("Keyword",): "keyword",
    ("Operator", "Word"): "keyword",
    ("Literal", "String"): "string",
    ("Literal", "Number"): "number",
    ("Keyword", "Constant"): "number",
    ("Name", "Function"): "name",
    ("Name", "Class"): "name",
    ("Name", "Decorator"): "name",
    ("Name", "Tag"): "name",
    ("Name", "Attribute"): "name",
    ("Generic", "Deleted"): "removed",
    ("Generic", "Error"): "removed",
    ("Generic", "Inserted"): "string",
    ("Generic", "Heading"): "name",
    ("Generic", "Subheading"): "comment",
    ("Generic", "Prompt"): "comment",
}
"""Pygments token types, tuples of names, to fields of `CodeStyles`; children are as their parent."""


@lru_cache(maxsize=512)
def _role(token_type: tuple[str, ...]) -> str:
    kind = tuple(token_type)
    while kind not in _ROLES:
        kind = kind[:-1]
    return _ROLES[kind]


Piece = tuple[str, str]
"""A piece of code and its role."""


@lru_cache(maxsize=1)
def _languages() -> frozenset[str]:
    from pygments.lexers import get_all_lexers  # type: ignore[import-untyped]

    return frozenset(alias for _, aliases, _, _ in get_all_lexers(plugins=False) for alias in aliases)


@lru_cache(maxsize=32)
def _lexer(language: str) -> Any:
    from pygments.lexers import get_lexer_by_name

    # Asked for a name that it does not know, Pygments searches all installed packages for plugins.
    return get_lexer_by_name(language, stripnl=False) if language in _languages() else None


def load_lexers() -> None:
    """Load the lexers of common languages: one alone can hold up a frame by 30 ms."""
    for language in _COMMON_LANGUAGES:
        _lexer(language)


def _pieces(language: str, code: str) -> list[Piece]:
    lexer = _lexer(language) if language else None
    if lexer is None or any(len(line) > _LONG_LINE for line in code.split("\n")):
        return [(code, "plain")]
    try:
        return [(text, _role(token_type)) for token_type, text in lexer.get_tokens(code)]
    except Exception:
        # Third-party lexers may stumble over text that is not their language. It is shown plain.
        return [(code, "plain")]


def _by_line(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Yield the pieces of each complete line, without its newline."""
    line: list[Piece] = []
    for text, role in pieces:
        first, *others = text.split("\n")
        if first:
            line.append((first, role))
        for other in others:
            yield line
            line = [(other, role)] if other else []


class CodeLines:
    """The lines of one code block at one width."""

    def __init__(self, language: str, width: int, styles: CodeStyles) -> None:
        self.language = language
        self._width = max(1, width - 2)
        self._styles = styles
        self._kept = ""
        self._kept_lines: list[Line] = []
        self._open = ""
        self._open_lines: list[Line] = []
        self._open_role = "plain"
        self._whole: str | None = None
        self._whole_lines: list[Line] = []

    def render(self, code: str, *, complete: bool) -> list[Line]:
        """Return the lines of `code`.

        What is returned for a complete block depends on its text alone. While it is not complete, text
        that begins as the last one did costs only what is new.
        """
        code = code.expandtabs(TAB_SIZE)
        if complete and len(code) <= _WHOLE_LIMIT:
            if self._whole != code:
                self._whole, self._whole_lines = code, self._laid_out(_pieces(self.language, code))
            return self._whole_lines
        if not code.startswith(self._kept):
            self._kept, self._kept_lines = "", []
        finished = code[: code.rfind("\n") + 1]
        self._keep_chunks(finished)
        rest = finished[len(self._kept) :]
        if rest != self._open:
            pieces = _pieces(self.language, rest)
            self._open, self._open_lines = rest, self._laid_out(pieces)
            self._open_role = pieces[-1][1] if pieces else "plain"
        partial = code[len(finished) :]
        return [*self._kept_lines, *self._open_lines, *self._partial_lines(partial)]

    def _keep_chunks(self, finished: str) -> None:
        """Move whole chunks of the finished lines into what is kept."""
        lines = finished[len(self._kept) :].splitlines(keepends=True)
        while len(lines) > _CHUNK_LINES:
            for size in range(_CHUNK_LINES, len(lines), _CHUNK_LINES):
                chunk = "".join(lines[:size])
                pieces = _pieces(self.language, chunk)
                if pieces[-1][1] not in ("string", "comment") or size >= _CHUNK_LIMIT:
                    break
            else:
                return
            self._kept += chunk
            self._kept_lines += self._laid_out(pieces)
            lines = lines[size:]

    def _partial_lines(self, partial: str) -> list[Line]:
        if not partial:
            return []
        # Inside a string or comment of several lines, the line that is being written belongs to it.
        if self._open and self._open_role in ("string", "comment"):
            return self._laid_out([(partial + "\n", self._open_role)])
        return self._laid_out(_pieces(self.language, partial + "\n"))

    def _laid_out(self, pieces: list[Piece]) -> list[Line]:
        lines: list[Line] = []
        for line in _by_line(pieces):
            joint = "\n"
            for row in _cut([(text, getattr(self._styles, role)) for text, role in line], self._width):
                pad = Segment(" ", self._styles.plain)
                segments = (pad, *(Segment(text, style) for text, style in row))
                lines.append(Line(segments, 1, joint, self._styles.plain))
                joint = ""
        return lines


def _cut(runs: list[Run], width: int) -> list[list[Run]]:
    """Cut one line of code into rows of at most `width` cells."""
    text = "".join([text for text, _ in runs])
    if len(text) * 2 <= width or not text:
        return [runs]
    rows, index, used = [], 0, 0
    for row in chop(text, width):
        left, cut = len(row), []
        while left:
            part, style = runs[index]
            taken = part[used : used + left]
            cut.append((taken, style))
            left -= len(taken)
            used += len(taken)
            if used == len(part):
                index, used = index + 1, 0
        rows.append(cut)
    return rows

"""Text from models, files and people, made safe to show and cut into rows of terminal cells.

Nothing that comes in is trusted: control characters would drive the terminal, and format characters can
reorder or hide what a reader sees. `printable` makes the former visible and takes the latter away;
`wrap` and `chop` never return a row wider than asked for, unless a single character is.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import get_character_cell_size
from rich.segment import Segment
from rich.style import Style

TAB_SIZE = 4
"""Columns from one tab stop to the next."""

_MOST_A_CELL = 8
"""Characters of a row for each of its cells: marks that take no cell of their own can be heaped up."""
_MOST_MARKS = 16
"""Marks on one character; scripts and emoji need a few."""

_REMOVED = (
    "\r"  # so that CR LF becomes LF, also when the two arrive in different pieces of a stream
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2064\u206a-\u206f\ufeff"
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\uffa0"  # fillers, which look like nothing
    "\U000e0000-\U000e0fff"  # tags and variation selectors that can carry a hidden message
)
_REPLACED = (
    "\x80-\x9f"  # C1: some terminals take U+009B for CSI
    "\u202a-\u202e\u2066-\u2069"  # bidirectional embeddings, overrides and isolates
    "\ufff9-\ufffb\ud800-\udfff"
)
_UNSAFE = re.compile(f"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029{_REMOVED}{_REPLACED}]")
_REMOVED_ONE = re.compile(f"[{_REMOVED}]")


def _safe(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if character in "\u2028\u2029":
        return "\n"
    if _REMOVED_ONE.match(character):
        return ""
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\ufffd"


def printable(text: str) -> str:
    """Return `text` with nothing in it that could drive a terminal or mislead its reader.

    C0 controls and DEL become their control pictures (ESC is ␛); C1 controls, bidirectional overrides
    and isolates, and lone surrogates become U+FFFD; invisible format characters and CR are taken out;
    U+2028 and U+2029 become newlines. Newlines and tabs stay. Each character is looked at by itself, so
    the pieces of a stream can be cleaned one by one.
    """
    return _UNSAFE.sub(_safe, text)


def without_heaps(text: str) -> str:
    """Return `text` with no more marks on a character than any script needs.

    For what is wrapped by others than `wrap` and `chop`, who make as much of a heap as fits a row.
    """
    if text.isascii():
        return text
    kept, marks = [], 0
    for character in text:
        marks = 0 if character in "\n\t" or get_character_cell_size(character) else marks + 1
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)


def editable(text: str) -> str:
    """Return `text` as it can be shown and edited: printable, without heaps, its lines ended by LF."""
    return without_heaps(printable(text.replace("\r\n", "\n").replace("\r", "\n")))


def one_line(text: str) -> str:
    """Return `text` printable and on one line, for labels."""
    return " ".join(printable(text).split())


class Line(NamedTuple):
    """One row of laid-out text."""

    segments: tuple[Segment, ...]
    lead: int = 0
    """How many characters at the start are indent or border, left out when the text is copied."""
    joint: str = "\n"
    """What stands between the row above and this one in copied text: `""` or a space where it wrapped."""
    fill: Style | None = None
    """The style of the rest of the row, where it has one of its own."""

    @property
    def text(self) -> str:
        """The characters of the row, indent and border included."""
        return "".join([segment.text for segment in self.segments])


Run = tuple[str, Style]
"""A piece of text and its style."""

_CJK = (
    "\u2e80-\u2fdf\u3001-\u30ff\u3105-\u312f\u3190-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff01-\uffef\U00020000-\U0003ffff"
)
_STICKS = "、。，．・：；？！ー）］｝〕〉》」』】’”…\u0300-\u036f\u3099\u309a\ufe00-\ufe0f\u200d"
# A place to break is after spaces, and beside an ideograph unless punctuation closes on it.
# `re` compiles it at its first use: for the first picture, that would take too long.
_WORD = f"(?:[{_CJK}][{_STICKS}]*|[^ \u3000{_CJK}]+) *\u3000*|[ \u3000]+"


def cells(text: str) -> int:
    """Return how many terminal cells `text` takes at most.

    Joined emoji count as if they stood apart, because many terminals draw them so.
    """
    if text.isascii():
        return len(text)
    return sum(map(get_character_cell_size, text)) + text.count("\ufe0f")


def chop(text: str, width: int) -> list[str]:
    """Cut `text` into pieces of at most `width` cells, breaking anywhere.

    A piece of more than eight characters a cell, most of which take none, is cut too.
    """
    if text.isascii():
        return [text[at : at + width] for at in range(0, len(text), width)] or [""]
    pieces, start, room, most = [], 0, width, width * _MOST_A_CELL
    for index, character in enumerate(text):
        size = 1 if character == "\ufe0f" else get_character_cell_size(character)
        if (size > room or index - start >= most) and index > start:
            pieces.append(text[start:index])
            start, room = index, width
        room -= size
    return [*pieces, text[start:]]


class _Row(NamedTuple):
    start: int
    end: int
    joint: str


def _rows_of_paragraph(text: str, offset: int, width: int, joint: str) -> Iterator[_Row]:
    """Yield the rows of text without newlines; `offset` is where it stands in the whole."""
    if len(text) <= width and cells(text) <= width:
        yield _Row(offset, offset + len(text), joint)
        return
    start, used, most = 0, 0, width * _MOST_A_CELL
    for match in re.finditer(_WORD, text):
        word = match[0].rstrip(" \u3000")
        size = cells(word)
        is_heap = len(word) > most
        if used + size > width or match.end() - start > most:
            if used and match.start() > start:
                yield _Row(offset + start, offset + match.start(), joint)
                joint = " " if text[match.start() - 1] == " " else ""
                start, used = match.start(), 0
            if size > width or is_heap:
                *pieces, word = chop(word, width)
                for piece in pieces:
                    yield _Row(offset + start, offset + start + len(piece), joint)
                    joint, start = "", start + len(piece)
                used = cells(text[start : match.end()])
                continue
        used += cells(match[0])
    yield _Row(offset + start, offset + len(text), joint)


def _rows(text: str, width: int) -> Iterator[_Row]:
    offset = 0
    for paragraph in text.split("\n"):
        yield from _rows_of_paragraph(paragraph, offset, width, "\n")
        offset += len(paragraph) + 1


def wrap(runs: Sequence[Run], width: int) -> list[Line]:
    """Return styled text as rows of at most `width` cells, broken at words; newlines are kept.

    Spaces where a row was broken are left out.
    """
    text = "".join([text for text, _ in runs])
    if not text:
        return [Line(())]
    ends, position = [], 0
    for part, _ in runs:
        position += len(part)
        ends.append(position)
    lines, index = [], 0
    for start, end, joint in _rows(text, width):
        end = start + len(text[start:end].rstrip(" \u3000"))
        segments = []
        while start < end:
            while ends[index] <= start:
                index += 1
            stop = min(end, ends[index])
            segments.append(Segment(text[start:stop], runs[index][1]))
            start = stop
        lines.append(Line(tuple(segments), 0, joint))
    return lines


def plain_lines(text: str, style: Style, width: int) -> list[Line]:
    """Return unstyled text as rows of at most `width` cells, as it was typed: tabs expanded, no markup."""
    return wrap([(text.expandtabs(TAB_SIZE), style)], width)

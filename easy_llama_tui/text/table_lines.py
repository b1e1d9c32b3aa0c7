"""A Markdown table as rows of text with light lines."""

from collections.abc import Iterator, Sequence
from typing import Literal

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from easy_llama.record import Record
from easy_llama_tui.text.display_text import Line, Run, cells, wrap

Align = Literal["left", "center", "right"]

_GAP = 3
"""Cells between two columns: a space, a line, a space."""
_NARROWEST = 4
"""Below this many cells a column is unreadable, and the table is shown as a list."""


class Row:
    """The cells of one row, each as styled pieces of text."""

    def __init__(self, cells_: Sequence[Sequence[Run]]) -> None:
        self.cells = cells_
        self.natural = [
            max(1, *(cells(part) for part in "".join([text for text, _ in runs]).split("\n")))
            for runs in cells_
        ]
        """The cells that each column takes without wrapping."""
        self._lines: tuple[object, list[Line]] = (None, [])

    def lines(self, widths: Sequence[int], aligns: Sequence[Align], line_style: Style) -> list[Line]:
        """Return the lines of the row with columns of `widths`; asked for again, the same objects."""
        key = (tuple(widths), tuple(aligns), line_style)
        if self._lines[0] != key:
            self._lines = (key, list(_row_lines(self.cells, widths, aligns, line_style)))
        return self._lines[1]


class Table(Record):
    """A heading and the rows below it, all with as many cells."""

    header: Row
    rows: Sequence[Row]
    aligns: Sequence[Align]


def table_lines(table: Table, width: int, line_style: Style) -> list[Line]:
    """Return the lines of `table` in at most `width` cells; cells wrap where it would be wider."""
    rows = [table.header, *table.rows]
    widths = _column_widths(
        [max(column) for column in zip(*(row.natural for row in rows), strict=True)], width
    )
    if widths is None:
        return list(_as_list(table, width))
    blocks = [row.lines(widths, table.aligns, line_style) for row in rows]
    rule = Line((Segment("─┼─".join("─" * size for size in widths), line_style),))
    between = [rule] if any(len(block) > 1 for block in blocks[1:]) else []
    lines = [*blocks[0], rule]
    for index, block in enumerate(blocks[1:]):
        lines += [*(between if index else []), *block]
    return lines


def _column_widths(natural: list[int], width: int) -> list[int] | None:
    """Return the width of each column, the widest ones cut to the same size, or `None` if too narrow."""
    room = width - _GAP * (len(natural) - 1)
    if sum(natural) <= room:
        return natural
    if room < sum(min(size, _NARROWEST) for size in natural):
        return None
    widths, left = list(natural), room
    by_size = sorted(range(len(natural)), key=natural.__getitem__)
    for done, column in enumerate(by_size):
        widths[column] = min(natural[column], left // (len(natural) - done))
        left -= widths[column]
    return widths


def _row_lines(
    row: Sequence[Sequence[Run]], widths: Sequence[int], aligns: Sequence[Align], line_style: Style
) -> Iterator[Line]:
    columns = [wrap(runs, width) for runs, width in zip(row, widths, strict=True)]
    for index in range(max(map(len, columns))):
        segments: list[Segment] = []
        for column, lines in enumerate(columns):
            if column:
                segments.append(Segment(" │ ", line_style))
            content = lines[index].segments if index < len(lines) else ()
            segments += _aligned(content, widths[column], aligns[column])
        yield Line(tuple(segments))


def _aligned(segments: Sequence[Segment], width: int, align: Align) -> list[Segment]:
    spare = width - sum(cell_len(segment.text) for segment in segments)
    before = {"left": 0, "center": spare // 2, "right": spare}[align]
    padded = [Segment(" " * before), *segments, Segment(" " * (spare - before))]
    return [segment for segment in padded if segment.text]


def _as_list(table: Table, width: int) -> Iterator[Line]:
    """Yield each row as lines of `heading: cell`, for where columns do not fit."""
    for index, row in enumerate(table.rows):
        if index:
            yield Line(())
        for heading, cell in zip(table.header.cells, row.cells, strict=True):
            yield from wrap([*heading, (": ", heading[0][1] if heading else Style()), *cell], width)
    if not table.rows:
        for heading in table.header.cells:
            yield from wrap(heading, width)

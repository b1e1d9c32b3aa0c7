"""How the lines of the prompt are broken into rows, quickly enough for a paste of thousands of lines."""

from textual._wrap import compute_wrap_offsets
from textual.document._document import Location
from textual.document._wrapped_document import WrappedDocument
from textual.expand_tabs import get_tab_widths
from textual.geometry import Offset


class PromptLines(WrappedDocument):
    """Textual's wrapped document, with a short way for ASCII lines and for edits that move no row."""

    @property
    def height(self) -> int:
        """How many rows there are."""
        return len(self._offset_to_line_info)

    def wrap(self, width: int, tab_width: int | None = None) -> None:
        """Break all lines anew.

        Args:
            width: cells of a row; 0 for one row a line.
            tab_width: cells from one tab stop to the next; None leaves it as it is.
        """
        self._width = width
        if tab_width:
            self._tab_width = tab_width
        self._wrap_offsets = [self._offsets_of(line) for line in self.document.lines]
        self._tab_width_cache = [self._tab_widths_of(line) for line in self.document.lines]
        self._number_rows()

    def wrap_range(self, start: Location, old_end: Location, new_end: Location) -> None:
        """Break those lines anew that an edit changed.

        Args:
            start: where the edit began.
            old_end: where what it replaced ended.
            new_end: where it ends.
        """
        n_before, n_now = len(self._wrap_offsets), self.document.line_count
        first = max(0, min(start[0], old_end[0], new_end[0], n_before - 1, n_now - 1))
        # The lines after the edit are as many as before, whatever its ends say.
        n_after = max(0, min(n_now - 1 - new_end[0], n_before - 1 - old_end[0]))
        last_before, last = n_before - n_after, n_now - n_after
        lines = self.document.lines[first:last]
        offsets = [self._offsets_of(line) for line in lines]
        rows_stay = list(map(len, offsets)) == list(map(len, self._wrap_offsets[first:last_before]))
        self._wrap_offsets[first:last_before] = offsets
        self._tab_width_cache[first:last_before] = [self._tab_widths_of(line) for line in lines]
        if not rows_stay:
            self._number_rows()

    def location_to_offset(self, location: Location) -> Offset:
        """Return where a place in the text is drawn; one after the end is taken for one in the last line.

        Textual asks for the cursor's place before it moves the cursor, when undoing takes text and scrollbar.
        """
        row, column = location
        return super().location_to_offset((min(row, len(self._wrap_offsets) - 1), column))

    def get_sections(self, line_index: int) -> list[str]:
        """Return the rows of a line."""
        line, offsets = self.document[line_index], self._wrap_offsets[line_index]
        return [line[start:end] for start, end in zip([0, *offsets], [*offsets, len(line)], strict=True)]

    def _number_rows(self) -> None:
        self._offset_to_line_info = [
            (line, row) for line, offsets in enumerate(self._wrap_offsets) for row in range(len(offsets) + 1)
        ]
        rows, first = [], 0
        for offsets in self._wrap_offsets:
            end = first + len(offsets) + 1
            rows.append(list(range(first, end)))
            first = end
        self._line_index_to_offsets = rows

    def _offsets_of(self, line: str) -> list[int]:
        """Return where the rows of a line begin, without the first."""
        width = self._width
        if not width:
            return []
        if not line.isascii() or "\t" in line:
            return compute_wrap_offsets(line, width, self._tab_width)
        offsets, start = [], 0
        while len(line) - start > width:
            after_space = line.rfind(" ", start, start + width) + 1
            start = after_space if after_space > start else start + width
            offsets.append(start)
        return offsets

    def _tab_widths_of(self, line: str) -> list[int]:
        if "\t" not in line:
            return [0] if line else []
        return [width for _, width in get_tab_widths(line, self._tab_width)]

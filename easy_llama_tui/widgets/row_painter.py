"""Rows of messages as Textual draws them: with background, selection and the mark of what was not seen."""

from rich.segment import Segment
from rich.style import Style
from textual.selection import Selection
from textual.strip import Strip

from easy_llama_tui.text.display_text import Line
from easy_llama_tui.widgets.chat_selection import row_key
from easy_llama_tui.widgets.message_column import Place
from easy_llama_tui.widgets.message_view import MARGIN

_KEPT = 1024
"""Rows that are kept as they were drawn: what a few screens show."""
_UNSEEN = " ↓ new "
_MARK = "▌"
"""Stands at the left edge of the message that keys are for."""


class RowPainter:
    """Draws rows at one width in the styles of the theme, and keeps those it drew."""

    def __init__(self) -> None:
        self._width = 0
        self._scrollbar = 0
        self._base = self._unseen = self._mark = self._selection = Style()
        self._strips: dict[Place, tuple[Line, Strip]] = {}

    def set_width(self, width: int, scrollbar: int) -> None:
        """Draw rows of `width` cells, of which the last `scrollbar` ones are covered."""
        self._width, self._scrollbar = width, scrollbar
        self._strips.clear()

    def set_styles(self, *, base: Style, unseen: Style, mark: Style, selection: Style) -> None:
        """Draw with other styles."""
        self._base, self._unseen, self._mark, self._selection = base, base + unseen, base + mark, selection
        self._strips.clear()

    def blank(self) -> Strip:
        """Return a row without text."""
        return Strip.blank(self._width, self._base)

    def strip(self, place: Place, line: Line, selection: Selection | None, *, marked: bool) -> Strip:
        """Return the row at `place`; its segments tell Textual where in the text they are.

        `marked` says whether it is of the message that keys are for.
        """
        drawn_line, strip = self._strips.get(place, (None, None))
        if strip is None or drawn_line is not line:
            strip = self._draw(line)
            if len(self._strips) >= _KEPT:
                self._strips.clear()
            self._strips[place] = (line, strip)
        key = row_key(place)
        if selection is not None and (span := selection.get_span(key)) is not None:
            strip = self._highlighted(strip, line, span)
        if marked:
            strip = Strip([Segment(_MARK, self._mark), *strip.crop(len(_MARK))], strip.cell_length)
        return strip.apply_offsets(0, key)

    def with_unseen_mark(self, strip: Strip) -> Strip:
        """Return `strip` with the mark of what was not seen near its end."""
        start = max(0, self._text_end - len(_UNSEEN))
        mark = Segment(_UNSEEN[: self._text_end], self._unseen)
        return Strip([*strip.crop(0, start), mark, *strip.crop(self._text_end)], self._width)

    def is_unseen_mark(self, x: int) -> bool:
        """Tell whether the mark is in column `x`."""
        return self._text_end - len(_UNSEEN) <= x < self._text_end

    @property
    def _text_end(self) -> int:
        return max(0, self._width - self._scrollbar - MARGIN)

    def _draw(self, line: Line) -> Strip:
        strip = Strip(line.segments)
        if line.fill is not None:
            strip = strip.extend_cell_length(self._text_end, line.fill)
        return strip.adjust_cell_length(self._width).apply_style(self._base)

    def _highlighted(self, strip: Strip, line: Line, span: tuple[int, int]) -> Strip:
        """Return `strip`, which shows `line`, with the characters of `span` as selected.

        The end of the span is -1 for the end of the line. Indent and border are left as they are.
        """
        start, end = max(span[0], line.lead), span[1] if span[1] >= 0 else len(line.text)
        segments: list[Segment] = []
        position = 0
        for text, style, _ in strip:
            first, last = (min(max(0, at - position), len(text)) for at in (start, end))
            own = style or Style()
            parts = [(text[:first], own), (text[first:last], own + self._selection)]
            parts.append((text[max(first, last) :], own))
            segments += [Segment(part, part_style) for part, part_style in parts if part]
            position += len(text)
        return Strip(segments, strip.cell_length)

"""A list to pick one row from, drawn a line at a time: thousands of rows cost what is seen of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

_POINTER = "▸ "
_NO_POINTER = "  "

DrawRow = Callable[[int, int, bool], Content]
"""Returns the text of a row, from its number, its width in cells, and whether it is the highlighted one."""


class PickList(ScrollView, can_focus=False):
    """Rows of one line, one of them highlighted.

    It takes no focus: whoever holds it moves the highlight with `step`, while one types into a field above.
    A click highlights a row, and a click on the highlighted row picks it.
    """

    @dataclass
    class Highlighted(Message):
        """The person moved to another row."""

        row: int

    @dataclass
    class Picked(Message):
        """The person clicked the highlighted row."""

        row: int

    COMPONENT_CLASSES: ClassVar[set[str]] = {"pick-list--highlighted"}
    DEFAULT_CSS = """
    PickList {
        height: 1fr;
        background: $surface;
        color: $foreground;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        scrollbar-color: $foreground 20%;
        scrollbar-color-hover: $foreground 35%;
        scrollbar-color-active: $primary;
        scrollbar-background: $surface;
        scrollbar-background-hover: $surface;
        scrollbar-background-active: $surface;
    }
    PickList > .pick-list--highlighted {
        color: $block-cursor-foreground;
        background: $block-cursor-background;
        text-style: bold;
    }
    """

    def __init__(self, draw: DrawRow, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._draw_row = draw
        self._n_rows = 0
        self._highlighted_row: int | None = None

    @property
    def highlighted_row(self) -> int | None:
        """The number of the highlighted row, from 0; None where there are no rows."""
        return self._highlighted_row

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self._n_rows

    @property
    def row_width(self) -> int:
        """How many cells a row has for its text."""
        return max(self.scrollable_content_region.width - len(_POINTER), 1)

    @property
    def rows_in_sight(self) -> range:
        """The numbers of the rows that are seen."""
        first = self.scroll_offset.y
        return range(first, min(self._n_rows, first + self.size.height))

    def show_rows(self, n_rows: int, highlighted: int | None) -> None:
        """Show this many rows and highlight one, which is scrolled into sight."""
        has_moved = (n_rows, highlighted) != (self._n_rows, self._highlighted_row)
        self._n_rows = n_rows
        self._highlighted_row = highlighted if n_rows else None
        self._fit_content()
        self.refresh()
        if has_moved:
            self._show_highlighted()

    def step(self, rows: int) -> None:
        """Move the highlight by so many rows, as far as there are any."""
        if self._n_rows:
            self._move_to(max(0, min(self._n_rows - 1, (self._highlighted_row or 0) + rows)))

    def step_page(self, pages: int) -> None:
        """Move the highlight by so many pages."""
        self.step(pages * max(1, self.size.height - 1))

    def step_to_end(self, direction: int) -> None:
        """Move the highlight to the first (-1) or the last row (1)."""
        self.step(direction * self._n_rows)

    def on_resize(self) -> None:
        """Fit the rows to the width, and keep the highlighted one in sight."""
        self._fit_content()
        self._show_highlighted()

    def on_click(self, event: events.Click) -> None:
        """Highlight the row, or pick it where it is highlighted."""
        row = self.scroll_offset.y + event.y
        if not 0 <= row < self._n_rows:
            return
        if row == self._highlighted_row:
            self.post_message(self.Picked(row))
        else:
            self._move_to(row)

    def render_line(self, y: int) -> Strip:
        """Draw one row."""
        width = self.scrollable_content_region.width
        row = self.scroll_offset.y + y
        if row >= self._n_rows or width <= len(_POINTER):
            return Strip.blank(width, self.rich_style)
        is_highlighted = row == self._highlighted_row
        style = self.get_visual_style("pick-list--highlighted") if is_highlighted else self.visual_style
        text = self._draw_row(row, self.row_width, is_highlighted)
        line = Content.assemble(_POINTER if is_highlighted else _NO_POINTER, text)
        strips = Visual.to_strips(self, line.truncate(width), width, 1, style, apply_selection=False)
        return (strips[0] if strips else Strip([])).extend_cell_length(width, style.rich_style)

    def _fit_content(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, self._n_rows)

    def _move_to(self, row: int) -> None:
        if row == self._highlighted_row:
            return
        self._highlighted_row = row
        self.refresh()
        self._show_highlighted()
        self.post_message(self.Highlighted(row))

    def _show_highlighted(self) -> None:
        if self._highlighted_row is not None:
            self.scroll_to_region(
                Region(0, self._highlighted_row, 1, 1), animate=False, force=True, immediate=True
            )

"""A list that draws the rows in view and no others, and the lines that stand around it in a panel.

A list of a thousand rows costs as much as one that fits: rows are not widgets, and a row is made into text
when it is drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click, Resize, Show
from textual.geometry import Size, clamp
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from easy_llama_tui.widgets.chat_styles import component_style

_PARTS = {
    "text": "color: $foreground;",
    "strong": "color: $foreground; text-style: bold;",
    "muted": "color: $text-muted;",
    "mark": "color: $primary; text-style: bold;",
    "warning": "color: $text-warning;",
    "pinned": "color: $pinned;",
    "outside": "color: $outside;",
    "control": "color: $control-text; text-style: bold underline;",
    "written": "color: $written-text;",
    "before": "color: $probability-before;",
    "after": "color: $probability-after;",
    "cursor": "color: $block-cursor-blurred-foreground; background: $block-cursor-blurred-background;",
}
"""How the parts of rows look, by the names that rows are written with."""

_LOOK = """
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
"""


class Part(NamedTuple):
    """A piece of a row."""

    text: str
    look: str = "text"
    """One of the names of `RowView`'s component classes."""


class RowView(ScrollView):
    """Rows of text, drawn when they come into view."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"row-view--{name}" for name in _PARTS}
    DEFAULT_CSS = (
        f"RowView {{ {_LOOK} }}\n"
        + "\n".join(f"RowView > .row-view--{name} {{ {rules} }}" for name, rules in _PARTS.items())
        + """
    RowView:focus > .row-view--cursor {
        color: $block-cursor-foreground; background: $block-cursor-background;
    }
    """
    )
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.set_reactive(Widget.auto_links, False)
        self.row_count = 0
        self._looks: dict[str, Style] = {}

    def draw_row(self, index: int, width: int) -> Sequence[Part]:
        """Return the parts of row `index`; what does not fit `width` cells is cut off."""
        raise NotImplementedError

    def rows_changed(self, count: int) -> None:
        """Draw again: there are `count` rows now."""
        self.row_count = count
        size = Size(self.row_width, count)
        if size != self.virtual_size:
            # Setting it would lay out the whole screen, and rows come and go many times a second.
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)
        self.refresh()

    @property
    def row_width(self) -> int:
        """The cells that a row may take."""
        return max(self.scrollable_content_region.width, 0)

    @property
    def first_row(self) -> int:
        """The first row in view."""
        return round(self.scroll_y)

    def show_row(self, index: int) -> None:
        """Scroll as little as needed to have a row in view."""
        height = self.scrollable_content_region.height
        if height > 0:
            top = clamp(self.first_row, index - height + 1, index)
            self.scroll_to(y=top, animate=False, immediate=True, force=True)

    def on_resize(self, event: Resize) -> None:
        """Keep to the new size."""
        self.rows_changed(self.row_count)

    def on_show(self, event: Show) -> None:
        """Catch up: what is hidden has no width to draw for."""
        self.rows_changed(self.row_count)

    def notify_style_update(self) -> None:
        """Look at the theme again before the next row is drawn."""
        super().notify_style_update()
        self._looks.clear()

    def look(self, name: str) -> Style:
        """Return the style of a part."""
        style = self._looks.get(name)
        if style is None:
            style = self._looks[name] = component_style(self, f"row-view--{name}")
        return style

    def render_line(self, y: int) -> Strip:
        """Return row `y` of the window."""
        index = self.first_row + y
        base = self.visual_style.rich_style
        if index >= self.row_count:
            return Strip.blank(self.size.width, base)
        segments = [Segment(text, self.look(look)) for text, look in self.draw_row(index, self.row_width)]
        return Strip(segments).adjust_cell_length(self.row_width).apply_style(base)


class RowList(RowView, can_focus=True, inherit_bindings=False):
    """Rows with a cursor, which keys and clicks move."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Go to the row above", show=False, id="rows.up"),
        Binding("down,j", "move(1)", "Go to the row below", show=False, id="rows.down"),
        Binding("pageup", "page(-1)", "Go up a page", show=False, id="rows.page-up"),
        Binding("pagedown", "page(1)", "Go down a page", show=False, id="rows.page-down"),
        Binding("home", "first", "Go to the first row", show=False, id="rows.first"),
        Binding("end", "last", "Go to the last row", show=False, id="rows.last"),
        Binding("enter", "enter", "Take this row", show=False, id="rows.enter"),
    ]

    @dataclass
    class RowMoved(Message):
        """The person moved the cursor."""

        rows: "RowList"
        index: int

        @property
        def control(self) -> "RowList":
            """The list."""
            return self.rows

    @dataclass
    class RowTaken(Message):
        """The person pressed Enter on a row, or clicked on the one that has the cursor."""

        rows: "RowList"
        index: int

        @property
        def control(self) -> "RowList":
            """The list."""
            return self.rows

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.cursor = 0

    def set_cursor(self, index: int) -> None:
        """Put the cursor on a row, or on the nearest that there is; nothing is posted."""
        self.cursor = clamp(index, 0, max(self.row_count - 1, 0))
        self.show_row(self.cursor)
        self.refresh()

    def has_lit_cursor(self) -> bool:
        """Return whether the cursor is shown."""
        return True

    def on_resize(self, event: Resize) -> None:
        """Keep the cursor in view."""
        self.set_cursor(self.cursor)

    def on_show(self, event: Show) -> None:
        """Bring the cursor into view."""
        self.set_cursor(self.cursor)

    def render_line(self, y: int) -> Strip:
        """Return row `y` of the window, marked where the cursor is."""
        index = self.first_row + y
        if index != self.cursor or index >= self.row_count or not self.has_lit_cursor():
            return super().render_line(y)
        # In one style: colours that mean something cannot all be read on the cursor's.
        text = "".join([part.text for part in self.draw_row(index, self.row_width)])
        strip = Strip([Segment(f"▸{text[1:]}")]).adjust_cell_length(self.row_width)
        return strip.apply_style(self.visual_style.rich_style + self.look("cursor"))

    def action_move(self, rows: int) -> None:
        """Move the cursor by some rows."""
        if not self.row_count:
            return
        before = self.cursor
        self.set_cursor(self.cursor + rows)
        if self.cursor != before:
            self.post_message(self.RowMoved(self, self.cursor))

    def action_page(self, pages: int) -> None:
        """Move the cursor by as many rows as are in view, less one."""
        self.action_move(pages * max(self.scrollable_content_region.height - 1, 1))

    def action_first(self) -> None:
        """Move the cursor to the first row."""
        self.action_move(-self.row_count)

    def action_last(self) -> None:
        """Move the cursor to the last row."""
        self.action_move(self.row_count)

    def action_enter(self) -> None:
        """Take the row that has the cursor."""
        if self.row_count:
            self.post_message(self.RowTaken(self, self.cursor))

    def on_click(self, event: Click) -> None:
        """Move the cursor to a row; take it where it has the cursor already."""
        event.stop()
        index = self.first_row + event.y
        if index >= self.row_count:
            return
        if index == self.cursor and self.has_lit_cursor():
            self.action_enter()
        else:
            self.action_move(index - self.cursor)


class PanelLines(Widget):
    """Lines of a panel that change without laying out the panel, as long as their number stays."""

    DEFAULT_CSS = """
    PanelLines {
        width: 1fr;
        height: 1;
        background: $surface;
        color: $foreground;
    }
    """
    ALLOW_SELECT = False

    @dataclass
    class Pressed(Message):
        """The person clicked on the lines."""

        lines: "PanelLines"
        x: int
        y: int

        @property
        def control(self) -> "PanelLines":
            """The lines."""
            return self.lines

    def __init__(
        self,
        draw: Callable[[int], Sequence[Content]] | None = None,
        *,
        id: str | None = None,  # noqa: A002 (Textual's name)
    ) -> None:
        """Make lines that `draw` returns for a width each time they are drawn, or that are told."""
        super().__init__(id=id)
        self._draw = draw
        self.lines: tuple[Content, ...] = ()

    def show_lines(self, *lines: Content) -> None:
        """Show these lines; each takes one row, and what does not fit is cut off."""
        if len(lines) != len(self.lines):
            self.styles.height = len(lines)
        if lines != self.lines:
            self.lines = lines
            self.refresh()

    def render(self) -> Content:
        """Return the lines."""
        width = max(self.size.width, 1)
        lines = self._draw(width) if self._draw else self.lines
        return Content("\n").join([line.truncate(width, ellipsis=True) for line in lines])

    def on_click(self, event: Click) -> None:
        """Tell the panel."""
        event.stop()
        self.post_message(self.Pressed(self, event.x, event.y))

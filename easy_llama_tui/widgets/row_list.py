"""A list that draws the rows in view and no others, and the lines that stand around it in a panel.

A list of a thousand rows costs as much as one that fits: rows are not widgets, and a row is made into text
when it is drawn. Every list of the app is one of these.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.content import Content
from textual.events import Click, Resize, Show
from textual.geometry import Region, Size, clamp
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from easy_llama_tui.preferences.panel_keys import ROW_KEYS
from easy_llama_tui.text.display_text import cells, chop
from easy_llama_tui.widgets.chat_styles import component_style

_PARTS = {
    "text": "color: $foreground;",
    "strong": "color: $foreground; text-style: bold;",
    "muted": "color: $text-muted;",
    "mark": "color: $primary; text-style: bold;",
    "sign": "color: $primary;",
    "match": "color: $foreground; text-style: bold underline;",
    "good": "color: $success;",
    "doubtful": "color: $warning;",
    "bad": "color: $error;",
    "warning": "color: $text-warning;",
    "problem": "color: $text-error;",
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


def parts_width(parts: Iterable[Part]) -> int:
    """Return how many cells the parts take."""
    return sum(cells(part.text) for part in parts)


def cut_parts(parts: Iterable[Part], width: int) -> list[Part]:
    """Return the parts in at most `width` cells, with "…" at the end where something was cut off."""
    parts = list(parts)
    if parts_width(parts) <= width:
        return parts
    kept: list[Part] = []
    room = width - 1
    for part in parts:
        if cells(part.text) > room:
            kept.append(Part(f"{chop(part.text, room)[0] if room > 0 else ''}…", part.look))
            break
        kept.append(part)
        room -= cells(part.text)
    return kept if width > 0 else []


class RowView(ScrollView):
    """Rows of text, drawn when they come into view."""

    row_height: ClassVar[int] = 1
    """Lines of each row."""

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

    def draw_line(self, index: int, line: int, width: int) -> Sequence[Part]:
        """Return the parts of a line of row `index`, where rows have more lines than one."""
        return self.draw_row(index, width)

    def rows_changed(self, count: int, changed: Iterable[int] | None = None) -> None:
        """Draw again: there are `count` rows now.

        Args:
            count: how many.
            changed: the rows that look different now, where the others do not.
        """
        self.row_count = count
        size = Size(self.row_width, count * self.row_height)
        if size != self.virtual_size:
            # Setting it would lay out the whole screen, and rows come and go many times a second.
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)
        if changed is None or not self.size:
            self.refresh()
            return
        top = round(self.scroll_y)
        for index in changed:
            y = index * self.row_height - top
            if -self.row_height < y < self.size.height:
                self.refresh(Region(0, y, self.size.width, self.row_height))

    @property
    def row_width(self) -> int:
        """The cells that a row may take."""
        return max(self.scrollable_content_region.width, 0)

    @property
    def first_row(self) -> int:
        """The first row in view, in whole or in part."""
        return round(self.scroll_y) // self.row_height

    @property
    def rows_in_view(self) -> range:
        """The rows in view, in whole or in part."""
        below = round(self.scroll_y) + self.scrollable_content_region.height
        return range(self.first_row, min(self.row_count, -(-below // self.row_height)))

    def show_row(self, index: int) -> None:
        """Scroll as little as needed to have a row in view."""
        height = self.scrollable_content_region.height
        if height > 0:
            first = index * self.row_height
            # Of a row that is higher than the window, its first lines are shown.
            least = min(first + self.row_height - height, first)
            top = clamp(round(self.scroll_y), least, first)
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
        """Return line `y` of the window."""
        index, line = self.line_at(y)
        base = self.visual_style.rich_style
        if index >= self.row_count:
            return Strip.blank(self.size.width, base)
        width = self.row_width
        segments = [Segment(text, self.look(look)) for text, look in self.draw_line(index, line, width)]
        return Strip(segments).adjust_cell_length(width).apply_style(base)

    def line_at(self, y: int) -> tuple[int, int]:
        """Return the row that line `y` of the window belongs to, and which of its lines that is."""
        return divmod(round(self.scroll_y) + y, self.row_height)


class RowList(RowView, can_focus=True, inherit_bindings=False):
    """Rows with a cursor, which keys and clicks move."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in ROW_KEYS]

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

    @property
    def highlighted_row(self) -> int | None:
        """The row that has the cursor; None where there are none."""
        return self.cursor if self.row_count else None

    def set_cursor(self, index: int) -> None:
        """Put the cursor on a row, or on the nearest that there is; nothing is posted."""
        self.cursor = clamp(index, 0, max(self.row_count - 1, 0))
        self.show_row(self.cursor)
        self.refresh()

    def show_rows(self, count: int, cursor: int) -> None:
        """Show this many rows, with the cursor on one; what is in view stays where nothing moved."""
        has_moved = (count, cursor) != (self.row_count, self.cursor)
        self.rows_changed(count)
        if has_moved:
            self.set_cursor(cursor)

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
        """Return line `y` of the window, marked where the cursor is."""
        index, line = self.line_at(y)
        if index != self.cursor or index >= self.row_count or not self.has_lit_cursor():
            return super().render_line(y)
        parts = self.draw_line(index, line, self.row_width)
        first, *rest = parts or [Part(" ")]
        sign = "▸" if line == 0 else " "
        # In the cursor's colours: those that mean something cannot all be read on its background.
        segments = [
            Segment(text, _colourless(self.look(look)))
            for text, look in (Part(f"{sign}{first.text[1:]}", first.look), *rest)
        ]
        strip = Strip(segments).adjust_cell_length(self.row_width)
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
        self.action_move(pages * max(self.scrollable_content_region.height // self.row_height - 1, 1))

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
        index, _ = self.line_at(event.y)
        if index >= self.row_count:
            return
        if index == self.cursor and self.has_lit_cursor():
            self.action_enter()
        else:
            self.action_move(index - self.cursor)


def _colourless(style: Style) -> Style:
    """Return what of a style is no colour."""
    return Style(bold=style.bold or None, italic=style.italic or None, underline=style.underline or None)


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

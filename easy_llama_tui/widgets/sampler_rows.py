"""The rows of the sampler panel: drawn, scrolled and clicked, but not understood."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.style import Style
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from easy_llama_tui.drafts.typed_line import TypedLine
from easy_llama_tui.text.display_text import cells, chop, one_line, plain_lines, printable

_LEAST_VALUE = 8
_PLAIN = Style()

Part = Literal["row", "less", "more"]
"""What of a row was clicked: its signs for one step less or more, or the rest."""


@dataclass(frozen=True, slots=True)
class ListRow:
    """One row; without a target it is a heading."""

    label: str
    value: str = ""
    target: str = ""
    """What it stands for; one row has the cursor by it."""

    is_changed: bool = False
    """Marked by a star."""

    rests: bool = False
    """Whether the value has no effect just now: it stands in brackets."""

    has_steps: bool = False
    """Whether the signs for less and more are drawn under the cursor."""

    typed: TypedLine | None = None
    """What is typed in place of the value."""

    error: str = ""
    """What is wrong with that, shown below."""


class SamplerRows(Widget):
    """One row that stays at the top, and below it a list that follows its cursor."""

    DEFAULT_CSS = """
    SamplerRows {
        height: 1fr;
        background: $background;
        color: $foreground;
    }
    """

    @dataclass
    class Clicked(Message):
        """A row was clicked."""

        target: str
        part: Part

    def __init__(self) -> None:
        super().__init__()
        self._head = ListRow("")
        self._list: tuple[ListRow, ...] = ()
        self._at = ""
        self._is_active = False
        self._first = 0
        self._follow_cursor = True

    def show_rows(self, head: ListRow, rows: Sequence[ListRow], at: str, *, is_active: bool) -> None:
        """Show other rows.

        Args:
            head: the row that stays.
            rows: the list.
            at: the target of the row with the cursor.
            is_active: whether keys go to it.
        """
        shown = (head, tuple(rows), at, is_active)
        if shown != (self._head, self._list, self._at, self._is_active):
            self._follow_cursor |= at != self._at or rows != self._list
            self._head, self._list, self._at, self._is_active = shown
            self.refresh()

    def render(self) -> Content:
        """Return the rows that are visible."""
        return Content("\n").join([content for content, _ in self._visible()])

    # Drawing

    def _visible(self) -> list[tuple[Content, ListRow]]:
        """Return the lines that are visible, each with the row that it belongs to."""
        width, height = self.size
        head = [(line, self._head) for line in self._drawn(self._head, width)]
        lines = [(line, row) for row in self._list for line in self._drawn(row, width - 1)]
        room = height - len(head)
        if room <= 0:
            return head[:height]
        if self._follow_cursor:
            self._first = _following(self._first, room, lines, self._at)
            self._follow_cursor = False
        self._first = max(min(self._first, len(lines) - room), 0)
        shown = lines[self._first : self._first + room]
        return head + [
            (_with_thumb(line, width, index, self._first, room, len(lines)), row)
            for index, (line, row) in enumerate(shown)
        ]

    def _drawn(self, row: ListRow, width: int) -> list[Content]:
        if not row.target:
            rule = f"── {row.label} " if row.label else ""
            return [Content.styled(rule, "$text-muted").truncate(width)]
        content = self._typed(row, width) if row.typed is not None else self._plain(row, width)
        wrapped = plain_lines(printable(row.error), _PLAIN, max(width - 3, 1)) if row.error else []
        return [content] + [
            Content.styled(f"{' ⚠ ' if index == 0 else '   '}{line.text}", "$text-error")
            for index, line in enumerate(wrapped)
        ]

    def _plain(self, row: ListRow, width: int) -> Content:
        is_here = row.target == self._at
        label, value, gap = _fitted(row, width, has_signs=is_here and row.has_steps)
        mark = "*" if row.is_changed else " "
        text = f"{'›' if is_here else ' '}{label}{' ' * gap}{value}{mark:>{_mark_room(width)}}"
        if is_here:
            style = (
                "$block-cursor-foreground on $block-cursor-background"
                if self._is_active
                else "$block-cursor-blurred-foreground on $block-cursor-blurred-background"
            )
        else:
            style = "$text-muted" if row.rests else "bold $foreground" if row.is_changed else "$foreground"
        return Content.styled(text, style).truncate(width)

    def _typed(self, row: ListRow, width: int) -> Content:
        assert row.typed is not None
        room = max(width - 2 - cells(row.label) - 3, _LEAST_VALUE)
        before, under, after = row.typed.window(room)
        rest = " " * max(room - cells(before + under + after), 0)
        label = row.label[: max(width - room - 4, 0)]
        return Content.assemble(
            (f"›{label} [", "bold $foreground"),
            (before, "bold $text-primary" if not row.typed.is_untouched else "underline"),
            (under, "reverse"),
            (after, "bold $text-primary"),
            (f"{rest}]", "bold $foreground"),
        ).truncate(width)

    # The mouse

    def on_click(self, event: events.Click) -> None:
        """Tell what was clicked."""
        event.stop()
        lines = self._visible()
        if not 0 <= event.y < len(lines) or not (row := lines[event.y][1]).target:
            return
        text = lines[event.y][0].plain
        signs = row.has_steps and row.target == self._at and row.typed is None
        part: Part = "row"
        if signs and "‹" in text:
            # Each sign may be missed by a cell.
            if abs(event.x - cells(text[: text.index("‹")])) <= 1:
                part = "less"
            elif abs(event.x - cells(text[: text.rindex("›")])) <= 1:
                part = "more"
        self.post_message(self.Clicked(row.target, part))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll the list; the cursor stays."""
        self._scroll_list(-3)
        event.stop()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll the list; the cursor stays."""
        self._scroll_list(3)
        event.stop()

    def _scroll_list(self, lines: int) -> None:
        self._first = max(self._first + lines, 0)
        self.refresh()

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self._follow_cursor = True


def _fitted(row: ListRow, width: int, *, has_signs: bool) -> tuple[str, str, int]:
    """Return a label and a value, cut to what fits between the marks, and the gap between them."""
    room = width - 1 - _mark_room(width)
    value = one_line(row.value)
    if row.rests:
        value = f"({value})"
    if has_signs and cells(row.label) + cells(value) + 5 <= room:
        value = f"‹ {value} ›"
    label = one_line(row.label)
    if cells(label) + 1 + cells(value) > room:
        value = _cut(value, max(room - cells(label) - 1, min(_LEAST_VALUE, cells(value))))
        label = _cut(label, max(room - cells(value) - 1, 0))
    return label, value, max(room - cells(label) - cells(value), 0)


def _mark_room(width: int) -> int:
    return 2 if width >= 30 else 1


def _cut(text: str, width: int) -> str:
    if cells(text) <= width:
        return text
    return chop(text, width - 1)[0] + "…" if width > 1 else ""


def _following(first: int, room: int, lines: Sequence[tuple[Content, ListRow]], at: str) -> int:
    """Return the first line to show so that all lines of the row with the cursor are seen, if they fit."""
    places = [index for index, (_, row) in enumerate(lines) if row.target == at]
    if not places:
        return first
    begin, end = places[0], places[-1] + 1
    if begin > 0 and not lines[begin - 1][1].target:
        begin -= 1  # its heading
    return min(max(first, end - room), max(begin, end - room))


def _with_thumb(line: Content, width: int, index: int, first: int, room: int, total: int) -> Content:
    """Return a line with its piece of the bar that shows what part of the list is seen."""
    gap = " " * max(width - 1 - line.cell_length, 0)
    if total <= room:
        return line
    start = round(first * room / total)
    is_thumb = start <= index < start + max(round(room * room / total), 1)
    return Content.assemble(line, gap, ("┃" if is_thumb else "│", "$text-muted"))

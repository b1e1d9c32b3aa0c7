"""The list of saved chats: two lines for each, drawn when they come into view."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.visual import Visual
from textual.widget import Widget

from easy_llama_tui.text.display_text import cells
from easy_llama_tui.widgets.pick_list import PickList

_POINTER, _NO_POINTER = "▸ ", "  "
_ROW_HEIGHT = 2
_GAP = "  "
_MATCH = "bold underline"
_QUIET = "$text-muted"
_OPEN = "$primary"
_PROBLEM = "$text-error"


class Span(NamedTuple):
    """A part of a text."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ChatRow:
    """A chat as the list shows it; its texts are printable and on one line."""

    id: str
    title: str
    length: str
    """How long it is, in words."""
    model: str
    """What it was last held with; may be empty."""
    when: str
    """When it last changed, in words."""
    words: str
    """Its first words, or where it has what was searched for, or why it cannot be opened."""
    title_match: Span | None = None
    """What of its title was searched for."""
    words_match: Span | None = None
    """What of its words was."""
    is_open: bool = False
    """Whether it is the chat that is open."""
    is_damaged: bool = False
    """Whether it cannot be opened."""


class ChatList(PickList, can_focus=True, inherit_bindings=False):
    """Chats, one of them highlighted. A click highlights one, a click on that opens it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("home", "to_end(-1)", "Go to the first chat", show=False, id="chat-list-first"),
        Binding("end", "to_end(1)", "Go to the last chat", show=False, id="chat-list-last"),
        Binding("enter", "pick", "Open the chat", show=False, id="chat-list-open"),
        Binding("delete", "delete", "Delete the chat", show=False, id="chat-list-delete"),
    ]
    DEFAULT_CSS = """
    ChatList > .pick-list--highlighted {
        color: $block-cursor-foreground;
        background: $block-cursor-background;
        text-style: none;
    }
    """

    class DeleteRequested(Message):
        """The person wants the highlighted chat deleted."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(lambda row, width, _: Content(""), id=id)
        self._chat_rows: list[ChatRow] = []
        self._places: dict[str, int] = {}
        self._hint = ""

    @property
    def chat_rows(self) -> tuple[ChatRow, ...]:
        """The chats, from the top."""
        return tuple(self._chat_rows)

    @property
    def highlighted_chat(self) -> ChatRow | None:
        """The chat that is highlighted; None where there are none."""
        row = self.highlighted_row
        return None if row is None else self._chat_rows[row]

    @property
    def rows_in_sight(self) -> range:
        """The numbers of the rows that are seen, in whole or in part."""
        first = self.scroll_offset.y // _ROW_HEIGHT
        last = -(-(self.scroll_offset.y + self.size.height) // _ROW_HEIGHT)
        return range(first, min(self.n_rows, last))

    def show_chats(self, rows: Sequence[ChatRow], *, highlighted: str | None = None, hint: str = "") -> None:
        """Show these chats, with one of them highlighted, or else the first.

        Args:
            rows: From the top.
            highlighted: The id of a chat, which is scrolled into sight.
            hint: What is said where there are none.
        """
        self._chat_rows = list(rows)
        self._places = {row.id: place for place, row in enumerate(rows)}
        self._hint = hint
        self.show_rows(len(rows), self._places.get(highlighted or "", 0))

    def add_chats(self, rows: Sequence[ChatRow]) -> None:
        """Add chats below; what is seen stays where it is."""
        for row in rows:
            self._places[row.id] = len(self._chat_rows)
            self._chat_rows.append(row)
        highlighted = self.highlighted_row
        if highlighted is None:
            self.show_rows(len(self._chat_rows), 0)
            return
        self._n_rows = len(self._chat_rows)
        self._fit_content()
        self.refresh()

    def say(self, hint: str) -> None:
        """Say something else where there are no chats."""
        self._hint = hint
        if not self._chat_rows:
            self.refresh()

    def place_of(self, chat_id: str) -> int | None:
        """Return the number of the row of a chat; None where it is not shown."""
        return self._places.get(chat_id)

    def step_page(self, pages: int) -> None:
        """Move the highlight by so many pages."""
        self.step(pages * max(1, self.size.height // _ROW_HEIGHT - 1))

    def action_to_end(self, direction: int) -> None:
        """Move to an end of the list."""
        self.step_to_end(direction)

    def action_pick(self) -> None:
        """Open the highlighted chat."""
        if self.highlighted_row is not None:
            self.post_message(self.Picked(self.highlighted_row))

    def action_delete(self) -> None:
        """Ask for the deletion of the highlighted chat."""
        if self.highlighted_row is not None:
            self.post_message(self.DeleteRequested())

    def on_click(self, event: events.Click) -> None:
        """Highlight the chat, or pick it where it is highlighted."""
        event.prevent_default()
        row = (self.scroll_offset.y + event.y) // _ROW_HEIGHT
        if not 0 <= row < self.n_rows:
            return
        if row == self.highlighted_row:
            self.post_message(self.Picked(row))
        else:
            self._move_to(row)

    def render_line(self, y: int) -> Strip:
        """Draw one of the two lines of a chat."""
        width = self.scrollable_content_region.width
        row, line = divmod(self.scroll_offset.y + y, _ROW_HEIGHT)
        if row >= self.n_rows:
            hint = self._hint if y == 1 and not self.n_rows else ""
            text = Content.assemble(_NO_POINTER, (hint, _QUIET))
            return self._strip(text, width, is_highlighted=False)
        is_highlighted = row == self.highlighted_row
        room = max(1, width - len(_POINTER) - 1)
        draw = first_line if line == 0 else second_line
        text = draw(self._chat_rows[row], room)
        if is_highlighted:
            # In one colour: those that mean something cannot all be read on the highlight's.
            text = _without_colours(text)
        pointer = _POINTER if is_highlighted and line == 0 else _NO_POINTER
        return self._strip(Content.assemble(pointer, text), width, is_highlighted=is_highlighted)

    def _strip(self, text: Content, width: int, *, is_highlighted: bool) -> Strip:
        style = self.get_visual_style("pick-list--highlighted") if is_highlighted else self.visual_style
        strips = Visual.to_strips(self, text.truncate(width), width, 1, style, apply_selection=False)
        return (strips[0] if strips else Strip([])).extend_cell_length(width, style.rich_style)

    def _fit_content(self) -> None:
        size = Size(self.scrollable_content_region.width, self.n_rows * _ROW_HEIGHT)
        if size != self.virtual_size:
            # Setting it would lay out the whole screen, and chats are found many times a second.
            self.set_reactive(Widget.virtual_size, size)
            self._scroll_update(size)

    def _show_highlighted(self) -> None:
        if self.highlighted_row is not None:
            region = Region(0, self.highlighted_row * _ROW_HEIGHT, 1, _ROW_HEIGHT)
            self.scroll_to_region(region, animate=False, force=True, immediate=True)


def first_line(row: ChatRow, width: int) -> Content:
    """Return the title, and at the right when the chat last changed."""
    mark = "damaged" if row.is_damaged else "open" if row.is_open else ""
    right = Content.assemble(
        (mark, _PROBLEM if row.is_damaged else _OPEN), _GAP if mark else "", (row.when, _QUIET)
    )
    sign = "⚠ " if row.is_damaged else ""
    room = width - right.cell_length - len(_GAP)
    title = _matched(Content.styled(row.title, "bold"), row.title_match)
    left = Content.assemble(sign, title).truncate(max(room, 1), ellipsis=True)
    gap = " " * max(width - left.cell_length - right.cell_length, 1)
    return Content.assemble(left, gap, right).truncate(width)


def second_line(row: ChatRow, width: int) -> Content:
    """Return the length, the model, and the first words of a chat; a damaged one has its reason."""
    if row.is_damaged and row.words_match is None:
        return Content.styled(row.words, _PROBLEM).truncate(width, ellipsis=True)
    model = Content(row.model).truncate(max(8, width // 3), ellipsis=True)
    about = Content.assemble(row.length, " · " if row.model else "", model)
    words = _words(row, width - about.cell_length - len(_GAP))
    quiet = about.stylize(_QUIET)
    return Content.assemble(quiet, _GAP, words).truncate(width, ellipsis=True)


def _words(row: ChatRow, room: int) -> Content:
    """Return the words, from where the match is in sight in this many cells."""
    words, match = row.words, row.words_match
    if match is not None and cells(words[: match.end]) > room:
        # A few characters stay before the match, as long as there is room for them and two ellipses.
        before = max(0, min(12, room - cells(words[match.start : match.end]) - 2))
        cut = max(0, match.start - before)
        words = f"…{words[cut:]}"
        match = Span(match.start - cut + 1, match.end - cut + 1)
    return _matched(Content(words), match)


def _matched(text: Content, span: Span | None) -> Content:
    return text if span is None else text.stylize(_MATCH, *span)


def _without_colours(text: Content) -> Content:
    kept = [span for span in text.spans if span.style in ("bold", _MATCH)]
    return Content(text.plain, kept)

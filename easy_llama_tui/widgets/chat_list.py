"""The list of saved chats: two lines for each, drawn when they come into view."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from textual.binding import BindingType
from textual.message import Message

from easy_llama_tui.preferences.panel_keys import CHAT_ROW_KEYS
from easy_llama_tui.text.display_text import cells
from easy_llama_tui.widgets.row_list import Part, RowList, cut_parts, parts_width

_INDENT = Part("  ")
_GAP = "  "


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


class ChatList(RowList, can_focus=True, inherit_bindings=False):
    """Chats, one of them highlighted. A click highlights one, a click on that opens it."""

    row_height = 2

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in CHAT_ROW_KEYS]

    class DeleteRequested(Message):
        """The person wants the highlighted chat deleted."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
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
        return self._chat_rows[self.cursor] if self._chat_rows else None

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
        self.show_rows(self._lines_of_chats, self._places.get(highlighted or "", 0))

    def add_chats(self, rows: Sequence[ChatRow]) -> None:
        """Add chats below; what is seen stays where it is."""
        for row in rows:
            self._places[row.id] = len(self._chat_rows)
            self._chat_rows.append(row)
        self.rows_changed(self._lines_of_chats)

    def say(self, hint: str) -> None:
        """Say something else where there are no chats."""
        self._hint = hint
        if not self._chat_rows:
            self.show_rows(self._lines_of_chats, 0)

    def place_of(self, chat_id: str) -> int | None:
        """Return the number of the row of a chat; None where it is not shown."""
        return self._places.get(chat_id)

    def has_lit_cursor(self) -> bool:
        """Return whether there are chats."""
        return bool(self._chat_rows)

    def action_delete(self) -> None:
        """Ask for the deletion of the highlighted chat."""
        if self._chat_rows:
            self.post_message(self.DeleteRequested())

    def draw_line(self, index: int, line: int, width: int) -> list[Part]:
        """Return one of the two lines of a chat, or the hint where there are no chats."""
        if not self._chat_rows:
            return [_INDENT, Part(self._hint if line else "", "muted")]
        draw = second_line if line else first_line
        return [_INDENT, *draw(self._chat_rows[index], max(1, width - len(_INDENT.text) - 1))]

    @property
    def _lines_of_chats(self) -> int:
        """How many rows there are: the hint has one too."""
        return max(len(self._chat_rows), 1)


def first_line(row: ChatRow, width: int) -> list[Part]:
    """Return the title, and at the right when the chat last changed."""
    mark = "damaged" if row.is_damaged else "open" if row.is_open else ""
    right = [
        Part(mark, "problem" if row.is_damaged else "sign"),
        Part(_GAP if mark else ""),
        Part(row.when, "muted"),
    ]
    sign = Part("⚠ " if row.is_damaged else "")
    room = width - parts_width(right) - len(_GAP)
    left = cut_parts([sign, *_matched(row.title, row.title_match, "strong")], max(room, 1))
    gap = Part(" " * max(width - parts_width(left) - parts_width(right), 1))
    return [*left, gap, *right]


def second_line(row: ChatRow, width: int) -> list[Part]:
    """Return the length, the model, and the first words of a chat; a damaged one has its reason."""
    if row.is_damaged and row.words_match is None:
        return cut_parts([Part(row.words, "problem")], width)
    about = [Part(row.length, "muted"), Part(" · " if row.model else "", "muted")]
    about += cut_parts([Part(row.model, "muted")], max(8, width // 3))
    words = _words(row, width - parts_width(about) - len(_GAP))
    return cut_parts([*about, Part(_GAP), *words], width)


def _words(row: ChatRow, room: int) -> list[Part]:
    """Return the words, from where the match is in sight in this many cells."""
    words, match = row.words, row.words_match
    if match is not None and cells(words[: match.end]) > room:
        # A few characters stay before the match, as long as there is room for them and two ellipses.
        before = max(0, min(12, room - cells(words[match.start : match.end]) - 2))
        cut = max(0, match.start - before)
        words = f"…{words[cut:]}"
        match = Span(match.start - cut + 1, match.end - cut + 1)
    return _matched(words, match, "text")


def _matched(text: str, span: Span | None, look: str) -> list[Part]:
    if span is None:
        return [Part(text, look)]
    parts = (text[: span.start], look), (text[span.start : span.end], "match"), (text[span.end :], look)
    return [Part(*part) for part in parts]

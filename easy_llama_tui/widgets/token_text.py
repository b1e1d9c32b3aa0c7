"""A text token by token, coloured by how likely each was, with a cursor on one of them."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

from rich.style import Style
from textual.binding import BindingType
from textual.events import Click, Resize
from textual.geometry import clamp
from textual.message import Message
from textual.strip import Strip

from easy_llama_tui.preferences.panel_keys import TOKEN_KEYS, TOKEN_TEXT_KEYS
from easy_llama_tui.replies.token_figures import Span, TokenFigure, spans
from easy_llama_tui.text.display_text import cells, chop
from easy_llama_tui.text.visible_text import visible
from easy_llama_tui.widgets.chat_styles import component_style
from easy_llama_tui.widgets.row_list import Part, RowView

LOOKS: Final = {
    "sure": "color: $confidence-4;",
    "likely": "color: $confidence-3; text-style: italic;",
    "maybe": "color: $confidence-2; text-style: underline;",
    "unlikely": "color: $confidence-1; text-style: bold underline;",
    "unknown": "color: $text-muted;",
    "plain": "color: $foreground;",
    "control": "color: $control-text;",
    "current": "text-style: reverse underline;",
}
"""How tokens look. The less sure, the more there is to see without colours too; a control token has the
text style of its class in a colour of its own."""

_NOTHING = "There are no tokens here."


class _Piece(NamedTuple):
    """What stands in one row of one span."""

    text: str
    width: int
    """In cells."""
    first: int
    last: int
    """The tokens that it belongs to."""
    breaks: bool = False
    """Whether the row ends after it."""


class TokenText(RowView, can_focus=True):
    """Shows tokens in rows, broken at words; only rows in view are drawn.

    A newline is `⏎`, and begins a row. A character that several tokens make up together is marked while the
    cursor is on any of them.
    """

    # Those by a token are the screen's too: Textual's own for the arrows would scroll the text sideways.
    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in (*TOKEN_TEXT_KEYS, *TOKEN_KEYS[:2])]
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"token-text--{name}" for name in LOOKS}
    DEFAULT_CSS = "\n".join(f"TokenText > .token-text--{name} {{ {rules} }}" for name, rules in LOOKS.items())

    @dataclass
    class TokenMoved(Message):
        """The person moved the cursor."""

        tokens: "TokenText"
        index: int

        @property
        def control(self) -> "TokenText":
            """The text."""
            return self.tokens

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.cursor = 0
        self.coloured = True
        self._figures: Sequence[TokenFigure] = ()
        self._whole: list[_Piece] = []
        """The pieces as they are where a row has room for each."""
        self._pieces: list[_Piece] = []
        self._rows: list[int] = []
        """The first piece of each row."""
        self._first_pieces: list[int] = []
        """The piece that each token begins in."""
        self._laid_width = -1
        self._column: int | None = None
        """The column that the cursor keeps to on its way up and down."""

    def show_tokens(self, figures: Sequence[TokenFigure], cursor: int = 0) -> None:
        """Show another text, with the cursor on a token or on the nearest that there is."""
        self._figures = figures
        self._whole = [piece for span in spans(figures) for piece in _pieces_of(span)]
        self.cursor = clamp(cursor, 0, max(len(figures) - 1, 0))
        self._lay_out()

    def show_figures(self, figures: Sequence[TokenFigure]) -> None:
        """Show other figures of the same tokens."""
        self._figures = figures
        self.refresh()

    def move_to(self, index: int) -> None:
        """Put the cursor on a token, or on the nearest that there is, and say so where it was elsewhere."""
        self._column = None
        self._move(index)

    def toggle_colours(self) -> None:
        """Colour by confidence, or show all in one colour."""
        self.coloured = not self.coloured
        self.refresh()

    def character_of(self, index: int) -> str:
        """Return the character that a token is a part of, as it is shown; "" where it is of none."""
        found = ""
        for piece in self._pieces[self._first_pieces[index] :] if self._pieces else ():
            if piece.first > index:
                break
            if piece.first < piece.last:
                found = found or piece.text
        return found

    def on_resize(self, event: Resize) -> None:
        """Break the rows anew, and keep the cursor in view."""
        self._keep_to_width()
        self._show_cursor()

    def on_click(self, event: Click) -> None:
        """Put the cursor on a token; on the next part of a character that is clicked on again."""
        event.stop()
        row = self.first_row + event.y
        if row >= len(self._rows):
            return
        piece = self._pieces[self._piece_at(row, event.x)]
        again = piece.first <= self.cursor < piece.last
        self.move_to(self.cursor + 1 if again else piece.first)

    def action_step(self, tokens: int) -> None:
        """Move the cursor by some tokens."""
        self.move_to(self.cursor + tokens)

    def action_first(self) -> None:
        """Move the cursor to the first token."""
        self.move_to(0)

    def action_last(self) -> None:
        """Move the cursor to the last token."""
        self.move_to(len(self._figures) - 1)

    def action_page(self, pages: int) -> None:
        """Move the cursor by as many lines as are in view, less one."""
        self.action_line(pages * max(self.scrollable_content_region.height - 1, 1))

    def action_line(self, rows: int) -> None:
        """Move the cursor by some lines, and keep to its column."""
        if not self._rows:
            return
        row = self._row_of(self.cursor)
        if self._column is None:
            self._column = self._column_of(self.cursor)
        target = clamp(row + rows, 0, len(self._rows) - 1)
        index = self._token_at(target, self._column)
        # A token of several rows is not left by going to the next of them.
        while index == self.cursor and 0 <= target + (way := 1 if rows > 0 else -1) < len(self._rows):
            target += way
            index = self._token_at(target, self._column)
        self._move(index)

    def _move(self, index: int) -> None:
        before = self.cursor
        self.cursor = clamp(index, 0, max(len(self._figures) - 1, 0))
        self._show_cursor()
        self.refresh()
        if self.cursor != before:
            self.post_message(self.TokenMoved(self, self.cursor))

    def _show_cursor(self) -> None:
        if self._rows:
            self.show_row(self._row_of(self.cursor))

    # Where things are

    def _row_of(self, token: int) -> int:
        return max(bisect_right(self._rows, self._first_pieces[token]) - 1, 0)

    def _column_of(self, token: int) -> int:
        start, piece = self._rows[self._row_of(token)], self._first_pieces[token]
        return sum(one.width for one in self._pieces[start:piece])

    def _end_of(self, row: int) -> int:
        return self._rows[row + 1] if row + 1 < len(self._rows) else len(self._pieces)

    def _piece_at(self, row: int, column: int) -> int:
        """Return the piece in a column of a row; right of its text, the last one."""
        start, end = self._rows[row], self._end_of(row)
        for index in range(start, end):
            column -= self._pieces[index].width
            if column < 0:
                return index
        return end - 1

    def _token_at(self, row: int, column: int) -> int:
        return self._pieces[self._piece_at(row, column)].first

    # Layout

    def _keep_to_width(self) -> None:
        if self.row_width != self._laid_width:
            self._lay_out()

    def _lay_out(self) -> None:
        """Break the text into rows, and keep the cursor in view."""
        self._laid_width = width = self.row_width
        self._column = None
        # Hidden, it has no width: it is laid out once it has one.
        self._pieces, self._rows = _wrapped(self._whole, width) if width > 0 else ([], [])
        self._first_pieces = _first_pieces(self._pieces, len(self._figures))
        self.rows_changed(len(self._rows) if self._figures else 1)
        self._show_cursor()

    # Drawing

    def look(self, name: str) -> Style:
        """Return the style of a part, whose name is those of some looks."""
        style = self._looks.get(name)
        if style is None:
            style = Style()
            for one in name.split():
                style += component_style(self, f"token-text--{one}")
            self._looks[name] = style
        return style

    def render_line(self, y: int) -> Strip:
        """Return row `y` of the window; where it was laid out for another width, that is made good."""
        if self.row_width != self._laid_width:
            self.call_later(self._keep_to_width)
        return super().render_line(y)

    def draw_row(self, index: int, width: int) -> list[Part]:
        """Return the tokens of a row."""
        if not self._figures:
            return [Part(_NOTHING, "unknown")]
        return [self._drawn(piece) for piece in self._pieces[self._rows[index] : self._end_of(index)]]

    def _drawn(self, piece: _Piece) -> Part:
        figures = self._figures[piece.first : piece.last + 1]
        look = "plain"
        if self.coloured:
            # A character of several tokens is as sure as the least sure of them.
            known = [one for one in figures if one.log_probability is not None]
            least = min(known, key=lambda one: one.log_probability or 0.0) if known else None
            look = (least.confidence if least else None) or "unknown"
        if figures[0].is_control:
            look += " control"
        if piece.first <= self.cursor <= piece.last:
            return Part(piece.text.replace(" ", "·"), f"{look} current")
        return Part(piece.text, look)


def _pieces_of(span: Span) -> Iterator[_Piece]:
    """Yield the text of a span as it is shown, a piece a line."""
    text, first, last = span
    if not text:
        yield _Piece(visible(text), 1, first, last)
        return
    *lines, end = text.split("\n")
    for line in lines:
        shown = visible(f"{line}\n", space=" ")
        yield _Piece(shown, cells(shown), first, last, breaks=True)
    if end:
        shown = visible(end, space=" ")
        yield _Piece(shown, cells(shown), first, last)


def _cut(piece: _Piece, width: int) -> Iterator[_Piece]:
    """Yield a piece in parts that a row has room for."""
    *parts, end = chop(piece.text, width)
    for part in parts:
        yield piece._replace(text=part, width=cells(part), breaks=False)
    yield piece._replace(text=end, width=cells(end))


def _wrapped(whole: Sequence[_Piece], width: int) -> tuple[list[_Piece], list[int]]:
    """Return the pieces of text in rows of `width` cells, and with which piece each row begins."""
    pieces: list[_Piece] = []
    rows = [0] if whole else []
    used = 0
    for uncut in whole:
        for piece in (uncut,) if uncut.width <= width else _cut(uncut, width):
            if used + piece.width > width and len(pieces) > rows[-1]:
                rows.append(_break_before(piece, pieces, rows[-1], width))
                used = sum(one.width for one in pieces[rows[-1] :])
            pieces.append(piece)
            used += piece.width
            if piece.breaks:
                rows.append(len(pieces))
                used = 0
    if rows and rows[-1] == len(pieces):
        rows.pop()
    return pieces, rows


def _break_before(piece: _Piece, pieces: Sequence[_Piece], start: int, width: int) -> int:
    """Return with which piece to begin the row that `piece` goes to: where its word begins, if there."""
    room = width - piece.width
    if not piece.text[:1].isspace():
        for at in range(len(pieces) - 1, start, -1):
            room -= pieces[at].width
            if room < 0:
                break
            if pieces[at].text[:1].isspace():
                return at
    return len(pieces)


def _first_pieces(pieces: Sequence[_Piece], count: int) -> list[int]:
    """Return in which piece each token begins; a token without a place is where the one before it is."""
    found = [-1] * count
    for index, piece in enumerate(pieces):
        for token in range(piece.first, piece.last + 1):
            if found[token] < 0:
                found[token] = index
    for token in range(count):
        if found[token] < 0:
            found[token] = found[token - 1] if token else 0
    return found

"""A prompt as the model reads it: every token, those of the format told apart from what was written."""

from bisect import bisect_right
from collections.abc import Sequence
from textwrap import wrap
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.events import Resize
from textual.message import Message
from textual.strip import Strip

from easy_llama_tui.preferences.panel_keys import PREVIEW_KEYS
from easy_llama_tui.replies.inspection import PromptToken
from easy_llama_tui.text.display_text import cells, chop
from easy_llama_tui.text.visible_text import visible
from easy_llama_tui.widgets.row_list import Part, RowView

if TYPE_CHECKING:
    from textual.timer import Timer

_SLICE_SECONDS = 0.012
"""A long prompt is laid out in slices of this length, between which keys are heard."""
_SLICE_TOKENS = 500

_EMPTY = "Nothing to send yet: the prompt appears here."

_Start = tuple[int, int]
"""Where a row begins: a token, and which of its pieces."""


class PromptPreview(RowView, can_focus=True):
    """Shows the tokens of a prompt; `i` shows their ids.

    A long prompt is laid out in slices, and again only from the first token on that changed.
    """

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in PREVIEW_KEYS]

    class IdsToggled(Message):
        """The person wants to see the ids of the tokens, or no longer."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.ids_shown = False
        self._tokens: tuple[PromptToken, ...] = ()
        self._keys: list[int] = []
        self._starts: list[_Start] = []
        self._used = 0
        self._next = 0
        self._laid_width = 0
        self._wanted: int | None = None
        self._timer: Timer | None = None
        self._pieces: dict[tuple[int, str], tuple[tuple[str, int], ...]] = {}

    def show_tokens(self, tokens: Sequence[PromptToken]) -> None:
        """Show another prompt. What is in view stays there, and so does the end where that is in view."""
        tokens = tuple(tokens)
        keys = [token.id * 2 + token.is_control for token in tokens]
        same = _common(self._keys, keys)
        height = self.scrollable_content_region.height
        follows = self.is_laid_out and 0 < self.first_row >= self.row_count - height
        self._tokens, self._keys = tokens, keys
        self._lay_out_from(same, len(tokens) if follows else None)

    @property
    def is_laid_out(self) -> bool:
        """Whether all rows are known."""
        return self._next >= len(self._tokens)

    def action_ids(self) -> None:
        """Show the ids, or hide them."""
        self.ids_shown = not self.ids_shown
        self._lay_out_anew()
        self.post_message(self.IdsToggled())

    def on_resize(self, event: Resize) -> None:
        """Lay out for another width."""
        self._keep_to_width()

    # Layout

    def _keep_to_width(self) -> None:
        if self.row_width != self._laid_width:
            self._lay_out_anew()

    def _lay_out_anew(self) -> None:
        """Lay out all, and then show the token again that is in the first row now."""
        first = self.first_row
        self._pieces.clear()
        self._lay_out_from(0, self._starts[first][0] if 0 < first < len(self._starts) else self._wanted)

    def _lay_out_from(self, token: int, wanted: int | None) -> None:
        """Lay out what comes after the rows that end before `token`; then show the token `wanted`."""
        # Hidden, it has no width; it will most likely have the one again that it had.
        width = self.row_width or self._laid_width
        if width != self._laid_width:
            token, self._laid_width = 0, width
            self._pieces.clear()
        self._wanted = wanted
        while self._starts and self._starts[-1][0] >= token:
            self._starts.pop()
        # The last row that is left may have been broken for the sake of a token that is another now.
        if self._starts:
            self._starts.pop()
        self._next, piece = self._starts.pop() if self._starts else (0, 0)
        while piece:
            self._next, piece = self._starts.pop()
        self._used = 0
        if self._tokens and width > 0:
            self._starts.append((self._next, 0))
        else:
            self._next = len(self._tokens)
        self._go_on()

    def _go_on(self) -> None:
        """Lay out another slice, and later the rest."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        end = monotonic() + _SLICE_SECONDS
        while not self.is_laid_out and monotonic() < end:
            self._lay_out(min(self._next + _SLICE_TOKENS, len(self._tokens)))
        self.rows_changed(len(self._starts) if self._tokens else len(self._empty_rows()))
        if self._wanted is not None and (self.is_laid_out or self._next > self._wanted):
            row = bisect_right(self._starts, (self._wanted, 0)) - 1
            self.scroll_to(y=max(row, 0), animate=False, immediate=True, force=True)
            self._wanted = None
        if not self.is_laid_out:
            self._timer = self.set_timer(0.001, self._go_on)

    def _lay_out(self, stop: int) -> None:
        """Find the rows of the tokens before `stop`."""
        tokens, starts, width, used = self._tokens, self._starts, self._laid_width, self._used
        for index in range(self._next, stop):
            token = tokens[index]
            pieces = self._pieces_of(token)
            used += pieces[0][1]
            if used > width and (index, 0) != starts[-1]:
                first = self._break_before(index)
                starts.append((first, 0))
                used = sum(self._pieces_of(tokens[at])[0][1] for at in range(first, index + 1))
            for piece in range(1, len(pieces)):
                starts.append((index, piece))
                used = pieces[piece][1]
            if token.text.endswith("\n"):
                if index + 1 < len(tokens):
                    starts.append((index + 1, 0))
                used = 0
        self._next, self._used = stop, used

    def _break_before(self, index: int) -> int:
        """Return before which token to break a row that `index` has no room in: where a word begins."""
        room = self._laid_width
        if self.ids_shown:
            return index
        for at in range(index, self._starts[-1][0], -1):
            room -= self._pieces_of(self._tokens[at])[0][1]
            if room < 0:
                break
            if self._tokens[at].text[:1].isspace():
                return at
        return index

    def _pieces_of(self, token: PromptToken) -> tuple[tuple[str, int], ...]:
        """Return the text of a token as it is shown, cut where it is wider than a row, with its cells."""
        key = (token.id, token.text)
        pieces = self._pieces.get(key)
        if pieces is None:
            pieces = self._pieces[key] = tuple(
                (part, cells(part))
                for line in self._text_of(token)
                for part in chop(line, max(self._laid_width, 1))
            )
        return pieces

    def _text_of(self, token: PromptToken) -> list[str]:
        if self.ids_shown:
            return [f"{visible(token.text)}({token.id}) "]
        lines = token.text.split("\n")
        shown = [visible(line, space=" ") if line else "" for line in lines]
        whole = [f"{line}⏎" for line in shown[:-1]] + shown[-1:]
        return whole[:-1] if len(whole) > 1 and not whole[-1] else whole

    # Drawing

    def render_line(self, y: int) -> Strip:
        """Return row `y` of the window; where it was laid out for another width, that is made good."""
        if self.row_width != self._laid_width:
            self.call_later(self._keep_to_width)
        return super().render_line(y)

    def draw_row(self, index: int, width: int) -> list[Part]:
        """Return the tokens of a row."""
        if not self._tokens:
            rows = self._empty_rows()
            return [Part(rows[index] if index < len(rows) else "", "muted")]
        token, piece = self._starts[index]
        until = self._starts[index + 1] if index + 1 < len(self._starts) else (self._next, 0)
        parts: list[Part] = []
        while (token, piece) < until:
            one = self._tokens[token]
            pieces = self._pieces_of(one)
            parts += self._drawn(one, pieces[piece][0])
            token, piece = (token, piece + 1) if piece + 1 < len(pieces) else (token + 1, 0)
        return parts

    def _empty_rows(self) -> list[str]:
        """Return what is said where there are no tokens, in rows of words."""
        return wrap(_EMPTY, max(self._laid_width, 1))

    def _drawn(self, token: PromptToken, text: str) -> list[Part]:
        look = "control" if token.is_control else "written"
        id_ = f"({token.id}) "
        if self.ids_shown and text.endswith(id_):
            return [Part(text.removesuffix(id_), look), Part(id_, "muted")]
        return [Part(text, look)]


def _common(one: list[int], other: list[int]) -> int:
    """Return how many of the first values two lists have in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low

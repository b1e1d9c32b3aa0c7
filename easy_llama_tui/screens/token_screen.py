"""The token inspector: a text token by token, how sure the model was, and what else could stand there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message
from textual.message_pump import MessagePump

from easy_llama.events import Distribution
from easy_llama_tui.preferences.panel_keys import CANDIDATE_KEYS, TOKEN_KEYS, TOKEN_TEXT_KEYS
from easy_llama_tui.replies.token_figures import Overall, Progress, TokenFigure, overall, surprises
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.screens.token_help import TokenHelp
from easy_llama_tui.text.display_text import one_line
from easy_llama_tui.widgets.candidates_panel import CandidatesPanel
from easy_llama_tui.widgets.key_hints import KeyHint, KeyHints, keys_of
from easy_llama_tui.widgets.token_candidates import TokenCandidates
from easy_llama_tui.widgets.token_figures import TokenFigures, TokenLegend, TokenPlace
from easy_llama_tui.widgets.token_text import TokenText

if TYPE_CHECKING:
    from textual.timer import Timer

_REST_SECONDS: Final = 0.12
"""How long the cursor rests on a token before its candidates are asked for: a held key passes many."""
_MOST_KEPT: Final = 1000
"""The tokens whose candidates are kept."""
_TOKENS_BEFORE: Final = 12
"""How many tokens before the current one are told as what its candidates follow."""


class TokenScreen(Dialog[None]):
    """Shows the figures of each token of a text, and asks for candidates and for another token in its place.

    It is told everything, and posts its messages to its owner, or to the app where it has none: a screen that
    lies over another one does not have it among its parents.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-stacked"), (100, "-beside")]  # noqa: RUF012 (Textual's own)
    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-high")]  # noqa: RUF012 (Textual's own)

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in (*TOKEN_KEYS, *CANDIDATE_KEYS)]
    DEFAULT_CSS = """
    TokenScreen {
        background: $background;
    }
    TokenScreen > #tokens {
        width: 100%;
        height: 100%;
        border: round $primary;
        background: $surface;
        color: $foreground;
    }
    TokenScreen #tokens-middle { height: 1fr; layout: horizontal; }
    TokenScreen #tokens-text { width: 1fr; height: 100%; padding: 0 1; }
    TokenScreen #tokens-side { width: 46; height: 100%; border-left: solid $panel; }
    TokenScreen #tokens-side:focus-within { border-left: solid $primary; }
    TokenScreen #tokens-figures { height: 9; }
    TokenScreen #tokens-legend { border-top: solid $panel; }

    TokenScreen.-low #tokens-figures { height: 3; }
    TokenScreen.-low #tokens-legend { border-top: none; }
    TokenScreen.-low KeyHints { display: none; }
    TokenScreen.-low #candidates-footer { display: none; }

    TokenScreen.-stacked #tokens-middle { layout: vertical; }
    TokenScreen.-stacked #tokens-text { width: 100%; height: 1fr; }
    TokenScreen.-stacked #tokens-side { width: 100%; height: 11; border-left: none; }
    TokenScreen.-stacked #tokens-side { border-top: solid $panel; }
    TokenScreen.-stacked #tokens-side:focus-within { border-top: solid $primary; }
    TokenScreen.-stacked #tokens-figures { height: 2; }
    TokenScreen.-stacked.-low #tokens-side { height: 2; border-top: none; }
    TokenScreen.-stacked.-low #tokens-candidates { display: none; }
    TokenScreen.-stacked.-low.-choosing #tokens-text { height: 2; }
    TokenScreen.-stacked.-low.-choosing #tokens-side { height: 1fr; }
    TokenScreen.-stacked.-low.-choosing #tokens-figures { display: none; }
    TokenScreen.-stacked.-low.-choosing #tokens-candidates { display: block; }
    """

    @dataclass
    class CandidatesWanted(Message):
        """The candidates of a token are to be shown: call `show_candidates`."""

        screen: "TokenScreen"
        index: int
        """Which token it is that they could stand in place of."""
        count: int
        """How many."""

    @dataclass
    class Forked(Message):
        """The person chose another token; the screen closes."""

        screen: "TokenScreen"
        index: int
        """In whose place it goes."""
        token_id: int
        text: str

    @dataclass
    class ComputingStopped(Message):
        """The person wants no more figures to be computed."""

        screen: "TokenScreen"

    @dataclass
    class Closed(Message):
        """The person left the screen without choosing another token."""

        screen: "TokenScreen"

    def __init__(
        self,
        heading: str,
        figures: Sequence[TokenFigure] = (),
        *,
        cursor: int = 0,
        count: int = 10,
        owner: MessagePump | None = None,
        fork_note: str = "",
    ) -> None:
        """Inspect a text.

        Args:
            heading: whose text it is.
            figures: its tokens.
            cursor: the token to begin at.
            count: how many candidates to ask for, 1 to 100.
            owner: who is told what the person does.
            fork_note: why no other token can be taken, as of a prompt; "" where one can.
        """
        super().__init__()
        self._heading = heading
        self._figures = tuple(figures)
        self._begin_at = cursor
        self._owner = owner
        self._fork_note = fork_note
        self._note = ""
        self._progress: Progress | None = None
        self._known: dict[int, Distribution] = {}
        self._surprises: tuple[int, ...] = ()
        self._overall: Overall | None = None
        self._is_summed_up = False
        self._waiting: Timer | None = None
        self._text = TokenText(id="tokens-text")
        self._figures_view = TokenFigures(id="tokens-figures")
        self._candidates = TokenCandidates(count=count, id="tokens-candidates")
        self._legend = TokenLegend(id="tokens-legend")

    def compose(self) -> ComposeResult:
        """Show the text, beside it the figures and the candidates, and below what the colours mean."""
        with Vertical(id="tokens") as box:
            box.border_title = Content(one_line(self._heading))
            with Container(id="tokens-middle"):
                yield self._text
                with Vertical(id="tokens-side"):
                    yield self._figures_view
                    yield self._candidates
            yield self._legend
            said = keys_of(self).said
            yield KeyHints([hint._replace(key=said(hint.key)) for hint in _HINTS])

    def on_mount(self) -> None:
        """Begin at the token that was asked for."""
        self._text.show_tokens(self._figures, self._begin_at)
        self._text.focus()
        self._sum_up()
        self._show_legend()
        self._token_changed()

    def on_resize(self) -> None:
        """Tell of the help in the border where there is no line for the keys."""
        box = self.query_one("#tokens")
        box.border_subtitle = (
            None
            if self.query_one(KeyHints).display
            else Content(keys_of(self).said("{tokens-keys} keys · {tokens-back} back"))
        )

    # What it is told

    @property
    def cursor(self) -> int:
        """The token that is looked at."""
        return self._text.cursor if self.is_mounted else self._begin_at

    def show_tokens(self, figures: Sequence[TokenFigure]) -> None:
        """Show another text, or the same with other tokens; what was known of candidates is forgotten."""
        cursor = self.cursor
        self._figures = tuple(figures)
        self._known.clear()
        self._is_summed_up = False
        if self.is_mounted:
            self._text.show_tokens(self._figures, cursor)
            self._sum_up()
            self._token_changed()

    def fill_figures(self, start: int, figures: Sequence[TokenFigure]) -> None:
        """Show figures of the tokens from `start` on; the tokens themselves must be the same as before.

        Raises:
            ValueError: another token stands there.
        """
        end = start + len(figures)
        before = self._figures[start:end]
        if [(one.id, one.data) for one in before] != [(one.id, one.data) for one in figures]:
            raise ValueError(f"the tokens from {start} to {end} are others; show_tokens takes another text")
        self._figures = (*self._figures[:start], *figures, *self._figures[end:])
        if self.is_mounted:
            self._text.show_figures(self._figures)
            # Of a long text many parts come: all of it is looked at when the last one has.
            self._is_summed_up = False
            if self._progress is None:
                self._sum_up()
            self._show_figures_of_token()

    def show_progress(self, progress: Progress | None) -> None:
        """Show how far a computation is; None where none goes on."""
        self._progress = progress
        if self.is_mounted:
            if progress is None:
                self._sum_up()
                self._show_figures_of_token()
            self._show_legend()

    def show_candidates(self, index: int, distribution: Distribution) -> None:
        """Show what could stand in place of a token, or keep it until that is looked at."""
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[index] = distribution
        if self.is_mounted and index == self.cursor:
            self._show_candidates_of_token()

    def show_candidates_note(self, note: str) -> None:
        """Say why candidates cannot be shown now; "" once they can, which asks for those looked at."""
        if note != self._note:
            self._note = note
            if self.is_mounted:
                self._token_changed()

    # What the person does

    def action_step(self, tokens: int) -> None:
        """Move by some tokens."""
        self._text.action_step(tokens)

    def action_surprise(self, way: int) -> None:
        """Go to the next of the least sure tokens in reading order, or to the one before; round the end."""
        self._sum_up()
        places = sorted(self._surprises)
        if not places:
            self._tell("No figures are known yet: nothing is surprising.")
            return
        here = self.cursor
        if way > 0:
            found = next((place for place in places if place > here), places[0])
        else:
            found = next((place for place in reversed(places) if place < here), places[-1])
        self._text.move_to(found)

    def action_switch(self) -> None:
        """Go to the candidates, or back to the text."""
        if self._candidates.has_focused_list:
            self._go_to_text()
        else:
            # At once, so that no key that follows goes to the text. In a small window this shows them too.
            self._candidates.focus_first()

    def action_more(self, more: int) -> None:
        """Show more candidates, or fewer."""
        self._candidates.action_more(more)

    def action_colours(self) -> None:
        """Colour by confidence, or show all in one colour."""
        self._text.toggle_colours()
        self._show_legend()

    def action_keys(self) -> None:
        """Show the keys."""
        keys = keys_of(self).by_id()
        told = [keys[one.id].binding() for one in (*TOKEN_KEYS, *TOKEN_TEXT_KEYS, *CANDIDATE_KEYS)]
        self.app.push_screen(TokenHelp([*told, replace(_FORK_KEY, key=keys["rows-enter"].textual_keys())]))

    async def action_back(self) -> None:
        """Go back to the text; from there stop what is computed; when nothing is, close."""
        if self._candidates.has_focused_list:
            self._go_to_text()
        elif self._progress is not None:
            self.show_progress(None)
            self._tell_owner(self.ComputingStopped(self))
        elif self.is_active:
            self._tell_owner(self.Closed(self))
            self.dismiss(None)

    @on(TokenText.TokenMoved)
    def _moved(self, event: TokenText.TokenMoved) -> None:
        event.stop()
        self._token_changed()

    @on(CandidatesPanel.CountChanged)
    def _want_another_count(self, event: CandidatesPanel.CountChanged) -> None:
        event.stop()
        self._known.clear()
        self._ask_soon()

    @on(TokenCandidates.Taken)
    def _fork(self, event: TokenCandidates.Taken) -> None:
        event.stop()
        if self._fork_note:
            self._tell(self._fork_note)
        elif event.is_in_place:
            self._tell("This token stands there already: choose another one.")
        elif self.is_active:
            candidate = event.candidate
            self._tell_owner(self.Forked(self, event.index, candidate.id, candidate.text))
            self.dismiss(None)

    @on(KeyHints.Chosen)
    async def _do_clicked(self, event: KeyHints.Chosen) -> None:
        event.stop()
        await self.run_action(event.action)

    def on_descendant_focus(self) -> None:
        """Make room for what the keys are for."""
        self.set_class(self._candidates.has_focused_list, "-choosing")

    # What is shown of the token that is looked at

    def _go_to_text(self) -> None:
        self._text.focus()

    def _sum_up(self) -> None:
        """Find the figures of the whole text, where others came."""
        if not self._is_summed_up:
            self._is_summed_up = True
            self._surprises, self._overall = surprises(self._figures), overall(self._figures)
            self._show_legend()

    def _show_legend(self) -> None:
        self._legend.show_overall(self._overall, self._progress, coloured=self._text.coloured)

    def _token_changed(self) -> None:
        self._show_figures_of_token()
        self._show_candidates_of_token()
        self._ask_soon()

    def _show_figures_of_token(self) -> None:
        index = self.cursor
        if not self._figures:
            self._figures_view.show_token(None)
            return
        rank = self._surprises.index(index) + 1 if index in self._surprises else None
        self._figures_view.show_token(
            TokenPlace(
                self._figures[index],
                index,
                len(self._figures),
                self._text.character_of(index),
                rank,
                len(self._surprises),
            )
        )

    def _show_candidates_of_token(self) -> None:
        index = self.cursor
        if self._figures:
            before = b"".join([one.data for one in self._figures[max(index - _TOKENS_BEFORE, 0) : index]])
            self._candidates.show_choice(
                index,
                self._figures[index],
                before.decode("utf-8", "ignore"),
                self._known.get(index),
                self._note,
            )

    def _ask_soon(self) -> None:
        """Ask for candidates once the cursor rests."""
        if self._waiting is not None:
            self._waiting.stop()
        self._waiting = self.set_timer(_REST_SECONDS, self._ask)

    def _ask(self) -> None:
        """Ask for the candidates of the token, where they are not known and can be."""
        self._waiting = None
        if self._figures and not self._note and self.cursor not in self._known:
            self._tell_owner(self.CandidatesWanted(self, self.cursor, self._candidates.count))

    def _tell_owner(self, message: Message) -> None:
        (self._owner or self.app).post_message(message)

    def _tell(self, words: str) -> None:
        self.notify(words, markup=False, timeout=3)


_FORK_KEY = Binding(
    "enter", "", "On a candidate: a new alternative with that token, which goes on from there"
)
_HINTS = (
    KeyHint("{tokens-left} {tokens-right}", "token", "step(1)"),
    KeyHint("{tokens-next-surprise} {tokens-previous-surprise}", "surprise", "surprise(1)"),
    KeyHint("{tokens-switch}", "candidates", "switch"),
    KeyHint("{tokens-colours}", "colours", "colours"),
    KeyHint("{tokens-keys}", "keys", "keys"),
    KeyHint("{tokens-back}", "back", "back"),
)

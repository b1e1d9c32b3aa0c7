"""What else could have stood in a token's place: candidates of which one can be taken instead."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from textual.content import Content
from textual.events import Click, Focus, Resize, Show
from textual.message import Message

from easy_llama.events import Candidate, Distribution
from easy_llama_tui.replies.token_figures import TokenFigure
from easy_llama_tui.widgets.candidates_panel import CandidatesPanel, _CandidateList
from easy_llama_tui.widgets.probability_bars import percent
from easy_llama_tui.widgets.row_list import Part

IN_PLACE = "●"
"""Marks the candidate that is in the text."""
_READING = "Asking the model …"


class TokenCandidates(CandidatesPanel):
    """Shows the candidates of one place in a text, the one that stands there marked with `●`.

    Where the one that stands there is not among them, it is a last row.
    """

    DEFAULT_CSS = """
    TokenCandidates {
        width: 100%;
        height: 1fr;
        padding: 0 1;
        background: $surface;
    }
    """

    @dataclass
    class Taken(Message):
        """The person wants a candidate in the place of a token."""

        index: int
        """The token."""
        candidate: Candidate
        is_in_place: bool
        """Whether it is the one that stands there already."""

    def __init__(self, *, count: int = 10, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(count=count, id=id)
        self._choices = _Choices(id="candidates-list")
        self._list = self._choices

    @property
    def has_focused_list(self) -> bool:
        """Whether the keys are for the candidates."""
        return self._choices.has_focus

    def show_choice(
        self, index: int, figure: TokenFigure, before: str, distribution: Distribution | None, note: str
    ) -> None:
        """Show what could stand in place of a token.

        Args:
            index: which token it is.
            figure: its figures.
            before: the end of the text before it.
            distribution: the candidates; None while they are not known.
            note: why they will not be known; "" where they will.
        """
        self._choices.show_choices(index, figure, distribution, note)
        self.show_distribution(distribution, before, live=False)

    def _footer_lines(self, width: int) -> tuple[Content, ...]:
        lines = super()._footer_lines(width)
        if not lines:
            return ()
        return Content.assemble(lines[0], " · ", (f"{IN_PLACE} ", "bold $primary"), "in the text"), *lines[1:]


class _Choices(_CandidateList):
    """The candidates of one place."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._index = 0
        self._figure: TokenFigure | None = None
        self._note = ""
        self._is_added = False
        self._is_fresh = False

    def show_choices(
        self, index: int, figure: TokenFigure, distribution: Distribution | None, note: str
    ) -> None:
        """Show candidates, with the cursor on the likeliest other one, or on the one that it was on."""
        is_same = self._figure is not None and (index, figure.id) == (self._index, self._figure.id)
        held = self.candidate(self.cursor) if is_same else None
        self._index, self._figure, self._note = index, figure, note
        self.show_candidates(distribution.candidates if distribution else None)
        ids = [one.id for one in self._candidates or ()]
        if held is not None and held.id in ids:
            self.set_cursor(ids.index(held.id))
        elif ids:
            self.set_cursor(next((row for row, id_ in enumerate(ids) if id_ != figure.id), 0))

    def show_candidates(self, candidates: Sequence[Candidate] | None) -> None:
        """Show these, and below them the token that is in the text where it is not among them."""
        figure = self._figure
        self._is_added = False
        if candidates is not None and figure is not None and all(one.id != figure.id for one in candidates):
            before = figure.probability or 0.0
            candidates = (*candidates, Candidate(figure.id, figure.text, before, 0.0))
            self._is_added = True
        self._candidates = candidates
        self.rows_changed(len(self._said()) if candidates is None else len(candidates))

    def draw_row(self, index: int, width: int) -> list[Part]:
        """Return a candidate, marked where it is the one in the text; or why there are none."""
        candidate = self.candidate(index)
        if candidate is None:
            said = self._said()
            return [Part(f" {said[index]}" if index < len(said) else "", "muted")]
        parts = list(super().draw_row(index, width))
        if self._figure is None or candidate.id != self._figure.id:
            return parts
        parts[1] = Part(IN_PLACE, "mark")
        if self._is_added and index == self.row_count - 1:
            # What the samplers made of it is not known: only the likeliest are told.
            number = "" if self._figure.probability is None else f"{percent(candidate.before):>6}  "
            text = parts[2].text
            return [*parts[:2], Part(text, "text"), Part(number, "before"), Part("in the text", "muted")]
        return parts

    def on_resize(self, event: Resize) -> None:
        """Break anew what is said where there are no candidates."""
        self.show_again()

    def on_show(self, event: Show) -> None:
        """Catch up: what is hidden has no width."""
        self.show_again()

    def show_again(self) -> None:
        """Count the rows for the present width."""
        if self._candidates is None:
            self.rows_changed(len(self._said()))

    def on_focus(self, event: Focus) -> None:
        """Note that the click that may have brought the focus here is only that."""
        self._is_fresh = True

    def on_click(self, event: Click) -> None:
        """Do no more than mark the row where the click brought the focus: taking one goes further."""
        row = self.first_row + event.y
        if self._is_fresh and row < self.row_count:
            event.stop()
            event.prevent_default()
            self.action_move(row - self.cursor)
        self._is_fresh = False

    def action_move(self, rows: int) -> None:
        """Move the cursor by some rows."""
        self._is_fresh = False
        super().action_move(rows)

    def action_enter(self) -> None:
        """Take a candidate, and say for which token: another may be looked at by the time this is heard."""
        candidate = self.candidate(self.cursor)
        if candidate is not None and self._figure is not None:
            is_in_place = candidate.id == self._figure.id
            self.post_message(TokenCandidates.Taken(self._index, candidate, is_in_place))

    def _said(self) -> list[str]:
        return wrap(self._note or _READING, max(self.row_width - 1, 8))

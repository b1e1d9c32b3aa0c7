"""The panel of candidates: what could come next, before and after the samplers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize
from textual.geometry import clamp
from textual.message import Message

from easy_llama.events import Candidate, Distribution
from easy_llama_tui.preferences.panel_keys import CANDIDATE_KEYS
from easy_llama_tui.text.display_text import cells, one_line
from easy_llama_tui.text.visible_text import ending_of, fitted, visible
from easy_llama_tui.widgets.probability_bars import DROPPED, full_bar, light_bar, percent, survivors_text
from easy_llama_tui.widgets.row_list import PanelLines, Part, RowList

MOST_CANDIDATES = 100
"""How many candidates can be asked for."""

_WIDE = 32
"""From this width on, rows have both numbers."""
_QUIET = "Type or generate, and the likeliest next tokens appear here."


class CandidatesPanel(Vertical):
    """Shows the likeliest next tokens; as quick to update as a line of text."""

    DEFAULT_CSS = """
    CandidatesPanel {
        background: $surface;
        color: $foreground;

        & > #candidates-list { height: 1fr; min-height: 1; }
        & > #candidates-footer { height: 2; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in CANDIDATE_KEYS]

    @dataclass
    class CountChanged(Message):
        """The person wants another number of candidates."""

        count: int

    @dataclass
    class CandidateChosen(Message):
        """The person chose another next token."""

        token_id: int
        text: str

    def __init__(
        self,
        *,
        count: int = 10,
        choosable: bool = False,
        id: str | None = None,  # noqa: A002 (Textual's name)
    ) -> None:
        super().__init__(id=id)
        self.choosable = choosable
        """Whether Enter on a row posts `CandidateChosen`."""
        self._count = clamp(count, 1, MOST_CANDIDATES)
        self._distribution: Distribution | None = None
        self._after = ""
        self._live = False
        self._header = PanelLines(self._header_lines, id="candidates-header")
        self._list = _CandidateList(id="candidates-list")
        self._footer = PanelLines(self._footer_lines, id="candidates-footer")

    def compose(self) -> ComposeResult:
        """Show what the candidates follow, the candidates, and what the signs mean."""
        yield self._header
        yield self._list
        yield self._footer

    @property
    def count(self) -> int:
        """How many candidates are asked for, 1 to 100."""
        return self._count

    @count.setter
    def count(self, count: int) -> None:
        self._count = clamp(count, 1, MOST_CANDIDATES)
        self._show_lines()

    def show_distribution(
        self, distribution: Distribution | None, after: str, live: bool, *, why: str = ""
    ) -> None:
        """Show what could come next.

        Args:
            distribution: None where it is not known.
            after: the end of the text that it follows.
            live: whether that text is being written now.
            why: why it is not known, in words for the person; "" where there is nothing to follow yet.
        """
        before, was_live = self._distribution, self._live
        self._distribution, self._after, self._live = distribution, after, live
        self._list.why_none = why
        if live and was_live and before is not None and distribution is not None:
            # While a reply is written it comes many times a second: what stays the same is left alone.
            self._list.change_candidates(distribution.candidates)
            self._header.refresh()
            if distribution.survivors != before.survivors:
                self._footer.refresh()
        else:
            self._list.show_candidates(distribution.candidates if distribution else None)
            self._show_lines()

    def focus_first(self) -> None:
        """Focus the candidates."""
        self._list.focus()

    def on_row_list_row_moved(self, message: RowList.RowMoved) -> None:
        """Keep to oneself where the cursor is."""
        message.stop()

    def on_row_list_row_taken(self, message: RowList.RowTaken) -> None:
        """Tell which candidate was chosen, where that is of use."""
        message.stop()
        candidate = self._list.candidate(message.index)
        if self.choosable and candidate is not None:
            self.post_message(self.CandidateChosen(candidate.id, candidate.text))

    def on_panel_lines_pressed(self, message: PanelLines.Pressed) -> None:
        """Ask for fewer or more where a sign for that was clicked on."""
        message.stop()
        if message.lines is self._header:
            start = len("Candidates ")
            end = start + cells(self._count_text())
            # The space beside each sign belongs to it: a single cell is hard to hit.
            if start <= message.x < start + 2:
                self.action_more(-1)
            elif end - 2 <= message.x < end:
                self.action_more(1)

    def action_more(self, more: int) -> None:
        """Ask for more candidates, or for fewer."""
        before = self._count
        self.count = before + more
        if self._count != before:
            self.post_message(self.CountChanged(self._count))

    def _count_text(self) -> str:
        return f"‹ {self._count} ›"

    def _show_lines(self) -> None:
        self._header.refresh()
        self._footer.refresh()

    def _footer_lines(self, width: int) -> tuple[Content, ...]:
        if self._distribution is None:
            return ()
        legend = Content.assemble(
            ("before ", "$text-muted"),
            ("░", "$probability-before"),
            (" · after ", "$text-muted"),
            ("█", "$probability-after"),
            (f" · × {DROPPED}", "$text-muted"),
        )
        return Content(survivors_text(self._distribution.survivors)), legend

    def _header_lines(self, width: int) -> tuple[Content, ...]:
        head = f"Candidates {self._count_text()}"
        parts: list[str | tuple[str, str]] = [("Candidates ", "bold"), (self._count_text(), "$text-muted")]
        room = width - cells(head)
        for lead in ("  live, after ", "  live ") if self._live else ("  after ", "  "):
            if room >= cells(lead) + 6:
                text = ending_of(visible(self._after, space=" "), min(room - cells(lead) - 2, 24))
                parts.append((lead, "$primary" if self._live else "$text-muted"))
                if self._after:
                    parts.append(f'"{text}"')
                elif not self._live:
                    parts.pop()
                break
        return (Content.assemble(*parts),)


class _CandidateList(RowList):
    """The candidates, a row each."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._candidates: Sequence[Candidate] | None = None
        self.why_none = ""
        """What is said where there are none; "" says what they would be."""

    def show_candidates(self, candidates: Sequence[Candidate] | None) -> None:
        """Show these, or why there are none."""
        self._candidates = candidates
        self.rows_changed(len(self._quiet_rows()) if candidates is None else len(candidates))

    def change_candidates(self, candidates: Sequence[Candidate]) -> None:
        """Show these in place of others, and draw only the rows that differ."""
        pairs = enumerate(zip_longest(self._candidates or (), candidates))
        changed = [row for row, (old, new) in pairs if old != new]
        self._candidates = candidates
        self.rows_changed(len(candidates), changed)

    def on_resize(self, event: Resize) -> None:
        """Break the words anew that stand where there are no candidates."""
        if self._candidates is None:
            self.show_candidates(None)

    def _quiet_rows(self) -> list[str]:
        return wrap(one_line(self.why_none or _QUIET), max(self.row_width - 2, 1))

    def candidate(self, row: int) -> Candidate | None:
        """Return the candidate in a row."""
        return self._candidates[row] if self._candidates and row < len(self._candidates) else None

    def has_lit_cursor(self) -> bool:
        """Return whether the keys move it: elsewhere a mark would only unrest what is looked at."""
        return self.has_focus and bool(self._candidates)

    def draw_row(self, index: int, width: int) -> list[Part]:
        """Return a candidate: its text, its probability before the samplers, and the one after."""
        candidate = self.candidate(index)
        if candidate is None:
            rows = self._quiet_rows() if self._candidates is None else []
            return [Part(f" {rows[index]}" if index < len(rows) else "", "muted")]
        dropped = candidate.after <= 0
        room = width - 2
        text = clamp(room // 4, 6, 16)
        numbers = 2 if width >= _WIDE else 1
        bars = max(room - text - 7 * numbers, 2)
        before, after = bars - bars // 2, bars // 2
        parts = [
            Part(" "),
            Part("×" if dropped else " ", "muted"),
            Part(fitted(visible(candidate.text), text), "muted" if dropped else "text"),
        ]
        if numbers > 1:
            parts.append(Part(f"{percent(candidate.before):>6} ", "before"))
        parts.append(Part(fitted(light_bar(candidate.before, before), before), "before"))
        if dropped:
            parts.append(Part(f" {DROPPED}", "muted"))
        else:
            parts.append(Part(f"{percent(candidate.after):>6} ", "text"))
            parts.append(Part(full_bar(candidate.after, after), "after"))
        return parts

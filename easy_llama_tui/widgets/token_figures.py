"""The figures of one token, and below a text the figures of all of it with what its colours mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Final

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from easy_llama_tui.replies.token_figures import (
    CONFIDENCE_FROM,
    Confidence,
    Origin,
    Overall,
    Progress,
    TokenFigure,
)
from easy_llama_tui.text.visible_text import visible
from easy_llama_tui.widgets.key_hints import keys_of
from easy_llama_tui.widgets.probability_bars import percent

FIGURE_ROWS: Final = 8
"""The rows that a token's figures take with a label each; with fewer they stand in lines."""

_BY: Final[dict[Origin, str]] = {
    "sampled": "the sampler",
    "chosen": "you, in place of another",
    "written": "who wrote the text",
    "format": "the prompt format",
}
_STYLES: Final[dict[Confidence, str]] = {
    "sure": "$confidence-4",
    "likely": "italic $confidence-3",
    "maybe": "underline $confidence-2",
    "unlikely": "bold underline $confidence-1",
}
"""As `token_text.LOOKS`, for what is no widget's own."""
_LABEL: Final = 13
_GAP: Final = "   "


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """A token, and where it is."""

    figure: TokenFigure
    index: int
    total: int
    """How many tokens there are."""

    character: str = ""
    """The character that it is a part of, as it is shown; "" where it is of none."""

    surprise: int | None = None
    """Its place among the least sure tokens, 1 for the least sure; None where it is not one of them."""

    surprises: int = 0
    """How many of those there are."""


class TokenFigures(Widget):
    """Shows the figures of a token: a row each where it is high enough, else in lines."""

    DEFAULT_CSS = """
    TokenFigures {
        width: 100%;
        padding: 0 1;
        background: $surface;
        color: $foreground;
    }
    """
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._place: TokenPlace | None = None

    def show_token(self, place: TokenPlace | None) -> None:
        """Show the figures of a token; None shows nothing."""
        if place != self._place:
            self._place = place
            self.refresh()

    def render(self) -> Content:
        """Return the figures."""
        if self._place is None:
            return Content("")
        width, height = self.size
        lines = _table(self._place) if height >= FIGURE_ROWS else _packed(_short_parts(self._place), width)
        return Content("\n").join([line.truncate(max(width, 1), ellipsis=True) for line in lines[:height]])


class TokenLegend(Widget):
    """Tells what the looks of tokens mean, and the figures of the whole text or how far they are."""

    DEFAULT_CSS = """
    TokenLegend {
        width: 100%;
        height: auto;
        padding: 0 1;
        background: $surface;
        color: $foreground;
    }
    """
    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._overall: Overall | None = None
        self._progress: Progress | None = None
        self._coloured = True

    def show_overall(self, overall: Overall | None, progress: Progress | None, *, coloured: bool) -> None:
        """Show the figures of the whole text, or how far they are computed where that goes on."""
        if (overall, progress, coloured) != (self._overall, self._progress, self._coloured):
            self._overall, self._progress, self._coloured = overall, progress, coloured
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return how many lines it takes."""
        return len(self._lines(width))

    def render(self) -> Content:
        """Return the lines."""
        width = max(self.size.width, 1)
        return Content("\n").join([line.truncate(width, ellipsis=True) for line in self._lines(width)])

    def _lines(self, width: int) -> list[Content]:
        """Return all in one line where there is room, else what the looks mean above the figures."""
        meanings, totals = self._meanings(), self._totals()
        for meaning in meanings:
            if meaning.cell_length + len(_GAP) + totals[0].cell_length <= width:
                return [Content.assemble(meaning, _GAP, totals[0])]
            if meaning.cell_length <= width:
                break
        fitting = [line for line in totals if line.cell_length <= width]
        return [next((one for one in meanings if one.cell_length <= width), meanings[-1]), *fitting[:1]]

    def _meanings(self) -> list[Content]:
        """Return what the looks mean, from the longest way to say it to the shortest."""
        if not self._coloured:
            return [Content.styled("plain: v colours it by confidence", "$text-muted")]
        long, short = [], []
        for (name, least), (_, above) in zip(CONFIDENCE_FROM, (("", 0.0), *CONFIDENCE_FROM), strict=False):
            bound = f" ≥{least:.0%}" if least else f" <{above:.0%}"
            long.append(Content.assemble((name, _STYLES[name]), (bound, "$text-muted")))
            short.append(Content.styled(name, _STYLES[name]))
        return [Content("  ").join(long), Content("  ").join(short)]

    def _totals(self) -> list[Content]:
        """Return the figures of the whole text, from the longest way to say it to the shortest."""
        if self._progress is not None:
            count = f" {self._progress.done:,} of {self._progress.total:,}" if self._progress.total else " …"
            done = f"computing{count}"
            stops = keys_of(self).said("   {tokens-back} stops")
            return [
                Content.assemble((done, "bold $text-primary"), (stops, "$text-muted")),
                Content.styled(done, "bold $text-primary"),
            ]
        if self._overall is None:
            return [Content.styled("no figures yet", "$text-muted")]
        perplexity, mean = f"{self._overall.perplexity:,.2f}", _signed(self._overall.mean_log_probability)
        return [
            Content.assemble(
                *("perplexity ", (perplexity, "bold $text-primary")),
                *(" · mean log-probability ", (mean, "bold $text-primary")),
            ),
            Content.assemble(
                *("perplexity ", (perplexity, "bold $text-primary")),
                *(" · mean ", (mean, "bold $text-primary")),
            ),
        ]


def _signed(value: float) -> str:
    """Return a number with a minus sign that is as wide as a plus."""
    return f"{value:.2f}".replace("-", "−")


def _table(place: TokenPlace) -> list[Content]:
    figure = place.figure
    head = [Content.styled(f"Token {place.index + 1:,} of {place.total:,}", "bold $text-primary")]
    if confidence := figure.confidence:
        head.append(Content.styled(confidence, _STYLES[confidence]))
    rows: list[tuple[str, str]] = [("text", _text_of(place)), ("id", str(figure.id))]
    if figure.probability is None or figure.log_probability is None:
        rows.append(("probability", "not known"))
    else:
        rows.append(("probability", f"{percent(figure.probability)}  log {_signed(figure.log_probability)}"))
    rows.append(("rank", "not known" if figure.rank is None else f"{figure.rank:,}"))
    if figure.entropy is None:
        rows.append(("entropy", "not known"))
    else:
        # The exponential of an entropy is how many equally likely tokens have the same.
        rows.append(("entropy", f"{figure.entropy:.2f} nats, like {exp(figure.entropy):,.1f} tokens"))
    rows.append(("put there by", _BY[figure.origin]))
    if place.surprise is not None:
        rows.append(("surprise", f"{place.surprise} of {place.surprises}, 1 is the least sure"))
    return [
        Content(" · ").join(head),
        *(Content.assemble((f"{label:<{_LABEL}}", "$text-muted"), value) for label, value in rows),
    ]


def _short_parts(place: TokenPlace) -> list[Content]:
    figure = place.figure
    parts = [
        Content.styled(f"{place.index + 1:,} of {place.total:,}", "bold $text-primary"),
        Content(f'"{_text_of(place)}"'),
    ]
    if figure.probability is not None and (confidence := figure.confidence):
        parts.append(Content.assemble(f"{percent(figure.probability)} ", (confidence, _STYLES[confidence])))
    else:
        parts.append(Content("probability not known"))
    if place.surprise is not None:
        parts.append(Content(f"surprise {place.surprise} of {place.surprises}"))
    if figure.rank is not None:
        parts.append(Content(f"rank {figure.rank:,}"))
    if figure.entropy is not None:
        parts.append(Content(f"entropy {figure.entropy:.2f}"))
    parts.append(Content(f"id {figure.id}"))
    parts.append(Content(f"by {_BY[figure.origin]}"))
    return parts


def _packed(parts: Sequence[Content], width: int) -> list[Content]:
    """Return the parts in lines, each with as many as there is room for."""
    lines: list[list[Content]] = []
    used = 0
    for part in parts:
        size = part.cell_length + 2
        if not lines or used + size - 2 > width:
            lines.append([])
            used = 0
        lines[-1].append(part)
        used += size
    return [Content("  ").join(line) for line in lines]


def _text_of(place: TokenPlace) -> str:
    """Return the text of a token; bytes of a part of a character, and the character."""
    whole = f", part of {place.character}" if place.character else ""
    return visible(place.figure.text) + whole

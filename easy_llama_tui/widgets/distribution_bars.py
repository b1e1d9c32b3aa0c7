"""What the samplers do to the next token: how many candidates they leave, and the likeliest as bars."""

from textual.content import Content
from textual.widget import Widget

from easy_llama.events import Candidate, Distribution
from easy_llama_tui.text.visible_text import fitted, visible
from easy_llama_tui.widgets.probability_bars import DROPPED, full_bar, light_bar, percent, survivors_text

MAX_BARS = 6
HEAD_ROWS = 2


class DistributionBars(Widget):
    """Shows a distribution before and after the samplers; its height says how many candidates."""

    DEFAULT_CSS = """
    DistributionBars {
        height: 8;
        background: $background;
        color: $foreground;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._distribution: Distribution | None = None

    def show_distribution(self, distribution: Distribution | None) -> None:
        """Show what could come next."""
        self._distribution = distribution
        self.refresh()

    def render(self) -> Content:
        """Return the head and one row a candidate."""
        if self._distribution is None:
            return Content("")
        width, height = self.size
        rows = _head(self._distribution, width)
        shown = self._distribution.candidates[: max(min(height - HEAD_ROWS, MAX_BARS), 0)]
        rows += [_row(candidate, width) for candidate in shown]
        return Content("\n").join(rows)


def _columns(width: int) -> tuple[int, int]:
    """Return the widths of the text and of one bar: two bars, each after a number in 7 cells."""
    bar = max((width - 14) // 3, 2)
    return max(width - 2 * bar - 14, 4), bar


def _head(distribution: Distribution, width: int) -> list[Content]:
    text, bar = _columns(width)
    names = f"{' ' * text} {'before':<{bar + 6}} {'after':<{bar + 6}}"
    return [
        Content.styled(survivors_text(distribution.survivors), "bold $text-primary").truncate(
            width, ellipsis=True
        ),
        Content.styled(names, "$text-muted").truncate(width),
    ]


def _row(candidate: Candidate, width: int) -> Content:
    text, bar = _columns(width)
    parts: list[str | tuple[str, str]] = [
        fitted(visible(candidate.text), text),
        (f"{percent(candidate.before):>6} ", "$probability-before"),
        (fitted(light_bar(candidate.before, bar), bar), "$probability-before"),
    ]
    if candidate.after > 0:
        parts.append((f"{percent(candidate.after):>6} ", "$probability-after"))
        parts.append((full_bar(candidate.after, bar), "$probability-after"))
    else:
        parts.append((f" {DROPPED}", "$text-muted"))
    return Content.assemble(*parts).truncate(width)

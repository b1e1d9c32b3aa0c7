"""What the samplers do to the next token: how many candidates they leave, and the likeliest as bars."""

from textual.content import Content
from textual.widget import Widget

from easy_llama.events import Candidate, Distribution
from easy_llama_tui.display_text import cells, chop, printable

MAX_BARS = 6
HEAD_ROWS = 2
_EIGHTHS = " ▏▎▍▌▋▊▉"
_VISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥"})


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


def token_text(text: str) -> str:
    """Return a token's text with its spaces and newlines made visible, on one line."""
    return printable(text).translate(_VISIBLE) or "(no text)"


def _columns(width: int) -> tuple[int, int]:
    """Return the widths of the text and of one bar: two bars, each with a percentage of 5 cells."""
    bar = max((width - 14) // 3, 2)
    return max(width - 2 * bar - 14, 4), bar


def _head(distribution: Distribution, width: int) -> list[Content]:
    number = distribution.survivors
    survive = "candidate survives" if number == 1 else "candidates survive"
    text, bar = _columns(width)
    names = f"{' ' * text} {'before':<{bar + 6}} {'after':<{bar + 6}}"
    return [
        Content.styled(f"{number:,} {survive}", "bold $text-primary").truncate(width, ellipsis=True),
        Content.styled(names, "$text-muted").truncate(width),
    ]


def _row(candidate: Candidate, width: int) -> Content:
    room, bar = _columns(width)
    text = token_text(candidate.text)
    if cells(text) > room:
        text = chop(text, room - 1)[0] + "…"
    before = max(round(candidate.before * bar), 1 if candidate.before > 0 else 0)
    return Content.assemble(
        text + " " * (room - cells(text)),
        " ",
        ("░" * before + " " * (bar - before), "$probability-before"),
        (f" {_percent(candidate.before)} ", "$probability-before"),
        (_bar(candidate.after, bar), "$probability-after"),
        (f" {_percent(candidate.after) if candidate.after > 0 else ' drop'}", "$probability-after"),
    ).truncate(width)


def _bar(share: float, width: int) -> str:
    eighths = max(round(min(share, 1.0) * width * 8), 1 if share > 0 else 0)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip().ljust(width)[:width]


def _percent(share: float) -> str:
    """Return a probability in 5 cells."""
    if 0 < share < 0.0005:
        return "<0.1%"
    if share < 0.0995:
        return f"{share * 100:4.1f}%"
    return f"{share * 100:4.0f}%"

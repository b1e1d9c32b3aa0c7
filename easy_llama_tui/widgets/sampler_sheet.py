"""What is seen of the sampler panel, from top to bottom: the settings, their guide, what they do."""

from rich.style import Style
from textual.app import ComposeResult
from textual.widget import Widget

from easy_llama.events import Distribution
from easy_llama_tui.samplers.sampler_fields import FIELDS
from easy_llama_tui.text.display_text import plain_lines, printable
from easy_llama_tui.widgets.distribution_bars import HEAD_ROWS, MAX_BARS, DistributionBars
from easy_llama_tui.widgets.sampler_guide import SamplerGuide
from easy_llama_tui.widgets.sampler_rows import SamplerRows
from easy_llama_tui.widgets.sampler_text_area import SamplerTextArea
from easy_llama_tui.widgets.sampler_view import SamplerView


class SamplerSheet(Widget):
    """Shows a `SamplerView`, and shares its height out among the parts."""

    DEFAULT_CSS = """
    SamplerSheet {
        layout: vertical;
        width: 1fr;
        height: 1fr;
        background: $background;
        color: $foreground;

        SamplerTextArea {
            display: none;
            height: 1fr;
            border: none;
            padding: 0;
            background: $surface;
            color: $foreground;
            scrollbar-size-vertical: 1;

            &:focus {
                border: none;
            }
        }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.area = SamplerTextArea(soft_wrap=True, show_line_numbers=False, tab_behavior="focus")
        """Where a setting of several lines is edited."""
        self._rows = SamplerRows()
        self._guide = SamplerGuide()
        self._bars = DistributionBars()
        self._shown: SamplerView | None = None
        self._n_candidates = 0

    def compose(self) -> ComposeResult:
        """Lay out the parts."""
        yield self._rows
        yield self.area
        yield self._guide
        yield self._bars

    def show_view(self, view: SamplerView, *, is_active: bool) -> None:
        """Show the settings; the cursor is lit where keys come here."""
        self._shown = view
        self._guide.show_guide(view.guide())
        self._arrange(view)
        self._rows.show_rows(view.head_row(), view.list_rows(), view.cursor, is_active=is_active)

    def show_distribution(self, distribution: Distribution | None) -> None:
        """Show what the settings do to the next token; None shows nothing."""
        before = self._n_candidates
        self._n_candidates = len(distribution.candidates) if distribution else 0
        self._bars.show_distribution(distribution)
        if before != self._n_candidates and self._shown:
            self._arrange(self._shown)

    def open_area(self, text: str) -> None:
        """Show a text to be edited in place of the settings."""
        self.area.load_text(printable(text))
        self.area.display = True
        self.area.focus()

    def close_area(self) -> bool:
        """Show the settings again; return whether the text had the keys."""
        had_focus = self.area.has_focus
        self.area.display = False
        return had_focus

    def on_resize(self) -> None:
        """Share the height out anew."""
        if self._shown:
            self._arrange(self._shown)

    def _arrange(self, view: SamplerView) -> None:
        width, height = self.size
        is_list = view.text_field is None
        # As high for all settings, so that the list stays where it is as the cursor moves.
        usual = max(view.guide_of(one).rows(width) for one in FIELDS.values()) if width else 3
        guide_rows = min(max(usual, view.guide().rows(width)), max(height - 5, 2), max(height * 2 // 5, 3))
        bars = min(MAX_BARS, height // 3 - HEAD_ROWS, height - guide_rows - 5 - HEAD_ROWS)
        self._bars.display = self._n_candidates > 0 and bars > 0 and is_list
        self._bars.styles.height = HEAD_ROWS + max(min(bars, self._n_candidates), 0)
        self._guide.styles.height = guide_rows
        error = plain_lines(view.error, Style(), max(width - 3, 1)) if view.error else []
        self._rows.styles.height = "1fr" if is_list else min(1 + len(error), 5)

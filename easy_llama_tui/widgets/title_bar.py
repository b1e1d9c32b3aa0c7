"""The line at the top: what one talks to, and how full its context is."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from easy_llama_tui.text.display_text import printable

_BAR_CELLS = 10


class TitleBar(Widget):
    """Model, format and sampler at the left; the context used at the right."""

    description: reactive[tuple[str, ...]] = reactive(())
    """What is shown at the left, most important first; the last ones give way in a narrow window."""

    context_used: reactive[int | None] = reactive(None)
    context_length: reactive[int | None] = reactive(None)

    def render(self) -> Content:
        """Return the line for the width there is."""
        width = self.size.width
        context = self._usage(width)
        left = ""
        for part in self.description:
            longer = f"{left}   ·   {printable(part)}" if left else printable(part)
            if left and Content(longer).cell_length + Content(context).cell_length + 2 > width:
                break
            left = longer
        name = Content(left).truncate(max(width - len(context) - 1, 0), ellipsis=True)
        space = " " * max(width - name.cell_length - Content(context).cell_length, 0)
        return Content.assemble(name, space, (context, "$text-muted"))

    def _usage(self, width: int) -> str:
        if self.context_length is None:
            return ""
        if self.context_used is None:
            return f"{self.context_length:,} tokens"
        share = min(self.context_used / self.context_length, 1.0)
        text = f"{self.context_used:,} / {self.context_length:,}"
        if width < 60:
            return f"{text}  {share:.0%}"
        filled = round(share * _BAR_CELLS)
        return f"{text}  {'▓' * filled}{'░' * (_BAR_CELLS - filled)} {share:3.0%}"

"""The line at the bottom: how the turn goes, and the keys that matter now."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from easy_llama_tui.text.display_text import printable


class StatusBar(Widget):
    """What is going on at the left, keys at the right; a problem takes the place of what goes on."""

    activity: reactive[str] = reactive("")
    problem: reactive[str] = reactive("")
    """What is wrong, until it is right again."""

    keys: reactive[tuple[tuple[str, str], ...]] = reactive(())
    """The keys that matter now, each with what it does; what does not fit is left out, but the first."""

    def render(self) -> Content:
        """Return the line for the width there is."""
        width = self.size.width
        if self.problem:
            left = Content.styled(f"⚠ {printable(self.problem)}", "$text-error")
        else:
            left = Content.styled(printable(self.activity), "$text-muted")
        right = Content("")
        for key, meaning in self.keys:
            hint = Content.assemble("  " if right else "", (key, "$footer-key-foreground"), f" {meaning}")
            if right and left.cell_length + right.cell_length + hint.cell_length + 2 > width:
                continue
            right += hint
        left = left.truncate(max(width - right.cell_length - 2, 0), ellipsis=True)
        return Content.assemble(left, " " * max(width - left.cell_length - right.cell_length, 0), right)

"""What the setting under the cursor means, and the keys that matter, each of which can be clicked."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.style import Style
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from easy_llama_tui.text.display_text import cells, plain_lines, printable

_PLAIN = Style()


@dataclass(frozen=True, slots=True)
class Hint:
    """A key and what it does now."""

    key: str
    """As Textual names it, for a click."""

    shown: str
    meaning: str

    @property
    def text(self) -> str:
        """What is drawn."""
        return f"{self.shown} {self.meaning}"


@dataclass(frozen=True, slots=True)
class Guide:
    """What to say now."""

    text: str = ""
    detail: str = ""
    """The range, or why there is no effect."""

    hints: tuple[Hint, ...] = ()
    hints_come_first: bool = False
    """Whether the keys matter most, where there is little room."""

    def rows(self, width: int) -> int:
        """Return how many rows it takes."""
        hints = _hint_lines(self.hints, width)
        return len(_wrapped(self.text, width)) + len(_wrapped(self.detail, width)) + len(hints)


class SamplerGuide(Widget):
    """Shows a guide in the rows that it is given."""

    DEFAULT_CSS = """
    SamplerGuide {
        height: 3;
        background: $surface;
        color: $foreground;
    }
    """

    @dataclass
    class HintClicked(Message):
        """The person clicked on what a key does."""

        key: str

    def __init__(self) -> None:
        super().__init__()
        self._guide = Guide()

    def show_guide(self, guide: Guide) -> None:
        """Say something else."""
        if guide != self._guide:
            self._guide = guide
            self.refresh()

    def render(self) -> Content:
        """Return what fits."""
        return Content("\n").join([content for content, _ in self._drawn()])

    def on_click(self, event: events.Click) -> None:
        """Tell which hint was clicked."""
        event.stop()
        lines = self._drawn()
        if not 0 <= event.y < len(lines):
            return
        start = 0
        for hint in lines[event.y][1]:
            if start <= event.x < start + cells(hint.text):
                self.post_message(self.HintClicked(hint.key))
            start += cells(hint.text) + 2

    def _drawn(self) -> list[tuple[Content, tuple[Hint, ...]]]:
        """Return the lines, with the hints that are on them."""
        width, height = self.size
        guide = self._guide
        words = [(Content(line), ()) for line in _wrapped(guide.text, width)]
        detail = [(Content.styled(line, "$text-muted"), ()) for line in _wrapped(guide.detail, width)]
        hints = [(_hint_content(line), line) for line in _hint_lines(guide.hints, width)]
        if guide.hints_come_first:
            return [*hints, *detail, *words][:height]
        room = height - len(detail) - len(hints)
        # The meaning is cut first, but something of it always stays.
        kept = words[: max(room, 1)]
        return [*kept, *detail, *hints][:height]


def _wrapped(text: str, width: int) -> list[str]:
    return [line.text for line in plain_lines(printable(text), _PLAIN, max(width, 1))] if text else []


def _hint_lines(hints: Sequence[Hint], width: int) -> list[tuple[Hint, ...]]:
    lines: list[tuple[Hint, ...]] = []
    used = width
    for hint in hints:
        size = cells(hint.text)
        if lines and used + 2 + size <= width:
            lines[-1] = (*lines[-1], hint)
            used += 2 + size
        else:
            lines.append((hint,))
            used = size
    return lines


def _hint_content(hints: Sequence[Hint]) -> Content:
    parts = []
    for hint in hints:
        parts.append(
            Content.assemble((hint.shown, "bold $footer-key-foreground"), (f" {hint.meaning}", "$foreground"))
        )
    return Content("  ").join(parts)

"""The keys of a screen at its bottom; a click on one does what it does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from textual.content import Content
from textual.dom import DOMNode
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

from easy_llama_tui.preferences.keymap import KeyBindings
from easy_llama_tui.text.display_text import cells

_GAP = "  "


class KeyHint(NamedTuple):
    """A key and what it does."""

    key: str
    """As keyboards call it."""
    meaning: str
    action: str
    """The screen's action that it runs."""
    short: str = ""
    """What it says instead in a narrow window."""


def keys_of(node: DOMNode) -> KeyBindings:
    """Return the keys that are in force in the app of a widget or a screen: what it says of keys is true."""
    keys = getattr(node.app, "keys", None)
    return keys if isinstance(keys, KeyBindings) else KeyBindings()


class KeyHints(Widget):
    """As many lines of keys as their words need; each key stands on one line with its meaning."""

    DEFAULT_CSS = """
    KeyHints {
        height: auto;
        padding: 0 1;
        background: $surface;
        color: $foreground;
    }
    """
    ALLOW_SELECT = False

    @dataclass
    class Chosen(Message):
        """The person clicked on a key."""

        action: str

    def __init__(self, hints: Sequence[KeyHint] = (), *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._hints = tuple(hints)

    def show_hints(self, hints: Sequence[KeyHint]) -> None:
        """Show other keys."""
        if tuple(hints) != self._hints:
            self._hints = tuple(hints)
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return how many lines the keys take."""
        return len(self._lines(width))

    def render(self) -> Content:
        """Return the keys."""
        return Content("\n").join(
            Content(_GAP)
            .join(Content.assemble((hint.key, "$footer-key-foreground"), " ", words) for hint, words in line)
            .truncate(max(self.size.width, 1), ellipsis=True)
            for line in self._lines(self.size.width)
        )

    def on_click(self, event: Click) -> None:
        """Tell what was clicked on."""
        event.stop()
        place = event.get_content_offset(self)
        lines = self._lines(self.size.width)
        if place is None or place.y >= len(lines):
            return
        start = 0
        for hint, words in lines[place.y]:
            end = start + _cells_of(hint, words)
            if start <= place.x < end:
                self.post_message(self.Chosen(hint.action))
                return
            start = end + len(_GAP)

    def _lines(self, width: int) -> list[list[tuple[KeyHint, str]]]:
        lines: list[list[tuple[KeyHint, str]]] = []
        used = 0
        for hint in self._hints:
            words = hint.meaning
            if hint.short and _cells_of(hint, words) > width:
                words = hint.short
            needed = _cells_of(hint, words)
            if not lines or used + len(_GAP) + needed > width:
                lines.append([])
                used = 0
            used += needed + (len(_GAP) if lines[-1] else 0)
            lines[-1].append((hint, words))
        return lines


def _cells_of(hint: KeyHint, words: str) -> int:
    return cells(hint.key) + 1 + cells(words)

"""The keys, on a screen of their own."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from easy_llama_tui.keymap import NOTES, Key, KeyBindings

_HEADINGS = {
    "prompt": "Writing",
    "chat": "The chat",
    "app": "Everywhere",
    "messages": "Among the messages (↑ in an empty prompt)",
    "log": "In the chat's text",
}
"""What the help calls the places where keys work, in its order."""


class HelpScreen(ModalScreen[None]):
    """Lists every key and what it does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q,enter,ctrl+c", "dismiss", "Close the help", show=False)
    ]

    def __init__(self, keys: KeyBindings) -> None:
        """Show these keys."""
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Show the keys in one column that scrolls."""
        with VerticalScroll(id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "Esc closes"
            yield Static(_listing(self._keys), id="help-keys")


def _listing(bindings: KeyBindings) -> Content:
    contexts = bindings.contexts()
    places = {place: contexts[place] for place in _HEADINGS if place in contexts}
    width = max(len(_how(key)) for keys in places.values() for key in keys) + 2
    lines: list[Content] = []
    for place, keys in places.items():
        lines += [Content(""), Content.styled(_HEADINGS[place], "bold")]
        lines += [_line(_how(key), key.description, width) for key in keys]
        if place == "prompt":
            lines += [_line(how, what, width) for how, what in NOTES]
    return Content("\n").join(lines[1:])


def _how(key: Key) -> str:
    """Return the keys of an action, and what can be typed instead."""
    return " or ".join(part for part in (key.shown, key.typed) if part)


def _line(how: str, what: str, width: int) -> Content:
    return Content.assemble((how.ljust(width), "bold $footer-key-foreground"), what)

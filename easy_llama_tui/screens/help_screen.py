"""The keys, on a screen of their own."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from easy_llama_tui.keymap import CHAT_KEYS, NOTES, PROMPT_KEYS


class HelpScreen(ModalScreen[None]):
    """Lists every key and what it does."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q,enter,ctrl+c", "dismiss", "Close the help", show=False)
    ]

    def compose(self) -> ComposeResult:
        """Show the keys in one column that scrolls."""
        with VerticalScroll(id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "Esc closes"
            yield Static(_keys(), id="help-keys")


def _keys() -> Content:
    rows = [(key.shown, key.description) for key in PROMPT_KEYS]
    rows += NOTES
    rows += [
        (key.shown, f"{key.description}{f'  (or type {key.typed})' if key.typed else ''}")
        for key in CHAT_KEYS
    ]
    width = max(len(keys) for keys, _ in rows) + 2
    return Content("\n").join(
        Content.assemble((keys.ljust(width), "bold $footer-key-foreground"), meaning)
        for keys, meaning in rows
    )

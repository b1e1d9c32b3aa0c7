"""The keys, on a screen of their own."""

from collections.abc import Iterator
from typing import ClassVar

from rich.style import Style
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from easy_llama_tui.preferences.key import Key
from easy_llama_tui.preferences.keymap import NOTES, KeyBindings
from easy_llama_tui.preferences.panel_keys import HELP_KEYS
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.text.display_text import cells, wrap

_HEADINGS = {
    "prompt": "Writing",
    "chat": "The chat",
    "app": "Everywhere",
    "messages": "Among the messages (↑ in an empty prompt)",
    "log": "In the chat's text",
    "rows": "In the lists of panels",
    "format": "The panel of formats",
    "preview": "The preview of the prompt",
    "sampler": "The panel of the sampler",
    "candidates": "The panel of candidates",
    "context": "The panel of the context",
    "pick": "Lists of models, chats and colours",
    "models": "The list of models",
    "chats": "The list of chats",
    "chat_rows": "The chats, reached with Tab",
    "tree": "The tree of a chat",
    "making": "How a reply was made",
    "memory": "A model that may not fit",
    "tokens": "Inspecting tokens",
    "token_text": "The text of the tokens",
    "edit": "Editing a message",
    "export": "Exporting a chat",
    "name": "Where a name is asked for",
    "unsaved": "Leaving while chats cannot be saved",
    "recovery": "A damaged chat",
}
"""What the help calls the places where keys work, in its order."""
_GAP = 2
_NARROW = 24
"""Cells beside the keys below which what they do is told under them instead."""
_INDENT = 4
"""Cells that it is indented by there."""


class HelpScreen(Dialog[None]):
    """Lists every key and what it does."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in HELP_KEYS]

    def __init__(self, keys: KeyBindings) -> None:
        """Show these keys."""
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Show the keys in one column that scrolls."""
        with VerticalScroll(id="help") as box:
            box.border_title = "Keys"
            box.border_subtitle = Content(self._keys.said("{help-close} closes"))
            yield _Listing(self._keys, id="help-keys")


class _Listing(Static):
    """The keys in one column and what they do in another, as wide as there is room."""

    def __init__(self, keys: KeyBindings, id: str) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id, markup=False)
        self._keys = keys

    def on_resize(self) -> None:
        """Break the lines anew."""
        self.update(_listing(self._keys, self.size.width))


def _listing(bindings: KeyBindings, width: int) -> Content:
    contexts = bindings.contexts()
    places = {place: contexts[place] for place in _HEADINGS if place in contexts}
    column = max(cells(_how(key)) for keys in places.values() for key in keys) + _GAP
    lines: list[Content] = []
    for place, keys in places.items():
        lines.append(Content(""))
        lines += [Content.styled(line, "bold") for line in _broken(_HEADINGS[place], width)]
        told = [(_how(key), key.description) for key in keys]
        for how, what in [*told, *(NOTES if place == "prompt" else ())]:
            lines += _rows(how, what, column, width)
    return Content("\n").join(lines[1:])


def _how(key: Key) -> str:
    """Return the keys of an action, and what can be typed instead."""
    return " or ".join(part for part in (key.shown, key.typed) if part)


def _rows(how: str, what: str, column: int, width: int) -> Iterator[Content]:
    """Yield the rows of one action, all that is said of it in a column of its own."""
    style = "bold $footer-key-foreground"
    if width - column < _NARROW:
        for row in _broken(how, width):
            yield Content.styled(row, style)
        for row in _broken(what, width - _INDENT):
            yield Content(" " * _INDENT + row)
        return
    first, *others = _broken(what, width - column)
    yield Content.assemble((how + " " * (column - cells(how)), style), first)
    for row in others:
        yield Content(" " * column + row)


def _broken(text: str, width: int) -> list[str]:
    return [line.text for line in wrap([(text, Style())], max(width, 1))]

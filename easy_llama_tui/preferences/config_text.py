"""The configuration written out, with every setting explained: what `--print-config` prints."""

import textwrap
from collections.abc import Iterator
from typing import Final

import tomli_w

from easy_llama_tui import locations
from easy_llama_tui.preferences.config import settings
from easy_llama_tui.preferences.config_values import AUTOMATIC, printable_line
from easy_llama_tui.preferences.keymap import KeyBindings

_WIDTH: Final = 100

_SECTIONS: Final = {
    "model": "The model. The command line's own options come before these.",
    "chat": "What new chats begin with. The command line's own options come before these.",
    "appearance": "The look.",
    "candidates": "The panel that shows what else could have come next.",
    "keys": 'The keys: action = "key", or "key,key" for several, or "" for none. '
    "A key is written like ctrl+r, alt+left, f5 or pageup. Ctrl+M, Ctrl+I, Ctrl+[ and Ctrl+H are Enter, Tab, "
    "Esc and Backspace to a terminal, Alt+Enter is mostly Enter, and Ctrl+Shift and Ctrl+Alt with a letter "
    "are mostly Ctrl with it: these cannot be used. Many terminals keep Shift+Enter and Ctrl+Enter from "
    "being told from Enter. F10 and F11 are often the desktop's, Ctrl+B is tmux's. Letters can be used "
    "only where nothing is written.",
}
_CONTEXTS: Final = {
    "app": "Anywhere",
    "chat": "In the chat",
    "prompt": "In the prompt",
    "log": "In the text of the chat, while it has the focus (Tab)",
    "messages": "Among the messages (↑ in an empty prompt)",
    "rows": "In the lists of panels",
    "format": "In the panel of formats",
    "preview": "In the preview of the prompt, which Tab reaches from the formats",
    "sampler": "In the panel of the sampler",
    "candidates": "In the panel of candidates, beside those of the lists of panels",
    "context": "In the panel of the context, beside those of the lists of panels",
    "pick": "In the lists of models, chats and colours",
    "models": "In the list of models",
    "chats": "In the list of chats",
    "chat_rows": "In the list of chats, when Tab went from the field to the chats",
    "edit": "Where a message is edited",
    "export": "Where a chat is exported",
    "name": "Where a name is asked for",
    "tree": "In the tree of a chat, beside those of the lists of panels",
    "making": "Where it is told how a reply was made",
    "memory": "Where a model may not fit the memory, beside those of the lists of panels",
    "tokens": "Where tokens are inspected, beside those of the candidates",
    "token_text": "In the text of the tokens",
    "unsaved": "Where chats cannot be saved, before the program ends",
    "recovery": "Where a copy of a damaged chat is offered",
    "help": "In the help",
    "palette": "In the list of commands",
}


def default_config_text() -> str:
    """Return a configuration file in which every setting is explained, and is a comment with its default."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from _comment("The configuration of ezllama-tui.")
    yield "#"
    yield from _comment(
        "It is TOML, and belongs in the file below. Each setting stands here as a comment, with its default: "
        'take away the "#" before it, and change it. What is wrong is reported when the program starts, and '
        "left out."
    )
    yield f"# {printable_line(str(locations.config_file()))}"
    last = ""
    for setting in settings():
        if setting.section != last:
            yield from _heading(setting.section)
            last = setting.section
        yield ""
        yield from _comment(setting.doc)
        yield from _comment(f"Allowed: {setting.kind.allowed}.")
        yield _entry(setting.key, setting.default)
    yield from _heading("keys")
    for context, keys in KeyBindings().contexts().items():
        yield ""
        yield from _comment(f"{_CONTEXTS[context]}:")
        for key in keys:
            yield ""
            yield from _comment(f"{key.description}.")
            yield _entry(key.id, key.keys)


def _heading(section: str) -> Iterator[str]:
    yield ""
    yield ""
    yield from _comment(_SECTIONS[section])
    yield f"[{section}]"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _entry(key: str, default: object) -> str:
    value = AUTOMATIC if default is None else list(default) if isinstance(default, tuple) else default
    return "#" + tomli_w.dumps({key: value}).strip()

"""The commands of the palette: every key's action by name."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from easy_llama_tui.preferences.key import Key
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.screens.chat_screen import ChatScreen
from easy_llama_tui.screens.palette import Command, Palette

_FIRST: Final = ("new", "chats", "model", "format", "sampler", "candidates", "context", "theme")
"""What people look for in a list of commands, before what they do with a reply, whose keys they learn."""
_LAST: Final = ("help", "quit")


def chat_palette(chat: ChatScreen) -> Palette:
    """Return the palette for a chat, with what can be done at this moment."""
    return Palette(_commands_of(chat))


def _commands_of(chat: ChatScreen) -> list[Command]:
    keys = chat.settings.config.keys
    can_stop = chat.turns.running is not None or chat.turns.state is ChatState.LOADING
    return commands((*keys.chat, *keys.app), chat.run_action, can_stop)


def commands(keys: Iterable[Key], run: Callable[[str], Any], can_stop: bool) -> list[Command]:
    """Return the commands for these keys, in the order in which they are looked for.

    Args:
        keys: the actions.
        run: runs an action.
        can_stop: whether there is a reply, or a model that loads, to stop.
    """
    offered = [key for key in keys if _is_offered(key, can_stop)]
    return [
        Command(key.description, key.shown or key.typed, partial(run, key.action), f"{key.shown} {key.typed}")
        for key in sorted(offered, key=_place)
    ]


def _is_offered(key: Key, can_stop: bool) -> bool:
    # What Ctrl+C means, the moment says, and a palette has none.
    return key.id not in ("interrupt", "commands") and (can_stop or key.id != "stop")


def _place(key: Key) -> int:
    if key.id == "stop":
        return -1
    if key.id in _FIRST:
        return _FIRST.index(key.id)
    return len(_FIRST) + (key.id in _LAST)

"""Every key of the chat, once: the bindings, the help screen, the commands and `[keys]` are made from it.

Loads no Textual, so that the configuration can be read and written out without it.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import fields
from itertools import combinations
from typing import Final

from easy_llama.record import Record
from easy_llama_tui.preferences import panel_keys
from easy_llama_tui.preferences.key import Key
from easy_llama_tui.preferences.key_names import (
    FIELD_EDITING_KEYS,
    PROMPT_EDITING_KEYS,
    KeyNameError,
    is_typed,
    read_key,
    shown,
    with_aliases,
)

_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "chat": ("app",),
    **dict.fromkeys(("prompt", "log", "messages"), ("app", "chat")),
    **{context: ("app", "chat", *others) for context, others in panel_keys.BESIDE.items()},
    **panel_keys.OVER,
}
"""The contexts whose keys work at the same time as those of another."""

_WHERE_ONE_WRITES: Final = ("app", "chat", "prompt", *panel_keys.WHERE_ONE_TYPES)
"""The contexts whose keys work while the prompt, or a field, has the focus."""

_WHERE_TEXTS_ARE_WRITTEN: Final = ("app", "chat", "prompt", "edit")
"""Those of them where that is a text of several lines."""

_PLACEHOLDER: Final = re.compile(r"\{([a-z-]+)\}")

_ENTER_KEYS: Final = ("send", "newline")
"""The actions that Enter may have."""

_NEEDED: Final = {
    "send": "nothing could be sent",
    **dict.fromkeys(panel_keys.WAYS_OUT, "there were no way back"),
}
"""The actions that cannot be without a key, and why."""

_MAX_KEYS_LENGTH: Final = 100
"""Characters that the keys of one action may take in the configuration."""


APP_KEYS = (
    Key("commands", "ctrl+p", "Ctrl+P", "command_palette", "Show the list of commands", priority=True),
    Key("suspend", "", "", "app.suspend_process", "Go back to the shell; fg goes on", typed="/suspend"),
    Key("quit", "ctrl+q", "Ctrl+Q", "quit", "Save and quit", priority=True, typed="/quit"),
)
"""What the app can do, whatever screen is open."""


CHAT_KEYS = (
    Key("stop", "escape", "Esc", "stop", "Stop reading, writing or loading", typed="/stop"),
    Key("reroll", "ctrl+r", "Ctrl+R", "reroll", "Re-roll the last reply", priority=True, typed="/reroll"),
    Key(
        "previous-alternative",
        *("alt+left", "Alt+←", "alternative(-1)", "Show the alternative before"),
        priority=True,
    ),
    Key(
        "next-alternative",
        *("alt+right", "Alt+→", "alternative(1)", "Show the alternative after"),
        priority=True,
    ),
    Key(
        "continue",
        *("f8", "F8", "continue", "Continue the last reply"),
        priority=True,
        typed="/continue",
    ),
    Key("new", "ctrl+n", "Ctrl+N", "new_chat", "Begin a new chat", priority=True, typed="/new"),
    Key("chats", "ctrl+o", "Ctrl+O", "chats", "Show all chats", priority=True, typed="/chats"),
    Key("model", "f3", "F3", "model", "Choose the model", priority=True, typed="/model"),
    Key("format", "f2", "F2", "panel('format')", "Show the prompt format", priority=True, typed="/format"),
    Key("sampler", "f4", "F4", "panel('sampler')", "Show the sampler", priority=True, typed="/sampler"),
    Key(
        "candidates",
        *("f5", "F5", "panel('candidates')", "Show the candidates for the next token"),
        priority=True,
        typed="/candidates",
    ),
    Key("context", "f9", "F9", "panel('context')", "Show the context", priority=True, typed="/context"),
    Key(
        "reasoning",
        *("ctrl+t", "Ctrl+T", "fold_reasoning", "Fold or open the bot's reasoning"),
        priority=True,
        typed="/reasoning",
    ),
    Key("tree", "f7", "F7", "tree", "Show the tree of the chat", priority=True, typed="/tree"),
    Key("messages", "", "", "message_mode", "Go through the messages", typed="/messages"),
    Key("tokens", "", "", "tokens", "Look at the tokens of the last reply", typed="/tokens"),
    Key("prompt-tokens", "", "", "prompt_tokens", "Look at the tokens of the prompt", typed="/prompt"),
    Key("theme", "", "", "theme", "Choose the colours", typed="/theme"),
    Key("duplicate", "", "", "duplicate", "Go on in a copy of this chat", typed="/duplicate"),
    Key("export", "", "", "export", "Export this chat", typed="/export"),
    Key("undo-delete", "", "", "undo_delete", "Bring back what was deleted or changed", typed="/undo"),
    Key("help", "f1", "F1", "help", "Show the keys", priority=True, typed="/help"),
    Key(
        "interrupt",
        *("ctrl+c", "Ctrl+C", "interrupt"),
        "Copy the selection, else stop, else clear the prompt, else (twice) quit",
        priority=True,
    ),
)
"""What the chat screen can do."""

PROMPT_KEYS = (
    Key("send", "enter", "Enter", "submit", "Send the message"),
    Key("newline", "ctrl+j,shift+enter", "Ctrl+J", "newline", "Begin a new line"),
    Key("history-previous", "ctrl+up", "Ctrl+↑", "history(-1)", "Bring back an earlier message"),
    Key("history-next", "ctrl+down", "Ctrl+↓", "history(1)", "Go on to a later message"),
    Key("editor", "ctrl+g", "Ctrl+G", "edit_in_editor", "Write the message in $EDITOR"),
    Key("end-of-input", "ctrl+d", "Ctrl+D", "end_of_input", "Quit, where the prompt is empty"),
    Key("scroll-up", "pageup", "PgUp", "scroll_chat(-1)", "Scroll the chat up"),
    Key("scroll-down", "pagedown", "PgDn", "scroll_chat(1)", "Scroll the chat down"),
)
"""What the prompt can do, beside editing."""

LOG_KEYS = (
    Key("log-up", "up", "↑", "scroll_up", "Scroll up"),
    Key("log-down", "down", "↓", "scroll_down", "Scroll down"),
    Key("log-page-up", "pageup", "PgUp", "page_up", "Scroll up a page"),
    Key("log-page-down", "pagedown", "PgDn", "page_down", "Scroll down a page"),
    Key("log-home", "home", "Home", "scroll_home", "Go to the first message"),
    Key("log-end", "end", "End", "scroll_end", "Go to the end, and follow it"),
)
"""What the chat's text can do while it has the focus."""

MESSAGE_KEYS = (
    Key("message-up", "up,k", "↑", "message_step(-1)", "Go to the message above"),
    Key("message-down", "down,j", "↓", "message_step(1)", "Go to the message below"),
    Key("message-first", "home,g", "Home", "message_first", "Go to the first message"),
    Key("message-last", "end,G", "End", "message_last", "Go to the last message"),
    Key("message-page-up", "pageup", "PgUp", "message_page(-1)", "Scroll up a page"),
    Key("message-page-down", "pagedown", "PgDn", "message_page(1)", "Scroll down a page"),
    Key("message-previous", "h,left", "h", "message_key('previous')", "Show the alternative before"),
    Key("message-next", "l,right", "l", "message_key('next')", "Show the alternative after"),
    Key("message-edit", "e,enter", "e", "message_key('edit')", "Edit the message"),
    Key("message-copy", "y", "y", "message_key('copy')", "Copy the message as it is shown"),
    Key(
        "message-copy-code",
        "c",
        "c",
        "message_key('copy-code')",
        "Copy its last code block; again, the one before",
    ),
    Key("message-reroll", "r", "r", "message_key('reroll')", "Re-roll the reply"),
    Key("message-continue", "n", "n", "message_key('continue')", "Continue the reply"),
    Key("message-branch", "b", "b", "message_key('branch')", "Begin a branch after the message"),
    Key("message-delete", "d,delete", "d", "message_key('delete')", "Delete the message, and all below it"),
    Key("message-undo", "u", "u", "message_key('undo-delete')", "Bring back what was deleted or changed"),
    Key("message-pin", "p", "p", "message_key('pin')", "Pin the message, or let it go again"),
    Key("message-tokens", "t", "t", "message_key('tokens')", "Look at its tokens, and fork at one"),
    Key("message-making", "i", "i", "message_key('making')", "Show how the reply was made"),
    Key("message-tree", "T", "T", "message_key('tree')", "Show it in the tree of the chat"),
    Key("message-leave", "q", "q", "message_leave", "Go back to the prompt; so does Esc"),
)
"""What can be done with one message, in the message mode."""

NOTES = (
    ("Shift+Enter", "A new line too, where the terminal can tell it from Enter"),
    ("\\ then Enter", "A new line, anywhere"),
    ("@path", "Attaches a text file; Tab completes the path"),
    ("! then Enter", "The list of commands, in an otherwise empty prompt"),
    ("< then Enter", "Words that the bot's next message begins with"),
    ("!! then Enter", "A system message"),
    ("↑", "Through the messages, from an empty prompt"),
    ("Tab", "Into the chat, to scroll with the arrow keys; Tab again to come back"),
)
"""What else the help screen says of keys."""


class KeyBindings(Record):
    """All keys, by where they work. As it is made without arguments, the defaults."""

    app: tuple[Key, ...] = APP_KEYS
    """Work everywhere."""

    chat: tuple[Key, ...] = CHAT_KEYS
    """Work in the chat, whatever has the focus."""

    prompt: tuple[Key, ...] = PROMPT_KEYS
    """Work while the prompt has the focus."""

    log: tuple[Key, ...] = LOG_KEYS
    """Work while the chat's text has the focus."""

    messages: tuple[Key, ...] = MESSAGE_KEYS
    """Work in the message mode, instead of those for the chat's text."""

    rows: tuple[Key, ...] = panel_keys.ROW_KEYS
    """Work in the lists of panels."""

    format: tuple[Key, ...] = panel_keys.FORMAT_KEYS
    """Work in the panel of formats."""

    preview: tuple[Key, ...] = panel_keys.PREVIEW_KEYS
    """Work in the preview of the prompt."""

    sampler: tuple[Key, ...] = panel_keys.SAMPLER_KEYS
    """Work in the panel of the sampler."""

    candidates: tuple[Key, ...] = panel_keys.CANDIDATE_KEYS
    """Work in the panel of candidates."""

    context: tuple[Key, ...] = panel_keys.CONTEXT_KEYS
    """Work in the panel of the context."""

    pick: tuple[Key, ...] = panel_keys.PICK_KEYS
    """Work in the lists of models, chats and colours."""

    models: tuple[Key, ...] = panel_keys.MODELS_KEYS
    """Work in the list of models."""

    chats: tuple[Key, ...] = panel_keys.CHATS_KEYS
    """Work in the list of chats."""

    chat_rows: tuple[Key, ...] = panel_keys.CHAT_ROW_KEYS
    """Work in the list of chats while the chats have the focus."""

    edit: tuple[Key, ...] = panel_keys.EDIT_KEYS
    """Work where a message is edited."""

    export: tuple[Key, ...] = panel_keys.EXPORT_KEYS
    """Work where a chat is exported."""

    name: tuple[Key, ...] = panel_keys.NAME_KEYS
    """Work where a name is asked for."""

    tree: tuple[Key, ...] = panel_keys.TREE_KEYS
    """Work in the tree of a chat."""

    making: tuple[Key, ...] = panel_keys.MAKING_KEYS
    """Work where it is told how a reply was made."""

    memory: tuple[Key, ...] = panel_keys.MEMORY_KEYS
    """Work where a model may not fit the memory."""

    tokens: tuple[Key, ...] = panel_keys.TOKEN_KEYS
    """Work where tokens are inspected."""

    token_text: tuple[Key, ...] = panel_keys.TOKEN_TEXT_KEYS
    """Work there while the text has the focus, and not the candidates."""

    unsaved: tuple[Key, ...] = panel_keys.UNSAVED_KEYS
    """Work where it is asked what to do with what cannot be saved."""

    recovery: tuple[Key, ...] = panel_keys.RECOVERY_KEYS
    """Work where a copy of a damaged chat is offered."""

    help: tuple[Key, ...] = panel_keys.HELP_KEYS
    """Work in the help."""

    palette: tuple[Key, ...] = panel_keys.PALETTE_KEYS
    """Work in the list of commands."""

    def contexts(self) -> dict[str, tuple[Key, ...]]:
        """Return the keys of each field by its name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def by_id(self) -> dict[str, Key]:
        """Return all keys by their ids."""
        return {key.id: key for keys in self.contexts().values() for key in keys}

    def said(self, sentence: str) -> str:
        """Return a sentence with the keys in force in place of actions: "{stop} stops it" as "Esc stops it".

        Names that are no action's stay as they are.
        """
        keys = self.by_id()
        return _PLACEHOLDER.sub(lambda match: keys[match[1]].said if match[1] in keys else match[0], sentence)

    def keymap(self) -> dict[str, str]:
        """Return what differs from the defaults, as `textual.app.App.set_keymap` wants it."""
        defaults = KeyBindings().by_id()
        return {id_: key.textual_keys() for id_, key in self.by_id().items() if key != defaults[id_]}


class KeyProblem(Record):
    """A key that cannot be used for an action."""

    id: str
    """The action."""

    reason: str
    """Why, and which keys are used instead; it may quote what the person wrote."""


def effective_bindings(overrides: Mapping[str, str]) -> tuple[KeyBindings, tuple[KeyProblem, ...]]:
    """Return the keys of all actions, with those that a person chose, and what is wrong with the choice.

    A key is left out that does not exist, that no terminal can send, that writing in the prompt needs, or
    that another action has in the same place; of two such actions the one that was not changed keeps it,
    else the first. An action that has no good key left has its defaults.

    Args:
        overrides: Action id to keys, as in {"reroll": "ctrl+r,f5"}; "" takes an action's keys away.
    """
    defaults = KeyBindings()
    if not overrides:
        return defaults, ()
    contexts = {key.id: name for name, keys in defaults.contexts().items() for key in keys}
    chosen: dict[str, tuple[str, ...]] = {}
    reasons: list[tuple[str, str]] = []
    for id_, text in overrides.items():
        if id_ not in contexts:
            near = difflib.get_close_matches(id_, contexts, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(contexts)}"
            reasons.append((id_, f"there is no action of that name; {hint}"))
            continue
        names, wrong = _read_keys(defaults.by_id()[id_], contexts[id_], text)
        reasons += [(id_, reason) for reason in wrong]
        if names or not (text.strip() or wrong):
            chosen[id_] = names
    reasons += _settle_conflicts(defaults, contexts, chosen)
    bindings = _with_keys(defaults, chosen)
    return bindings, tuple(
        KeyProblem(id_, reason + _used_instead(id_, bindings, chosen)) for id_, reason in reasons
    )


def _read_keys(key: Key, context: str, text: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the good keys in `text`, each once, and what is wrong with the others."""
    if not text.strip():
        if key.id in _NEEDED:
            return (), [f"it needs a key, or {_NEEDED[key.id]}"]
        return (), []
    if len(text) > _MAX_KEYS_LENGTH:
        return (), ["that is too long for names of keys"]
    names: list[str] = []
    wrong: list[str] = []
    for part in text.split(","):
        if part.strip() in key.names:
            names.append(part.strip())
            continue
        try:
            name = read_key(part)
        except KeyNameError as error:
            wrong.append(str(error))
            continue
        if reason := _why_not_here(key, context, name):
            wrong.append(f"{shown(name)} cannot be used here: {reason}")
        elif name not in names:
            names.append(name)
    if key.id == "send" and names and all(name.endswith("+enter") for name in names):
        also = ",".join((*names, "ctrl+s"))
        return (), [*wrong, f'many terminals send plain Enter for it; give another key too, as in "{also}"']
    return tuple(names), wrong


def _why_not_here(key: Key, context: str, name: str) -> str:
    if context not in _WHERE_ONE_WRITES or name in key.names:
        return ""
    if name.endswith("enter"):
        return "" if key.id in _ENTER_KEYS else "Enter is for sending and for new lines"
    if context not in _WHERE_TEXTS_ARE_WRITTEN:
        return "the field above needs it" if is_typed(name) or name in FIELD_EDITING_KEYS else ""
    if is_typed(name):
        return "writing in the prompt needs it"
    if context != "prompt" and not key.priority and name in PROMPT_EDITING_KEYS:
        return "the prompt edits with it"
    return ""


def _settle_conflicts(
    defaults: KeyBindings, contexts: Mapping[str, str], chosen: dict[str, tuple[str, ...]]
) -> list[tuple[str, str]]:
    """Take keys out of `chosen` until each has one meaning, and return whose and why."""
    reasons: list[tuple[str, str]] = []
    while conflict := _first_conflict(_with_keys(defaults, chosen), contexts, chosen):
        first, second = conflict
        loser, keeper = (second, first) if second.id in chosen else (first, second)
        taken = _shared(loser, keeper)
        names = " and ".join(map(shown, taken))
        reasons.append(
            (
                loser.id,
                f'{names} {"are already keys" if len(taken) > 1 else "is already the key"} of "{keeper.id}"',
            )
        )
        if left := tuple(name for name in loser.names if name not in taken):
            chosen[loser.id] = left
        else:
            # Its defaults may be another's by now, who then loses them in the next round.
            del chosen[loser.id]
    return reasons


def _first_conflict(
    bindings: KeyBindings, contexts: Mapping[str, str], chosen: Mapping[str, object]
) -> tuple[Key, Key] | None:
    """Return two actions that share a key in the same place, if any; the defaults share none."""
    for first, second in combinations(bindings.by_id().values(), 2):
        if (first.id in chosen or second.id in chosen) and _shared(first, second):
            one, other = contexts[first.id], contexts[second.id]
            if one == other or one in _BESIDE.get(other, ()) or other in _BESIDE.get(one, ()):
                return first, second
    return None


def _shared(key: Key, other: Key) -> tuple[str, ...]:
    """Return which keys of the first action the other one has too."""
    return tuple(name for name in key.names if not set(with_aliases(name)).isdisjoint(other.all_names))


def _with_keys(bindings: KeyBindings, chosen: Mapping[str, tuple[str, ...]]) -> KeyBindings:
    def changed(key: Key) -> Key:
        if key.id not in chosen or chosen[key.id] == key.names:
            return key
        return key.with_keys(chosen[key.id])

    return KeyBindings(**{name: tuple(map(changed, keys)) for name, keys in bindings.contexts().items()})


def _used_instead(id_: str, bindings: KeyBindings, chosen: Mapping[str, tuple[str, ...]]) -> str:
    key = bindings.by_id().get(id_)
    if key is None:
        return ""
    return f'; "{key.keys}" is used' if id_ in chosen else f'; the default, "{key.keys}", is used'

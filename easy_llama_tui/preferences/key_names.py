"""The names of keys, and what terminals really send for them.

A name is Textual's: modifiers in the order of the alphabet, then the key, as in "alt+ctrl+left" or "ctrl+r".
What arrives for a key was seen by feeding the sequences of terminals to `textual._xterm_parser`.
"""

import difflib
import string
import unicodedata
from functools import cache
from typing import Final

MODIFIERS: Final = ("alt", "ctrl", "hyper", "meta", "shift", "super")

_MODIFIER_ALIASES: Final = {"control": "ctrl", "option": "alt", "opt": "alt", "cmd": "super"}
_ALIASES: Final = {
    **{"esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "del": "delete"},
    **{"ins": "insert", "page_up": "pageup", "page_down": "pagedown"},
}
_FUNCTION_KEYS: Final = tuple(f"f{number}" for number in range(1, 13))
_CURSOR_KEYS: Final = ("left", "right", "up", "down", "home", "end")
_NAMED_KEYS: Final = (
    *("escape", "enter", "tab", "backspace", "delete", "insert", "pageup", "pagedown"),
    *_CURSOR_KEYS,
    *_FUNCTION_KEYS,
)
_SHOWN: Final = {
    **{"escape": "Esc", "pageup": "PgUp", "pagedown": "PgDn", "delete": "Del", "insert": "Ins"},
    **{"left": "←", "right": "→", "up": "↑", "down": "↓"},
}
# Textual's `KEY_NAME_REPLACEMENTS`: the names that Unicode gives are not what people say.
_COMMON_NAMES: Final = {
    **{"solidus": "slash", "reverse_solidus": "backslash", "commercial_at": "at"},
    **{"hyphen_minus": "minus", "plus_sign": "plus", "low_line": "underscore"},
}


def _character_name(character: str) -> str:
    if character.isalnum():
        return character
    name = unicodedata.name(character, character).lower().replace("-", "_").replace(" ", "_")
    return _COMMON_NAMES.get(name, name)


_PUNCTUATION: Final = {_character_name(character): character for character in string.punctuation + " "}
_CTRL_PUNCTUATION: Final = (
    *("backslash", "right_square_bracket", "circumflex_accent", "underscore", "slash", "space"),
)
"""The punctuation that terminals have a Ctrl code for, Esc (Ctrl+[) left out."""

_SAME_CODE: Final = {"m": "Enter", "i": "Tab", "h": "Backspace", "left_square_bracket": "Esc"}
"""What terminals send for Ctrl and these: ASCII has one code for both."""

_ALSO: Final = {
    "ctrl+space": ("ctrl+@",),  # NUL
    "ctrl+slash": ("ctrl+underscore",),  # US
    # xterm's modifyOtherKeys, as Textual names it
    "shift+enter": ("shift+\r",),
    "ctrl+enter": ("ctrl+\r",),
}

PROMPT_EDITING_KEYS: Final = frozenset(
    {
        *("ctrl+left", "ctrl+right", "ctrl+shift+left", "ctrl+shift+right"),
        *("shift+left", "shift+right", "shift+up", "shift+down", "shift+home", "shift+end"),
        *("ctrl+a", "ctrl+e", "ctrl+w", "ctrl+u", "ctrl+k", "ctrl+d", "ctrl+shift+k"),
        *("ctrl+x", "ctrl+c", "ctrl+v", "ctrl+z", "ctrl+y", "super+c", "super+x", "super+y", "super+z"),
        *("ctrl+backspace", "alt+backspace", "super+backspace", "alt+delete"),
        *("f6", "f7", "pageup", "pagedown"),
    }
)
"""The keys, beside those that type, that Textual's `TextArea` edits with."""


FIELD_EDITING_KEYS: Final = frozenset(
    {
        *("ctrl+left", "ctrl+right", "ctrl+shift+left", "ctrl+shift+right"),
        *("shift+left", "shift+right", "shift+home", "shift+end", "ctrl+shift+a"),
        *("ctrl+a", "ctrl+e", "ctrl+w", "ctrl+u", "ctrl+k", "ctrl+d"),
        *("ctrl+x", "ctrl+c", "ctrl+v", "super+c"),
        *("ctrl+backspace", "alt+backspace", "super+backspace"),
    }
)
"""The keys, beside those that type, that Textual's `Input` edits with."""


class KeyNameError(ValueError):
    """No key can be bound by that name; the message says why, and names the nearest one if any."""


def read_key(text: str) -> str:
    """Return Textual's name of the key that a person wrote, such as "Ctrl+R", "?" or "pgup".

    Raises:
        KeyNameError: there is no such key, or a terminal does not tell it from another one.
    """
    key = _normalised(text.strip())
    if reason := _why_not(key):
        raise KeyNameError(f"{shown(key)} cannot be used: {reason}")
    return key


def with_aliases(key: str) -> tuple[str, ...]:
    """Return all names that Textual may give to one key."""
    return (key, *_ALSO.get(key, ()))


def is_typed(key: str) -> bool:
    """Return whether writing in the prompt takes this key: it types, erases or moves the cursor."""
    return "+" not in key and (_is_character(key) or key in (*_CURSOR_KEYS, "backspace", "delete"))


@cache
def shown(key: str) -> str:
    """Return what a person calls a key: "Ctrl+R", "Alt+←", "PgUp"."""
    *modifiers, base = key.split("+")
    # "Ctrl+Shift", as keyboards' own documentation has it, not "Alt+Ctrl".
    modifiers.sort(key=("super", "hyper", "meta", "ctrl", "alt", "shift").index)
    return "+".join((*(modifier.capitalize() for modifier in modifiers), _shown_base(base, bool(modifiers))))


@cache
def short(key: str) -> str:
    """Return the shortest thing to call a key: "^R", "Alt+←", "Esc"."""
    modifiers, _, base = key.rpartition("+")
    if key == "backspace":
        return "⌫"
    return f"^{_shown_base(base, True)}" if modifiers == "ctrl" and len(base) == 1 else shown(key)


def _shown_base(base: str, is_modified: bool) -> str:
    if len(base) == 1:
        return base.upper() if is_modified else base
    if base == "space":
        return "Space"
    return _SHOWN.get(base) or _PUNCTUATION.get(base) or base.capitalize()


def _is_character(base: str) -> bool:
    return len(base) == 1 or base in _PUNCTUATION


def _normalised(text: str) -> str:
    if text in ("", "+"):
        before, base = "", text
    elif text.endswith("++"):
        before, base = text[:-2], "+"
    else:
        before, _, base = text.rpartition("+")
    modifiers = {_modifier(name.strip().lower(), text) for name in before.split("+")} if before else set()
    base = base.strip()
    if len(base) == 1 and base.isprintable():
        # "Ctrl+R" is Ctrl and the key R; "R" alone is what Shift and the key R type.
        base = _character_name(base.lower() if modifiers and base.isascii() else base)
    else:
        base = _base(base.lower(), before)
    return "+".join((*sorted(modifiers), base))


def _modifier(name: str, text: str) -> str:
    name = _MODIFIER_ALIASES.get(name, name)
    if name not in MODIFIERS:
        near = difflib.get_close_matches(name, MODIFIERS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(MODIFIERS)}"
        raise KeyNameError(f"no modifier is called {name!r} in {text!r} ({hint})")
    return name


def _base(name: str, modifiers: str) -> str:
    name = _ALIASES.get(name, _COMMON_NAMES.get(name, name))
    if name not in _NAMED_KEYS and name not in _PUNCTUATION:
        near = difflib.get_close_matches(name, (*_NAMED_KEYS, *_PUNCTUATION), n=1, cutoff=0.5)
        prefix = f"{modifiers}+" if modifiers else ""
        hint = f"did you mean {prefix + near[0]!r}?" if near else "names look like ctrl+r, alt+left or f5"
        raise KeyNameError(f"no key is called {prefix + name!r} ({hint})")
    return name


def _why_not(key: str) -> str:
    """Return why no terminal, or only few, would ever send this key; "" where it can be bound."""
    *names, base = key.split("+")
    modifiers = frozenset(names)
    if base == "tab":
        return "Tab moves between the prompt and the chat"
    if modifiers & {"super", "hyper", "meta"} or not modifiers:
        return ""
    if _is_character(base):
        return _why_no_character(modifiers, base)
    if base == "enter" and "alt" in modifiers:
        return "most terminals send plain Enter for it, which would send the message"
    if base in ("escape", "backspace"):
        return f"most terminals send plain {shown(base)} or another key for it"
    if base == "f3":
        return "what terminals send for it cannot be told from a report of the cursor's place"
    return ""


def _why_no_character(modifiers: frozenset[str], base: str) -> str:
    character = _PUNCTUATION.get(base, base)
    if modifiers == {"shift"}:
        return f"write the character that it types, such as {character.upper()!r}"
    if "ctrl" in modifiers:
        if base in _SAME_CODE:
            return f"terminals send the same for it as for {_SAME_CODE[base]}"
        if not (base.isascii() and base.isalpha() and len(base) == 1) and base not in _CTRL_PUNCTUATION:
            return "most terminals have no code for it"
        if len(modifiers) > 1:
            return f"most terminals send Ctrl+{_shown_base(base, True)} for it"
        return ""
    if modifiers == {"alt"} and base in ("b", "f"):
        return f"it arrives as {'Ctrl+←' if base == 'b' else 'Ctrl+→'}"
    if not base.isalpha() or len(base) > 1:
        return "it arrives as a character"
    return ""

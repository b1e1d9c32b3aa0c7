"""Text of tokens, with signs for spaces, newlines and whatever else would not be seen. Pure."""

import unicodedata
from functools import lru_cache

from rich.cells import get_character_cell_size

from easy_llama_tui.text.display_text import cells, printable

EMPTY = "∅"
"""Stands for a text without characters."""

_SIGNS = {"\n": "⏎", "\t": "⇥", "\r": "␍", "\u00a0": "⍽"}
_WITHOUT_SHAPE = frozenset({"Cf", "Zs", "Zl", "Zp"})
_JOINING = frozenset({"Mn", "Me", "Mc"})


@lru_cache(maxsize=8192)
def visible(text: str, *, space: str = "·") -> str:
    """Return `text` on one line, with a sign for each character that would not be seen.

    A space is `·` (or what `space` says), a newline `⏎`, a tab `⇥`, a carriage return `␍`, a
    no-break space `⍽`; other spaces and format characters are their code in hexadecimal, like `⟨200b⟩`;
    control characters are as in `display_text.printable`. No text at all is `∅`.
    """
    if not text:
        return EMPTY
    shown = "".join([space if character == " " else _sign(character) for character in text])
    # Alone, an accent or a skin tone would land on whatever stands before it.
    is_joining = unicodedata.category(shown[0]) in _JOINING or not cells(shown)
    return f"◌{shown}" if is_joining else shown


def fitted(text: str, width: int) -> str:
    """Return `text` in exactly `width` cells: spaces at its end, or `…` where it was cut."""
    room = cells(text)
    if room > width:
        text = _head(text, width - 1) + "…" if width > 0 else ""
        room = cells(text)
    return text + " " * (width - room)


def ending_of(text: str, width: int) -> str:
    """Return `text`, or `…` and its end, in at most `width` cells."""
    if cells(text) <= width:
        return text
    return "…" + _head(text[::-1], width - 1)[::-1] if width > 0 else ""


def _sign(character: str) -> str:
    if sign := _SIGNS.get(character):
        return sign
    if unicodedata.category(character) in _WITHOUT_SHAPE or not printable(character):
        return f"⟨{ord(character):x}⟩"
    return printable(character)


def _head(text: str, width: int) -> str:
    """Return as much of the beginning of `text` as there is room for in `width` cells."""
    used = 0
    for index, character in enumerate(text):
        used += 1 if character == "\ufe0f" else get_character_cell_size(character)
        if used > width:
            return text[:index]
    return text

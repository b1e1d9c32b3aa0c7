"""The kinds of values that the configuration holds: what each allows, in words and in code."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from easy_llama.record import Record

AUTOMATIC: Final = "auto"
"""What stands for None, which TOML has no word for."""

MAX_INT: Final = 2**31 - 1
"""The largest C int: what llama.cpp counts tokens, layers and threads with."""

_SHOWN_LENGTH: Final = 60
_LISTED: Final = 16
"""The most names that an error lists."""


class Kind(Protocol):
    """What a setting may be."""

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""

    def read(self, value: object) -> object:
        """Return the value that a TOML value stands for.

        Raises:
            ValueError: it is not allowed; the message says why, and what is.
        """


class YesNo:
    """True or false."""

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return "true or false"

    def read(self, value: object) -> bool:
        """Return the value; see `Kind`."""
        if not isinstance(value, bool):
            raise ValueError(f"{shown(value)} is not {self.allowed}, without quotes")
        return value


class Whole(Record):
    """A whole number in a range, or None where the choice is left to the program."""

    low: int
    high: int = MAX_INT
    automatic: bool = False
    """Whether "auto" is allowed."""

    zero_is_automatic: bool = False
    """Whether 0 says the same."""

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        numbers = f"a whole number from {self.low} to {self.high}"
        if self.high == MAX_INT:
            numbers = f"a whole number, {self.low} or more"
        if not self.automatic:
            return numbers
        return f'{numbers}, or "{AUTOMATIC}"{" (or 0)" if self.zero_is_automatic else ""}'

    def read(self, value: object) -> int | None:
        """Return the value; see `Kind`."""
        if self.automatic and value == AUTOMATIC:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{shown(value)} is not {self.allowed}")
        if self.zero_is_automatic and value == 0:
            return None
        if value > self.high == MAX_INT:
            raise ValueError(f"{shown(value)} is too large; the largest is {MAX_INT}")
        if not self.low <= value <= self.high:
            raise ValueError(f"{shown(value)} is not {self.allowed}")
        return value


class Choice(Record):
    """One of some names, in any case."""

    names: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return "one of " + ", ".join(f'"{name}"' for name in self.names)

    def read(self, value: object) -> str:
        """Return the value; see `Kind`."""
        if not isinstance(value, str):
            raise ValueError(f"{shown(value)} is not {self.allowed}")
        by_key = {name.casefold(): name for name in self.names}
        if value.casefold() not in by_key:
            raise ValueError(f"{shown(value)} is not known ({nearest(value, self.names)})")
        return by_key[value.casefold()]


class Text:
    """Any text."""

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return "text"

    def read(self, value: object) -> str:
        """Return the value; see `Kind`."""
        if not isinstance(value, str):
            raise ValueError(f"{shown(value)} is not text in quotes")
        return value


class FilePath:
    """The path of a file, or "" for none. Nobody looks whether it is there."""

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return 'a path that is absolute or begins with "~", or ""'

    def read(self, value: object) -> str:
        """Return the value; see `Kind`."""
        if not isinstance(value, str):
            raise ValueError(f"{shown(value)} is not a path in quotes")
        return _path(value) if value else ""


class Folders:
    """Paths of folders. Nobody looks whether they are there."""

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return 'a list of paths that are absolute or begin with "~", as in ["~/models", "/data/gguf"]'

    def read(self, value: object) -> tuple[str, ...]:
        """Return the value; see `Kind`."""
        if not isinstance(value, list) or not all(isinstance(path, str) for path in value):
            raise ValueError(f"{shown(value)} is not {self.allowed}")
        return tuple(map(_path, value))


def nearest(given: str, names: Iterable[str]) -> str:
    """Return a hint at the name that was meant; where none is near, at all of them, unless they are many."""
    by_key = {name.casefold(): name for name in names}
    wanted = given[:_SHOWN_LENGTH].casefold()
    if near := difflib.get_close_matches(wanted, by_key, n=1, cutoff=0.5):
        return f'did you mean "{by_key[near[0]]}"?'
    if len(by_key) <= _LISTED:
        return "there are " + ", ".join(f'"{name}"' for name in by_key.values())
    (near_enough,) = difflib.get_close_matches(wanted, by_key, n=1, cutoff=0.0)
    return f'the nearest is "{by_key[near_enough]}"'


def shown(value: object) -> str:
    """Return a TOML value as a person wrote it, near enough; short, printable and on one line."""
    match value:
        case bool():
            text = str(value).lower()
        case str():
            text = f'"{value}"'
        case int() if value.bit_length() > 256:  # Python refuses to write very long ones in decimal
            text = hex(value)
        case list() | tuple():
            text = "a list" if value else "an empty list"
        case dict():
            text = "a table"
        case _:
            text = str(value)
    return printable_line(clipped(text))


def clipped(text: str, length: int = _SHOWN_LENGTH) -> str:
    """Return the beginning of a text that is longer than `length`, else all of it."""
    return text if len(text) <= length else f"{text[:length]}…"


def printable_line(text: str) -> str:
    """Return text with escapes for what would break a line or drive a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _path(text: str) -> str:
    if "\0" in text:
        raise ValueError(f"{shown(text)} is no path")
    # "~" stays as it is where there is no home folder.
    if not text.startswith("~") and not Path(text).is_absolute():
        raise ValueError(f'{shown(text)} is not absolute; begin it with "/" or "~/"')
    try:
        return str(Path(text).expanduser())
    except RuntimeError:
        raise ValueError(f"{shown(text)}: there is no such person's home folder") from None

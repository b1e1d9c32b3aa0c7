"""The prompt formats to choose from: the built-in ones, and a person's own from TOML files.

A person's format is a file `NAME.toml` with the keys of `easy_llama.formats`: `system_prefix`,
`system_prompt`, `system_suffix`, `user_prefix`, `user_suffix`, `bot_prefix`, `bot_suffix` and `stops`.
What is left out is empty.
"""

import copy
import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import easy_llama
from easy_llama.record import Record
from easy_llama_tui.replies.engine import OWN_FORMAT

if TYPE_CHECKING:
    from easy_llama.formats import Format

_TEXTS = (
    *("system_prefix", "system_prompt", "system_suffix"),
    *("user_prefix", "user_suffix", "bot_prefix", "bot_suffix"),
)
_KEYS = (*_TEXTS, "stops")
_MAX_BYTES = 1_000_000


class FormatFileError(ValueError):
    """A person's prompt format cannot be used; the message names the file and the key or line."""


class FormatCatalog(Record):
    """The formats that can be chosen by name, beside the model's own.

    The built-in ones are loaded when one of them is first asked for.
    """

    own: "Mapping[str, Format]"
    """The person's own formats by name; they hide built-in ones of the same name."""

    problems: tuple[str, ...] = ()
    """What is wrong with the files that were skipped, one line each."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names: the person's own formats, then the built-in ones, each sorted."""
        own = tuple(sorted(self.own))
        return own + tuple(name for name in easy_llama.formats.names() if name not in self.own)

    def get(self, name: str) -> "Format":
        """Return a copy of the format of that name.

        Raises:
            ValueError: there is none; the message names the nearest.
        """
        if name in self.own:
            return copy.deepcopy(self.own[name])
        if name not in easy_llama.formats.names():
            near = difflib.get_close_matches(name, self.names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "/format lists them."
            raise ValueError(f"There is no prompt format {name!r}; {hint}")
        return easy_llama.formats.get(name)

    def knows(self, name: str) -> bool:
        """Return whether there is a format of that name; the model's own is one."""
        return name == OWN_FORMAT or name in self.own or name in easy_llama.formats.names()


def load_formats(folder: Path) -> FormatCatalog:
    """Return the built-in formats and those in the files of `folder`, which need not exist."""
    own: dict[str, Format] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            if path.stem == OWN_FORMAT:
                raise FormatFileError(
                    f"{path}: the name {OWN_FORMAT!r} is the model's own format's; choose another"
                )
            own[path.stem] = read_format(path)
        except FormatFileError as error:
            problems.append(str(error))
    return FormatCatalog(own, tuple(problems))


def read_format(path: Path) -> "Format":
    """Return the prompt format in a TOML file.

    Raises:
        FormatFileError: the file cannot be read, or a key in it is not known or of the wrong type.
    """
    try:
        if not path.is_file():  # a pipe or a device would never end
            raise FormatFileError(f"{path}: it is no file")
        is_too_large = path.stat().st_size > _MAX_BYTES
        values = {} if is_too_large else tomllib.loads(path.read_text(encoding="utf-8"))
    except FormatFileError:
        raise
    except (OSError, ValueError, RecursionError) as error:  # ValueError: also a number of 5,000 digits
        raise FormatFileError(f"{path}: {error}") from error
    if is_too_large:
        raise FormatFileError(f"{path}: the file is too large for a prompt format")
    for key, value in values.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_KEYS)}"
            raise FormatFileError(f"{path}: there is no key {key!r}; {hint}")
        if key == "stops" and not (isinstance(value, list) and all(isinstance(stop, str) for stop in value)):
            raise FormatFileError(f"{path}: stops must be a list of texts, not {value!r}")
        if key in _TEXTS and not isinstance(value, str):
            raise FormatFileError(f"{path}: {key} must be a text in quotes, not {value!r}")
    if not any(values.get(key) for key in ("user_prefix", "user_suffix", "bot_prefix")):
        raise FormatFileError(f"{path}: nothing tells user and bot apart; set user_prefix and bot_prefix")
    return {**dict.fromkeys(_TEXTS, ""), "stops": [], **values}

"""Themes from TOML files, one each, whose keys are the fields of Textual's `Theme`."""

import difflib
import tomllib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import Theme

DEFAULT_THEME = "ezllama-dark"

_KEYS = tuple(field.name for field in fields(Theme) if field.name != "ansi")
_COLOURS = (
    *("primary", "secondary", "warning", "error", "success", "accent"),
    *("foreground", "background", "surface", "panel", "boost"),
)


class ThemeError(ValueError):
    """A theme's file cannot be used; the message names the file and the key."""


def themes_folder() -> Path:
    """Return the folder of the themes that come with the program: in the wheel, or beside the packages."""
    here = Path(__file__).parent / "themes"
    return here if here.is_dir() else Path(__file__).parents[1] / "themes"


def read_theme(path: Path) -> Theme:
    """Return the theme in a TOML file; it is called as the file is.

    Raises:
        ThemeError: the file cannot be read, or a key or a colour in it is not known.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ThemeError(f"{path}: {error}") from error
    for key, value in values.items():
        _check(path, key, value)
    if "primary" not in values:
        raise ThemeError(f"{path}: the key 'primary' is missing; give it a colour")
    return Theme(**{**values, "name": path.stem})


def load_themes(folders: Iterable[Path]) -> tuple[list[Theme], list[ThemeError]]:
    """Return the themes in the files of `folders`, and why others could not be read."""
    loaded: list[Theme] = []
    failed: list[ThemeError] = []
    for path in sorted(path for folder in folders for path in folder.glob("*.toml")):
        try:
            loaded.append(read_theme(path))
        except ThemeError as error:
            failed.append(error)
    return loaded, failed


def _check(path: Path, key: str, value: Any) -> None:
    if key not in _KEYS:
        near = difflib.get_close_matches(key, _KEYS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_KEYS)}"
        raise ThemeError(f"{path}: there is no key {key!r}; {hint}")
    if key in _COLOURS:
        try:
            Color.parse(value)
        except (ColorParseError, TypeError, AttributeError):
            raise ThemeError(f"{path}: {key} = {value!r} is not a colour; write one like '#88c0d0'") from None

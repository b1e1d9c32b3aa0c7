"""A person's own sampler presets: one TOML file each, named after the preset.

The keys are the fields of `SamplerSettings`, with the values that `easy_llama.sampler_values` gives them;
what a file leaves out is as in DefaultSampling.
"""

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Final

import tomli_w

from easy_llama.sampler_values import settings_from_values, values_of
from easy_llama.samplers import PRESETS, SamplerSettings
from easy_llama_tui.atomic_write import write_atomically
from easy_llama_tui.locations import config_folder
from easy_llama_tui.private_files import make_private_folder
from easy_llama_tui.text.display_text import one_line

SUFFIX: Final = ".toml"
BASE: Final = "DefaultSampling"
"""The preset whose values a file need not repeat."""

MAX_NAME_LENGTH: Final = 40
_MAX_BYTES: Final = 1_000_000
_MAX_REASON: Final = 300
_FORBIDDEN: Final = '/\\:*?"<>|'
_KEYS: Final = tuple(field.name for field in fields(SamplerSettings))
# Windows takes these for devices, whatever follows the first dot.
_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
)


class PresetError(Exception):
    """A preset could not be named, saved or deleted; the message says why and what to do."""


def presets_folder() -> Path:
    """Return the folder of the person's own presets, which need not exist."""
    return config_folder() / "samplers"


def checked_name(name: str, own: Iterable[str] = ()) -> str:
    """Return a name for a preset of one's own, without spaces around it.

    Args:
        name: what was typed.
        own: the names that are taken; one of them may be used again, spelled the same.

    Raises:
        PresetError: no file can have it, it is a built-in preset's, or one differs only in its case.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not name:
        raise PresetError("A preset needs a name; type one.")
    if len(name) > MAX_NAME_LENGTH:
        raise PresetError(f"A preset's name has at most {MAX_NAME_LENGTH} characters; shorten it.")
    wrong = next((one for one in name if one in _FORBIDDEN or not one.isprintable()), None)
    if wrong is not None:
        shown = wrong if wrong in _FORBIDDEN else f"U+{ord(wrong):04X}"
        raise PresetError(f"A preset's name is its file's: leave out {shown}")
    if name.startswith(".") or name.endswith("."):
        raise PresetError("A preset's name cannot begin or end with a dot.")
    if name.split(".")[0].rstrip().casefold() in _DEVICES:
        raise PresetError(f"{name} is a device's name on Windows; choose another.")
    if name.casefold() in map(str.casefold, PRESETS):
        raise PresetError(f"{name} is a built-in preset's name; choose another.")
    for taken in own:
        if taken.casefold() == name.casefold() and taken != name:
            raise PresetError(f"There is {taken} already; use that spelling, or another name.")
    return name


def load_presets(folder: Path) -> tuple[dict[str, SamplerSettings], tuple[str, ...]]:
    """Return the presets in the files of `folder` by name, and what is wrong with those that are skipped."""
    presets: dict[str, SamplerSettings] = {}
    problems: list[str] = []
    for path in _files(folder):
        try:
            name = checked_name(path.stem, presets)
            if name != path.stem:
                raise PresetError(f"The name {path.stem!r} cannot be used; call the file {name}{SUFFIX}.")
            presets[name] = _read(path)
        except (PresetError, OSError, TypeError, ValueError, RecursionError) as error:
            reason = one_line(str(error))
            shortened = reason if len(reason) <= _MAX_REASON else reason[: _MAX_REASON - 1] + "…"
            problems.append(f"{one_line(str(path))}: {shortened}")
    return presets, tuple(problems)


def save_preset(folder: Path, name: str, settings: SamplerSettings) -> Path:
    """Save a preset, replacing the one of that name, and return its file, readable by its user alone.

    Raises:
        PresetError: the name cannot be used, or the file cannot be written.
    """
    name = checked_name(name, [path.stem for path in _files(folder)])
    path = folder / f"{name}{SUFFIX}"
    text = tomli_w.dumps(values_of(settings, BASE))
    try:
        make_private_folder(folder)
        write_atomically(path, text.encode("utf-8", errors="replace"))
    except OSError as error:
        raise PresetError(
            f"The preset {name} could not be saved in {folder}: {error.strerror or error}; "
            f"check the folder and the disk."
        ) from error
    return path


def delete_preset(folder: Path, name: str) -> None:
    """Delete a preset of one's own; nothing happens where there is none of that name.

    Raises:
        PresetError: the name is none of a preset, or its file cannot be deleted.
    """
    path = folder / f"{checked_name(name)}{SUFFIX}"
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise PresetError(f"{path} could not be deleted: {error.strerror or error}.") from error


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))


def _read(path: Path) -> SamplerSettings:
    # A pipe or a device would never end.
    if not path.is_file():
        raise ValueError("it is no file")
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError("it is too large for a preset")
    text = path.read_text(encoding="utf-8")
    values = tomllib.loads(text)
    _check_keys(values, text)
    try:
        return settings_from_values(BASE, values)
    except (TypeError, ValueError) as error:
        named = next((key for key in values if str(error).startswith(key)), "")
        raise ValueError(f"{_line_of(named, text)}{error}") from error


def _check_keys(values: Mapping[str, object], text: str) -> None:
    for key in values:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(_KEYS)}"
            raise ValueError(f"{_line_of(key, text)}there is no setting {key!r}; {hint}")


def _line_of(key: str, text: str) -> str:
    """Return where a key stands in a file, as "line 3: "; "" where that is not plain."""
    if not key:
        return ""
    for number, line in enumerate(text.split("\n"), 1):
        if re.match(rf"""\s*["'\[]*{re.escape(key)}["'\]]*\s*(=|$)""", line):
            return f"line {number}: "
    return ""

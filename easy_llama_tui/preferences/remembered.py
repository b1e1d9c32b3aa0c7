"""What the app remembers by itself from one start to the next, in a file that only it writes.

The person's configuration is never written to: where it says something, it comes before what is here.
"""

import logging
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import tomli_w

from easy_llama.record import Record
from easy_llama_tui.atomic_write import write_atomically
from easy_llama_tui.preferences.config import MAX_CANDIDATES, Config, LoadedConfig
from easy_llama_tui.private_files import make_private_folder

MAX_RECENT: Final = 20

_MAX_BYTES: Final = 1 << 20
_log = logging.getLogger(__name__)


class Remembered(Record):
    """Choices that were made in the app."""

    theme: str = ""
    """The theme that was chosen; "" where none was."""

    panel: str = ""
    """The side panel that was open; "" where none was."""

    candidates_count: int | None = None
    """How many candidates were asked for; None where nothing was."""

    recent_models: tuple[str, ...] = ()
    """The paths of the models that were used, the last one first."""

    hint_seen: bool = False
    """Whether the hint for newcomers was seen."""

    def with_model(self, path: Path) -> "Remembered":
        """Return it with a model that is used now."""
        used = str(path)
        others = (model for model in self.recent_models if model != used)
        return replace(self, recent_models=(used, *others)[:MAX_RECENT])


def load(path: Path) -> Remembered:
    """Return what a file remembers; what is missing or damaged in it has its default. Never raises."""
    try:
        if not path.is_file():
            return Remembered()
        with path.open("rb") as file:
            values = tomllib.loads(file.read(_MAX_BYTES).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        _log.warning("%s could not be read, and counts as empty: %r", path, error)
        return Remembered()
    return _from_toml(values)


def save(path: Path, remembered: Remembered) -> bool:
    """Write it to a file in one step, and return whether that could be done; the log has the reason."""
    values: dict[str, Any] = {
        field.name: getattr(remembered, field.name)
        for field in fields(remembered)
        if getattr(remembered, field.name) is not None
    }
    # The name of a file need not be text; TOML is.
    values["recent_models"] = [model for model in remembered.recent_models if _is_text(model)]
    try:
        make_private_folder(path.parent)
        write_atomically(path, tomli_w.dumps(values).encode("utf-8"))
    except (OSError, UnicodeEncodeError) as error:
        _log.warning("%s could not be written: %r", path, error)
        return False
    return True


def update(path: Path, **changes: Any) -> Remembered:
    """Change some fields in a file, keep what another window wrote to the others, and return all."""
    remembered = replace(load(path), **changes)
    save(path, remembered)
    return remembered


def with_remembered(loaded: LoadedConfig, remembered: Remembered) -> Config:
    """Return a configuration with what is remembered where its file says nothing."""
    config = loaded.config
    if remembered.theme and ("appearance", "theme") not in loaded.given:
        config = replace(config, appearance=replace(config.appearance, theme=remembered.theme))
    if remembered.candidates_count is not None and ("candidates", "count") not in loaded.given:
        config = replace(config, candidates=replace(config.candidates, count=remembered.candidates_count))
    return config


def _from_toml(values: dict[str, Any]) -> Remembered:
    count, models = values.get("candidates_count"), values.get("recent_models")
    return Remembered(
        theme=_text(values.get("theme")),
        panel=_text(values.get("panel")),
        candidates_count=count if type(count) is int and 1 <= count <= MAX_CANDIDATES else None,
        recent_models=tuple(filter(None, map(_text, models)))[:MAX_RECENT]
        if isinstance(models, list)
        else (),
        hint_seen=values.get("hint_seen") is True,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_text(path: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in path)

"""Completes the path of a file that is there, while it is typed into a field."""

import asyncio
import os
from itertools import islice
from pathlib import Path
from typing import Final

from textual.suggester import Suggester

_N_ENTRIES: Final = 2000
"""Entries of a folder that are looked at."""


class PathSuggester(Suggester):
    """Suggests the first entry of a folder that begins with what is typed; folders end with a slash."""

    def __init__(self, folder: Path) -> None:
        """Take paths as relative to `folder`."""
        super().__init__(use_cache=False, case_sensitive=True)
        self._folder = folder

    async def get_suggestion(self, value: str) -> str | None:
        """Return the whole path; None where nothing begins so."""
        return await asyncio.to_thread(complete, value, self._folder)


def path_from(text: str, folder: Path) -> Path:
    """Return the path that a person typed: relative to `folder`, "~" is the home folder, quotes go."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return folder / os.path.expanduser(text)  # noqa: PTH111 (Path's raises where there is no such user)


def complete(text: str, folder: Path) -> str | None:
    """Return `text` with the rest of the first name that fits, in the order of names."""
    start, name = os.path.split(text)
    if not name:
        return None
    try:
        with os.scandir(path_from(start, folder)) as entries:
            fitting = [one for one in islice(entries, _N_ENTRIES) if one.name.startswith(name)]
        if not fitting:
            return None
        first = min(fitting, key=lambda one: one.name)
        rest = first.name[len(name) :] + (os.sep if first.is_dir() else "")
    except (OSError, ValueError):
        return None
    return text + rest if rest.isprintable() else None

"""Which files a path that is being written could mean."""

import itertools
import os
import time
from pathlib import Path
from typing import Final

from easy_llama.record import Record
from easy_llama_tui.drafts.attachments import path_of, reference

MAX_ENTRIES: Final = 2000
"""How many entries of a folder are looked at."""

MAX_SECONDS: Final = 0.05
"""How long reading a folder may take, where its entries come slowly."""


class PathMatch(Record):
    """A file or folder that can be meant."""

    label: str
    """Its name; that of a folder ends in "/"."""

    reference: str
    """What to write for it, "@" included."""

    @property
    def is_folder(self) -> bool:
        """Whether one can write on, to what is in it."""
        return self.label.endswith("/")


class PathFinder:
    """Finds the files that a path means; a folder is read again only where it changed."""

    def __init__(self) -> None:
        self._stamp: tuple[Path, int] | None = None
        self._names: tuple[str, ...] = ()

    def matches(self, written: str, folder: Path) -> tuple[PathMatch, ...]:
        """Return what `written` could become: names that begin with its last part, then those that hold it.

        Capitals do not matter. Names that begin with a dot are there where the last part does, and only
        there. What is written already is not among them.
        """
        if written == "~":
            return (PathMatch("~/", "@~/"),)
        parent, slash, last = written.rpartition("/")
        parent += slash
        wanted = last.casefold()
        ranked = []
        for name in self._names_in(path_of(parent, folder)):
            if name.startswith(".") != last.startswith("."):
                continue
            place = name.casefold().find(wanted)
            written_out = reference(parent + name) if place >= 0 and name != last else None
            if written_out is not None:
                ranked.append((place > 0, name.casefold(), PathMatch(name, written_out)))
        return tuple(match for _, _, match in sorted(ranked, key=lambda row: row[:2]))

    def _names_in(self, folder: Path) -> tuple[str, ...]:
        try:
            stamp = (folder, folder.stat().st_mtime_ns)
            if stamp != self._stamp:
                self._names = _read_names(folder)
                self._stamp = stamp
        except (OSError, ValueError):
            return ()
        return self._names


def _read_names(folder: Path) -> tuple[str, ...]:
    names = []
    deadline = time.monotonic() + MAX_SECONDS
    with os.scandir(folder) as entries:
        for entry in itertools.islice(entries, MAX_ENTRIES):
            names.append(f"{entry.name}/" if _is_folder(entry) else entry.name)
            if time.monotonic() > deadline:
                break
    return tuple(names)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False

"""Folders and files that only their user may read, whatever the umask says."""

import os
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make a folder for its user alone, and so every folder above it that is not there yet.

    Folders that are there already stay as they are: they are the person's.

    Raises:
        OSError: it cannot be made, or something else has its name.
    """
    missing = [folder]
    while not missing[-1].exists() and missing[-1].parent != missing[-1]:
        missing.append(missing[-1].parent)
    for one in reversed(missing[:-1]):
        one.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def open_private(path: str | Path, flags: int) -> int:
    """Open a file as `open` does, made for its user alone; what an `opener` is.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, flags | getattr(os, "O_BINARY", 0), 0o600)

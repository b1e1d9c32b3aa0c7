"""Replace a file in one step, so that a crash or a full disk leaves the version before."""

import contextlib
import os
from pathlib import Path
from typing import Final

LEFTOVER_SUFFIX: Final = ".saving"
"""What the names of temporary files end in; a program that is killed may leave one behind."""


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file by `data`, readable by its user alone; on any error the file before stays.

    What a symbolic link points at is replaced, not the link.

    Raises:
        OSError: it cannot be written.
    """
    target = path.resolve()
    temporary = target.parent / f".{os.urandom(8).hex()}{LEFTOVER_SUFFIX}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` outlast a power cut, on systems that can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Replace or make a file in one step, so that a crash or a full disk leaves what was there before."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

LEFTOVER_SUFFIX: Final = ".saving"
"""What the names of temporary files end in; a program that is killed may leave one behind."""


def write_atomically(
    path: Path, data: bytes, before_replacing: Callable[[], object] | None = None
) -> os.stat_result:
    """Replace a file by `data`, readable by its user alone; on any error the file before stays.

    What a symbolic link points at is replaced, not the link.

    Args:
        path: The file.
        data: Its new contents.
        before_replacing: Called when these are on the disk, and the file before is there still; where it
            raises, that stays.

    Returns:
        What the system says of the new file.

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
            state = os.fstat(file.fileno())
        if before_replacing is not None:
            before_replacing()
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)
    return state


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not be there yet, readable by its user alone; on any error it is not there.

    Raises:
        FileExistsError: it is there.
        OSError: it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` outlast a power cut, on systems that can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""A lock that the system itself lets go when the program that holds it ends, however that ends."""

import contextlib
import errno
import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from easy_llama_tui.private_files import make_private_folder, open_private

_OPENINGS: Final = 10
"""How often a lock file is opened anew because the one before was removed by its holder."""
_HELD: Final = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
"""How systems say that another program holds a lock."""
_LARGEST_NOTE: Final = 1000
_LOCKED_BYTE: Final = 1 << 30
"""Beyond the note in the file: on Windows nobody else may read what is locked."""


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The program that holds a lock."""

    pid: int | None = None
    """Its process; None where it left no note."""
    host: str = ""
    """The machine that it runs on; empty where it is this one, or unknown."""

    def __str__(self) -> str:
        if self.pid is None:
            return "another program"
        return f"another ezllama (process {self.pid}{f' on {self.host}' if self.host else ''})"


class FileLock:
    """A lock that is held, until it is let go or the program ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Hold the lock of an open and locked file; `take` makes one."""
        self.path = path
        self._descriptor = descriptor
        self._pid = os.getpid()

    @property
    def is_in_force(self) -> bool:
        """Whether others that look for the lock find this one: its file may have been removed."""
        return self._descriptor >= 0 and _is_same(self._descriptor, self.path)

    def release(self) -> None:
        """Let go, and remove the lock's file, and its folder where that is empty then. Never raises."""
        if self._descriptor < 0 or os.getpid() != self._pid:
            return  # what was forked off holds nothing
        descriptor, self._descriptor = self._descriptor, -1
        is_ours = _is_same(descriptor, self.path)
        with contextlib.suppress(OSError):
            if is_ours and sys.platform != "win32":
                self.path.unlink()  # while it is held, so that nobody has locked what is removed
        os.close(descriptor)
        with contextlib.suppress(OSError):
            if is_ours and sys.platform == "win32":
                self.path.unlink()  # which fails where another program has it open by now
            self.path.parent.rmdir()


def take(path: Path) -> FileLock | LockHolder | None:
    """Lock a file, which is made where it is not there; whoever held it and is dead is not in the way.

    Returns:
        The lock; or who holds it; or None where this disk or this folder has no room for locks.
    """
    for _ in range(_OPENINGS):
        try:
            make_private_folder(path.parent)
            descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:
            continue  # another program removed the empty folder just now
        except OSError:
            with contextlib.suppress(OSError):
                path.parent.rmdir()
            return None
        try:
            _lock(descriptor)
        except OSError as error:
            holder = _read_note(descriptor)
            os.close(descriptor)
            if error.errno in _HELD:
                return holder
            with contextlib.suppress(OSError):
                path.unlink()
                path.parent.rmdir()
            return None
        if _is_same(descriptor, path):
            _write_note(descriptor)
            return FileLock(path, descriptor)
        os.close(descriptor)  # its holder removed it while we waited for it
    return None


def remove_stale(folder: Path, older_than: float) -> None:
    """Remove lock files that nobody holds and that were taken before a time (as of `time.time`)."""
    paths: list[Path] = []
    with contextlib.suppress(OSError):
        paths = [path for path in folder.iterdir() if path.stat().st_mtime < older_than]
    for path in paths:
        taken = take(path)
        if isinstance(taken, FileLock):
            taken.release()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # Of the open file and not of the process: a second lock in the same program is refused too.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _write_note(descriptor: int) -> None:
    note = json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode()
    with contextlib.suppress(OSError):  # the lock holds without it, as on a full disk
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, note)


def _read_note(descriptor: int) -> LockHolder:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        note = json.loads(os.read(descriptor, _LARGEST_NOTE))
        pid, host = note["pid"], note["host"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return LockHolder()
    if not isinstance(pid, int) or not isinstance(host, str):
        return LockHolder()
    return LockHolder(pid, "" if host == socket.gethostname() else host[:60])

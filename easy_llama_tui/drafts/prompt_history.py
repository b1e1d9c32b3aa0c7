"""What the person sent in all chats, in one file that several programs may append to at once.

The file has one JSON object a line, `{"text": "…"}`, the oldest first. It is readable by its user alone.
Lines that are damaged are skipped.
"""

import contextlib
import json
import logging
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from easy_llama_tui.atomic_write import write_atomically
from easy_llama_tui.private_files import make_private_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MAX_ENTRIES: Final = 1000
MAX_BYTES: Final = 1_000_000
"""How much the file keeps, where it has grown to twice as much."""

MAX_ENTRY_BYTES: Final = 100_000
"""Larger messages are remembered until the program ends; they are in their chats anyway."""

_OPENINGS: Final = 5
_LOCK_SECONDS: Final = 0.2
_log = logging.getLogger(__name__)


class PromptHistory:
    """The messages that were sent, in memory and in a file.

    Nothing of it raises: the log says what failed.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Read what was sent before from `path`; None keeps all in memory only."""
        self._path = path
        self._texts = list(_shortened(_read(path))) if path else []

    @property
    def texts(self) -> tuple[str, ...]:
        """What was sent, the oldest first; what was sent several times in a row is there once."""
        return tuple(self._texts)

    def add(self, text: str) -> None:
        """Remember a message that was sent."""
        if not text.strip() or (self._texts and self._texts[-1] == text):
            return
        self._texts.append(text)
        del self._texts[:-MAX_ENTRIES]
        line = _line(text)
        if self._path is not None and len(line) <= MAX_ENTRY_BYTES:
            try:
                _append(self._path, line)
            except (OSError, ValueError) as error:
                _log.warning("the history of prompts %s could not be written: %r", self._path, error)


def _line(text: str) -> bytes:
    return json.dumps({"text": text}).encode("ascii") + b"\n"


def _texts_in(data: bytes) -> Iterator[str]:
    for line in data.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            match json.loads(line):
                case {"text": str(text)} if text.strip():
                    yield text


def _shortened(data: bytes) -> list[str]:
    """Return the last texts that are kept of a file."""
    texts: list[str] = []
    for text in _texts_in(data):
        if not texts or texts[-1] != text:
            texts.append(text)
    room = MAX_BYTES
    for number, text in enumerate(reversed(texts)):
        room -= len(_line(text))
        if number == MAX_ENTRIES or room < 0:
            return texts[len(texts) - number :]
    return texts


def _read(path: Path) -> bytes:
    """Return the end of the file, and shorten the file where it has grown long."""
    try:
        with _opened(path, os.O_RDONLY) as (descriptor, is_locked):
            size = os.fstat(descriptor).st_size
            os.lseek(descriptor, max(0, size - 4 * MAX_BYTES), os.SEEK_SET)
            with os.fdopen(os.dup(descriptor), "rb") as file:
                data = file.read(4 * MAX_BYTES)
            is_long = size > 2 * MAX_BYTES or data.count(b"\n") > 2 * MAX_ENTRIES
            if is_long and is_locked:
                # Who waits to append sees that the file was replaced, and opens the new one.
                write_atomically(path, b"".join(map(_line, _shortened(data))))
            return data
    except FileNotFoundError:
        return b""
    except (OSError, ValueError) as error:
        _log.warning("the history of prompts %s could not be read: %r", path, error)
        return b""


def _append(path: Path, line: bytes) -> None:
    make_private_folder(path.parent)
    with _opened(path, os.O_RDWR | os.O_APPEND | os.O_CREAT) as (descriptor, _):
        size = os.lseek(descriptor, 0, os.SEEK_END)
        if size:
            # A line that a crash or a full disk has cut must not take this one with it.
            os.lseek(descriptor, size - 1, os.SEEK_SET)
            if os.read(descriptor, 1) != b"\n":
                line = b"\n" + line
        os.write(descriptor, line)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[tuple[int, bool]]:
    """Open the file, and tell whether it is held so that nobody replaces it meanwhile.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    for _ in range(_OPENINGS):
        descriptor = os.open(path, flags, 0o600)
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise OSError(f"{path} is no regular file")
            if state.st_mode & 0o077 and hasattr(os, "fchmod"):
                os.fchmod(descriptor, 0o600)
            is_locked = _lock(descriptor)
            if _is_at(path, state):
                yield descriptor, is_locked
                return
        finally:
            os.close(descriptor)
    raise OSError(f"{path} is replaced again and again")


def _lock(descriptor: int) -> bool:
    """Lock a file until it is closed; wait a moment where another program writes, which is soon done."""
    if fcntl is None:
        return False
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        except OSError:  # a file system without locks
            return False
        else:
            return True


def _is_at(path: Path, state: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), state)
    except FileNotFoundError:
        return False

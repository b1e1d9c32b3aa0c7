"""What was read of each chat, on disk, so that a chat that is opened again goes on at once.

One file a chat and a way of loading a model, in a folder of its user alone; whatever becomes of them, the
chats are read again, and nothing is lost. Those that were used last are kept, within a budget.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from typing import TYPE_CHECKING, Final

from easy_llama_tui.atomic_write import LEFTOVER_SUFFIX
from easy_llama_tui.private_files import make_private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from easy_llama.kv_state import KVState

SUFFIX: Final = ".kv"
LEAST_TOKENS: Final = 128
"""Fewer tokens are read sooner than a file is worth keeping."""

_LEFTOVER_SECONDS: Final = 3600
"""When what a program left behind that was killed while it wrote is removed."""

_log = logging.getLogger(__name__)


class ChatStates:
    """The folder of the states. What is wrong with it goes to the log, and to nobody else."""

    def __init__(self, folder: Path, budget: int) -> None:
        """Use a folder, which is made with the first state.

        Args:
            folder: for these files alone.
            budget: how many bytes they may take together; with 0 none is kept, and those there are go.
        """
        self._folder = folder
        self.budget = budget

    def save(self, chat_id: str, state: KVState, binding: bytes, seconds: float) -> bool:
        """Keep the state of a chat in place of an earlier one; return whether it is kept.

        Args:
            chat_id: which chat.
            state: what the KV cache holds of it.
            binding: what the state is bound to.
            seconds: how long that may take.
        """
        from easy_llama.state_file import write_state

        if state.cells.nbytes > self.budget:
            return False
        temporary = self._folder / f".{os.urandom(8).hex()}{LEFTOVER_SUFFIX}"
        is_whole = False
        try:
            make_private_folder(self._folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
                is_whole = write_state(file, state, binding, seconds)
            if is_whole:
                # Not waited for until it is on the disk: what a power cut leaves of it has no right checksum.
                temporary.replace(self._path(chat_id, binding))
        except OSError as error:
            _log.warning("what was read of the chat is not kept: %s", error)
            is_whole = False
        finally:
            if not is_whole:
                _remove(temporary)
        self.make_room()
        return is_whole

    def load(self, chat_id: str, binding: bytes) -> KVState | None:
        """Return the state of a chat, where there is one that can be trusted; any other is removed."""
        from easy_llama.state_file import StateFileError, read_state

        path = self._path(chat_id, binding)
        try:
            if path.stat().st_size > self.budget:
                _remove(path)
                return None
            state = read_state(path, binding)
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, StateFileError, MemoryError) as error:
            _log.warning("%s is not used: %s", path, error)
            _remove(path)
            return None
        return state

    def forget(self, chat_id: str) -> None:
        """Remove what there is of a chat."""
        for path in self._folder.glob(f"{_digest(chat_id.encode())}-*{SUFFIX}"):
            _remove(path)

    def _path(self, chat_id: str, binding: bytes) -> Path:
        return self._folder / f"{_digest(chat_id.encode())}-{_digest(binding)}{SUFFIX}"

    def make_room(self) -> None:
        """Remove what is over the budget, those that were used last at the end."""
        files = sorted(self._files())
        taken = sum(size for _, size, _ in files)
        for _, size, path in files:
            if taken <= self.budget:
                break
            _remove(path)
            taken -= size

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each state was used last, how many bytes it has, and where it is."""
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                with contextlib.suppress(OSError):
                    about = path.stat()
                    if path.suffix == SUFFIX:
                        yield about.st_mtime, about.st_size, path
                    elif path.suffix == LEFTOVER_SUFFIX and time.time() - about.st_mtime > _LEFTOVER_SECONDS:
                        _remove(path)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()

"""The folder of unsent words: one small file a chat, and one for new chats of each program that runs.

A new chat has no file yet that its draft could belong to, so its draft is of new chats as such: whoever
begins one next takes it over. A file beside it is locked while the program that writes it lives.
"""

import contextlib
import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from easy_llama_tui.atomic_write import LEFTOVER_SUFFIX, write_atomically
from easy_llama_tui.drafts.draft import Draft, from_json, to_json
from easy_llama_tui.private_files import make_private_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MAX_BYTES: Final = 64 << 20
"""A larger file is no draft of ours."""

_SUFFIX: Final = ".json"
_LOCK: Final = ".lock"
_NEW: Final = "new-"
_CHAT: Final = "chat-"
_DAMAGED: Final = ".damaged"
_LEFTOVER_AGE: Final = 3600.0
_ORPHAN_AGE: Final = 30 * 86400.0
_log = logging.getLogger(__name__)


class DraftStore:
    """Reads and writes drafts by the names of their files. One thread at a time may write."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made for its user alone with the first draft."""
        self.folder = folder
        self._locks: dict[str, int] = {}
        self._is_prepared = False

    @staticmethod
    def name_for(chat: str) -> str:
        """Return the name for the draft of a saved chat, given its id or the path of its file."""
        import hashlib  # not needed for the first picture of a new chat

        # An id may come from a stranger's file, and must not lead out of the folder.
        return _CHAT + hashlib.sha256(chat.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @staticmethod
    def new_name() -> str:
        """Return a name for the draft of new chats that nobody has."""
        return _NEW + os.urandom(8).hex()

    def read(self, name: str) -> Draft | None:
        """Return a draft; None where there is none. What is damaged is put aside, with a line in the log."""
        path = self._path(name)
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return None
            with path.open("rb") as file:
                data = file.read(MAX_BYTES)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                _log.warning("the draft %s could not be read: %r", path, error)
            return None
        try:
            return from_json(data)
        except ValueError as error:
            aside = path.with_name(f"{path.stem}-{os.urandom(4).hex()}{_DAMAGED}")
            _log.warning("the draft %s is put aside as %s: %s", path, aside.name, error)
            with contextlib.suppress(OSError):
                path.rename(aside)
            return None

    def write(self, name: str, draft: Draft) -> None:
        """Save a draft in one step; one that is empty goes.

        Raises:
            OSError: it cannot be written; what was saved before is still there.
        """
        path = self._path(name)
        if draft.is_empty:
            path.unlink(missing_ok=True)
            self._unlock(name)
            return
        self._prepare()
        if name.startswith(_NEW):
            self._lock(name)
        write_atomically(path, to_json(draft))

    def take_over(self) -> tuple[str, Draft] | None:
        """Return the newest draft of a new chat whose program is gone, which is now this program's."""
        found: list[tuple[float, str]] = []
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                if path.name.startswith(_NEW) and path.suffix in (_SUFFIX, _LOCK):
                    with contextlib.suppress(OSError):
                        found.append((path.stat().st_mtime, path.stem))
        for _, name in sorted(found, reverse=True):
            if name not in self._locks and self._lock(name):
                draft = self.read(name)
                own = self._rename(name) if draft is not None and not draft.is_empty else None
                self._unlock(name)
                if draft is not None and own is not None:
                    return own, draft
        return None

    def remove_old(self, is_known: Callable[[str], bool]) -> None:
        """Remove drafts that were last changed long ago, of saved chats that are not known any more."""
        oldest = time.time() - _ORPHAN_AGE
        with contextlib.suppress(OSError):
            for path in list(self.folder.glob(f"{_CHAT}*{_SUFFIX}")):
                if path.stat().st_mtime < oldest:
                    draft = self.read(path.stem)
                    if draft is not None and not is_known(draft.chat):
                        path.unlink()

    def close(self) -> None:
        """Leave what there is to the next program."""
        for name in list(self._locks):
            self._unlock(name)

    def _path(self, name: str, suffix: str = _SUFFIX) -> Path:
        return self.folder / (name + suffix)

    def _rename(self, name: str) -> str | None:
        """Give a file another name, so that nobody who looks for the old one shares it."""
        own = self.new_name()
        self._lock(own)
        try:
            self._path(name).rename(self._path(own))
        except OSError:
            self._unlock(own)
            return None
        return own

    def _prepare(self) -> None:
        """Make the folder, and once remove what a killed program left half written there."""
        make_private_folder(self.folder)
        if self._is_prepared:
            return
        self._is_prepared = True
        oldest = time.time() - _LEFTOVER_AGE
        for path in self.folder.glob(f".*{LEFTOVER_SUFFIX}"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _lock(self, name: str) -> bool:
        """Hold a draft until it is empty or the program ends; return False where another program does."""
        if fcntl is None or name in self._locks:
            return True
        try:
            descriptor = os.open(self._path(name, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:  # a file system without locks
            pass
        self._locks[name] = descriptor
        return True

    def _unlock(self, name: str) -> None:
        descriptor = self._locks.pop(name, None)
        if descriptor is not None:
            self._path(name, _LOCK).unlink(missing_ok=True)
            os.close(descriptor)

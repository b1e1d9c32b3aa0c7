"""Saved chats on disk: list, find, open and save them, and write them off the UI thread.

A chat is one TOML file in the sessions folder, named after its id. It is replaced in one step, so a crash
or a full disk leaves the version before.
"""

import contextlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from easy_llama_tui.session import FILE_IS_KEPT, Session, SessionEncoder, SessionError, from_toml

SUFFIX: Final = ".toml"

_MESSAGES_BEGIN: Final = b"[[messages]]"
_LEFTOVER_SUFFIX: Final = ".saving"
_LEFTOVER_AGE: Final = 3600.0
"""Seconds after which a temporary file cannot be of a save that still runs."""
_TRY_AGAIN: Final = (
    "It stays in memory and is tried again with the next change; make room or check the folder."
)

_log = logging.getLogger(__name__)

Told = TypeVar("Told", Session, SessionError)


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """What a list shows of a saved chat."""

    id: str
    """What `SessionStore.load` finds it by: the name of its file without ".toml"."""
    title: str
    """What the list calls it."""
    created: datetime
    """When it was begun."""
    updated: datetime
    """When it last changed."""
    model_name: str
    """The model that it was last held with."""
    path: Path
    """Its file."""


@dataclass(frozen=True, slots=True)
class SessionListing:
    """All files of the sessions folder."""

    summaries: tuple[SessionSummary, ...]
    """The chats, the last changed first."""
    damaged: tuple[SessionError, ...]
    """Why the other files could not be read."""


class SessionStore:
    """The folder of saved chats; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made for its user alone at the first save."""
        self.folder = folder
        self._encoder = SessionEncoder()
        self._saving = threading.Lock()
        self._is_prepared = False

    def summaries(self) -> tuple[SessionSummary, ...]:
        """Return the chats of the folder, the last changed first, without the damaged files.

        Raises:
            SessionError: The folder cannot be read.
        """
        return self.listing().summaries

    def listing(self) -> SessionListing:
        """Return the chats of the folder and why other files could not be read.

        Only the head of each file is read, so damage among the messages shows when a chat is loaded.

        Raises:
            SessionError: The folder cannot be read.
        """
        summaries: list[SessionSummary] = []
        damaged: list[SessionError] = []
        for path in self._files():
            try:
                summaries.append(_summary(path))
            except SessionError as error:
                damaged.append(error)
        summaries.sort(key=lambda summary: (summary.updated, summary.id), reverse=True)
        return SessionListing(tuple(summaries), tuple(damaged))

    def latest(self) -> SessionSummary | None:
        """Return the chat that last changed, or None where there is none.

        Raises:
            SessionError: The folder cannot be read.
        """
        return next(iter(self.summaries()), None)

    def load(self, id_or_path: str) -> Session:
        """Return the chat with an id, with the only id that begins so, or in a ".toml" file anywhere.

        A chat from outside the folder is saved back to its file. One inside has the id that its file is
        named after, so that a copied file is a chat of its own.

        Raises:
            SessionError: There is no such chat, several ids begin so, or the file cannot be read.
        """
        files = {path.stem: path for path in self._files()}
        if id_or_path in files:
            return self._read(files[id_or_path])
        if id_or_path.endswith(SUFFIX):
            return self._read(Path(id_or_path))
        found = [name for name in sorted(files) if id_or_path and name.startswith(id_or_path)]
        if len(found) == 1:
            return self._read(files[found[0]])
        if found:
            some = ", ".join(found[:3]) + (" …" if len(found) > 3 else "")
            raise SessionError(
                f"{len(found)} chats begin with {id_or_path!r}: {some}.", "Give more of the id."
            )
        raise SessionError(
            f"There is no chat {id_or_path!r} in {self.folder}.",
            "Choose one from the list of chats, or give the path of a .toml file.",
        )

    def path_of(self, session: Session) -> Path:
        """Return the file that a chat is saved to.

        Raises:
            SessionError: Its id cannot name a file in the folder.
        """
        if session.file is not None:
            return session.file
        name = session.id + SUFFIX
        if name.startswith(".") or "\0" in name or Path(name).name != name:
            raise SessionError(f"The id {session.id!r} cannot name a file.", "Give the chat another id.")
        return self.folder / name

    def save(self, session: Session) -> Path:
        """Write a chat to its file in one step, and return the file.

        Raises:
            SessionError: It cannot be written; the version before is still there.
        """
        path = self.path_of(session)
        with self._saving:
            data = self._encoder.to_toml(session).encode("utf-8")
            try:
                if session.file is None:
                    self._prepare_folder()
                _write_atomically(path, data)
            except OSError as error:
                raise SessionError(
                    f"The chat could not be saved to {path}: {_reason(error)}.", _TRY_AGAIN
                ) from error
        return path

    def _files(self) -> list[Path]:
        try:
            return [
                path
                for path in self.folder.iterdir()
                if path.suffix == SUFFIX and not path.name.startswith(".")
            ]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SessionError(
                f"The chats in {self.folder} could not be listed: {_reason(error)}.",
                "Make the folder readable, then try again.",
            ) from error

    def _prepare_folder(self) -> None:
        """Make the folder, and once remove what a killed save left there: it holds somebody's chat."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._is_prepared:
            return
        self._is_prepared = True
        oldest = time.time() - _LEFTOVER_AGE
        for path in self.folder.glob(f".*{_LEFTOVER_SUFFIX}"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _read(self, path: Path) -> Session:
        session = from_toml(_read_text(path), str(path))
        file = path.absolute()
        if file.parent.resolve() == self.folder.resolve() and not file.name.startswith("."):
            return replace(session, id=file.stem)
        return replace(session, file=file)


def _summary(path: Path) -> SessionSummary:
    try:
        session = from_toml(_read_text(path, header_only=True), str(path), header_only=True)
    except SessionError:
        # Edited by hand, a file may have tables after its messages.
        session = from_toml(_read_text(path), str(path), header_only=True)
    return SessionSummary(
        path.stem, session.title, session.created, session.updated, session.model.name, path
    )


def _read_text(path: Path, *, header_only: bool = False) -> str:
    """Return a file's text (a byte order mark is left out), or only what comes before its messages."""
    try:
        if not path.is_file():
            raise SessionError(f"There is no file {path}.", "Check the path, or choose a chat from the list.")
        with path.open("rb") as file:
            if not header_only:
                return file.read().decode("utf-8-sig")
            lines: list[bytes] = []
            for line in file:
                if line.rstrip() == _MESSAGES_BEGIN:
                    break
                lines.append(line)
            return b"".join(lines).decode("utf-8-sig")
    except OSError as error:
        raise SessionError(
            f"{path} could not be read: {_reason(error)}.", "Make the file readable, or open another chat."
        ) from error
    except UnicodeDecodeError as error:
        raise SessionError(f"{path} is not UTF-8 text (byte {error.start}).", FILE_IS_KEPT) from None


def _write_atomically(path: Path, data: bytes) -> None:
    """Replace a file by `data`, readable by its user alone; on any error the file before stays.

    What a symbolic link points at is replaced, not the link.
    """
    target = path.resolve()
    temporary = target.parent / f".{secrets.token_hex(8)}{_LEFTOVER_SUFFIX}"
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


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


class SessionWriter:
    """Saves snapshots of chats in a background thread, in order and only the newest of each.

    A snapshot that could not be saved stays in memory and is tried again with the next `submit` or
    `flush`, unless a newer one of its chat has come.
    """

    def __init__(
        self,
        store: SessionStore,
        on_error: Callable[[SessionError], object],
        on_saved: Callable[[Session], object] | None = None,
    ) -> None:
        """Start the thread.

        Args:
            store: Where to save.
            on_error: Told of each failed save, in the writer's thread; it must not wait for the UI thread.
            on_saved: Told of each snapshot that is on disk, under the same rules.
        """
        self._store = store
        self._on_error = on_error
        self._on_saved = on_saved
        self._changed = threading.Condition()
        self._waiting: dict[Path, Session] = {}
        self._failed: dict[Path, Session] = {}
        self._writing = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="session-writer", daemon=True)
        self._thread.start()

    def submit(self, session: Session) -> None:
        """Have a snapshot saved soon; one of the same chat that still waits is dropped. Never blocks.

        Raises:
            SessionError: The chat's id cannot name a file.
            RuntimeError: The writer is closed.
        """
        path = self._store.path_of(session)
        with self._changed:
            if self._closed:
                raise RuntimeError("the session writer is closed")
            self._waiting[path] = session
            self._try_failed_again()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was submitted is on disk, for `timeout` seconds at most.

        Returns:
            Whether it is; False too where a save failed once more.
        """
        with self._changed:
            self._try_failed_again()
            return self._wait_until_done(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Save what waits and end the thread, waiting for `timeout` seconds at most.

        Returns:
            Whether all that was submitted is on disk.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._try_failed_again()
            self._closed = True
            self._changed.notify_all()
            done = self._wait_until_done(timeout)
        self._thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return done

    def _try_failed_again(self) -> None:
        if self._closed:
            return
        for path, session in self._failed.items():
            self._waiting.setdefault(path, session)
        self._failed.clear()
        self._changed.notify_all()

    def _wait_until_done(self, timeout: float | None) -> bool:
        idle = self._changed.wait_for(lambda: not self._waiting and not self._writing, timeout)
        return idle and not self._failed

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                path = next(iter(self._waiting))
                session = self._waiting.pop(path)
                self._writing = True
            saved = self._save(session)
            with self._changed:
                self._writing = False
                if not saved and path not in self._waiting:
                    self._failed[path] = session
                self._changed.notify_all()

    def _save(self, session: Session) -> bool:
        """Save one snapshot and tell of it; whatever goes wrong, the thread lives on."""
        try:
            self._store.save(session)
        except Exception as error:
            _log.exception("saving the chat %s failed", session.id)
            if not isinstance(error, SessionError):
                error = SessionError(f"The chat {session.id!r} could not be saved: {error!r}.", _TRY_AGAIN)
            _tell(self._on_error, error)
            return False
        if self._on_saved is not None:
            _tell(self._on_saved, session)
        return True


def _tell(listener: Callable[[Told], object], news: Told) -> None:
    """Call a listener; one that fails, as it may while the app shuts down, must not end the writer."""
    try:
        listener(news)
    except Exception:
        _log.exception("a listener of the session writer failed")

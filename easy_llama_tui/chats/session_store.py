"""Saved chats on disk: list, find, open and save them, and write them off the UI thread.

A chat is one TOML file in the sessions folder, named after its id. It is replaced in one step, so a crash
or a full disk leaves the version before.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from random import SystemRandom
from typing import Final, TypeVar

from easy_llama_tui.atomic_write import LEFTOVER_SUFFIX, write_atomically
from easy_llama_tui.chats.conversation import utc_now
from easy_llama_tui.chats.session import (
    FILE_IS_KEPT,
    Session,
    SessionEncoder,
    SessionError,
    from_toml,
    new_session_id,
    title_from,
)
from easy_llama_tui.chats.session_trash import DeletedChat, Trash

SUFFIX: Final = ".toml"
TRASH_FOLDER: Final = ".trash"
"""Its name in the folder of chats."""

_MESSAGES_BEGIN: Final = b"[[messages]]"
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
        self._trash = Trash(folder / TRASH_FOLDER)
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
        for path in self.files():
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
        files = {path.stem: path for path in self.files()}
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
        with self._saving:
            return self._save(session)

    def rename(self, chat_id: str, title: str) -> Session:
        """Give a saved chat a title, as `title_from` tidies it, and return the chat as it is now.

        It keeps its place in the list. An open chat has to be renamed in itself and saved from there: its
        next snapshot would bring the old title back.

        Raises:
            SessionError: No chat of the folder has this id, the title has nothing to show, or the file
                cannot be read or written.
        """
        tidy = title_from(title)
        if not tidy:
            raise SessionError("A title needs something that can be seen.", "Type a few words.")
        path = self._file_of(chat_id)
        with self._saving:  # no save can come between the reading and the writing
            session = replace(self._read(path), title=tidy, named=True)
            self._save(session)
        return session

    def duplicate(self, session: Session, *, now: datetime | None = None) -> Session:
        """Save a copy of a chat, with all its alternatives, as a chat of its own; return the copy.

        Of a chat that is open, give its snapshot, which may be newer than its file. The copy is saved to
        the folder, and dated `now` (aware).

        Raises:
            SessionError: It cannot be written.
        """
        now = now or utc_now()
        random = SystemRandom()
        with self._saving:
            new_id = new_session_id(now, random)
            while (self.folder / (new_id + SUFFIX)).exists():
                new_id = new_session_id(now, random)
            title = title_from(f"copy of {session.title}")
            copy = replace(session, id=new_id, title=title, named=True, created=now, updated=now, file=None)
            self._save(copy)
        return copy

    def delete(self, chat_id: str, *, now: datetime | None = None) -> DeletedChat:
        """Move a chat's file, readable or not, to the trash; what `restore` needs to undo it is returned.

        Close an open chat first and flush its writer: then the trash holds its last words, and no later
        snapshot brings the file back. What was deleted more than 30 days before `now` (aware) goes for good.

        Raises:
            SessionError: No chat of the folder has this id, or its file cannot be moved.
        """
        now = now or utc_now()
        path = self._file_of(chat_id)
        with self._saving:
            try:
                deleted = self._trash.put(path, now)
            except OSError as error:
                raise SessionError(
                    f"{path} could not be moved to the trash: {_reason(error)}.",
                    "It is where it was; make the folder writable, then try again.",
                ) from error
            self._trash.empty(now)
        return deleted

    def restore(self, deleted: DeletedChat) -> None:
        """Bring a deleted chat back to where it was.

        Raises:
            SessionError: A file of its name is there again, or it is no longer in the trash.
        """
        with self._saving:
            try:
                self._trash.take_back(deleted)
            except FileExistsError:
                raise SessionError(
                    f"{deleted.path} is there again, so the deleted chat cannot take its place.",
                    f"Rename it, then move {deleted.trashed} there.",
                ) from None
            except OSError as error:
                raise SessionError(
                    f"The chat {deleted.id} could not be brought back: {_reason(error)}.",
                    f"Look for it in {self._trash.folder}.",
                ) from error

    def empty_trash(self, *, now: datetime | None = None) -> int:
        """Remove for good what was deleted more than 30 days before `now` (aware); return how many chats."""
        with self._saving:
            return self._trash.empty(now or utc_now())

    def _save(self, session: Session) -> Path:
        """Write a chat; the caller holds the lock."""
        path = self.path_of(session)
        data = self._encoder.to_toml(session).encode("utf-8")
        try:
            if session.file is None:
                self._prepare_folder()
            write_atomically(path, data)
        except OSError as error:
            raise SessionError(
                f"The chat could not be saved to {path}: {_reason(error)}.", _TRY_AGAIN
            ) from error
        return path

    def _file_of(self, chat_id: str) -> Path:
        """Return the file of exactly this id: the start of one is not enough to change a chat."""
        for path in self.files():
            if path.stem == chat_id:
                return path
        raise SessionError(
            f"There is no chat {chat_id!r} in {self.folder}.", "Choose one from the list of chats."
        )

    def files(self) -> list[Path]:
        """Return the files of the chats in the folder, in no order.

        Raises:
            SessionError: The folder cannot be read.
        """
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
        for path in self.folder.glob(f".*{LEFTOVER_SUFFIX}"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _read(self, path: Path) -> Session:
        session = from_toml(read_text(path), str(path))
        file = path.absolute()
        if file.parent.resolve() == self.folder.resolve() and not file.name.startswith("."):
            return replace(session, id=file.stem)
        return replace(session, file=file)


def _summary(path: Path) -> SessionSummary:
    try:
        session = from_toml(read_text(path, header_only=True), str(path), header_only=True)
    except SessionError:
        # Edited by hand, a file may have tables after its messages.
        session = from_toml(read_text(path), str(path), header_only=True)
    return SessionSummary(
        path.stem, session.title, session.created, session.updated, session.model.name, path
    )


def read_text(path: Path, *, header_only: bool = False) -> str:
    """Return a file's text (a byte order mark is left out), or only what comes before its messages.

    Raises:
        SessionError: It is no file, cannot be read, or is not UTF-8.
    """
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

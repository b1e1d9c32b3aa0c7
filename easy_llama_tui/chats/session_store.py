"""Saved chats on disk: list, find, open and save them.

A chat is one TOML file in the sessions folder, named after its id. It is replaced in one step, so a crash
or a full disk leaves the version before. Whoever has a chat open holds a lock on its file, and nobody else
writes to it. What a program without such manners wrote is kept before it is replaced, and so is what a
save would take away.
"""

import contextlib
import errno
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Final

from easy_llama_tui.atomic_write import LEFTOVER_SUFFIX, write_atomically
from easy_llama_tui.chats import session_copies
from easy_llama_tui.chats.conversation import Message, utc_now
from easy_llama_tui.chats.file_lock import FileLock, LockHolder, remove_stale, take
from easy_llama_tui.chats.session import (
    SCHEMA,
    Session,
    SessionEncoder,
    SessionError,
    from_toml,
    new_session_id,
    title_from,
)
from easy_llama_tui.chats.session_files import (
    SUFFIX,
    FileStamp,
    FileVersion,
    digest_of,
    read_bytes,
    read_text,
    reason_of,
    stamp_of,
    text_of,
)
from easy_llama_tui.chats.session_recovery import Recovery, recover
from easy_llama_tui.chats.session_trash import DeletedChat, Trash
from easy_llama_tui.chats.session_upgrades import schema_in
from easy_llama_tui.private_files import make_private_folder

TRASH_FOLDER: Final = ".trash"
"""Its name in the folder of chats."""
LOCKS_FOLDER: Final = ".locks"
"""The name of the folder of locks, in the folder of the file that is locked."""
TRY_AGAIN: Final = "It stays in memory and is saved as soon as that is possible"

_LEFTOVER_AGE: Final = 3600.0
"""Seconds after which a temporary file cannot be of a save that still runs."""
_LOCK_AGE: Final = 24 * 3600.0
"""Seconds after which a lock file is looked at once, whether anybody holds it."""
_REMEDIES: Final = {
    errno.ENOSPC: "make room on the disk.",
    errno.EDQUOT: "your quota of the disk is used up, so remove something.",
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "make the folder writable."),
}
"""What the person can do about errors of the system."""


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


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A chat as it is on the disk, opened to go on with, or only to be read."""

    session: Session
    """The chat."""
    holder: LockHolder | None = None
    """Who has it open already, so that it can only be read here; None where it is free to be written."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The last version of a chat's file that was read or written here."""

    version: FileVersion
    schema: int
    messages: tuple[Message, ...] | None
    """What it says; None where that was not kept in memory."""


class SessionStore:
    """The folder of saved chats; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made for its user alone at the first save."""
        self.folder = folder
        self._trash = Trash(folder / TRASH_FOLDER)
        self._encoder = SessionEncoder()
        self._saving = threading.RLock()
        self._is_prepared = False
        # By the file itself, which several names may lead to.
        self._open: set[Path] = set()
        self._locks: dict[Path, FileLock] = {}
        self._known: dict[Path, _Known] = {}
        self._kept: dict[Path, tuple[FileStamp, Path]] = {}
        self._notices: list[str] = []
        self._at_the_end = weakref.finalize(self, _release_all, self._locks)

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

    def find(self, id_or_path: str) -> Path:
        """Return the file of the chat with an id, or with the only id that begins so; or a ".toml" file.

        Raises:
            SessionError: There is no such chat, or several ids begin so.
        """
        files = {path.stem: path for path in self.files()}
        if id_or_path in files:
            return files[id_or_path]
        if id_or_path.endswith(SUFFIX):
            return Path(id_or_path)
        found = [name for name in sorted(files) if id_or_path and name.startswith(id_or_path)]
        if len(found) == 1:
            return files[found[0]]
        if found:
            some = ", ".join(found[:3]) + (" …" if len(found) > 3 else "")
            raise SessionError(
                f"{len(found)} chats begin with {id_or_path!r}: {some}.", "Give more of the id."
            )
        raise SessionError(
            f"There is no chat {id_or_path!r} in {self.folder}.",
            "Choose one from the list of chats, or give the path of a .toml file.",
        )

    def load(self, id_or_path: str) -> Session:
        """Return the chat with an id, with the only id that begins so, or in a ".toml" file anywhere.

        A chat from outside the folder is saved back to its file. One inside has the id that its file is
        named after, so that a copied file is a chat of its own.

        Raises:
            SessionError: There is no such chat, several ids begin so, or the file cannot be read.
            DamagedSessionError: The file cannot be read as a chat; `recover` may.
        """
        return self._read(self.find(id_or_path))

    def open(self, id_or_path: str) -> OpenedSession:
        """Return a chat as `load` does, to go on with: no other program can write to it until `release`.

        Where another program has it open already, it can only be read.

        Raises:
            SessionError, DamagedSessionError: as `load` does.
        """
        path = self.find(id_or_path)
        with self._saving:
            key = _key(path)
            was_open = key in self._open
            holder = None
            try:
                with self._claimed(key, hold=True):
                    session = self._read(path, to_open=True)
                    self._open.add(key)
            except _HeldElsewhereError as error:
                holder = error.holder
                session = self._read(path)
            except BaseException:
                if not was_open:
                    self._release(key)
                raise
        return OpenedSession(session, holder)

    def release(self, path: Path) -> None:
        """Let other programs write to the file of a chat that was opened, or saved with `hold`."""
        with self._saving:
            self._release(_key(path))

    def release_all(self) -> None:
        """Let other programs write to all chats that are open here."""
        with self._saving:
            for key in {*self._open, *self._locks}:
                self._release(key)

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

    def save(self, session: Session, *, hold: bool = False) -> Path:
        """Write a chat to its file in one step, and return the file.

        Args:
            session: The chat.
            hold: Keep other programs from writing to it until `release`.

        Raises:
            SessionError: It cannot be written, or another program has it open; the version before is still
                there.
        """
        with self._saving:
            return self._save(session, hold)

    def take_notices(self) -> tuple[str, ...]:
        """Return what the person should know of saves since the last time, and forget it.

        A file was changed or removed by another program: where its version is kept.
        """
        with self._saving:
            notices, self._notices = tuple(self._notices), []
        return notices

    def rename(self, chat_id: str, title: str) -> Session:
        """Give a saved chat a title, as `title_from` tidies it, and return the chat as it is now.

        It keeps its place in the list. An open chat has to be renamed in itself and saved from there: its
        next snapshot would bring the old title back.

        Raises:
            SessionError: No chat of the folder has this id, the title has nothing to show, the file
                cannot be read or written, or another program has the chat open.
        """
        tidy = title_from(title)
        if not tidy:
            raise SessionError("A title needs something that can be seen.", "Type a few words.")
        path = self._file_of(chat_id)
        # No save can come between the reading and the writing.
        with self._saving, self._claimed(_key(path)):
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
        return self._save_as_new(replace(session, title=title_from(f"copy of {session.title}")), now)

    def recover(self, id_or_path: str) -> Recovery:
        """Return what can be read of a chat's damaged file, which is left as it is.

        Raises:
            SessionError: There is no such file, or it cannot be read at all.
        """
        path = self.find(id_or_path)
        return recover(read_bytes(path), path)

    def save_recovered(self, recovery: Recovery, *, now: datetime | None = None) -> Session:
        """Save what was recovered as a chat of its own, and return that.

        Raises:
            SessionError: It cannot be written.
        """
        session = recovery.session
        return self._save_as_new(replace(session, title=title_from(f"recovered: {session.title}")), now)

    def delete(self, chat_id: str, *, now: datetime | None = None) -> DeletedChat:
        """Move a chat's file, readable or not, to the trash; what `restore` needs to undo it is returned.

        Close an open chat first and flush its writer: then the trash holds its last words, and no later
        snapshot brings the file back. What was deleted more than 30 days before `now` (aware) goes for good.

        Raises:
            SessionError: No chat of the folder has this id, its file cannot be moved, or another program
                has it open.
        """
        now = now or utc_now()
        path = self._file_of(chat_id)
        with self._saving, self._claimed(_key(path)):
            try:
                deleted = self._trash.put(path, now)
            except OSError as error:
                raise SessionError(
                    f"{path} could not be moved to the trash: {reason_of(error)}.",
                    "It is where it was; make the folder writable, then try again.",
                ) from error
            self._known.pop(_key(path), None)
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
                    f"The chat {deleted.id} could not be brought back: {reason_of(error)}.",
                    f"Look for it in {self._trash.folder}.",
                ) from error

    def empty_trash(self, *, now: datetime | None = None) -> int:
        """Remove for good what was deleted more than 30 days before `now` (aware); return how many chats."""
        with self._saving:
            return self._trash.empty(now or utc_now())

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
                f"The chats in {self.folder} could not be listed: {reason_of(error)}.",
                "Make the folder readable, then try again.",
            ) from error

    # All that follows is done while `_saving` is held.

    def _save(self, session: Session, hold: bool = False) -> Path:
        path = self.path_of(session)
        data = self._encoder.to_toml(session).encode("utf-8")
        key = _key(path)
        try:
            if session.file is None:
                self._prepare_folder()
            # What is written once and is not there yet, nobody can have open.
            with self._claimed(key, hold=hold) if hold or key.exists() else contextlib.nullcontext():
                keep = partial(self._keep_what_would_be_lost, key, session.messages)
                stamp = FileStamp.of(write_atomically(path, data, before_replacing=keep))
                if hold:
                    self._open.add(key)
                messages = session.messages if key in self._open else None
                self._known[key] = _Known(FileVersion(stamp, digest_of(data)), SCHEMA, messages)
        except OSError as error:
            raise SessionError(
                f"The chat could not be saved to {path}: {reason_of(error)}.",
                f"{TRY_AGAIN}: {_REMEDIES.get(error.errno or 0, 'check the folder.')}",
            ) from error
        return path

    def _save_as_new(self, session: Session, now: datetime | None) -> Session:
        now = now or utc_now()
        random = SystemRandom()
        with self._saving:
            new_id = new_session_id(now, random)
            while (self.folder / (new_id + SUFFIX)).exists():
                new_id = new_session_id(now, random)
            copy = replace(session, id=new_id, named=True, created=now, updated=now, file=None)
            self._save(copy)
        return copy

    def _keep_what_would_be_lost(self, key: Path, messages: tuple[Message, ...]) -> None:
        """Keep the version that is on the disk where it is not ours, or says what the new one does not."""
        known = self._known.get(key)
        try:
            stamp = stamp_of(key)
            is_ours = known is not None and known.version.is_at(key)
        except FileNotFoundError:
            if known is not None:
                self._notices.append(f"The file of this chat was removed: {key}. It was written anew.")
            return
        kept_stamp, copy = self._kept.get(key, (None, key))
        if kept_stamp == stamp:
            return  # a save that failed after that is tried again
        is_older = known is not None and is_ours and known.schema < SCHEMA
        if is_ours and not is_older and not _is_said_less(self._messages_of(key, known), messages):
            return
        copy = session_copies.keep(key, utc_now(), before_upgrade=is_older)
        self._kept[key] = stamp, copy
        if not is_ours:
            self._notices.append(
                f"Another program wrote to the file of this chat, {key}. What it wrote is kept in {copy}; "
                "the chat is saved as it is here."
            )

    def _messages_of(self, key: Path, known: _Known | None) -> Iterable[Message] | None:
        if known is not None and known.messages is not None:
            return known.messages
        try:
            return from_toml(read_text(key), str(key)).messages
        except SessionError:
            return None

    @contextlib.contextmanager
    def _claimed(self, key: Path, *, hold: bool = False) -> Iterator[None]:
        """Keep other programs from writing to a file, meanwhile or until `_release`.

        Where there can be no lock, as on some network drives, nobody is kept from anything, and what
        others wrote is kept as it is where programs have no manners.

        Raises:
            _HeldElsewhereError: another program does that already.
        """
        lock = self._locks.get(key)
        if lock is not None and lock.is_in_force:
            yield
            return
        if lock is not None:
            hold = True
            lock.release()
            del self._locks[key]
        taken = take(key.parent / LOCKS_FOLDER / f"{key.name}.lock")
        if isinstance(taken, LockHolder):
            raise _HeldElsewhereError(key, taken)
        if taken is not None:
            self._locks[key] = taken
        try:
            yield
        finally:
            if not hold and taken is not None:
                del self._locks[key]
                taken.release()

    def _release(self, key: Path) -> None:
        self._open.discard(key)
        if known := self._known.get(key):
            self._known[key] = replace(known, messages=None)
        if lock := self._locks.pop(key, None):
            lock.release()

    def _prepare_folder(self) -> None:
        """Make the folder, and once remove what a killed program left there: it holds somebody's chat."""
        make_private_folder(self.folder)
        if self._is_prepared:
            return
        self._is_prepared = True
        oldest = time.time() - _LEFTOVER_AGE
        for path in self.folder.glob(f".*{LEFTOVER_SUFFIX}"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()
        remove_stale(self.folder / LOCKS_FOLDER, time.time() - _LOCK_AGE)
        session_copies.remove_old(self.folder, utc_now())

    def _read(self, path: Path, *, to_open: bool = False) -> Session:
        """Read a chat; that of an open one is not known before it is opened again."""
        key, stamp = _key(path), None
        with contextlib.suppress(OSError, ValueError):  # what follows says what is wrong
            stamp = stamp_of(key)  # before it is read, so that a change meanwhile is seen
        data = read_bytes(path)
        text = text_of(data, path)
        session = from_toml(text, str(path))
        if stamp is not None and (to_open or key not in self._open):
            messages = session.messages if to_open else None
            self._known[key] = _Known(FileVersion(stamp, digest_of(data)), schema_in(text), messages)
        file = path.absolute()
        if file.parent.resolve() == self.folder.resolve() and not file.name.startswith("."):
            return replace(session, id=file.stem)
        return replace(session, file=file)


class _HeldElsewhereError(SessionError):
    """Another program writes to a chat."""

    def __init__(self, path: Path, holder: LockHolder) -> None:
        super().__init__(f"{path} is open in {holder}.", "Close it there, or go on in a copy of it.")
        self.holder = holder


def _key(path: Path) -> Path:
    """Return what a path leads to, also where nothing is there yet."""
    try:
        return path.resolve()
    except (OSError, ValueError):  # no file can have this name; what reads it says so
        return path.absolute()


def _is_said_less(before: Iterable[Message] | None, now: Iterable[Message]) -> bool:
    """Return whether a message is gone, or does not begin with what it said; None is not known."""
    if before is None:
        return True
    messages = {message.id: message for message in now}
    for one in before:
        other = messages.get(one.id)
        if other is not one and one.content and (other is None or not other.content.startswith(one.content)):
            return True
    return False


def _release_all(locks: dict[Path, FileLock]) -> None:
    for lock in locks.values():
        lock.release()


def _summary(path: Path) -> SessionSummary:
    try:
        session = from_toml(read_text(path, header_only=True), str(path), header_only=True)
    except SessionError:
        # Edited by hand, a file may have tables after its messages.
        session = from_toml(read_text(path), str(path), header_only=True)
    return SessionSummary(
        path.stem, session.title, session.created, session.updated, session.model.name, path
    )

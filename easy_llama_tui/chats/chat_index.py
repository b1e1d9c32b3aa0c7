"""All saved chats as a list shows them, read quickly.

What a list shows of a chat is kept in an index file, so that only files that changed are read again. The
index is a cache: without it, or with a damaged one, the same list takes longer. Damaged files are not in
it, and are read each time. It holds titles and first
words, so it is readable by its user alone.
"""

import contextlib
import json
import logging
import os
import stat
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from easy_llama_tui.atomic_write import write_atomically
from easy_llama_tui.chats.conversation import storable_text
from easy_llama_tui.chats.session import Session, SessionError, from_toml
from easy_llama_tui.chats.session_files import read_text
from easy_llama_tui.chats.session_skim import Skimmed, header_text, skim
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.private_files import make_private_folder

FIRST_WORDS_LENGTH: Final = 120

_VERSION: Final = 1
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChatSummary:
    """What a list shows of a saved chat. Its texts are as in the file, not made safe to show."""

    path: Path
    """Its file."""
    id: str
    """What `SessionStore.load` finds it by: the name of its file without ".toml"."""
    title: str
    """What the list calls it; the id, where the file is too damaged to tell."""
    model_name: str
    """The model that it was last held with; empty where that is unknown."""
    n_messages: int
    """How many messages the shown path has."""
    updated: datetime
    """When it last changed; of a damaged file, when that was last written."""
    first_words: str
    """What the person said first, on one line, cut to 120 characters."""
    problem: str | None = None
    """Why the chat cannot be opened; None where it can."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What changes whenever a file does: each save makes a new file, with another inode."""

    size: int
    modified_ns: int
    inode: int


_Entries = dict[str, tuple[_Stamp, ChatSummary]]


class ChatIndex:
    """The list of the chats in a store's folder; safe to use from several threads."""

    def __init__(self, store: SessionStore, index_file: Path | None) -> None:
        """List the chats of `store`, with an index in `index_file`; None keeps it in memory only."""
        self._store = store
        self._file = index_file
        self._lock = threading.Lock()
        self._entries: _Entries | None = None

    @property
    def store(self) -> SessionStore:
        """The folder of chats that this lists."""
        return self._store

    def chats(self) -> tuple[ChatSummary, ...]:
        """Return all chats as they are on disk now, the last changed first; damaged files are among them.

        Raises:
            SessionError: The folder cannot be read.
        """
        with self._lock:
            known = self._read_index() if self._entries is None else self._entries
            entries = _entries_now(self._store.files(), known)
            # A problem may end without a trace in the file, by a permission or by a newer version.
            whole = {name: entry for name, entry in entries.items() if entry[1].problem is None}
            if whole != known:
                self._write_index(whole)
            self._entries = whole
        summaries = (summary for _, summary in entries.values())
        return tuple(sorted(summaries, key=lambda one: (one.updated, one.id), reverse=True))

    def _read_index(self) -> _Entries:
        """Return what the index file says, or nothing where it is missing, damaged or of another folder."""
        if self._file is None:
            return {}
        try:
            index = json.loads(self._file.read_bytes())
            if index["version"] != _VERSION or index["folder"] != str(self._store.folder):
                return {}
            return {name: _entry(self._store.folder / name, row) for name, row in index["chats"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            _log.warning("the index of chats %s cannot be read; it is made again", self._file)
            return {}

    def _write_index(self, entries: _Entries) -> None:
        if self._file is None:
            return
        index = {
            "version": _VERSION,
            "folder": str(self._store.folder),
            "chats": {name: _row(stamp, summary) for name, (stamp, summary) in entries.items()},
        }
        try:
            make_private_folder(self._file.parent)
            write_atomically(self._file, json.dumps(index, separators=(",", ":")).encode("ascii"))
        except (OSError, ValueError):
            _log.warning("the index of chats %s cannot be written", self._file, exc_info=True)


def _row(stamp: _Stamp, summary: ChatSummary) -> list[object]:
    return [
        *(stamp.size, stamp.modified_ns, stamp.inode),
        *(summary.title, summary.model_name, summary.n_messages, summary.updated.timestamp()),
        summary.first_words,
    ]


def _entry(path: Path, row: list[object]) -> tuple[_Stamp, ChatSummary]:
    """Return an entry of the index; a ValueError or TypeError says that it is not one."""
    match row:
        case [
            int(size), int(modified), int(inode),
            str(title), str(model_name), int(n_messages), float(updated), str(first_words),
        ]:  # fmt: skip
            summary = ChatSummary(
                path, path.stem, title, model_name, n_messages,
                datetime.fromtimestamp(updated, UTC), first_words,
            )  # fmt: skip
            return _Stamp(size, modified, inode), summary
        case _:
            raise ValueError(f"{path.name} has a row that is none")


def _entries_now(paths: Iterable[Path], known: Mapping[str, tuple[_Stamp, ChatSummary]]) -> _Entries:
    entries: _Entries = {}
    for path in paths:
        stamp = _stamp(path)
        if stamp is None:
            continue  # it was deleted just now
        before = known.get(path.name)
        if before is not None and before[0] == stamp:
            entries[path.name] = before
        else:
            # The stamp is older than what is read now, so a save in between is seen the next time.
            entries[path.name] = (stamp, summarize(path))
    return entries


def _stamp(path: Path) -> _Stamp | None:
    """Return the stamp of a file, or of a link where that leads nowhere; None where nothing is there."""
    for state_of in (os.stat, os.lstat):
        with contextlib.suppress(OSError):
            state = state_of(path)
            return _Stamp(state.st_size, state.st_mtime_ns, state.st_ino)
    return None


def summarize(path: Path) -> ChatSummary:
    """Return what a list shows of a chat's file; one that is damaged has its `problem`."""
    text = ""
    try:
        text = read_text(path)
        return _summary(path, skim(text, str(path)))
    except SessionError as error:
        return _damaged(path, text, str(error))


def _summary(path: Path, chat: Skimmed) -> ChatSummary:
    header = chat.header
    spoken = [message for message in chat.shown if message.role != "system"]
    first = next((message for message in spoken if message.role == "user"), spoken[0] if spoken else None)
    return ChatSummary(
        path=path,
        id=path.stem,
        title=header.title,
        model_name=header.model.name,
        n_messages=len(chat.shown),
        updated=header.updated,
        first_words="" if first is None else _first_words(first.content),
    )


def _first_words(text: str) -> str:
    # A few more characters than are shown, because runs of spaces become one.
    return " ".join(text[: 8 * FIRST_WORDS_LENGTH].split())[:FIRST_WORDS_LENGTH]


def _damaged(path: Path, text: str, problem: str) -> ChatSummary:
    header: Session | None = None
    with contextlib.suppress(SessionError):
        header = from_toml(header_text(text), str(path), header_only=True)
    return ChatSummary(
        path=path,
        id=path.stem,
        title=header.title if header else storable_text(path.stem),
        model_name=header.model.name if header else "",
        n_messages=0,
        updated=_written(path),
        first_words="",
        problem=problem,
    )


def _written(path: Path) -> datetime:
    try:
        state = path.lstat()
    except OSError:
        return _EARLIEST
    if not stat.S_ISREG(state.st_mode):
        return _EARLIEST
    return datetime.fromtimestamp(int(state.st_mtime), UTC)

"""Writes chats to the disk off the UI thread, and goes on trying where that fails."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from easy_llama_tui.chats.session import Session, SessionError
from easy_llama_tui.chats.session_store import TRY_AGAIN, SessionStore

RETRY_SECONDS = 2.0
"""How long after a save that failed it is tried again."""

_log = logging.getLogger(__name__)


class SessionWriter:
    """Saves snapshots of chats in a background thread, in order and only the newest of each.

    A snapshot that could not be saved stays in memory. It is tried again with the next `submit` or `flush`
    and every few seconds, unless a newer one of its chat has come. Each chat is kept from other programs
    from its first save to `leave`.
    """

    def __init__(
        self,
        store: SessionStore,
        on_error: Callable[[Session, SessionError], object],
        on_saved: Callable[[Session], object] | None = None,
        on_notice: Callable[[str], object] | None = None,
        *,
        retry_seconds: float | None = None,
    ) -> None:
        """Start the thread.

        Args:
            store: Where to save.
            on_error: Told of each failed save, in the writer's thread; it must not wait for the UI thread.
            on_saved: Told of each snapshot that is on disk, under the same rules.
            on_notice: Told what the person should know of a save, under the same rules.
            retry_seconds: How long after a save that failed it is tried again; else `RETRY_SECONDS`.
        """
        self._store = store
        self._on_error = on_error
        self._on_saved = on_saved
        self._on_notice = on_notice
        self._retry_seconds = RETRY_SECONDS if retry_seconds is None else retry_seconds
        self._changed = threading.Condition()
        self._waiting: dict[Path, Session] = {}
        self._failed: dict[Path, Session] = {}
        self._logged: dict[Path, str] = {}
        self._left: set[Path] = set()
        self._writing: tuple[Path, Session] | None = None
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

    def unsaved(self) -> tuple[Session, ...]:
        """Return what is not on the disk yet, the newest snapshot of each chat."""
        with self._changed:
            writing = dict([self._writing]) if self._writing else {}
            return tuple({**writing, **self._failed, **self._waiting}.values())

    def leave(self, path: Path) -> None:
        """Let other programs write to a chat's file once all is on the disk; another chat is open."""
        with self._changed:
            self._left.add(path)
            self._changed.notify_all()

    def come_back(self, path: Path) -> None:
        """Take `leave` back: the chat is about to be open again."""
        with self._changed:
            self._left.discard(path)

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
        if not self._thread.is_alive():
            self._store.release_all()
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
                retry = self._retry_seconds if self._failed else None
                if not self._changed.wait_for(self._has_work, retry):
                    self._try_failed_again()
                self._release_left()
                if not self._waiting:
                    if self._closed:
                        return
                    continue
                path = next(iter(self._waiting))
                session = self._waiting.pop(path)
                self._writing = path, session
            saved = self._save(path, session)
            with self._changed:
                self._writing = None
                if not saved and path not in self._waiting:
                    self._failed[path] = session
                self._changed.notify_all()

    def _has_work(self) -> bool:
        return bool(self._waiting) or self._closed or any(path not in self._failed for path in self._left)

    def _release_left(self) -> None:
        """Release the chats that were left and are on the disk; nothing can open one again meanwhile."""
        for path in [path for path in self._left if path not in self._waiting and path not in self._failed]:
            self._left.discard(path)
            self._store.release(path)

    def _save(self, path: Path, session: Session) -> bool:
        """Save one snapshot and tell of it; whatever goes wrong, the thread lives on."""
        try:
            self._store.save(session, hold=True)
        except Exception as error:
            if not isinstance(error, SessionError):
                what = f"The chat {session.id!r} could not be saved: {error!r}."
                error = SessionError(what, f"{TRY_AGAIN}.")
            if self._logged.get(path) != str(error):  # once, however often it is tried
                self._logged[path] = str(error)
                _log.exception("saving the chat %s failed", session.id)
            self._tell(self._on_error, session, error)
            return False
        finally:
            if self._on_notice is not None:
                for notice in self._store.take_notices():
                    self._tell(self._on_notice, notice)
        self._logged.pop(path, None)
        if self._on_saved is not None:
            self._tell(self._on_saved, session)
        return True

    @staticmethod
    def _tell(listener: Callable[..., object], *news: object) -> None:
        """Call a listener; one that fails, as it may while the app shuts down, must not end the writer."""
        try:
            listener(*news)
        except Exception:
            _log.exception("a listener of the session writer failed")

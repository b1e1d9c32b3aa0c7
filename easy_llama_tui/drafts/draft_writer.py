"""Writes drafts off the UI thread, in order and only the newest of each."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from easy_llama_tui.drafts.draft import Draft
from easy_llama_tui.drafts.draft_store import DraftStore

RETRY_SECONDS: Final = 2.0
"""How long a draft that could not be written waits for the next try."""

_log = logging.getLogger(__name__)


class DraftWriter:
    """A thread that saves drafts; what cannot be saved is kept and tried again."""

    def __init__(self, store: DraftStore, tell: Callable[[OSError | None], object]) -> None:
        """Begin without a thread.

        Args:
            store: where to save.
            tell: is told in the thread why a draft could not be saved, and None once all are again.
        """
        self._store = store
        self._tell = tell
        self._changed = threading.Condition()
        self._waiting: dict[str, Draft] = {}
        self._writing: tuple[str, Draft] | None = None
        self._failed = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, name: str, draft: Draft) -> None:
        """Have a draft saved soon, after those that were submitted before. Never blocks."""
        with self._changed:
            if self._closed:
                return
            self._waiting.pop(name, None)
            self._waiting[name] = draft
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="draft-writer", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def unwritten(self, name: str) -> Draft | None:
        """Return a draft that was submitted and is not on disk yet."""
        with self._changed:
            if name in self._waiting:
                return self._waiting[name]
            return self._writing[1] if self._writing is not None and self._writing[0] == name else None

    def flush(self, timeout: float) -> bool:
        """Wait until all is on disk, `timeout` seconds at most; return whether it is."""
        with self._changed:
            self._failed = False  # now, and not when it would be time
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._failed or not (self._waiting or self._writing is not None), timeout
            )
            return not (self._waiting or self._writing is not None)

    def close(self, timeout: float) -> bool:
        """Save what waits and end the thread, within `timeout` seconds; return whether all is on disk."""
        deadline = time.monotonic() + timeout
        done = self.flush(timeout)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        return done

    def _run(self) -> None:
        was_told = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._failed or self._closed, RETRY_SECONDS)
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting or (self._failed and self._closed):
                    return
                name = next(iter(self._waiting))
                draft = self._waiting.pop(name)
                self._writing = (name, draft)
            error = self._write(name, draft)
            with self._changed:
                self._writing = None
                if error is not None:
                    # Before what came since, so that the order stays.
                    self._waiting = {name: draft, **self._waiting}
                self._failed = error is not None
                self._changed.notify_all()
            if error is not None or was_told:
                self._say(error)
            was_told = error is not None

    def _write(self, name: str, draft: Draft) -> OSError | None:
        try:
            self._store.write(name, draft)
        except OSError as error:
            _log.warning("a draft could not be saved: %r", error)
            return error
        return None

    def _say(self, error: OSError | None) -> None:
        try:
            self._tell(error)
        except Exception:  # as the app shuts down: the thread must not end with it
            _log.exception("nobody could be told of a draft")

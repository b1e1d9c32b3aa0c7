"""The one thread in which an engine lives."""

import logging
import queue
import threading
from collections.abc import Callable

from textual.message import Message

from easy_llama.errors import EasyLlamaError
from easy_llama.events import CancelFlag
from easy_llama_tui.engine import ChatEngine, ReplyRequest
from easy_llama_tui.generation import run_reply
from easy_llama_tui.messages import LoadProgress, ModelFailed, ModelReady

_log = logging.getLogger(__name__)


class EngineWorker:
    """Runs an engine in a thread of its own, one job after the other.

    It is a daemon thread, and not one of asyncio's, since those are waited for at the end without limit:
    whatever llama.cpp is at, the program can be left.
    """

    def __init__(self, engine: ChatEngine, post: Callable[[Message], object]) -> None:
        self._engine = engine
        self._post = post
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._cancel = CancelFlag()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the thread, and loading the model in it."""
        self._thread.start()
        self._jobs.put(self._load)

    def reply(self, request_id: int, request: ReplyRequest) -> None:
        """Begin a reply, once the model is loaded and earlier jobs are done."""
        cancel = self._cancel = CancelFlag()
        self._jobs.put(lambda: run_reply(self._engine, request_id, request, cancel, self._post))

    def stop_reply(self) -> None:
        """Ask the reply that was begun last to end."""
        self._cancel.cancel()

    def close(self, timeout: float = 2.0) -> bool:
        """End what is running and free the model; return whether that was done within `timeout` seconds."""
        self._closing.set()
        self._cancel.cancel()
        self._jobs.put(None)
        if self._thread.ident is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._closing.is_set():
                job()
        self._engine.close()

    def _load(self) -> None:
        try:
            model = self._engine.load(self._on_progress)
        except EasyLlamaError as error:
            self._post(ModelFailed(str(error)))
        except Exception as error:
            _log.exception("loading the model failed")
            self._post(ModelFailed(f"The model could not be loaded: {type(error).__name__}: {error}"))
        else:
            self._post(ModelReady(model))

    def _on_progress(self, share: float) -> bool:
        self._post(LoadProgress(share))
        return not self._closing.is_set()

"""The one thread in which an engine lives."""

import logging
import queue
import threading
from collections.abc import Callable

from textual.message import Message

from easy_llama.errors import EasyLlamaError
from easy_llama.events import CancelFlag, LiveSettings
from easy_llama.scores import ScoreRequest
from easy_llama.template_process import unwanted_when
from easy_llama_tui.replies.engine import ChatEngine, LoadedModel, LoadOptions, MemoryDoubtError
from easy_llama_tui.replies.generation import ReplyRequest, batch_seconds_of, run_reply
from easy_llama_tui.replies.inspection import InspectionRequest, inspect
from easy_llama_tui.replies.messages import Inspected, LoadDoubted, LoadProgress, ModelFailed, ModelReady
from easy_llama_tui.replies.text_scoring import TextRequest, find_candidates, score_text

_PROGRESS_STEP = 0.01
"""Least share of a model that is loaded between two messages about it: llama.cpp tells of each tensor."""

_KEEPING_SECONDS = 1.0
"""How long it may take to keep what was read of a chat, when it is left; mostly it takes a tenth of that."""

_log = logging.getLogger(__name__)


class EngineWorker:
    """Runs an engine in a thread of its own, one job after the other.

    It is a daemon thread, and not one of asyncio's, since those are waited for at the end without limit:
    whatever llama.cpp is at, the program can be left.
    """

    def __init__(self, engine: ChatEngine, post: Callable[[Message], object], chat_id: str = "") -> None:
        """Start the thread.

        Args:
            engine: what runs in it.
            post: is given what it tells.
            chat_id: the chat that is open.
        """
        self._engine = engine
        self._chat_id = chat_id
        self._deleted: list[str] = []
        """The chats of which nothing is to be kept any more."""
        self._post = post
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._cancel = CancelFlag()
        self._unfinished: list[CancelFlag] = []
        self._looking = CancelFlag()
        self._scoring = CancelFlag()
        self._finding = CancelFlag()
        self._wanted: tuple[InspectionRequest, CancelFlag] | None = None
        self._wanting = threading.Lock()
        self._loading = threading.Event()
        """Ends the loading that was begun last."""
        self._is_loading = False
        self._ending_loading = threading.Lock()
        self._model: LoadedModel | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def load(self, options: LoadOptions) -> None:
        """Load a model in place of the one that is loaded or being loaded, ending what is being written."""
        self._end_replies()
        self._looking.cancel()
        self.stop_scoring()
        stop = self._loading_instead()
        self._is_loading = True
        self._jobs.put(lambda: self._load(options, stop))

    def stop_loading(self) -> bool:
        """End the loading that was begun last: nothing more is heard of it, and no model is loaded then.

        Returns:
            Whether it had not ended yet.
        """
        with self._ending_loading:
            if self._is_loading:
                self._loading_instead()
                self._is_loading = False
                self._jobs.put(self._engine.close)
                return True
        return False

    def _loading_instead(self) -> threading.Event:
        """Have the loading that was begun last end unheard, and return what will end the next one."""
        self._loading.set()
        self._loading = threading.Event()
        return self._loading

    def reply(self, request_id: int, request: ReplyRequest, live: LiveSettings) -> None:
        """Begin a reply, once the model is loaded and earlier jobs are done."""
        self._looking.cancel()
        self.stop_scoring()
        cancel = self._cancel = CancelFlag()
        self._unfinished.append(cancel)

        def write() -> None:
            with unwanted_when(lambda: cancel.is_set):
                run_reply(
                    self._engine,
                    request_id,
                    request,
                    cancel,
                    live,
                    self._post,
                    batch_seconds=batch_seconds_of(self._model) if self._model else None,
                )
            self._unfinished.remove(cancel)

        self._jobs.put(write)

    def stop_reply(self) -> None:
        """Ask the reply that was begun last to end."""
        self._cancel.cancel()

    def inspect(self, request: InspectionRequest) -> None:
        """Look at the next prompt, in place of an earlier request that is not done."""
        self._looking.cancel()
        self._looking = CancelFlag()
        with self._wanting:
            is_queued = self._wanted is not None
            self._wanted = request, self._looking
        if not is_queued:
            self._jobs.put(self._inspect)

    def score_text(self, request: TextRequest) -> None:
        """Compute the figures of a text, in place of those of an earlier one that are not done."""
        self.stop_scoring()
        cancel = self._scoring = CancelFlag()

        def score() -> None:
            with unwanted_when(lambda: cancel.is_set):
                score_text(self._engine, request, cancel, self._post)

        self._jobs.put(score)

    def find_candidates(self, request_id: int, index: int, request: ScoreRequest) -> None:
        """Find what could stand in place of a token, in place of an earlier search that is not done."""
        self._finding.cancel()
        cancel = self._finding = CancelFlag()
        self._jobs.put(lambda: find_candidates(self._engine, request_id, index, request, cancel, self._post))

    def stop_scoring(self) -> None:
        """Ask for no more figures of a text, nor candidates."""
        self._scoring.cancel()
        self._finding.cancel()

    def open_chat(self, chat_id: str) -> None:
        """Keep what was read of the chat that was open, and recall what was read of this one before."""

        def change() -> None:
            self._engine.keep_state(self._chat_id, _KEEPING_SECONDS)
            self._chat_id = chat_id
            self._engine.recall_state(chat_id)

        self._jobs.put(change)

    def forget_chat(self, chat_id: str) -> None:
        """Keep nothing of what was read of a chat: it was deleted."""
        self._deleted.append(chat_id)
        self._jobs.put(self._forget_deleted)

    def close(self, timeout: float = 2.0) -> bool:
        """End what is running and free the model; return whether that was done within `timeout` seconds."""
        self._closing.set()
        self._loading.set()
        self._end_replies()
        self._looking.cancel()
        self.stop_scoring()
        self._jobs.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _end_replies(self) -> None:
        for cancel in tuple(self._unfinished):
            cancel.cancel()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._closing.is_set():
                job()
        self._forget_deleted()
        self._engine.keep_state(self._chat_id, _KEEPING_SECONDS)
        self._engine.close()

    def _forget_deleted(self) -> None:
        while self._deleted:
            self._engine.forget_state(self._deleted.pop())

    def _load(self, options: LoadOptions, stop: threading.Event) -> None:
        told = 0.0

        def on_progress(share: float) -> bool:
            nonlocal told
            goes_on = not (stop.is_set() or self._closing.is_set())
            if goes_on and share - told >= _PROGRESS_STEP:
                told = share
                self._post(LoadProgress(share))
            return goes_on

        def end(message: Message) -> None:
            with self._ending_loading:
                # Once it was stopped, or another model is asked for, nobody waits for this one.
                if not stop.is_set():
                    self._is_loading = False
                    self._post(message)

        if stop.is_set():
            return
        self._engine.keep_state(self._chat_id, _KEEPING_SECONDS)
        try:
            with unwanted_when(lambda: stop.is_set() or self._closing.is_set()):
                model = self._model = self._engine.load(options, on_progress)
        except MemoryDoubtError as error:
            end(LoadDoubted(error.doubt))
        except (EasyLlamaError, ValueError) as error:
            end(ModelFailed(str(error)))
        except Exception as error:
            _log.exception("loading the model failed")
            end(ModelFailed(f"The model could not be loaded: {type(error).__name__}: {error}"))
        else:
            end(ModelReady(model))
            self._engine.recall_state(self._chat_id)

    def _inspect(self) -> None:
        with self._wanting:
            wanted, self._wanted = self._wanted, None
        if wanted is None or wanted[1].is_set:
            return
        request, cancel = wanted
        try:
            with unwanted_when(lambda: cancel.is_set):
                found = inspect(self._engine, request, cancel)
        except Exception:
            _log.exception("looking at the prompt failed")
            return
        if not cancel.is_set:
            self._post(Inspected(request.chat_id, found))

"""An engine that says what a test tells it to, when the test tells it to."""

import queue
import threading
from collections.abc import Iterable, Iterator

from easy_llama.errors import EasyLlamaError
from easy_llama.events import CancelFlag, Event, Finished, FinishReason, PromptProgress, Token
from easy_llama_tui.engine import LoadedModel, OnProgress, ReplyRequest

END = "<end>"
"""In a script: the model ends its turn."""


def finished(reason: FinishReason, count: int) -> Finished:
    return Finished(
        reason=reason,
        text="",
        ids=tuple(range(count)),
        seed=1,
        prompt_tokens=20,
        reused_tokens=0,
        generated_tokens=count,
        prompt_seconds=0.1,
        generation_seconds=0.1,
    )


class ScriptedEngine:
    """A `ChatEngine` whose replies are fed word by word by the test.

    `say` gives the words of the reply under way (or the next), `END` ends it; `fail` raises in it. A
    `hold_loading` engine loads only when `loaded` is set.
    """

    def __init__(self, *, hold_loading: bool = False) -> None:
        self.requests: list[ReplyRequest] = []
        self.loaded = threading.Event()
        if not hold_loading:
            self.loaded.set()
        self.load_error: EasyLlamaError | None = None
        self.ignores_cancel = False
        self.closed = threading.Event()
        self._script: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()

    def say(self, *words: str) -> None:
        for word in words:
            self._script.put(word)

    def reply_with(self, *words: str) -> None:
        self.say(*words, END)

    def fail(self, error: Exception) -> None:
        self._script.put(error)

    def load(self, on_progress: OnProgress) -> LoadedModel:
        on_progress(0.5)
        while not self.loaded.wait(0.2):
            if not on_progress(0.5):
                raise EasyLlamaError("loading was cancelled")
        if self.load_error:
            raise self.load_error
        return LoadedModel(context_length=4096, format_label="chat template")

    def reply(self, request: ReplyRequest, cancel: CancelFlag) -> Iterator[Event]:
        self.requests.append(request)
        yield PromptProgress(20, 20, 0)
        for count, word in enumerate(self._words(cancel)):
            if word is None:
                yield finished("interrupted", count)
                return
            if word == END:
                yield finished("stop", count)
                return
            yield Token(count, word)

    def close(self) -> None:
        self.closed.set()

    def _words(self, cancel: CancelFlag) -> Iterable[str | None]:
        while True:
            try:
                word = self._script.get(timeout=0.01)
            except queue.Empty:
                if cancel.is_set and not self.ignores_cancel:
                    yield None
                continue
            if isinstance(word, Exception):
                raise word
            yield word

"""An engine that says what a test tells it to, when the test tells it to."""

import queue
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from easy_llama import formats
from easy_llama.errors import EasyLlamaError
from easy_llama.events import (
    CancelFlag,
    Candidate,
    Candidates,
    Distribution,
    Event,
    Finished,
    FinishReason,
    Likelihood,
    LiveSettings,
    PromptProgress,
    Token,
)
from easy_llama.prompt import Control, Turn, Written
from easy_llama.samplers import SamplerSettings
from easy_llama.scores import OnRead, Score, ScoredToken, ScoreRequest
from easy_llama_tui.models.memory_check import MemoryDoubt
from easy_llama_tui.replies.engine import (
    LoadedModel,
    LoadOptions,
    MemoryDoubtError,
    OnProgress,
    RenderedPrompt,
)

END = "<end>"
"""In a script: the model ends its turn."""


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*|\s+", text)


def finished(reason: FinishReason, ids: Sequence[int]) -> Finished:
    count = len(ids)
    return Finished(
        reason=reason,
        text="",
        ids=tuple(ids),
        seed=1,
        prompt_tokens=20,
        reused_tokens=0,
        generated_tokens=count,
        prompt_seconds=0.1,
        generation_seconds=0.1,
    )


@dataclass(frozen=True)
class Asked:
    """What a reply was asked for with."""

    turns: tuple[Turn, ...]
    opening: Turn | None
    format: str
    sampler: SamplerSettings
    live: LiveSettings
    text: str
    reply_start: tuple[int, ...] = ()


class ScriptedEngine:
    """A `ChatEngine` whose tokens are words, and whose replies are fed word by word by the test.

    `say` gives the words of the reply under way (or the next), `END` ends it; `fail` raises in it. A
    `hold_loading` engine loads only when `loaded` is set.
    """

    def __init__(self, *, hold_loading: bool = False) -> None:
        self.requests: list[Asked] = []
        self.loads: list[LoadOptions] = []
        self.context_length = 4096
        self._turns: tuple[Turn, ...] = ()
        self._opening: Turn | None = None
        self.loaded = threading.Event()
        if not hold_loading:
            self.loaded.set()
        self.load_error: EasyLlamaError | None = None
        self.doubt: MemoryDoubt | None = None
        """Why models may not fit, other than with the shorter context."""
        self.ignores_cancel = False
        self.closed = threading.Event()
        self.scored: list[ScoreRequest] = []
        self.may_score = threading.Event()
        self.may_score.set()
        self.states: list[tuple[str, str]] = []
        """What was kept, recalled and forgotten of which chat, in order."""
        self._vocabulary: list[str] = []
        self._script: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()

    def say(self, *words: str) -> None:
        for word in words:
            self._script.put(word)

    def reply_with(self, *words: str) -> None:
        self.say(*words, END)

    def fail(self, error: Exception) -> None:
        self._script.put(error)

    def silence(self) -> None:
        """Take back what was said and not written yet."""
        with suppress(queue.Empty):
            while True:
                self._script.get_nowait()

    def load(self, options: LoadOptions, on_progress: OnProgress) -> LoadedModel:
        self.loads.append(options)
        on_progress(0.5)
        while not self.loaded.wait(0.2):
            if not on_progress(0.5) and not self.ignores_cancel:
                raise EasyLlamaError("loading was cancelled")
        if self.load_error:
            raise self.load_error
        if (
            self.doubt
            and not options.in_spite_of_memory
            and options.context_length != (self.doubt.shorter_context or -1)
        ):
            raise MemoryDoubtError(self.doubt)
        return LoadedModel(self.context_length, format_label="chat template", cache_bytes=94_371_840)

    def render(
        self,
        turns: Sequence[Turn],
        format_name: str,
        *,
        opening: Turn | None = None,
        through: int | None = None,
    ) -> RenderedPrompt:
        self._turns, self._opening = tuple(turns), opening
        start = [Written(opening.content)] if opening else []
        known = formats.get("chatml" if format_name == "template" else format_name)
        pieces = formats.build_prompt(known, turns, start)
        if through is not None:
            places = [
                place
                for place, piece in enumerate(pieces)
                if not isinstance(piece, Control) and piece.turn == through
            ]
            pieces = pieces[: places[-1] + 1]
        ids = tuple(self.id_of(word) for piece in pieces for word in _words(piece.text))
        return RenderedPrompt(pieces, ids, len(start))

    def id_of(self, word: str) -> int:
        """The token that a word is."""
        if word not in self._vocabulary:
            self._vocabulary.append(word)
        return self._vocabulary.index(word)

    def places(self, prompt: RenderedPrompt) -> tuple[int, ...]:
        return tuple(place for place, piece in enumerate(prompt.pieces) for _ in _words(piece.text))

    def token_texts(self, ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(self._vocabulary[token] for token in ids)

    def token_bytes(self, ids: Sequence[int]) -> tuple[bytes, ...]:
        return tuple(text.encode() for text in self.token_texts(ids))

    def is_control(self, token: int) -> bool:
        return self._vocabulary[token].startswith("<|")

    def format_warnings(self, format_name: str, turns: Sequence[Turn]) -> tuple[str, ...]:
        return ()

    def generate(
        self,
        prompt: RenderedPrompt,
        format_name: str,
        sampler: SamplerSettings,
        cancel: CancelFlag,
        live: LiveSettings,
        reply_start: tuple[int, ...] = (),
    ) -> Iterator[Event]:
        text = "".join(piece.text for piece in prompt.pieces)
        self.requests.append(Asked(self._turns, self._opening, format_name, sampler, live, text, reply_start))
        yield PromptProgress(20, 20, 0)
        for token in reply_start:
            yield Token(token, self._vocabulary[token])
        ids = [*reply_start]
        for count, word in enumerate(self._words(cancel)):
            if word is None:
                yield finished("interrupted", ids)
                return
            if word == END:
                yield finished("stop", ids)
                return
            if live.candidates:
                yield Candidates(count, self.distribution(live.candidates))
            ids.append(self.id_of(word))
            yield Token(ids[-1], word)

    def next_tokens(
        self, prompt: RenderedPrompt, sampler: SamplerSettings, count: int, cancel: CancelFlag
    ) -> Distribution | None:
        return self.distribution(count)

    def score(self, request: ScoreRequest, cancel: CancelFlag, on_read: OnRead | None = None) -> Score | None:
        """Each token is half as likely as the one before; what could stand there is always the same."""
        self.scored.append(request)
        while not self.may_score.wait(0.01):
            if on_read is not None:
                on_read(PromptProgress(1, len(request.tokens), 0))
            if cancel.is_set:
                return None
        found = self.distribution(request.candidates) if request.candidates else None
        return Score(
            request.start,
            tuple(
                ScoredToken(
                    token,
                    self._vocabulary[token].encode(),
                    Likelihood(-0.7 * place, place + 1, 1.5) if place else None,
                    found,
                )
                for place, token in enumerate(request.tokens)
                if place >= request.start
            ),
        )

    def distribution(self, count: int) -> Distribution:
        rows = [
            Candidate(self.id_of(" meow"), " meow", 0.5, 0.75),
            Candidate(self.id_of("\n"), "\n", 0.25, 0.25),
            Candidate(self.id_of(" woof"), " woof", 0.1, 0.0),
        ]
        return Distribution(tuple(rows[:count]), 2)

    def keep_state(self, chat_id: str, seconds: float) -> None:
        self.states.append(("keep", chat_id))

    def recall_state(self, chat_id: str) -> None:
        self.states.append(("recall", chat_id))

    def forget_state(self, chat_id: str) -> None:
        self.states.append(("forget", chat_id))

    def close(self) -> None:
        self.closed.set()

    def _words(self, cancel: CancelFlag) -> Iterable[str | None]:
        while True:
            if cancel.is_set and not self.ignores_cancel:
                yield None
            try:
                word = self._script.get(timeout=0.01)
            except queue.Empty:
                continue
            if isinstance(word, Exception):
                raise word
            yield word

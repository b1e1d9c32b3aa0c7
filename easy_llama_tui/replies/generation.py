"""One reply, from the engine's events to messages for the screen. Runs in the worker thread."""

import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

from textual.message import Message

from easy_llama.cores import usable_cores
from easy_llama.errors import ChatTemplateError, EasyLlamaError
from easy_llama.events import (
    CancelFlag,
    Candidates,
    Distribution,
    Finished,
    LiveSettings,
    PromptProgress,
    Token,
)
from easy_llama.prompt import Turn, prompt_text
from easy_llama.samplers import SamplerSettings
from easy_llama_tui.chats.context_window import PathTurn, Policy, room_for_reply
from easy_llama_tui.replies.engine import ChatEngine, LoadedModel, RenderedPrompt
from easy_llama_tui.replies.figures import Figures
from easy_llama_tui.replies.inspection import fitted
from easy_llama_tui.replies.messages import (
    CandidatesSeen,
    PromptRead,
    ReplyEnded,
    ReplyRefused,
    ReplyText,
    WindowFitted,
)
from easy_llama_tui.text.reasoning import prompt_opens_reasoning

BATCH_SECONDS = 0.05
"""Text is sent to the screen at most this often: often enough to flow, seldom enough to cost little."""
CROWDED_BATCH_SECONDS = 0.08
"""The same where the screen has no core of its own.

Each picture then takes a core from llama.cpp, whose threads all wait for the one that lost it: on two cores
twenty pictures a second cost 7 % of the speed, and twelve 4 %.
"""

Post = Callable[[Message], object]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What the bot's next message is made from."""

    turns: tuple[PathTurn, ...]
    format: str
    """The name of a prompt format; `OWN_FORMAT` is the model's own."""

    sampler: SamplerSettings
    policy: Policy = Policy.DROP_OLDEST
    outside: frozenset[str] = frozenset()
    """The messages that were left out of the turn before."""

    opening: Turn | None = None
    """How the message begins already: what is to be continued, or what was put in its mouth."""

    start: tuple[int, ...] = ()
    """The tokens that the message begins with, where those are known and its text is not there yet."""


def batch_seconds_of(model: LoadedModel) -> float:
    """Return the least time between two texts of a model's replies, in seconds."""
    has_all_cores = model.n_threads is not None and model.n_threads >= usable_cores()
    return CROWDED_BATCH_SECONDS if has_all_cores and not model.n_gpu_layers else BATCH_SECONDS


def run_reply(
    engine: ChatEngine,
    request_id: int,
    request: ReplyRequest,
    cancel: CancelFlag,
    live: LiveSettings,
    post: Post,
    clock: Callable[[], float] = time.monotonic,
    batch_seconds: float | None = None,
) -> None:
    """Generate one reply and post it as it comes; the last message is one `ReplyEnded` or `ReplyRefused`.

    Args:
        engine: generates.
        request_id: is put on every message, so that late ones can be told apart.
        request: what the reply is made from.
        cancel: may be set from another thread to end the reply.
        live: may be changed from another thread meanwhile.
        post: hands a message to the screen, and never waits.
        clock: seconds, for batching and for the figures.
        batch_seconds: the least time between two texts; None is `BATCH_SECONDS`.
    """
    if batch_seconds is None:
        batch_seconds = BATCH_SECONDS
    reply = _Reply(request_id, post, clock, batch_seconds, n_given=len(request.start))
    try:
        prompt, window = fitted(
            engine,
            request.turns,
            request.format,
            room=max(
                room_for_reply(engine.context_length, request.sampler.max_len_tokens), len(request.start) + 1
            ),
            policy=request.policy,
            outside=request.outside,
            opening=request.opening,
        )
        needed = window.tokens + len(request.start)
        if not window.fits or needed >= engine.context_length:
            reply.on_refused(_refusal(needed, request.policy, engine.context_length))
            return
        opens_reasoning = prompt_opens_reasoning(prompt_text(prompt.pieces[-2:]))
        post(WindowFitted(request_id, window, opens_reasoning))
        opening_ids = _opening_ids(engine, prompt, request.opening)
        events = engine.generate(prompt, request.format, request.sampler, cancel, live, request.start)
        with closing(events):  # type: ignore[type-var]
            for event in events:
                match event:
                    case PromptProgress():
                        reply.on_prompt(event)
                    case Candidates():
                        reply.on_candidates(event)
                    case Token():
                        reply.on_token(event)
                    case Finished():
                        reply.on_finished(event, opening_ids, engine.context_length)
    except (EasyLlamaError, ValueError) as error:
        if not isinstance(error, ChatTemplateError):
            reply.on_error(str(error))
        elif cancel.is_set:
            reply.on_stopped()  # before there was a prompt to read
        else:
            reply.on_error(f"{error} In this chat, /format chooses another.")
    except Exception as error:
        _log.exception("a reply failed")
        reply.on_error(f"The reply failed: {type(error).__name__}: {error}. The log file has the details.")
    else:
        # An engine that just stops has broken its promise, but the turn must end all the same.
        reply.on_error("The engine stopped without saying why; re-roll to try again.")


def _refusal(needed: int, policy: Policy, context_length: int) -> str:
    if policy is Policy.STOP:
        return (
            f"The context is full: the chat needs {needed:,} tokens and there are {context_length:,}. "
            f"/context lets the oldest turns be left out; /new begins a new chat."
        )
    return (
        f"This does not fit: what must be read is {needed:,} tokens long, and the context holds "
        f"{context_length:,}. Shorten it, unpin messages (/context), or load a longer context."
    )


def _opening_ids(engine: ChatEngine, prompt: RenderedPrompt, opening: Turn | None) -> tuple[int, ...] | None:
    """Return the tokens that a reply begins with, or None where it is not known whose they are."""
    if opening is None or not opening.content:
        return ()
    first = len(prompt.pieces) - prompt.opening_pieces
    ids = tuple(
        token for token, place in zip(prompt.ids, engine.places(prompt), strict=True) if place >= first
    )
    return ids if "".join(engine.token_texts(ids)) == opening.content else None


class _Reply:
    """The reply so far: joins text into batches and keeps the figures."""

    def __init__(
        self,
        request_id: int,
        post: Post,
        clock: Callable[[], float],
        batch_seconds: float,
        n_given: int = 0,
    ) -> None:
        """Begin a reply, the first `n_given` tokens of which are given."""
        self._request_id = request_id
        self._post = post
        self._clock = clock
        self._batch_seconds = batch_seconds
        self._started = clock()
        self._count = 0
        self._first = self._last = 0.0
        """When the first and the last token came."""

        self._posted = 0.0
        self._waiting: list[str] = []
        self._candidates: Distribution | None = None
        """The last that were seen, where they are not posted yet."""

        self._figures = Figures()
        self._ended = False
        self._n_given = n_given

    def on_prompt(self, event: PromptProgress) -> None:
        self._figures = replace(
            self._figures,
            prompt_tokens=event.total,
            reused_tokens=event.reused,
            slid_tokens=event.slid,
            unslidable_tokens=event.unslidable,
            read_tokens=event.done - event.reused,
        )
        self._post(PromptRead(self._request_id, self._figures))

    def on_token(self, event: Token) -> None:
        self._waiting.append(event.text)
        if self._n_given:
            self._n_given -= 1  # they come all at once, and nobody wrote them now
            return
        self._last = now = self._clock()
        self._count += 1
        if self._count == 1:
            self._first = now
        if now - self._posted >= self._batch_seconds:
            self._posted = now
            self._note_tokens()
            self._post_candidates()
            self._post(ReplyText(self._request_id, self._take_text(), self._figures))

    def _note_tokens(self) -> None:
        if self._count:
            seconds = self._last - self._first
            self._figures = replace(
                self._figures,
                generated_tokens=self._count,
                first_token_seconds=self._first - self._started,
                tokens_per_second=(self._count - 1) / seconds if seconds > 0 else None,
            )

    def on_candidates(self, event: Candidates) -> None:
        # With the next text, so that both are drawn at once.
        self._candidates = event.distribution

    def on_finished(self, event: Finished, opening_ids: tuple[int, ...] | None, context_length: int) -> None:
        self._note_tokens()
        self._waiting.append(event.text)
        is_exact = opening_ids is not None and bool(event.ids)
        self._end(
            ReplyEnded(
                self._request_id,
                event.reason,
                self._take_text(),
                (*(opening_ids or ()), *event.ids) if is_exact else (),
                self._figures,
                seed=event.seed,
                prompt_seconds=event.prompt_seconds,
                generation_seconds=event.generation_seconds,
                context_is_full=event.reason == "length"
                and event.prompt_tokens + event.generated_tokens > context_length,
            )
        )

    def on_refused(self, reason: str) -> None:
        self._end(ReplyRefused(self._request_id, reason))

    def on_stopped(self) -> None:
        self._end(ReplyEnded(self._request_id, "interrupted", "", (), self._figures))

    def on_error(self, reason: str) -> None:
        self._note_tokens()
        self._end(ReplyEnded(self._request_id, "error", self._take_text(), (), self._figures, reason))

    def _take_text(self) -> str:
        text = "".join(self._waiting)
        self._waiting.clear()
        return text

    def _post_candidates(self) -> None:
        if self._candidates is not None:
            self._post(CandidatesSeen(self._request_id, self._candidates))
            self._candidates = None

    def _end(self, message: ReplyEnded | ReplyRefused) -> None:
        if not self._ended:
            self._ended = True
            self._post_candidates()
            self._post(message)

"""One reply, from the engine's events to messages for the screen. Runs in the worker thread."""

import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

from textual.message import Message

from easy_llama.errors import EasyLlamaError
from easy_llama.events import CancelFlag, Candidates, Finished, LiveSettings, PromptProgress, Token
from easy_llama.prompt import Turn, prompt_text
from easy_llama.samplers import SamplerSettings
from easy_llama_tui.chats.context_window import PathTurn, Policy, Window, room_for_reply
from easy_llama_tui.replies.engine import ChatEngine, RenderedPrompt
from easy_llama_tui.replies.inspection import fitted
from easy_llama_tui.replies.messages import (
    CandidatesSeen,
    Figures,
    PromptRead,
    ReplyEnded,
    ReplyRefused,
    ReplyText,
    WindowFitted,
)
from easy_llama_tui.text.reasoning import prompt_opens_reasoning

BATCH_SECONDS = 0.04
"""Text is sent to the screen at most this often: often enough to flow, seldom enough to cost little."""

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


def run_reply(
    engine: ChatEngine,
    request_id: int,
    request: ReplyRequest,
    cancel: CancelFlag,
    live: LiveSettings,
    post: Post,
    clock: Callable[[], float] = time.monotonic,
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
    """
    reply = _Reply(request_id, post, clock)
    try:
        prompt, window = fitted(
            engine,
            request.turns,
            request.format,
            room=room_for_reply(engine.context_length, request.sampler.max_len_tokens),
            policy=request.policy,
            outside=request.outside,
            opening=request.opening,
        )
        if not window.fits:
            reply.on_refused(_refusal(window, request.policy, engine.context_length))
            return
        opens_reasoning = prompt_opens_reasoning(prompt_text(prompt.pieces[-2:]))
        post(WindowFitted(request_id, window, opens_reasoning))
        opening_ids = _opening_ids(engine, prompt, request.opening)
        events = engine.generate(prompt, request.format, request.sampler, cancel, live)
        with closing(events):  # type: ignore[type-var]
            for event in events:
                match event:
                    case PromptProgress():
                        reply.on_prompt(event)
                    case Candidates():
                        post(CandidatesSeen(request_id, event.distribution))
                    case Token():
                        reply.on_token(event)
                    case Finished():
                        reply.on_finished(event, opening_ids, engine.context_length)
    except (EasyLlamaError, ValueError) as error:
        reply.on_error(str(error))
    except Exception as error:
        _log.exception("a reply failed")
        reply.on_error(f"The reply failed: {type(error).__name__}: {error}. The log file has the details.")
    else:
        # An engine that just stops has broken its promise, but the turn must end all the same.
        reply.on_error("The engine stopped without saying why; re-roll to try again.")


def _refusal(window: Window, policy: Policy, context_length: int) -> str:
    if policy is Policy.STOP:
        return (
            f"The context is full: the chat needs {window.tokens:,} tokens and there are {context_length:,}. "
            f"F9 lets the oldest turns be left out; Ctrl+N begins a new chat."
        )
    return (
        f"This does not fit: what must be read is {window.tokens:,} tokens long, and the context holds "
        f"{context_length:,}. Shorten it, unpin messages (F9), or load a longer context."
    )


def _opening_ids(engine: ChatEngine, prompt: RenderedPrompt, opening: Turn | None) -> tuple[int, ...] | None:
    """Return the tokens that a reply begins with, or None where it is not known whose they are."""
    if opening is None or not opening.content:
        return ()
    last = len(prompt.pieces) - 1
    ids = tuple(
        token for token, place in zip(prompt.ids, engine.places(prompt), strict=True) if place == last
    )
    return ids if "".join(engine.token_texts(ids)) == opening.content else None


class _Reply:
    """The reply so far: joins text into batches and keeps the figures."""

    def __init__(self, request_id: int, post: Post, clock: Callable[[], float]) -> None:
        self._request_id = request_id
        self._post = post
        self._clock = clock
        self._started = clock()
        self._first = 0.0
        self._posted = 0.0
        self._waiting: list[str] = []
        self._figures = Figures()
        self._ended = False

    def on_prompt(self, event: PromptProgress) -> None:
        self._figures = replace(
            self._figures,
            prompt_tokens=event.total,
            reused_tokens=event.reused,
            read_tokens=event.done - event.reused,
        )
        self._post(PromptRead(self._request_id, self._figures))

    def on_token(self, event: Token) -> None:
        now = self._clock()
        count = self._figures.generated_tokens + 1
        if count == 1:
            self._first = now
            self._figures = replace(self._figures, first_token_seconds=now - self._started)
        rate = (count - 1) / (now - self._first) if count > 1 and now > self._first else None
        self._figures = replace(self._figures, generated_tokens=count, tokens_per_second=rate)
        self._waiting.append(event.text)
        if now - self._posted >= BATCH_SECONDS:
            self._posted = now
            self._post(ReplyText(self._request_id, self._take_text(), self._figures))

    def on_finished(self, event: Finished, opening_ids: tuple[int, ...] | None, context_length: int) -> None:
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
                context_is_full=event.reason == "length"
                and event.prompt_tokens + event.generated_tokens > context_length,
            )
        )

    def on_refused(self, reason: str) -> None:
        self._end(ReplyRefused(self._request_id, reason))

    def on_error(self, reason: str) -> None:
        self._end(ReplyEnded(self._request_id, "error", self._take_text(), (), self._figures, reason))

    def _take_text(self) -> str:
        text = "".join(self._waiting)
        self._waiting.clear()
        return text

    def _end(self, message: ReplyEnded | ReplyRefused) -> None:
        if not self._ended:
            self._ended = True
            self._post(message)

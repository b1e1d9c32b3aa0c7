"""One reply, from the engine's events to messages for the screen. Runs in the worker thread."""

import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from textual.message import Message

from easy_llama.errors import EasyLlamaError, ExceededContextLengthException
from easy_llama.events import CancelFlag, Finished, PromptProgress, Token
from easy_llama_tui.engine import ChatEngine, ReplyRequest
from easy_llama_tui.messages import Figures, PromptRead, ReplyEnded, ReplyText

BATCH_SECONDS = 0.04
"""Text is sent to the screen at most this often: often enough to flow, seldom enough to cost little."""

Post = Callable[[Message], object]

_log = logging.getLogger(__name__)


def run_reply(
    engine: ChatEngine,
    request_id: int,
    request: ReplyRequest,
    cancel: CancelFlag,
    post: Post,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Generate one reply and post it as it comes; the last message is always one `ReplyEnded`.

    Args:
        engine: generates.
        request_id: is put on every message, so that late ones can be told apart.
        request: what the reply is made from.
        cancel: may be set from another thread to end the reply.
        post: hands a message to the screen, and never waits.
        clock: seconds, for batching and for the figures.
    """
    reply = _Reply(request_id, post, clock)
    try:
        events = engine.reply(request, cancel)
        with closing(events):  # type: ignore[type-var]
            for event in events:
                match event:
                    case PromptProgress():
                        reply.on_prompt(event)
                    case Token():
                        reply.on_token(event)
                    case Finished():
                        reply.on_finished(event)
    except ExceededContextLengthException as error:
        reply.on_error(f"{error}. Ctrl+N begins a new chat; --context-length N loads a longer context.")
    except EasyLlamaError as error:
        reply.on_error(str(error))
    except Exception as error:
        _log.exception("a reply failed")
        reply.on_error(f"The reply failed: {type(error).__name__}: {error}. The log file has the details.")
    else:
        # An engine that just stops has broken its promise, but the turn must end all the same.
        reply.on_error("The engine stopped without saying why; re-roll to try again.")


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

    def on_finished(self, event: Finished) -> None:
        self._waiting.append(event.text)
        self._end(ReplyEnded(self._request_id, event.reason, self._take_text(), event.ids, self._figures))

    def on_error(self, reason: str) -> None:
        self._end(ReplyEnded(self._request_id, "error", self._take_text(), (), self._figures, reason))

    def _take_text(self) -> str:
        text = "".join(self._waiting)
        self._waiting.clear()
        return text

    def _end(self, message: ReplyEnded) -> None:
        if not self._ended:
            self._ended = True
            self._post(message)

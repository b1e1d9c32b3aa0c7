"""The tokens of one text of a chat, and how likely each of them was. Runs in the worker thread."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from textual.message import Message

from easy_llama.errors import EasyLlamaError
from easy_llama.events import CancelFlag, PromptProgress
from easy_llama.prompt import Control, Generated, Turn
from easy_llama.samplers import SamplerSettings
from easy_llama.scores import ScoreRequest
from easy_llama_tui.chats.context_window import PathTurn, Policy
from easy_llama_tui.replies.engine import ChatEngine, RenderedPrompt
from easy_llama_tui.replies.inspection import fitted
from easy_llama_tui.replies.messages import CandidatesFound, TextFailed, TextProgress, TextScored, TextTokens
from easy_llama_tui.replies.token_figures import Origin, TokenFigure

Part = Literal["reply", "last turn", "prompt"]
"""What of a conversation is looked at: a reply that comes after it, its last turn, or all that is sent."""

Post = Callable[[Message], object]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TextRequest:
    """Which text of a chat to look at."""

    request_id: int
    """Is put on every answer, so that late ones can be told apart."""

    part: Part
    turns: tuple[PathTurn, ...]
    """The conversation before a reply, or through the text."""

    format: str
    """The name of the prompt format."""

    policy: Policy
    outside: frozenset[str] = frozenset()
    """The messages that were left out of the turn before."""

    reply: Turn | None = None
    """The reply that is looked at."""

    sampler: SamplerSettings = field(default_factory=SamplerSettings)
    """The settings that the text was written with, which decide what could stand in place of a token."""


def score_text(engine: ChatEngine, request: TextRequest, cancel: CancelFlag, post: Post) -> None:
    """Post the tokens of a text, then how far the computation is, and then their figures.

    Posts `TextTokens`, any number of `TextProgress` and one `TextScored`; or one `TextFailed`. After it was
    cancelled it posts nothing more.
    """
    try:
        prompt = _prompt_of(engine, request)
        figures = _tokens_of(engine, prompt, request.part)
        start = len(prompt.ids) - len(figures)
        if cancel.is_set:
            return
        post(TextTokens(request.request_id, prompt.ids[:start], figures, prompt.left_out))

        def on_read(progress: PromptProgress) -> None:
            if not cancel.is_set:
                post(TextProgress(request.request_id, progress.done, progress.total))

        score = engine.score(ScoreRequest(prompt.ids, start, left_out=prompt.left_out), cancel, on_read)
    except (EasyLlamaError, ValueError) as error:
        post(TextFailed(request.request_id, str(error)))
        return
    except Exception as error:
        _log.exception("a text could not be scored")
        post(TextFailed(request.request_id, f"The figures cannot be computed: {error}"))
        return
    if score is None or cancel.is_set:
        return
    known = [token.likelihood for token in score.tokens]
    scored = tuple(
        TokenFigure(
            figure.id,
            figure.data,
            log_probability=likelihood.log_probability if likelihood else None,
            rank=likelihood.rank if likelihood else None,
            entropy=likelihood.entropy if likelihood else None,
            origin=figure.origin,
            is_control=figure.is_control,
        )
        for figure, likelihood in zip(figures, known, strict=True)
    )
    post(TextScored(request.request_id, scored))


def find_candidates(
    engine: ChatEngine, request_id: int, index: int, request: ScoreRequest, cancel: CancelFlag, post: Post
) -> None:
    """Post what could stand in place of the last token of a text, as `CandidatesFound`, unless cancelled.

    Args:
        engine: computes.
        request_id: is put on the answer.
        index: which token of the text it is, for the answer.
        request: asks for the one token.
        cancel: may be set from another thread.
        post: hands a message to the screen.
    """
    if cancel.is_set:
        return
    try:
        score = engine.score(request, cancel)
    except (EasyLlamaError, ValueError) as error:
        post(TextFailed(request_id, str(error)))
        return
    if score is not None and score.tokens and (found := score.tokens[0].distribution) is not None:
        post(CandidatesFound(request_id, index, found))


def _prompt_of(engine: ChatEngine, request: TextRequest) -> RenderedPrompt:
    """Return what the model reads, up to the end of the text."""
    prompt, window = fitted(
        engine,
        request.turns,
        request.format,
        room=-1,  # the last token of a text is not read: what was left out then is left out now, and no more
        policy=request.policy,
        outside=request.outside,
        opening=request.reply,
    )
    if request.part != "last turn":
        return prompt
    kept = [one.turn for one in request.turns if window.holds(one)]
    return replace(engine.render(kept, request.format, through=len(kept) - 1), left_out=prompt.left_out)


def _tokens_of(engine: ChatEngine, prompt: RenderedPrompt, part: Part) -> tuple[TokenFigure, ...]:
    """Return the tokens of the text, which is the end of the prompt; nothing of them is computed yet."""
    places = engine.places(prompt)
    first = {
        "reply": len(prompt.pieces) - prompt.opening_pieces,
        "last turn": len(prompt.pieces) - 1,
        "prompt": 0,
    }[part]
    start = next(index for index, place in enumerate(places) if place >= first)
    data = engine.token_bytes(prompt.ids[start:])
    return tuple(
        TokenFigure(token, one, origin=_origin(prompt, place), is_control=engine.is_control(token))
        for token, one, place in zip(prompt.ids[start:], data, places[start:], strict=True)
    )


def _origin(prompt: RenderedPrompt, place: int) -> Origin:
    match prompt.pieces[place]:
        case Control():
            return "format"
        case Generated():
            return "sampled"
        case _:
            return "written"

"""What the panels show of the next prompt: its parts, its cost, what could come next. Pure.

Runs in the worker thread, since only the engine can count tokens.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from easy_llama.errors import EasyLlamaError
from easy_llama.events import CancelFlag, Distribution
from easy_llama.left_out import TurnTokens, find_left_out
from easy_llama.prompt import Control, Turn
from easy_llama.samplers import SamplerSettings
from easy_llama_tui.chats.context_window import (
    EVERYTHING,
    PathTurn,
    Policy,
    Window,
    fit_window,
    room_for_reply,
)
from easy_llama_tui.replies.engine import ChatEngine, RenderedPrompt

DRAFT = "draft"
"""Stands for the id of the message that is not sent yet."""


@dataclass(frozen=True, slots=True)
class InspectionRequest:
    """What to look at, and how closely."""

    turns: tuple[PathTurn, ...]
    draft: str
    format: str
    """The name of the prompt format."""

    sampler: SamplerSettings
    policy: Policy
    outside: frozenset[str] = frozenset()
    """The messages that were left out of the turn before."""

    candidates: int = 0
    """How many candidates for the next token to find; 0 reads nothing."""

    with_tokens: bool = False
    """Whether to list the tokens of the prompt."""

    chat_id: str = ""
    """Which chat it is about: an answer may come when another one is open."""


@dataclass(frozen=True, slots=True)
class PromptToken:
    """One token of a prompt."""

    id: int
    text: str
    is_control: bool
    """Whether the format wrote it."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The next prompt, as it would be sent now."""

    costs: tuple[tuple[str, int], ...] = ()
    """The tokens that each message costs, with what the format puts before it: ids and counts.

    What the prompt begins with is no cost of a message, unless that is a system message.
    """

    system: int = 0
    history: int = 0
    draft: int = 0
    reply_opening: int = 0
    """Tokens of system messages, of all others, of the draft, and of what opens the reply."""

    room: int = 0
    """The tokens that are kept free for the reply."""

    format_own: int = 0
    """Tokens that the format begins with where no system message does, as with a system prompt of its own."""

    window: Window = EVERYTHING
    tokens: tuple[PromptToken, ...] = ()
    warnings: tuple[str, ...] = ()
    distribution: Distribution | None = None
    after: str = ""
    """The end of the text that the candidates follow."""

    can_continue: bool = True
    """Whether the context has room for more of the last message, where that is the bot's."""

    error: str = ""
    """Why the prompt cannot be built."""

    @property
    def total(self) -> int:
        """The tokens of the prompt, whatever is left out of it."""
        return self.format_own + self.system + self.history + self.draft + self.reply_opening


def inspect(engine: ChatEngine, request: InspectionRequest, cancel: CancelFlag) -> Inspection:
    """Return what the next prompt is made of."""
    try:
        return _inspect(engine, request, cancel)
    except (EasyLlamaError, ValueError) as error:
        return Inspection(error=str(error))


def fitted(
    engine: ChatEngine,
    turns: Sequence[PathTurn],
    format_name: str,
    *,
    room: int,
    policy: Policy,
    outside: frozenset[str],
    opening: Turn | None = None,
    is_read: bool = True,
) -> tuple[RenderedPrompt, Window]:
    """Return the prompt that is sent, and what is left out of it.

    Where it is not to be read, the prompt does not tell what was left out.

    Raises:
        EasyLlamaError, ValueError: the prompt cannot be built.
    """
    prompts: dict[tuple[int, ...], RenderedPrompt] = {}

    def prompt_of(indices: Sequence[int]) -> RenderedPrompt:
        key = tuple(indices)
        if key not in prompts:
            prompts[key] = engine.render([turns[index].turn for index in key], format_name, opening=opening)
        return prompts[key]

    whole = prompt_of(range(len(turns)))
    if len(whole.ids) + room <= engine.context_length:
        costs: Sequence[int] = ()
    else:
        costs = _cost_of_turns(engine, whole, turns)[1]
    window = fit_window(
        turns,
        lambda indices: len(prompt_of(indices).ids),
        costs,
        context_length=engine.context_length,
        room=room,
        policy=policy,
        outside_before=outside,
    )
    kept = [index for index, one in enumerate(turns) if window.holds(one)]
    prompt = prompt_of(kept)
    if window.outside and is_read:
        prompt = replace(
            prompt, left_out=find_left_out(_turn_tokens(engine, whole), _turn_tokens(engine, prompt), kept)
        )
    return prompt, window


def _turn_tokens(engine: ChatEngine, prompt: RenderedPrompt) -> TurnTokens:
    return TurnTokens.of(prompt.pieces, prompt.ids, engine.places(prompt))


def _inspect(engine: ChatEngine, request: InspectionRequest, cancel: CancelFlag) -> Inspection:
    turns = _with_draft(request.turns, request.draft)
    if not turns:
        return Inspection()
    room = room_for_reply(engine.context_length, request.sampler.max_len_tokens)
    sent, window = fitted(
        engine,
        turns,
        request.format,
        room=room,
        policy=request.policy,
        outside=request.outside,
        is_read=request.candidates > 0,
    )
    # Rendering a long chat takes a while: where nothing is left out, what is sent is the whole of it.
    whole = engine.render([one.turn for one in turns], request.format) if window.outside else sent
    parts = Counter[str]()
    costs: list[tuple[str, int]] = []
    format_own, counts = _cost_of_turns(engine, whole, turns)
    for one, count in zip(turns, counts, strict=True):
        for message, share in _shared(one, count, request.draft):
            parts[_part(one, message)] += share
            costs.append((message, share))
    can_continue = len(whole.ids) + room <= engine.context_length or _can_continue(engine, request)
    distribution, after = None, ""
    if request.candidates and not cancel.is_set and window.fits:
        distribution, after = _next_tokens(engine, request, turns, window, sent, cancel)
    return Inspection(
        costs=tuple(costs),
        system=parts["system"],
        history=parts["history"],
        draft=parts["draft"],
        reply_opening=len(whole.ids) - format_own - parts.total(),
        room=room,
        format_own=format_own,
        window=window,
        tokens=_tokens(engine, sent) if request.with_tokens else (),
        warnings=engine.format_warnings(request.format, [one.turn for one in turns]),
        distribution=distribution,
        after=after,
        can_continue=can_continue,
    )


def _can_continue(engine: ChatEngine, request: InspectionRequest) -> bool:
    """Return whether the bot's last message could go on, as far as messages may be left out for it."""
    if not request.turns or request.turns[-1].turn.role != "bot":
        return True
    *turns, last = request.turns
    _, window = fitted(
        engine,
        turns,
        request.format,
        room=1,
        policy=request.policy,
        outside=request.outside,
        opening=last.turn,
        is_read=False,
    )
    return window.fits


def _next_tokens(
    engine: ChatEngine,
    request: InspectionRequest,
    turns: Sequence[PathTurn],
    window: Window,
    sent: RenderedPrompt,
    cancel: CancelFlag,
) -> tuple[Distribution | None, str]:
    """Return what could come after the last message as it stands, left open."""
    kept = [one.turn for one in turns if window.holds(one)]
    prompt = engine.render(kept, request.format, through=len(kept) - 1)
    prompt = replace(prompt, left_out=sent.left_out)  # it is the beginning of what is sent
    if len(prompt.ids) >= engine.context_length:
        return None, ""
    return engine.next_tokens(prompt, request.sampler, request.candidates, cancel), kept[-1].content[-40:]


def _cost_of_turns(
    engine: ChatEngine, prompt: RenderedPrompt, turns: Sequence[PathTurn]
) -> tuple[int, list[int]]:
    """Return the tokens that the format begins with, and those of each turn.

    A turn costs its text, and what the format puts between it and the turn before. What the prompt begins
    with belongs to a system message, and to no other: it stays when that is left out.
    """
    costs = [0] * len(turns)
    waiting = own = 0
    is_first = True
    turn_of_piece: list[int | None] = [
        None if isinstance(piece, Control) else piece.turn for piece in prompt.pieces
    ]
    for place in engine.places(prompt):
        turn = turn_of_piece[place]
        if turn is None:
            waiting += 1
        else:
            if is_first and turns[turn].turn.role != "system":
                own, waiting = waiting, 0
            is_first = False
            costs[turn] += waiting + 1
            waiting = 0
    # What is waiting now ends the last turn and opens the reply.
    return own, costs


def _with_draft(turns: tuple[PathTurn, ...], draft: str) -> tuple[PathTurn, ...]:
    """Return the turns as they will be when the draft is sent."""
    if not draft:
        return turns
    if turns and turns[-1].turn.role == "user":
        return (*turns[:-1], turns[-1].with_message(DRAFT, draft))
    return (*turns, PathTurn(Turn("user", draft), (DRAFT,)))


def _part(turn: PathTurn, message: str) -> str:
    if message == DRAFT:
        return "draft"
    return "system" if turn.turn.role == "system" else "history"


def _shared(turn: PathTurn, count: int, draft: str) -> list[tuple[str, int]]:
    """Return about what each message of a turn costs; together that is `count`.

    A draft bears its share of the characters, the others the same each, the last of them the rest.
    """
    *others, last = turn.messages
    if not others:
        return [(last, count)]
    costs = []
    if last == DRAFT:
        share = round(count * len(draft) / len(turn.turn.content))
        count -= share
        costs.append((DRAFT, share))
        *others, last = others
    each = count // (len(others) + 1)
    return [*((message, each) for message in others), (last, count - each * len(others)), *costs]


def _tokens(engine: ChatEngine, prompt: RenderedPrompt) -> tuple[PromptToken, ...]:
    is_control = [isinstance(piece, Control) for piece in prompt.pieces]
    texts = engine.token_texts(prompt.ids)
    return tuple(
        PromptToken(token, text, is_control[place])
        for token, text, place in zip(prompt.ids, texts, engine.places(prompt), strict=True)
    )

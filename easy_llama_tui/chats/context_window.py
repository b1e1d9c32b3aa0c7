"""Which messages the model reads where the context does not hold them all. Pure."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import pairwise

from easy_llama.record import Record
from easy_llama.turn import Turn

_SLACK = 8
"""When turns are dropped, an eighth of the context is made free, so that the next turns drop none."""


class Policy(StrEnum):
    """What to do when a chat outgrows the context."""

    DROP_OLDEST = "drop-oldest"
    """Leave out the oldest turns; system messages at the start and pinned messages stay."""

    KEEP_FIRST = "keep-first"
    """The same, but the first exchange stays too."""

    STOP = "stop"
    """Leave out nothing: say that the context is full."""


class PathTurn(Record):
    """One turn of the prompt, and the messages that it is made of."""

    turn: Turn
    messages: tuple[str, ...]
    """Their ids."""

    pinned: bool = False

    def with_message(self, message: str, content: str, *, pinned: bool = False) -> "PathTurn":
        """Return the turn with one more message of its role, after a blank line."""
        turn = Turn(self.turn.role, f"{self.turn.content}\n\n{content}")
        return PathTurn(turn, (*self.messages, message), self.pinned or pinned)


class Window(Record):
    """What of a conversation the model reads."""

    outside: frozenset[str]
    """The ids of the messages that are left out."""

    next_out: tuple[str, ...]
    """The ids of those that would be left out next."""

    fits: bool
    """Whether what cannot be left out has room."""

    tokens: int
    """The length of the prompt that is left."""

    def holds(self, turn: PathTurn) -> bool:
        """Return whether the model reads a turn."""
        return not any(message in self.outside for message in turn.messages)


EVERYTHING = Window(frozenset(), (), True, 0)
"""The window before anything is known of it."""


def room_for_reply(context_length: int, max_len_tokens: int | None) -> int:
    """Return how many tokens of the context are kept free for a reply.

    A quarter of the context, or the longest reply that the sampler allows where that is less.
    """
    room = max(context_length // 4, 1)
    return min(room, max_len_tokens) if max_len_tokens is not None and max_len_tokens > 0 else room


def fit_window(
    turns: Sequence[PathTurn],
    measure: Callable[[Sequence[int]], int],
    costs: Sequence[int],
    *,
    context_length: int,
    room: int,
    policy: Policy,
    outside_before: frozenset[str] = frozenset(),
) -> Window:
    """Return which turns the model reads.

    What was left out before stays out while all of the rest fits, so that the prompt begins the same from
    turn to turn and the KV cache can be used again.

    Args:
        turns: the conversation, the newest last; the last exchange always stays.
        measure: the exact length in tokens of a prompt of the turns with these indices.
        costs: about how many tokens each turn costs, to find the cut quickly.
        context_length: in tokens.
        room: tokens to keep free for the reply.
        policy: what may be left out.
        outside_before: the messages that were left out of the turn before.
    """
    groups = _droppable(turns, policy)
    budget = context_length - room

    def indices(dropped: int) -> list[int]:
        gone = {index for group in groups[:dropped] for index in group}
        return [index for index in range(len(turns)) if index not in gone]

    total = measure(indices(0))
    dropped = 0
    if total > budget:
        before = _dropped_before(turns, groups, outside_before)
        total = measure(indices(before)) if before else total
        dropped = before
        if total > budget:
            wanted = max(budget - context_length // _SLACK, 1)
            estimate = total
            while dropped < len(groups) and estimate > wanted:
                estimate -= sum(costs[index] for index in groups[dropped])
                dropped += 1
            total = measure(indices(dropped))
            while dropped < len(groups) and total > budget:
                dropped += 1
                total = measure(indices(dropped))
    outside = frozenset(
        message for group in groups[:dropped] for index in group for message in turns[index].messages
    )
    following = groups[dropped] if dropped < len(groups) else ()
    return Window(
        outside,
        tuple(message for index in following for message in turns[index].messages),
        # Where nothing more can be left out, the reply may have less room, but it must have some.
        total < context_length,
        total,
    )


def _droppable(turns: Sequence[PathTurn], policy: Policy) -> list[list[int]]:
    """Return the exchanges that may be left out, in the order in which they are.

    An exchange is what a person said, with the replies to it.
    """
    if policy is Policy.STOP:
        return []
    head = next((index for index, one in enumerate(turns) if one.turn.role != "system"), len(turns))
    starts = [
        index
        for index in range(head, len(turns))
        if index == head or (turns[index].turn.role != "bot" and turns[index - 1].turn.role != "system")
    ]
    exchanges = [list(range(start, end)) for start, end in pairwise([*starts, len(turns)])]
    first = 1 if policy is Policy.KEEP_FIRST else 0
    return [
        exchange for exchange in exchanges[first:-1] if not any(turns[index].pinned for index in exchange)
    ]


def _dropped_before(
    turns: Sequence[PathTurn], groups: Sequence[Sequence[int]], outside: frozenset[str]
) -> int:
    """Return how many of the exchanges, from the oldest on, were left out the last time."""
    count = 0
    for group in groups:
        if not all(message in outside for index in group for message in turns[index].messages):
            break
        count += 1
    return count

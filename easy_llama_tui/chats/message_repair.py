"""Messages that form no tree any more, put together again so that none is lost. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from easy_llama_tui.chats.message import Message


@dataclass(frozen=True, slots=True)
class RepairedTree:
    """Messages that form a tree."""

    messages: tuple[Message, ...]
    """All of them, in their order; each has an id of its own, and a parent that is there."""
    doubled: frozenset[int]
    """The places of those that were there before with all that they say, and so are left out."""
    notes: tuple[str, ...]
    """What was changed, a sentence each."""


def repaired_tree(messages: Sequence[Message]) -> RepairedTree:
    """Return the messages as a tree, in which what lost its place follows the message before it.

    Of two messages with one id the second gets another; what followed them follows the first.
    """
    notes: list[str] = []
    found, doubled = _with_own_ids(messages, notes)
    order = list(found)
    # Several that followed one lost message stay alternatives of each other.
    instead: dict[str, str | None] = {}
    for place, message in enumerate(found.values()):
        if message.parent is None or message.parent in found:
            continue
        if message.parent not in instead:
            instead[message.parent] = _before(order, place, message.id, found)
            notes.append(
                f"What “{message.id}” followed, “{message.parent}”, is lost: it follows "
                f"{_named(instead[message.parent])} now."
            )
        parent = instead[message.parent]
        if parent is not None and message.id in _above(parent, found):
            parent = None
        found[message.id] = replace(message, parent=parent)
    while (looped := _first_in_loop(found)) is not None:
        parent = _before(order, order.index(looped), looped, found)
        notes.append(f"“{looped}” followed itself: it follows {_named(parent)} now.")
        found[looped] = replace(found[looped], parent=parent)
    return RepairedTree(tuple(found.values()), frozenset(doubled), tuple(notes))


def _with_own_ids(messages: Sequence[Message], notes: list[str]) -> tuple[dict[str, Message], set[int]]:
    taken = {message.id for message in messages}
    found: dict[str, Message] = {}
    doubled: set[int] = set()
    number = len(messages)
    for place, message in enumerate(messages):
        first = found.get(message.id)
        if first is None:
            found[message.id] = message
            continue
        if (first.parent, first.role, first.content) == (message.parent, message.role, message.content):
            doubled.add(place)
            continue
        while f"m{number}" in taken:
            number += 1
        taken.add(own := f"m{number}")
        found[own] = replace(message, id=own)
        notes.append(f"Two messages had the id “{message.id}”: the second is “{own}” now.")
    return found, doubled


def _before(order: Sequence[str], place: int, message_id: str, found: Mapping[str, Message]) -> str | None:
    """Return the nearest message before a place that does not hang below a message, if any."""
    for other in reversed(order[:place]):
        if message_id not in _above(other, found):
            return other
    return None


def _above(message_id: str, found: Mapping[str, Message]) -> set[str]:
    """Return a message and all that it follows, as far as they are there."""
    seen: set[str] = set()
    above: str | None = message_id
    while above is not None and above not in seen and above in found:
        seen.add(above)
        above = found[above].parent
    return seen


def _first_in_loop(found: Mapping[str, Message]) -> str | None:
    reached: set[str] = set()
    for start in found:
        way: list[str] = []
        above: str | None = start
        while above is not None and above not in reached and above not in way:
            way.append(above)
            above = found[above].parent
        if above is not None and above in way:
            loop = set(way[way.index(above) :])
            return next(one for one in found if one in loop)
        reached.update(way)
    return None


def _named(message_id: str | None) -> str:
    return "nothing" if message_id is None else f"“{message_id}”"

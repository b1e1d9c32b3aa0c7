"""What of a prompt a KV cache holds already, also where something was left out of its middle since. Pure.

The values in a cache remember all that stood before them when they were read. What has slid over a gap still
knows what was in it, so the gap is remembered too: a person who edits or deletes a message wants the model to
forget it, also where the message was left out before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from easy_llama.events import LeftOut

__all__ = ["LEAST_SLID", "Gap", "Held", "Reuse", "common_length", "plan_reuse"]

LEAST_SLID = 32
"""Fewer tokens are read again rather than slid: their values would differ a little, for next to no time."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What was dropped from a cache, while what follows it stayed."""

    at: int
    """Before which token it was."""

    ids: tuple[int, ...]
    """The tokens that were there."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a cache holds."""

    ids: tuple[int, ...]
    gaps: tuple[Gap, ...] = ()
    """What was dropped from between them, in order."""

    slid_end: int = 0
    """Where those end that were there when something was dropped last, and slid."""

    @property
    def slid(self) -> int:
        """How many tokens were slid."""
        return max(self.slid_end - self.gaps[0].at, 0) if self.gaps else 0

    def first(self, length: int) -> "Held":
        """Return what is left when only so many tokens stay."""
        gaps = tuple(gap for gap in self.gaps if gap.at < length)
        return Held(self.ids[:length], gaps, min(self.slid_end, length) if gaps else 0)


@dataclass(frozen=True, slots=True)
class Reuse:
    """How to make a cache hold the beginning of a prompt."""

    length: int
    """How many tokens of the prompt it holds then."""

    drops: tuple[tuple[int, int], ...] = ()
    """From and to which of the tokens in the cache to drop, so that what follows slides there."""

    gaps: tuple[Gap, ...] = ()
    """What was dropped then, now and before."""

    @property
    def held(self) -> int:
        """How many of the first tokens in the cache it is made of; those after them are to be dropped."""
        return self.length + sum(end - start for start, end in self.drops)


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens both begin with."""
    return _matching(one, 0, other, 0)


def plan_reuse(held: Held, prompt: Sequence[int], left_out: Sequence[LeftOut] = ()) -> Reuse:
    """Return how to reuse what a cache holds for a prompt.

    Tokens slide only over what the prompt's maker says was left out, and only where the cache holds just
    that, or held it.

    Args:
        held: what is in the cache.
        prompt: the tokens that it is to hold.
        left_out: what was left out of the prompt, in its order.
    """
    read = _as_read(held)
    passed: list[tuple[int, int, int]] = []  # in the prompt, and from and to where in `read`
    at = place = 0
    for cut in left_out:
        length = _matching(read, place, prompt[: cut.at], at)
        at, place = at + length, place + length
        if at < cut.at or at >= len(prompt):
            break
        if length := _gap(read, place, prompt, cut):
            passed.append((at, place, place + length))
            place += length
    at += _matching(read, place, prompt, at)
    slides = [
        index for index, (_, *reach) in enumerate(passed) if any(one >= 0 for one in read[slice(*reach)])
    ]
    if slides and at - passed[slides[0]][0] < LEAST_SLID:
        at = passed[slides[0]][0]
        del passed[slides[0] :]
    while passed and passed[-1][0] >= at:
        passed.pop()  # nothing follows
    if not passed:
        return Reuse(_matching(read, 0, prompt, 0))
    drops: list[tuple[int, int]] = []
    gaps: list[Gap] = []
    dropped = 0
    for begin, start, end in passed:
        gone = sum(token >= 0 for token in read[start:end])
        if gone:
            drops.append((begin + dropped, begin + dropped + gone))
        dropped += gone
        gaps.append(Gap(begin, tuple(map(_token, read[start:end]))))
    return Reuse(at, tuple(drops), tuple(gaps))


def _as_read(held: Held) -> list[int]:
    """Return all tokens that the last one has read, in order: those that were dropped since as their `~`."""
    read: list[int] = []
    begin = 0
    for gap in held.gaps:
        read += held.ids[begin : gap.at]
        read += [~token for token in gap.ids]
        begin = gap.at
    read += held.ids[begin:]
    return read


def _token(read: int) -> int:
    return read if read >= 0 else ~read


def _gap(read: Sequence[int], place: int, prompt: Sequence[int], cut: LeftOut) -> int:
    """Return how many of the tokens that were read, from `place` on, are what was left out at a cut.

    They are the last turns of that: older ones may have been left out before. Where several numbers of turns
    are possible, as turns may be alike, the one after which more of the prompt follows.
    """
    longest, found = _matching(read, place, prompt, cut.at), 0
    dropped: tuple[int, ...] = ()
    for turn in reversed(cut.turns):
        dropped = turn + dropped
        end = place + len(dropped)
        if end >= len(read):
            break
        is_possible = read[end] == prompt[cut.at] and dropped[:1] == (_token(read[place]),)
        if is_possible and dropped == tuple(map(_token, read[place:end])):
            length = _matching(read, end, prompt, cut.at)
            if length > longest:
                longest, found = length, len(dropped)
    return found


def _matching(one: Sequence[int], place: int, other: Sequence[int], at: int) -> int:
    """Return how many tokens are the same from a place in one and from a place in the other."""
    length = max(min(len(one) - place, len(other) - at), 0)
    if list(one[place : place + length]) == list(other[at : at + length]):
        return length
    return next(index for index in range(length) if one[place + index] != other[at + index])

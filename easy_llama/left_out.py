"""Where turns were left out of a prompt, in tokens: what the KV cache needs to slide the rest. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from easy_llama.cache_reuse import common_length
from easy_llama.events import LeftOut
from easy_llama.prompt import Control, Piece

__all__ = ["TurnTokens", "find_left_out"]


@dataclass(frozen=True, slots=True)
class TurnTokens:
    """The tokens of a prompt, by the turn that they are from."""

    ids: tuple[int, ...]
    turns: tuple[int | None, ...]
    """The turn in whose text each token begins; None where the format wrote it."""

    @classmethod
    def of(cls, pieces: Sequence[Piece], ids: tuple[int, ...], places: Sequence[int]) -> "TurnTokens":
        """Return those of a prompt.

        Args:
            pieces: what it is made of.
            ids: its tokens.
            places: the index of the piece in which each token begins.
        """
        turns = [None if isinstance(piece, Control) else piece.turn for piece in pieces]
        return cls(ids, tuple(turns[place] for place in places))

    def spans(self) -> dict[int, tuple[int, int]]:
        """Return from and to which token each turn's text reaches."""
        spans: dict[int, tuple[int, int]] = {}
        for place, turn in enumerate(self.turns):
            if turn is not None:
                spans[turn] = (spans[turn][0] if turn in spans else place, place + 1)
        return spans


def find_left_out(whole: TurnTokens, kept: TurnTokens, numbers: Sequence[int]) -> tuple[LeftOut, ...]:
    """Return what was left out of a prompt.

    Between two turns the format writes the same where something was left out as where nothing was, or
    nearly: what both prompts have there is told from what is left out. Where a format, or a vocabulary,
    makes too much of the neighbourhood of turns, nothing is found, and the prompt is to be read anew from
    there on.

    Args:
        whole: the prompt of all turns.
        kept: the prompt of those that were kept.
        numbers: which of all turns each of the kept ones is.
    """
    in_whole = whole.spans()
    in_kept = {numbers[turn]: span for turn, span in kept.spans().items()}
    found: list[LeftOut] = []
    before: int | None = None
    for number in sorted(in_kept):
        begin = 0 if before is None else before + 1
        dropped = [turn for turn in range(begin, number) if turn in in_whole and turn not in in_kept]
        if number not in in_whole or (before is not None and before not in in_whole):
            break
        if dropped:
            one = _left_out_between(whole, kept, in_whole, in_kept, before, number, dropped)
            if one is None:
                break
            found.append(one)
        before = number
    return tuple(found)


def _left_out_between(
    whole: TurnTokens,
    kept: TurnTokens,
    in_whole: dict[int, tuple[int, int]],
    in_kept: dict[int, tuple[int, int]],
    before: int | None,
    after: int,
    dropped: Sequence[int],
) -> LeftOut | None:
    """Return what was left out between two turns, the first of which may be none; None where unclear."""
    start = 0 if before is None else in_whole[before][1]
    end = in_whole[after][0]
    at = 0 if before is None else in_kept[before][1]
    between = kept.ids[at : in_kept[after][0]]
    common = common_length(between, whole.ids[start:end])
    rest = len(between) - common  # what the format writes before a turn, of which the cut must be the same
    first, last = start + common, end - rest
    if first > last or whole.ids[last:end] != between[common:]:
        return None
    begins = [first, *(in_whole[turn][0] - rest for turn in dropped[1:]), last]
    if any(one > other for one, other in pairwise(begins)):
        return None
    turns = tuple(whole.ids[one:other] for one, other in pairwise(begins))
    return LeftOut(at + common, turns)

"""Guesses the next tokens from what was said before: where the last few stood earlier, what came then. Pure.

The idea is that of prompt lookup decoding (A. Saxena, github.com/apoorvumang/prompt-lookup-decoding, 2023).
"""

from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["LOOKUP_CHOICES", "PromptLookup"]

LOOKUP_CHOICES: Final[Mapping[str, bool | None]] = {"auto": None, "on": True, "off": False}
"""How a person says whether to guess so, and what `Model` takes."""

_LEAST = 3
"""So many tokens must stand before the place as they stand at the end."""
_LONGEST = 24
"""More are not compared."""
_PLACES = 8
"""So many places are compared, the last ones first."""


class PromptLookup:
    """Knows a text, token by token, and finds in it what could come next.

    Args:
        tokens: the text so far.
    """

    cost: Final = 0.0
    """Looking up takes next to nothing."""

    def __init__(self, tokens: Iterable[int] = ()) -> None:
        self._tokens = list(tokens)
        self._places: dict[tuple[int, ...], list[int]] = {}
        self._next_end = _LEAST

    def append(self, token: int) -> None:
        """Add the next token of the text."""
        self._tokens.append(token)

    def guess(self, count: int) -> tuple[int, ...]:
        """Return what came where the text's end stood before, `count` tokens; none where it stood nowhere.

        Of several places it is the one before which most tokens agree, and of these the last one. A guess
        that runs into the end of the text goes on with itself: what was repeated is repeated.
        """
        place = self._best_place()
        if place is None or count <= 0:
            return ()
        guess = self._tokens[place : place + count]
        period = len(self._tokens) - place
        while len(guess) < count:
            guess.append(guess[len(guess) - period])
        return tuple(guess)

    def _index(self) -> None:
        """Note where the tokens stand that came since this was called last."""
        tokens, places = self._tokens, self._places
        for end in range(self._next_end, len(tokens) + 1):
            places.setdefault(tuple(tokens[end - _LEAST : end]), []).append(end)
        self._next_end = max(len(tokens) + 1, _LEAST)

    def _best_place(self) -> int | None:
        self._index()
        tokens, end = self._tokens, len(self._tokens)
        best, most = None, 0
        # The last place of all is the end itself.
        for place in self._places.get(tuple(tokens[-_LEAST:]), ())[-2 : -2 - _PLACES : -1]:
            same = _LEAST
            while same < min(_LONGEST, place) and tokens[place - 1 - same] == tokens[end - 1 - same]:
                same += 1
            if same > most:
                best, most = place, same
        return best

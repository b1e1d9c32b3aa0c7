"""Speculative decoding: tokens that are guessed are computed together with the one that is certain. Pure.

A batch of a few tokens takes little longer than one token. Each token is still drawn from the model's own
distribution, with the same random numbers: a guess that agrees with the draw saves computing it, and the
first that does not is thrown away with all that follow it. So guesses change how fast a reply comes, and not
what it says, but for what llama.cpp computes a little differently in batches.
Source: Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", arXiv:2211.17192.
"""

from typing import Protocol

__all__ = ["MOST_GUESSED", "Guesser", "Speculation"]

MOST_GUESSED = 15
"""Tokens that are guessed at a time."""

_COST = 0.25
"""What computing one more token in a batch takes, in single tokens.

Measured with SmolLM2-135M on two cores: 0.18 for the second, 0.24 each with 8, 0.24 with 16. A larger model
waits more for its memory, and a batch costs it less.
"""
_START, _MOST = 1.0, 4.0
"""Of the account of a reply, in single tokens."""
_EARNED = 0.015
"""What each token adds that comes without a guess: the share of its time that wrong guesses may cost."""
_FIRST = 3


class Guesser(Protocol):
    """Guesses the tokens after a text."""

    def append(self, token: int) -> None:
        """Take the next token of the text."""

    def guess(self, count: int) -> tuple[int, ...]:
        """Return what may come next, `count` tokens or fewer."""


class Speculation:
    """Decides for one reply how many tokens to guess, and compares the guesses with what is drawn.

    It keeps an account: a wrong guess costs what computing it took, a right one earns the token that it
    saved, and nothing is guessed that the account cannot pay. So a reply that repeats nothing is slowed down
    by a hundredth or two at most. It depends on the tokens alone and on no clock, so that the same reply
    is computed in the same batches again.

    Args:
        guesser: knows the text before the reply.
    """

    def __init__(self, guesser: Guesser) -> None:
        self._guesser = guesser
        self._account = _START
        self._wanted = _FIRST
        self._guessed: tuple[int, ...] = ()
        self._n_right = 0
        self.right_tokens = 0
        """How many of the reply's tokens were guessed."""

    def confirms(self, token: int) -> bool:
        """Take the token that was drawn; return whether it was guessed, and so is computed already."""
        self._guesser.append(token)
        if self._n_right < len(self._guessed) and self._guessed[self._n_right] == token:
            self._n_right += 1
            self.right_tokens += 1
            return True
        return False

    def guess(self, most: int) -> tuple[int, ...]:
        """Return what to compute together with the token that came last, `most` tokens or fewer."""
        self._settle()
        affordable = int(self._account / _COST)
        count = min(self._wanted, affordable, most, MOST_GUESSED)
        self._guessed = self._guesser.guess(count) if count > 0 else ()
        return self._guessed

    def _settle(self) -> None:
        """Enter what came of the last guess."""
        guessed, right = len(self._guessed), self._n_right
        self._guessed, self._n_right = (), 0
        if not guessed:
            self._account = max(self._account, min(_START, self._account + _EARNED))
            return
        self._account = min(self._account + right - _COST * guessed, _MOST)
        if right == guessed:
            self._wanted = min(2 * self._wanted, MOST_GUESSED)
        else:
            self._wanted = max(2, min(self._wanted, right + 1))

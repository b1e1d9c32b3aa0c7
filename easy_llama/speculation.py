"""Speculative decoding: tokens that are guessed are computed together with the one that is certain. Pure.

A batch of a few tokens takes little longer than one token. Each token is still drawn from the model's own
distribution, with the same random numbers: a guess that agrees with the draw saves computing it, and the
first that does not is thrown away with all that follow it. So guesses change how fast a reply comes, and not
what it says, but for what llama.cpp computes a little differently in batches.
Source: Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", arXiv:2211.17192.
"""

from typing import Protocol

__all__ = ["MOST_COST", "MOST_GUESSED", "Guesser", "Speculation"]

MOST_GUESSED = 15
"""Tokens that are guessed at a time."""

_BATCH, _COST = 0.2, 0.35
"""What a batch takes beyond its first token, and what each further token of it takes, in single tokens.

Measured in replies of SmolLM2-135M on two cores: 0.45 to 0.6 for one more token, 0.75 to 0.9 for 2, 1.6 for
4 and 2.5 for 7; and the single token after a batch takes 0.05 to 0.15 longer, as llama.cpp plans its
computation anew. A larger model waits more for its memory, and a batch costs it less.
"""
_START, _MOST = 1.3, 4.0
"""Of an account of a reply, in single tokens."""
_EARNED = 0.003
"""What each token adds that comes without a guess: the share of its time that wrong guesses may cost."""
_FIRST = 6

MOST_COST = _START - _BATCH - _COST
"""A guesser that takes more time a token is never asked: no account that has earned nothing could pay it."""


class Guesser(Protocol):
    """Guesses the tokens after a text."""

    @property
    def cost(self) -> float:
        """What guessing a token takes, in single tokens of the model that is guessed for."""

    def append(self, token: int) -> None:
        """Take the next token of the text."""

    def guess(self, count: int) -> tuple[int, ...]:
        """Return what may come next, `count` tokens or fewer.

        So many were tried, and where they are fewer, one more.
        """


class _Account:
    """What one guesser may cost a reply, in single tokens, and what it earned."""

    __slots__ = ("_balance", "_wanted", "guesser")

    def __init__(self, guesser: Guesser) -> None:
        self.guesser = guesser
        self._balance = _START
        self._wanted = _FIRST

    def guess(self, most: int) -> tuple[int, ...]:
        """Return as much of a guess as can be paid for, `most` tokens or fewer."""
        affordable = int((self._balance - _BATCH) / (_COST + self.guesser.cost))
        count = min(self._wanted, affordable, most, MOST_GUESSED)
        if count <= 0:
            return ()
        cost = self.guesser.cost
        guessed = self.guesser.guess(count)
        self._balance -= cost * min(len(guessed) + 1, count)
        return guessed

    def enter(self, guessed: int, right: int) -> None:
        """Enter how many tokens were guessed, and how many of them were right."""
        self._balance = min(self._balance + right - _BATCH - _COST * guessed, _MOST)
        if right == guessed:
            self._wanted = min(2 * self._wanted, MOST_GUESSED)
        else:
            self._wanted = max(2, min(self._wanted, right + 1))

    def earn(self) -> None:
        """Enter a token that came without a guess."""
        self._balance = max(self._balance, min(_START, self._balance + _EARNED))


class Speculation:
    """Decides for one reply how many tokens to guess, and compares the guesses with what is drawn.

    It keeps an account of each guesser: a guess costs what making and computing it took, a right one earns
    the token that it saved, and nothing is guessed that the account cannot pay. So a reply of which nothing
    is guessed right is slowed down by 1.3 tokens and three thousandths at most, for each guesser, and by what
    that takes to read the text before the reply. It depends on the tokens alone and on no clock, so that the
    same reply is computed in the same batches again.

    Args:
        guessers: know the text before the reply. The first one that has a guess makes it.
    """

    __slots__ = ("_accounts", "_asked", "_guessed", "_n_right", "right_tokens")

    def __init__(self, *guessers: Guesser) -> None:
        self._accounts = [_Account(guesser) for guesser in guessers]
        self._asked: _Account | None = None
        self._guessed: tuple[int, ...] = ()
        self._n_right = 0
        self.right_tokens = 0
        """How many of the reply's tokens were guessed."""

    def confirms(self, token: int) -> bool:
        """Take the token that was drawn; return whether it was guessed, and so is computed already."""
        for account in self._accounts:
            account.guesser.append(token)
        if self._n_right < len(self._guessed) and self._guessed[self._n_right] == token:
            self._n_right += 1
            self.right_tokens += 1
            return True
        return False

    def guess(self, most: int) -> tuple[int, ...]:
        """Return what to compute together with the token that came last, `most` tokens or fewer."""
        self._settle()
        for account in self._accounts:
            self._asked, self._guessed = account, account.guess(most)
            if self._guessed:
                break
        return self._guessed

    def _settle(self) -> None:
        """Enter what came of the last guess."""
        if self._asked is not None and self._guessed:
            self._asked.enter(len(self._guessed), self._n_right)
        else:
            for account in self._accounts:
                account.earn()
        self._guessed, self._n_right = (), 0

"""How likely a model finds a text, token by token: small frozen values that may cross threads."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from easy_llama.events import Distribution, LeftOut, Likelihood, PromptProgress
from easy_llama.samplers import SamplerSettings, SimpleSampling

__all__ = ["OnRead", "Score", "ScoreRequest", "ScoredToken"]

OnRead = Callable[[PromptProgress], object]
"""Is told how much of a text is read, between two parts of it."""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Which text to score."""

    tokens: tuple[int, ...]
    """The token ids of the whole text, BOS included where the model wants one."""

    start: int = 0
    """The place of the first token to tell of; those before it are only read."""

    candidates: int = 0
    """How many candidates to tell of at each place, before and after the samplers; 0 tells of none."""

    sampler: SamplerSettings = SimpleSampling
    """Whose effect on the candidates to tell of; usually none at all."""

    reply_start: int | None = None
    """Where the reply begins that a grammar of the sampler is for, at `start` or before it; None is `start`.
    Where the reply does not follow the grammar, as a text that a person changed, it has no effect."""

    left_out: tuple[LeftOut, ...] = ()
    """What was left out of the text, in its order: what was slid over that is used as it is."""


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """One token of a text, and how likely it was there."""

    id: int
    data: bytes
    """The bytes that it adds to the text, which may be a part of a character; a control token's name."""

    likelihood: Likelihood | None
    """None for the first token of all: nothing comes before it that it could follow."""

    distribution: Distribution | None = None
    """What else could have come, where candidates were asked for; the token itself is always told of."""

    @property
    def text(self) -> str:
        """The token as text, with U+FFFD for parts of characters."""
        return self.data.decode("utf-8", errors="replace")


@dataclass(frozen=True, slots=True)
class Score:
    """How likely the model finds a text."""

    start: int
    """The place of the first of `tokens` in the text."""

    tokens: tuple[ScoredToken, ...]

    @property
    def log_probability(self) -> float:
        """The natural logarithm of the probability of all `tokens` in this order, as far as it is known."""
        return math.fsum(known.log_probability for known in self._known)

    @property
    def perplexity(self) -> float:
        """The exponential of the mean negative log-probability; not a number where no token has one."""
        known = self._known
        return math.exp(-self.log_probability / len(known)) if known else math.nan

    @property
    def _known(self) -> list[Likelihood]:
        return [token.likelihood for token in self.tokens if token.likelihood is not None]

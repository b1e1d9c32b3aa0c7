"""What goes into the token loop and what comes out of it: small frozen values that may cross threads."""

import ctypes
from dataclasses import dataclass, field
from typing import Literal

from easy_llama.samplers import DefaultSampling, SamplerSettings

FinishReason = Literal["stop", "length", "interrupted"]
"""Why a generation ended: at a stop, at a limit (of the reply or the context), or by a person."""


class CancelFlag:
    """Asks a running generation to stop; may be set from any thread, any number of times.

    The flag is one byte of memory rather than a Python object, so that llama.cpp can read it in the
    middle of a computation without waiting for the interpreter.
    """

    __slots__ = ("memory",)

    def __init__(self) -> None:
        self.memory = ctypes.create_string_buffer(2)

    def cancel(self) -> None:
        """Ask for the end."""
        self.memory[0] = b"\x01"

    @property
    def is_set(self) -> bool:
        """Whether the end was asked for."""
        return self.memory[0] != b"\x00"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was left out at one place of a prompt, because the context does not hold it.

    Where the KV cache holds it there, what follows it is slid in its place instead of being read again.
    """

    at: int
    """The place: before which token of the prompt."""

    turns: tuple[tuple[int, ...], ...]
    """The token ids of the turns that were left out, the oldest first. Of a longer conversation the first of
    them may have been left out before."""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What to generate from."""

    prompt: tuple[int, ...]
    """The token ids of the whole prompt, BOS included where the model wants one."""

    sampler: SamplerSettings = DefaultSampling
    stops: tuple[str, ...] = ()
    """Strings at which the reply ends; they are not part of it."""

    stop_ids: frozenset[int] = frozenset()
    """Token ids at which the reply ends, beside the model's own end-of-generation tokens."""

    reply_start: tuple[int, ...] = ()
    """Token ids that the reply begins with. They are read with the prompt, and all that holds for a reply
    holds for them: they come as `Token` events first, a stop among them ends it, a grammar counts them."""

    left_out: tuple[LeftOut, ...] = ()
    """What was left out of the prompt, in its order."""


class LiveSettings:
    """What may be changed while a generation runs, from any thread; it holds from the next token on."""

    __slots__ = ("candidates", "candidates_interval", "likelihoods", "sampler")

    def __init__(
        self,
        sampler: SamplerSettings | None = None,
        candidates: int = 0,
        candidates_interval: float = 0.0,
        likelihoods: bool = False,
    ) -> None:
        self.sampler = sampler
        """How tokens are chosen; None is as the request says. A grammar and a seed stay as they were."""
        self.candidates = candidates
        """How many candidates for the next token to report as `Candidates`; 0 reports none."""
        self.candidates_interval = candidates_interval
        """The least time between two reports, in seconds: no one reads a hundred a second."""
        self.likelihoods = likelihoods
        """Whether to tell with each `Token` how likely it was."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely a token was among all that could have come, in the model's own distribution."""

    log_probability: float
    """The natural logarithm of its probability: the logarithm of the softmax, before any sampler."""

    rank: int
    """1 for the likeliest token; tokens that are just as likely share a rank."""

    entropy: float
    """The entropy of the distribution in nats: 0 where only one token could come, at most log(n_vocab)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One token that could come next."""

    id: int
    text: str
    """The text that it would add; for a control token, its name."""

    before: float
    """Its probability in the model's own distribution, 0 to 1."""

    after: float
    """Its probability after the samplers, 0 where they drop it."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What could come next."""

    candidates: tuple[Candidate, ...]
    """The likeliest before the samplers and the likeliest after them, the likeliest after them first."""

    survivors: int
    """How many tokens of the vocabulary the samplers leave possible."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What could come next, just before it is drawn."""

    position: int
    """How many tokens of the reply come before it."""

    distribution: Distribution


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """A part of the prompt was read."""

    done: int
    """Tokens of the prompt that are in the cache now, reused ones included."""

    total: int
    """Tokens of the prompt."""

    reused: int
    """Tokens of the prompt that were in the cache before."""

    slid: int = 0
    """How many of `reused` were read further back, before something that is left out now, and were slid.
    The model still knows a little of what was left out, so that its reply may be another one."""

    unslidable: int = 0
    """Tokens that were in the cache further back and are read again, as this model's cache cannot slide."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token was generated."""

    id: int
    text: str
    """The text that is certain with this token: it may be empty, or hold text of earlier tokens, while
    a character is incomplete or a stop string may be beginning."""

    likelihood: Likelihood | None = None
    """How likely it was, where that was asked for and the token was not given."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The generation ended; always the last event."""

    reason: FinishReason
    text: str
    """Text that was held back until now."""

    ids: tuple[int, ...]
    """The token ids whose text is exactly the reply; empty where the reply ends within a token."""

    seed: int
    """The seed that the draws were made with."""

    prompt_tokens: int
    """Tokens of the prompt, and of the start of the reply that was given."""

    reused_tokens: int
    """How many of `prompt_tokens` were in the cache before."""

    generated_tokens: int
    """Tokens that were drawn."""

    prompt_seconds: float
    """From the start to the first token, or to the end where there was none."""

    generation_seconds: float = field(compare=False)
    """From the first token to the end."""

    slid_tokens: int = 0
    """How many of `reused_tokens` were slid; see `PromptProgress.slid`."""

    guessed_tokens: int = 0
    """How many of `generated_tokens` had been guessed, and were computed together with others."""


Event = PromptProgress | Candidates | Token | Finished

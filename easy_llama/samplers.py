"""Sampler settings, and the presets known by name.

This module loads no llama.cpp: the native chain that follows these settings is in `sampler_chain`.
"""

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from easy_llama.record import Record

MAX_TEMP = float(2**63)
"""A temperature at which every token is as likely as any other."""

MAX_SEED = 2**32 - 2
"""The largest seed; llama.cpp reads 2**32 - 1 as "draw one"."""

# The limits of the C types that llama.cpp takes settings in: beyond them a value would become another one.
_MAX_FLOAT = (2 - 2**-23) * 2.0**127
_MAX_INT = 2**31 - 1


class LogitBias(Mapping[int, float]):
    """What is added to the logits of some tokens, by token id; it never changes, and can be hashed.

    Raises:
        ValueError: an id below 0, or a bias that is neither a number nor minus infinity.
        TypeError: an id that is no int, or a bias that is no number.
    """

    __slots__ = ("_biases",)

    def __init__(self, biases: Mapping[int, float] | Iterable[tuple[int, float]]) -> None:
        self._biases = {token: float(bias) for token, bias in _checked_biases(biases)}

    def __getitem__(self, token: int) -> float:
        return self._biases[token]

    def __iter__(self) -> Iterator[int]:
        return iter(self._biases)

    def __len__(self) -> int:
        return len(self._biases)

    def __hash__(self) -> int:
        return hash(frozenset(self._biases.items()))

    def __repr__(self) -> str:
        return f"LogitBias({self._biases!r})"


class SamplerSettings(Record):
    """How the next token is chosen from the model's distribution.

    Settings never change; `replace()` gives a changed copy. `None` switches a sampler off. The defaults
    are llama.cpp's own, from `common_params_sampling` in its `common/common.h`.

    Raises:
        ValueError: a value that makes no sense, naming the field.
        TypeError: a value of another type, naming the field.
    """

    max_len_tokens: int | None = -1
    """The longest reply, in tokens; below 1 there is no limit but the context."""

    temp: float | None = 0.8
    """Divides the logits: below 1 sharper, above 1 flatter; 0 always takes the likeliest token."""

    top_p: float | None = 0.95
    """Nucleus sampling: the fewest likeliest tokens that together have this probability; 1 is off."""

    min_p: float | None = 0.05
    """Drops tokens less likely than this share of the likeliest one's probability; 0 is off."""

    frequency_penalty: float | None = 0.0
    """Taken off a token's logit for each time it occurs among the last tokens; 0 is off."""

    presence_penalty: float | None = 0.0
    """Taken off the logit of each token that occurs among the last tokens; 0 is off."""

    repeat_penalty: float | None = 1.0
    """Divides (if positive, else multiplies) the logits of tokens among the last ones; 1 is off."""

    top_k: int | None = 40
    """Keeps only this many of the likeliest tokens; below 1 is off."""

    seed: int | None = None
    """The start of the random numbers, 0 to 2**32 - 2; `None` draws a new one for each generation."""

    penalty_last_n: int | None = 64
    """How many of the last tokens the three penalties look at; -1 is the whole context, 0 is off."""

    typical_p: float | None = 1.0
    """Locally typical sampling (arXiv:2202.00666): the fewest tokens nearest to the expected information
    that together have this probability; 1 is off."""

    top_n_sigma: float | None = -1.0
    """Drops logits more than this many standard deviations below the highest (arXiv:2411.07641); at most
    0 is off."""

    xtc_probability: float | None = 0.0
    """XTC: how likely a draw leaves out all but the least likely of the tokens above `xtc_threshold`; 0
    is off."""

    xtc_threshold: float = 0.1
    """The probability from which XTC leaves tokens out; above 0.5 it never does."""

    dry_multiplier: float | None = 0.0
    """DRY: the strength of the penalty on tokens that go on with a repetition; 0 is off. It takes
    `dry_multiplier * dry_base ** (length - dry_allowed_length)` off the logit."""

    dry_base: float = 1.75
    """How fast DRY's penalty grows with the length of the repetition; at least 1."""

    dry_allowed_length: int = 2
    """The longest repetition, in tokens, that DRY lets pass."""

    dry_penalty_last_n: int = -1
    """How many of the last tokens DRY looks for repetitions in; -1 is the whole context, 0 is off."""

    dry_sequence_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    """Texts that end a repetition for DRY."""

    mirostat: int | None = 0
    """Mirostat 1 or 2 (arXiv:2007.14966) holds the surprise of the text steady, in place of all other
    samplers but the temperature, `logit_bias` and a grammar; 0 is off."""

    mirostat_tau: float = 5.0
    """The surprise that Mirostat aims at, in bits a token."""

    mirostat_eta: float = 0.1
    """How fast Mirostat corrects itself."""

    logit_bias: Mapping[int, float] | None = None
    """Added to the logits of tokens, by id; minus infinity forbids a token. Kept as `LogitBias`."""

    grammar: str | None = None
    """A grammar in llama.cpp's GBNF that the reply follows, from its rule `root`."""

    json_schema: str | Mapping[str, Any] | None = None
    """A JSON schema that the reply follows, as JSON text or a mapping. Kept as text."""

    def __post_init__(self) -> None:
        for name, (kind, low, high) in _RANGES.items():
            _check(name, getattr(self, name), kind, low, high)
        # An empty value is none: the fields above compare and hash by what they do.
        object.__setattr__(self, "dry_sequence_breakers", _checked_breakers(self.dry_sequence_breakers))
        object.__setattr__(self, "logit_bias", LogitBias(self.logit_bias) if self.logit_bias else None)
        object.__setattr__(self, "grammar", _checked_text("grammar", self.grammar))
        object.__setattr__(self, "json_schema", _checked_schema(self.json_schema))
        if self.grammar is not None and self.json_schema is not None:
            raise ValueError("grammar and json_schema exclude each other; give one, and None for the other")

    def replace(self, **changes: Any) -> "SamplerSettings":
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self.temp == 0.0

    @property
    def has_penalties(self) -> bool:
        """Whether any of the three penalties is on."""
        penalised = self.frequency_penalty or self.presence_penalty or (self.repeat_penalty or 1.0) != 1.0
        return bool(penalised and self.penalty_last_n)

    @property
    def has_grammar(self) -> bool:
        """Whether a grammar or a JSON schema says which tokens may come."""
        return self.grammar is not None or self.json_schema is not None


_RANGES: dict[str, tuple[type, float, float]] = {
    "max_len_tokens": (int, -math.inf, math.inf),
    "temp": (float, 0.0, _MAX_FLOAT),
    "top_p": (float, 0.0, 1.0),
    "min_p": (float, 0.0, 1.0),
    "frequency_penalty": (float, -_MAX_FLOAT, _MAX_FLOAT),
    "presence_penalty": (float, -_MAX_FLOAT, _MAX_FLOAT),
    "repeat_penalty": (float, 1e-6, _MAX_FLOAT),
    "top_k": (int, -_MAX_INT, _MAX_INT),
    "seed": (int, 0, MAX_SEED),
    "penalty_last_n": (int, -1, _MAX_INT),
    "typical_p": (float, 0.0, 1.0),
    "top_n_sigma": (float, -_MAX_FLOAT, _MAX_FLOAT),
    "xtc_probability": (float, 0.0, 1.0),
    "xtc_threshold": (float, 0.0, 1.0),
    "dry_multiplier": (float, 0.0, _MAX_FLOAT),
    "dry_base": (float, 1.0, _MAX_FLOAT),
    "dry_allowed_length": (int, 0, _MAX_INT),
    "dry_penalty_last_n": (int, -1, _MAX_INT),
    "mirostat": (int, 0, 2),
    "mirostat_tau": (float, 0.0, _MAX_FLOAT),
    "mirostat_eta": (float, 0.0, _MAX_FLOAT),
}
_NEVER_NONE = frozenset(
    {"xtc_threshold", "dry_base", "dry_allowed_length", "dry_penalty_last_n", "mirostat_tau", "mirostat_eta"}
)


def _check(name: str, value: Any, kind: type, low: float, high: float) -> None:
    if value is None and name not in _NEVER_NONE:
        return
    wanted = (int,) if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted):
        or_none = "" if name in _NEVER_NONE else " or None"
        raise TypeError(f"{name} must be {kind.__name__}{or_none}, not {value!r}")
    if not low <= value <= high or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{name} must be {_bounds(low, high)}, not {value!r}")


def _bounds(low: float, high: float) -> str:
    if high < _MAX_INT:
        return f"from {low:g} to {high:g}"
    size = "finite" if high >= _MAX_FLOAT else f"at most {high:.0f}"
    return size if low <= -_MAX_INT else f"at least {low:g} and {size}"


def _checked_biases(
    biases: Mapping[int, float] | Iterable[tuple[int, float]],
) -> Iterator[tuple[int, float]]:
    if not isinstance(biases, Mapping | Iterable) or isinstance(biases, str):
        raise TypeError(f"logit_bias must map token ids to biases, not {biases!r}")
    for token, bias in dict(biases).items():
        if isinstance(token, bool) or not isinstance(token, int):
            raise TypeError(f"logit_bias must have token ids as keys, not {token!r}")
        if isinstance(bias, bool) or not isinstance(bias, int | float):
            raise TypeError(f"logit_bias must add a number to token {token}, not {bias!r}")
        if not 0 <= token <= _MAX_INT:
            raise ValueError(f"logit_bias must have token ids as keys, and {token} is none")
        if bias != -math.inf and not abs(bias) <= _MAX_FLOAT:
            raise ValueError(f"logit_bias must add a finite number or -inf to token {token}, not {bias!r}")
        yield token, bias


def _checked_breakers(breakers: Any) -> tuple[str, ...]:
    if isinstance(breakers, str) or not isinstance(breakers, Iterable):
        raise TypeError(f"dry_sequence_breakers must be a sequence of str, not {breakers!r}")
    checked = tuple(breakers)
    if not all(isinstance(breaker, str) for breaker in checked):
        raise TypeError(f"dry_sequence_breakers must be a sequence of str, not {breakers!r}")
    if not all(breaker and "\0" not in breaker for breaker in checked):
        raise ValueError("dry_sequence_breakers must be texts that are not empty and hold no NUL character")
    return checked


def _checked_text(name: str, text: Any) -> str | None:
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise TypeError(f"{name} must be str or None, not {text!r}")
    if "\0" in text:
        raise ValueError(f"{name} must hold no NUL character")
    return text


def _checked_schema(schema: Any) -> str | None:
    if isinstance(schema, Mapping):
        try:
            schema = json.dumps(dict(schema), ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise type(error)(f"json_schema must hold only what JSON can: {error}") from error
    text = _checked_text("json_schema", schema)
    if text is None:
        return None
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"json_schema must be a JSON schema, and this is no JSON: {error}") from error
    if not is_object:
        raise ValueError('json_schema must be a JSON object, such as {"type": "object"}')
    return text


GreedyDecoding = SamplerSettings(temp=0.0)
"""The likeliest token, always."""

DefaultSampling = SamplerSettings()
"""llama.cpp's defaults."""

ClassicSampling = SamplerSettings(min_p=0.0, repeat_penalty=1.1)
"""llama.cpp's defaults of 2023, before min-p."""

SimpleSampling = SamplerSettings(temp=1.0, top_p=1.0, min_p=0.0, top_k=-1)
"""The model's own distribution, untouched."""

SemiSampling = SamplerSettings(temp=0.9, top_p=0.975, min_p=0.025, top_k=80)
"""Halfway between DefaultSampling and SimpleSampling."""

TikTokenSampling = SamplerSettings(temp=0.6, repeat_penalty=1.1)
"""For models with a large vocabulary, which tend to run hot."""

LowMinPSampling = SamplerSettings(temp=1.0, top_p=1.0, min_p=0.05, top_k=-1)
"""Min-p alone, weak."""

MinPSampling = SamplerSettings(temp=1.0, top_p=1.0, min_p=0.1, top_k=-1)
"""Min-p alone, moderate."""

StrictMinPSampling = SamplerSettings(temp=1.0, top_p=1.0, min_p=0.2, top_k=-1)
"""Min-p alone, strict."""

ContrastiveSearch = SamplerSettings(temp=0.0, presence_penalty=0.4)
"""Greedy with a moderate penalty on what was said, after contrastive search (arXiv:2210.14140)."""

WarmContrastiveSearch = SamplerSettings(temp=0.0, presence_penalty=0.8)
"""Greedy with a high penalty on what was said, after contrastive search (arXiv:2210.14140)."""

RandomSampling = SamplerSettings(temp=MAX_TEMP, top_p=1.0, min_p=0.0, top_k=-1)
"""Any token of the vocabulary, at random."""

LowTempSampling = SamplerSettings(temp=0.4)
"""DefaultSampling, cooler."""

HighTempSampling = SamplerSettings(temp=1.2)
"""DefaultSampling, warmer."""

PRESETS: dict[str, SamplerSettings] = {
    name: value for name, value in list(globals().items()) if isinstance(value, SamplerSettings)
}
"""Every preset by its name."""


def preset(name: str) -> SamplerSettings:
    """Return the preset called `name`, whatever its case.

    Raises:
        ValueError: no preset has that name; the message names the nearest one.
    """
    by_key = {key.lower(): value for key, value in PRESETS.items()}
    try:
        return by_key[name.lower()]
    except KeyError:
        import difflib  # seldom needed, and a part of what importing the library takes

        near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.3)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(PRESETS)}"
        raise ValueError(f"no sampler preset is called {name!r}; {hint}") from None


def preset_name(settings: SamplerSettings) -> str | None:
    """Return the name of the preset that equals `settings` but for the seed, or None."""
    unseeded = settings.replace(seed=None)
    return next((name for name, value in PRESETS.items() if value == unseeded), None)

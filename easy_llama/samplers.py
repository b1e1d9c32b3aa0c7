"""Sampler settings, and the presets known by name.

This module loads no llama.cpp: the native chain that follows these settings is in `sampler_chain`.
"""

import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import Any

MAX_TEMP = float(2**63)
"""A temperature at which every token is as likely as any other."""

MAX_SEED = 2**32 - 2
"""The largest seed; llama.cpp reads 2**32 - 1 as "draw one"."""


@dataclass(frozen=True, slots=True)
class SamplerSettings:
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

    def __post_init__(self) -> None:
        for name, (kind, low, high) in _RANGES.items():
            _check(name, getattr(self, name), kind, low, high)

    def replace(self, **changes: Any) -> "SamplerSettings":
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self.temp == 0.0

    @property
    def has_penalties(self) -> bool:
        """Whether any sampler looks back at earlier tokens."""
        return bool(self.frequency_penalty or self.presence_penalty or (self.repeat_penalty or 1.0) != 1.0)


_RANGES: dict[str, tuple[type, float, float]] = {
    "max_len_tokens": (int, -math.inf, math.inf),
    "temp": (float, 0.0, math.inf),
    "top_p": (float, 0.0, 1.0),
    "min_p": (float, 0.0, 1.0),
    "frequency_penalty": (float, -math.inf, math.inf),
    "presence_penalty": (float, -math.inf, math.inf),
    "repeat_penalty": (float, 1e-6, math.inf),
    "top_k": (int, -math.inf, math.inf),
    "seed": (int, 0, MAX_SEED),
}


def _check(name: str, value: Any, kind: type, low: float, high: float) -> None:
    if value is None:
        return
    wanted = (int,) if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise TypeError(f"{name} must be {kind.__name__} or None, not {value!r}")
    if not low <= value <= high or not math.isfinite(value):
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"finite and at least {low:g}"
        raise ValueError(f"{name} must be {bounds if math.isfinite(low) else 'finite'}, not {value!r}")


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
        near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.3)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(PRESETS)}"
        raise ValueError(f"no sampler preset is called {name!r}; {hint}") from None


def preset_name(settings: SamplerSettings) -> str | None:
    """Return the name of the preset that equals `settings` but for the seed, or None."""
    unseeded = settings.replace(seed=None)
    return next((name for name, value in PRESETS.items() if value == unseeded), None)

"""What a person is told of each sampler setting: its meaning, range, steps and "off". Data.

Which values are allowed is known to `SamplerSettings` alone; the ranges here are what is told of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from easy_llama.samplers import MAX_SEED

Number = int | float


@dataclass(frozen=True, slots=True)
class SamplerField:
    """One setting, as it is shown and edited."""

    name: str
    """The name of the field of `SamplerSettings`."""

    meaning: str
    """What it does, in a few words."""

    kind: Literal["number", "whole", "text"]
    """A number, a whole number, or something of several lines."""

    low: float = -math.inf
    high: float = math.inf
    """The least and the largest value, as it is told."""

    off: Number | None = None
    """The value that does nothing, where there is one."""

    off_word: str = "off"
    """What is shown where it does nothing."""

    usual: Number | None = None
    """What it is switched on with where the preset has it off."""

    step: float = 1.0
    reach: tuple[float, float] = (-math.inf, math.inf)
    """How much one step changes it, and between which values."""

    ladder: tuple[int, ...] = ()
    """The values that steps lead to, instead; of negative ones, that stand for "all", the last."""

    words: Mapping[Number, str] = field(default_factory=dict)
    """Values that have a name."""

    off_range: str = ""
    """What is told of "off", where it is more than one value."""

    needs_new_reply: bool = False
    """Whether a change waits for the next reply, rather than for the next token."""

    def is_off(self, value: object) -> bool:
        """Return whether the sampler does nothing at this value."""
        if self.kind == "text":
            return not value
        if value is None:
            return True
        if self.off is None:
            return False
        number = cast(Number, value)
        if self.name in ("top_k", "max_len_tokens"):
            return number < 1
        if self.name == "top_n_sigma":
            return number <= 0
        return number == self.off

    @property
    def can_be_off(self) -> bool:
        """Whether there is a value at which it does nothing."""
        return self.off is not None or (self.kind == "text" and self.name != "dry_sequence_breakers")

    @property
    def range_text(self) -> str:
        """The values that it may have, in words."""
        parts = [_range_words(self)]
        if self.off is not None:
            parts.append(self.off_range or f"{self.off:g} is {self.off_word.split()[-1]}")
        parts += [f"{value:g} is {word}" for value, word in self.words.items()]
        if self.needs_new_reply:
            parts.append("from the next reply on")
        return " · ".join(part for part in parts if part)


_LAST_N = (0, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, -1)
_WHOLE_CONTEXT: Final[Mapping[Number, str]] = {-1: "all"}

GROUPS: Final[tuple[tuple[str, tuple[SamplerField, ...]], ...]] = (
    (
        "",
        (
            SamplerField(
                "temp",
                "Temperature: below 1 is surer, above 1 more surprising; 0 always takes the likeliest.",
                *("number", 0.0),
                off=1.0,
                off_word="1.00 off",
                usual=0.8,
                step=0.05,
                reach=(0.0, 5.0),
            ),
            SamplerField(
                "top_k",
                "Keeps only this many of the likeliest tokens.",
                "whole",
                off=-1,
                off_range="below 1 is off",
                usual=40,
                ladder=(1, 5, 10, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 1000, -1),
            ),
            SamplerField(
                "top_p",
                "Keeps the fewest likeliest tokens that together have this probability.",
                *("number", 0.0, 1.0),
                off=1.0,
                usual=0.95,
                step=0.01,
                reach=(0.0, 1.0),
            ),
            SamplerField(
                "min_p",
                "Drops tokens less likely than this share of the likeliest one's probability.",
                *("number", 0.0, 1.0),
                off=0.0,
                usual=0.05,
                step=0.01,
                reach=(0.0, 1.0),
            ),
            SamplerField(
                "repeat_penalty",
                "Makes tokens that were said lately less likely, whatever their number.",
                *("number", 1e-6),
                off=1.0,
                usual=1.1,
                step=0.05,
                reach=(0.05, 2.0),
            ),
            SamplerField(
                "max_len_tokens",
                "The longest reply, in tokens; else the context alone is the limit.",
                "whole",
                off=-1,
                off_word="no limit",
                off_range="below 1 is no limit",
                usual=512,
                ladder=(16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, -1),
            ),
            SamplerField(
                "seed",
                "The start of the random numbers: the same seed gives the same reply. f fixes the last.",
                *("whole", 0, MAX_SEED),
                reach=(0, MAX_SEED),
                needs_new_reply=True,
            ),
        ),
    ),
    (
        "penalties",
        (
            SamplerField(
                "frequency_penalty",
                "Taken off a token's logit for each time that it was said lately.",
                "number",
                off=0.0,
                usual=0.2,
                step=0.1,
                reach=(-2.0, 2.0),
            ),
            SamplerField(
                "presence_penalty",
                "Taken off the logit of each token that was said lately.",
                "number",
                off=0.0,
                usual=0.4,
                step=0.1,
                reach=(-2.0, 2.0),
            ),
            SamplerField(
                "penalty_last_n",
                "How many of the last tokens the three penalties look at.",
                *("whole", -1),
                off=0,
                usual=64,
                ladder=_LAST_N,
                words=_WHOLE_CONTEXT,
            ),
        ),
    ),
    (
        "more filters",
        (
            SamplerField(
                "typical_p",
                "Locally typical: keeps the tokens nearest to the expected surprise that together have "
                "this probability.",
                *("number", 0.0, 1.0),
                off=1.0,
                usual=0.95,
                step=0.05,
                reach=(0.0, 1.0),
            ),
            SamplerField(
                "top_n_sigma",
                "Drops logits more than this many standard deviations below the highest.",
                "number",
                off=-1.0,
                off_range="at most 0 is off",
                usual=1.0,
                step=0.1,
                reach=(0.0, 5.0),
            ),
            SamplerField(
                "xtc_probability",
                "XTC: how often the likeliest tokens are left out, but the last of them.",
                *("number", 0.0, 1.0),
                off=0.0,
                usual=0.5,
                step=0.05,
                reach=(0.0, 1.0),
            ),
            SamplerField(
                "xtc_threshold",
                "XTC: how likely a token must be to be left out; above 0.5 none is.",
                *("number", 0.0, 1.0),
                step=0.05,
                reach=(0.0, 1.0),
            ),
        ),
    ),
    (
        "DRY, against repetition",
        (
            SamplerField(
                "dry_multiplier",
                "DRY: how strongly tokens that go on with a repetition are made less likely.",
                *("number", 0.0),
                off=0.0,
                usual=0.8,
                step=0.1,
                reach=(0.0, 5.0),
            ),
            SamplerField(
                "dry_base",
                "DRY: how fast that grows with the length of the repetition.",
                *("number", 1.0),
                step=0.05,
                reach=(1.0, 4.0),
            ),
            SamplerField(
                "dry_allowed_length",
                "DRY: the longest repetition, in tokens, that may pass.",
                *("whole", 0),
                reach=(0, 100),
            ),
            SamplerField(
                "dry_penalty_last_n",
                "DRY: how many of the last tokens it looks at.",
                *("whole", -1),
                off=0,
                usual=-1,
                ladder=_LAST_N,
                words=_WHOLE_CONTEXT,
            ),
            SamplerField(
                "dry_sequence_breakers",
                "DRY: texts that end a repetition, one a line; \\n stands for a new line.",
                "text",
            ),
        ),
    ),
    (
        "Mirostat, in place of filters",
        (
            SamplerField(
                "mirostat",
                "Holds the surprise of the text steady; version 1 or 2.",
                *("whole", 0, 2),
                off=0,
                usual=2,
                ladder=(0, 1, 2),
            ),
            SamplerField(
                "mirostat_tau",
                "The surprise that Mirostat aims at, in bits a token.",
                *("number", 0.0),
                step=0.5,
                reach=(0.0, 20.0),
            ),
            SamplerField(
                "mirostat_eta",
                "How fast Mirostat corrects itself.",
                *("number", 0.0),
                step=0.05,
                reach=(0.0, 1.0),
            ),
        ),
    ),
    (
        "what may be written",
        (
            SamplerField(
                "logit_bias",
                'Added to the logits of tokens: a line "token id = number" each; -inf forbids the token.',
                "text",
            ),
            SamplerField(
                "grammar",
                "A GBNF grammar that the reply follows, from its rule root.",
                "text",
                needs_new_reply=True,
            ),
            SamplerField(
                "json_schema",
                "A JSON schema that the reply follows.",
                "text",
                needs_new_reply=True,
            ),
        ),
    ),
)
"""The settings in the order of the screen, below their headings."""

FIELDS: Final = {one.name: one for _, members in GROUPS for one in members}
"""Each setting by its name."""


def _range_words(one: SamplerField) -> str:
    if one.kind == "text":
        return ""
    if one.high < math.inf:
        return f"{one.low:g} to {one.high:,.0f}" if one.high > 1000 else f"{one.low:g} to {one.high:g}"
    kind = "whole number" if one.kind == "whole" else "number"
    if one.low == -math.inf:
        return f"any {kind}"
    return f"above {0 if one.low < 0.001 else one.low:g}" if 0 < one.low < 1 else f"{one.low:g} or more"

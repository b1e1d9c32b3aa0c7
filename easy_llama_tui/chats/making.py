"""How a reply was made: what can be told of it, and what is needed to make it again. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from easy_llama.cache_types import DEFAULT_CACHE_TYPE
from easy_llama.samplers import SamplerSettings

MILLISECONDS: Final = 3
"""The digits after the point that times keep: what is finer differs from run to run anyway."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What replies have in common that were made in the same way."""

    model: str
    """The model's name as the screen showed it."""
    file: str
    """Its GGUF file."""
    format: str
    """The name of the prompt format."""
    preset: str
    """The name of the sampler preset that the settings began as."""
    sampler: SamplerSettings
    """All sampler settings; the seed is that of each reply, so it is left out here."""
    context_length: int | None = None
    """How many tokens the context held; None where that is unknown."""
    threads: int | None = None
    """How many threads computed; None where that is unknown."""
    gpu_layers: int | None = None
    """How many layers were on a GPU, -1 for all; None where that is unknown."""
    flash_attn: bool = False
    """Whether Flash Attention was used."""
    batch: int | None = None
    """At most how many tokens of a prompt were computed at once; None where that is unknown."""
    cache_type_k: str = DEFAULT_CACHE_TYPE
    """What the keys of the KV cache were kept in."""
    cache_type_v: str = DEFAULT_CACHE_TYPE
    """What its values were kept in."""
    prompt_lookup: bool = False
    """Whether tokens were guessed from the text so far, and computed several at once."""
    draft_model: str = ""
    """The GGUF file of the model that guessed tokens; empty where there was none."""

    def __post_init__(self) -> None:
        if self.sampler.seed is not None:
            object.__setattr__(self, "sampler", self.sampler.replace(seed=None))


@dataclass(frozen=True, slots=True)
class Making:
    """How a reply was written in one go. A reply that was continued was made in several.

    `began` is brought to milliseconds in UTC, and so are the seconds.

    Raises:
        ValueError: `began` has no time zone.
    """

    recipe: Recipe
    """The model, the prompt format and the settings."""
    began: datetime
    """When it was asked for."""
    seed: int | None = None
    """The seed that was drawn with; None where that is unknown."""
    start: int = 0
    """How many characters of the reply were there before: what is continued, or was put in its mouth."""
    given_tokens: int = 0
    """With how many tokens it was made to begin, the last one chosen by the person; 0 where with none."""
    reading_seconds: float | None = None
    """From the request to the first token; None where that is unknown."""
    writing_seconds: float | None = None
    """From the first token to the end; None where that is unknown."""
    prompt_tokens: int = 0
    """The length of the prompt; 0 where that is unknown."""
    reused_tokens: int = 0
    """How many of them were in the KV cache before."""
    slid_tokens: int = 0
    """How many of those were read before messages that were left out then, and were slid in their place."""
    written_tokens: int = 0
    """How many tokens were written."""
    left_out: int = 0
    """How many messages before it the model did not read, because the context did not hold them."""
    settings_changed: bool = False
    """Whether sampler settings were changed while it was written."""

    def __post_init__(self) -> None:
        if self.began.tzinfo is None:
            raise ValueError(f"the time {self.began} has no time zone")
        began = self.began.astimezone(UTC)
        object.__setattr__(self, "began", began.replace(microsecond=began.microsecond // 1000 * 1000))
        for name in ("reading_seconds", "writing_seconds"):
            seconds = getattr(self, name)
            if seconds is not None:
                object.__setattr__(self, name, round(float(seconds), MILLISECONDS))

    @property
    def settings(self) -> SamplerSettings:
        """The settings with the seed: what makes the same text again."""
        return self.recipe.sampler.replace(seed=self.seed)

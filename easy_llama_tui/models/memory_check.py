"""Whether a model fits the memory that is free, before it is loaded. Pure.

Weights that llama.cpp maps from their file can be read again and again in place of being kept, which is slow
but works; so what does not fit is doubtful, and not impossible.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from easy_llama.errors import DraftModelError, ModelLoadError
from easy_llama.loading import (
    computing_bytes,
    draft_context_length,
    fitting_context_length,
    kv_cache_bytes,
    plan_loading,
)

_STEP = 1024
"""Tokens by which a context becomes shorter; the shortest is one step."""
_COMFORT = 0.9
"""The share of the free memory that is taken without asking for more than is needed."""


@dataclass(frozen=True, slots=True)
class MemoryDoubt:
    """Why a model may not fit."""

    needed_bytes: int
    free_bytes: int
    context_length: int
    """The context that so much is needed with, in tokens."""
    shorter_context: int | None
    """One with which it fits; None where there is none."""
    is_on_gpu: bool = False
    """Whether the memory is that of the GPU."""


@dataclass(frozen=True, slots=True)
class ContextChoice:
    """The context to load a model with."""

    context_length: int
    native_context_length: int
    doubt: MemoryDoubt | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft model, as far as it takes memory."""

    metadata: Mapping[str, object]
    """Of its header."""
    weights_bytes: int

    def needed(self, context_length: int, *, flash_attn: bool) -> int:
        """Return the bytes that it takes beside a model with a context of so many tokens.

        Raises:
            DraftModelError: the header lacks a figure that is needed.
        """
        try:
            length = draft_context_length(self.metadata, context_length)
            computing = computing_bytes(self.metadata, length, flash_attn=flash_attn)
            return self.weights_bytes + kv_cache_bytes(self.metadata, length) + computing
        except ModelLoadError as error:
            raise DraftModelError(str(error)) from error


def choose_context(
    metadata: Mapping[str, object],
    weights_bytes: int,
    free_bytes: int,
    *,
    wished: int | None = None,
    flash_attn: bool = False,
    bytes_per_k: float = 2.0,
    bytes_per_v: float = 2.0,
    draft: Draft | None = None,
) -> ContextChoice:
    """Return the context to load a model with, and why that may not fit.

    Where none is wished it is the native one, or a shorter one with which the model fits and which leaves
    most of the free memory to others. `bytes_per_k` and `bytes_per_v` are the bytes of one key or
    value in the KV cache. What a `draft` takes is needed too.

    Raises:
        ModelLoadError: the header lacks a figure that is needed.
        DraftModelError: that of the draft does.
    """

    def needed(length: int) -> int:
        cache = kv_cache_bytes(metadata, length, bytes_per_k=bytes_per_k, bytes_per_v=bytes_per_v)
        drafting = draft.needed(length, flash_attn=flash_attn) if draft else 0
        return weights_bytes + cache + computing_bytes(metadata, length, flash_attn=flash_attn) + drafting

    native = plan_loading(metadata).native_context_length
    longest = fitting_context_length(metadata, free_bytes, bytes_per_k=bytes_per_k, bytes_per_v=bytes_per_v)
    lengths = [*range(_STEP, longest, _STEP), longest]
    n_fitting = bisect_right(lengths, free_bytes * _COMFORT, key=needed)
    fitting = lengths[max(n_fitting - 1, 0)]
    chosen = wished or fitting
    doubt = None
    if needed(chosen) > free_bytes:
        is_shorter = fitting < chosen and needed(fitting) <= free_bytes
        doubt = MemoryDoubt(needed(chosen), free_bytes, chosen, fitting if is_shorter else None)
    return ContextChoice(chosen, native, doubt)

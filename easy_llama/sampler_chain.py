"""llama.cpp's native sampler chain for given settings."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llama_cpp import llama_cpp as lib

from easy_llama.samplers import MAX_SEED, SamplerSettings

PENALTY_LAST_N = 64
"""How many of the last tokens the penalties look at: llama.cpp's default."""


def draw_seed() -> int:
    """Return a fresh random seed for `SamplerSettings.seed`."""
    return secrets.randbelow(MAX_SEED + 1)


@contextmanager
def sampler_chain(
    settings: SamplerSettings, *, n_vocab: int, seed: int, context: Sequence[int]
) -> Iterator[Any]:
    """Build the chain that chooses tokens as `settings` say, and free it at the end.

    The order is llama.cpp's own: penalties, top-k, top-p, min-p, temperature, then the draw. Penalties
    count the tokens of `context`, the prompt, as already said.
    """
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    try:
        for sampler in _samplers(settings, n_vocab, seed):
            lib.llama_sampler_chain_add(chain, sampler)
        if settings.has_penalties:
            for token in context[-PENALTY_LAST_N:]:
                lib.llama_sampler_accept(chain, token)
        yield chain
    finally:
        lib.llama_sampler_free(chain)


def _samplers(settings: SamplerSettings, n_vocab: int, seed: int) -> Iterator[Any]:
    if settings.has_penalties:
        yield lib.llama_sampler_init_penalties(
            n_vocab,
            PENALTY_LAST_N,
            settings.repeat_penalty or 1.0,
            settings.frequency_penalty or 0.0,
            settings.presence_penalty or 0.0,
        )
    if settings.is_greedy:
        # What the filters below would keep always includes the likeliest token.
        yield lib.llama_sampler_init_greedy()
        return
    if settings.top_k is not None and settings.top_k > 0:
        yield lib.llama_sampler_init_top_k(settings.top_k)
    if settings.top_p is not None and settings.top_p < 1.0:
        yield lib.llama_sampler_init_top_p(settings.top_p, 1)
    if settings.min_p:
        yield lib.llama_sampler_init_min_p(settings.min_p, 1)
    if settings.temp is not None and settings.temp != 1.0:
        yield lib.llama_sampler_init_temp(settings.temp)
    yield lib.llama_sampler_init_dist(seed)

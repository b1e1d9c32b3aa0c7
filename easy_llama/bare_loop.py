"""The yardstick: llama.cpp's own decoding, drawing and spelling in a loop, and nothing else.

What is measured of this library is measured beside it. Unless told otherwise it draws the likeliest token.
"""

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import llama_cpp
from llama_cpp import llama_cpp as lib

from easy_llama.errors import GenerationError
from easy_llama.sampler_chain import sampler_chain
from easy_llama.samplers import GreedyDecoding, SamplerSettings

__all__ = ["BareRun", "bare_loop"]

_LONGEST_PIECE = 256
"""In bytes, of one token."""


@dataclass(frozen=True, slots=True)
class BareRun:
    """What the loop wrote, and how long it took."""

    ids: tuple[int, ...]
    """The tokens that were drawn; the last one is never decoded."""
    text: str
    reading: float
    """Seconds from the call to the first token."""
    writing: float
    """Seconds from the first token to the last."""


def bare_loop(
    llama: llama_cpp.Llama,
    prompt: Sequence[int],
    n_tokens: int,
    sampler: SamplerSettings = GreedyDecoding,
) -> BareRun:
    """Read a prompt into an empty context, and draw `n_tokens` tokens, also beyond the text's end.

    Args:
        llama: the model.
        prompt: token ids.
        n_tokens: how many to draw.
        sampler: how they are drawn, without a grammar.

    Raises:
        GenerationError: llama.cpp failed.
        ValueError: the sampler's logit bias has an id outside the vocabulary.
    """
    context = llama.ctx
    vocab = lib.llama_model_get_vocab(llama.model)
    token = (lib.llama_token * 1)()
    batch = lib.llama_batch_get_one(token, 1)
    piece = ctypes.create_string_buffer(_LONGEST_PIECE)
    ids: list[int] = []
    pieces: list[bytes] = []
    sampling = sampler_chain(
        sampler,
        vocab=vocab,
        seed=sampler.seed or 0,
        context=prompt,
        context_length=int(lib.llama_n_ctx(context)),
    )

    def draw(chain: Any) -> None:
        token[0] = drawn = lib.llama_sampler_sample(chain, context, -1)
        ids.append(drawn)
        size = lib.llama_token_to_piece(vocab, drawn, piece, _LONGEST_PIECE, 0, False)
        pieces.append(piece.raw[:size])

    with sampling as chain:
        started = time.perf_counter()
        for begin in range(0, len(prompt), llama.n_batch):
            chunk = prompt[begin : begin + llama.n_batch]
            buffer = (lib.llama_token * len(chunk))(*chunk)
            _decode(context, lib.llama_batch_get_one(buffer, len(chunk)))
        draw(chain)
        first = time.perf_counter()
        for _ in range(n_tokens - 1):
            _decode(context, batch)
            draw(chain)
        ended = time.perf_counter()
    text = b"".join(pieces).decode("utf-8", errors="replace")
    return BareRun(tuple(ids), text, first - started, ended - first)


def _decode(context: object, batch: object) -> None:
    if code := lib.llama_decode(context, batch):
        raise GenerationError(f"llama.cpp failed to decode (llama_decode returned {code}); see its log")

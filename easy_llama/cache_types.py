"""What the KV cache can be kept in: the types of its numbers, and what goes with what."""

from typing import Final

__all__ = ["CACHE_TYPES", "DEFAULT_CACHE_TYPE", "bytes_of", "cache_type_problem", "ggml_number"]

DEFAULT_CACHE_TYPE: Final = "f16"

_BLOCK: Final = 32
"""How many numbers of a quantised type share their scale."""

# ggml_type in ggml.h, and the bytes of a block. bf16 is left out: llama.cpp ends the process where a cache
# with bf16 keys is to be slid, though it says that it can be ("llama_memory_can_shift").
_TYPES: Final = {
    "f32": (0, 128),
    "f16": (1, 64),
    "q8_0": (8, 34),
    "q5_1": (7, 24),
    "q5_0": (6, 22),
    "q4_1": (3, 20),
    "q4_0": (2, 18),
    "iq4_nl": (20, 18),
}
_WHOLE: Final = frozenset({"f32", "f16"})
"""The types that are not quantised."""

CACHE_TYPES: Final = tuple(_TYPES)
"""The names of the types, by llama.cpp's names for them."""


def ggml_number(name: str) -> int:
    """Return the number that ggml has for a type of `CACHE_TYPES`."""
    return _TYPES[name][0]


def bytes_of(name: str) -> float:
    """Return the bytes that one number of a type of `CACHE_TYPES` takes."""
    return _TYPES[name][1] / _BLOCK


def cache_type_problem(cache_type_k: str, cache_type_v: str, flash_attn: bool) -> str:
    """Return why a cache cannot be kept so, and what can be done; "" where it can.

    A model may refuse quantised types for itself still, where the size of its heads is no multiple of 32.
    """
    for name, value in (("cache_type_k", cache_type_k), ("cache_type_v", cache_type_v)):
        if value not in _TYPES:
            return f"{name} is {value!r}, which is not known; there are {', '.join(CACHE_TYPES)}"
    if cache_type_v not in _WHOLE and not flash_attn:
        return (
            f"cache_type_v is {cache_type_v!r}, and the values of the KV cache are quantised with Flash "
            f"Attention only; switch flash_attn on, or leave cache_type_v at {DEFAULT_CACHE_TYPE!r}"
        )
    return ""

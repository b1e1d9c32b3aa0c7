"""How to load a model: its metadata and a person's wishes become context length, RoPE base and threads.

The metadata is that of `easy_llama.gguf` or any mapping of the same keys; numbers may also come as texts,
as llama.cpp's own metadata calls give them. (Those leave arrays out, so that a model whose head counts
differ between layers is described by its file alone.)
"""

import math
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass

from easy_llama.cores import physical_cores, usable_cores
from easy_llama.errors import ModelLoadError
from easy_llama.gguf import one_line

__all__ = [
    "LoadPlan",
    "computing_bytes",
    "default_threads",
    "draft_context_length",
    "extended_rope_base",
    "fitting_context_length",
    "kv_cache_bytes",
    "plan_loading",
]

_DEFAULT_N_BATCH = 512
_DEFAULT_ROPE_BASE = 10_000.0
"""What llama.cpp takes where a model with RoPE has no `rope.freq_base`."""
_MAX_CONTEXT = 2**31 - 1
_MAX_LAYERS = 4096
_LARGE_VOCABULARY = 150_000
_MAX_FLOAT32 = 3.4e38


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The settings to load one model with."""

    context_length: int
    """In tokens."""
    native_context_length: int
    """The context length that the model was trained for, in tokens."""
    rope_freq_base: float
    """The RoPE base to load with; 0.0 leaves it to the model, as llama.cpp reads a 0."""
    rope_freq_base_train: float | None
    """The model's own RoPE base, or None where its header tells of no RoPE."""
    context_scale: float
    """`context_length` / `native_context_length`; beyond 1 the model loses quality."""
    n_batch: int
    """How many tokens of a prompt are read at once."""
    n_threads: int
    """Threads that generate."""
    n_threads_batch: int
    """Threads that read prompts."""


def plan_loading(
    metadata: Mapping[str, object],
    *,
    context_length: int | None = None,
    n_batch: int | None = None,
    n_threads: int | None = None,
    n_threads_batch: int | None = None,
    cores: tuple[int | None, int] | None = None,
) -> LoadPlan:
    """Return the settings to load a model with.

    Beyond the native context length the RoPE base is raised, see `extended_rope_base`.

    Args:
        metadata: the key-values of the model's header.
        context_length: in tokens; None is the native length.
        n_batch: at most how many tokens of a prompt to read at once; None is 512.
        n_threads: threads that generate; None is `default_threads`.
        n_threads_batch: threads that read prompts; None is `n_threads` where that is given, else all
            logical cores, because reading a prompt is bound by computing and not by memory.
        cores: how many cores, where that is known, and how many hyper-threads this process may use; None asks
            the machine.

    Raises:
        ValueError: A wish is out of range; the message names it.
        ModelLoadError: The header lacks what is needed, or the model cannot be extended.
    """
    for name, wish in (
        ("context_length", context_length),
        ("n_batch", n_batch),
        ("n_threads", n_threads),
        ("n_threads_batch", n_threads_batch),
    ):
        if wish is not None and not 1 <= wish <= _MAX_CONTEXT:
            raise ValueError(f"{name} is {wish}, but must be from 1 to {_MAX_CONTEXT:,}.")
    header = _Header(metadata)
    native = header.count("context_length", at_least=1)
    length = native if context_length is None else context_length
    trained_base = _trained_rope_base(header)
    physical, logical = cores or (physical_cores(), usable_cores())
    return LoadPlan(
        context_length=length,
        native_context_length=native,
        rope_freq_base=_extended_base(header, trained_base, native, length) if length > native else 0.0,
        rope_freq_base_train=trained_base,
        context_scale=length / native,
        n_batch=min(n_batch or _DEFAULT_N_BATCH, length),
        n_threads=n_threads or default_threads(physical, logical),
        n_threads_batch=n_threads_batch or n_threads or logical,
    )


def draft_context_length(metadata: Mapping[str, object], context_length: int) -> int:
    """Return the context length for a draft model: that of the model, or its own native one if shorter.

    Raises:
        ModelLoadError: The header of the draft model, `metadata`, does not tell its native length.
    """
    return min(context_length, _Header(metadata).count("context_length", at_least=1))


def extended_rope_base(base: float, dimensions: int, scale: float) -> float:
    """Return the RoPE base θ′ = θ · s^(d / (d − 2)) for a context `scale` times the native one.

    The slowest rotation is slowed by s and the fastest stays as it was, so that neighbouring tokens are told
    apart as before ("NTK-aware"). Sources: bloc97, "NTK-Aware Scaled RoPE", r/LocalLLaMA, 2023; Peng et al.,
    "YaRN", https://arxiv.org/abs/2309.00071.
    """
    return float(base * scale ** (dimensions / (dimensions - 2)))


def kv_cache_bytes(
    metadata: Mapping[str, object],
    context_length: int,
    *,
    bytes_per_k: float = 2.0,
    bytes_per_v: float = 2.0,
) -> int:
    """Return the size of a model's KV cache in bytes, for `context_length` tokens.

    Every layer keeps head_count_kv keys and values a token; layers without attention keep none. It is the
    upper bound where a layer keeps less: a sliding window, or a compressed cache (MLA). `bytes_per_k` and
    `bytes_per_v` are the bytes of one element: 2 in F16, 34 / 32 in Q8_0.

    Raises:
        ModelLoadError: The header lacks a figure that is needed; the message names it.
    """
    return math.ceil(context_length * _cache_bytes_per_token(_Header(metadata), bytes_per_k, bytes_per_v))


def computing_bytes(
    metadata: Mapping[str, object],
    context_length: int,
    *,
    n_batch: int = _DEFAULT_N_BATCH,
    flash_attn: bool = False,
) -> int:
    """Return about how much memory llama.cpp computes in, in bytes, beside weights and KV cache.

    That is the larger of two: the logits of a batch, or its attention to the whole context, which Flash
    Attention takes in pieces; both in F32. Where the header does not tell how large the vocabulary is, a
    large one is assumed.

    Raises:
        ModelLoadError: The header lacks a figure that is needed; the message names it.
    """
    header = _Header(metadata)
    n_heads = max(header.per_layer("attention.head_count", _n_layers(header)), default=0)
    n_embd = header.count("embedding_length")
    tokens = metadata.get("tokenizer.ggml.tokens")
    n_known = len(tokens) if isinstance(tokens, Sized) and not isinstance(tokens, str) else 0
    n_vocab = header.count("vocab_size", 0) or n_known or _LARGE_VOCABULARY
    attention = context_length * (1 if flash_attn else n_heads + 1)  # the last one is the mask
    return 4 * min(n_batch, context_length) * (max(n_vocab, attention) + 4 * n_embd)


def fitting_context_length(
    metadata: Mapping[str, object],
    free_memory: int,
    share: float = 0.25,
    *,
    bytes_per_k: float = 2.0,
    bytes_per_v: float = 2.0,
) -> int:
    """Return the native context length, or less where its KV cache would not fit the memory.

    The cache may take `share` of `free_memory` (bytes). What fits is rounded down to a multiple of 1,024
    tokens and is at least 1,024, or the native length where that is shorter.

    Raises:
        ModelLoadError: The header lacks a figure that is needed; the message names it.
    """
    header = _Header(metadata)
    native = header.count("context_length", at_least=1)
    per_token = _cache_bytes_per_token(header, bytes_per_k, bytes_per_v)
    budget = free_memory * share
    if native * per_token <= budget:
        return native
    return min(native, max(1024, int(budget // per_token) // 1024 * 1024))


def default_threads(physical: int | None, logical: int | None) -> int:
    """Return how many threads generate fastest on so many cores; None stands for an unknown count.

    Generating is bound by memory, so that a core's second hyper-thread adds little beyond two threads; two
    of one core still gave 144 tokens/s where one gave 127. Unknown counts are taken as llama.cpp takes them:
    half of more than four logical cores, four where nothing is known.
    """
    if logical is None:
        return physical or 4
    if physical is None:
        return logical if logical <= 4 else logical // 2
    return min(max(physical, 2), logical)


class _Header:
    """The figures of a model's metadata; every failure is a ModelLoadError that names the key."""

    def __init__(self, metadata: Mapping[str, object]) -> None:
        self._metadata = metadata
        architecture = metadata.get("general.architecture")
        if not isinstance(architecture, str) or not architecture:
            raise _missing("general.architecture")
        self._architecture = architecture

    def key(self, name: str) -> str:
        """Return a key for an error's text: the architecture is what a stranger's file says it is."""
        return f"{one_line(self._architecture[:100])}.{name}"

    def _value(self, name: str) -> object:
        return self._metadata.get(f"{self._architecture}.{name}")

    def count(self, name: str, default: int | None = None, *, at_least: int = 0) -> int:
        """Return a whole number, or `default` where the key is absent."""
        value = self._value(name)
        if value is None:
            if default is None:
                raise _missing(self.key(name))
            return default
        return self._whole(name, value, at_least)

    def number(self, name: str) -> float | None:
        """Return a number above 0, or None where the key is absent."""
        value = self._value(name)
        if value is None:
            return None
        try:
            number = float(value) if isinstance(value, int | float | str) else math.nan
        except (ValueError, OverflowError):
            number = math.nan
        if not 0 < number < _MAX_FLOAT32:
            raise ModelLoadError(
                f"The model's {self.key(name)} is no number above 0; download the model again."
            )
        return number

    def per_layer(self, name: str, n_layers: int, default: list[int] | None = None) -> list[int]:
        """Return one whole number a layer, where the header gives one for all or an array."""
        value = self._value(name)
        if value is None and default is not None:
            return default
        if isinstance(value, str) or not isinstance(value, Iterable):
            return [self.count(name)] * n_layers
        numbers = [self._whole(name, item) for item, _ in zip(value, range(n_layers + 1), strict=False)]
        if len(numbers) != n_layers:
            raise ModelLoadError(
                f"The model's {self.key(name)} does not tell of {n_layers} layers; download the model again."
            )
        return numbers

    def _whole(self, name: str, value: object, at_least: int = 0) -> int:
        try:
            number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else -1
        except ValueError:
            number = -1
        if not at_least <= number <= _MAX_CONTEXT:
            raise ModelLoadError(
                f"The model's {self.key(name)} is no whole number from {at_least}; download the model again."
            )
        return number


def _missing(key: str) -> ModelLoadError:
    return ModelLoadError(f"The model's header has no {key}; download the model again, or choose another.")


def _trained_rope_base(header: _Header) -> float | None:
    base = header.number("rope.freq_base")
    # llama.cpp's default is taken only where the model is known to rotate: not all models have RoPE.
    if base is None and header.count("rope.dimension_count", 0):
        return _DEFAULT_ROPE_BASE
    return base


def _extended_base(header: _Header, base: float | None, native: int, length: int) -> float:
    advice = f"load it with a context_length of at most {native:,}"
    if base is None:
        raise ModelLoadError(
            f"The model cannot be extended to {length:,} tokens, as its header has neither "
            f"{header.key('rope.freq_base')} nor {header.key('rope.dimension_count')}; {advice}."
        )
    dimensions = header.count("rope.dimension_count", 0) or _head_size(header, "key_length")
    if dimensions <= 2:
        raise ModelLoadError(
            f"The model cannot be extended to {length:,} tokens, as its header has neither a "
            f"{header.key('rope.dimension_count')} above 2 nor the size of a head; {advice}."
        )
    extended = extended_rope_base(base, dimensions, length / native)
    if not extended < _MAX_FLOAT32:
        raise ModelLoadError(f"The model cannot be extended to {length:,} tokens, that is too far; {advice}.")
    return extended


def _head_size(header: _Header, name: str) -> int:
    """Return the elements of one head's key or value; 0 where the model has no heads."""
    if size := header.count(f"attention.{name}", 0):
        return size
    heads = header.per_layer("attention.head_count", _n_layers(header))
    n_heads = next((count for count in heads if count), 0)
    return header.count("embedding_length") // n_heads if n_heads else 0


def _n_layers(header: _Header) -> int:
    n_layers = header.count("block_count", at_least=1)
    if n_layers > _MAX_LAYERS:
        raise ModelLoadError(
            f"The model's {header.key('block_count')} is {n_layers:,}; download the model again."
        )
    return n_layers


def _cache_bytes_per_token(header: _Header, bytes_per_k: float, bytes_per_v: float) -> float:
    n_layers = _n_layers(header)
    heads = header.per_layer("attention.head_count", n_layers)
    kv_heads = header.per_layer("attention.head_count_kv", n_layers, default=heads)
    # In a hybrid model only every so many layers one has attention; the last layers may share a cache.
    interval = header.count("full_attention_interval", 1, at_least=1)
    n_caching = n_layers - header.count("attention.shared_kv_layers", 0)
    cached = sum(
        count for layer, count in enumerate(kv_heads) if layer < n_caching and (layer + 1) % interval == 0
    )
    sizes = _head_size(header, "key_length") * bytes_per_k + _head_size(header, "value_length") * bytes_per_v
    return cached * sizes

"""llama.cpp's native sampler chain for given settings."""

import ctypes
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llama_cpp import llama_cpp as lib
from llama_cpp.llama_grammar import json_schema_to_gbnf

from easy_llama import llama_log
from easy_llama.logits import MOST_SOUGHT
from easy_llama.samplers import MAX_SEED, SamplerSettings

_MIROSTAT_M = 100
"""From how many tokens Mirostat 1 estimates the distribution's slope: llama.cpp's own number."""

_BARELY_POSSIBLE = 1e-30
"""A share of the likeliest token's probability below which a token is never drawn."""


def draw_seed() -> int:
    """Return a fresh random seed for `SamplerSettings.seed`."""
    return random.SystemRandom().randrange(MAX_SEED + 1)


@contextmanager
def sampler_chain(
    settings: SamplerSettings,
    *,
    vocab: Any,
    seed: int,
    context: Sequence[int],
    context_length: int,
    said: Sequence[int] = (),
    draws: bool = True,
) -> Iterator[Any]:
    """Build the chain that chooses tokens as `settings` say, and free it at the end.

    The order is that of `common_sampler_init` in llama.cpp's `common/sampling.cpp`: grammar, logit bias,
    penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p, XTC, temperature, then the draw.

    Args:
        settings: how tokens are chosen.
        vocab: llama.cpp's vocabulary of the model.
        seed: the start of the random numbers.
        context: the prompt, whose tokens penalties and DRY count as already said.
        context_length: how many tokens the context holds: what -1 stands for in the settings.
        said: the tokens of the reply that came after the prompt, which a grammar counts too.
        draws: end with the sampler that draws; else only change the distribution (but Mirostat, which
            draws as it does so).

    Raises:
        ValueError: `grammar` or `json_schema` is none that llama.cpp can follow, or `logit_bias` has an id
            outside the vocabulary.
    """
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    try:
        if settings.has_grammar:
            lib.llama_sampler_chain_add(chain, _having_seen(_grammar(settings, vocab), said))
        for sampler in _samplers(settings, vocab, seed, [*context, *said], context_length):
            lib.llama_sampler_chain_add(chain, sampler)
        if draws and settings.is_greedy and not settings.mirostat:
            lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_greedy())
        elif draws and not settings.mirostat:
            lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_dist(seed))
        yield chain
    finally:
        lib.llama_sampler_free(chain)


def _samplers(
    settings: SamplerSettings, vocab: Any, seed: int, context: Sequence[int], context_length: int
) -> Iterator[Any]:
    """Yield what changes the distribution, after the grammar."""
    n_vocab = lib.llama_vocab_n_tokens(vocab)
    if settings.logit_bias:
        yield _logit_bias(settings, n_vocab)
    if settings.mirostat:
        yield from _mirostat(settings, n_vocab, seed)
        return
    if settings.has_penalties:
        yield _penalties(settings, n_vocab, context, context_length)
    if settings.dry_multiplier and settings.dry_penalty_last_n:
        yield _dry(settings, vocab, context, context_length)
    if not settings.is_greedy or _may_drop_the_likeliest(settings):
        yield from _filters(settings, seed)
    if not settings.is_greedy and settings.temp is not None and settings.temp != 1.0:
        yield lib.llama_sampler_init_temp(settings.temp)


def drawable_count(settings: SamplerSettings, n_vocab: int, context_length: int) -> int | None:
    """Return of how many of the likeliest tokens the drawn one is always one; None where they are many.

    Top-k takes so many that are the likeliest by then, and a greedy draw one. What comes before that may
    have lowered as many others as it looks back at.

    Args:
        settings: how tokens are chosen.
        n_vocab: how many tokens there are.
        context_length: how many tokens the context holds: what -1 stands for in the settings.
    """
    count = 1 if settings.is_greedy and not _may_drop_the_likeliest(settings) else settings.top_k or 0
    adds = (settings.frequency_penalty or 0.0, settings.presence_penalty or 0.0)
    bias = settings.logit_bias or {}
    raises = (
        (settings.repeat_penalty or 1.0) < 1.0 or min(adds) < 0.0 or max(bias.values(), default=0.0) > 0.0
    )
    has_sigma = count != 1 and (settings.top_n_sigma or 0.0) > 0.0
    if count <= 0 or raises or has_sigma or settings.mirostat or settings.has_grammar:
        return None
    count += len(bias)
    if settings.has_penalties:
        count += _last_n(settings.penalty_last_n or 0, context_length)
    if settings.dry_multiplier:
        count += _last_n(settings.dry_penalty_last_n, context_length)
    return count if count <= n_vocab * MOST_SOUGHT else None


def _may_drop_the_likeliest(settings: SamplerSettings) -> bool:
    return bool(settings.xtc_probability) or (settings.typical_p is not None and settings.typical_p < 1.0)


def _filters(settings: SamplerSettings, seed: int) -> Iterator[Any]:
    if settings.top_n_sigma is not None and settings.top_n_sigma > 0.0:
        yield lib.llama_sampler_init_top_n_sigma(settings.top_n_sigma)
    if settings.top_k is not None and settings.top_k > 0:
        yield lib.llama_sampler_init_top_k(settings.top_k)
    if settings.typical_p is not None and settings.typical_p < 1.0:
        # A probability of 0 makes llama.cpp's entropy not a number, and its choice arbitrary.
        yield lib.llama_sampler_init_min_p(_BARELY_POSSIBLE, 1)
        yield lib.llama_sampler_init_typical(settings.typical_p, 1)
    if settings.top_p is not None and settings.top_p < 1.0:
        yield lib.llama_sampler_init_top_p(settings.top_p, 1)
    if settings.min_p:
        yield lib.llama_sampler_init_min_p(settings.min_p, 1)
    if settings.xtc_probability:
        yield lib.llama_sampler_init_xtc(settings.xtc_probability, settings.xtc_threshold, 1, seed)


def _mirostat(settings: SamplerSettings, n_vocab: int, seed: int) -> Iterator[Any]:
    if settings.temp is not None:
        yield lib.llama_sampler_init_temp(settings.temp)
    tau, eta = settings.mirostat_tau, settings.mirostat_eta
    if settings.mirostat == 1:
        yield lib.llama_sampler_init_mirostat(n_vocab, seed, tau, eta, _MIROSTAT_M)
    else:
        yield lib.llama_sampler_init_mirostat_v2(seed, tau, eta)


def _penalties(settings: SamplerSettings, n_vocab: int, context: Sequence[int], context_length: int) -> Any:
    last_n = _last_n(settings.penalty_last_n or 0, context_length)
    sampler = lib.llama_sampler_init_penalties(
        n_vocab,
        last_n,
        settings.repeat_penalty or 1.0,
        settings.frequency_penalty or 0.0,
        settings.presence_penalty or 0.0,
    )
    return _having_seen(sampler, context[-last_n:])


def _dry(settings: SamplerSettings, vocab: Any, context: Sequence[int], context_length: int) -> Any:
    last_n = _last_n(settings.dry_penalty_last_n, context_length)
    breakers = [breaker.encode("utf-8", errors="replace") for breaker in settings.dry_sequence_breakers]
    sampler = lib.llama_sampler_init_dry(
        vocab,
        settings.dry_multiplier or 0.0,
        settings.dry_base,
        settings.dry_allowed_length,
        last_n,
        (ctypes.c_char_p * len(breakers))(*breakers),
        len(breakers),
    )
    return _having_seen(sampler, context[-last_n:])


def _last_n(wanted: int, context_length: int) -> int:
    """Return how many tokens to look back at: llama.cpp takes -1 for none, and reserves what it is told."""
    return context_length if wanted < 0 else min(wanted, context_length)


def _having_seen(sampler: Any, tokens: Sequence[int]) -> Any:
    """Tell one sampler what was said: the whole chain's grammar must not see the prompt."""
    for token in tokens:
        lib.llama_sampler_accept(sampler, token)
    return sampler


def _logit_bias(settings: SamplerSettings, n_vocab: int) -> Any:
    pairs = list((settings.logit_bias or {}).items())
    outside = next((token for token, _ in pairs if token >= n_vocab), None)
    if outside is not None:
        raise ValueError(f"logit_bias: token id {outside} is not between 0 and {n_vocab - 1}")
    biases = (lib.llama_logit_bias * len(pairs))(*pairs)
    return lib.llama_sampler_init_logit_bias(n_vocab, len(pairs), biases)


def follows_grammar(settings: SamplerSettings, vocab: Any, tokens: Sequence[int]) -> bool:
    """Return whether a reply may begin with these tokens under the grammar of `settings`, if it has one.

    llama.cpp ends the whole process when a grammar is told of a token that it forbids.

    Args:
        settings: whose `grammar` or `json_schema` to follow.
        vocab: llama.cpp's vocabulary of the model.
        tokens: ids of the reply, from its start on.

    Raises:
        ValueError: `grammar` or `json_schema` is none that llama.cpp can follow.
    """
    if not settings.has_grammar:
        return True
    grammar = _grammar(settings, vocab)
    try:
        return all(_takes(grammar, token) for token in tokens)
    finally:
        lib.llama_sampler_free(grammar)


def _takes(grammar: Any, token: int) -> bool:
    """Tell a grammar of the next token if it may come there; return whether it may."""
    data = lib.llama_token_data(id=token, logit=0.0, p=0.0)
    array = lib.llama_token_data_array(data=ctypes.pointer(data), size=1, selected=-1, sorted=False)
    lib.llama_sampler_apply(grammar, ctypes.byref(array))
    if data.logit == -math.inf:
        return False
    lib.llama_sampler_accept(grammar, token)
    return True


def _grammar(settings: SamplerSettings, vocab: Any) -> Any:
    field = "grammar" if settings.json_schema is None else "json_schema"
    text = settings.grammar or _schema_grammar(settings.json_schema)
    with llama_log.collected_errors() as logged, _collected_c_stderr() as printed:
        sampler = lib.llama_sampler_init_grammar(vocab, text.encode("utf-8", errors="replace"), b"root")
    if not sampler:
        errors = printed or logged
        reason = f" ({errors[0].removeprefix('parse: ').strip()})" if errors else ""
        raise ValueError(
            f"{field}: llama.cpp cannot follow this grammar{reason}; "
            f"check that every rule is defined, that one is called root, and that none begins with itself"
        )
    return sampler


def _schema_grammar(schema: Any) -> str:
    try:
        return str(json_schema_to_gbnf(schema))
    except Exception as error:  # the converter raises what its parts happen to raise
        raise ValueError(
            f"json_schema: no grammar can be made of this schema ({type(error).__name__}: {error}); "
            f"use types, properties, items, enum and references within the schema"
        ) from error


@contextmanager
def _collected_c_stderr() -> Iterator[list[str]]:
    """Collect the lines that C code prints on its standard error meanwhile.

    llama.cpp prints what is wrong with a grammar past its log. Only C's own variable is changed: the file
    descriptor stays, and with it what Python, or a full-screen program, writes there.
    """
    lines: list[str] = []
    libc = None if hasattr(ctypes, "WinDLL") else ctypes.CDLL(None)
    stderr = None if libc is None else _c_stderr(libc)
    if libc is None or stderr is None:
        yield lines
        return
    text, size, before = ctypes.c_void_p(), ctypes.c_size_t(), stderr.value
    libc.open_memstream.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.open_memstream(ctypes.byref(text), ctypes.byref(size)))
    stderr.value = stream.value or before
    try:
        yield lines
    finally:
        stderr.value = before
        if stream:
            libc.fclose(stream)
            printed = ctypes.string_at(text, size.value) if text else b""
            lines.extend(printed.decode("utf-8", errors="replace").splitlines())
            libc.free(text)


def _c_stderr(libc: ctypes.CDLL) -> ctypes.c_void_p | None:
    for name in ("stderr", "__stderrp"):  # the second is macOS's
        try:
            return ctypes.c_void_p.in_dll(libc, name)
        except ValueError:
            continue
    return None

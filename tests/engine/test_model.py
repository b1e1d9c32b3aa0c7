"""The documented library on the real model."""

import gc
import io
import logging
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_cpp import llama_cpp as lib

import easy_llama as ez
from easy_llama.cache_types import CACHE_TYPES, bytes_of
from easy_llama.loading import kv_cache_bytes
from easy_llama.model import Model
from easy_llama.samplers import GreedyDecoding

SHORT = GreedyDecoding.replace(max_len_tokens=5)
TEXT = "The dog says woof, but the cat says"


def test_the_attributes_are_what_was_loaded(model: Model) -> None:
    assert model.context_length == model.n_ctx == 2048
    assert model.n_ctx_train == 8192
    assert model.ctx_scale == 0.25
    assert (model.n_vocab, len(model.vocab), model.n_layer, model.n_gqa) == (49152, 49152, 30, 3)
    assert (model.bos_token, model.eos_token) == (1, 2)
    assert (model.bos_text, model.eos_text) == ("<|im_start|>", "<|im_end|>")
    assert (model.type_k, model.type_v) == (1, 1)
    assert model.rope_freq_base == model.rope_freq_base_train == 100_000
    assert model.prefix_token is model.cls_token is None
    assert model.metadata["general.architecture"] == "llama"
    assert "<|im_start|>" in model.control_tokens and "Hello" not in model.control_tokens
    assert type(model.llama).__mro__[1].__name__ == "Llama"


def test_lengths_count_tokens(model: Model) -> None:
    assert model.get_length(TEXT) == len(model.llama.tokenize(TEXT.encode(), add_bos=True, special=True))


def test_stream_print_prints_what_it_returns(model: Model) -> None:
    file = io.StringIO()
    text = model.stream_print(TEXT, sampler=GreedyDecoding.replace(max_len_tokens=12), end="<end>", file=file)
    assert file.getvalue() == text + "<end>"
    assert text == model.generate(TEXT, sampler=GreedyDecoding.replace(max_len_tokens=12))


def test_ingested_text_is_not_read_again(model: Model) -> None:
    model.ingest(TEXT)
    *_, last = model.events(TEXT, sampler=GreedyDecoding.replace(max_len_tokens=1))
    assert isinstance(last, ez.model.Finished)
    assert last.reused_tokens == last.prompt_tokens


def test_an_unloaded_model_says_so(model_path: Path) -> None:
    model = Model(str(model_path), context_length=256)
    model.unload()
    model.unload()
    uses = (
        lambda: model("x"),
        lambda: next(model.stream("x")),
        lambda: model.tokenize("x"),
        lambda: model.detokenize([5]),
        lambda: model.candidates("x", 1),
        lambda: model.ingest("x"),
        lambda: model.vocab,
        lambda: model.llama,
    )
    for use in uses:
        with pytest.raises(ez.ModelUnloadedException, match="unloaded; load it again"):
            use()
    assert ez.model.ModelUnloadedException is ez.ModelUnloadedException


def test_a_model_is_unloaded_at_the_end_of_its_block(model_path: Path) -> None:
    with ez.Model(str(model_path), context_length=256) as model:
        assert model.is_loaded
        assert model("The sky is", sampler=SHORT) == model.generate("The sky is", sampler=SHORT)
    assert not model.is_loaded


def test_a_model_is_loaded_again_with_changes(model_path: Path) -> None:
    with ez.Model(str(model_path), context_length=256) as model:
        text = model.generate(TEXT, sampler=SHORT)
        model.unload()
        model.load()
        model.load()
        assert model.generate(TEXT, sampler=SHORT) == text
        model.reload(context_length=512, flash_attn=True)
        assert (model.context_length, model.flash_attn) == (512, True)
        assert model.generate(TEXT, sampler=SHORT) == text
        with pytest.raises(TypeError, match="n_ctx"):
            model.reload(n_ctx=5)
        assert model.is_loaded
        with pytest.raises(ValueError, match="context_length is 0"):
            model.reload(context_length=0)
        assert not model.is_loaded
        model.load()
        assert model.context_length == 512


@pytest.mark.parametrize("cache_type", CACHE_TYPES)
def test_the_cache_is_kept_in_the_type_that_is_asked_for(model_path: Path, cache_type: str) -> None:
    types = {"cache_type_k": cache_type, "cache_type_v": cache_type}
    with ez.Model(str(model_path), context_length=256, flash_attn=True, n_batch=64, **types) as model:
        params, context = model.llama.context_params, model.llama.ctx
        assert model.type_k == model.type_v == getattr(lib, f"GGML_TYPE_{cache_type.upper()}")
        assert (params.n_batch, params.n_ubatch) == (64, 64)
        model.generate(TEXT, sampler=SHORT)
        # The size that is told of is the one that it takes.
        sizes = {"bytes_per_k": bytes_of(cache_type), "bytes_per_v": bytes_of(cache_type)}
        told = kv_cache_bytes(model.metadata, len(model.engine.cached_tokens), **sizes)
        assert told <= lib.llama_state_seq_get_size(context, 0) <= told * 1.02 + 2000
        # Each of them can be slid; with another one llama.cpp ends the process.
        memory = lib.llama_get_memory(context)
        assert lib.llama_memory_can_shift(memory)
        lib.llama_memory_seq_rm(memory, 0, 1, 2)
        lib.llama_memory_seq_add(memory, 0, 2, -1, -1)
        one = (lib.llama_token * 1)(5)
        assert lib.llama_decode(context, lib.llama_batch_get_one(one, 1)) == 0


def test_cache_types_that_cannot_be_are_refused_before_loading(tmp_path: Path) -> None:
    missing = tmp_path / "missing.gguf"
    with pytest.raises(ValueError, match=r"cache_type_v is 'q8_0', and .* with Flash Attention only"):
        ez.Model(missing, cache_type_v="q8_0")
    with pytest.raises(ValueError, match="cache_type_k is 'bf16', which is not known; there are f32, f16"):
        ez.Model(missing, cache_type_k="bf16")


def test_its_representation_rebuilds_it(model_path: Path) -> None:
    model = ez.Model(str(model_path), context_length=300, n_threads=1)
    other = eval(repr(model), {"Model": ez.Model})
    assert repr(other) == repr(model)
    assert other.context_length == model.context_length
    assert other.llama.n_threads == 1
    model.unload()
    other.unload()


def test_unloading_ends_the_stream_of_this_thread(model_path: Path) -> None:
    model = ez.Model(str(model_path), context_length=256)
    stream = model.stream(TEXT)
    next(stream)
    model.unload()
    with pytest.raises(ez.ModelUnloadedException):
        next(stream)
    model.load()
    assert model.generate(TEXT, sampler=SHORT)
    model.unload()


def test_a_stream_keeps_its_model_loaded(model_path: Path) -> None:
    events = ez.Model(str(model_path), context_length=256).events(TEXT, sampler=SHORT)
    gc.collect()
    assert len(list(events)) > 1


# The demo model's vocabulary cannot spell all bytes, such as those of most control characters.
@given(
    text=st.text(st.characters(exclude_categories=["C"], include_characters="\n\t", max_codepoint=0xFFFF))
    | st.sampled_from(["<|im_end|>", "<|im_start|>user\nHi", " a", "\n\n", "\U0001f600"])
)
def test_tokens_are_turned_back_into_their_text(model: Model, text: str) -> None:
    tokens = model.tokenize(text)
    before = tokens.copy()
    assert model.detokenize(tokens) == text
    assert tokens == before
    assert len(tokens) == model.get_length(text)


def test_control_tokens_are_written_or_left_out(model: Model) -> None:
    text = "Hi<|im_end|>\n"
    assert model.detokenize(model.tokenize(text), special=False) == "Hi\n"
    assert len(model.tokenize(text, parse_special=False)) > len(model.tokenize(text))
    with pytest.raises(ValueError, match="token id 49152"):
        model.detokenize([1, 49152])


def test_loading_can_be_watched_and_stopped(model_path: Path) -> None:
    seen: list[float] = []
    Model(str(model_path), context_length=256, on_progress=lambda share: seen.append(share) is None).unload()
    assert seen == sorted(seen) and seen[-1] == 1.0
    with pytest.raises(ez.ModelLoadError, match=f"{model_path.name}: loading was stopped"):
        Model(str(model_path), context_length=256, on_progress=lambda share: False)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_is_raised_while_loading_is_watched_ends_it_and_is_not_lost(
    model_path: Path, capfd: pytest.CaptureFixture[str], error: type[BaseException]
) -> None:
    def on_progress(share: float) -> bool:
        raise error("watched")

    with pytest.raises(error, match="watched"):
        Model(str(model_path), context_length=256, on_progress=on_progress)
    assert capfd.readouterr() == ("", "")


def test_a_model_whose_loading_was_stopped_can_be_loaded_after_all(model_path: Path) -> None:
    goes_on = [True]
    model = Model(str(model_path), context_length=256, on_progress=lambda share: goes_on[0])
    goes_on[0] = False
    with pytest.raises(ez.ModelLoadError, match="was stopped"):
        model.reload(context_length=512)
    with pytest.raises(ez.ModelUnloadedException):
        model.generate("Hello")
    goes_on[0] = True
    model.load()
    assert model.context_length == 256
    model.unload()


def test_loading_prints_nothing_and_logs_all(
    model_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "easy_llama"):
        model = Model(str(model_path), context_length=256)
        model.generate("Hello", sampler=GreedyDecoding.replace(max_len_tokens=2))
        model.unload()
        gc.collect()
    assert capfd.readouterr() == ("", "")
    assert "general.architecture" in caplog.text
    assert "llama_context" in caplog.text


def test_verbose_shows_the_log_on_standard_error(
    model_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Model(str(model_path), context_length=256, verbose=True).unload()
    assert "general.architecture" in capsys.readouterr().err
    Model(str(model_path), context_length=256).unload()
    assert capsys.readouterr().err == ""


def test_a_far_larger_context_is_warned_of(model_path: Path) -> None:
    with pytest.warns(ez.ContextScalingWarning, match=r"trained for 8,192 .* 2 times that") as caught:
        ez.Model(str(model_path), context_length=16384).unload()
    assert caught[0].filename == __file__


def test_a_larger_context_raises_the_rope_base(model_path: Path) -> None:
    model = Model(str(model_path), context_length=9000)
    try:
        assert model.context_length >= 9000
        assert model.rope_freq_base > model.rope_freq_base_train
    finally:
        model.unload()


@pytest.mark.parametrize("name", ez.__all__)
def test_everything_that_is_exported_is_there(name: str) -> None:
    assert getattr(ez, name) is not None
    assert name in dir(ez)


def test_all_is_sorted() -> None:
    assert ez.__all__ == sorted(ez.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = ez.nonsense
    assert sys.modules["easy_llama"].__version__


def test_whoever_closes_the_llama_has_unloaded_the_model(model_path: Path) -> None:
    model = Model(model_path, context_length=256)
    model.llama.close()
    with pytest.raises(ez.ModelUnloadedException):
        list(model.events((1, 2, 3)))
    model.unload()

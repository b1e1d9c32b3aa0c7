"""What the app makes of a model."""

from pathlib import Path

import pytest

from easy_llama.errors import GGUFError, ModelUnloadedException
from easy_llama.events import CancelFlag, Finished, Token
from easy_llama.prompt import Turn
from easy_llama.samplers import GreedyDecoding
from easy_llama_tui import local_engine
from easy_llama_tui.engine import LoadOptions, ReplyRequest
from easy_llama_tui.free_memory import free_memory
from easy_llama_tui.local_engine import LocalEngine

REQUEST = ReplyRequest((Turn("user", "Say hello."),), "template", GreedyDecoding.replace(max_len_tokens=8))


def load(path: Path, **options: object) -> tuple[LocalEngine, object]:
    engine = LocalEngine(LoadOptions(path, **options))  # type: ignore[arg-type]
    return engine, engine.load(lambda share: True)


def test_it_loads_all_of_the_context_where_memory_allows(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_engine, "free_memory", lambda: 10**12)
    engine, loaded = load(model_path)
    assert (loaded.context_length, loaded.format_label, loaded.notices) == (8192, "chat template", ())  # type: ignore[attr-defined]
    engine.close()


def test_it_loads_what_a_quarter_of_the_free_memory_holds_and_says_so(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 23,040 bytes of KV cache a token: 30 layers, 3 heads of 64, keys and values, 2 bytes each.
    monkeypatch.setattr(local_engine, "free_memory", lambda: 4 * 23_040 * 3_500)
    engine, loaded = load(model_path)
    assert loaded.context_length == 3072  # type: ignore[attr-defined]
    assert "3,072 tokens" in loaded.notices[0] and "--context-length 8192" in loaded.notices[0]  # type: ignore[attr-defined]
    engine.close()


def test_a_wished_context_length_is_not_argued_with(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_engine, "free_memory", lambda: 1024)
    engine, loaded = load(model_path, context_length=512)
    assert (loaded.context_length, loaded.notices) == (512, ())  # type: ignore[attr-defined]
    engine.close()


def test_wished_gpu_layers_without_a_gpu_are_spoken_of(model_path: Path) -> None:
    engine, loaded = load(model_path, context_length=256, n_gpu_layers=5)
    from easy_llama.model import supports_gpu_offload

    assert any("no GPU support" in notice for notice in loaded.notices) != supports_gpu_offload()  # type: ignore[attr-defined]
    engine.close()


def test_it_replies_in_the_models_format_and_in_another(model_path: Path) -> None:
    engine, _ = load(model_path, context_length=512)
    for name in ("template", "alpaca"):
        request = ReplyRequest(REQUEST.turns, name, REQUEST.sampler)
        *tokens, last = [
            event for event in engine.reply(request, CancelFlag()) if isinstance(event, Token | Finished)
        ]
        assert "".join(event.text for event in tokens)
        assert isinstance(last, Finished)
    engine.close()
    with pytest.raises(ModelUnloadedException):
        engine.reply(REQUEST, CancelFlag())


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"nonsense, and not a little")
    with pytest.raises(GGUFError, match=r"x\.gguf"):
        load(tmp_path / "x.gguf")


def test_the_free_memory_is_known_here() -> None:
    memory = free_memory()
    assert memory is not None and memory > 2**20

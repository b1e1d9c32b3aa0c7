"""What is chosen where a GPU has memory of its own, and what ggml tells of GPUs."""

import sys
from pathlib import Path
from typing import Any

import pytest

from easy_llama import gpus
from easy_llama_tui.replies import loading_choice
from easy_llama_tui.replies.engine import LoadOptions, MemoryDoubtError
from easy_llama_tui.replies.loading_choice import check_files, choose_loading

CACHE_BYTES_A_TOKEN = 30 * 2 * 3 * 64 * 2
GB = 10**9
LAYERS = 30

Free = dict[str, int | None]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Free:
    """What is free on a machine with a GPU."""
    memory: Free = {"gpu": 10 * GB, "machine": 100 * GB}
    monkeypatch.setattr("easy_llama.native_model.supports_gpu_offload", lambda: True)
    monkeypatch.setattr(gpus, "free_gpu_memory", lambda machine: memory["gpu"])
    monkeypatch.setattr(loading_choice, "free_memory", lambda: memory["machine"])
    return memory


def choose(path: Path, **wishes: object) -> loading_choice.LoadingChoice:
    options = LoadOptions(path, **wishes)
    return choose_loading(options, check_files(options))


def test_a_context_fits_the_memory_of_the_gpu(model_path: Path, free: Free) -> None:
    assert choose(model_path).notices == ("All layers are on the GPU; --n-gpu-layers 0 keeps them off it.",)
    # Context is given a quarter, whatever the machine itself has.
    free["gpu"] = 4 * CACHE_BYTES_A_TOKEN * 6_500
    choice = choose(model_path)
    assert (choice.n_gpu_layers, choice.context_length) == (-1, 6144)
    assert "to leave memory of the GPU free; --context-length 8192" in choice.notices[1]


@pytest.mark.parametrize("n_gpu_layers", [None, -1, LAYERS + 1])
def test_what_may_not_fit_a_gpu_is_doubted(model_path: Path, free: Free, n_gpu_layers: int | None) -> None:
    free["gpu"] = 350_000_000
    with pytest.raises(MemoryDoubtError) as doubted:
        choose(model_path, context_length=8192, n_gpu_layers=n_gpu_layers)
    doubt = doubted.value.doubt
    assert doubt.is_on_gpu and doubt.free_bytes == free["gpu"]
    assert doubt.shorter_context is not None and 1024 <= doubt.shorter_context < 8192
    assert choose(model_path, context_length=doubt.shorter_context).context_length == doubt.shorter_context
    assert choose(model_path, context_length=8192, in_spite_of_memory=True).context_length == 8192


@pytest.mark.parametrize(
    ("wishes", "on_gpu"),
    [({"n_gpu_layers": LAYERS // 2}, 1024), ({"offload_kqv": False}, 1024), ({}, None)],
    ids=["some layers", "the cache elsewhere", "nobody tells"],
)
def test_nothing_is_doubted_where_nobody_knows_what_goes_where(
    model_path: Path, free: Free, wishes: dict[str, object], on_gpu: int | None
) -> None:
    free["gpu"] = on_gpu
    assert choose(model_path, context_length=8192, **wishes).context_length == 8192


def test_without_layers_on_it_a_gpu_does_not_count(model_path: Path, free: Free) -> None:
    free["gpu"] = 1024
    assert choose(model_path, n_gpu_layers=0).notices == ()
    free["machine"] = 350_000_000
    with pytest.raises(MemoryDoubtError) as doubted:
        choose(model_path, context_length=8192, n_gpu_layers=0)
    assert not doubted.value.doubt.is_on_gpu


def test_ggml_tells_its_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_INTEGRATED", 0)  # processors, of which there is one everywhere
    monkeypatch.setattr(gpus, "_DISCRETE", -1)
    (processor,) = gpus.gpus()
    assert processor.name and processor.free_bytes and processor.is_shared
    assert gpus.free_gpu_memory(1024) == 1024
    assert (gpus.free_gpu_memory(None) or 0) > 1024


def devices(monkeypatch: pytest.MonkeyPatch, *kinds_and_memory: tuple[int, int, int]) -> None:
    """Have ggml tell of these: each one's kind, what is free, and what it has."""

    def memory(number: int, free: Any, total: Any) -> None:
        free._obj.value, total._obj.value = kinds_and_memory[number][1:]

    told = {
        "count": lambda: len(kinds_and_memory),
        "get": lambda number: number,
        "type": lambda number: kinds_and_memory[number][0],
        "description": lambda number: f"device {number}".encode(),
        "memory": memory,
    }
    monkeypatch.setattr(gpus, "_function", lambda libraries, end, *types: told[end])
    monkeypatch.setattr(sys, "platform", "linux")


@pytest.mark.parametrize(
    ("kinds_and_memory", "names", "free"),
    [
        ([(0, 9, 9)], [], None),
        ([(0, 9, 9), (1, 5, 6), (1, 7, 8)], ["device 1", "device 2"], 12),
        # An integrated one is left out where there is another.
        ([(2, 30, 30), (1, 5, 6)], ["device 1"], 5),
        # Alone it shares the machine's memory, of which 20 are free.
        ([(0, 9, 9), (2, 30, 30)], ["device 1"], 20),
        # Drivers that tell nothing, or nonsense.
        ([(1, 5, 6), (1, 0, 0)], ["device 0", "device 1"], None),
        ([(1, 2**64 - 5, 6)], ["device 0"], None),
    ],
)
def test_memory_is_known_where_each_gpu_tells(
    monkeypatch: pytest.MonkeyPatch,
    kinds_and_memory: list[tuple[int, int, int]],
    names: list[str],
    free: int | None,
) -> None:
    devices(monkeypatch, *kinds_and_memory)
    assert [gpu.name for gpu in gpus.gpus()] == names
    assert gpus.free_gpu_memory(20) == free


def test_a_llama_cpp_python_without_these_names_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp._ggml", None)
    assert gpus.gpus() == () and gpus.free_gpu_memory(1024) is None

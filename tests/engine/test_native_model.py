"""How llama.cpp is asked to load a model."""

from contextlib import ExitStack

import pytest
from llama_cpp import llama_cpp as lib

from easy_llama import native_model


@pytest.mark.parametrize(
    ("system", "may_repack"), [(b"AMX_INT8 = 1 | REPACK = 1 | ", False), (b"AVX2 = 1", True)]
)
def test_amx_is_left_alone(monkeypatch: pytest.MonkeyPatch, system: bytes, may_repack: bool) -> None:
    monkeypatch.setattr(lib, "llama_print_system_info", lambda: system)
    llama = object.__new__(native_model._Llama)
    llama._stack = ExitStack()  # which it closes at its end
    llama._progress_callback = lib.llama_progress_callback()
    llama.model_params = lib.llama_model_default_params()
    assert llama.model_params.use_extra_bufts is may_repack

"""Loads a GGUF file into a `llama_cpp.Llama`, with errors that say what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp
from llama_cpp import llama_cpp as lib

from easy_llama import llama_log
from easy_llama.errors import ModelLoadError

__all__ = ["OnProgress", "load_llama", "supports_gpu_offload"]

OnProgress = Callable[[float], bool]
"""Is told the share of the model that is loaded, 0 to 1; returns whether to go on."""

llama_log.install()


def supports_gpu_offload() -> bool:
    """Return whether this build of llama.cpp can put layers on a GPU."""
    return bool(lib.llama_supports_gpu_offload())


def load_llama(path: Path, on_progress: OnProgress | None, **options: Any) -> llama_cpp.Llama:
    """Load a model that writes text.

    Args:
        path: the GGUF file.
        on_progress: watches the loading, and may end it.
        options: those of `llama_cpp.Llama`.

    Raises:
        ModelLoadError: llama.cpp cannot load the file, `on_progress` ended it, or it is another kind of
            model.
    """
    # llama-cpp-python prints on standard error itself where it is not verbose; see llama_log.
    with llama_log.collected_errors() as errors:
        try:
            llama = _Llama(str(path), on_progress=on_progress, verbose=True, no_perf=True, **options)
        except Exception as error:
            reason = errors[0].strip() if errors else str(error)
            raise ModelLoadError(
                f"{path}: llama.cpp cannot load this model ({reason}); try a newer llama-cpp-python, "
                f"a smaller context length, or another file"
            ) from error
    if not lib.llama_model_has_decoder(llama.model) or lib.llama_model_has_encoder(llama.model):
        llama.close()
        raise ModelLoadError(f"{path}: this is not a model that writes text; choose a chat or text model")
    return llama


class _Llama(llama_cpp.Llama):  # type: ignore[misc]
    """A `Llama` that tells how far it is loaded, which the class itself has no parameter for."""

    def __init__(self, model_path: str, *, on_progress: OnProgress | None, **options: Any) -> None:
        @lib.llama_progress_callback  # type: ignore[untyped-decorator]
        def callback(progress: float, user_data: object) -> bool:
            return on_progress is None or on_progress(progress)

        self._progress_callback = callback
        super().__init__(model_path, **options)

    @property
    def model_params(self) -> Any:
        return self._model_params

    @model_params.setter
    def model_params(self, params: Any) -> None:
        params.progress_callback = self._progress_callback
        if b"AMX_INT8 = 1" in lib.llama_print_system_info():
            # Its weights for Intel's AMX end the process at the first token with many compilers: the tiles'
            # layout is optimized away (github.com/ggml-org/llama.cpp/pull/26954). AVX-512 computes instead.
            params.use_extra_bufts = False
        self._model_params = params

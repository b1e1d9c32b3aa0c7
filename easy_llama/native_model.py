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
        on_progress: watches the loading, and may end it; what it raises ends it too, and is raised here.
        options: those of `llama_cpp.Llama`.

    Raises:
        ModelLoadError: llama.cpp cannot load the file, `on_progress` ended it, or it is another kind of
            model.
    """
    watch = _Watch(on_progress)
    # llama-cpp-python prints on standard error itself where it is not verbose; see llama_log.
    with llama_log.collected_errors() as errors:
        try:
            llama = _Llama(str(path), watch=watch, verbose=True, no_perf=True, **options)
        except Exception as error:
            if watch.error is not None:
                raise watch.error from None
            if watch.is_stopped:
                raise ModelLoadError(
                    f"{path}: loading was stopped by on_progress; load the model again to use it"
                ) from None
            reason = errors[0].strip() if errors else str(error)
            raise ModelLoadError(
                f"{path}: llama.cpp cannot load this model ({reason}); try a newer llama-cpp-python, "
                f"a smaller context length, or another file"
            ) from error
    if not lib.llama_model_has_decoder(llama.model) or lib.llama_model_has_encoder(llama.model):
        llama.close()
        raise ModelLoadError(f"{path}: this is not a model that writes text; choose a chat or text model")
    return llama


class _Watch:
    """Asks `on_progress`, which is called by native code: what it raises could go no further."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self.is_stopped = False
        self.error: BaseException | None = None

    def __call__(self, share: float, _user_data: object) -> bool:
        try:
            if self._on_progress is not None and not self._on_progress(share):
                self.is_stopped = True
        except BaseException as error:
            self.is_stopped, self.error = True, error
        return not self.is_stopped


class _Llama(llama_cpp.Llama):  # type: ignore[misc]
    """A `Llama` whose loading is watched, which the class itself has no parameter for."""

    def __init__(self, model_path: str, *, watch: _Watch, **options: Any) -> None:
        self._progress_callback = lib.llama_progress_callback(watch)
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

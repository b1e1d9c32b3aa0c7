"""The GPUs that llama.cpp can put layers on, and the memory that is free there."""

import ctypes
from dataclasses import dataclass
from typing import Any

__all__ = ["GPU", "free_gpu_memory", "gpus"]

_GPU_KINDS = (1, 2)
"""GGML_BACKEND_DEVICE_TYPE_GPU and _IGPU in ggml-backend.h."""


@dataclass(frozen=True, slots=True)
class GPU:
    """One device of ggml's."""

    name: str
    """As its driver calls it."""

    free_bytes: int
    """0 where the driver does not tell."""


def gpus() -> tuple[GPU, ...]:
    """Return the GPUs of this machine that this build of llama.cpp can use; none where it does not tell."""
    try:
        # llama-cpp-python has no names of its own for these functions of ggml.
        from llama_cpp._ggml import libggml

        count = _function(libggml, "count", ctypes.c_size_t)
        get = _function(libggml, "get", ctypes.c_void_p, ctypes.c_size_t)
        kind = _function(libggml, "type", ctypes.c_int, ctypes.c_void_p)
        name = _function(libggml, "description", ctypes.c_char_p, ctypes.c_void_p)
        sizes = (ctypes.POINTER(ctypes.c_size_t),) * 2
        memory = _function(libggml, "memory", None, ctypes.c_void_p, *sizes)
    except (ImportError, AttributeError):
        return ()
    found = []
    for device in map(get, range(count())):
        if kind(device) in _GPU_KINDS:
            free, total = ctypes.c_size_t(), ctypes.c_size_t()
            memory(device, ctypes.byref(free), ctypes.byref(total))
            found.append(GPU(name(device).decode(errors="replace"), free.value))
    return tuple(found)


def free_gpu_memory() -> int | None:
    """Return the memory that is free on all GPUs together, in bytes; None where that is not told of each."""
    sizes = [gpu.free_bytes for gpu in gpus()]
    return sum(sizes) if sizes and all(sizes) else None


def _function(library: ctypes.CDLL, end: str, result: Any, *arguments: Any) -> Any:
    return ctypes.CFUNCTYPE(result, *arguments)((f"ggml_backend_dev_{end}", library))

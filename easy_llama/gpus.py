"""The GPUs that llama.cpp puts layers on, and the memory that is free there."""

import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["GPU", "free_gpu_memory", "gpus"]

_DISCRETE, _INTEGRATED = 1, 2
"""GGML_BACKEND_DEVICE_TYPE_GPU and _IGPU in ggml-backend.h."""


@dataclass(frozen=True, slots=True)
class GPU:
    """One device of ggml's."""

    name: str
    """As its driver calls it."""

    free_bytes: int | None
    """None where the driver does not tell."""

    is_shared: bool
    """Whether its memory is the machine's own."""


def gpus() -> tuple[GPU, ...]:
    """Return the GPUs that layers go to; none where there are none, or where llama-cpp-python tells of none.

    Integrated ones count where there is no other, as for llama.cpp.
    """
    try:
        # llama-cpp-python has no names of its own for these functions, which lie in two of ggml's libraries.
        from llama_cpp._ctypes_extensions import load_shared_library
        from llama_cpp._ggml import libggml, libggml_base_path

        libraries = [libggml, load_shared_library("ggml-base", libggml_base_path)]
        count = _function(libraries, "count", ctypes.c_size_t)
        get = _function(libraries, "get", ctypes.c_void_p, ctypes.c_size_t)
        kind_of = _function(libraries, "type", ctypes.c_int, ctypes.c_void_p)
        name_of = _function(libraries, "description", ctypes.c_char_p, ctypes.c_void_p)
        sizes = (ctypes.POINTER(ctypes.c_size_t),) * 2
        memory_of = _function(libraries, "memory", None, ctypes.c_void_p, *sizes)
    except (ImportError, AttributeError, OSError, RuntimeError):
        return ()
    devices = [get(number) for number in range(count())]
    kinds = [kind_of(device) for device in devices]
    kind = _DISCRETE if _DISCRETE in kinds else _INTEGRATED
    found = []
    for device in (one for one, its in zip(devices, kinds, strict=True) if its == kind):
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        memory_of(device, ctypes.byref(free), ctypes.byref(total))
        is_told = 0 < free.value <= total.value
        name = name_of(device).decode(errors="replace")
        is_shared = kind == _INTEGRATED or sys.platform == "darwin"
        found.append(GPU(name, free.value if is_told else None, is_shared))
    return tuple(found)


def free_gpu_memory(machine: int | None) -> int | None:
    """Return the memory that is free on all GPUs together, in bytes; None where that is not told of each.

    Args:
        machine: what is free of the machine's own memory, which a GPU may share, in bytes; None is unknown.
    """
    found = gpus()
    sizes = [gpu.free_bytes for gpu in found if gpu.free_bytes is not None]
    if not found or len(sizes) < len(found):
        return None
    is_bounded = machine is not None and any(gpu.is_shared for gpu in found)
    return min(sum(sizes), machine) if is_bounded and machine is not None else sum(sizes)


def _function(libraries: Sequence[ctypes.CDLL], end: str, result: Any, *arguments: Any) -> Any:
    name = f"ggml_backend_dev_{end}"
    library = next((one for one in libraries if hasattr(one, name)), libraries[0])
    return ctypes.CFUNCTYPE(result, *arguments)((name, library))

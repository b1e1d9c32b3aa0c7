"""Language models in GGUF files, from Python: `import easy_llama as ez`.

Names are loaded when they are first used, so that a program may draw its screen before llama.cpp's
libraries are loaded.
"""

import importlib
import logging
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from easy_llama import errors, formats, model, samplers, thread
    from easy_llama.errors import (
        ChatTemplateError,
        ContextScalingWarning,
        DraftModelError,
        DroppedMessagesWarning,
        EasyLlamaError,
        ExceededContextLengthException,
        GenerationError,
        GGUFError,
        ModelLoadError,
        ModelUnloadedException,
    )
    from easy_llama.model import Model
    from easy_llama.samplers import SamplerSettings
    from easy_llama.thread import Message, Thread

__all__ = [
    "ChatTemplateError",
    "ContextScalingWarning",
    "DraftModelError",
    "DroppedMessagesWarning",
    "EasyLlamaError",
    "ExceededContextLengthException",
    "GGUFError",
    "GenerationError",
    "Message",
    "Model",
    "ModelLoadError",
    "ModelUnloadedException",
    "SamplerSettings",
    "Thread",
    "errors",
    "formats",
    "model",
    "samplers",
    "thread",
]

__version__ = "0.1.0"

_MODULES = ("errors", "formats", "model", "samplers", "thread")
_HOMES = {"Message": "thread", "Model": "model", "SamplerSettings": "samplers", "Thread": "thread"}

# GNU's OpenMP reads this once, when llama.cpp's libraries are loaded. By itself it lets a thread that waits
# for the others spin for milliseconds, many times a token: where anything else computes, such as a screen or
# another program, it spins away the time of the thread that it waits for. See benchmarks/spinning.py.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# A library leaves it to the program what becomes of its log; without this, Python prints warnings.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in __all__:
        module = importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}")
        globals()[name] = getattr(module, name)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

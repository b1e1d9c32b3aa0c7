"""Lets llama.cpp stop in the middle of a computation, once a `CancelFlag` is set."""

import ctypes
from typing import Any

from llama_cpp import llama_cpp as lib

from easy_llama.events import CancelFlag

__all__ = ["ABORTED", "abort_by"]

ABORTED = 2
"""What `llama_decode` returns then."""


def _native_flag_reader() -> Any:
    """Return a native function that tells whether a `CancelFlag`'s byte is set.

    llama.cpp asks once for each node of its graph, about a thousand times a token. A Python callback
    would take the interpreter from the screen each time; C's `strlen` on the flag's two bytes is 0 or 1,
    just what is asked for.
    """
    libc = ctypes.cdll.msvcrt if hasattr(ctypes, "WinDLL") else ctypes.CDLL(None)
    return ctypes.cast(libc.strlen, lib.ggml_abort_callback)


_FLAG_READER = _native_flag_reader()
_NONE = lib.ggml_abort_callback()


def abort_by(context: Any, cancel: CancelFlag | None) -> None:
    """Let a flag stop what a context computes from now on; None lets nothing stop it.

    The flag has to live for as long as it is read: until this is called again, or nothing is computed.
    """
    if cancel is None:
        lib.llama_set_abort_callback(context, _NONE, None)
    else:
        lib.llama_set_abort_callback(context, _FLAG_READER, ctypes.addressof(cancel.memory))

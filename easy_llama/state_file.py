"""A copy of a KV cache in a file, which is trusted only where it is whole and of the same model.

llama.cpp may end the process over bytes that are none of its own, so it gets to see none before a checksum
of all of them was right. The file is a cache: whatever is wrong with it, the conversation is read again.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import llama_cpp
import numpy as np
from llama_cpp import llama_cpp as lib

from easy_llama.cache_reuse import Gap, Held
from easy_llama.kv_state import KVState
from easy_llama.model import Model

__all__ = ["StateFileError", "read_state", "state_binding", "write_state"]

_MAGIC: Final = b"easy-llama KV state 1\n"
_DIGEST_SIZE: Final = 32
_CHUNK: Final = 1 << 22
_HASHED: Final = 1 << 20
"""How much of a model's file is looked at: its header, or the beginning of a long one."""


class StateFileError(Exception):
    """A file holds no state that could be used; the message says why."""


def state_binding(model: Model) -> bytes:
    """Return what a state is bound to, in 32 bytes: the model's file, its settings, and llama.cpp's build.

    Raises:
        OSError: the model's file cannot be read any more.
    """
    path = Path(model.filename)
    about = path.stat()
    with path.open("rb") as file:
        header = hashlib.blake2b(file.read(_HASHED)).hexdigest()
    facts = (
        about.st_size,
        about.st_mtime_ns,
        header,
        model.context_length,
        model.rope_freq_base,
        model.type_k,
        model.type_v,
        model.flash_attn,
        model.n_gpu_layers,
        llama_cpp.__version__,
        lib.llama_print_system_info().decode("utf-8", "replace"),
    )
    return hashlib.blake2b(repr(facts).encode(), digest_size=_DIGEST_SIZE).digest()


def write_state(file: BinaryIO, state: KVState, binding: bytes, seconds: float) -> bool:
    """Write a state to a file; return whether that was done in so many seconds, and so is whole.

    Raises:
        OSError: it cannot be written.
    """
    due = time.monotonic() + seconds
    digest = hashlib.blake2b(digest_size=_DIGEST_SIZE)
    file.write(_MAGIC)
    for part in _parts(state, binding):
        digest.update(part)
        file.write(part)
        if time.monotonic() > due:
            return False
    file.write(digest.digest())
    return True


def _parts(state: KVState, binding: bytes) -> Iterator[bytes | memoryview]:
    held = state.held
    about = {
        "ids": held.ids,
        "gaps": [[gap.at, gap.ids] for gap in held.gaps],
        "slid_end": held.slid_end,
        "cells": state.cells.nbytes,
    }
    text = json.dumps(about).encode()
    yield binding + len(text).to_bytes(8, "little") + text
    cells = memoryview(state.cells.data)
    for start in range(0, len(cells), _CHUNK):
        yield cells[start : start + _CHUNK]


def read_state(path: Path, binding: bytes) -> KVState:
    """Return the state in a file.

    Raises:
        OSError: it cannot be read.
        StateFileError: it is damaged, or of something else than `binding` stands for.
    """
    data = memoryview(path.read_bytes())
    if bytes(data[: len(_MAGIC)]) != _MAGIC or len(data) < len(_MAGIC) + 2 * _DIGEST_SIZE + 8:
        raise StateFileError("it is no copy of a KV cache, or a part of one")
    body, digest = data[len(_MAGIC) : -_DIGEST_SIZE], data[-_DIGEST_SIZE:]
    if hashlib.blake2b(body, digest_size=_DIGEST_SIZE).digest() != bytes(digest):
        raise StateFileError("its checksum is wrong")
    if bytes(body[:_DIGEST_SIZE]) != binding:
        raise StateFileError("it is of another model, other settings or another build of llama.cpp")
    begin = _DIGEST_SIZE + 8
    end = begin + int.from_bytes(body[_DIGEST_SIZE:begin], "little")
    try:
        about = json.loads(bytes(body[begin:end]))
        held = Held(
            tuple(about["ids"]),
            tuple(Gap(at, tuple(ids)) for at, ids in about["gaps"]),
            about["slid_end"],
        )
        size = about["cells"]
    except (ValueError, KeyError, TypeError) as error:
        raise StateFileError(f"what it says of itself makes no sense: {error}") from None
    if size != len(body) - end or not held.ids:
        raise StateFileError("it is shorter or longer than it says")
    return KVState(held, np.frombuffer(body[end:], dtype=np.uint8))

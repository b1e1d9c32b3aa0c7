"""What it costs to keep another branch of a chat: its cells in the same context, or a copy of them.

Two long replies to one beginning. With several sequences in one context, going to the other branch costs
nothing at all, but its cells stay among those that llama.cpp goes through at every token: shown is the time
of a token with them, beside one without. With copies, a token costs nothing more, but going there takes a
copy out and one in: shown in single tokens of the same context.

Both are measured in turn, in rounds of which the first warms up and does not count. The machine may be shared
and its speed may drift, so only the ratios matter: their median, smallest and largest are shown.
"""

import argparse
import ctypes
import gc
import statistics
import sys
import time
from dataclasses import dataclass

import numpy as np
from llama_cpp import llama_cpp as lib
from report import UnequalWorkError, add_model, conditions, load, parse, spread

from easy_llama.errors import EasyLlamaError
from easy_llama.model import Model

TOKENS = 24
"""How many single tokens are timed."""


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds."""

    with_other: float
    """A token, with the other branch's cells in the context."""
    alone: float
    """A token without them."""
    copying: float
    """Copying one branch out and the other in."""


class Context:
    """A bare context with room for two sequences."""

    def __init__(self, model: Model, length: int) -> None:
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = length, 512, 512
        params.n_seq_max, params.kv_unified = 2, True
        of = model.llama.ctx
        params.n_threads, params.n_threads_batch = lib.llama_n_threads(of), lib.llama_n_threads_batch(of)
        params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.context = lib.llama_init_from_model(model.llama.model, params)
        self.memory = lib.llama_get_memory(self.context)

    def decode(self, ids: list[int]) -> None:
        """Read tokens into the first sequence."""
        for start in range(0, len(ids), 512):
            part = ids[start : start + 512]
            tokens = (lib.llama_token * len(part))(*part)
            if lib.llama_decode(self.context, lib.llama_batch_get_one(tokens, len(part))):
                raise UnequalWorkError("the context is full")

    def seconds_a_token(self, token: int) -> float:
        """Return the median time of single tokens."""
        gc.collect()
        times = []
        for _ in range(TOKENS):
            began = time.perf_counter()
            self.decode([token])
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    def copy_out(self) -> np.ndarray:
        """Copy the first sequence."""
        size = lib.llama_state_seq_get_size(self.context, 0)
        cells = np.empty(size, dtype=np.uint8)
        lib.llama_state_seq_get_data(self.context, pointer(cells), size, 0)
        return cells

    def copy_in(self, cells: np.ndarray) -> None:
        """Put a copy in place of all there is."""
        lib.llama_memory_clear(self.memory, False)
        if not lib.llama_state_seq_set_data(self.context, pointer(cells), len(cells), 0):
            raise UnequalWorkError("llama.cpp did not take its own copy")


def pointer(cells: np.ndarray) -> "ctypes._Pointer[ctypes.c_uint8]":
    return cells.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def once(context: Context, shared: list[int], one: list[int], other: list[int]) -> Round:
    memory = context.memory
    lib.llama_memory_clear(memory, False)
    context.decode(shared + other)
    lib.llama_memory_seq_cp(memory, 0, 1, 0, -1)
    lib.llama_memory_seq_rm(memory, 0, len(shared), -1)
    context.decode(one)
    with_other = context.seconds_a_token(one[0])
    lib.llama_memory_clear(memory, False)
    context.decode(shared + one)
    alone = context.seconds_a_token(one[0])
    lib.llama_memory_seq_rm(memory, 0, len(shared) + len(one), -1)
    kept = context.copy_out()
    began = time.perf_counter()
    context.copy_out()
    context.copy_in(kept)
    return Round(with_other, alone, time.perf_counter() - began)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument("--tokens", metavar="N", type=int, default=1000, help="length of each branch (1,000)")
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="counted rounds (5)")
    arguments = parse(parser)
    if arguments.tokens < 64 or arguments.rounds < 1:
        parser.error("give at least 64 tokens and 1 round")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    try:
        model = load(arguments.model, 512)
        ids = model.tokenize(" ".join(str(number) for number in range(arguments.tokens * 3)))
        tail = arguments.tokens * 2 // 3
        shared, one, other = (
            ids[: arguments.tokens - tail],
            ids[arguments.tokens : arguments.tokens + tail],
            ids[arguments.tokens * 2 : arguments.tokens * 2 + tail],
        )
        context = Context(model, len(shared) + 2 * tail + 2 * TOKENS)
        rounds = [once(context, shared, one, other) for _ in range(arguments.rounds + 1)][1:]
    except (EasyLlamaError, UnequalWorkError) as error:
        sys.exit(f"not measured: {error}")
    with_other, alone = [one.with_other for one in rounds], [one.alone for one in rounds]
    print(f"sequences: a token with the other branch / without {spread(with_other, alone)}")
    print(f"copies: going to the other branch, in single tokens {spread([r.copying for r in rounds], alone)}")
    print(
        f"branches of {arguments.tokens:,} tokens, {tail:,} of them their own; a context for both; "
        f"{conditions(model)}"
    )
    lib.llama_free(context.context)
    model.unload()


if __name__ == "__main__":
    main()

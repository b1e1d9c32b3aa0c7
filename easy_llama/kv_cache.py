"""What is left of the past in a llama.cpp context: the KV cache, and the logits after the last prompts."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import llama_cpp
import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as lib

from easy_llama.cache_reuse import Gap, Held, Reuse, common_length, plan_reuse
from easy_llama.events import LeftOut
from easy_llama.kv_state import KVState, StateShelf

__all__ = ["KVCache", "Kept", "cuts_anywhere"]

_KEPT_PROMPTS = 4
"""Of how many prompts the logits are kept: 200 kB each with a vocabulary of 49,152."""

_WORTH_A_COPY = 128
"""More tokens than this are copied before they are dropped, or copied back instead of being read.

Copying is far quicker than reading, but it takes the whole of a cache.
"""


def cuts_anywhere(llama: llama_cpp.Llama) -> bool:
    """Return whether the last tokens can be taken out of a model's cache, wherever that is cut."""
    return not (lib.llama_model_is_recurrent(llama.model) or lib.llama_model_is_hybrid(llama.model))


def _bytes_at(buffer: npt.NDArray[np.uint8]) -> "ctypes._Pointer[ctypes.c_uint8]":
    return buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left in a cache for a prompt."""

    tokens: int
    """How many tokens of the prompt it holds."""

    slid: int = 0
    """How many of them were slid, now or before."""

    unslidable: int = 0
    """How many more it would hold if it could slide."""

    is_settled: bool = True
    """Whether llama.cpp is done with sliding; else the next token has to be decoded, come what may."""


class KVCache:
    """Knows which token ids are in a context's cache; whoever decodes them tells it.

    The logits after the last prompts are kept too, so that another reply to one of them starts at once, and
    from the very same numbers: llama.cpp's results depend a little on how tokens are batched.

    What a prompt would drop is copied first where there is room on the shelf, and comes back from there when
    a prompt begins with it again, as when a person goes from one branch of a chat to another and back.
    Several sequences in one context would do too. But they take their cells from the one that is in use, so
    that a full context has room for none, and llama.cpp goes through all cells at each token: 240 tokens of
    another branch cost one of SmolLM2-135M 3 % (-1 to 7, on a busy machine). A copy of 360 tokens out and one
    in took 0.7 tokens (0.1 to 1.3), works with any kind of cache, and costs memory alone.
    `benchmarks/branches.py` measures both.

    Args:
        llama: whose context it is.
    """

    def __init__(self, llama: llama_cpp.Llama) -> None:
        self._llama = llama
        self._context = llama.ctx
        self._memory = lib.llama_get_memory(llama.ctx)
        self.ids: list[int] = []
        """The ids that it holds, in order; decoded ones are to be added."""
        self._gaps: tuple[Gap, ...] = ()
        """What was dropped from between them."""
        self._slid_end = 0
        """See `Held`."""
        self._kept: dict[tuple[int, ...], npt.NDArray[np.float32]] = {}
        self.shelf = StateShelf()
        """What it held before."""
        self._is_borrowed = False
        """Whether what it held comes back anyway."""
        self.cuts_anywhere = cuts_anywhere(llama)
        self.can_slide = self.cuts_anywhere and bool(lib.llama_memory_can_shift(self._memory))

    def keep_logits(self, prompt: tuple[int, ...], logits: npt.NDArray[np.float32]) -> None:
        """Keep a copy of the logits after a prompt: llama.cpp has them for what was decoded last only."""
        self._kept.pop(prompt, None)
        self._kept[prompt] = logits.copy()
        if len(self._kept) > _KEPT_PROMPTS:
            del self._kept[next(iter(self._kept))]

    def logits_after(self, prompt: tuple[int, ...]) -> npt.NDArray[np.float32] | None:
        """Return the logits that are kept of a prompt, shape `(n_vocab,)`, which are not to be changed."""
        return self._kept.get(prompt)

    def keep_beginning(self, prompt: Sequence[int], at_most: int, left_out: Sequence[LeftOut] = ()) -> Kept:
        """Drop what `prompt` does not begin with; return what is left, of which `at_most` tokens or fewer.

        What follows something that was left out is slid in its place. What is dropped goes to the shelf, and
        what is there is used where that holds more of the prompt.
        """
        self.check()
        held = self.held()
        plan = self._plan(held, prompt, at_most, left_out)
        state: KVState | None = None
        longest = _WORTH_A_COPY + (plan.length if self._can_keep(plan, held) else 0)
        for one in self.shelf.states:
            other = self._plan(one.held, prompt, at_most, left_out)
            if other.length > longest and self._can_keep(other, one.held):
                state, plan, longest = one, other, other.length
        stays = plan.length if state is None else common_length(self.ids, state.ids)
        if len(self.ids) - stays > _WORTH_A_COPY:
            self._shelve()
        unslidable = 0
        if left_out and not self.can_slide:
            could_slide = plan_reuse(held, prompt[:at_most], left_out)
            unslidable = could_slide.length - could_slide.gaps[0].at if could_slide.gaps else 0
        if state is not None:
            self.shelf.touch(state)
            self.put(state)
        if plan.held < len(self.ids):
            self.cut(plan.held)
        is_settled = not (plan.drops and len(self.ids) == plan.held and self._slide(plan))
        return Kept(len(self.ids), self.held().slid, unslidable, is_settled)

    def _plan(self, held: Held, prompt: Sequence[int], at_most: int, left_out: Sequence[LeftOut]) -> Reuse:
        """Return how to reuse what is held for a prompt."""
        left_out = left_out if self.can_slide else ()
        plan = plan_reuse(held, prompt[:at_most], left_out)
        if plan.drops and plan.length == at_most:
            # Once something was slid, a token is to be decoded of which nothing else is asked.
            plan = plan_reuse(held, prompt[: at_most - 1], left_out)
        return plan

    def _can_keep(self, plan: Reuse, held: Held) -> bool:
        """Return whether it is certain that the cache can be brought to hold what is planned."""
        return self.cuts_anywhere or plan.length == len(held.ids)

    def _slide(self, plan: Reuse) -> bool:
        """Drop parts of the middle, and move up what follows them; return whether that was possible."""
        for start, end in reversed(plan.drops):
            if not lib.llama_memory_seq_rm(self._memory, 0, start, end):
                self.forget()
                return False
            lib.llama_memory_seq_add(self._memory, 0, end, -1, start - end)
            del self.ids[start:end]
        self._gaps, self._slid_end = plan.gaps, len(self.ids)
        return True

    def _shelve(self) -> None:
        """Put a copy of what is held on the shelf, where it is not there and has room."""
        if self._is_borrowed or not self.shelf.budget:
            return
        if self.n_bytes <= self.shelf.budget and not self.shelf.holds(self.held()):
            self.shelf.put(self.state())

    @property
    def n_bytes(self) -> int:
        """How many bytes a copy of what is held takes."""
        return int(lib.llama_state_seq_get_size(self._context, 0))

    def held(self) -> Held:
        """Return what it holds."""
        return Held(tuple(self.ids), self._gaps, self._slid_end)

    def _hold(self, held: Held) -> None:
        self.ids[:] = held.ids
        self._gaps, self._slid_end = held.gaps, held.slid_end

    def check(self) -> None:
        """Forget everything where someone else used the context: what it holds is not known any more."""
        length = int(lib.llama_memory_seq_pos_max(self._memory, 0)) + 1
        if self._llama.n_tokens or length != len(self.ids):
            self._llama.n_tokens = 0
            self.forget()

    def cut(self, keep: int) -> None:
        """Keep the first `keep` ids, or none where the model's cache cannot be cut."""
        if lib.llama_memory_seq_rm(self._memory, 0, keep, -1):
            self._hold(self.held().first(keep))
        else:
            self.forget()

    def forget(self) -> None:
        """Empty the cache."""
        lib.llama_memory_clear(self._memory, True)
        self._hold(Held(()))
        self._kept.clear()

    def has_read(self, prompt: Sequence[int]) -> bool:
        """Return whether it holds `prompt`, but for the last token, which a generation never decodes."""
        self.check()
        return len(prompt) > 1 and self.ids[: len(prompt) - 1] == list(prompt[:-1])

    def goes_on_with(self, prompt: Sequence[int]) -> bool:
        """Return whether `prompt` can be read without a loss: it begins with all that is held and goes on."""
        held = len(self.ids)
        is_plain = self.cuts_anywhere and not self._gaps
        return is_plain and len(prompt) > held and self.ids == list(prompt[:held])

    @contextmanager
    def restored(self, *, with_cells: bool) -> Iterator[None]:
        """Bring back the kept logits afterwards, and the cells of the cache as well where told to.

        The copy of the cells is as large as the part of the cache that is in use, and the values that come
        back are the very same: computed anew, they would differ a little.
        """
        if not self.ids:
            yield
            return
        kept = self._kept.copy()
        state = self.state() if with_cells else None
        self._is_borrowed = state is not None
        try:
            yield
        finally:
            self._is_borrowed = False
            if self._llama.ctx is not None:  # else the model was unloaded meanwhile
                if state is not None:
                    self.put(state)
                if self.ids:
                    self._kept = kept

    def state(self) -> KVState:
        """Return a copy of what is held."""
        cells = np.empty(self.n_bytes, dtype=np.uint8)
        written = lib.llama_state_seq_get_data(self._context, _bytes_at(cells), len(cells), 0)
        return KVState(self.held(), cells[:written])

    def replace(self, state: KVState) -> None:
        """Hold what a copy holds; what is held goes to the shelf where it would be lost."""
        if len(self.ids) - common_length(self.ids, state.ids) > _WORTH_A_COPY:
            self._shelve()
        self.put(state)

    def put(self, state: KVState) -> bool:
        """Hold what a copy holds, in place of all that is held; return whether llama.cpp took it."""
        lib.llama_memory_clear(self._memory, False)
        if lib.llama_state_seq_set_data(self._context, _bytes_at(state.cells), len(state.cells), 0):
            self._hold(state.held)
            return True
        self.forget()
        return False

"""What is left of the past in a llama.cpp context: the KV cache, and the logits after the last prompts."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import llama_cpp
import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as lib

__all__ = ["KVCache"]


_KEPT_PROMPTS = 4
"""Of how many prompts the logits are kept: 200 kB each with a vocabulary of 49,152."""


def _bytes_at(buffer: npt.NDArray[np.uint8]) -> "ctypes._Pointer[ctypes.c_uint8]":
    return buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


class KVCache:
    """Knows which token ids are in a context's cache; whoever decodes them tells it.

    The logits after the last prompts are kept too, so that another reply to one of them starts at once, and
    from the very same numbers: llama.cpp's results depend a little on how tokens are batched.

    Args:
        llama: whose context it is.
    """

    def __init__(self, llama: llama_cpp.Llama) -> None:
        self._llama = llama
        self._context = llama.ctx
        self._memory = lib.llama_get_memory(llama.ctx)
        self.ids: list[int] = []
        """The ids that it holds, in order; decoded ones are to be added."""
        self._kept: dict[tuple[int, ...], npt.NDArray[np.float32]] = {}
        self.cuts_anywhere = not (
            lib.llama_model_is_recurrent(llama.model) or lib.llama_model_is_hybrid(llama.model)
        )

    def keep_logits(self, prompt: tuple[int, ...], logits: npt.NDArray[np.float32]) -> None:
        """Keep a copy of the logits after a prompt: llama.cpp has them for what was decoded last only."""
        self._kept.pop(prompt, None)
        self._kept[prompt] = logits.copy()
        if len(self._kept) > _KEPT_PROMPTS:
            del self._kept[next(iter(self._kept))]

    def logits_after(self, prompt: tuple[int, ...]) -> npt.NDArray[np.float32] | None:
        """Return the logits that are kept of a prompt, shape `(n_vocab,)`, which are not to be changed."""
        return self._kept.get(prompt)

    def keep_common_prefix(self, prompt: tuple[int, ...], at_most: int) -> int:
        """Drop what `prompt` does not begin with; return how many ids are left, `at_most` or fewer."""
        self.check()
        keep = 0
        for ours, wanted in zip(self.ids, prompt[:at_most], strict=False):
            if ours != wanted:
                break
            keep += 1
        if keep < len(self.ids):
            self.cut(keep)
        return len(self.ids)

    def check(self) -> None:
        """Forget everything where someone else used the context: what it holds is not known any more."""
        length = int(lib.llama_memory_seq_pos_max(self._memory, 0)) + 1
        if self._llama.n_tokens or length != len(self.ids):
            self._llama.n_tokens = 0
            self.forget()

    def cut(self, keep: int) -> None:
        """Keep the first `keep` ids, or none where the model's cache cannot be cut."""
        if lib.llama_memory_seq_rm(self._memory, 0, keep, -1):
            del self.ids[keep:]
        else:
            self.forget()

    def forget(self) -> None:
        """Empty the cache."""
        lib.llama_memory_clear(self._memory, True)
        self.ids.clear()
        self._kept.clear()

    def has_read(self, prompt: Sequence[int]) -> bool:
        """Return whether it holds `prompt`, but for the last token, which a generation never decodes."""
        self.check()
        return len(prompt) > 1 and self.ids[: len(prompt) - 1] == list(prompt[:-1])

    def goes_on_with(self, prompt: Sequence[int]) -> bool:
        """Return whether `prompt` can be read without a loss: it begins with all that is held and goes on."""
        held = len(self.ids)
        return self.cuts_anywhere and len(prompt) > held and self.ids == list(prompt[:held])

    @contextmanager
    def restored(self, *, with_cells: bool) -> Iterator[None]:
        """Bring back the kept logits afterwards, and the cells of the cache as well where told to.

        The copy of the cells is as large as the part of the cache that is in use, and the values that come
        back are the very same: computed anew, they would differ a little.
        """
        if not self.ids:
            yield
            return
        ids, kept = self.ids.copy(), self._kept.copy()
        cells = self._cells() if with_cells else None
        try:
            yield
        finally:
            if self._llama.ctx is not None:  # else the model was unloaded meanwhile
                if cells is not None:
                    self._put_back(cells, ids)
                if self.ids:
                    self._kept = kept

    def _cells(self) -> npt.NDArray[np.uint8]:
        size = lib.llama_state_seq_get_size(self._context, 0)
        state = np.empty(size, dtype=np.uint8)
        written = lib.llama_state_seq_get_data(self._context, _bytes_at(state), size, 0)
        return state[:written]

    def _put_back(self, cells: npt.NDArray[np.uint8], ids: list[int]) -> None:
        lib.llama_memory_clear(self._memory, False)
        if lib.llama_state_seq_set_data(self._context, _bytes_at(cells), len(cells), 0):
            self.ids[:] = ids
        else:
            self.forget()

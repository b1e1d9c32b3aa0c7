"""llama.cpp's logits: where they lie, which are the largest, and the form in which its samplers take them."""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as lib

__all__ = ["MOST_SOUGHT", "LogitRows", "Logits", "TokenData", "largest_places"]

Logits = npt.NDArray[np.float32]

# llama_token_data in llama.h.
_TOKEN_DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])

_BLOCK = 64
"""How many values are compared as one in the search for the largest."""

MOST_SOUGHT = 1 / _BLOCK
"""Of a vocabulary: to look for more of the largest takes longer than to take all."""

_VIEWS = 64
"""As many places of llama.cpp's memory are remembered."""


class LogitRows:
    """The logits that a context computed last, without a copy.

    Args:
        context: llama.cpp's context.
        n_vocab: how many logits a token has.
    """

    def __init__(self, context: Any, n_vocab: int) -> None:
        self._context = context
        self._n_vocab = n_vocab
        # They lie at the same place again and again, and a view costs more than a look at it.
        self._views: dict[int, Logits] = {}

    def row(self, number: int = -1) -> Logits:
        """Return one row, shape `(n_vocab,)`, which is valid until more is decoded; -1 is the last one."""
        address = ctypes.addressof(lib.llama_get_logits_ith(self._context, number).contents)
        view = self._views.get(address)
        if view is None:
            if len(self._views) == _VIEWS:
                self._views.clear()
            memory = (ctypes.c_float * self._n_vocab).from_address(address)
            view = self._views[address] = np.ctypeslib.as_array(memory)
        return view

    def rows(self, count: int) -> Logits:
        """Return the first rows, shape `(count, n_vocab)`, which are valid until more is decoded."""
        rows = lib.llama_get_logits(self._context)
        return np.ctypeslib.as_array(rows, shape=(count, self._n_vocab))


class TokenData:
    """Tokens with their logits, as llama.cpp's samplers change them; its memory is used again.

    Args:
        n_vocab: how many tokens there are.
    """

    def __init__(self, n_vocab: int) -> None:
        self._data = np.empty(n_vocab, dtype=_TOKEN_DATA)
        self._ids, self._logits, self._shares = (self._data[name] for name in ("id", "logit", "p"))
        self._begin = self._data.ctypes.data_as(lib.llama_token_data_p)
        self._array = lib.llama_token_data_array(data=self._begin, size=0, selected=-1, sorted=False)
        self._reference = ctypes.byref(self._array)
        self._every_id: npt.NDArray[np.int32] | None = None

    def take(self, logits: Logits, count: int | None = None) -> None:
        """Hold the tokens of a vocabulary, in the order of their ids.

        Args:
            logits: of all tokens.
            count: so many of the likeliest are enough; None is all.
        """
        size = len(logits)
        if count is None:
            if self._every_id is None:
                self._every_id = np.arange(size, dtype=np.int32)
            self._ids[:], self._logits[:] = self._every_id, logits
        else:
            # To copy a whole vocabulary of which a few are left takes most of the time of a draw.
            places = largest_places(logits, count)
            size = len(places)
            self._ids[:size], self._logits[:size] = places, logits[places]
        self._shares[:size] = 0.0
        array = self._array
        array.data, array.size, array.selected, array.sorted = self._begin, size, -1, False

    def apply(self, chain: Any) -> None:
        """Have samplers change what is held."""
        lib.llama_sampler_apply(chain, self._reference)

    @property
    def drawn(self) -> tuple[int, float]:
        """The token that a sampler drew, and its logit, which is -inf where no token was possible."""
        token = self._array.data[self._array.selected]
        return token.id, token.logit

    @property
    def left(self) -> npt.NDArray[Any]:
        """What samplers left, with the fields `id`, `logit` and `p`; valid until `take` is called again."""
        # XTC moves the begin.
        memory = (ctypes.c_char * (self._array.size * _TOKEN_DATA.itemsize)).from_address(
            ctypes.addressof(self._array.data.contents)
        )
        return np.frombuffer(memory, dtype=_TOKEN_DATA)


def largest_places(values: Logits, count: int) -> npt.NDArray[np.intp]:
    """Return the places of the `count` largest values, and of a few others, in ascending order.

    Where some are no numbers, these may be among them.
    """
    if count == 1:
        return np.array([values.argmax()])
    n_blocks = len(values) // _BLOCK
    if n_blocks < count:
        return np.arange(len(values))
    # As many blocks hold one that is at least so large, so none of the largest is smaller. The values of a
    # block lie far apart, so that whole rows of them are compared at once: in a tenth of the time.
    highest = values[: n_blocks * _BLOCK].reshape(_BLOCK, n_blocks).max(axis=0)
    highest.partition(n_blocks - count)
    places = np.flatnonzero(values >= highest[n_blocks - count])
    return places if len(places) >= count else np.arange(len(values))  # where some are no numbers

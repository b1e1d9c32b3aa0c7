"""Copies of what a KV cache held: a conversation goes on from one without being read again. Pure."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from easy_llama.cache_reuse import Held

__all__ = ["KVState", "StateShelf"]


@dataclass(frozen=True, slots=True, eq=False)
class KVState:
    """What a cache held; of use to a context of the same model and the same settings only."""

    held: Held
    """What that was, in tokens."""

    cells: npt.NDArray[np.uint8]
    """llama.cpp's own bytes, shape `(n_bytes,)`; not to be changed."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The token ids, in order."""
        return self.held.ids


class StateShelf:
    """Keeps the states that were used last, within so many bytes; 0 keeps none."""

    def __init__(self, budget: int = 0) -> None:
        self._budget = budget
        self._states: list[KVState] = []

    @property
    def states(self) -> tuple[KVState, ...]:
        """Those that are kept, the one used last at the end."""
        return tuple(self._states)

    @property
    def budget(self) -> int:
        """How many bytes the states may take together; what is over it is dropped, the oldest first."""
        return self._budget

    @budget.setter
    def budget(self, budget: int) -> None:
        self._budget = budget
        self._make_room(0)

    def put(self, state: KVState) -> None:
        """Keep a state, in place of those that it begins with, unless it is too large."""
        if state.cells.nbytes > self._budget:
            return
        self._states = [one for one in self._states if not _begins_with(state.held, one.held)]
        self._make_room(state.cells.nbytes)
        self._states.append(state)

    def touch(self, state: KVState) -> None:
        """Note that a state was used."""
        self._states = [*(one for one in self._states if one is not state), state]

    def holds(self, held: Held) -> bool:
        """Return whether one of the states begins with what is held."""
        return any(_begins_with(one.held, held) for one in self._states)

    def clear(self) -> None:
        """Drop all."""
        self._states.clear()

    def _make_room(self, size: int) -> None:
        taken = size + sum(one.cells.nbytes for one in self._states)
        while self._states and taken > self._budget:
            taken -= self._states.pop(0).cells.nbytes


def _begins_with(one: Held, other: Held) -> bool:
    return one.ids[: len(other.ids)] == other.ids and one.gaps == other.gaps

"""When Python looks for garbage: seldom, and mostly while nothing else is done, so that no picture waits."""

import gc
import time
from collections.abc import Callable

__all__ = ["LOOK_SECONDS", "GarbageCollection", "collect_all"]

LOOK_SECONDS = 2.0
"""How often `when_idle` wants to be called; without a key for so long nobody is at work."""

_OBJECTS = 10_000
"""New objects after which Python looks among them of its own accord."""
_ROUNDS = 10
"""Such rounds after which it looks a little further back, and such rounds again after which among all."""
_WORTH_LOOKING = 3
"""Such rounds after which looking among all is worth it where nobody waits."""


class GarbageCollection:
    """Collects what a program leaves behind.

    Almost all of that is freed at once. To look for the rest after every 700 objects, as Python does, was a
    tenth of what it costs to show a reply as it is written. To look among all of them takes a tenth of a
    second or more: that is done when nobody is at work, long before it is due.

    Args:
        clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._worked = clock()

    def begin(self) -> None:
        """Look from now on, and never among what is there now."""
        gc.freeze()
        gc.set_threshold(_OBJECTS, _ROUNDS, _ROUNDS)
        gc.enable()

    def at_work(self) -> None:
        """Note that someone is at work."""
        self._worked = self._clock()

    def when_idle(self) -> bool:
        """Collect everything where nobody is at work and it is worth it; return whether it was done."""
        _, rounds, further = gc.get_count()
        is_due = gc.isenabled() and rounds + _ROUNDS * further >= _WORTH_LOOKING
        if is_due and self._clock() - self._worked >= LOOK_SECONDS:
            collect_all()
            return True
        return False


def collect_all() -> None:
    """Free all that nobody uses, and give the system back what is free of the memory that was taken.

    glibc keeps most of that for itself: in a chat of some hundred turns 13 to 18 MB.
    """
    # Not needed for the first picture.
    import ctypes

    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library
        return
    trim(ctypes.c_size_t(0))

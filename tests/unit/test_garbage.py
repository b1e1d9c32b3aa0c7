"""When the program looks for garbage."""

import gc
from collections.abc import Iterator

import pytest
from support.memory import HAS_PROC, run_fresh

from easy_llama_tui.garbage import LOOK_SECONDS, GarbageCollection, collect_all


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Knot:
    """Garbage that only a collection frees."""

    freed = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        Knot.freed += 1


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    thresholds, was_enabled = gc.get_threshold(), gc.isenabled()
    gc.collect()
    Knot.freed = 0
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    if was_enabled:
        gc.enable()


def leave_much() -> None:
    """Make enough for several rounds of looking."""
    kept = [[number] for number in range(60_000)]
    Knot()
    del kept


def test_what_is_there_at_the_beginning_is_not_looked_at() -> None:
    GarbageCollection().begin()
    assert gc.get_freeze_count() > 1000 and gc.isenabled()
    assert gc.get_threshold()[0] == 10_000


def test_all_is_collected_once_nobody_is_at_work() -> None:
    clock = Clock()
    garbage = GarbageCollection(clock)
    garbage.begin()
    kept = [Knot() for _ in range(3)]
    leave_much()
    kept.clear()
    gc.collect(1)  # what is older only a look among all finds
    leave_much()
    assert not garbage.when_idle()
    clock.now += LOOK_SECONDS
    garbage.at_work()
    clock.now += LOOK_SECONDS / 2
    assert not garbage.when_idle()
    clock.now += LOOK_SECONDS / 2
    assert garbage.when_idle()
    assert Knot.freed == 5


def test_where_little_was_made_nothing_is_done() -> None:
    clock = Clock()
    garbage = GarbageCollection(clock)
    garbage.begin()
    gc.collect()
    clock.now += LOOK_SECONDS
    assert not garbage.when_idle()


LITTLE_LEFT_IN_MUCH = """
import ctypes
from easy_llama_tui.garbage import collect_all
from support.memory import footprint

libc = ctypes.CDLL(None)
if not hasattr(libc, "malloc_trim"):
    print("no malloc_trim")
    raise SystemExit
libc.malloc.restype = ctypes.c_void_p
# One small piece in a hundred stays, so that nothing is given back by itself.
pieces = [libc.malloc(2000) for _ in range(20_000)]
for piece in pieces:
    ctypes.memset(piece, 1, 2000)
for number, piece in enumerate(pieces):
    if number % 100:
        libc.free(ctypes.c_void_p(piece))
before = footprint().private
collect_all()
print(before - footprint().private)
"""


@pytest.mark.skipif(not HAS_PROC, reason="this system has no /proc/self to look at")
def test_memory_that_is_free_is_given_back() -> None:
    done = run_fresh(LITTLE_LEFT_IN_MUCH)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "no malloc_trim\n" or int(done.stdout) > 20_000_000


def test_without_a_c_library_that_can_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_like_it(_name: None) -> object:
        return object()

    monkeypatch.setattr("ctypes.CDLL", none_like_it)
    Knot()
    collect_all()
    assert Knot.freed == 1

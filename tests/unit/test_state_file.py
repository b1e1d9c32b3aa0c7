"""Copies of a KV cache in files: what is trusted of them, and how many there are."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from easy_llama.cache_reuse import Gap, Held
from easy_llama.kv_state import KVState, StateShelf
from easy_llama.state_file import StateFileError, read_state
from easy_llama_tui.replies.chat_states import ChatStates

BINDING, OTHER = bytes(32), bytes(range(32))


def state(*ids: int, size: int = 1000, seed: int = 1) -> KVState:
    cells = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    return KVState(Held(ids or (1, 2, 3), (Gap(1, (8, 9)),), 3), cells)


@pytest.fixture
def states(tmp_path: Path) -> ChatStates:
    return ChatStates(tmp_path / "states", 10_000)


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "states").iterdir())


def saved(states: ChatStates, tmp_path: Path) -> Path:
    assert states.save("chat", state(), BINDING, 10)
    (path,) = files(tmp_path)
    return path


def test_a_state_comes_back_as_it_was(states: ChatStates, tmp_path: Path) -> None:
    path = saved(states, tmp_path)
    found = states.load("chat", BINDING)
    assert found is not None and found.held == state().held
    np.testing.assert_array_equal(found.cells, state().cells)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 or os.name == "nt"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700 or os.name == "nt"
    assert "chat" not in path.name


def test_a_later_one_of_the_chat_takes_its_place(states: ChatStates, tmp_path: Path) -> None:
    saved(states, tmp_path)
    assert states.save("chat", state(4, 5), BINDING, 10)
    found = states.load("chat", BINDING)
    assert len(files(tmp_path)) == 1 and found is not None and found.ids == (4, 5)
    assert states.load("chat", OTHER) is None and states.load("another", BINDING) is None
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("place", [0, 5, 40, 60, 100, 500, -1, -40])
def test_a_file_in_which_a_byte_is_another_is_removed(states: ChatStates, tmp_path: Path, place: int) -> None:
    path = saved(states, tmp_path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert states.load("chat", BINDING) is None
    assert files(tmp_path) == []


@pytest.mark.parametrize("length", [0, 10, 50, 100, 700, -1])
def test_a_file_that_is_cut_is_removed(states: ChatStates, tmp_path: Path, length: int) -> None:
    path = saved(states, tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    assert states.load("chat", BINDING) is None
    assert files(tmp_path) == []


def test_a_file_of_another_model_under_the_name_is_removed(states: ChatStates, tmp_path: Path) -> None:
    path = saved(states, tmp_path)
    with pytest.raises(StateFileError, match="another model"):
        read_state(path, OTHER)
    assert states.save("chat", state(), OTHER, 10)
    foreign = next(one for one in files(tmp_path) if one != path)
    foreign.replace(path)
    assert states.load("chat", BINDING) is None
    assert files(tmp_path) == []


def test_those_used_last_stay_within_the_budget(states: ChatStates, tmp_path: Path) -> None:
    for number in range(3):
        assert states.save(f"chat {number}", state(size=3_000), BINDING, 10)
        for path in files(tmp_path):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 10))
    assert states.load("chat 0", BINDING) is not None
    assert states.save("chat 3", state(size=3_000), BINDING, 10)
    kept = [number for number in range(4) if states.load(f"chat {number}", BINDING)]
    assert kept == [0, 2, 3]
    assert not states.save("large", state(size=20_000), BINDING, 10)
    assert len(files(tmp_path)) == 3


def test_what_takes_too_long_is_not_kept(states: ChatStates, tmp_path: Path) -> None:
    assert not states.save("chat", state(), BINDING, -1)
    assert files(tmp_path) == []


def test_a_deleted_chat_leaves_nothing_and_no_budget_keeps_nothing(states, tmp_path: Path) -> None:
    for binding in (BINDING, OTHER):
        assert states.save("chat", state(), binding, 10) and states.save("other", state(), binding, 10)
    states.forget("chat")
    assert len(files(tmp_path)) == 2
    states.budget = 0
    states.make_room()
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    states = ChatStates(tmp_path / "file" / "states", 10_000)
    assert not states.save("chat", state(), BINDING, 10)
    assert states.load("chat", BINDING) is None
    states.forget("chat")


class TestShelf:
    def test_what_was_used_last_stays(self) -> None:
        shelf = StateShelf(3_000)
        one, two, three = (state(number, size=1_000) for number in (1, 2, 3))
        for each in (one, two, three):
            shelf.put(each)
        shelf.touch(one)
        shelf.put(state(4))
        assert [each.ids for each in shelf.states] == [(3,), (1,), (4,)]
        shelf.put(state(5, size=4_000))
        assert len(shelf.states) == 3
        shelf.budget = 1_000
        assert [each.ids for each in shelf.states] == [(4,)]

    def test_a_longer_one_takes_the_place_of_its_beginning(self) -> None:
        shelf = StateShelf(3_000)
        shelf.put(state(1, 2))
        shelf.put(state(1, 2, 3))
        assert [each.ids for each in shelf.states] == [(1, 2, 3)]
        assert shelf.holds(state(1).held) and not shelf.holds(state(2).held)

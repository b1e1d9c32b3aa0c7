"""A model whose download broke off: the list says so of the highlighted one, before it is loaded."""

import threading
from pathlib import Path

import pytest
from support.gguf_bytes import STR, U32, entry, header, padded, tensor
from support.screen_host import show
from support.waiting import PATIENCE

from easy_llama_tui.models.model_library import find_models
from easy_llama_tui.screens import model_work
from easy_llama_tui.screens.model_screen import ModelScreen

F32 = 0
DATA = b"\0" * 4096


def screen(folder: Path) -> ModelScreen:
    return ModelScreen(
        [folder],
        [],
        None,
        lambda: 8 * 10**9,
        find=lambda folders, used: find_models(folders, used, environment={}, home=folder / "none"),
    )


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    entries = [
        entry("general.architecture", STR, "llama"),
        entry("llama.context_length", U32, 2048),
        entry("llama.block_count", U32, 2),
        entry("llama.attention.head_count", U32, 2),
        entry("llama.embedding_length", U32, 64),
    ]
    path = tmp_path / "model.gguf"
    path.write_bytes(padded(header(entries, [tensor("a.weight", (1024,), F32, 0)])) + DATA)
    return path


async def test_a_whole_file_is_loaded_at_once(whole: Path) -> None:
    async with show(screen(whole.parent)) as reader:
        await reader.until_seen("▸ model")
        await reader.pilot.press("enter")
        assert await reader.ended() == whole


async def test_a_truncated_file_is_told_and_loaded_only_when_asked_again(whole: Path) -> None:
    whole.write_bytes(whole.read_bytes()[:-1000])
    async with show(screen(whole.parent)) as reader:
        await reader.until_seen("is truncated", "download it again")
        assert "error" in reader.pointed()
        await reader.pilot.press("enter")
        await reader.until_seen("Enter again loads it anyway.")
        assert reader.is_open
        await reader.pilot.press("enter")
        assert await reader.ended() == whole


async def test_enter_waits_until_the_file_was_looked_at(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole.write_bytes(whole.read_bytes()[:-1000])
    may_look = threading.Event()
    open_gguf = model_work.open_gguf

    def held(path: Path) -> object:
        assert may_look.wait(PATIENCE)
        return open_gguf(path)

    monkeypatch.setattr(model_work, "open_gguf", held)
    async with show(screen(whole.parent)) as reader:
        await reader.until_seen("▸ model", "fits")
        await reader.pilot.press("enter", "enter")
        assert reader.is_open
        may_look.set()
        await reader.until_seen("Enter again loads it anyway.", "truncated:")
        assert reader.is_open


async def test_only_the_highlighted_file_is_looked_at(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (whole.parent / f"other-{number:02}.gguf").write_bytes(whole.read_bytes())
    looked: list[Path] = []
    open_gguf = model_work.open_gguf
    monkeypatch.setattr(model_work, "open_gguf", lambda path: (looked.append(path), open_gguf(path))[1])
    async with show(screen(whole.parent)) as reader:
        await reader.until(lambda: looked)
        await reader.until_seen("21")
        await reader.pilot.press("down")
        await reader.until(lambda: looked and looked[-1].stem in reader.pointed())
        assert len(looked) <= 3

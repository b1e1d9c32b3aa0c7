"""Choosing a model: what is listed, in which order, what typing finds, and what Enter does."""

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from support.gguf_bytes import ARR, STR, TENSORS, U32, array, entry, header, padded
from support.screen_host import ScreenReader, show
from textual import events

from easy_llama_tui.models.model_library import DetailsCache, ModelDetails, ModelFile, find_models
from easy_llama_tui.models.model_sources import Notice
from easy_llama_tui.screens.model_screen import ModelScreen

GB = 10**9
NOWHERE: dict[str, str] = {}


def gguf(architecture: str = "llama", size: str = "8B") -> bytes:
    numbers = {
        "context_length": 8192,
        "block_count": 32,
        "attention.head_count": 32,
        "attention.head_count_kv": 8,
        "embedding_length": 4096,
    }
    entries = [
        entry("general.architecture", STR, architecture),
        entry("general.size_label", STR, size),
        *(entry(f"{architecture}.{key}", U32, value) for key, value in numbers.items()),
        entry("tokenizer.ggml.tokens", ARR, array(STR, ["<s>", "a"])),
    ]
    return padded(header(entries, TENSORS))


class Disk:
    """A folder of models whose sizes are as large as told, and take no room."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, size: float = 1, data: bytes | None = None, age: int = 0) -> Path:
        path = self.folder / f"{name}.gguf"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = gguf() if data is None else data
        with path.open("wb") as file:
            file.write(data)
            file.truncate(max(int(size * GB), len(data)))
        os.utime(path, (2_000_000_000 - age, 2_000_000_000 - age))
        return path

    def find(self, folders: Iterable[str | Path], used: Iterable[str | Path]) -> Iterator[ModelFile | Notice]:
        yield from find_models(folders, used, environment=NOWHERE, home=self.folder / "no-home")

    def screen(self, used: Iterable[Path] = (), current: Path | None = None, free: int | None = 8 * GB):
        return ModelScreen([self.folder], list(used), current, lambda: free, find=self.find)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    folder = tmp_path / "models"
    folder.mkdir()
    return Disk(folder)


def names(reader: ScreenReader) -> list[str]:
    """The models in the list, top to bottom."""
    rows = [line.strip(" │▸") for line in reader.lines() if " GB " in line]
    return [row.split()[0] for row in rows if row and "·" not in row and not row.startswith("Needs")]


async def paste(reader: ScreenReader, text: str) -> None:
    assert reader.app.screen.focused is not None
    reader.app.screen.focused.post_message(events.Paste(text))
    await reader.pilot.pause()


# The list


async def test_used_models_come_first_and_then_the_newest(disk: Disk) -> None:
    old = disk.add("old", age=90)
    new, newest, used = disk.add("new", age=10), disk.add("newest"), disk.add("used", age=50)
    async with show(disk.screen([old, used], current=old)) as reader:
        await reader.until(lambda: names(reader) == ["old", "used", "newest", "new"])
        assert reader.pointed().startswith("old ●")
        await reader.until_seen("Needs about 2.07 GB of 8.00 GB free.", "in use · llama · 8B")
        await reader.pilot.press("down", "down", "enter")
        assert await reader.ended() == newest
    assert new.exists()


async def test_a_row_tells_what_the_header_does(disk: Disk) -> None:
    disk.add("tiny-Q4_K_M", 4.92)
    async with show(disk.screen()) as reader:
        await reader.until_seen("fits")
        assert reader.pointed().split() == [
            "tiny-Q4_K_M",
            "Q4_K_M",
            "8B",
            "4.92",
            "GB",
            "8,192",
            "fits",
            "folder",
        ]
        heads = ["Name", "Quant", "Params", "Size", "Context", "Memory", "From"]
        assert reader.line("Name").split() == heads
        lines = reader.lines()
        head, row = (next(line for line in lines if part in line) for part in ("Name", "▸"))
        assert [head.index(text) for text in ("Name", "Quant", "Memory", "From")] == [
            row.rindex(text) for text in ("tiny", "Q4_K_M", "fits", "folder")
        ]


@pytest.mark.parametrize(
    ("free", "word", "said"),
    [
        (8 * GB, "fits", "Needs about 5.07 GB of 8.00 GB free."),
        (5 * GB, "tight", "tight"),
        (3 * GB, "too big", "of 3.00 GB free: too big."),
        (None, "unknown", "how much memory is free is not known"),
    ],
)
async def test_whether_it_fits_is_told_in_words(disk: Disk, free: int | None, word: str, said: str) -> None:
    disk.add("m", 4)
    async with show(disk.screen(free=free)) as reader:
        await reader.until_seen(word, said)
        assert word in reader.pointed()


async def test_split_files_are_one_model_and_projectors_none(disk: Disk) -> None:
    first = disk.add("big-00001-of-00002", 2)
    disk.add("big-00002-of-00002", 1)
    disk.add("eyes", 1, gguf("clip"))
    async with show(disk.screen()) as reader:
        await reader.until(lambda: names(reader) == ["big"])
        await reader.until_seen("3.00 GB", "2 files", "1 · Enter loads")
        await reader.pilot.press("enter")
        assert await reader.ended() == first


async def test_headers_in_sight_are_read_before_the_others(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        disk.add(f"model-{number:03d}", age=number)
    read: list[str] = []
    go_on = threading.Event()

    class Noting(DetailsCache):
        def read(self, file: ModelFile) -> ModelDetails:
            if len(read) == 35:
                go_on.wait(10)
            read.append(file.name)
            return super().read(file)

    monkeypatch.setattr("easy_llama_tui.screens.model_work.N_HEADERS", 10)
    screen = ModelScreen([disk.folder], [], None, lambda: 8 * GB, Noting(), find=disk.find)
    async with show(screen) as reader:
        try:
            await reader.until(lambda: len(read) == 35)
            await reader.pilot.press("ctrl+end")
            await reader.until_seen("▸ model-199", "Reading its header …")
        finally:
            go_on.set()
        await reader.until(lambda: len(read) == 200)
        assert read.index("model-199") < 70, "those that are not seen came first"
        assert sorted(read) == [f"model-{number:03d}" for number in range(200)]


async def test_the_list_is_used_while_the_search_goes_on(disk: Disk) -> None:
    first = disk.add("first")
    go_on = threading.Event()

    def find(folders: Iterable[str | Path], used: Iterable[str | Path]) -> Iterator[ModelFile | Notice]:
        yield from disk.find(folders, used)
        threading.Event().wait(0.06)  # a little longer than models are gathered
        yield Notice("slow")
        go_on.wait(10)

    screen = ModelScreen([disk.folder], [], None, lambda: 8 * GB, find=find)
    async with show(screen) as reader:
        try:
            await reader.until_seen("▸ first", "1 … ·", "⚠ slow")
            await reader.until_seen("fits")
            await reader.pilot.press("enter")
            assert await reader.ended() == first
        finally:
            go_on.set()


async def test_the_highlight_stays_on_its_model_when_others_are_found(disk: Disk) -> None:
    disk.add("one", age=5)
    two = disk.add("two", age=6)
    found = list(disk.find([disk.folder], []))
    newer = disk.add("newer")
    go_on = threading.Event()

    def find(folders: Iterable[str | Path], used: Iterable[str | Path]) -> Iterator[ModelFile | Notice]:
        yield from found
        threading.Event().wait(0.06)
        yield Notice("slow")
        go_on.wait(10)
        yield from (one for one in disk.find(folders, used) if one not in found)

    screen = ModelScreen([disk.folder], [], None, lambda: 8 * GB, find=find)
    async with show(screen) as reader:
        await reader.until(lambda: names(reader) == ["one", "two"])
        await reader.pilot.press("down")
        go_on.set()
        await reader.until(lambda: names(reader) == [newer.stem, "one", "two"])
        assert reader.pointed().startswith("two")
        await reader.until_seen("fits")
        await reader.pilot.press("enter")
        assert await reader.ended() == two


# Typing


async def test_typing_finds_by_any_word(disk: Disk) -> None:
    disk.add("Qwen2.5-7B-Q4_K_M", age=1)
    llama = disk.add("Llama-3.1-8B-Q5_K_S", age=2, data=gguf("llama"))
    disk.add("gemma-2", age=3, data=gguf("gemma2", "2B"))
    async with show(disk.screen()) as reader:
        await reader.until(lambda: len(names(reader)) == 3)
        await reader.until(lambda: "…" not in reader.text())
        await reader.type("8b q5")
        await reader.until(lambda: names(reader) == [llama.stem])
        assert "1 of 3 ·" in reader.text()
        await reader.pilot.press("ctrl+u")
        await reader.type("gemma2 2b")
        await reader.until(lambda: names(reader) == ["gemma-2"])
        await reader.pilot.press("ctrl+u")
        await reader.type("zzz")
        await reader.until_seen("None of 3 models matches.")
        await reader.pilot.press("enter")
        assert reader.is_open


@pytest.mark.parametrize("key", ["escape", "f3", "ctrl+c"])
async def test_it_closes_without_a_choice(disk: Disk, key: str) -> None:
    disk.add("m")
    async with show(disk.screen()) as reader:
        await reader.type("m")
        await reader.pilot.press(key)
        assert await reader.ended() is None


async def test_keys_go_through_a_long_list(disk: Disk) -> None:
    for number in range(60):
        disk.add(f"m-{number:02d}", age=number)
    async with show(disk.screen(), size=(80, 24)) as reader:
        await reader.until_seen("▸ m-00", "60 · ")
        await reader.pilot.press("pagedown", "down")
        await reader.until(lambda: int(reader.pointed()[2:4]) > 10)
        await reader.pilot.press("ctrl+end")
        await reader.until_seen("▸ m-59")
        await reader.pilot.press("down", "pageup", "ctrl+home", "up")
        await reader.until_seen("▸ m-00")


# What speaks against a model


@pytest.mark.parametrize(
    ("data", "size", "word", "said"),
    [
        (gguf("nomic-bert"), 1, "no chat", "One cannot chat with it: an embedding model."),
        (gguf(), 40, "too big", "Needs about 41.1 GB of 8.00 GB free: too big."),
        (b"GGUF\3\0\0", 0, "error", "damaged"),
    ],
    ids=["embedding", "too big", "damaged"],
)
async def test_what_speaks_against_it_is_said_before_it_is_loaded(
    disk: Disk, data: bytes, size: int, word: str, said: str
) -> None:
    doubtful, _ = disk.add("doubtful", size, data), disk.add("other", age=5)
    async with show(disk.screen()) as reader:
        await reader.until_seen(word, said)
        assert reader.pointed().startswith("doubtful")
        await reader.pilot.press("enter")
        await reader.until_seen("Enter again loads it anyway.")
        await reader.pilot.press("down", "up")
        await reader.until(lambda: "Enter again" not in reader.text())
        await reader.pilot.press("enter")
        await reader.until_seen("Enter again loads it anyway.")
        assert reader.is_open
        await reader.pilot.press("enter")
        assert await reader.ended() == doubtful


async def test_missing_parts_are_told(disk: Disk) -> None:
    disk.add("big-00001-of-00003")
    async with show(disk.screen()) as reader:
        await reader.until_seen("error", "Of its 3 files 2 are missing; download the model again.")


async def test_enter_waits_for_a_header_that_is_not_read_yet(disk: Disk) -> None:
    path = disk.add("m")
    go_on = threading.Event()

    class Slow(DetailsCache):
        def read(self, file: ModelFile) -> ModelDetails:
            go_on.wait(10)
            return super().read(file)

    screen = ModelScreen([disk.folder], [], None, lambda: 8 * GB, Slow(), find=disk.find)
    async with show(screen) as reader:
        try:
            await reader.until_seen("▸ m", "Reading its header …")
            await reader.pilot.press("enter")
            await reader.until_seen("Enter again loads it anyway.")
            assert reader.is_open
        finally:
            go_on.set()
        assert await reader.ended() == path


# Paths


@pytest.mark.parametrize("form", ["{}", "'{}'", '"{}"', "file://{}", "{}\n"])
async def test_a_pasted_path_is_opened(disk: Disk, tmp_path: Path, form: str) -> None:
    path = Disk(tmp_path / "elsewhere").add("mine")
    disk.add("other")
    async with show(disk.screen()) as reader:
        await reader.until_seen("▸ other")
        await paste(reader, form.format(path))
        await reader.pilot.press("enter")
        assert await reader.ended() == path


async def test_spaces_may_be_protected_as_in_a_shell(disk: Disk, tmp_path: Path) -> None:
    path = Disk(tmp_path / "else where").add("my model")
    async with show(disk.screen()) as reader:
        await paste(reader, str(path).replace(" ", "\\ "))
        await reader.until_seen("▸ Open", "Needs about")
        await reader.pilot.press("enter")
        assert await reader.ended() == path


async def test_a_path_that_leads_nowhere_is_not_opened(disk: Disk) -> None:
    disk.add("other")
    async with show(disk.screen()) as reader:
        await paste(reader, str(disk.folder / "none.gguf"))
        await reader.pilot.press("enter")
        await reader.until_seen("▸ Open", "There is no such file.")
        await reader.pilot.press("enter")
        assert reader.is_open
        await reader.pilot.press("ctrl+u")
        await paste(reader, str(disk.folder))
        await reader.until_seen("This is a folder.", 'folders = ["~/models"]')


async def test_a_name_with_a_slash_still_finds_models(disk: Disk) -> None:
    model = disk.add("Qwen/tiny")
    async with show(disk.screen()) as reader:
        await reader.until_seen("▸ tiny")
        await reader.type("wen/tin")
        await reader.until_seen("Open wen/tin", "▸ tiny")
        await reader.until_seen("Needs about")
        await reader.pilot.press("enter")
        assert await reader.ended() == model


# Nothing, and what could not be looked at


async def test_where_nothing_is_found_it_tells_where_it_looked_and_what_to_do(disk: Disk) -> None:
    screen = ModelScreen(
        [disk.folder],
        [],
        None,
        lambda: None,
        find=disk.find,
        looked_in=lambda: [f"/place/{n}" for n in range(30)],
    )
    async with show(screen, size=(40, 12)) as reader:
        await reader.until_seen("No models found.", "[model]")
        await reader.pilot.press("pagedown", "down")
        await reader.until_seen("/place/0")
        await reader.pilot.press("enter", "escape")
        assert await reader.ended() is None


async def test_what_could_not_be_looked_at_is_one_line(disk: Disk) -> None:
    disk.add("m")
    missing = [disk.folder / "gone", disk.folder / "also\x1b[31m"]
    screen = ModelScreen([disk.folder, *missing], [], None, lambda: None, find=disk.find)
    async with show(screen, size=(200, 30)) as reader:
        await reader.until_seen("⚠ The folder", "does not exist", "(and 1 more)", "▸ m")
        assert len([line for line in reader.lines() if "⚠" in line]) == 1


# How it looks


@pytest.mark.parametrize("size", [(40, 12), (60, 18), (80, 24), (120, 36), (300, 60)])
async def test_columns_give_way_but_not_the_name_and_the_fit(disk: Disk, size: tuple[int, int]) -> None:
    disk.add("Some-Model-With-A-Long-Name-8B-Q4_K_M", 40)
    for number in range(30):
        disk.add(f"other-{number}", age=number + 1)
    async with show(disk.screen(), size=size) as reader:
        await reader.until_seen("▸ Some", "too big", "Esc closes", "Enter loads")
        row = reader.pointed()
        assert ("8,192" in row) == (size[0] >= 80)
        assert ("folder" in row) == (size[0] >= 120)
        assert ("40.0 GB" in row) == (size[0] >= 60)
        assert len([line for line in reader.lines() if "other-" in line]) >= 3
        assert all("│" in line or "─" in line for line in reader.lines() if line.strip() and size[0] < 130)


async def test_hostile_names_are_shown_as_text(disk: Disk) -> None:
    disk.add("[red]x\x1b[31m\n\u202eevil")
    async with show(disk.screen()) as reader:
        await reader.until_seen("▸ [red]x␛[31m \ufffdevil")
        assert "\x1b" not in reader.text() and "\u202e" not in reader.text()


async def test_a_click_highlights_and_another_loads(disk: Disk) -> None:
    disk.add("one")
    two = disk.add("two", age=5)
    async with show(disk.screen()) as reader:
        await reader.until_seen("▸ one", "fits")
        y = next(y for y, line in enumerate(reader.lines()) if " two " in line)
        await reader.pilot.click(offset=(10, y))
        await reader.until_seen("▸ two")
        assert reader.is_open
        await reader.until(lambda: "fits" in reader.pointed())
        await reader.pilot.click(offset=(10, y))
        assert await reader.ended() == two

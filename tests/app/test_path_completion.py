"""Naming a file in the prompt: what is offered, and what the keys do meanwhile."""

from pathlib import Path

import pytest
from support.prompt_host import PromptHost, prompt_host
from textual.events import Key

from easy_llama_tui.drafts.path_matches import MAX_ENTRIES, PathFinder
from easy_llama_tui.widgets.path_completion import MAX_ROWS
from easy_llama_tui.widgets.prompt_input import PromptInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    for name in ("notes.txt", "Nora.md", "my notes.txt", "src/main.py", "src/maths.py", "my dir/x", ".env"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("text")
    return folder


def sent(host: PromptHost) -> list[str]:
    return [message.text for message in host.told(PromptInput.Submitted)]


def shown(host: PromptHost) -> list[str]:
    """The rows of the list as they are drawn."""
    if not host.completion.display:
        return []
    return [row.rstrip() for row in host.completion.render().plain.split("\n")]


class TestWhatIsOffered:
    async def test_names_that_begin_so_and_then_those_that_hold_it(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("see @")
            assert shown(host) == ["  my dir/", "  my notes.txt", "  Nora.md", "  notes.txt", "  src/"]
            await host.type("no")
            assert shown(host) == ["  Nora.md", "  notes.txt", "  my notes.txt"]
            await host.type("tes")
            assert host.offered == ["notes.txt", "my notes.txt"]
            await host.press("backspace", "backspace", "backspace", "backspace", "backspace")
            assert len(host.offered) == 5
            await host.press("backspace")
            assert shown(host) == []

    @pytest.mark.parametrize(
        ("text", "offered"),
        [
            ("@src/ma", ["main.py", "maths.py"]),
            ("(@src/", ["main.py", "maths.py"]),
            ('@"my n', ["my notes.txt"]),
            ("@'my", ["my dir/", "my notes.txt"]),
            ("@.", [".env"]),
            ("@./N", ["Nora.md", "notes.txt", "my notes.txt"]),
            ("@~", ["~/"]),
            ("@src/main.py", []),
            ("@nothing", []),
            ("me@no", []),
            ("\\@no", []),
            ("@no ", []),
            ("@no/such/", []),
            ("@notes.txt/", []),
            ('@"my notes.txt"', []),
            ("@\\", []),
        ],
    )
    async def test_a_word_that_begins_with_the_sign(
        self, folder: Path, text: str, offered: list[str]
    ) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type(text)
            assert host.offered == offered

    async def test_the_persons_own_folder(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(folder))
        async with prompt_host(folder=folder.parent) as host:
            await host.type("@~/no")
            await host.press("tab")
            assert host.prompt.text == "@~/Nora.md "
            (attachment,) = host.prompt.attachments
            assert attachment.path == folder / "Nora.md"

    async def test_many_are_seen_eight_rows_at_a_time(self, tmp_path: Path) -> None:
        for number in range(30):
            (tmp_path / f"f{number:02}").touch()
        async with prompt_host(folder=tmp_path) as host:
            await host.type("@")
            assert host.completion.size.height == MAX_ROWS
            assert shown(host)[0] == "  f00"
            assert shown(host)[-1] == "  1–7 of 30"
            await host.press("up")
            assert shown(host)[-2:] == ["▸ f29", "  24–30 of 30"]
            await host.press("down", "down")
            assert shown(host)[1] == "▸ f01"

    async def test_names_that_could_drive_the_terminal_are_not(self, tmp_path: Path) -> None:
        for name in ("\x1b]0;x\x07", "a\nb", "[red]ok"):
            (tmp_path / name).touch()
        (tmp_path / "b\u202e").touch()
        async with prompt_host(folder=tmp_path) as host:
            await host.type("@")
            assert shown(host) == ["  [red]ok"]

    async def test_a_folder_that_changes_is_read_again(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("@zo")
            assert host.offered == []
            (folder / "zoo").touch()
            await host.type("o")
            await host.press("backspace")
            assert host.offered == ["zoo"]

    def test_a_huge_folder_is_read_in_part(self, tmp_path: Path) -> None:
        for number in range(MAX_ENTRIES + 10):
            (tmp_path / str(number)).touch()
        assert len(PathFinder().matches("", tmp_path)) <= MAX_ENTRIES


class TestKeys:
    @pytest.mark.parametrize("key", ["tab", "right"])
    async def test_the_first_is_written(self, folder: Path, key: str) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("see @note")
            await host.press(key, "o", "k")
            assert host.prompt.text == "see @notes.txt ok"
            assert host.prompt.has_focus
            assert host.offered == []

    async def test_the_arrows_choose_and_enter_writes(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("@no")
            await host.press("down", "down")
            assert shown(host) == ["  Nora.md", "▸ notes.txt", "  my notes.txt"]
            await host.press("down", "down", "up", "enter")
            assert host.prompt.text == '@"my notes.txt" '
            assert sent(host) == []
            await host.press("enter")
            assert sent(host) == ['@"my notes.txt" ']

    async def test_enter_sends_where_nothing_was_chosen(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("hello @no")
            await host.press("enter")
            assert sent(host) == ["hello @no"]
            assert shown(host) == []

    async def test_typing_on_chooses_anew(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("@n")
            await host.press("down", "o", "enter")
            assert sent(host) == ["@no"]

    async def test_a_folder_is_gone_into(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("@sr")
            await host.press("tab")
            assert (host.prompt.text, host.offered) == ("@src/", ["main.py", "maths.py"])
            await host.press("down", "down", "enter")
            assert host.prompt.text == "@src/maths.py "

    async def test_a_folder_with_a_space_too(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("@my")
            await host.press("tab")
            assert (host.prompt.text, host.offered) == ('@"my dir/', ["x"])
            await host.press("tab")
            assert host.prompt.text == '@"my dir/x" '
            (attachment,) = host.prompt.attachments
            assert attachment.problem is None

    async def test_escape_closes_the_list_for_this_word(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("@no")
            await host.press("escape")
            assert shown(host) == []
            await host.type("t")
            assert shown(host) == []
            await host.type(" @no")
            assert len(host.offered) == 3
            assert host.prompt.text == "@not @no"

    async def test_escape_closes_the_list_before_it_leaves_a_mode(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.press("less_than_sign", "enter")
            await host.type("@no")
            await host.press("escape")
            assert host.prompt.mode == "opening"
            await host.press("escape")
            assert host.prompt.mode == "message"

    async def test_the_keys_are_the_prompts_while_it_is_closed(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("a\nb")
            await host.press("up", "left", "right", "c")
            assert host.prompt.text == "ac\nb"
            await host.press("tab")
            assert not host.prompt.has_focus

    async def test_keys_that_come_at_once_keep_their_order(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            for key in ("@", "s", "tab", "m", "a", "i", "tab", "x"):
                host.prompt.post_message(Key(key, key if len(key) == 1 else None))
            await host.until(lambda: host.prompt.text.endswith("x"))
            assert host.prompt.text == "@src/main.py x"

    async def test_in_the_middle_of_a_text_only_the_word_is_replaced(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("see (@no) now")
            await host.press(*["left"] * 5, "down", "enter")
            assert host.prompt.text == "see (@Nora.md) now"
            await host.press("x")
            assert host.prompt.text == "see (@Nora.mdx) now"

    async def test_within_a_word_nothing_is_offered(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("@notes")
            await host.press("left", "left")
            assert host.offered == []
            await host.press("right", "right")
            assert host.offered == ["notes.txt", "my notes.txt"]

    async def test_a_quote_is_not_doubled(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type('@"" now')
            await host.press(*["left"] * 5)
            await host.type("my n")
            await host.press("tab")
            assert host.prompt.text == '@"my notes.txt" now'

    async def test_what_was_written_can_be_undone(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("@note")
            await host.press("tab", "ctrl+z")
            assert host.prompt.text == "@note"


class TestMouse:
    async def test_a_click_writes_the_file(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("@no")
            await host.pilot.click("#completion", offset=(4, 1))
            assert host.prompt.text == "@notes.txt "
            await host.press("x")
            assert host.prompt.text == "@notes.txt x"

    async def test_a_click_elsewhere_closes_the_list(self, folder: Path) -> None:
        async with prompt_host(folder=folder) as host:
            await host.type("@no")
            await host.pilot.click("#other")
            assert shown(host) == []
            await host.pilot.click("#prompt", offset=(10, 0))
            assert len(host.offered) == 3


@pytest.mark.parametrize("size", [(24, 10), (40, 12), (200, 50)])
async def test_it_fits_any_window(folder: Path, size: tuple[int, int]) -> None:
    (folder / ("long" * 40)).touch()
    async with prompt_host(folder=folder, size=size) as host:
        await host.type("@lo")
        assert host.completion.size.height == 1
        assert host.completion.region.right <= size[0]
        assert host.prompt.region.bottom <= size[1]

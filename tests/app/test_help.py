"""The help: what each key does stands in a column of its own, and closing it closes nothing else."""

from dataclasses import replace

import pytest
from support.running_app import RunApp
from support.screen_host import ScreenReader, show
from textual import events

from easy_llama_tui.preferences.keymap import KeyBindings
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.screens.help_screen import HelpScreen
from easy_llama_tui.widgets.chat_list import ChatList

LONG = (
    "Does a thing that takes a great many words to tell, so that it goes on in a second row or in a third one"
)


def help_screen() -> HelpScreen:
    defaults = KeyBindings()
    first, *others = defaults.prompt
    return HelpScreen(replace(defaults, prompt=(replace(first, description=LONG), *others)))


def rows_of(reader: ScreenReader) -> list[str]:
    """The rows of the first action."""
    body = [line.rstrip(" ▁▂▃▄▅▆▇█") for line in reader.lines()]
    first = next(at for at, line in enumerate(body) if line.startswith("Enter"))
    last = next(at for at, line in enumerate(body) if "third one" in line or line.strip() == "one")
    return body[first : last + 1]


@pytest.mark.parametrize("width", [80, 100])
async def test_what_a_key_does_stays_beside_it(width: int) -> None:
    async with show(help_screen(), (width, 40)) as reader:
        await reader.until_seen("Does a thing", "third one")
        first, *others = rows_of(reader)
        column = first.index("Does")
        assert others
        assert all(row[:column].strip() == "" and row[column] != " " for row in others)


async def test_where_there_is_no_room_beside_it_goes_below() -> None:
    async with show(help_screen(), (40, 40)) as reader:
        await reader.until_seen("Does a thing", "one")
        first, *others = rows_of(reader)
        assert first == "Enter"
        assert len(others) > 2
        assert all(row.startswith("    ") and row[4] != " " for row in others)


async def test_it_follows_the_window() -> None:
    async with show(help_screen(), (80, 40)) as reader:
        await reader.until_seen("third one")
        await reader.pilot.resize_terminal(40, 40)
        await reader.until(lambda: any(line.strip(" │") == "Enter" for line in reader.lines()))
        await reader.pilot.resize_terminal(90, 40)
        await reader.until(lambda: "Does a thing that takes" in reader.line("Enter"))


@pytest.mark.parametrize("size", [(20, 5), (40, 12)])
async def test_it_can_be_read_to_its_end_in_a_small_window(size: tuple[int, int]) -> None:
    async with show(help_screen(), size) as reader:
        last = KeyBindings().name[-1].description.split()[-1]
        await reader.pilot.press("end")
        await reader.until(lambda: reader.text().split()[-1].rstrip("▁▂▃▄▅▆▇█") == last)


@pytest.mark.parametrize(
    ("opened", "keys"),
    [
        (("f1",), ("escape", "escape")),
        (("f1",), ("enter", "q", "f1")),
        (("ctrl+o",), ("enter", "enter")),
        (("ctrl+o",), ("escape", "escape")),
        (("ctrl+o", "f2"), ("enter", "enter")),
        (("f3",), ("escape", "f3")),
    ],
)
async def test_what_closes_a_screen_never_closes_the_chat_below(
    run_app: RunApp, opened: tuple[str, ...], keys: tuple[str, ...]
) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "there")
        await running.until_state(ChatState.IDLE)
        for key in opened:
            below = running.app.screen
            await running.pilot.press(key)
            await running.until(lambda below=below: running.app.screen is not below)
            await running.until(lambda: all(there.chat_rows for there in running.app.screen.query(ChatList)))
        for key in keys:
            running.app.post_message(events.Key(key, key if len(key) == 1 else None))
        for _ in range(5):
            await running.pilot.pause()
        assert running.screen in running.app.screen_stack
        assert running.said == [("user", "Hello"), ("bot", "there")]

"""The list of commands: what it offers and in which order, and that nothing is chosen twice."""

import random

import pytest
from support.running_app import RunApp, Running
from support.screen_host import ScreenReader, show
from textual import events

from easy_llama_tui.commands import commands
from easy_llama_tui.preferences.keymap import APP_KEYS, CHAT_KEYS
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.screens.palette import Palette

KEYS = (*CHAT_KEYS, *APP_KEYS)
OFFERED = [key for key in KEYS if key.id not in ("interrupt", "commands")]


class Ran(list[str]):
    """The actions that were run."""

    def palette(self, *, is_replying: bool = False) -> Palette:
        return Palette(commands(KEYS, self.append, is_replying))


def burst(app: object, *keys: str) -> None:
    """Press keys faster than anything can be drawn between them."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else None))  # type: ignore[attr-defined]


def rows(reader: ScreenReader) -> list[str]:
    """The commands that are seen, with their keys."""
    known = [key.description for key in KEYS]
    return [line for line in map(str.strip, reader.lines()) if line.startswith(tuple(known))]


# What it offers


async def test_each_command_has_one_row_with_its_key() -> None:
    async with show(Ran().palette(), (80, 24)) as reader:
        await reader.until_seen("Begin a new chat")
        seen = rows(reader)
        assert [row.rsplit("  ", 1)[-1].strip() for row in seen[:6]] == [
            *("Ctrl+N", "Ctrl+O", "F3", "F2", "F4", "F5")
        ]
        assert seen[7].split() == ["Choose", "the", "colours", "/theme"]
        assert len(seen) >= 15
        columns = {line.rstrip().rindex("  ") for line in reader.lines() if "Ctrl+N" in line or "F3" in line}
        assert len(columns) == 1


async def test_a_reply_that_runs_can_be_stopped_first_of_all() -> None:
    async with show(Ran().palette(is_replying=True)) as reader:
        await reader.until_seen("Begin a new chat")
        assert rows(reader)[0].startswith("Stop reading, writing or loading")
    async with show(Ran().palette()) as reader:
        await reader.until_seen("Begin a new chat")
        assert "Stop" not in reader.text()


@pytest.mark.parametrize("key", OFFERED, ids=lambda key: key.id)
async def test_every_action_is_found_by_its_words_and_run(key) -> None:
    ran = Ran()
    async with show(ran.palette(is_replying=True), (80, 60)) as reader:
        burst(reader.app, *("space" if one == " " else one for one in key.description), "enter")
        await reader.until(lambda: ran)
        assert ran == [key.action]


@pytest.mark.parametrize(("typed", "action"), [("f5", "panel('candidates')"), ("/theme", "theme")])
async def test_an_action_is_found_by_its_key_and_by_what_is_typed_for_it(typed: str, action: str) -> None:
    ran = Ran()
    async with show(ran.palette()) as reader:
        await reader.type(typed)
        await reader.pilot.press("enter")
        await reader.until(lambda: ran)
        assert ran == [action]


async def test_where_nothing_matches_enter_does_nothing() -> None:
    ran = Ran()
    async with show(ran.palette()) as reader:
        await reader.type("zzqq")
        await reader.until_seen("No command matches")
        await reader.pilot.press("down", "pagedown", "enter")
        assert reader.is_open
        await reader.pilot.press("ctrl+u")
        await reader.until_seen("Begin a new chat")
        await reader.pilot.press("escape")
        assert await reader.ended() is None
        assert ran == []


async def test_a_narrow_window_breaks_the_words_and_keeps_the_keys() -> None:
    async with show(Ran().palette(), (40, 12)) as reader:
        await reader.until_seen("Ctrl+N")
        await reader.type("candidates")
        await reader.until(lambda: "Begin" not in reader.text())
        assert reader.line("Show the").split()[-1] == "F5"
        assert "for the next token" in reader.text() or "next token" in reader.text()


async def test_the_highlight_stays_when_the_window_changes() -> None:
    ran = Ran()
    async with show(ran.palette()) as reader:
        await reader.pilot.press("down", "down")
        await reader.pilot.resize_terminal(60, 20)
        await reader.pilot.press("enter")
        await reader.until(lambda: ran)
        assert ran == ["model"]


# Keys that come fast


async def test_a_click_runs_a_command() -> None:
    ran = Ran()
    palette = ran.palette()
    async with show(palette) as reader:
        await reader.until_seen("Show all chats")
        await reader.pilot.click(palette.command_list, offset=(4, 2))
        await reader.until(lambda: ran)
        assert ran == ["chats"]


@pytest.mark.parametrize(
    "keys",
    [
        ("down", "enter", "enter"),
        ("enter", "enter"),
        ("enter", "enter", "enter"),
        ("down", "enter"),
    ],
)
async def test_enter_runs_one_command_however_often_it_is_pressed(keys: tuple[str, ...]) -> None:
    ran = Ran()
    async with show(ran.palette()) as reader:
        await reader.until_seen("Begin a new chat")
        below = reader.app.screen_stack[:-1]
        burst(reader.app, *keys)
        await reader.until(lambda: ran)
        await reader.pilot.pause()
        assert ran == ["chats" if "down" in keys else "new_chat"]
        assert reader.app.screen_stack == below


async def test_what_is_typed_fast_is_what_enter_runs() -> None:
    ran = Ran()
    async with show(ran.palette()) as reader:
        await reader.until_seen("Begin a new chat")
        burst(reader.app, *"quit", "enter")
        await reader.until(lambda: ran)
        assert ran == ["quit"]


@pytest.mark.parametrize("size", [(80, 24), (80, 12), (99, 8), (40, 12), (300, 60)])
@pytest.mark.parametrize("key", ["pagedown", "pageup", "ctrl+end", "ctrl+home", "up", "down"])
async def test_the_keys_that_move_work_at_any_moment(
    run_app: RunApp, size: tuple[int, int], key: str
) -> None:
    async with run_app(size=size) as running:
        await running.until_state(ChatState.IDLE)
        burst(running.app, "ctrl+p", key, key)
        await running.until(lambda: isinstance(running.app.screen, Palette))
        await running.pilot.press(key, "escape")
        await running.until(lambda: running.app.screen is running.screen)


async def test_pages_lead_to_both_ends() -> None:
    ran = Ran()
    palette = ran.palette()
    async with show(palette, (80, 16)) as reader:
        last = palette.command_list.option_count - 1
        await reader.pilot.press(*["pagedown"] * 5)
        assert palette.command_list.highlighted == last
        await reader.pilot.press("pageup")
        assert 0 < (palette.command_list.highlighted or 0) < last
        await reader.pilot.press(*["pageup"] * 5)
        assert palette.command_list.highlighted == 0


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (60, 8), (40, 9)])
async def test_the_highlighted_command_is_in_sight(size: tuple[int, int]) -> None:
    async with show(Ran().palette(), size) as reader:
        await reader.pilot.press("ctrl+end")
        await reader.until_seen("Save and quit")
        await reader.pilot.press("ctrl+home")
        await reader.until_seen("Begin a new chat")


# In the program


async def test_a_second_enter_leaves_the_chat_where_it_is(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "there")
        await running.pilot.press("ctrl+p")
        burst(running.app, "down", "enter", "enter")
        await running.until(lambda: type(running.app.screen).__name__ in ("ChatsScreen", "ChatScreen"))
        await running.pilot.pause()
        assert running.screen in running.app.screen_stack
        assert running.said == [("user", "Hello"), ("bot", "there")]


def _names(running: Running) -> list[str]:
    return [type(screen).__name__ for screen in running.app.screen_stack]


async def test_there_is_one_palette_and_none_over_another_screen(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        burst(running.app, "ctrl+p", "ctrl+p")
        await running.until(lambda: isinstance(running.app.screen, Palette))
        await running.pilot.pause()
        assert _names(running).count("Palette") == 1
        await running.pilot.press("escape", "f1")
        await running.until(lambda: _names(running)[-1] == "HelpScreen")
        await running.pilot.press("ctrl+p")
        assert _names(running)[-1] == "HelpScreen"


async def test_keys_that_move_while_the_list_changes_break_nothing() -> None:
    chance = random.Random(5)
    keys = ["pagedown", "pageup", "down", "up", "ctrl+end", "ctrl+home", "backspace", *"ecohnstz"]
    async with show(Ran().palette(), (80, 16)) as reader:
        for _ in range(60):
            burst(reader.app, *chance.choices(keys, weights=[5, 5, *[1] * 13], k=8))
            if chance.random() < 0.5:
                await reader.pilot.pause()
        await reader.pilot.press("ctrl+u")
        await reader.until_seen("Begin a new chat")

"""Random keys on each screen and panel, in windows of every size: none of them finds a way to a traceback."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.gguf_bytes import SMALL
from support.random_keys import QUITTING, Fuzz, check_saved, check_shown
from support.running_app import RunApp, Running
from support.scripted_engine import ScriptedEngine
from support.whole_app import save_chat

from easy_llama_tui.preferences.config import Config
from easy_llama_tui.preferences.keymap import KeyBindings
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.screens.chats_screen import ChatsScreen

AWAY = 4
"""After as many steps that were made elsewhere, one goes back to the screen that is looked at."""

MOVING = (
    *("up", "down", "left", "right", "pageup", "pagedown", "home", "end", "tab", "shift+tab"),
    *("enter", "backspace", "space"),
)
"""Keys that mean something on most screens."""

ROUND = 150
"""Steps that one app gets; a long run is many apps."""


@dataclass(frozen=True)
class Place:
    """A screen, or a part of one."""

    name: str
    keys: tuple[str, ...]
    """The contexts of its keys."""
    way: tuple[str, ...]
    """The keys that lead there from the chat; what begins with a slash is typed into the prompt."""
    is_there: Callable[[Running], bool]

    @property
    def own_keys(self) -> tuple[str, ...]:
        contexts = KeyBindings().contexts()
        found = [
            name
            for context in self.keys
            for key in contexts[context]
            if key.id not in QUITTING
            for name in key.names
        ]
        return (*found, *MOVING)

    async def go_there(self, fuzz: Fuzz) -> None:
        running = fuzz.running
        await fuzz.leave_what_is_open()
        await fuzz.end_reply()
        running.screen.prompt.focus()
        running.screen.prompt.clear()
        await running.pilot.pause()
        for step in self.way:
            if step.startswith("/"):
                running.screen.prompt.insert(step)
                await running.pilot.press("enter")
            else:
                await running.pilot.press(step)
                if isinstance(running.app.screen, ChatsScreen):
                    await listed(running)
        fuzz.pressed.append(f"to {self.name}")


async def listed(running: Running) -> None:
    """Wait until the chats are listed, from a thread; in a long run there may be none any more."""
    if running.store.files():
        await running.until(lambda: running.app.screen.chat_list.highlighted_chat)


def screen(name: str) -> Callable[[Running], bool]:
    return lambda running: type(running.app.screen).__name__ == name


def panel(name: str) -> Callable[[Running], bool]:
    return lambda running: (
        running.app.screen is running.screen
        and running.screen.side_panel.shown_panel == name
        and running.screen.side_panel.has_focus_within
    )


def in_message_mode(running: Running) -> bool:
    return running.app.screen is running.screen and running.screen.chat_log.cursor_id is not None


PLACES = (
    Place("chat", ("chat", "prompt", "log"), (), screen("ChatScreen")),
    Place("messages", ("messages", "chat"), ("/messages",), in_message_mode),
    Place("palette", ("palette",), ("ctrl+p",), screen("Palette")),
    Place("chats", ("chats", "pick", "chat_rows"), ("ctrl+o",), screen("ChatsScreen")),
    Place("models", ("models", "pick"), ("f3",), screen("ModelScreen")),
    Place("themes", ("pick",), ("/theme",), screen("ThemeScreen")),
    Place("tree", ("tree", "rows"), ("f7",), screen("TreeScreen")),
    Place("name of a branch", ("name",), ("f7", "a", "n"), screen("NameScreen")),
    Place("tokens", ("tokens", "token_text", "candidates", "rows"), ("/tokens",), screen("TokenScreen")),
    Place("keys of the tokens", ("help",), ("/tokens", "f1"), screen("TokenHelp")),
    Place("prompt", ("tokens", "token_text"), ("/prompt",), screen("TokenScreen")),
    Place("edit", ("edit",), ("/messages", "e"), screen("EditScreen")),
    Place("making", ("making",), ("/messages", "i"), screen("MakingScreen")),
    Place("export", ("export",), ("ctrl+o", "f7"), screen("ExportScreen")),
    Place("import", ("name",), ("ctrl+o", "f8"), screen("NameScreen")),
    Place("rename", ("name",), ("ctrl+o", "f2"), screen("NameScreen")),
    Place("help", ("help",), ("f1",), screen("HelpScreen")),
    Place("formats", ("format", "preview", "rows"), ("f2",), panel("format")),
    Place("sampler", ("sampler",), ("f4",), panel("sampler")),
    Place("candidates", ("candidates", "rows"), ("f5", "tab", "tab"), panel("candidates")),
    Place("context", ("context", "rows"), ("f9", "tab", "tab"), panel("context")),
)


async def stay() -> None:
    """What takes the place of quitting."""


async def converse(running: Running) -> None:
    """Have a chat with a few messages and branches, however it was before."""
    await running.exchange("first", "a **reply**\n\n", "```py\nx = 1\n```\n", "end ", "日本")
    running.engine.reply_with("another ", "reply")
    await running.pilot.press("ctrl+r")
    await running.until(lambda: running.screen.turns.state is ChatState.IDLE and running.path[-1].finish)


async def run(place: Place, fuzz: Fuzz, count: int) -> int:
    """Press keys at a place, and go back to it where they led away; return how often it was there."""
    running, own_keys = fuzz.running, place.own_keys
    there, away = 0, AWAY
    for _ in range(count):
        if away >= AWAY:
            if not running.path or running.screen.turns.state is ChatState.NO_MODEL:
                return there
            await place.go_there(fuzz)
            away = 0
        is_there = place.is_there(running)
        there += is_there
        away = 0 if is_there else away + 1
        await fuzz.step_on_screen(own_keys)
        check_shown(running)
        assert running.app._exception is None
    await fuzz.leave_what_is_open()
    await fuzz.end_reply()
    await running.pilot.pause()
    check_shown(running)
    await check_saved(running)
    return there


@pytest.mark.long
@pytest.mark.parametrize("first", range(7))
async def test_no_key_on_any_screen_leads_to_a_traceback(
    run_app: RunApp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    first: int,
) -> None:
    steps = int(os.environ.get("FUZZ_STEPS", 3_000 if request.config.getoption("--long") else 6))
    seed = int(os.environ.get("FUZZ_SEED", "1"))
    monkeypatch.setenv("EDITOR", "false")
    monkeypatch.delenv("VISUAL", raising=False)
    for name in ("one-Q4_0", "two-Q8_0"):
        (tmp_path / f"{name}.gguf").write_bytes(SMALL)
    (tmp_path / "notes.txt").write_text("what is in the notes\n")
    config = Config()
    config = replace(config, model=replace(config.model, folders=(str(tmp_path),)))
    for part in range(0, steps, ROUND):
        async with run_app(ScriptedEngine(), config=config) as running:
            quit_app = running.app.action_quit
            monkeypatch.setattr(running.app, "action_quit", stay)
            save_chat(running.store, "one question", "one answer")
            save_chat(running.store, "another question", "another answer")
            await running.until_state(ChatState.IDLE)
            try:
                for place in PLACES[first::7]:
                    fuzz = Fuzz(running, random.Random(f"{seed} {part} {place.name}"))
                    try:
                        await fuzz.new_chat()
                        await converse(running)
                        there = await run(place, fuzz, min(steps, ROUND))
                        assert there, f"one never comes to the {place.name}"
                    except BaseException as error:
                        error.add_note(
                            f"FUZZ_SEED={seed}, part {part}, at the {place.name}: {fuzz.pressed[-40:]}"
                        )
                        raise
            finally:
                monkeypatch.setattr(running.app, "action_quit", quit_app)

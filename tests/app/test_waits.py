"""Whatever the program waits for, Esc leaves it and so does Ctrl+C, and the chat goes on."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.gguf_bytes import SMALL
from support.running_app import RunApp, Running
from support.scripted_engine import ScriptedEngine
from support.whole_app import save_chat, text, until_screen, until_seen

from easy_llama_tui.preferences.config import Config, ModelConfig
from easy_llama_tui.replies.wording import ChatState


class Hold:
    """Stands before something that is done in a thread: whoever does it waits until the test lets go."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._may_go_on = threading.Event()
        self.is_reached = threading.Event()

    def put_before(self, target: str, done: Callable[..., object]) -> None:
        def wait(*args: object, **named: object) -> object:
            self.is_reached.set()
            assert self._may_go_on.wait(60)
            return done(*args, **named)

        self._patch.setattr(target, wait)

    def let_go(self) -> None:
        self._may_go_on.set()


@pytest.fixture
def hold(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hold]:
    hold = Hold(monkeypatch)
    yield hold
    hold.let_go()


@dataclass(frozen=True)
class Wait:
    """Something that may take long."""

    begin: Callable[[Running, Hold], Awaitable[None]]
    """Leads there, until nothing more happens."""
    keys: int = 1
    """How often the key is pressed at most: once for each thing that is left."""


async def reading(running: Running, hold: Hold) -> None:
    await running.send("Hello")
    await running.until_state(ChatState.READING)


async def writing(running: Running, hold: Hold) -> None:
    running.engine.say("Half")
    await running.send("Hello")
    await running.until(lambda: running.said[-1] == ("bot", "Half"))


async def figures(running: Running, hold: Hold) -> None:
    running.engine.may_score.clear()
    await running.send("/tokens")
    await until_seen(running, "computing")


async def candidates_of_a_token(running: Running, hold: Hold) -> None:
    await running.send("/tokens")
    await until_seen(running, "Token 1 of", "perplexity")
    running.engine.may_score.clear()
    await running.pilot.press("right")
    await running.until(lambda: running.engine.scored[-1].candidates)


async def list_of_chats(running: Running, hold: Hold) -> None:
    from easy_llama_tui.chats.chat_index import ChatIndex

    hold.put_before("easy_llama_tui.chats.chat_index.ChatIndex.chats", ChatIndex.chats)
    await running.pilot.press("ctrl+o")
    await until_seen(running, "Reading the chats")
    await running.until(hold.is_reached.is_set)


async def search_of_chats(running: Running, hold: Hold) -> None:
    from easy_llama_tui.chats.chat_search import search

    await to_chats(running)
    hold.put_before("easy_llama_tui.screens.chats_screen.search", search)
    await running.type("zebra")
    await running.until(hold.is_reached.is_set)
    await until_seen(running, "searching")


async def importing(running: Running, hold: Hold) -> None:
    from easy_llama_tui.chats.chat_import import transcript_in

    await to_chats(running)
    hold.put_before("easy_llama_tui.screens.chat_actions.transcript_in", transcript_in)
    await running.pilot.press("f8")
    await until_screen(running, "NameScreen")
    await running.send("chat.md")
    await running.until(hold.is_reached.is_set)


async def exporting(running: Running, hold: Hold) -> None:
    from easy_llama_tui.chats.chat_exchange import export_chat

    await to_chats(running)
    hold.put_before("easy_llama_tui.screens.chat_actions.export_chat", export_chat)
    await running.pilot.press("f7")
    await until_screen(running, "ExportScreen")
    await running.pilot.press("enter")
    await running.until(hold.is_reached.is_set)


async def search_of_models(running: Running, hold: Hold) -> None:
    from easy_llama_tui.models.model_search import search

    hold.put_before("easy_llama_tui.screens.model_work.search", search)
    await running.pilot.press("f3")
    await until_screen(running, "ModelScreen")
    await running.until(hold.is_reached.is_set)


async def headers_of_models(running: Running, hold: Hold) -> None:
    from easy_llama_tui.models.model_search import with_details

    hold.put_before("easy_llama_tui.screens.model_work.with_details", with_details)
    await running.pilot.press("f3")
    await until_screen(running, "ModelScreen")
    await running.until(hold.is_reached.is_set)


async def to_chats(running: Running) -> None:
    await running.pilot.press("ctrl+o")
    await until_screen(running, "ChatsScreen")
    await running.until(lambda: "another question" in text(running))


WAITS = {
    "a prompt is read": Wait(reading),
    "a reply is written": Wait(writing),
    "the figures of a text are computed": Wait(figures, keys=2),
    "candidates are computed": Wait(candidates_of_a_token, keys=2),
    "the chats are listed": Wait(list_of_chats),
    "the chats are searched": Wait(search_of_chats),
    "a chat is imported": Wait(importing),
    "a chat is exported": Wait(exporting),
    "models are searched": Wait(search_of_models),
    "headers of models are read": Wait(headers_of_models),
}


def is_left(running: Running) -> bool:
    turns = running.screen.turns
    return running.app.screen is running.screen and turns.running is None and turns.state is ChatState.IDLE


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
@pytest.mark.parametrize("name", WAITS)
async def test_a_wait_can_be_left(
    run_app: RunApp, tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch, name: str, key: str
) -> None:
    (tmp_path / "one-Q4_0.gguf").write_bytes(SMALL)
    config = Config(model=ModelConfig(folders=(str(tmp_path),)))
    engine = ScriptedEngine()
    async with run_app(engine, config=config, size=(120, 36)) as running:
        save_chat(running.store, "another question", "another answer")
        await running.exchange("first", "a ", "reply")
        wait = WAITS[name]
        await wait.begin(running, hold)
        assert not is_left(running)
        for _ in range(wait.keys):
            if not is_left(running):
                await running.pilot.press(key)
        await running.until(lambda: is_left(running))
        assert not hold._may_go_on.is_set(), "nothing has ended that was waited for"
        # And all is well: what was waited for disturbs nothing when it ends after all.
        engine.may_score.set()
        hold.let_go()
        await running.exchange("again", "yes")
        assert running.said[-1] == ("bot", "yes")


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_a_message_that_waits_for_the_model_can_be_taken_back(run_app: RunApp, key: str) -> None:
    engine = ScriptedEngine(hold_loading=True)
    async with run_app(engine) as running:
        await running.send("early")
        await running.pilot.press(key)
        assert running.screen.turns.running is None and running.path[-1].finish == "interrupted"
        engine.loaded.set()
        await running.exchange("again", "yes")


async def test_loading_can_be_left_with_the_program(run_app: RunApp) -> None:
    engine = ScriptedEngine(hold_loading=True)
    async with run_app(engine) as running:
        await running.until(lambda: engine.loads)
        for _ in range(4):  # it may take one to stop the loading
            if running.screen._left is None:
                await running.pilot.press("ctrl+c")
        await running.until(lambda: running.screen._left)
        assert running.app.left_cleanly and engine.closed.is_set()


@pytest.mark.parametrize("doing", ["rendering", "writing"])
async def test_an_engine_that_never_answers_is_left_with_ctrl_c(
    run_app: RunApp, hold: Hold, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    engine = ScriptedEngine()
    engine.ignores_cancel = True
    monkeypatch.setattr("easy_llama_tui.replies.engine_worker.EngineWorker.close.__defaults__", (0.05,))
    async with run_app(engine) as running:
        await running.exchange("first", "a reply")
        if doing == "rendering":
            hold.put_before("support.scripted_engine.ScriptedEngine.render", ScriptedEngine.render)
        await running.send("Hello")
        if doing == "rendering":
            await running.until(hold.is_reached.is_set)
        await running.pilot.press("escape")
        assert running.screen.turns.state is ChatState.STOPPING
        await running.type("a draft")
        assert running.screen.prompt.text == "a draft", "one can write meanwhile"
        await running.pilot.press("ctrl+c")
        assert running.screen.prompt.text == ""
        await running.pilot.press("ctrl+c", "ctrl+c")
        await running.until(lambda: running.screen._left is not None)
        assert not running.app.left_cleanly
        assert running.store.load(running.screen.chat.id).messages[-1].finish == "interrupted"
        hold.let_go()
        engine.reply_with("at last")

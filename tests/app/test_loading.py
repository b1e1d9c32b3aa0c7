"""Loading can be stopped at any time, with the chat as it was, and any model loaded afterwards."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.gguf_bytes import SMALL
from support.running_app import RunApp, Running
from support.scripted_engine import ScriptedEngine
from support.whole_app import notices, text, until_screen, until_seen

from easy_llama_tui.preferences.config import Config, ModelConfig
from easy_llama_tui.replies.wording import ChatState


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("first-Q4_0", "second-Q8_0"):
        (folder / f"{name}.gguf").write_bytes(SMALL)
    return folder


def searching(folder: Path) -> Config:
    return replace(Config(), model=ModelConfig(folders=(str(folder),)))


async def choose_model(running: Running, name: str) -> None:
    await running.pilot.press("f3")
    await until_screen(running, "ModelScreen")
    await running.type(name)
    await until_seen(running, f"▸ {name}")
    await running.until(lambda: "1 of 2 ·" in text(running))
    await running.pilot.press("enter")
    await running.until(lambda: running.app.screen is running.screen)


def loaded_names(running: Running) -> list[str]:
    return [options.path.stem for options in running.engine.loads]


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_a_key_stops_loading_and_another_model_is_chosen(
    run_app: RunApp, models: Path, key: str
) -> None:
    engine = ScriptedEngine(hold_loading=True)
    async with run_app(engine, config=searching(models)) as running:
        await running.until(lambda: engine.loads)
        assert running.screen.status_bar.keys[0] == ("Esc", "stop loading")
        await running.type("a draft")
        await running.pilot.press(key)
        assert running.screen.turns.state is ChatState.NO_MODEL
        assert running.screen.prompt.text == "a draft"
        assert "tiny Q4_0 is not loaded. F3 loads it, or another one." in notices(running)
        assert running.screen._left is None and not running.app.failure
        await choose_model(running, "second")
        await running.until_state(ChatState.LOADING)
        engine.loaded.set()
        await running.until_state(ChatState.IDLE)
        assert engine.closed.is_set(), "what was stopped is freed"
        assert loaded_names(running) == ["tiny-Q4_0", "second-Q8_0"]
        engine.reply_with("answer")
        await running.pilot.press("enter")
        await running.until(lambda: running.said == [("user", "a draft"), ("bot", "answer")])


async def test_the_same_model_can_be_loaded_after_all(run_app: RunApp, models: Path) -> None:
    engine = ScriptedEngine()
    async with run_app(engine, config=searching(models)) as running:
        await running.until_state(ChatState.IDLE)
        await choose_model(running, "first")
        await running.until_state(ChatState.IDLE)
        engine.loaded.clear()
        for _ in range(2):
            await choose_model(running, "second")
            await running.until(lambda: loaded_names(running)[-1] == "second-Q8_0")
            await running.pilot.press("escape")
            await running.until(lambda: loaded_names(running)[-1] == "first-Q4_0")
            engine.loaded.set()
            await running.until_state(ChatState.IDLE)
            assert Path(running.screen.chat.model.path).stem == "first-Q4_0"
            engine.loaded.clear()
        await choose_model(running, "second")
        engine.loaded.set()
        await running.until_state(ChatState.IDLE)
        assert loaded_names(running)[-1] == "second-Q8_0"


async def test_the_model_before_comes_back_and_the_chat_goes_on(run_app: RunApp, models: Path) -> None:
    engine = ScriptedEngine()
    async with run_app(engine, config=searching(models)) as running:
        await running.exchange("Hello", "Hi")
        engine.loaded.clear()
        await choose_model(running, "second")
        await running.until(lambda: len(engine.loads) == 2)
        await running.pilot.press("escape")
        assert "tiny Q4_0 comes back; Esc stops that too" in notices(running)
        await running.until(lambda: len(engine.loads) == 3)
        assert engine.loads[2] == engine.loads[0]
        engine.loaded.set()
        await running.exchange("More", "Yes")
        assert running.shown == [("user", "Hello"), ("bot", "Hi"), ("user", "More"), ("bot", "Yes")]
        assert (await running.saved()).model.path == "/models/tiny-Q4_0.gguf"


async def test_also_that_can_be_stopped(run_app: RunApp, models: Path) -> None:
    engine = ScriptedEngine()
    async with run_app(engine, config=searching(models)) as running:
        await running.exchange("Hello", "Hi")
        engine.loaded.clear()
        await choose_model(running, "second")
        await running.pilot.press("escape", "escape")
        assert running.screen.turns.state is ChatState.NO_MODEL
        engine.loaded.set()
        await running.send("More")
        await running.until(lambda: running.screen.prompt.text == "More")
        assert running.shown == [("user", "Hello"), ("bot", "Hi")]
        await choose_model(running, "first")
        await running.until_state(ChatState.IDLE)
        engine.reply_with("Yes")
        await running.pilot.press("enter")
        await running.until(lambda: running.said[-1] == ("bot", "Yes"))


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_with_a_message_that_waits_the_first_press_is_for_that(run_app: RunApp, key: str) -> None:
    engine = ScriptedEngine(hold_loading=True)
    async with run_app(engine) as running:
        await running.until(lambda: engine.loads)
        await running.send("early")
        await running.until(lambda: running.said)
        await running.pilot.press(key)
        assert running.path[-1].finish == "interrupted"
        assert running.screen.turns.state is ChatState.LOADING
        await running.pilot.press(key)
        assert running.screen.turns.state is ChatState.NO_MODEL
        await running.until(engine.closed.is_set)
        assert running.said == [("user", "early"), ("bot", "")]
        assert (await running.saved()).messages[0].content == "early"


async def test_another_model_takes_the_place_of_one_that_loads(run_app: RunApp, models: Path) -> None:
    engine = ScriptedEngine(hold_loading=True)
    async with run_app(engine, config=searching(models)) as running:
        await running.until(lambda: engine.loads)
        await choose_model(running, "first")
        await running.until(lambda: len(engine.loads) == 2)
        await choose_model(running, "second")
        await running.until(lambda: len(engine.loads) == 3)
        await running.pilot.press("escape")
        # None of them was ever there to come back.
        assert running.screen.turns.state is ChatState.NO_MODEL
        await choose_model(running, "first")
        engine.loaded.set()
        await running.exchange("Hello", "Hi")
        assert loaded_names(running) == ["tiny-Q4_0", "first-Q4_0", "second-Q8_0", "first-Q4_0"]


async def test_esc_elsewhere_leads_to_the_prompt_first(run_app: RunApp) -> None:
    engine = ScriptedEngine(hold_loading=True)
    async with run_app(engine) as running:
        await running.until(lambda: engine.loads)
        await running.pilot.press("f4", "escape")
        assert running.screen.turns.state is ChatState.LOADING
        assert running.screen.prompt.has_focus
        await running.pilot.press("escape")
        assert running.screen.turns.state is ChatState.NO_MODEL


async def test_it_is_stopped_from_the_list_of_commands_and_as_a_typed_command(
    run_app: RunApp, models: Path
) -> None:
    engine = ScriptedEngine(hold_loading=True)
    async with run_app(engine, config=searching(models)) as running:
        await running.until(lambda: engine.loads)
        await running.pilot.press("ctrl+p")
        await until_seen(running, "Stop reading, writing or loading")
        await running.pilot.press("enter")
        await running.until_state(ChatState.NO_MODEL)
        await choose_model(running, "first")
        await running.send("/stop")
        await running.until_state(ChatState.NO_MODEL)

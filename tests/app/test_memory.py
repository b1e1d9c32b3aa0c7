"""A model that may not fit the memory is asked about before it is loaded."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.gguf_bytes import SMALL
from support.running_app import RunApp, Running
from support.scripted_engine import ScriptedEngine
from support.whole_app import notices, text, until_screen, until_seen
from textual.widgets import Static

from easy_llama_tui.models.memory_check import MemoryDoubt
from easy_llama_tui.preferences.config import Config, ModelConfig
from easy_llama_tui.replies.engine import LoadOptions
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.screens.model_screen import ModelScreen

TOO_LARGE = MemoryDoubt(9_000_000_000, 5_000_000_000, 1024, None)
TOO_LONG = MemoryDoubt(9_000_000_000, 5_000_000_000, 65_536, 14_336)
WISHED = LoadOptions(Path("/models/tiny-Q4_0.gguf"), context_length=65_536)


def doubting(doubt: MemoryDoubt) -> ScriptedEngine:
    engine = ScriptedEngine()
    engine.doubt = doubt
    return engine


@pytest.fixture
def other_model(tmp_path: Path) -> Config:
    """A configuration with a folder of one model."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "other-Q8_0.gguf").write_bytes(SMALL)
    return replace(Config(), model=ModelConfig(folders=(str(folder),)))


async def test_it_says_what_is_needed_and_esc_loads_nothing(run_app: RunApp) -> None:
    async with run_app(doubting(TOO_LARGE)) as running:
        await until_screen(running, "MemoryScreen")
        words = str(running.app.screen.query_one("#memory-words", Static).render())
        assert words.startswith(
            "tiny Q4_0 needs about 9.00 GB with a context of 1,024 tokens; 5.00 GB are free."
        )
        await until_seen(running, "▸ Do not load it")
        await running.pilot.press("escape")
        await running.until_state(ChatState.NO_MODEL)
        assert "tiny Q4_0 is not loaded. F3 loads it, or another one." in notices(running)
        assert running.screen._left is None and not running.app.failure
        assert running.screen.prompt.has_focus


async def test_of_a_gpu_it_says_what_helps_there(run_app: RunApp) -> None:
    async with run_app(doubting(replace(TOO_LARGE, is_on_gpu=True))) as running:
        await until_screen(running, "MemoryScreen")
        words = str(running.app.screen.query_one("#memory-words", Static).render())
        assert "5.00 GB are free on the GPU." in words and "--n-gpu-layers puts fewer layers there." in words


async def test_enter_that_was_meant_for_the_prompt_loads_nothing_that_may_not_fit(run_app: RunApp) -> None:
    async with run_app(doubting(TOO_LARGE)) as running:
        await until_screen(running, "MemoryScreen")
        await running.send("hello")
        await running.until_state(ChatState.NO_MODEL)
        assert len(running.engine.loads) == 1


async def test_it_is_loaded_all_the_same_where_that_is_wished(run_app: RunApp) -> None:
    async with run_app(doubting(TOO_LARGE)) as running:
        await until_screen(running, "MemoryScreen")
        await running.pilot.press("down", "enter")
        await running.exchange("Hello", "Hi")
        assert [options.in_spite_of_memory for options in running.engine.loads] == [False, True]


async def test_a_context_that_fits_is_offered_first(run_app: RunApp) -> None:
    async with run_app(doubting(TOO_LONG), load_options=WISHED) as running:
        await until_screen(running, "MemoryScreen")
        await until_seen(running, "65,536 tokens", "▸ Load it with a context of 14,336 tokens, which fits")
        await running.pilot.press("enter")
        await running.exchange("Hello", "Hi")
        assert [options.context_length for options in running.engine.loads] == [65_536, 14_336]


@pytest.mark.parametrize(
    ("keys", "said"), [(("enter",), "answer"), (("down", "down", "enter"), "answer"), (("escape",), "")]
)
async def test_a_message_that_waits_is_sent_to_the_model_that_is_loaded(
    run_app: RunApp, keys: tuple[str, ...], said: str
) -> None:
    engine = ScriptedEngine(hold_loading=True)
    engine.doubt = TOO_LONG
    async with run_app(engine, load_options=WISHED) as running:
        await running.send("early")
        await running.until(lambda: running.said)
        engine.loaded.set()
        await until_screen(running, "MemoryScreen")
        # What the engine makes of it without a model is not the answer.
        engine.reply_with("nonsense")
        await running.until(lambda: engine.requests and engine._script.empty())
        engine.reply_with("answer")
        await running.pilot.press(*keys)
        await running.until(lambda: running.path[-1].finish)
        assert running.said == [("user", "early"), ("bot", said)]
        assert running.path[-1].finish == ("stop" if said else "interrupted")
        await running.until_state(ChatState.IDLE if said else ChatState.NO_MODEL)


async def choose_other(running: Running) -> None:
    await running.pilot.press("f3")
    await until_screen(running, "ModelScreen")
    await running.until(lambda: "1 ·" in text(running) and "▸ other" in text(running))
    await running.pilot.press("enter")


async def test_the_model_before_comes_back_where_the_other_may_not_fit(
    run_app: RunApp, other_model: Config
) -> None:
    async with run_app(config=other_model) as running:
        await running.exchange("Hello", "Hi")
        running.engine.doubt = TOO_LARGE
        await choose_other(running)
        await until_screen(running, "MemoryScreen")
        running.engine.doubt = None
        await running.pilot.press("escape")
        await running.exchange("More", "Yes")
        loaded = [options.path.stem for options in running.engine.loads]
        assert loaded == ["tiny-Q4_0", "other-Q8_0", "tiny-Q4_0"]


async def test_what_the_list_of_models_has_asked_is_not_asked_again(
    run_app: RunApp, other_model: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelScreen.__init__, "__defaults__", (lambda: 10, None))  # bytes that are free
    async with run_app(config=other_model) as running:
        await running.until_state(ChatState.IDLE)
        running.engine.doubt = TOO_LARGE
        await choose_other(running)
        await until_seen(running, "Enter again loads it anyway.")
        await running.pilot.press("enter")
        await running.exchange("Hello", "Hi")
        assert running.engine.loads[-1].in_spite_of_memory

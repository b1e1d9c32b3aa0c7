"""How replies were made: what is kept of it, what is told of it, and making one again."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.gguf_bytes import SMALL
from support.running_app import RunApp, Running, begin_chat
from support.scripted_engine import ScriptedEngine
from support.whole_app import entry, notices, text, until_screen, until_seen
from textual.widgets import TextArea

from easy_llama.prompt import Turn
from easy_llama.samplers import DefaultSampling
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.conversation import Message
from easy_llama_tui.chats.making import Making, Recipe
from easy_llama_tui.chats.making_words import making_text, making_words
from easy_llama_tui.preferences.config import Config, ModelConfig
from easy_llama_tui.replies.engine import LoadedModel, LoadOptions, OnProgress
from easy_llama_tui.replies.wording import ChatState

BEGAN = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
RECIPE = Recipe("tiny", "tiny.gguf", "template", "Mine", DefaultSampling, 2048, 2, 0)
MAKING = Making(RECIPE, BEGAN, seed=5, prompt_tokens=20, written_tokens=3, writing_seconds=0.5)
REPLY = Message("m2", "m1", "bot", "meow", BEGAN, "stop", (1, 2), made=(MAKING,))


class LoadedEngine(ScriptedEngine):
    """Says how its model is loaded."""

    def load(self, options: LoadOptions, on_progress: OnProgress) -> LoadedModel:
        loaded = super().load(options, on_progress)
        return replace(loaded, n_threads=3, n_gpu_layers=0, draft_model=Path("/models/small.gguf"))


async def show_making(running: Running) -> None:
    await running.pilot.press("up")
    await running.until(lambda: running.screen.chat_log.has_focus)
    await running.pilot.press("i")
    await until_screen(running, "MakingScreen")


# What is kept


async def test_a_reply_keeps_how_it_was_made(run_app: RunApp) -> None:
    settings = DefaultSampling.replace(temp=0.1 + 0.2, top_p=None)
    async with run_app(LoadedEngine(), chat=begin_chat(settings)) as running:
        await running.exchange("Hello", "Hi ", "there")
        saved = (await running.saved()).messages[-1]
        assert saved == running.path[-1]
        (made,) = saved.made
        assert made.recipe == Recipe(
            *("tiny Q4_0", "/models/tiny-Q4_0.gguf", "template", "DefaultSampling", settings),
            context_length=4096,
            threads=3,
            gpu_layers=0,
            draft_model="/models/small.gguf",
        )
        assert (made.seed, len(saved.ids)) == (1, 2)
        assert (made.prompt_tokens, made.reused_tokens, made.written_tokens) == (20, 0, 2)
        assert (made.reading_seconds, made.writing_seconds) == (0.1, 0.1)
        assert (made.start, made.settings_changed) == (0, False)
        assert (await running.saved()).messages[0].made == ()


async def test_a_continued_reply_keeps_each_go(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Half")
        running.screen.chat.sampler = DefaultSampling.replace(temp=0.5)
        running.engine.reply_with(" more")
        await running.pilot.press("f8")
        await running.until(lambda: len(running.path[-1].made) == 2 and running.path[-1].finish)
        first, second = (await running.saved()).messages[-1].made
        assert (first.start, second.start) == (0, 4)
        assert (first.recipe.sampler.temp, second.recipe.sampler.temp) == (0.8, 0.5)


async def test_settings_that_are_changed_meanwhile_are_noted(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("one")
        await running.send("Hello")
        await running.until(lambda: running.said[-1] == ("bot", "one"))
        assert running.path[-1].made[0].recipe.model == "tiny Q4_0"  # known before the end
        running.screen.desk.change_sampler("mine", DefaultSampling.replace(temp=1.5))
        running.engine.reply_with(" two")
        await running.until(lambda: running.path[-1].finish)
        (made,) = running.path[-1].made
        assert made.settings_changed
        assert (made.recipe.preset, made.recipe.sampler.temp) == ("DefaultSampling", 0.8)
        await running.exchange("Again", "three")
        (made,) = running.path[-1].made
        assert not made.settings_changed
        assert (made.recipe.preset, made.recipe.sampler.temp) == ("mine", 1.5)


async def test_a_reply_that_is_left_unfinished_keeps_its_seed(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("one")
        await running.send("Hello")
        await running.until(lambda: running.said[-1] == ("bot", "one"))
        chat_id, store = running.screen.chat.id, running.store
        await running.pilot.press("ctrl+q")
        asked = running.engine.requests[-1].sampler.seed
    saved = store.load(chat_id).messages[-1]
    assert (saved.content, saved.finish) == ("one", "interrupted")
    assert saved.made[0].seed == asked is not None


async def test_a_message_that_waited_for_no_model_was_not_made(run_app: RunApp) -> None:
    async with run_app(ScriptedEngine(hold_loading=True)) as running:
        await running.send("Hello")
        await running.pilot.press("escape")
        await running.until(lambda: running.path[-1].finish == "interrupted")
        assert running.path[-1].made == ()
        running.engine.loaded.set()


# What the chat shows


async def test_each_reply_stands_under_the_name_of_its_model(run_app: RunApp, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "other-Q8_0.gguf").write_bytes(SMALL)
    config = replace(Config(), model=ModelConfig(folders=(str(tmp_path / "models"),)))
    async with run_app(config=config) as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f3")
        await until_screen(running, "ModelScreen")
        await until_seen(running, "▸ other")
        await running.pilot.press("enter")
        await running.until(lambda: len(running.engine.loads) == 2)
        await running.exchange("More", "Yes")
        names = [one.name for one in running.screen.chat_log.entries]
        assert names[1] == "tiny Q4_0"
        assert names[3] == running.screen.chat.model.name != names[1]
        again = Chat.from_session(await running.saved())
        assert [one.author for one in again.conversation.path()][1::2] == names[1::2]


async def test_a_reply_of_which_nothing_is_known_is_the_bots(run_app: RunApp) -> None:
    chat = begin_chat()
    chat.conversation.add("user", "Hello")
    chat.conversation.add("bot", "Hi", finish="stop")
    async with run_app(chat=chat) as running:
        await running.until_state(ChatState.IDLE)
        assert running.screen.chat_log.entries[-1].name == "Bot"
        await show_making(running)
        await until_seen(running, "How this reply was made is not known")
        await running.pilot.press("a")
        assert "Too little is known" in notices(running)
        await running.pilot.press("s", "escape")
        await running.until(lambda: running.app.screen is running.screen)
        assert len(running.engine.requests) == 0


# The screen


async def test_the_screen_tells_the_figures_and_copies_the_seed(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    async with run_app(LoadedEngine(), size=(110, 60)) as running:
        await running.exchange("Hello", "Hi ", "there")
        await show_making(running)
        await until_seen(running, "tiny Q4_0", "/models/tiny-Q4_0.gguf", "seed", "threads", "temp", "0.8")
        await until_seen(running, "20 tokens, 0 of them", "2 tokens, 0.100 s", "2 are kept")
        await running.pilot.press("s")
        await running.until(lambda: running.app.clipboard == "1")
        await running.pilot.press("y")
        await running.until(lambda: "seed: 1\n" in running.app.clipboard)
        await running.pilot.press("i")
        await running.until(lambda: running.app.screen is running.screen)
        assert running.screen.chat_log.cursor_id == running.path[-1].id


async def test_what_the_person_wrote_was_made_by_no_model(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("up", "home", "i")
        await running.until(lambda: "No model made this message" in notices(running))
        assert running.app.screen is running.screen


async def test_a_reply_is_made_again_with_what_made_it(run_app: RunApp) -> None:
    async with run_app(chat=begin_chat(DefaultSampling.replace(temp=0.3))) as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("less_than_sign", "enter", "S", "enter")
        await running.exchange("Hello", "ure")
        before = running.path[-1]
        assert (before.content, before.made[0].start) == ("Sure", 1)
        running.screen.chat.sampler = DefaultSampling.replace(seed=99)
        running.screen.chat.format = "alpaca"
        await show_making(running)
        running.engine.reply_with("ure")
        await running.pilot.press("a")
        await running.until(lambda: running.path[-1].id != before.id and running.path[-1].finish)
        request = running.engine.requests[-1]
        assert request.sampler == DefaultSampling.replace(temp=0.3, seed=1)
        assert (request.format, request.opening) == ("template", Turn("bot", "S"))
        assert running.path[-1].content == "Sure"
        assert entry(running, running.path[-1].id).alternative == (2, 2)
        assert running.path[-1].made[0].recipe == before.made[0].recipe
        # The chat's own choices stay.
        assert (running.screen.chat.format, running.screen.chat.sampler.seed) == ("alpaca", 99)


async def test_an_edited_reply_says_so(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("up", "e")
        await until_screen(running, "EditScreen")
        running.app.screen.query_one(TextArea).text = "Hi!"
        await running.pilot.press("ctrl+s")
        await running.until(lambda: running.said[-1] == ("bot", "Hi!"))
        edited = running.path[-1]
        assert (edited.edited, edited.author) == (True, "tiny Q4_0")
        await running.pilot.press("i")
        await until_seen(running, "The text was changed by you afterwards")


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (300, 60)])
async def test_any_window_is_enough(run_app: RunApp, size: tuple[int, int]) -> None:
    async with run_app(size=size) as running:
        await running.exchange("Hello", "Hi")
        await show_making(running)
        await until_seen(running, "model", "Esc back")
        await running.pilot.press("end")
        await until_seen(running, "token ids")
        assert "Esc back" in text(running)


# The words


@pytest.mark.parametrize(
    ("message", "now", "said"),
    [
        (REPLY, None, "No model is loaded."),
        (REPLY, replace(RECIPE, model="big", file="big.gguf"), "Another model is loaded now: big."),
        (REPLY, replace(RECIPE, threads=4), "in another way now (threads)"),
        (REPLY, replace(RECIPE, gpu_layers=-1, flash_attn=True), "(layers on the GPU, Flash Attention)"),
        (REPLY, replace(RECIPE, cache_type_k="q8_0"), "(KV cache)"),
        (REPLY, replace(RECIPE, prompt_lookup=True), "(prompt lookup)"),
        (REPLY, replace(RECIPE, draft_model="small.gguf"), "(draft model)"),
        (replace(REPLY, edited=True), RECIPE, "changed by you"),
        (replace(REPLY, made=(MAKING, MAKING)), RECIPE, "several goes"),
        (replace(REPLY, made=(replace(MAKING, seed=None),)), RECIPE, "seed is not known"),
        (replace(REPLY, made=(replace(MAKING, settings_changed=True),)), RECIPE, "settings were changed"),
        (replace(REPLY, made=(replace(MAKING, left_out=2),)), RECIPE, "did not read 2 messages"),
        (replace(REPLY, made=(replace(MAKING, reused_tokens=7),)), RECIPE, "in the KV cache"),
        (replace(REPLY, made=(replace(MAKING, slid_tokens=5),)), RECIPE, "5 of these tokens were read when"),
    ],
)
def test_what_speaks_against_the_same_text_is_said(message: Message, now: Recipe | None, said: str) -> None:
    (caution,) = making_words(message, now).cautions
    assert said in caution
    assert said in making_text(making_words(message, now))


def test_where_nothing_differs_nothing_is_said() -> None:
    words = making_words(REPLY, RECIPE)
    assert words.cautions == ()
    assert (words.seed, words.can_repeat) == (5, True)
    assert dict(words.facts)["writing"] == "3 tokens, 0.500 s"
    assert not making_words(replace(REPLY, made=(MAKING, MAKING)), RECIPE).can_repeat


def test_a_fork_can_be_made_again_where_its_tokens_are_known() -> None:
    forked = replace(REPLY, made=(replace(MAKING, given_tokens=2),))
    assert making_words(forked, RECIPE).can_repeat
    assert dict(making_words(forked, RECIPE).facts)["given tokens"] == "2, the last one chosen by you"
    assert not making_words(replace(forked, ids=()), RECIPE).can_repeat

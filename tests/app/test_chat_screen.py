"""Turns: from keys to the engine and back, and every way they can end."""

import asyncio

import pytest
from support.running_app import RunApp, Running, begin_chat
from support.scripted_engine import END, ScriptedEngine
from textual.command import CommandPalette
from textual.widgets import OptionList

from easy_llama.errors import ExceededContextLengthException, ModelLoadError
from easy_llama.prompt import Turn
from easy_llama.samplers import DefaultSampling
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.replies.figures import Figures
from easy_llama_tui.replies.messages import PromptRead, ReplyEnded, ReplyText
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.screens.help_screen import HelpScreen


def notices(running: Running) -> str:
    return " ".join(notification.message for notification in running.app._notifications)


async def test_a_message_is_answered_shown_and_saved(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi", " **there**")
        expected = [("user", "Hello"), ("bot", "Hi **there**")]
        assert running.said == running.shown == expected
        assert running.screen.prompt.text == ""
        assert running.engine.requests[0].turns == (Turn("user", "Hello"),)
        assert await running.saved_messages() == [("user", "Hello", None), ("bot", "Hi **there**", "stop")]


async def test_a_later_turn_knows_the_earlier_ones_with_their_ids(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("One", "a", "b")
        await running.exchange("Two", "c")
        assert running.engine.requests[1].turns == (
            Turn("user", "One"),
            Turn("bot", "ab", tuple(map(running.engine.id_of, "ab"))),
            Turn("user", "Two"),
        )


async def test_typing_is_taken_and_a_message_waits_while_the_model_loads(run_app: RunApp) -> None:
    engine = ScriptedEngine(hold_loading=True)
    async with run_app(engine) as running:
        assert running.screen.turns.state is ChatState.LOADING
        engine.reply_with("answer")
        await running.send("early")
        assert running.said == [("user", "early"), ("bot", "")]
        assert engine.requests == []
        assert (await running.saved()).messages[0].content == "early"
        assert "your message is sent then" in running.screen.status_bar.activity
        engine.loaded.set()
        await running.until_state(ChatState.IDLE)
        await running.until(lambda: running.said == [("user", "early"), ("bot", "answer")])


async def test_esc_while_loading_takes_the_waiting_message_back_to_idle(run_app: RunApp) -> None:
    engine = ScriptedEngine(hold_loading=True)
    async with run_app(engine) as running:
        await running.send("early")
        await running.pilot.press("escape")
        assert running.path[-1].finish == "interrupted"
        engine.loaded.set()
        await running.until_state(ChatState.IDLE)
        # What the engine still says of it comes too late, and the next turn is a clean one.
        await running.exchange("again", "yes")
        assert running.said[-1] == ("bot", "yes")
        assert engine.requests[-1].turns == (Turn("user", "early\n\nagain"),)


async def test_esc_keeps_the_partial_text_marked_in_the_data_only(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("Half", " a")
        await running.send("Hello")
        await running.until(lambda: running.said[-1] == ("bot", "Half a"))
        assert running.screen.turns.state is ChatState.GENERATING
        await running.pilot.press("escape")
        await running.until_state(ChatState.IDLE)
        assert running.path[-1].finish == "interrupted"
        assert running.said[-1] == ("bot", "Half a")
        assert "stopped" in running.screen.chat_log.entries[-1].note
        assert await running.saved_messages() == [("user", "Hello", None), ("bot", "Half a", "interrupted")]


async def test_esc_while_the_prompt_is_read(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.send("Hello")
        await running.until_state(ChatState.READING)
        await running.pilot.press("escape")
        await running.until_state(ChatState.IDLE)
        assert (running.path[-1].content, running.path[-1].finish) == ("", "interrupted")


async def test_an_error_ends_the_turn_says_why_and_keeps_the_text(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("So far")
        running.engine.fail(ExceededContextLengthException("the prompt is too long; shorten it"))
        await running.send("Hello")
        await running.until_state(ChatState.IDLE)
        await running.until(lambda: running.path[-1].finish)
        assert (running.path[-1].content, running.path[-1].finish) == ("So far", "error")
        assert "the prompt is too long; shorten it" in running.screen.chat_log.entries[-1].note
        assert (await running.saved_messages())[-1] == ("bot", "So far", "error")
        await running.exchange("Again", "fine")


async def test_a_bug_in_the_engine_ends_the_turn_too(
    run_app: RunApp, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.fail(ZeroDivisionError("oh"))
        await running.send("Hello")
        await running.until(lambda: running.path and running.path[-1].finish == "error")
        assert running.screen.turns.state is ChatState.IDLE
        assert "ZeroDivisionError" in running.screen.chat_log.entries[-1].note


async def test_reroll_adds_an_alternative_and_keeps_the_old_one(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "first")
        running.engine.reply_with("second")
        await running.pilot.press("ctrl+r")
        await running.until(lambda: running.said == [("user", "Hello"), ("bot", "second")])
        await running.until_state(ChatState.IDLE)
        assert running.screen.chat_log.entries[-1].alternative == (2, 2)
        assert running.engine.requests[1].turns == (Turn("user", "Hello"),)
        assert [message[1] for message in await running.saved_messages()] == ["Hello", "first", "second"]
        await running.pilot.press("alt+left")
        assert running.said == running.shown == [("user", "Hello"), ("bot", "first")]
        await running.pilot.press("alt+left")
        assert running.said[-1] == ("bot", "first")
        await running.pilot.press("alt+right")
        assert running.said == running.shown == [("user", "Hello"), ("bot", "second")]
        assert (await running.saved()).head == running.path[-1].id


async def test_reroll_while_a_reply_is_written_stops_that_first(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("slow")
        await running.send("Hello")
        await running.until(lambda: running.said[-1] == ("bot", "slow"))
        await running.pilot.press("ctrl+r")
        await running.until(lambda: len(running.engine.requests) == 2)
        running.engine.reply_with("quick")
        await running.until(lambda: running.said[-1] == ("bot", "quick") and running.path[-1].finish)
        alternatives = running.screen.chat.conversation.siblings(running.path[-1].id)
        assert [(one.content, one.finish) for one in alternatives] == [
            ("slow", "interrupted"),
            ("quick", "stop"),
        ]


async def test_reroll_of_nothing_says_so(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("ctrl+r")
        assert "nothing to re-roll" in notices(running)
        assert running.path == ()


async def test_a_fixed_seed_gives_each_alternative_its_own(run_app: RunApp) -> None:
    async with run_app(chat=begin_chat(DefaultSampling.replace(seed=7))) as running:
        await running.exchange("Hello", "first")
        running.engine.reply_with("second")
        await running.pilot.press("ctrl+r")
        await running.until(lambda: len(running.engine.requests) == 2)
        assert [request.sampler.seed for request in running.engine.requests] == [7, 8]


async def test_messages_of_an_older_request_are_dropped(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "done")
        running.screen.post_message(ReplyText(1, "ghost", Figures()))
        running.screen.post_message(PromptRead(1, Figures(prompt_tokens=999)))
        running.screen.post_message(ReplyEnded(1, "error", "ghost", (), Figures(), "ghost"))
        await running.pilot.pause()
        assert running.said[-1] == ("bot", "done")
        assert running.screen.turns.state is ChatState.IDLE
        running.engine.say("new")
        await running.send("More")
        await running.until(lambda: running.said[-1] == ("bot", "new"))
        running.screen.post_message(ReplyText(1, "ghost", Figures()))
        running.screen.post_message(ReplyEnded(1, "stop", "ghost", (), Figures()))
        await running.pilot.pause()
        assert running.said[-1] == ("bot", "new")
        assert running.screen.turns.state is ChatState.GENERATING


async def test_enter_while_a_reply_is_written_keeps_what_was_typed(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("slow")
        await running.send("Hello")
        await running.until_state(ChatState.GENERATING)
        await running.send("and")
        assert running.screen.prompt.text == "and"
        assert "Esc stops it" in notices(running)
        assert len(running.engine.requests) == 1


async def test_a_new_chat_leaves_the_old_one_saved(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        first = running.screen.chat.id
        await running.pilot.press("ctrl+n")
        assert running.said == running.shown == []
        assert running.screen.chat.id != first
        await running.exchange("Other", "Yes")
        await running.saved()
        assert {summary.title for summary in running.store.summaries()} == {"Hello", "Other"}
        assert running.engine.requests[-1].turns == (Turn("user", "Other"),)


async def test_a_new_chat_while_a_reply_is_written_stops_and_keeps_that(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("half")
        await running.send("Hello")
        await running.until(lambda: running.said[-1] == ("bot", "half"))
        first = running.screen.chat.id
        await running.pilot.press("ctrl+n")
        await running.until(lambda: running.screen.chat.id != first)
        await running.until_state(ChatState.IDLE)
        running.screen.writer.flush(10)
        assert running.store.load(first).messages[-1].finish == "interrupted"


async def test_an_empty_chat_leaves_no_file(run_app: RunApp) -> None:
    async with run_app(chat=begin_chat(system="Be brief.")) as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("ctrl+n")
        await running.app.action_quit()
        assert running.store.summaries() == ()


async def test_quitting_while_a_reply_is_written_saves_it(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("half a re")
        await running.send("Hello")
        await running.until(lambda: running.said[-1] == ("bot", "half a re"))
        await running.pilot.press("ctrl+q")
        assert running.engine.closed.wait(5)
        session = running.store.load(running.screen.chat.id)
        assert (session.messages[-1].content, session.messages[-1].finish) == ("half a re", "interrupted")
        assert running.app.left_cleanly


async def test_an_engine_that_does_not_stop_cannot_hold_the_program(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine()
    engine.ignores_cancel = True
    async with run_app(engine) as running:
        await running.until_state(ChatState.IDLE)
        engine.say("on and on")
        await running.send("Hello")
        await running.until(lambda: running.said[-1] == ("bot", "on and on"))
        await running.pilot.press("ctrl+q")
        assert not running.app.left_cleanly
        assert running.store.load(running.screen.chat.id).messages[-1].content == "on and on"
        engine.say(END)


async def test_a_streaming_reply_is_saved_now_and_then(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easy_llama_tui.screens.chat_screen.AUTOSAVE_SECONDS", 0.02)
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("still going")
        await running.send("Hello")

        def on_disk() -> bool:
            running.screen.writer.flush(5)
            return running.store.load(running.screen.chat.id).messages[-1].content == "still going"

        await running.until(lambda: running.said[-1] == ("bot", "still going") and on_disk())
        assert running.screen.turns.state is ChatState.GENERATING


async def test_a_chat_is_found_again(run_app: RunApp, store: SessionStore) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "first")
        running.engine.reply_with("second")
        await running.pilot.press("ctrl+r")
        await running.until(lambda: running.said[-1] == ("bot", "second") and running.path[-1].finish)
        name = running.screen.chat.id
    async with run_app(chat=Chat.from_session(store.load(name))) as running:
        assert running.shown == [("user", "Hello"), ("bot", "second")]
        assert running.screen.chat_log.entries[-1].alternative == (2, 2)
        await running.exchange("More", "third")
        assert [turn.content for turn in running.engine.requests[0].turns] == ["Hello", "second", "More"]
        assert len((await running.saved()).messages) == 5


async def test_a_model_that_cannot_be_loaded_ends_the_program_with_the_reason(run_app: RunApp) -> None:
    engine = ScriptedEngine(hold_loading=True)
    engine.load_error = ModelLoadError("tiny.gguf: refused; try another file")
    async with run_app(engine) as running:
        engine.loaded.set()
        await running.until(lambda: running.app.failure)
        assert running.app.failure == "tiny.gguf: refused; try another file"
        assert running.app.return_code == 2


async def test_a_chat_stays_open_where_its_model_cannot_be_loaded(run_app: RunApp) -> None:
    engine = ScriptedEngine(hold_loading=True)
    engine.load_error = ModelLoadError("tiny.gguf: refused; try another file")
    async with run_app(engine) as running:
        await running.send("Hello")
        engine.loaded.set()
        await running.until_state(ChatState.NO_MODEL)
        assert running.said == [("user", "Hello"), ("bot", "")]
        assert not running.app.failure
        await running.send("More")
        await running.until(lambda: running.screen.prompt.text == "More")
        assert running.screen.status_bar.keys[0] == ("F3", "model")
        assert (await running.saved()).messages[0].content == "Hello"


async def test_a_save_that_fails_is_said_until_it_succeeds(
    run_app: RunApp, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        store.folder.parent.mkdir(exist_ok=True)
        store.folder.write_text("a file where the folder should be")
        running.engine.reply_with("answer")
        await running.send("Hello")
        await running.until(lambda: running.path and running.path[-1].finish)
        await running.until(lambda: "not saved: " in running.screen.status_bar.problem)
        assert running.said[-1] == ("bot", "answer")
        store.folder.unlink()
        await running.exchange("More", "text")
        await running.until(lambda: not running.screen.status_bar.problem)
        assert len((await running.saved()).messages) == 4


async def test_ctrl_c_stops_then_clears_then_quits(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("word")
        await running.send("Hello")
        await running.until_state(ChatState.GENERATING)
        await running.type("draft")
        await running.pilot.press("ctrl+c")
        await running.until_state(ChatState.IDLE)
        assert running.screen.prompt.text == "draft"
        await running.pilot.press("ctrl+c")
        assert running.screen.prompt.text == ""
        await running.pilot.press("ctrl+z")
        assert running.screen.prompt.text == "draft"
        await running.pilot.press("ctrl+c", "ctrl+c")
        assert "again to quit" in notices(running)
        assert running.screen._left is None
        await running.pilot.press("ctrl+c")
        await running.until(lambda: running.screen._left)


async def test_ctrl_c_copies_a_selection_first(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.type("copy me")
        await running.pilot.press("ctrl+a", "shift+end", "ctrl+c")
        assert running.app.clipboard == "copy me"
        assert running.screen.prompt.text == "copy me"


async def test_help_lists_every_key_and_closes(run_app: RunApp) -> None:
    async with run_app(size=(120, 40)) as running:
        await running.pilot.press("f1")
        assert isinstance(running.app.screen, HelpScreen)
        await running.pilot.press("escape")
        assert running.app.screen is running.screen
        assert running.screen.prompt.has_focus


@pytest.mark.parametrize(("typed", "seen"), [("/help", "HelpScreen"), ("/new", "ChatScreen")])
async def test_commands_can_be_typed(run_app: RunApp, typed: str, seen: str) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.send(typed)
        await running.pilot.pause()
        assert type(running.app.screen).__name__ == seen
        assert running.screen.prompt.text == ""
        assert running.path == ()


async def test_the_status_tells_the_figures(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", *["word "] * 5)
        assert "reused 0, read 20" in running.screen.status_bar.activity
        assert "first token" in running.screen.status_bar.activity
        # The next prompt: what was said in the format, and the opening of the next reply.
        await running.until(lambda: running.screen.title_bar.context_used == 11)
        assert running.screen.title_bar.context_length == 4096


@pytest.mark.parametrize("size", [(20, 6), (40, 12), (80, 24), (300, 60)])
async def test_no_window_is_too_small_or_too_large(run_app: RunApp, size: tuple[int, int]) -> None:
    async with run_app(size=size) as running:
        await running.exchange("Hello", "# Title\n\n", "```python\nprint('x' * 100)\n```")
        await running.pilot.resize_terminal(size[0] + 7, size[1] + 3)
        await running.pilot.press("f1", "escape")
        assert running.said[-1][0] == "bot"


async def test_the_palette_does_what_the_keys_do(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "first")
        running.engine.reply_with("second")
        await running.pilot.press("ctrl+p")
        await running.type("re-roll")
        palette = running.app.screen
        assert isinstance(palette, CommandPalette)
        await running.until(lambda: palette.query_one(OptionList).option_count == 1)
        await running.pilot.press("enter")
        await running.until(lambda: running.said[-1] == ("bot", "second"))


async def test_a_first_message_that_does_not_fit_comes_back_and_leaves_no_chat(
    run_app: RunApp, store: SessionStore
) -> None:
    engine = ScriptedEngine()
    engine.context_length = 8
    async with run_app(engine) as running:
        await running.until_state(ChatState.IDLE)
        await running.send("one two three four five six seven eight")
        await running.until(lambda: running.screen.prompt.text.startswith("one two"))
        assert running.path == ()
        await running.pilot.press("ctrl+n")
        assert await asyncio.to_thread(running.screen.writer.flush, 10.0)
        assert list(store.files()) == []

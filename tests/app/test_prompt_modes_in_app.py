"""What is written in the prompt beside messages, and what becomes of it in the chat."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.running_app import RunApp, Running, begin_chat
from support.whole_app import notices, text, until_screen, until_seen
from textual.command import CommandPalette
from textual.widgets import Label, OptionList

from easy_llama.prompt import Turn
from easy_llama_tui.preferences.keymap import CHAT_KEYS
from easy_llama_tui.replies.wording import ChatState


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easy_llama_tui.screens.panel_desk.LOOK_AFTER", 0.01)
    monkeypatch.setattr("easy_llama_tui.widgets.prompt_input.DRAFT_SECONDS", 0.01)


def mark(running: Running) -> str:
    return str(running.screen.query_one("#prompt-mark", Label).content)


async def write_mode(running: Running, *sign: str) -> None:
    await running.pilot.press(*sign, "enter")
    await running.pilot.pause()


# <


async def test_the_bots_next_message_begins_as_it_was_told(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await write_mode(running, "less_than_sign")
        assert mark(running) == "<"
        await until_seen(running, "How the bot's next message begins")
        await running.type("Sure, ")
        await running.pilot.press("enter")
        await running.until(lambda: mark(running) == ">")
        assert running.path == ()
        running.engine.reply_with("here", " goes")
        await running.send("Hello")
        await running.until(lambda: running.said == [("user", "Hello"), ("bot", "Sure, here goes")])
        await running.until_state(ChatState.IDLE)
        assert running.engine.requests[0].opening == Turn("bot", "Sure, ")
        assert (await running.saved_messages())[-1] == ("bot", "Sure, here goes", "stop")
        await running.exchange("More", "plain")
        assert running.engine.requests[1].opening is None


async def test_where_a_message_waits_the_bot_answers_at_once(run_app: RunApp) -> None:
    chat = begin_chat()
    chat.conversation.add("user", "Hello")
    async with run_app(chat=chat) as running:
        await running.until_state(ChatState.IDLE)
        running.engine.reply_with("s.")
        await write_mode(running, "less_than_sign")
        await running.send("Ye")
        await running.until(lambda: running.said == [("user", "Hello"), ("bot", "Yes.")])


async def test_esc_leaves_a_mode_and_keeps_what_is_written(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await write_mode(running, "less_than_sign")
        await running.type("ab")
        await running.pilot.press("escape")
        await running.until(lambda: mark(running) == ">")
        assert running.screen.prompt.text == "ab"


# !!


async def test_a_system_message_is_put_where_the_chat_is(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await write_mode(running, "exclamation_mark", "exclamation_mark")
        assert mark(running) == "!!"
        await running.send("Be brief.")
        await running.until(lambda: running.said[-1] == ("system", "Be brief."))
        assert running.shown[-1] == ("system", "Be brief.")
        await running.exchange("More", "Yes")
        assert running.engine.requests[-1].turns[2:] == (
            Turn("system", "Be brief."),
            Turn("user", "More"),
        )
        assert [one[0] for one in await running.saved_messages()] == ["user", "bot", "system", "user", "bot"]


async def test_a_system_message_while_a_reply_is_written_comes_back_as_one(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("slow")
        await running.send("Hello")
        await running.until_state(ChatState.GENERATING)
        await write_mode(running, "exclamation_mark", "exclamation_mark")
        await running.send("Be brief.")
        await running.until(lambda: running.screen.prompt.text == "Be brief.")
        assert running.screen.prompt.mode == "system"
        assert "Esc stops it" in notices(running)
        running.engine.reply_with(" end")
        await running.until(lambda: running.path[-1].finish)
        await running.pilot.press("enter")
        await running.until(lambda: running.said[-1] == ("system", "Be brief."))


# !


async def test_an_exclamation_mark_opens_the_commands(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.send("!")
        await running.until(lambda: isinstance(running.app.screen, CommandPalette))
        assert running.path == ()
        await running.pilot.press("escape")
        await running.until(lambda: running.app.screen is running.screen)
        assert running.screen.prompt.has_focus


async def test_the_palette_has_every_action(run_app: RunApp) -> None:
    async with run_app(size=(110, 60)) as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("ctrl+p")
        await running.until(lambda: isinstance(running.app.screen, CommandPalette))
        # What Ctrl+C means, the moment says; and there is nothing to stop.
        wanted = [key.description for key in CHAT_KEYS if key.id not in ("interrupt", "stop")]
        options = running.app.screen.query_one(OptionList)
        await running.until(lambda: options.option_count >= len(wanted))
        shown = " ".join(str(option.prompt) for option in options.options)
        assert [description for description in wanted if description not in shown] == []


@pytest.mark.parametrize(
    ("words", "best", "screen"),
    [
        ("colours", "Choose the colours", "ThemeScreen"),
        ("all chats", "Show all chats", "ChatsScreen"),
        ("show keys", "Show the keys", "HelpScreen"),
    ],
)
async def test_an_action_is_found_in_the_palette_by_its_words(
    run_app: RunApp, words: str, best: str, screen: str
) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("ctrl+p")
        await running.until(lambda: isinstance(running.app.screen, CommandPalette))
        await running.type(words)
        options = running.app.screen.query_one(OptionList)
        await running.until(lambda: options.option_count and best in str(options.options[0].prompt))
        await running.pilot.press("enter")
        await until_screen(running, screen)


@pytest.mark.parametrize(
    ("typed", "screen"),
    [("/chats", "ChatsScreen"), ("/model", "ModelScreen"), ("/theme", "ThemeScreen")],
)
async def test_a_screen_is_opened_by_a_typed_command(run_app: RunApp, typed: str, screen: str) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.send(typed)
        await until_screen(running, screen)
        await running.pilot.press("escape")
        await running.until(lambda: running.app.screen is running.screen)
        assert running.path == ()


async def test_without_a_terminal_nothing_is_stopped(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easy_llama_tui.suspension.is_possible", lambda: True)
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.send("/suspend")
        await running.until(lambda: "no shell to go back to" in notices(running))


@pytest.mark.parametrize("name", ["format", "sampler", "candidates", "context"])
async def test_a_panel_is_opened_by_a_typed_command(run_app: RunApp, name: str) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.send(f"/{name}")
        await running.until(lambda: running.screen.side_panel.shown_panel == name)


# @path


async def test_a_file_is_attached_with_its_size_and_what_it_costs(run_app: RunApp, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one two three four five six\n" * 50)
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.type("see @no")
        await until_seen(running, "notes.txt")
        await running.pilot.press("tab")
        await running.until(lambda: running.screen.prompt.text == "see @notes.txt ")
        await until_seen(running, "notes.txt 1.4 KB", "tokens with the message")
        cost = running.screen.desk.inspection.draft
        assert cost > 300
        assert f"{cost:,} tokens with the message" in text(running)
        running.engine.reply_with("I see")
        await running.pilot.press("enter")
        await running.until(lambda: running.path and running.path[-1].finish)
        asked = running.engine.requests[0].turns[0].content
        assert asked.startswith("see @notes.txt") and "one two three" in asked
        assert running.path[0].content == asked
        assert (await running.saved()).messages[0].content == asked
        await running.until(lambda: "tokens with the message" not in text(running))
        # What comes back is what was typed, and not the file.
        await running.pilot.press("ctrl+up")
        assert running.screen.prompt.text == "see @notes.txt "


async def test_the_cost_goes_when_the_file_is_taken_out_again(run_app: RunApp, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("one two three four five six\n" * 50)
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        desk, title = running.screen.desk, running.screen.title_bar
        await running.until(lambda: desk.inspection and title.context_used == desk.inspection.window.tokens)
        before = running.screen.title_bar.context_used
        running.screen.prompt.text = "see @notes.txt"
        await running.until(lambda: running.screen.title_bar.context_used > before)
        running.screen.prompt.text = "see"
        await running.until(lambda: running.screen.title_bar.context_used == before)
        assert "tokens with the message" not in text(running)


async def test_a_file_that_cannot_be_attached_is_said_before_sending(run_app: RunApp, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0\0\0")
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.type("see @picture.png")
        await running.pilot.press("escape")
        await until_seen(running, "picture.png is not text")
        await running.type(" @./gone.txt")
        await until_seen(running, "./gone.txt: there is no such file")


# History


async def test_what_was_sent_comes_back_also_in_another_chat_and_after_a_restart(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("One", "a")
        await running.pilot.press("ctrl+n")
        await running.exchange("Two", "b")
        await running.type("draft")
        await running.pilot.press("ctrl+up")
        assert running.screen.prompt.text == "Two"
        await running.pilot.press("ctrl+up")
        assert running.screen.prompt.text == "One"
        await running.pilot.press("ctrl+down", "ctrl+down")
        assert running.screen.prompt.text == "draft"
    async with run_app() as running:
        await running.pilot.press("ctrl+up", "ctrl+up")
        assert running.screen.prompt.text == "One"


async def test_commands_and_modes_are_not_in_the_history(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("One", "a")
        await running.send("/new")
        await running.until(lambda: running.path == ())
        await write_mode(running, "exclamation_mark", "exclamation_mark")
        await running.send("Be brief.")
        await running.until(lambda: running.path)
        await running.pilot.press("ctrl+up")
        assert running.screen.prompt.text == "One"


async def test_a_typed_command_is_known_by_its_whole_text(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("/newer than what?", "a")
        assert running.said[0] == ("user", "/newer than what?")


async def test_several_lines_are_sent_as_they_were_written(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.reply_with("ok")
        await running.pilot.press("a", "ctrl+j", "b", "backslash", "enter", "c", "enter")
        await running.until(lambda: running.said[:1] == [("user", "a\nb\nc")])


async def test_the_preset_of_a_new_chat_is_the_one_of_the_start(run_app: RunApp) -> None:
    chat = begin_chat()
    chat.sampler = replace(chat.sampler, temp=0.1)
    async with run_app(chat=chat) as running:
        await running.until_state(ChatState.IDLE)
        await running.send("/new")
        await running.until(lambda: running.screen.chat.sampler.temp == begin_chat().sampler.temp)

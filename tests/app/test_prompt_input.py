"""Writing: what the keys do to the text, and what is sent."""

from support.running_app import RunApp
from textual import events

from easy_llama_tui.wording import ChatState


async def test_enter_sends_and_the_newline_keys_do_not(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.type("one")
        await running.pilot.press("ctrl+j")
        await running.type("two")
        await running.pilot.press("shift+enter")
        await running.type("three\\")
        await running.pilot.press("enter")
        await running.type("four")
        assert running.screen.prompt.text == "one\ntwo\nthree\nfour"
        running.engine.reply_with("ok")
        await running.pilot.press("enter")
        await running.until(lambda: running.said)
        assert running.said[0] == ("user", "one\ntwo\nthree\nfour")


async def test_pasted_newlines_never_send(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.app.post_message(events.Paste("a\nb\r\nc\n"))
        await running.until(lambda: running.screen.prompt.text)
        assert running.path == ()
        assert running.screen.prompt.text.split() == ["a", "b", "c"]


async def test_an_empty_prompt_sends_nothing(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("enter", "space", "enter")
        assert running.path == ()


async def test_it_grows_to_eight_lines_and_then_scrolls(run_app: RunApp) -> None:
    async with run_app() as running:
        heights = []
        for _ in range(12):
            await running.type("x")
            await running.pilot.press("ctrl+j")
            heights.append(running.screen.prompt.size.height)
        assert heights[0] == 2
        assert heights[-1] == max(heights) == 8


async def test_history_brings_back_messages_and_then_the_draft(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("one", "1")
        await running.exchange("two", "2")
        prompt = running.screen.prompt
        await running.type("draft")
        seen = []
        for key in ("ctrl+up", "ctrl+up", "ctrl+up", "ctrl+down", "ctrl+down", "ctrl+down"):
            await running.pilot.press(key)
            seen.append(prompt.text)
        assert seen == ["two", "one", "one", "two", "draft", "draft"]


async def test_ctrl_d_deletes_and_quits_only_where_there_is_nothing(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.type("ab")
        await running.pilot.press("home", "ctrl+d")
        assert running.screen.prompt.text == "b"
        await running.pilot.press("ctrl+d", "ctrl+d")
        await running.until(lambda: running.screen._left)


async def test_what_is_pasted_cannot_drive_the_terminal(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.app.post_message(events.Paste("a\x1b]52;c;aGk=\x07b\x9b1mc\rd"))
        await running.until(lambda: running.screen.prompt.text)
        assert running.screen.prompt.text == "a␛]52;c;aGk=␇b\ufffd1mc\nd"


async def test_history_of_a_strangers_chat_cannot_either(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.screen.prompt.set_history(["\x1b]52;c;aGk=\x07"])
        await running.pilot.press("ctrl+up")
        assert running.screen.prompt.text == "␛]52;c;aGk=␇"


async def test_a_message_that_is_given_back_comes_before_what_was_typed_since(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.type(" two")
        running.screen.prompt.give_back("one")
        await running.type("!")
        assert running.screen.prompt.text == "one two!"

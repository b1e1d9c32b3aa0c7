"""Writing: what the keys do to the text, and what is sent."""

from support.prompt_host import PromptHost, prompt_host
from textual import events

from easy_llama_tui.drafts.prompt_history import PromptHistory
from easy_llama_tui.widgets.prompt_input import PromptInput


def sent(host: PromptHost) -> list[str]:
    return [message.text for message in host.told(PromptInput.Submitted)]


async def test_enter_sends_and_the_newline_keys_do_not() -> None:
    async with prompt_host() as host:
        await host.press(*"one", "ctrl+j", *"two", "shift+enter", *"three", "backslash", "enter", *"four")
        assert host.prompt.text == "one\ntwo\nthree\nfour"
        await host.press("enter")
        assert sent(host) == ["one\ntwo\nthree\nfour"]
        assert host.prompt.text == ""


async def test_a_new_line_takes_the_place_of_what_is_selected() -> None:
    async with prompt_host() as host:
        await host.type("abcd")
        await host.press("left", "shift+left", "shift+left", "ctrl+j", "x")
        assert host.prompt.text == "a\nxd"


async def test_pasted_newlines_never_send() -> None:
    async with prompt_host() as host:
        host.app.post_message(events.Paste("a\nb\r\nc\n"))
        await host.until(lambda: host.prompt.text)
        assert sent(host) == []
        assert host.prompt.text.split() == ["a", "b", "c"]


async def test_an_empty_prompt_sends_nothing() -> None:
    async with prompt_host() as host:
        await host.press("enter", "space", "enter")
        assert sent(host) == []


async def test_it_grows_to_eight_lines_and_then_scrolls() -> None:
    async with prompt_host() as host:
        heights = []
        for _ in range(12):
            await host.press("x", "ctrl+j")
            heights.append(host.prompt.size.height)
        assert heights[0] == 2
        assert heights[-1] == max(heights) == 8


async def test_history_brings_back_messages_and_then_the_draft() -> None:
    async with prompt_host() as host:
        host.prompt.remember("one")
        host.prompt.remember("two")
        await host.type("draft")
        seen = []
        for key in ("ctrl+up", "ctrl+up", "ctrl+up", "ctrl+down", "ctrl+down", "ctrl+down"):
            await host.press(key)
            seen.append(host.prompt.text)
        assert seen == ["two", "one", "one", "two", "draft", "draft"]


async def test_ctrl_d_deletes_and_quits_only_where_there_is_nothing() -> None:
    async with prompt_host() as host:
        await host.type("ab")
        await host.press("home", "ctrl+d")
        assert host.prompt.text == "b"
        await host.press("ctrl+d")
        assert host.told(PromptInput.QuitRequested) == []
        await host.press("ctrl+d")
        assert len(host.told(PromptInput.QuitRequested)) == 1


async def test_the_page_keys_are_the_chats() -> None:
    async with prompt_host() as host:
        await host.press("pageup", "pagedown")
        assert [message.pages for message in host.told(PromptInput.ScrollRequested)] == [-1, 1]


async def test_what_is_pasted_cannot_drive_the_terminal() -> None:
    async with prompt_host() as host:
        host.app.post_message(events.Paste("a\x1b]52;c;aGk=\x07b\x9b1mc\rd"))
        await host.until(lambda: host.prompt.text)
        assert host.prompt.text == "a␛]52;c;aGk=␇b\ufffd1mc\nd"


async def test_history_of_strangers_cannot_either() -> None:
    history = PromptHistory()
    history.add("\x1b]52;c;aGk=\x07")
    async with prompt_host(history=history) as host:
        await host.press("ctrl+up")
        assert host.prompt.text == "␛]52;c;aGk=␇"


async def test_a_message_that_is_given_back_comes_before_what_was_typed_since() -> None:
    async with prompt_host() as host:
        await host.type(" two")
        host.prompt.give_back("one")
        await host.press("exclamation_mark")
        assert host.prompt.text == "one two!"

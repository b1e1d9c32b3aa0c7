"""A chat that is left and resumed, on the real model: what was read of it is not read again."""

import re
import stat

from support.terminal import Start

from easy_llama_tui import locations
from easy_llama_tui.chats.session_store import SessionStore

LIST = " ".join(f"Boat {number} lies in the harbour." for number in range(24))


def test_a_chat_that_is_resumed_goes_on_without_being_read_again(
    open_chat: Start, store: SessionStore
) -> None:
    terminal = open_chat()
    terminal.paste(LIST)
    terminal.until("Boat 23")
    terminal.keys("enter")
    # The reply is long on one machine and short on another.
    terminal.until(lambda: "tok/s" in terminal.status)
    terminal.keys("esc")
    terminal.until_answered()
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0
    (kept,) = locations.chat_states_folder().iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    terminal = open_chat("--resume")
    terminal.until("Boat 23")
    terminal.send("Thanks!")
    terminal.until(re.compile(r"reused \d\d\d, read \d\d? "))
    terminal.keys("esc")
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0
    latest = store.latest()
    assert latest is not None
    made = store.load(latest.id).messages[-1].made[-1]
    assert made.reused_tokens > 200 and made.prompt_tokens - made.reused_tokens < 40

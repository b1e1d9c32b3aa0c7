"""From the start to the first replies."""

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from support.terminal import STORY, SUM, Start

from easy_llama_tui.chats.session_store import SessionStore

if TYPE_CHECKING:
    from conftest import Gate


def test_the_screen_is_drawn_and_takes_a_message_before_llama_cpp_is_imported(
    open_chat: Start, gate: "Gate", store: SessionStore
) -> None:
    terminal = open_chat(environment=gate.environment)
    title = terminal.lines[0]
    assert title.startswith(" SmolLM2-135M-Instruct Q4_1   ·   ")
    assert "GreedyDecoding" in title
    assert terminal.prompt.startswith("Write a message; Enter sends it")
    assert re.match(r" loading SmolLM2-135M-Instruct.* 0%", terminal.status)
    assert "^Q quit" in terminal.status

    terminal.send(SUM)
    terminal.until("your message is sent then")
    assert re.fullmatch(r"You What is 2 \+ 2\? SmolLM2-135M-Instruct.* …", terminal.chat)
    assert terminal.prompt == ""

    terminal.until(gate.open)
    terminal.until_answered()
    assert "The answer is 4" in terminal.chat
    assert re.search(r" \d+ / [\d,]+  ░+ +\d%$", terminal.lines[0]), "the title tells of the context"
    assert re.search(r"tok/s · first token [\d.]+ s · reused 0, read [1-9]\d* ", terminal.status)

    terminal.send("Thanks!")
    terminal.until_answered()
    assert re.search(r"reused [1-9]\d*, read [1-9]\d* ", terminal.status)
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0
    (summary,) = store.summaries()
    messages = store.load(summary.id).messages
    assert [(one.role, one.finish) for one in messages] == [("user", None), ("bot", "stop")] * 2
    assert messages[1].content in terminal.chat
    assert messages[3].content in terminal.chat


def test_what_is_typed_before_the_screen_is_drawn_is_in_the_prompt(start: Start, model_path: Path) -> None:
    terminal = start(model_path)
    terminal.type("early")
    terminal.until(lambda: terminal.prompt == "early")


def test_a_reply_is_seen_while_it_is_written(open_chat: Start) -> None:
    terminal = open_chat()
    terminal.send(STORY)
    terminal.until_writing()
    seen = [terminal.chat]
    while len(seen) < 5:
        terminal.until_more()
        seen.append(terminal.chat)
    assert "Esc stop" in terminal.status
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen))


def test_the_program_can_be_left_while_llama_cpp_is_imported(
    open_chat: Start, gate: "Gate", store: SessionStore
) -> None:
    terminal = open_chat(environment=gate.environment)
    terminal.send("Are you there?")
    terminal.until("your message is sent then")
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0
    (summary,) = store.summaries()
    question, reply = store.load(summary.id).messages
    assert question.content == "Are you there?"
    assert (reply.content, reply.finish) == ("", "interrupted")

"""From the start to the first reply."""

import re
from typing import TYPE_CHECKING

from support.terminal import Start

from easy_llama_tui.session_store import SessionStore

if TYPE_CHECKING:
    from conftest import Gate


def test_the_screen_is_drawn_and_takes_a_message_before_llama_cpp_is_imported(
    open_chat: Start, gate: "Gate", store: SessionStore
) -> None:
    terminal = open_chat("--sampler", "GreedyDecoding", **gate.environment)
    title, *_, status = terminal.lines
    assert title.split("   ·   ")[0] == " SmolLM2-135M-Instruct Q4_1"
    assert "GreedyDecoding" in title
    assert terminal.prompt == "Write a message; Enter sends it"
    assert re.match(r" loading SmolLM2-135M-Instruct.* 0%", status)
    assert "^Q quit" in status

    terminal.send("What is the capital of France?")
    terminal.until("your message is sent then")
    assert re.fullmatch("You What is the capital of France\\? SmolLM2-135M-Instruct.* …", terminal.chat)
    assert terminal.prompt == ""

    terminal.until(gate.open)
    terminal.until_answered()
    assert "Paris" in terminal.chat
    assert re.search(r"\d / [\d,]+  ░+ +0%$", terminal.lines[0]), "the title tells of the context"
    assert re.search(r"tok/s · first token [\d.]+ s · reused 0, read \d+ ", terminal.status)

    terminal.send("And of Italy?")
    terminal.until(lambda: "Esc stop" in terminal.status)
    terminal.until_answered()
    assert re.search(r"reused [1-9]\d*, read \d+ ", terminal.status)
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0

    (summary,) = store.summaries()
    messages = store.load(summary.id).messages
    assert [(one.role, one.finish) for one in messages] == [
        ("user", None),
        ("bot", "stop"),
        ("user", None),
        ("bot", "stop"),
    ]
    assert " ".join(messages[1].content.split()) in terminal.chat


def test_a_reply_is_seen_while_it_is_written(open_chat: Start) -> None:
    terminal = open_chat()
    terminal.send("Tell me a long story about a fox.")
    seen = []
    while len(seen) < 4:
        terminal.until(lambda: len(terminal.chat) > len(seen[-1] if seen else "") and "tok/s" in terminal.status)
        seen.append(terminal.chat)
    assert "Esc stop" in terminal.status
    assert all(later.startswith(earlier) for earlier, later in zip(seen, seen[1:]))


def test_the_program_can_be_left_while_llama_cpp_is_imported(
    open_chat: Start, gate: "Gate", store: SessionStore
) -> None:
    terminal = open_chat(**gate.environment)
    terminal.send("Are you there?")
    terminal.until("your message is sent then")
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0
    (summary,) = store.summaries()
    question, reply = store.load(summary.id).messages
    assert question.content == "Are you there?"
    assert (reply.content, reply.finish) == ("", "interrupted")

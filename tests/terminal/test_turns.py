"""Stopping, re-rolling, new chats and saved ones, on the real model."""

import re
from pathlib import Path

from support.terminal import STORY, SUM, Start, Terminal

from easy_llama_tui.chats.conversation import Message
from easy_llama_tui.chats.session_store import SessionStore

STOPPED = "▌ stopped"


def saved(store: SessionStore) -> tuple[Message, ...]:
    """Return the messages of the chat that was saved last."""
    latest = store.latest()
    return store.load(latest.id).messages if latest else ()


def on_one_line(message: Message) -> str:
    return " ".join(message.content.split())


def stop(terminal: Terminal, store: SessionStore, *, messages: int) -> tuple[Message, ...]:
    """Press Esc, and return the chat once it is saved so, with that many messages."""
    terminal.keys("esc")
    terminal.until(lambda: STOPPED in terminal.text and "Esc stop" not in terminal.status)
    terminal.until(lambda: len(saved(store)) == messages and saved(store)[-1].finish)
    return saved(store)


def test_esc_stops_reading_a_long_prompt_and_the_next_one_is_answered(
    open_chat: Start, store: SessionStore
) -> None:
    terminal = open_chat()
    terminal.until("tokens")
    terminal.paste("\n".join(f"Line {number} of a list that nobody reads." for number in range(350)))
    terminal.until("Line 349")
    terminal.keys("enter")
    terminal.until(re.compile(r"reading [\d,]+ of [3-9],\d\d\d"))
    question, reply = stop(terminal, store, messages=2)
    assert re.search(r"read ([12],)?\d{1,3} ", terminal.status), "less than the whole was read"
    assert question.content.endswith("Line 349 of a list that nobody reads.")
    assert (reply.content, reply.finish) == ("", "interrupted")

    terminal.keys("ctrl+n")
    terminal.until("Write a message; Enter sends it")
    terminal.send(SUM)
    terminal.until_answered()
    assert "The answer is 4" in terminal.chat


def test_a_reply_is_stopped_rerolled_and_both_are_kept(open_chat: Start, store: SessionStore) -> None:
    terminal = open_chat("--sampler", "DefaultSampling", "--seed", "1")
    terminal.send(STORY)
    terminal.until_writing()
    terminal.until_more()
    question, first = stop(terminal, store, messages=2)
    assert (first.role, first.finish) == ("bot", "interrupted")
    assert first.content.strip()
    assert terminal.chat.endswith(f"{on_one_line(first)} {STOPPED} · F8 to continue · ^R to re-roll")
    assert "stopped" not in first.content
    assert "▌" not in next(store.folder.glob("*.toml")).read_text()

    terminal.keys("ctrl+r")
    terminal.until("‹ 2/2 ›")
    terminal.until_writing()
    terminal.until_more()
    question_again, first_again, second = stop(terminal, store, messages=3)
    assert (question_again, first_again) == (question, first)
    assert second.parent == first.parent == question.id
    assert second.content.strip()
    assert second.content != first.content
    assert on_one_line(second) in terminal.chat

    terminal.keys("alt+left")
    terminal.until("‹ 1/2 ›")
    assert on_one_line(first) in terminal.chat
    terminal.keys("alt+right")
    terminal.until("‹ 2/2 ›")
    assert on_one_line(second) in terminal.chat


def test_chats_are_begun_left_and_resumed(open_chat: Start, store: SessionStore, tmp_path: Path) -> None:
    terminal = open_chat()
    terminal.send(SUM)
    terminal.until_answered()
    terminal.keys("ctrl+n")
    terminal.until("Write a message; Enter sends it")
    assert terminal.chat == ""
    terminal.send("Good morning.")
    terminal.until_answered()
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0
    first, second = sorted(store.summaries(), key=lambda summary: summary.id)
    assert (first.title, second.title) == (SUM, "Good morning.")

    terminal = open_chat("--resume")
    terminal.until("You\n  Good morning.")
    assert SUM not in terminal.chat
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0

    terminal = open_chat("--resume", first.id[:-1])
    terminal.until(SUM)
    assert "The answer is 4" in terminal.chat
    terminal.send("Thanks!")
    terminal.until_answered()
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0
    contents = [message.content for message in store.load(first.id).messages]
    assert contents[:3] == [SUM, "The answer is 4.", "Thanks!"]
    assert contents[3]

    elsewhere = tmp_path / "a chat of mine.toml"
    elsewhere.write_bytes(first.path.read_bytes())
    terminal = open_chat("--resume", elsewhere)
    terminal.until("Thanks!")
    terminal.send("Bye!")
    terminal.until_answered()
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0
    assert [message.content for message in store.load(str(elsewhere)).messages][:5] == [*contents, "Bye!"]
    assert len(store.load(first.id).messages) == 4


def test_a_reply_is_forked_at_a_token_and_keeps_all_before_it(open_chat: Start, store: SessionStore) -> None:
    terminal = open_chat()
    terminal.send(SUM)
    terminal.until_answered()
    terminal.until(lambda: len(saved(store)) == 2 and saved(store)[-1].finish)
    first = saved(store)[-1]
    terminal.type("/tokens")
    terminal.until(lambda: terminal.prompt == "/tokens")
    terminal.keys("enter")
    terminal.until("perplexity")
    terminal.type("ll")
    terminal.until("Token 3 of")
    terminal.until("●")
    terminal.type("c")
    terminal.until("▸")
    terminal.keys("enter")
    terminal.until("‹ 2/2 ›")
    terminal.until(lambda: len(saved(store)) == 3 and saved(store)[-1].finish)
    fork = saved(store)[-1]
    assert fork.parent == first.parent
    assert fork.ids[:2] == first.ids[:2] and fork.ids[2] != first.ids[2]
    # All that comes before the new token was in the cache.
    assert fork.made[-1].prompt_tokens - fork.made[-1].reused_tokens == 1

"""`python -m easy_llama` in a real pseudo-terminal, with the real model."""

import io
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from easy_llama_tui.chats.session import from_toml

PATIENCE = 60
PROMPT = "  > "
WRITTEN = "\x1b\\[36m[^\r\x1b]"
"""The beginning of a piece that the model wrote."""
OPTIONS = ["--threads", "1", "--sampler", "GreedyDecoding", "--context-length", "256"]


Open = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def open_chat(model_path: Path, tmp_path: Path) -> Iterator[Open]:
    """Starts the program in a terminal, and ends it with the test."""
    children: list[pexpect.spawn[str]] = []

    def start(*options: str, term: str = "xterm-256color") -> "pexpect.spawn[str]":
        unwanted = ("NO_COLOR", "INPUTRC")
        environment = {name: value for name, value in os.environ.items() if name not in unwanted}
        with warnings.catch_warnings():
            # Newer Pythons warn of a fork beside threads; this child does nothing but start a program.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = pexpect.spawn(
                sys.executable,
                ["-m", "easy_llama", str(model_path), *OPTIONS, *options],
                env=environment | {"TERM": term},
                encoding="utf-8",
                timeout=PATIENCE,
                dimensions=(40, 200),
                cwd=tmp_path,
            )
        children.append(child)
        child.expect_exact(PROMPT)
        return child

    yield start
    for child in children:
        child.close(force=True)


def say(chat: "pexpect.spawn[str]", text: str) -> str:
    """Enter a message or a sign, and return what is printed up to the next prompt."""
    chat.send(f"{text}\r")
    chat.expect_exact(PROMPT)
    return plain(chat.before)


def run(chat: "pexpect.spawn[str]", command: str) -> str:
    """Enter a command, and return what it prints."""
    chat.send("!\r")
    chat.expect_exact("  ! ")
    return say(chat, command)


def stop(chat: "pexpect.spawn[str]") -> None:
    """Press ^C once the model writes."""
    chat.expect(WRITTEN)
    chat.sendintr()
    chat.expect_exact("Stopped. Enter alone writes it anew")
    chat.expect_exact(PROMPT)


def leave(chat: "pexpect.spawn[str]") -> None:
    """Wait for the program's end, and check that it is a good one."""
    chat.expect(pexpect.EOF)
    chat.wait()
    assert chat.exitstatus == 0
    assert "Traceback" not in plain(chat.before)


def plain(text: str | None) -> str:
    """Return what a person sees of a terminal's output."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text or "").replace("\r", "")


def test_a_chat_is_stopped_rerolled_edited_saved_and_left(open_chat: Open, tmp_path: Path) -> None:
    chat = open_chat()
    chat.send("Tell me a long story about a fox.\r")
    stop(chat)
    chat.send("\r")
    stop(chat)
    # Ctrl+A goes to the start of the line: the terminal itself could only delete.
    assert say(chat, "is 2 + 2?\x01What ")
    assert "Saved to" in run(chat, "save chat.toml")
    chat.sendintr()
    leave(chat)
    session = from_toml((tmp_path / "chat.toml").read_text(), "chat.toml")
    story, question = (message.content for message in session.messages if message.role == "user")
    assert (story, question) == ("Tell me a long story about a fox.", "What is 2 + 2?")
    assert [message.role for message in session.messages] == ["user", "bot", "user", "bot"]
    assert [message.finish for message in session.messages] == [None, "stop", None, "stop"]
    assert session.messages[-1].content


def test_every_command_does_what_the_help_says(open_chat: Open) -> None:
    chat = open_chat()
    assert "the end of a line goes on" in run(chat, "help")
    chat.send("<\r")
    chat.expect_exact("  < ")
    say(chat, "Hello, Ada")
    reply = say(chat, "I am Ada.\\\rGreet me.")
    assert "Hello, Ada" in reply
    chat.send("!!\r")
    chat.expect_exact(" !! ")
    say(chat, "Be brief.")
    listed = run(chat, "messages")
    assert "1. user: I am Ada. Greet me." in listed and "2. bot: Hello, Ada" in listed
    assert "3. system: Be brief." in listed
    assert "3. system" not in run(chat, "remove") + run(chat, "messages")
    assert re.search(r"\d+ / 256 tokens\n\d+% of context used\n2 messages", run(chat, "stats"))
    assert re.search(r"\d+ / 256 tokens", run(chat, "context"))
    assert "  temp = 0.7" in run(chat, "sampler temp = 0.7")
    assert "temp = 0.0" in run(chat, "sampler greedydecoding") + run(chat, "sampler")
    assert "<|im_start|>user\nI am Ada." in run(chat, "string")
    assert run(chat, "inference").rstrip().endswith("<|im_start|>assistant")
    assert "Hello, Ada" in run(chat, "last")
    run(chat, "reprint")  # it begins with what looks like the prompt
    chat.expect_exact(PROMPT)
    assert plain(chat.before).startswith("I am Ada.\nGreet me.\n\nHello, Ada")
    assert "Hello, Ada" in run(chat, "reroll")
    assert run(chat, "summarize").strip()
    assert "2 messages" in run(chat, "stats")
    assert "as it began" in run(chat, "reset")
    assert "0 messages" in run(chat, "stats")
    chat.send("!\r")
    chat.expect_exact("  ! ")
    chat.send("clear\r")
    chat.expect_exact("\x1b[H\x1b[2J")
    chat.expect_exact(PROMPT)
    chat.send("!\r")
    chat.expect_exact("  ! ")
    chat.send("exit\r")
    leave(chat)


def test_what_goes_wrong_costs_nothing(open_chat: Open) -> None:
    chat = open_chat()
    for sign, question in [("!", "  ! "), ("<", "  < "), ("!!", " !! ")]:
        for key in ("\x03", "\x04"):
            chat.send(f"{sign}\r")
            chat.expect_exact(question)
            chat.send(key)
            chat.expect_exact(PROMPT)
    chat.send("never mind\\\r")
    chat.expect_exact("  . ")
    chat.sendintr()
    chat.expect_exact(PROMPT)
    assert "the context holds 256" in say(chat, "word " * 600)
    say(chat, "")
    assert "0 messages" in run(chat, "stats")
    chat.send("!\r")
    chat.expect_exact("  ! ")
    chat.send("remove 3\r")
    chat.expect_exact("remove takes nothing after it.")
    chat.expect_exact("  ! ")
    assert "there is no message" in say(chat, "remove")
    assert say(chat, "Say hello.").strip()
    assert "2 messages" in run(chat, "stats")
    chat.send("\x04")
    leave(chat)


def test_pasted_lines_are_one_message_and_histories_are_apart(open_chat: Open) -> None:
    chat = open_chat()
    chat.send("\x1b[200~Say hello.\nBriefly.\x1b[201~")
    say(chat, "")
    assert "1. user: Say hello. Briefly." in run(chat, "messages")
    assert "2 messages" in run(chat, "stats")
    chat.send("!\r")
    chat.expect_exact("  ! ")
    assert "1. user: Say hello." in say(chat, "\x1b[A\x1b[A")
    chat.send("\x1b[A")
    chat.expect_exact("Briefly.")
    chat.sendintr()
    leave(chat)


def test_a_dumb_terminal_gets_nothing_but_text(open_chat: Open) -> None:
    chat = open_chat(term="dumb")
    chat.logfile_read = seen = io.StringIO()
    say(chat, "Say hello.")
    run(chat, "clear")
    chat.sendeof()
    leave(chat)
    assert "\x1b" not in seen.getvalue()


def test_lines_may_be_piped_in(model_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "easy_llama", str(model_path), *OPTIONS],
        input=b"Say \xff hello.\\\nBriefly.\n!\nmessages\n",
        capture_output=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert "1. user: Say \ufffd hello. Briefly." in done.stdout.decode()
    assert b"\x1b" not in done.stdout


def test_one_reply_is_printed_for_a_prompt_and_what_is_piped_in(model_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "easy_llama", str(model_path), *OPTIONS, "-p", "Which number is in the text?"],
        input="The number is 7.\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() and "7" in done.stdout
    assert done.stdout.endswith("\n")


def test_who_stops_reading_ends_it_quietly(model_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "easy_llama", str(model_path), *OPTIONS, "-p", "Tell me a long story."],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    with process:
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.wait(PATIENCE) == 1
        assert process.stderr.read() == b""

"""`python -m easy_llama` in a real pseudo-terminal, with the real model."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from easy_llama_tui.session import from_toml

PATIENCE = 60
PROMPT = "  > "
WRITTEN = "\x1b\\[36m[^\r\x1b]"
"""The beginning of a piece that the model wrote."""
OPTIONS = ["--threads", "1", "--sampler", "GreedyDecoding", "--context-length", "2048"]


@pytest.fixture
def chat(model_path: Path, tmp_path: Path) -> Iterator["pexpect.spawn[str]"]:
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "INPUTRC")}
    with warnings.catch_warnings():
        # Newer Pythons warn of a fork beside threads; this child does nothing but start a program.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = pexpect.spawn(
            sys.executable,
            ["-m", "easy_llama", str(model_path), *OPTIONS],
            env=environment | {"TERM": "xterm-256color"},
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(40, 200),
            cwd=tmp_path,
        )
    yield child
    child.close(force=True)


def test_a_chat_is_stopped_rerolled_edited_saved_and_left(chat: "pexpect.spawn[str]", tmp_path: Path) -> None:
    chat.expect_exact(PROMPT)
    chat.send("Tell me a long story about a fox.\r")
    chat.expect(WRITTEN)
    chat.sendintr()
    chat.expect_exact("Stopped. Enter alone writes it anew")
    chat.expect_exact(PROMPT)
    chat.send("\r")
    chat.expect(WRITTEN)
    chat.sendintr()
    chat.expect_exact("Stopped.")
    chat.expect_exact(PROMPT)
    # Ctrl+A goes to the start of the line: the terminal itself could only delete.
    chat.send("is 2 + 2?\x01What \r")
    chat.expect(WRITTEN)
    chat.expect_exact(PROMPT)
    chat.send("!\r")
    chat.expect_exact("  ! ")
    chat.send("save chat.toml\r")
    chat.expect_exact("Saved to")
    chat.expect_exact(PROMPT)
    chat.sendintr()
    chat.expect(pexpect.EOF)
    chat.wait()
    assert chat.exitstatus == 0
    assert "Traceback" not in (chat.before or "")
    session = from_toml((tmp_path / "chat.toml").read_text(), "chat.toml")
    story, question = (message.content for message in session.messages if message.role == "user")
    assert (story, question) == ("Tell me a long story about a fox.", "What is 2 + 2?")
    assert [message.role for message in session.messages] == ["user", "bot", "user", "bot"]
    assert [message.finish for message in session.messages] == [None, "stop", None, "stop"]
    assert session.messages[-1].content


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

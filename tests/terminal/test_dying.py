"""Where the app's process dies, the terminal is as it was, and the chat can be gone on with."""

import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.dying_app import FATAL_WORD
from support.terminal import UNTOUCHED_MODES, Terminal, untouched_attributes

from easy_llama_tui import locations
from easy_llama_tui.chats.session_store import SessionStore

TESTS = Path(__file__).parents[1]
Run = Callable[..., Terminal]


@pytest.fixture
def run(model_path: Path) -> Iterator[Run]:
    """Starts the program with an engine that dies in the way that is given."""
    terminals: list[Terminal] = []

    def start(how: str, engine: str, *arguments: str) -> Terminal:
        paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        command = [sys.executable, "-m", "support.dying_app", how, engine, *arguments]
        terminals.append(Terminal(command, {**os.environ, "PYTHONPATH": paths}))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


def assert_given_back(terminal: Terminal) -> None:
    assert terminal.raw.count(b"\x1b[?1049h") == terminal.raw.count(b"\x1b[?1049l") == 1
    assert terminal.modes == UNTOUCHED_MODES
    assert terminal.keyboard_modes == 0
    assert terminal.style == b""
    assert terminal.attributes == untouched_attributes()


def resumed_id(words: list[str]) -> str:
    """The chat that the last words tell how to go on with."""
    (command,) = [line for line in words if "--resume" in line]
    *program, option, chat = shlex.split(command)
    assert program and option == "--resume"
    return chat


def die(terminal: Terminal) -> list[str]:
    """Send a message that is answered with death, and return the program's last words."""
    terminal.until_drawn()
    terminal.type(f"Now {FATAL_WORD}")
    terminal.until(lambda: terminal.prompt == f"Now {FATAL_WORD}")
    terminal.keys("enter")
    code = terminal.wait()
    words = terminal.last_words
    (name,) = re.findall(r"ended by (SIG\w+)", " ".join(words))
    assert code == 128 + signal.Signals[name]
    return words


@pytest.mark.parametrize(
    ("how", "name"), [("SIGKILL", "SIGKILL"), ("SIGSEGV", "SIGSEGV"), ("abort", "SIGABRT")]
)
def test_the_terminal_is_given_back_and_the_way_on_is_named(
    run: Run, model_path: Path, store: SessionStore, how: str, name: str
) -> None:
    terminal = run(how, "scripted", str(model_path))
    words = die(terminal)
    assert_given_back(terminal)
    assert f"ezllama-tui: the program was ended by {name}: " in words[0]
    (summary,) = store.summaries()
    assert resumed_id(words) == summary.id
    if how == "abort":
        assert "  ggml.c:1234: GGML_ASSERT(n_tokens > 0) failed" in words
    log = locations.log_file().read_text()
    # Where Python was is in the log, and not in the person's way.
    assert ("Fatal Python error" in log and "generate" in log) == (how != "SIGKILL")
    assert "Fatal Python error" not in "".join(words)


def test_native_code_that_ends_the_program_is_told_too(run: Run, model_path: Path) -> None:
    terminal = run("exit", "scripted", str(model_path))
    terminal.until_drawn()
    terminal.type(FATAL_WORD)
    terminal.keys("enter")
    assert terminal.wait() == 1
    assert_given_back(terminal)
    assert "ended in the middle of its work, with the code 0" in " ".join(terminal.last_words)


def test_a_chat_goes_on_after_llama_cpp_gave_up_on_the_real_model(
    run: Run, model_path: Path, store: SessionStore
) -> None:
    options = ("--threads", "1", "--sampler", "GreedyDecoding")
    terminal = run("abort", "real", str(model_path), *options)
    terminal.until_drawn()
    terminal.send("What is 2 + 2?")
    terminal.until_answered()
    words = die(terminal)
    assert_given_back(terminal)
    assert "GGML_ASSERT" in "".join(words)

    again = run("none", "real", "--resume", resumed_id(words), *options)
    again.until("The answer is 4")
    again.until(f"Now {FATAL_WORD}")
    again.until("not finished")
    again.keys("ctrl+q")
    assert again.wait() == 0
    question, answer, last, unfinished = store.load(resumed_id(words)).messages
    assert (question.content, last.content) == ("What is 2 + 2?", f"Now {FATAL_WORD}")
    assert "4" in answer.content and answer.finish == "stop"
    assert (unfinished.role, unfinished.finish) == ("bot", None)


def test_who_is_killed_from_outside_leaves_the_terminal_as_it_was(run: Run, model_path: Path) -> None:
    terminal = run("none", "scripted", str(model_path))
    terminal.until_drawn()
    terminal.kill_app(signal.SIGKILL)
    assert terminal.wait() == 128 + signal.SIGKILL
    assert_given_back(terminal)
    # There is no chat yet that could be gone on with.
    assert "--resume" not in "".join(terminal.last_words)

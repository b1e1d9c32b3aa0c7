"""Every way out gives the terminal back as it was, with the chat on disk."""

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.terminal import STORY, UNTOUCHED_MODES, Start, Terminal, untouched_attributes

from easy_llama_tui import locations
from easy_llama_tui.chats.session_store import SessionStore

if TYPE_CHECKING:
    from conftest import Gate


def assert_given_back(terminal: Terminal) -> None:
    assert terminal.raw.count(b"\x1b[?1049h") == 1, "the program drew its screen"
    assert terminal.modes == UNTOUCHED_MODES
    assert terminal.keyboard_modes == 0
    assert terminal.style == b""
    assert terminal.attributes == untouched_attributes()
    assert b"Traceback" not in terminal.raw


def assert_story_saved(store: SessionStore) -> None:
    (summary,) = store.summaries()
    question, reply = store.load(summary.id).messages
    assert question.content == STORY
    assert reply.finish == "interrupted"
    assert reply.content.strip()


def begin_story(terminal: Terminal) -> None:
    terminal.send(STORY)
    terminal.until_writing()


def test_quitting_an_empty_chat_leaves_no_trace(open_chat: Start, store: SessionStore) -> None:
    terminal = open_chat()
    terminal.until("tokens")
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0
    assert_given_back(terminal)
    assert terminal.last_words == []
    assert store.summaries() == ()


def test_quitting_while_the_model_writes_saves_and_leaves_at_once(
    open_chat: Start, store: SessionStore
) -> None:
    terminal = open_chat()
    begin_story(terminal)
    terminal.keys("ctrl+q")
    assert terminal.wait(timeout=15) == 0
    assert_given_back(terminal)
    assert terminal.last_words == []
    assert_story_saved(store)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_model_writes_saves_and_leaves(
    open_chat: Start, store: SessionStore, number: signal.Signals
) -> None:
    terminal = open_chat()
    begin_story(terminal)
    terminal.kill(number)
    assert terminal.wait(timeout=15) == 0
    assert_given_back(terminal)
    assert_story_saved(store)


def test_ctrl_c_stops_clears_and_when_pressed_twice_leaves(open_chat: Start, store: SessionStore) -> None:
    terminal = open_chat()
    begin_story(terminal)
    terminal.type("a draft")
    terminal.until(lambda: terminal.prompt == "a draft")
    terminal.keys("ctrl+c")
    terminal.until("▌ stopped")
    assert terminal.prompt == "a draft"

    terminal.keys("ctrl+c")
    terminal.until(lambda: terminal.prompt == "")
    terminal.keys("ctrl+z")
    terminal.until(lambda: terminal.prompt == "a draft")
    terminal.keys("ctrl+c")
    terminal.until(lambda: terminal.prompt == "")
    assert "Press Ctrl+C again" not in terminal.text

    terminal.keys("ctrl+c")
    terminal.until("Press Ctrl+C again to quit.")
    terminal.keys("ctrl+c")
    assert terminal.wait() == 0
    assert_given_back(terminal)
    assert_story_saved(store)


def test_ctrl_c_copies_what_is_selected_and_does_nothing_else(open_chat: Start) -> None:
    terminal = open_chat()
    terminal.type("copied words")
    terminal.until(lambda: terminal.prompt == "copied words")
    end, row = terminal.cursor
    terminal.keys(*["shift+left"] * 5)
    terminal.until(lambda: terminal.cursor == (end - 5, row))
    terminal.keys("ctrl+c")
    terminal.until(lambda: b"\x1b]52;c;d29yZHM=" in terminal.raw)  # "words" in base64
    assert terminal.prompt == "copied words"
    assert "Press Ctrl+C again" not in terminal.text


def test_leaving_while_llama_cpp_is_imported_gives_the_terminal_back(open_chat: Start, gate: "Gate") -> None:
    terminal = open_chat(environment=gate.environment)
    terminal.keys("ctrl+d")
    assert terminal.wait(timeout=15) == 0
    assert_given_back(terminal)


HANGING_DISK = """
import os, time
scandir = os.scandir

def hang(path="."):
    if os.fspath(path).endswith("hanging"):
        open(os.path.join(path, "..", "was-looked-into"), "w").close()
        time.sleep(3600)
    return scandir(path)

os.scandir = hang
"""


def test_a_disk_that_does_not_answer_holds_nothing_up(open_chat: Start, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HANGING_DISK)
    folder = tmp_path / "hanging"
    folder.mkdir()
    config = locations.config_file()
    config.parent.mkdir(parents=True)
    config.write_text(f'[model]\nfolders = ["{folder}"]\n')
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    terminal = open_chat(environment={"PYTHONPATH": os.pathsep.join(paths)})
    terminal.until("tokens")
    terminal.type("/model\r")
    terminal.until(lambda: (tmp_path / "was-looked-into").exists())
    terminal.keys("esc", "ctrl+q")
    assert terminal.wait(timeout=30) == 0
    assert_given_back(terminal)

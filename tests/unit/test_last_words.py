"""What is said to the terminal after the app has died."""

import signal
import sys
from pathlib import Path

import pytest

from easy_llama_tui import locations
from easy_llama_tui.last_words import last_words
from easy_llama_tui.note import Note


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installed program, which is found by its name."""
    program = tmp_path / "bin" / "ezllama-tui"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr(sys, "argv", [str(program)])
    return program


def saved_chat() -> str:
    folder = locations.sessions_folder()
    folder.mkdir(parents=True)
    (folder / "20260101-0000-abcd.toml").touch()
    return "20260101-0000-abcd"


def noted(chat: str = "", log: Path | None = None, log_start: int = 0) -> Note:
    note = Note()
    note.take_screen()
    note.open_chat(chat)
    if log is not None:
        note.open_log(str(log), log_start)
    return note


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-signal.SIGABRT, "ended by SIGABRT: llama.cpp, or a library that it uses, found something wrong"),
        (-signal.SIGKILL, "ended by SIGKILL: the system does that where memory runs out; a smaller context"),
        (-signal.SIGUSR1, "ended by SIGUSR1."),
        (-(signal.SIGRTMIN + 3), f"ended by signal {signal.SIGRTMIN + 3}."),
        (1, "in the middle of its work, with the code 1."),
    ],
)
def test_the_reason_is_said(code: int, said: str) -> None:
    assert f"{said}" in " ".join(last_words(code, noted()).split())


def test_the_command_resumes_the_chat(program: Path) -> None:
    chat = saved_chat()
    assert last_words(-9, noted(chat)).splitlines()[-1] == f"  ezllama-tui --resume {chat}"


def test_a_program_that_is_not_on_the_path_is_named_in_full(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = saved_chat()
    monkeypatch.setenv("PATH", "")
    assert f"  {program} --resume {chat}\n" in last_words(-9, noted(chat))
    monkeypatch.setattr(sys, "argv", ["/somewhere/easy_llama_tui/__main__.py"])
    assert f"  {sys.executable} -m easy_llama_tui --resume {chat}\n" in last_words(-9, noted(chat))


def test_a_chat_elsewhere_is_named_by_its_file(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "my chat.toml"
    file.touch()
    assert f"  ezllama-tui --resume '{file}'\n" in last_words(-9, noted(str(file)))


def test_a_name_that_could_drive_the_terminal_is_not_shown(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "\x1b[2J.toml"
    file.touch()
    assert "\x1b" not in last_words(-9, noted(str(file)))


@pytest.mark.parametrize("chat", ["", "20260101-0000-abcd", "/nowhere/chat.toml"])
def test_what_was_never_saved_is_not_offered(program: Path, chat: str) -> None:
    assert "--resume" not in last_words(-9, noted(chat))


def test_the_last_lines_of_this_run_are_shown(tmp_path: Path) -> None:
    log = tmp_path / "the.log"
    log.write_text("of the run before\n")
    start = log.stat().st_size
    with log.open("a") as file:
        file.writelines(f"line {number}\n" for number in range(20))
        file.write("\x1b[2J\x1b]52;c;aGk=\x07 hostile \u202e\n" + "long " * 100 + "\n\n")
        file.write("Fatal Python error: Aborted\n\nThread 0x1 (most recent call first):\n  File …\n")
    *_, before, hostile, long, _whole = words = last_words(-6, noted(log=log, log_start=start)).splitlines()
    assert "of the run before" not in "".join(words)
    assert "Python" not in "".join(words)
    assert words.count("The last of its log:") == 1
    assert before == "  line 19" and "  line 14" in words and "  line 13" not in words
    assert hostile == "  [2J ]52;c;aGk=  hostile"
    assert len(long) < 250 and long.endswith("…")
    assert words[-1] == f"The whole log: {log}"


def test_a_log_that_was_full_is_looked_for_where_it_went(tmp_path: Path) -> None:
    log = tmp_path / "the.log"
    log.write_text("new\n")
    (tmp_path / "the.log.1").write_text("GGML_ASSERT(x) failed\n")
    assert "  GGML_ASSERT(x) failed\n" in last_words(-6, noted(log=log, log_start=4_000_000))


@pytest.mark.parametrize("log", ["missing.log", ""])
def test_without_a_log_nothing_is_said_of_it(tmp_path: Path, log: str) -> None:
    assert "log" not in last_words(-6, noted(log=tmp_path / log))


def test_a_note_is_whole_whenever_it_is_read() -> None:
    note = Note(is_shared=True)
    note.read()
    assert (note.has_screen, note.chat, note.log, note.log_start) == (False, "", "", 0)
    note.open_log("/über/\udcff.log", 7)
    note.take_screen()
    for number in range(3):
        note.open_chat(f"chat {number}" * 100)
        kept, note.chat = note.chat, ""
        note.read()
        assert (note.has_screen, note.chat) == (True, kept)
    assert (note.log, note.log_start) == ("/über/\udcff.log", 7)
    note.give_screen_back()
    note.open_log("/" + "x" * 20_000, 0)  # longer than any path may be
    note.read()
    assert (note.has_screen, note.log) == (False, "/über/\udcff.log")

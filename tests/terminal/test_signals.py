"""The terminal goes away, stands still, or is the shell's for a while."""

import contextlib
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from support.talking_program import LONG, said
from support.terminal import PATIENCE, UNTOUCHED_MODES, Start, Terminal

from easy_llama_tui import locations
from easy_llama_tui.chats.session_store import SessionStore

Run = Callable[..., Terminal]
Talking = tuple[list[str], dict[str, str]]

STOPPED = re.compile(rb"Stopped")


def saved_reply(store: SessionStore) -> tuple[str, str | None]:
    """What there is of the last reply on disk, and how it ended."""
    summaries = store.summaries()
    if not summaries:
        return "", None
    reply = store.load(summaries[0].id).messages[-1]
    return reply.content, reply.finish


# The shell


class Shell:
    """The program as a job of an interactive shell."""

    def __init__(self, run: Run, talking: Talking, folder: Path, *, in_script: bool = False) -> None:
        """Start it by itself, or in a script that waits for it."""
        command, own = talking
        self._pid_file = folder / "pid"
        script = folder / "job"
        begin = f"{shlex.join(command)}\necho done" if in_script else f"exec {shlex.join(command)}"
        script.write_text(f"echo $$ > {shlex.quote(str(self._pid_file))}\n{begin}\n")
        self.terminal = run(["/bin/sh", "-i"], {**own, "PS1": "shell> ", "ENV": "", "INPUTRC": "/dev/null"})
        self.terminal.until("shell>")
        self.attributes = self.terminal.attributes
        self.terminal.type(f"sh {shlex.quote(str(script))}\n")
        self.terminal.until_drawn()

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the program alone."""
        os.kill(int(self._pid_file.read_text()), number)

    def until_stopped(self, times: int = 1) -> None:
        self.terminal.until(lambda: len(STOPPED.findall(self.terminal.raw)) == times)
        self.terminal.until(lambda: self.terminal.attributes == self.attributes)

    def foreground(self) -> None:
        drawn = self.terminal.raw.count(b"\x1b[?1049h")
        self.terminal.type("fg\n")
        self.terminal.until(lambda: self.terminal.raw.count(b"\x1b[?1049h") > drawn)
        self.terminal.until_drawn()


@pytest.mark.parametrize("way", ["typed", "signal"])
def test_it_stops_with_all_saved_and_goes_on_where_it_was(
    run: Run, talking: Talking, tmp_path: Path, store: SessionStore, talk_log: Path, way: str
) -> None:
    shell = Shell(run, talking, tmp_path, in_script=way == "typed")
    terminal = shell.terminal
    terminal.send(f"{LONG} story")
    terminal.until_writing()
    if way == "typed":
        terminal.type("/suspend\r")
    else:
        terminal.type("a draft")
        terminal.until(lambda: terminal.prompt == "a draft")
        shell.kill(signal.SIGTSTP)
    shell.until_stopped()
    assert terminal.modes == UNTOUCHED_MODES
    assert terminal.keyboard_modes == 0
    assert saved_reply(store)[0].startswith(said(talk_log)[0].word)
    if way == "signal":
        (draft,) = locations.drafts_folder().glob("*.json")
        assert '"a draft"' in draft.read_text()
    said_before = len(said(talk_log))

    shell.foreground()
    terminal.until(lambda: len(said(talk_log)) > said_before)
    terminal.until_writing()
    terminal.type(" goes on")
    terminal.until(lambda: terminal.prompt.endswith(" goes on"))
    terminal.keys("ctrl+q")
    terminal.until(lambda: terminal.attributes == shell.attributes)
    terminal.until(lambda: terminal.modes == UNTOUCHED_MODES and terminal.keyboard_modes == 0)
    assert saved_reply(store)[1] == "interrupted"
    assert b"Traceback" not in terminal.raw


def test_stopped_from_outside_it_takes_the_terminal_anew_and_gives_it_back_once(
    run: Run, talking: Talking, tmp_path: Path
) -> None:
    shell = Shell(run, talking, tmp_path)
    terminal = shell.terminal
    terminal.until("ready")
    shell.kill(signal.SIGSTOP)
    terminal.until(lambda: STOPPED.search(terminal.raw))
    shell.foreground()
    terminal.type("words")
    terminal.until(lambda: terminal.prompt == "words")
    terminal.keys("ctrl+q")
    terminal.until(lambda: terminal.attributes == shell.attributes)
    terminal.until(lambda: terminal.modes == UNTOUCHED_MODES and terminal.keyboard_modes == 0)


def test_without_a_shell_it_does_not_stop(talk: Start) -> None:
    terminal = talk()
    terminal.kill(signal.SIGTSTP)
    terminal.type("/suspend\r")
    terminal.until("There is no shell to go back to here.")
    terminal.type("words")
    terminal.until(lambda: terminal.prompt == "words")


def test_after_standing_still_as_in_sleep_a_reply_goes_on(
    talk: Start, store: SessionStore, talk_log: Path
) -> None:
    terminal = talk()
    terminal.send(f"{LONG} story")
    terminal.until_writing()
    terminal.kill(signal.SIGSTOP)
    terminal.pass_time(0.3)
    said_before = len(said(talk_log))
    terminal.kill(signal.SIGCONT)
    terminal.until(lambda: len(said(talk_log)) > said_before)
    terminal.until(lambda: said(talk_log)[said_before].word.strip() in terminal.chat)
    terminal.keys("ctrl+q")
    assert terminal.wait(timeout=15) == 0
    assert terminal.modes == UNTOUCHED_MODES
    assert terminal.keyboard_modes == 0
    assert saved_reply(store)[1] == "interrupted"


# No terminal


class Pty:
    """The program at a pseudo-terminal that can be taken away."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, is_told: bool) -> None:
        """Start `command`; it is sent SIGHUP when the terminal goes where it `is_told`."""
        self._master, slave = os.openpty()
        if is_told:
            take = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
            command = [sys.executable, "-c", f"{take}; os.execv(sys.argv[1], sys.argv[1:])", *command]
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        os.close(slave)
        self.raw = b""

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.raw[-2000:]
            if select.select([self._master], [], [], 0.02)[0]:
                self.raw += os.read(self._master, 1 << 16)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def take_away(self) -> None:
        os.close(self._master)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._master)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("is_told", [True, False], ids=["SIGHUP", "end of file"])
def test_when_the_terminal_is_gone_it_saves_and_leaves(
    talking: Talking, talk_log: Path, store: SessionStore, is_told: bool
) -> None:
    pty = Pty(*talking, is_told=is_told)
    try:
        pty.until(lambda: b"ready" in pty.raw)
        pty.type(f"{LONG} story")
        pty.until(lambda: b"story" in pty.raw)
        pty.type("\ra draft")
        pty.until(lambda: len(said(talk_log)) > 20)
        pty.take_away()
        assert pty.process.wait(15) == 0
    finally:
        pty.end()
    text, finish = saved_reply(store)
    assert finish == "interrupted"
    assert len(text.split()) >= 10  # all but what was on its way to the screen
    (draft,) = locations.drafts_folder().glob("*.json")
    assert '"a draft"' in draft.read_text()


def is_stuck() -> bool:
    """Whether the program has found that the terminal takes nothing, and it does not take anything again."""
    log = locations.log_file()
    text = log.read_text() if log.exists() else ""
    return text.count("takes nothing") > text.count("takes pictures again")


def read_nothing_until(terminal: Terminal, condition: Callable[[], object], *, draw: bool = False) -> None:
    """Let the program write into a terminal that nobody reads; it draws a panel again and again."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        if draw:
            os.write(terminal._child.fileno(), b"\x1b[20~")  # F9
        time.sleep(0.05)


def test_a_terminal_that_takes_nothing_keeps_nothing_from_being_saved(
    talk: Start, talk_log: Path, store: SessionStore
) -> None:
    terminal = talk()
    terminal.send(f"{LONG} story")
    terminal.until_writing()
    read_nothing_until(terminal, is_stuck, draw=True)
    count = len(said(talk_log))
    read_nothing_until(terminal, lambda: said(talk_log)[count - 1].word in saved_reply(store)[0])

    # Read again, it shows what is, and not what was left out.
    word = said(talk_log)[-1].word.strip()
    terminal.until(lambda: word in terminal.chat)
    terminal.until_writing()

    read_nothing_until(terminal, is_stuck, draw=True)
    terminal.kill(signal.SIGTERM)
    read_nothing_until(terminal, lambda: not terminal._child.isalive())
    assert saved_reply(store)[1] == "interrupted"

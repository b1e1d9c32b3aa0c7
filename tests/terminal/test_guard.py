"""The parent of the app's process: to whoever started the program the two are one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.terminal import Terminal
from support.waiting import PATIENCE

PROGRAM = """
import os, signal, sys, time
from easy_llama_tui.guard import guarded

started = os.getpid()

def run(note):
    print("child" if os.getpid() != started else "alone", flush=True)
    exec(sys.argv[1])
    return 0

sys.exit(guarded(run, sys.argv[2:]))
"""
SLEEP = "time.sleep(60)"
# As a full-screen program does: it gives the terminal back first.
STOPPABLE = f"""
def stop(number, frame):
    print("stopped", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)

def go_on(number, frame):
    print("continued", flush=True)

signal.signal(signal.SIGTSTP, stop)
signal.signal(signal.SIGCONT, go_on)
print("ready", flush=True)
while True:
    {SLEEP}
"""

Start = Callable[..., Terminal]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a guard in a terminal, whose child does what the code says."""
    terminals: list[Terminal] = []

    def start_guard(code: str, *arguments: str) -> Terminal:
        terminals.append(Terminal([sys.executable, "-c", PROGRAM, code, *arguments], os.environ))
        return terminals[-1]

    yield start_guard
    for terminal in terminals:
        terminal.close()


def are_stopped(terminal: Terminal) -> bool:
    return all(Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] == "T" for pid in terminal.pids)


@pytest.mark.parametrize("code", [0, 2, 7])
def test_exit_codes_pass_through(start: Start, code: int) -> None:
    terminal = start(f"sys.exit({code})")
    terminal.until("child")
    assert terminal.wait() == code
    assert terminal.last_words == ["child"]


@pytest.mark.parametrize("argument", ["-h", "--help", "--version", "--print-config"])
def test_what_only_prints_has_no_guard(start: Start, argument: str) -> None:
    terminal = start("", argument)
    terminal.until("alone")
    assert terminal.wait() == 0


def test_without_a_terminal_there_is_no_guard() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ""], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr, done.returncode) == ("alone\n", "", 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_child(start: Start, number: signal.Signals) -> None:
    terminal = start(f"signal.signal({number}, lambda *_: sys.exit(5)); print('ready', flush=True); {SLEEP}")
    terminal.until("ready")
    terminal.kill(number)
    assert terminal.wait() == 5


def test_ctrl_c_is_the_childs_alone(start: Start) -> None:
    terminal = start(
        f"signal.signal(signal.SIGINT, lambda *_: sys.exit(3)); print('ready', flush=True); {SLEEP}"
    )
    terminal.until("ready")
    terminal.keys("ctrl+c")
    assert terminal.wait() == 3


@pytest.mark.parametrize("by_terminal", [False, True])
def test_both_stop_and_go_on_together_whoever_is_told(start: Start, *, by_terminal: bool) -> None:
    terminal = start(STOPPABLE)
    terminal.until("ready")
    for times in (1, 2):
        if by_terminal:
            terminal.keys("ctrl+z")
        else:
            terminal.kill(signal.SIGTSTP)
        terminal.until(lambda: are_stopped(terminal))
        terminal.until(lambda count=times: terminal.text.count("stopped") == count)
        if by_terminal:
            os.killpg(terminal.pids[0], signal.SIGCONT)  # as a shell's `fg`
        else:
            terminal.kill(signal.SIGCONT)
        terminal.until(lambda count=times: terminal.text.count("continued") == count)
        terminal.until(lambda: not are_stopped(terminal))
    terminal.kill(signal.SIGTERM)
    assert terminal.wait() == 128 + signal.SIGTERM
    # Nothing was told twice.
    assert (terminal.text.count("stopped"), terminal.text.count("continued")) == (2, 2)


def test_the_child_leaves_when_its_parent_is_gone(start: Start, tmp_path: Path) -> None:
    left = tmp_path / "left"
    terminal = start(
        f"""
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # that its terminal is gone is not told everywhere

def leave(number, frame):
    open({str(left)!r}, "w").close()
    sys.exit()

signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
{SLEEP}
"""
    )
    terminal.until("ready")
    parent, child = terminal.pids
    os.kill(parent, signal.SIGKILL)
    assert terminal.wait() == -signal.SIGKILL
    process = f"/proc/{child}"
    deadline = time.monotonic() + PATIENCE
    while Path(process).exists() and "Z" not in Path(f"{process}/stat").read_text():
        assert time.monotonic() < deadline, "the child is still there"
        time.sleep(0.01)
    assert left.exists()

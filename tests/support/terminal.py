"""The program in a real pseudo-terminal: keys go in as bytes, and what it draws is read back as a screen."""

import os
import re
import select
import signal
import sys
import termios
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pexpect
import pyte
from pexpect.fdpexpect import fdspawn

from support.talking_program import TalkingServer

PATIENCE = 60.0
"""Seconds after which what should happen counts as never happening."""

Wanted = str | re.Pattern[str] | Callable[[], object]
"""What to wait for: a text on the screen, a pattern on it, or anything that can be asked."""

STORY = "Tell me a long story about a fox."
"""A message whose answer is longer than any test waits for."""
SUM = "What is 2 + 2?"
"""A message whose answer is short: "The answer is 4.\""""

_KEYS = {
    "enter": "\r",
    "esc": "\x1b",
    "ctrl+c": "\x03",
    "ctrl+d": "\x04",
    "ctrl+j": "\n",
    "ctrl+n": "\x0e",
    "ctrl+o": "\x0f",
    "ctrl+q": "\x11",
    "ctrl+r": "\x12",
    "ctrl+s": "\x13",
    "ctrl+z": "\x1a",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "f8": "\x1b[19~",
    "ctrl+up": "\x1b[1;5A",
    "f3": "\x1bOR",
    "shift+left": "\x1b[1;2D",
    "alt+left": "\x1b[1;3D",
    "alt+right": "\x1b[1;3C",
}
"""Keys as xterm and its kin send them."""

# pyte takes some sequences of newer protocols for others, or draws their ends.
_NOT_FOR_PYTE = re.compile(rb"\x1b\[(?:[<=>][0-9;]*[a-z]|\?[0-9;]*\$p)")
_CUT_OFF = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*)?\Z")
# Synchronized output: as it says that it knows it, this terminal is told where a frame begins and ends.
_ASKED_FOR_FRAMES = b"\x1b[?2026$p"
_KNOWS_FRAMES = b"\x1b[?2026;2$y"
_FRAME_BEGINS = b"\x1b[?2026h"
_FRAME_ENDS = b"\x1b[?2026l"

_MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")
_STYLE = re.compile(rb"\x1b\[([0-9;:]*)m")
_KEYBOARD = re.compile(rb"\x1b\[([<>])[0-9]*u")
UNTOUCHED_MODES = frozenset({7, 25})
"""The private modes (DECSET) that are on in a new terminal: lines wrap, and the cursor is shown."""


def program() -> list[str]:
    """Return the command that starts the program: the installed one, where it is installed."""
    script = Path(sys.executable).with_name("ezllama-tui")
    return [str(script)] if script.exists() else [sys.executable, "-m", "easy_llama_tui"]


def untouched_attributes() -> list[object]:
    """Return the line settings (echo, line editing and so on) of a new pseudo-terminal."""
    descriptors = os.openpty()
    try:
        return termios.tcgetattr(descriptors[1])
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


class Terminal:
    """The program in a pseudo-terminal of its own, and what is on its screen."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], size: tuple[int, int] = (100, 30)
    ) -> None:
        """Start `command` in a terminal of `size`, columns by rows."""
        columns, rows = size
        self._child = self._start(command, _at_terminal(environment), columns, rows)
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._unfed = b""
        self._ended = False
        self.raw = b""
        """Every byte that the program wrote."""

    def _start(self, command: Sequence[str], environment: Mapping[str, str], columns: int, rows: int) -> Any:
        with warnings.catch_warnings():
            # Newer Pythons warn of a fork beside threads; this child does nothing but start a program.
            warnings.simplefilter("ignore", DeprecationWarning)
            return pexpect.spawn(
                command[0], list(command[1:]), env=dict(environment), dimensions=(rows, columns)
            )

    # What is seen

    @property
    def lines(self) -> list[str]:
        """The rows of the screen."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.lines)

    @property
    def chat(self) -> str:
        """The words between the title and the prompt, on one line: wrapping makes no difference."""
        return " ".join(" ".join(self.lines[1 : self._prompt_row - 1]).split())

    @property
    def prompt(self) -> str:
        """What stands in the prompt."""
        return "\n".join(line[3:] for line in self.lines[self._prompt_row : -1])

    @property
    def status(self) -> str:
        """The line at the bottom."""
        return self.lines[-1]

    @property
    def _prompt_row(self) -> int:
        lines = self.lines
        marked = [row for row, line in enumerate(lines) if line == " >" or line.startswith(" > ")]
        return marked[-1] if marked else len(lines)

    @property
    def cursor(self) -> tuple[int, int]:
        """The column and the row of the cursor, from 0."""
        return self._screen.cursor.x, self._screen.cursor.y

    # How it is left

    @property
    def modes(self) -> frozenset[int]:
        """The private modes (DECSET) that are on after all that the program wrote."""
        modes = set(UNTOUCHED_MODES)
        for numbers, switch in _MODE.findall(self.raw):
            change = modes.add if switch == b"h" else modes.discard
            for number in numbers.split(b";"):
                change(int(number))
        return frozenset(modes)

    @property
    def style(self) -> bytes:
        """The parameters of the last change of colour or style; nothing is plain, as 0 is."""
        styles = _STYLE.findall(self.raw)
        return b"" if not styles or styles[-1] == b"0" else styles[-1]

    @property
    def keyboard_modes(self) -> int:
        """How many modes of the Kitty keyboard protocol were switched on and not off again."""
        return sum(1 if sign == b">" else -1 for sign in _KEYBOARD.findall(self.raw))

    @property
    def attributes(self) -> list[object]:
        """The line settings: echo, line editing and so on."""
        return termios.tcgetattr(self._child.fileno())

    @property
    def last_words(self) -> list[str]:
        """The lines that the program wrote after its last escape sequence: those that stay visible."""
        last = re.split(rb"\x1b\[[0-?]*[ -/]*[@-~]", self.raw)[-1]
        return last.decode().splitlines()

    # What is done

    def until(self, wanted: Wanted, timeout: float = PATIENCE) -> None:
        """Wait until the screen shows a text or matches a pattern, or until something is so.

        Raises:
            AssertionError: it never is, or the program ended first; the message shows the screen.
        """
        deadline = time.monotonic() + timeout
        while not self._is(wanted):
            assert not self._ended, f"the program ended, and never: {wanted!r}\n{self.text}"
            assert time.monotonic() < deadline, f"not in {timeout:.0f} s: {wanted!r}\n{self.text}"
            self._read(0.05)

    def until_drawn(self) -> None:
        """Wait until the screen is there from top to bottom, with a prompt to type into."""
        self.until(lambda: self.lines[0] and self._prompt_row < len(self.lines) and self.status)

    def until_writing(self) -> None:
        """Wait until the model writes."""
        self.until(lambda: "Esc stop" in self.status and "tok/s" in self.status)

    def until_answered(self) -> None:
        """Wait until the model has ended its turn."""
        self.until(lambda: "Esc stop" not in self.status and "tok/s" in self.status)

    def until_more(self) -> None:
        """Wait until the chat is not what it is now."""
        before = self.chat
        self.until(lambda: self.chat != before)

    def type(self, text: str) -> None:
        """Type a text."""
        self._write(text.encode())

    def keys(self, *names: str) -> None:
        """Press keys by name."""
        for name in names:
            self._write(_KEYS[name].encode())

    def paste(self, text: str) -> None:
        """Paste a text, as terminals do in bracketed paste mode."""
        self._write(b"\x1b[200~" + text.replace("\n", "\r").encode() + b"\x1b[201~")

    def send(self, message: str) -> None:
        """Type a message of one row, press Enter once it is seen, and wait until it is in the chat."""
        self.type(message)
        self.until(lambda: self.prompt == message)
        self.keys("enter")
        self.until(lambda: f"You {message}" in self.chat)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window, and empty it; the kernel tells the program."""
        self._screen.resize(rows, columns)
        self._screen.erase_in_display(2)
        self._child.setwinsize(rows, columns)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        self._child.kill(number)

    def kill_app(self, number: signal.Signals) -> None:
        """Send a signal to the process that the app runs in, which is a child of the one that was started."""
        os.kill(self.pids[1], number)

    @property
    def pids(self) -> list[int]:
        """The process that was started, and its children: of the program, the one that the app runs in."""
        pid = self._child.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def pass_time(self, seconds: float) -> None:
        """Let the program go on for a while, and read what it draws."""
        end = time.monotonic() + seconds
        while not self._ended:
            self._read(min(0.02, max(end - time.monotonic(), 0.0)))
            if time.monotonic() >= end:
                return

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for the program's end; return its exit code, or minus the signal that killed it.

        Raises:
            AssertionError: it does not end.
        """
        deadline = time.monotonic() + timeout
        while not self._ended:
            assert time.monotonic() < deadline, f"the program did not end in {timeout:.0f} s\n{self.text}"
            self._read(0.05)
        self._child.wait()
        if self._child.exitstatus is None:
            return -int(self._child.signalstatus)
        return int(self._child.exitstatus)

    def close(self) -> None:
        """End the program, whatever it is at."""
        if self._child.isalive():
            for pid in reversed(self.pids):
                os.kill(pid, signal.SIGKILL)
            self._child.wait()
        self._child.close()

    def _is(self, wanted: Wanted) -> bool:
        if isinstance(wanted, str):
            return wanted in self.text
        return bool(wanted.search(self.text) if isinstance(wanted, re.Pattern) else wanted())

    def _write(self, data: bytes) -> None:
        """Write to the program, reading what it writes meanwhile: each could wait for the other."""
        descriptor = self._child.fileno()
        while data:
            readable, writable, _ = select.select([descriptor], [descriptor], [], PATIENCE)
            assert readable or writable, f"the program takes no input\n{self.text}"
            if readable:
                self._read(0)
                assert not self._ended, f"the program ended before it took {data!r}\n{self.text}"
            if writable:
                written = os.write(descriptor, data[:512])
                data = data[written:]

    def _read(self, timeout: float) -> None:
        """Take what the program wrote, waiting up to `timeout` seconds for it."""
        try:
            data = self._child.read_nonblocking(1 << 16, timeout)
        except pexpect.TIMEOUT:
            return
        except pexpect.EOF:
            self._ended = True
            return
        self.raw += data
        if _ASKED_FOR_FRAMES in data:
            os.write(self._child.fileno(), _KNOWS_FRAMES)
        data = self._unfed + data
        end = _end_of_whole(data)
        self._unfed = data[end:]
        self._stream.feed(_NOT_FOR_PYTE.sub(b"", data[:end]))


def _at_terminal(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program in this terminal, and not in the one of whoever runs the tests."""
    foreign = {"COLUMNS", "LINES", "NO_COLOR", "TERM_PROGRAM", "TMUX"}
    own = {name: value for name, value in environment.items() if name not in foreign}
    return own | {"TERM": "xterm-256color"}


def _end_of_whole(data: bytes) -> int:
    """Return where the last whole frame, or else the last whole sequence, ends."""
    frame = data.rfind(_FRAME_BEGINS)
    if frame >= 0 and _FRAME_ENDS not in data[frame:]:
        return frame
    cut = _CUT_OFF.search(data)
    return cut.start() if cut else len(data)


class ServedTerminal(Terminal):
    """The program that talks by itself, started by a process that has loaded it already."""

    def __init__(
        self, server: TalkingServer, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        self._server = server
        super().__init__(arguments, environment)

    def _start(self, command: Sequence[str], environment: Mapping[str, str], columns: int, rows: int) -> Any:
        return _ServedChild(self._server, command, environment, (rows, columns))


class _ServedChild(fdspawn):
    """What pexpect has of a child that it started, for one that it did not."""

    def __init__(
        self,
        server: TalkingServer,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        size: tuple[int, int],
    ) -> None:
        master, slave = os.openpty()
        termios.tcsetwinsize(master, size)
        self._server = server
        self.pid = server.start(arguments, environment, os.ttyname(slave))
        os.close(slave)
        self.exitstatus: int | None = None
        self.signalstatus: int | None = None
        super().__init__(master)

    def kill(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> None:
        code = self._server.wait(self.pid)
        self.exitstatus, self.signalstatus = (code, None) if code >= 0 else (None, -code)

    def isalive(self) -> bool:
        return self.exitstatus is None and self.signalstatus is None


class Start(Protocol):
    """Starts the program; the tests' fixtures `start` and `open_chat` are such."""

    def __call__(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> Terminal:
        """Start it with these arguments, and with more environment variables."""
        ...

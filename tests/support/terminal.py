"""A program in a real pseudo-terminal: keys go in as bytes, and what it draws is read back as a screen."""

import re
import select
import signal
import sys
import termios
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pexpect
import pyte

PATIENCE = 120.0
"""Seconds after which something that should happen counts as never happening."""

_KEYS = {
    "enter": "\r",
    "esc": "\x1b",
    "ctrl+c": "\x03",
    "ctrl+j": "\n",
    "ctrl+n": "\x0e",
    "ctrl+q": "\x11",
    "ctrl+r": "\x12",
    "alt+left": "\x1b[1;3D",
    "alt+right": "\x1b[1;3C",
}
"""What xterm and its kin send."""

# pyte reads some sequences of newer protocols wrongly, and draws their ends.
_NOT_FOR_PYTE = re.compile(rb"\x1b\[(?:[<=>][0-9;]*[a-z]|\?[0-9;]*\$p)")
_CUT_OFF = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*)?\Z")
_MODE = re.compile(rb"\x1b\[\?([0-9;]+)([hl])")

_SHOW_CURSOR = 25
_WRAP_LINES = 7
FRESH_MODES = frozenset({_SHOW_CURSOR, _WRAP_LINES})
"""The private modes that are on in a terminal nobody has touched."""


def program() -> list[str]:
    """Return the command that starts the program: the installed one, where it is installed."""
    script = Path(sys.executable).with_name("ezllama-tui")
    return [str(script)] if script.exists() else [sys.executable, "-m", "easy_llama_tui"]


class Terminal:
    """A program that runs in a pseudo-terminal of its own, and what is on its screen."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], size: tuple[int, int] = (100, 30)
    ) -> None:
        """Start `command` in a terminal of `size`, columns by rows."""
        columns, rows = size
        ignored = {"COLUMNS", "LINES", "NO_COLOR", "TERM_PROGRAM", "TMUX"}
        kept = {name: value for name, value in environment.items() if name not in ignored}
        with warnings.catch_warnings():
            # Newer Pythons warn of any fork beside threads; this child does nothing but start a program.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._child = pexpect.spawn(
                command[0],
                list(command[1:]),
                env=kept | {"TERM": "xterm-256color"},
                dimensions=(rows, columns),
            )
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._unfed = b""
        self._ended = False
        self.raw = bytearray()
        """Every byte that the program wrote."""

    @property
    def lines(self) -> list[str]:
        """The rows of the screen."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.lines)

    @property
    def modes(self) -> frozenset[int]:
        """The private modes (DECSET) that are on, as the program left them so far."""
        modes = set(FRESH_MODES)
        for numbers, switch in _MODE.findall(bytes(self.raw)):
            change = modes.add if switch == b"h" else modes.discard
            for number in numbers.split(b";"):
                change(int(number))
        return frozenset(modes)

    @property
    def attributes(self) -> list[object]:
        """The settings of the terminal's line: echo, line editing and so on."""
        return termios.tcgetattr(self._child.fileno())

    def until(self, wanted: str | re.Pattern[str] | Callable[[], object], timeout: float = PATIENCE) -> None:
        """Wait until the screen shows a text or matches a pattern, or until something is so.

        Raises:
            AssertionError: it never is, or the program ended first; the message shows the screen.
        """
        deadline = time.monotonic() + timeout
        while not self._is(wanted):
            if self._ended:
                # Its last bytes may have been what was waited for, and a file may be there by now.
                raise AssertionError(f"the program ended, and never: {wanted!r}\n{self.text}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not in {timeout:.0f} s: {wanted!r}\n{self.text}")
            self._read(0.05)

    def type(self, text: str) -> None:
        """Type a text, key by key."""
        self._write(text.encode())

    def keys(self, *names: str) -> None:
        """Press keys by name."""
        for name in names:
            self._write(_KEYS[name].encode())

    def send(self, message: str) -> None:
        """Type a message and, once it is seen, press Enter."""
        self.type(message)
        self.until(lambda: message in self.prompt)
        self.keys("enter")

    def paste(self, text: str) -> None:
        """Paste a text, as terminals do in bracketed paste mode."""
        self._write(b"\x1b[200~" + text.replace("\n", "\r").encode() + b"\x1b[201~")

    @property
    def prompt(self) -> str:
        """What stands in the prompt."""
        rows = self.lines
        first = next((row for row in range(len(rows) - 1, -1, -1) if rows[row].startswith(" > ")), len(rows))
        return "\n".join(row[3:] for row in rows[first:-1])

    @property
    def status(self) -> str:
        """The line at the bottom."""
        return self.lines[-1]

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window; the kernel tells the program."""
        self._screen.resize(rows, columns)
        self._child.setwinsize(rows, columns)

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        self._child.kill(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for the program's end; return its exit code, or minus the signal that killed it.

        Raises:
            AssertionError: it does not end.
        """
        self._until_end(timeout)
        self._child.wait()
        if self._child.exitstatus is None:
            return -int(self._child.signalstatus)
        return int(self._child.exitstatus)

    def close(self) -> None:
        """End the program, whatever it is at."""
        self._child.close(force=True)

    def _until_end(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._ended:
            if time.monotonic() > deadline:
                raise AssertionError(f"the program did not end in {timeout:.0f} s\n{self.text}")
            self._read(0.05)

    def _is(self, wanted: str | re.Pattern[str] | Callable[[], object]) -> bool:
        if isinstance(wanted, str):
            return wanted in self.text
        return bool(wanted.search(self.text) if isinstance(wanted, re.Pattern) else wanted())

    def _write(self, data: bytes) -> None:
        """Write bytes to the program, reading what it writes meanwhile: each could wait for the other."""
        descriptor = self._child.fileno()
        while data:
            readable, writable, _ = select.select([descriptor], [descriptor], [], PATIENCE)
            if readable:
                self._read(0)
            if writable:
                data = data[self._child.send(data[:512]) :]
            assert readable or writable, "the program takes no input"

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
        data = self._unfed + data
        cut = _CUT_OFF.search(data)
        end = cut.start() if cut else len(data)
        self._unfed = data[end:]
        self._stream.feed(_NOT_FOR_PYTE.sub(b"", data[:end]))

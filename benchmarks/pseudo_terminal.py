"""A terminal for a program that is measured: it takes what is drawn as it comes, and shows nothing."""

import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

COLUMNS, ROWS = 120, 40

# Synchronized output: most of today's terminals know it, and a program that asks is told so.
_ASKS_FOR_FRAMES = b"\x1b[?2026$p"
_KNOWS_FRAMES = b"\x1b[?2026;2$y"
_FOREIGN = {"COLUMNS", "LINES", "NO_COLOR", "TERM_PROGRAM", "TMUX"}


class PseudoTerminal:
    """A program in a pseudo-terminal of its own, whose output a thread reads away."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], inherited: Sequence[int] = ()
    ) -> None:
        """Start `command`.

        Args:
            command: the program and its arguments.
            environment: what it has in place of this process's own variables.
            inherited: descriptors that it can use too.
        """
        own = {name: value for name, value in environment.items() if name not in _FOREIGN}
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.drawn: list[tuple[float, bytes]] = []
        """What the program wrote, each piece with the time it came at, of `time.perf_counter`."""
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=own | {"TERM": "xterm-256color"},
            pass_fds=inherited,
            start_new_session=True,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def type(self, text: str) -> None:
        """Send keys, as the bytes that a terminal sends."""
        os.write(self._master, text.encode())

    @property
    def output(self) -> bytes:
        """All that the program wrote."""
        return b"".join(piece for _, piece in tuple(self.drawn))

    def close(self) -> None:
        """End the program."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # with what it has started
        self.process.wait()
        self._reader.join()
        os.close(self._master)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # so Linux says that the program has ended
            while piece := os.read(self._master, 1 << 16):
                self.drawn.append((time.perf_counter(), piece))
                if _ASKS_FOR_FRAMES in piece:
                    os.write(self._master, _KNOWS_FRAMES)

"""Textual's way to the terminal, for terminals that go away or stand still.

Textual reads on at the end of its input and writes on after an error, so that a program whose terminal is
gone computes for ever and cannot be ended; and it waits for a terminal that takes nothing, as behind a
network that is down, with all that is to be saved. Here the first ends the program in good order, and in the
second case pictures are left out until the terminal takes them again.
"""

import contextlib
import logging
import os
import selectors
import signal
import termios
import threading
import time
from codecs import getincrementaldecoder
from queue import Full
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO, cast

from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from io import TextIOWrapper

PATIENCE_SECONDS: Final = 0.5
"""How long the screen waits for a terminal that takes nothing."""

_LOOK_AGAIN_SECONDS: Final = 0.25
_READ_SECONDS: Final = 0.5
"""How long a read from the terminal may take to end; it looks ten times a second."""

_LAST_SECONDS: Final = 2.0
"""How long the way out waits for a terminal that takes nothing."""

_log = logging.getLogger(__name__)


class TerminalUser(Protocol):
    """An app that wants to know when its terminal goes."""

    def terminal_gone(self) -> None:
        """End in good order; there is nobody to show anything to."""


class TerminalDriver(LinuxDriver):
    """Tells the app when the terminal is gone, and never waits long for one that stands still."""

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        """Take the terminal for an app that is a `TerminalUser`."""
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        assert self._file is not None
        self._file = cast("TextIOWrapper", _Output(self._file))
        self._is_behind = False

    def write(self, data: str) -> None:
        """Have something written; it is left out while the terminal takes nothing."""
        assert self._writer_thread is not None, "the driver has the terminal"
        try:
            self._writer_thread._queue.put(data, timeout=0.0 if self._is_behind else PATIENCE_SECONDS)
        except Full:
            if not self._is_behind:
                self._is_behind = True
                _log.warning("the terminal takes nothing: pictures are left out")
                self._loop.call_later(_LOOK_AGAIN_SECONDS, self._catch_up)

    def _catch_up(self) -> None:
        """Draw everything anew once the terminal has taken what was there."""
        if self._writer_thread is None or not self._is_behind:
            return
        if not self._writer_thread._queue.empty():
            self._loop.call_later(_LOOK_AGAIN_SECONDS, self._catch_up)
            return
        self._is_behind = False
        _log.warning("the terminal takes pictures again")
        self._app.refresh(layout=True)

    def stop_application_mode(self) -> None:
        """Give the terminal back, where it takes anything within a moment."""
        self._wait_for_terminal()
        super().stop_application_mode()

    def _wait_for_terminal(self) -> None:
        deadline = time.monotonic() + _LAST_SECONDS
        while self._is_behind and time.monotonic() < deadline:
            assert self._writer_thread is not None
            if self._writer_thread._queue.empty():
                self._is_behind = False
            time.sleep(0.01)

    def close(self) -> None:
        """End the thread that writes, unless it hangs at the terminal: then it ends with the program."""
        if self._writer_thread is None or not self._writer_thread.is_alive():
            return
        with contextlib.suppress(Full):
            self._writer_thread._queue.put(None, timeout=0.0 if self._is_behind else PATIENCE_SECONDS)
            self._writer_thread.join(_LAST_SECONDS)

    def disable_input(self) -> None:
        """Read no more; one read that another program took the input of ends with the next key."""
        if self.exit_event.is_set():
            return
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        self._disable_mouse_support()
        self.exit_event.set()
        if self._key_thread is not None:
            self._key_thread.join(_READ_SECONDS)
        self.exit_event = threading.Event()
        with contextlib.suppress(termios.error):
            termios.tcflush(self.fileno, termios.TCIFLUSH)

    def run_input_thread(self) -> None:
        """Hand on what is typed, until it is over or the terminal is gone."""
        is_over = self.exit_event
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not is_over.is_set():
                if selector.select(0.1):
                    data = _read(self.fileno)
                    if not data:
                        self._tell_gone()
                        break
                    for message in parser.feed(decode(data)):
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)
        with contextlib.suppress(EOFError):
            for _ in parser.feed(""):
                pass

    def _tell_gone(self) -> None:
        _log.warning("the terminal is gone")
        with contextlib.suppress(RuntimeError):  # the app has ended
            self._loop.call_soon_threadsafe(cast("TerminalUser", self._app).terminal_gone)


def _read(descriptor: int) -> bytes:
    """Return what is there to read; nothing at the end of it, which a terminal has when it is gone."""
    try:
        return os.read(descriptor, 1 << 12)
    except OSError:
        return b""


class _Output:
    """The terminal as a file that takes whatever it is given, also when it is gone."""

    def __init__(self, file: TextIO) -> None:
        self._descriptor = file.fileno()
        self._encoding = file.encoding or "utf-8"
        file.flush()

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        # Not by way of the file, which keeps what it could not write and fails with it at the very end.
        data = memoryview(text.encode(self._encoding, "replace"))
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]
        return len(text)

    def flush(self) -> None:
        pass

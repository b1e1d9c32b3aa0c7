"""A light process around the app: where that dies, this one gives the terminal back and says what happened.

llama.cpp ends the process where one of its checks fails, and the system ends one that takes too much memory.
So the app runs in a child, forked before anything heavy is loaded, and what was there first waits for it.
To the shell both are one job: they are stopped, continued and ended together.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable

from easy_llama_tui.note import Note

TYPE_CHECKING = False  # known by its name; `typing` is not loaded for it
if TYPE_CHECKING:
    from typing import Any

_PRINTING = frozenset({"-h", "--help", "--version", "--print-config"})
"""Arguments with which the program only prints."""

_AWAITED = ("SIGCHLD", "SIGTERM", "SIGHUP", "SIGTSTP", "SIGINT", "SIGQUIT")
"""What the parent waits for. The last two come from the keyboard, and the child gets its own."""

_SAME_MOMENT = 0.2
"""Seconds within which a signal to the whole job has reached both."""

_LEAVING = 20.0
"""Seconds that the child has to leave once its parent is gone."""

_MODES = (2004, 2048, 1000, 1002, 1003, 1015, 1006, 1016, 1004)
"""Pastes, sizes, the mouse and the focus, which the terminal tells of only where it is asked to."""

_AS_IT_WAS = "".join(
    (
        "\x1b\\",  # ends a sequence that was cut off
        "\x1b[?2026l",  # shows a frame that was begun
        "\x1b]8;;\x1b\\\x1b[0m",  # no link, plain text
        *(f"\x1b[?{mode}l" for mode in _MODES),
        "\x1b[?7h",  # long lines wrap
        "\x1b[<u",  # the keys; before the screen, for each screen has its own
        "\x1b[?1049l",  # the screen
        "\x1b[?25h",  # the cursor
    )
)
"""What undoes all that the app asks of a terminal."""


def guarded(run: Callable[[Note], int], arguments: Iterable[str]) -> int:
    """Run the app in a child and return its exit code: 128 and the signal where one ended it.

    Without a terminal, and where there is no forking, it is run in this very process.

    Args:
        run: runs the app, which notes what is to be said should it die.
        arguments: those of the command line.
    """
    if not hasattr(os, "fork") or not _has_terminal() or not _PRINTING.isdisjoint(arguments):
        return run(Note())
    import termios

    attributes = termios.tcgetattr(0)
    note = Note(is_shared=True)
    read_end, write_end = os.pipe()
    awaited = {getattr(signal, name) for name in _AWAITED}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    child = _fork()
    if not child:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if child is not None:
            os.close(write_end)
            _leave_when_closed(read_end)
        return run(note)
    os.close(read_end)
    code = os.waitstatus_to_exitcode(_Watch(child, awaited).wait())
    note.read()
    if note.has_screen:
        _give_back(attributes)
    if note.has_screen or code < 0:
        _say_what_happened(code, note)
    return 128 - code if code < 0 else code or int(note.has_screen)


def _has_terminal() -> bool:
    return bool(sys.stdin and sys.stdout and sys.stdin.isatty() and sys.stdout.isatty())


def _fork() -> int | None:
    """Return the child's id to the parent and 0 to the child; None where there is no child."""
    try:
        return os.fork()
    except OSError:  # there are too many processes
        return None


def _leave_when_closed(read_end: int) -> None:
    """Have the app save and leave when its parent is gone, so that nothing computes on unseen."""
    import threading

    def watch() -> None:
        os.read(read_end, 1)  # returns when the other end is closed
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_LEAVING)
        os._exit(1)

    threading.Thread(target=watch, name="guard", daemon=True).start()


class _Watch:
    """Waits for a child; what stops, continues or ends one of the two does so to the other."""

    def __init__(self, child: int, awaited: set[signal.Signals]) -> None:
        self._child = child
        self._awaited = awaited
        self._n_stops = 0
        self._status: int | None = None
        # Elsewhere than on Linux, what nobody handles is not waited for either.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def wait(self) -> int:
        """Return the child's status once it has ended."""
        while not self._has_ended():
            number = signal.sigwait(self._awaited)
            if number in (signal.SIGTERM, signal.SIGHUP):
                os.kill(self._child, number)
            elif number == signal.SIGTSTP:
                self._stop()
        assert self._status is not None
        return self._status

    def _has_ended(self) -> bool:
        """Return whether the child has; while it is stopped, so is this process."""
        change = self._look(os.WUNTRACED)
        while change is not None and os.WIFSTOPPED(change):
            self._n_stops += 1
            os.kill(os.getpid(), signal.SIGSTOP)
            # Whoever continues this process most likely continues both; and may have stopped both again.
            time.sleep(_SAME_MOMENT)
            change = self._look(os.WUNTRACED | os.WCONTINUED)
            if change is None:
                os.kill(self._child, signal.SIGCONT)
        return self._status is not None

    def _stop(self) -> None:
        """Stop the child, unless whoever wants this process to stop has told it too."""
        n_stops = self._n_stops
        time.sleep(_SAME_MOMENT)
        if not self._has_ended() and self._n_stops == n_stops:
            os.kill(self._child, signal.SIGTSTP)

    def _look(self, changes: int) -> int | None:
        """Return the status of the child where it has ended, or there was such a change; else None."""
        if self._status is not None:
            return self._status
        child, status = os.waitpid(self._child, os.WNOHANG | changes)
        if not child:
            return None
        if not os.WIFSTOPPED(status) and not os.WIFCONTINUED(status):
            self._status = status
        return status


def _give_back(attributes: "list[Any]") -> None:
    """Make the terminal what it was."""
    import termios

    # A job that is not in front any more would be stopped for this.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        screen = next((descriptor for descriptor in (2, 1) if os.isatty(descriptor)), 0)
        os.write(screen, _AS_IT_WAS.encode())
        termios.tcsetattr(0, termios.TCSANOW, attributes)
        termios.tcflush(0, termios.TCIFLUSH)  # what the mouse did, and what the terminal answered
    except (OSError, termios.error):
        pass  # the terminal is gone


def _say_what_happened(code: int, note: Note) -> None:
    from easy_llama_tui.last_words import last_words

    try:
        sys.stderr.write(last_words(code, note))
        sys.stderr.flush()
    except OSError:
        pass  # the terminal is gone

"""Stopping for a while: back to the shell, and on again with `fg`.

Textual's own way stops this process alone, also where no shell waits that could let it go on; and after
any other stop and `fg` it takes the terminal a second time without having given it back.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from textual.app import App

_STOP_SECONDS = 0.05
"""How long a signal may take to stop the process that sends it."""


class Suspension:
    """Gives the terminal to the shell and takes it back, for an app that has the whole screen."""

    def __init__(self, app: App[Any], before: Callable[[], object]) -> None:
        """Stop nothing yet.

        Args:
            app: the app.
            before: saves what must not be lost while the program stands still.
        """
        self._app = app
        self._before = before
        self._is_asked = False
        """Whether a signal to stop is about to be followed."""

    def install(self) -> None:
        """Follow the signals of the terminal and of other programs; in the main thread, within its loop."""
        loop = asyncio.get_running_loop()

        def stop(number: int, frame: FrameType | None) -> None:
            if self._is_asked or not is_possible():
                return
            if self._has_screen:
                self._is_asked = True
                loop.call_soon_threadsafe(self._suspend, _stop_this_process)
            else:
                _stop_this_process()  # an editor has the screen, and was told as well

        def go_on(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._go_on)

        if hasattr(signal, "SIGTSTP"):
            signal.signal(signal.SIGTSTP, stop)
            signal.signal(signal.SIGCONT, go_on)

    def suspend(self) -> bool:
        """Save, give the terminal back, and stop until `fg`; return whether there is a shell to stop for."""
        if not is_possible() or not self._has_screen:
            return False
        self._suspend(_stop_this_job)
        return True

    def _suspend(self, stop: Callable[[], None]) -> None:
        if self._has_screen:
            self._before()
            with self._app.suspend():
                _stop_until_foreground(stop)
        self._is_asked = False

    def _go_on(self) -> None:
        """Take the terminal anew: the process was stopped from outside, and others may have written to it."""
        if not self._has_screen or not _has_terminal():
            return
        with self._app.suspend():
            if not _is_foreground():
                _stop_until_foreground(_stop_this_process)

    @property
    def _has_screen(self) -> bool:
        # False while the app has given it away by itself, and where there is none.
        driver = self._app._driver
        return driver is not None and driver._auto_restart and not driver.is_headless


def is_possible() -> bool:
    """Return whether there is a shell that would let the program go on again.

    What a terminal or `ssh` starts by itself leads its session: stopped, it would stay so for good.
    """
    return hasattr(os, "getpgrp") and os.getpgrp() != os.getsid(0)


def _has_terminal() -> bool:
    """Return whether the terminal is still there; one that goes away sends SIGCONT too."""
    import termios

    try:
        termios.tcgetattr(0)
    except termios.error:
        return False
    return True


def _stop_this_process() -> None:
    """Stop as whoever sent a signal wants it, who sent it to those that are to stop."""
    os.kill(os.getpid(), signal.SIGSTOP)


def _stop_this_job() -> None:
    """Stop all that the shell started with us, as a key of the terminal would: only then it takes over."""
    os.killpg(os.getpgrp(), signal.SIGSTOP)


def _stop_until_foreground(stop: Callable[[], None]) -> None:
    """Stop until the job has the terminal again."""
    while True:
        stop()
        time.sleep(_STOP_SECONDS)
        if _is_foreground():
            return


def _is_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # it has no terminal, or none of its own
        return True

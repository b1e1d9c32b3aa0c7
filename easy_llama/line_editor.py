"""Asks for lines in a terminal: with editing, histories and whole pastes where Python has readline."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

__all__ = ["LineEditor", "is_dumb_terminal"]


class LineEditor:
    """Reads lines as `input` does, and keeps a history for each kind of them while it is open.

    What was entered is kept in memory alone. Python's own history is put away meanwhile, so that neither
    gets into the other.
    """

    def __init__(self) -> None:
        self._readline: ModuleType | None = None
        self._histories: dict[str, list[str]] = {}

    @property
    def is_open(self) -> bool:
        """Whether readline edits the lines."""
        return self._readline is not None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Have readline edit lines meanwhile, where a person types them in a terminal that can do it."""
        readline = _load_readline()
        if readline is None:
            yield
            return
        count = readline.get_current_history_length()
        before = [readline.get_history_item(number) for number in range(1, count + 1)]
        readline.set_auto_history(False)
        _set_whole_pastes(readline, "on")
        self._readline = readline
        try:
            yield
        finally:
            self._readline = None
            _fill_history(readline, before)
            readline.set_auto_history(True)
            _set_whole_pastes(readline, "off")  # as Python has it

    def read(self, prompt: str) -> str:
        """Show a prompt, and return the line that is entered."""
        return input(prompt)

    def show_history(self, kind: str) -> None:
        """Have the arrow keys bring back what was entered of one kind."""
        if self._readline is not None:
            _fill_history(self._readline, self._histories.get(kind, []))

    def remember(self, kind: str, text: str) -> None:
        """Add a text to the history of its kind, unless it is empty or the same as the last."""
        history = self._histories.setdefault(kind, [])
        if text.strip() and history[-1:] != [text]:
            history.append(text)


def is_dumb_terminal() -> bool:
    """Return whether the terminal says that it knows no codes, such as those for colours."""
    return os.environ.get("TERM") == "dumb"


def _load_readline() -> ModuleType | None:
    if is_dumb_terminal() or not all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        return None
    try:
        import readline
    except ImportError:  # as on Windows, whose console edits lines itself
        return None
    return readline


def _fill_history(readline: ModuleType, lines: list[str]) -> None:
    readline.clear_history()
    for line in lines:
        readline.add_history(line)


def _set_whole_pastes(readline: ModuleType, state: str) -> None:
    """Say whether pasted text is entered as one, however many lines it has."""
    if "libedit" not in (readline.__doc__ or ""):  # which has no such thing
        readline.parse_and_bind(f"set enable-bracketed-paste {state}")

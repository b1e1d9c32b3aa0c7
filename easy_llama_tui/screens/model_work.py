"""What the list of models has done in threads: searching the disk, and reading what it found.

Each piece of work tells the screen by a message what came of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textual.message import Message
from textual.screen import Screen
from textual.worker import get_current_worker

from easy_llama.errors import GGUFError
from easy_llama.gguf import open_gguf
from easy_llama_tui.drafts.typed_path import TypedPath
from easy_llama_tui.locations import config_file
from easy_llama_tui.models.model_library import DetailsCache
from easy_llama_tui.models.model_search import FindModels, Lot, ModelRow, model_at, search, with_details

N_HEADERS = 48
"""Headers that are read at a time; those in sight come with the next lot."""
CONFIG_EXAMPLE = 'folders = ["~/models"]'
"""How a folder of models is named in the configuration."""


@dataclass
class Found(Message):
    """The search went on, or came to its end."""

    lot: Lot | None
    """None at the end."""
    free_memory: int | None


@dataclass
class HeadersRead(Message):
    """Headers were read."""

    rows: list[ModelRow]


@dataclass
class Checked(Message):
    """It was looked whether a file is whole."""

    path: Path
    problem: str
    """Why it is not, and what to do; "" where it is."""


@dataclass
class LookedAt(Message):
    """It was looked what there is at a path that was typed."""

    typed: TypedPath
    row: ModelRow | None
    reason: str


class ModelWork:
    """Searches, reads and checks in threads of a screen: one lot of headers and one file at a time."""

    def __init__(
        self,
        screen: Screen[Path | None],
        find: FindModels,
        cache: DetailsCache,
        ask_free_memory: Callable[[], int | None],
    ) -> None:
        """Make it.

        Args:
            screen: gets the messages, and ends the threads with itself.
            find: finds the models of folders.
            cache: the headers that were read before.
            ask_free_memory: tells the bytes that a model may take.
        """
        self._screen = screen
        self._find = find
        self._cache = cache
        self._ask_free_memory = ask_free_memory
        self._is_reading = False
        self._is_checking = False

    def search(self, folders: Sequence[str | Path], used: Sequence[str | Path], current: Path | None) -> None:
        """Search the folders, and all places that other programs keep models in."""
        work = partial(self._search, folders, used, current)
        self._screen.run_worker(work, thread=True, group="search", exit_on_error=True)

    def read_headers(self, rows: Sequence[ModelRow], free_memory: int | None) -> None:
        """Read the first of these headers, unless some are being read: those who asked ask again then."""
        if not self._is_reading and rows:
            self._is_reading = True
            work = partial(self._read_headers, rows[:N_HEADERS], free_memory)
            self._screen.run_worker(work, thread=True, group="headers", exit_on_error=True)

    def check(self, path: Path) -> None:
        """Look whether a file is whole, unless another is being looked at."""
        if not self._is_checking:
            self._is_checking = True
            self._screen.run_worker(
                partial(self._check, path), thread=True, group="check", exit_on_error=True
            )

    def look_at(self, typed: TypedPath) -> None:
        """Look what there is at a path, in place of the one before."""
        self._screen.run_worker(partial(self._look_at, typed), thread=True, group="typed", exclusive=True)

    def headers_done(self) -> None:
        """Note that what was read has come: more may be read."""
        self._is_reading = False

    def check_done(self) -> None:
        """Note that it is known whether the file is whole: another may be checked."""
        self._is_checking = False

    # In threads

    def _search(
        self, folders: Sequence[str | Path], used: Sequence[str | Path], current: Path | None
    ) -> None:
        worker = get_current_worker()
        free_memory = self._ask_free_memory()
        for lot in search(self._find, folders, used, current):
            if worker.is_cancelled:
                return
            self._screen.post_message(Found(lot, free_memory))
        self._screen.post_message(Found(None, free_memory))

    def _read_headers(self, rows: Sequence[ModelRow], free_memory: int | None) -> None:
        worker = get_current_worker()
        read = []
        for row in rows:
            if worker.is_cancelled:
                return
            read.append(with_details(row, self._cache, free_memory))
        self._screen.post_message(HeadersRead(read))

    def _check(self, path: Path) -> None:
        problem = ""
        try:
            with open_gguf(path) as header:
                header.check_complete()
        except GGUFError as error:
            problem = str(error)
        self._screen.post_message(Checked(path, problem))

    def _look_at(self, typed: TypedPath) -> None:
        path = typed.existing()
        if path is None:
            self._screen.post_message(LookedAt(typed, None, "There is no such file."))
        elif path.is_dir():
            reason = f"This is a folder. To see its models here: [model] {CONFIG_EXAMPLE} in {config_file()}"
            self._screen.post_message(LookedAt(typed, None, reason))
        else:
            file = model_at(path, self._find)
            reason = "" if file else "This is no file of a model."
            self._screen.post_message(LookedAt(typed, ModelRow(file) if file else None, reason))

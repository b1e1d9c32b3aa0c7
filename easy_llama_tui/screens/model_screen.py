"""Choosing the model: what is on this disk, found by typing."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from easy_llama.errors import GGUFError
from easy_llama.gguf import open_gguf
from easy_llama_tui.drafts.typed_path import TypedPath, typed_path
from easy_llama_tui.locations import config_file
from easy_llama_tui.models.free_memory import free_memory
from easy_llama_tui.models.model_library import DetailsCache, find_models
from easy_llama_tui.models.model_search import FindModels, Lot, ModelRow, model_at, search, with_details
from easy_llama_tui.models.model_sources import places
from easy_llama_tui.screens.pick_screen import PickScreen, match_score
from easy_llama_tui.text.display_text import one_line
from easy_llama_tui.widgets.model_row import (
    details_text,
    draw_row,
    heading,
    middle_cut,
    objection,
    path_rows,
    text_rows,
)
from easy_llama_tui.widgets.pick_list import PickList

_N_HEADERS = 48
"""Headers that are read at a time; those in sight come with the next lot."""
_LOW = 18
"""Rows of the terminal below which the headings and some details are left out."""
_DETAILS, _LOW_DETAILS = 5, 4
"""Rows of the details, with the line above them."""
_CONFIG_EXAMPLE = 'folders = ["~/models"]'


@dataclass
class _Found(Message):
    """The search went on, or came to its end."""

    lot: Lot | None
    """None at the end."""
    free_memory: int | None


@dataclass
class _Read(Message):
    """Headers were read."""

    rows: list[ModelRow]


@dataclass
class _Checked(Message):
    """It was looked whether a file is whole."""

    path: Path
    problem: str
    """Why it is not, and what to do; "" where it is."""


@dataclass
class _LookedAt(Message):
    """It was looked what there is at a path that was typed."""

    typed: TypedPath
    row: ModelRow | None
    reason: str


class ModelScreen(PickScreen[Path]):
    """Shows the models on this disk, and ends with the file of the one that was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f3", "close", "Close the list of models", id="models-close", show=False)
    ]
    DEFAULT_CSS = """
    ModelScreen #models {
        width: 100%;
        max-width: 132;
        height: 100%;
        max-height: 44;
        border: round $primary;
        background: $surface;
        color: $foreground;
    }
    ModelScreen .quiet {
        padding: 0 1;
        background: $surface;
        color: $text-muted;
    }
    ModelScreen #models-heading {
        height: 1;
        padding: 0 0 0 2;
    }
    ModelScreen #models-details {
        height: 5;
        padding: 0 1;
        border-top: solid $foreground 20%;
        background: $surface;
        color: $foreground;
    }
    ModelScreen #models-notice {
        height: 1;
        padding: 0 1;
        background: $surface;
        color: $warning;
    }
    """

    def __init__(
        self,
        folders: Sequence[str | Path],
        used: Sequence[str | Path],
        current: Path | None,
        free_memory: Callable[[], int | None] = free_memory,
        cache: DetailsCache | None = None,
        *,
        find: FindModels = find_models,
        looked_in: Callable[[], list[str]] | None = None,
    ) -> None:
        """Make the screen.

        Args:
            folders: the person's own folders of models.
            used: files that were loaded before, the last one first.
            current: the file that is loaded.
            free_memory: tells the bytes that a model may take; called from a thread, once.
            cache: the headers that were read before; kept by the app from one visit to the next.
            find: finds the models; called from a thread.
            looked_in: names the places that are searched, for when nothing is found.
        """
        super().__init__()
        self._folders = tuple(folders)
        self._used = tuple(used)
        self._current = current
        self._ask_free_memory = free_memory
        self._cache = cache or DetailsCache()
        self._find = find
        self._looked_in = looked_in or partial(_places, self._folders)
        self._models: dict[Path, ModelRow] = {}
        self._matching: list[ModelRow] = []
        self._typed: TypedPath | None = None
        self._typed_row: ModelRow | None = None
        self._typed_reason = ""
        self._notices: list[str] = []
        self._free_memory: int | None = None
        self._is_searching = True
        self._is_reading = False
        self._is_checking = False
        self._problems: dict[Path, str] = {}
        self._has_moved = False
        self._asked: Path | None = None
        self._enter_waits = False

    def compose(self) -> ComposeResult:
        """Show the field, the list, and what is known of the highlighted model."""
        with Vertical(id="models") as box:
            box.border_title = "Models"
            yield Input(placeholder="Type to find one, or paste the path of a file", id="models-query")
            yield Static(id="models-heading", classes="quiet", markup=False)
            yield PickList(self._draw, id="models-list")
            with VerticalScroll(id="models-none", classes="pick-none", can_focus=False):
                yield Static(id="models-none-words", markup=False)
            yield Static(id="models-details", markup=False)
            yield Static(id="models-notice", markup=False)

    def on_mount(self) -> None:
        """Begin to search."""
        self._refill(to_best=True)
        self.run_worker(self._search, thread=True, group="search", exit_on_error=True)

    def on_resize(self) -> None:
        """Leave out in a low window what matters least."""
        self.query_one("#models-details").styles.height = _LOW_DETAILS if self._is_low else _DETAILS
        self.call_after_refresh(self._tell)

    # The search, in a thread

    def _search(self) -> None:
        worker = get_current_worker()
        free_memory = self._ask_free_memory()
        for lot in search(self._find, self._folders, self._used, self._current):
            if worker.is_cancelled:
                return
            self.post_message(_Found(lot, free_memory))
        self.post_message(_Found(None, free_memory))

    def _read_headers(self, rows: list[ModelRow], free_memory: int | None) -> None:
        worker = get_current_worker()
        read = []
        for row in rows:
            if worker.is_cancelled:
                return
            read.append(with_details(row, self._cache, free_memory))
        self.post_message(_Read(read))

    def _check(self, path: Path) -> None:
        problem = ""
        try:
            with open_gguf(path) as header:
                header.check_complete()
        except GGUFError as error:
            problem = str(error)
        self.post_message(_Checked(path, problem))

    def _look_at(self, typed: TypedPath) -> None:
        path = typed.existing()
        if path is None:
            self.post_message(_LookedAt(typed, None, "There is no such file."))
        elif path.is_dir():
            reason = f"This is a folder. To see its models here: [model] {_CONFIG_EXAMPLE} in {config_file()}"
            self.post_message(_LookedAt(typed, None, reason))
        else:
            file = model_at(path, self._find)
            reason = "" if file else "This is no file of a model."
            self.post_message(_LookedAt(typed, ModelRow(file) if file else None, reason))

    # What comes from threads

    @on(_Found)
    def _add_found(self, message: _Found) -> None:
        message.stop()
        self._free_memory = message.free_memory
        if message.lot is None:
            self._is_searching = False
            self._tell()
            return
        self._notices += message.lot.notices
        self._models.update((row.file.path, row) for row in message.lot.rows)
        self._refill(to_best=not self._has_moved)
        self._read_next()

    @on(_Read)
    def _add_read(self, message: _Read) -> None:
        message.stop()
        self._is_reading = False
        for row in message.rows:
            path = row.file.path
            if path in self._models:
                if row.details and row.details.is_projector:
                    del self._models[path]
                else:
                    self._models[path] = replace(
                        self._models[path], details=row.details, fit=row.fit, needed_bytes=row.needed_bytes
                    )
            if self._typed_row and self._typed_row.file.path == path:
                self._typed_row = row
        self._refill()
        self._read_next()
        if self._enter_waits and (shown := self._highlighted()) and shown.details:
            self._enter_waits, self._asked = False, None
            self.choose()

    @on(_Checked)
    def _add_checked(self, message: _Checked) -> None:
        message.stop()
        path, self._is_checking = message.path, False
        self._problems[path] = message.problem
        if message.problem:
            if path in self._models:
                self._models[path] = _damaged(self._models[path], message.problem)
            if self._typed_row and self._typed_row.file.path == path:
                self._typed_row = _damaged(self._typed_row, message.problem)
            self._refill()
        self._check_next()
        if self._enter_waits and (shown := self._highlighted()) and shown.file.path == path:
            self._enter_waits = False
            self.choose()

    @on(_LookedAt)
    def _add_looked_at(self, message: _LookedAt) -> None:
        message.stop()
        if message.typed != self._typed:
            return
        self._typed_row, self._typed_reason = message.row, message.reason
        self._refill(to_best=not self._has_moved and not self._enter_waits)
        self._read_next()
        if self._enter_waits:
            self._enter_waits = False
            self.choose()

    def _read_next(self) -> None:
        """Have the next headers read: of the rows in sight first."""
        if self._is_reading:
            return
        in_sight = [self._row_at(row) for row in self.pick_list.rows_in_sight]
        rows = [self._typed_row, *in_sight, *self._matching, *self._models.values()]
        unread = {row.file.path: row for row in rows if row and row.details is None}
        if unread:
            self._is_reading = True
            lot = list(unread.values())[:_N_HEADERS]
            work = partial(self._read_headers, lot, self._free_memory)
            self.run_worker(work, thread=True, group="headers", exit_on_error=True)

    def _check_next(self) -> None:
        """Have the highlighted model checked; for all of a long list it would take too long."""
        row = self._highlighted()
        if self._is_checking or row is None or not self._is_unchecked(row):
            return
        self._is_checking = True
        work = partial(self._check, row.file.path)
        self.run_worker(work, thread=True, group="check", exit_on_error=True)

    def _is_unchecked(self, row: ModelRow) -> bool:
        return row.details is not None and not row.details.error and row.file.path not in self._problems

    # What the person does

    @on(Input.Changed)
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        self._has_moved, self._asked, self._enter_waits = False, None, False
        typed = typed_path(self.query_text)
        if typed != self._typed:
            self._typed, self._typed_row, self._typed_reason = typed, None, ""
            if typed:
                self.run_worker(partial(self._look_at, typed), thread=True, group="typed", exclusive=True)
        self._refill(to_best=True)
        self._read_next()

    @on(PickList.Highlighted)
    def _move(self, event: PickList.Highlighted) -> None:
        event.stop()
        self._has_moved, self._asked, self._enter_waits = True, None, False
        self._tell()

    def choose(self) -> None:
        """End with the highlighted model; where something speaks against it, say so and ask once more."""
        row = self._highlighted()
        if row is None:
            # A path was pasted, and Enter pressed before it was looked at.
            self._enter_waits = self._is_typed_row(self.pick_list.highlighted_row) and not self._typed_reason
        elif objection(row, self._free_memory) and self._asked != row.file.path:
            self._asked = row.file.path
            self._enter_waits = row.details is None
            self._tell()
        elif self._is_unchecked(row) and self._asked != row.file.path:
            self._enter_waits = True
        else:
            self.dismiss(row.file.path)

    # What is shown

    def _is_typed_row(self, index: int | None) -> bool:
        return index == 0 and self._typed is not None

    def _row_at(self, index: int | None) -> ModelRow | None:
        if index is None or self._is_typed_row(index):
            return self._typed_row
        index -= self._typed is not None
        return self._matching[index] if 0 <= index < len(self._matching) else None

    def _highlighted(self) -> ModelRow | None:
        """Return the highlighted model; None where there is none, or a path that leads to none."""
        index = self.pick_list.highlighted_row
        return None if index is None else self._row_at(index)

    def _refill(self, *, to_best: bool = False) -> None:
        """Sort and filter anew; the highlight goes to the best row, or stays on its model."""
        listed = self.pick_list
        before, old_index = self._highlighted(), listed.highlighted_row
        was_typed_row = self._is_typed_row(old_index)
        query = self.query_text
        scored = [(match_score(query, row.searched_text), row) for row in self._models.values()]
        kept = [(score, row) for score, row in scored if score is not None]
        self._matching = [row for _, row in sorted(kept, key=lambda pair: (-pair[0], pair[1].order))]
        n_rows = len(self._matching) + (self._typed is not None)
        index = self._best_row()
        if not to_best and old_index is not None and not (was_typed_row and self._typed):
            paths = [row.file.path for row in self._matching]
            if before and before.file.path in paths:
                index = paths.index(before.file.path) + (self._typed is not None)
            else:
                index = min(old_index, n_rows - 1)
        elif not to_best and was_typed_row:
            index = 0
        listed.show_rows(n_rows, index if n_rows else None)
        self._tell()

    def _best_row(self) -> int:
        if self._typed:
            is_meant = self._typed.is_plainly_path and not self._typed_reason
            return 0 if is_meant or self._typed_row or not self._matching else 1
        if not self.query_text:
            return next((index for index, row in enumerate(self._matching) if row.is_current), 0)
        return 0

    def _draw(self, index: int, width: int, is_highlighted: bool) -> Content:
        if self._is_typed_row(index) and self._typed:
            return Content(middle_cut(f"Open {self._typed.shown}", width))
        row = self._row_at(index)
        return draw_row(row, width, is_highlighted=is_highlighted) if row else Content("")

    def _tell(self) -> None:
        """Show what goes with the list: headings, details, counts and notices."""
        listed = self.pick_list
        listed.display = listed.n_rows > 0
        self.query_one("#models-none").display = not listed.display
        if not listed.display:
            self.query_one("#models-none-words", Static).update(self._none_words())
        self.query_one("#models-details").display = listed.display
        self.query_one("#models-heading").display = listed.display and not self._is_low
        self.query_one("#models-heading", Static).update(heading(self.pick_list.row_width))
        self.query_one("#models-details", Static).update(self._details_words())
        notice = self.query_one("#models-notice", Static)
        notice.display = bool(self._notices)
        if self._notices:
            more = f" (and {len(self._notices) - 1:,} more)" if len(self._notices) > 1 else ""
            width = max(self._inner_width - 4 - len(more), 1)
            notice.update(Content(f"⚠ {middle_cut(one_line(self._notices[0]), width)}{more}"))
            notice.tooltip = Content("\n".join(map(one_line, self._notices)))
        self._check_next()
        total, shown = len(self._models), len(self._matching)
        count = f"{total:,}" if shown == total else f"{shown:,} of {total:,}"
        keys = "[@click=screen.choose]Enter loads[/] · [@click=screen.close]Esc closes[/]"
        self.query_one("#models").border_subtitle = f"{count}{' …' if self._is_searching else ''} · {keys}"

    def _details_words(self) -> Content:
        width = max(self._inner_width - 2, 1)
        n_rows = (_LOW_DETAILS if self._is_low else _DETAILS) - 1
        if row := self._highlighted():
            is_asked = self._asked == row.file.path
            return details_text(row, self._free_memory, width, n_rows, is_asked=is_asked)
        if self._typed and self._is_typed_row(self.pick_list.highlighted_row):
            reason = text_rows(self._typed_reason or "Looking …", width, n_rows)
            path = path_rows(self._typed.path, width, n_rows - len(reason))
            return Content("\n".join([*reason, *path]))
        return Content("")

    @property
    def _is_low(self) -> bool:
        return self.size.height < _LOW

    @property
    def _inner_width(self) -> int:
        return self.query_one("#models").content_region.width

    def _none_words(self) -> Content:
        if self._is_searching:
            return Content("Looking for models …")
        if self._models:
            return Content(f"None of {len(self._models):,} models matches.")
        config = one_line(str(config_file()))
        looked_in = "\n".join(f"  {one_line(place)}" for place in self._looked_in())
        return Content(
            f"No models found. To have a folder searched, write in {config}:\n"
            f"  [model]\n  {_CONFIG_EXAMPLE}\nor paste the path of a GGUF file above.\n\n"
            f"Looked in:\n{looked_in}"
        )


def _damaged(row: ModelRow, problem: str) -> ModelRow:
    return replace(row, details=replace(row.details, error=problem)) if row.details else row


def _places(folders: Iterable[str | Path]) -> list[str]:
    return [str(place.path) for place in places(folders, os.environ, Path.home())]

"""Choosing the model: what is on this disk, found by typing."""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.markup import escape
from textual.widgets import Input, Static

from easy_llama_tui.locations import config_file
from easy_llama_tui.models.free_memory import free_memory
from easy_llama_tui.models.model_library import DetailsCache, find_models
from easy_llama_tui.models.model_search import FindModels, ModelRow
from easy_llama_tui.models.model_sources import places
from easy_llama_tui.preferences.panel_keys import MODELS_KEYS
from easy_llama_tui.screens.model_choices import ModelChoices
from easy_llama_tui.screens.model_work import (
    CONFIG_EXAMPLE,
    Checked,
    Found,
    HeadersRead,
    LookedAt,
    ModelWork,
)
from easy_llama_tui.screens.pick_screen import PickScreen
from easy_llama_tui.text.display_text import one_line
from easy_llama_tui.widgets.key_hints import keys_of
from easy_llama_tui.widgets.line_input import LineInput
from easy_llama_tui.widgets.model_row import (
    details_text,
    draw_row,
    heading,
    middle_cut,
    objection,
    path_rows,
    text_rows,
)
from easy_llama_tui.widgets.row_list import Part, RowList

_INDENT = "  "
_LOW = 18
"""Rows of the terminal below which the headings and some details are left out."""
_DETAILS, _LOW_DETAILS = 5, 4
"""Rows of the details, with the line above them."""


class _ModelList(RowList, can_focus=False):
    """The models that match, and above them the path that was typed."""

    def __init__(self, choices: ModelChoices, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._choices = choices

    @property
    def text_width(self) -> int:
        """The cells of a row beside the cursor's sign."""
        return max(self.row_width - len(_INDENT), 1)

    def draw_row(self, index: int, width: int) -> list[Part]:
        """Return the row of a model, or the path that was typed."""
        choices = self._choices
        if choices.typed and choices.is_typed_row(index):
            return [Part(_INDENT), Part(middle_cut(f"Open {choices.typed.shown}", self.text_width))]
        row = choices.row_at(index)
        return [Part(_INDENT), *(draw_row(row, self.text_width) if row else ())]


class ModelScreen(PickScreen[Path]):
    """Shows the models on this disk, and ends with the file of the one that was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in MODELS_KEYS]
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
        self._looked_in = looked_in or partial(_places, self._folders)
        self._work = ModelWork(self, find, cache or DetailsCache(), free_memory)
        self._choices = ModelChoices()
        self._notices: list[str] = []
        self._free_memory: int | None = None
        self._is_searching = True
        self._problems: dict[Path, str] = {}
        self._has_moved = False
        self._asked: Path | None = None
        self._enter_waits = False

    def compose(self) -> ComposeResult:
        """Show the field, the list, and what is known of the highlighted model."""
        with Vertical(id="models") as box:
            box.border_title = "Models"
            yield LineInput(placeholder="Type to find one, or paste the path of a file", id="models-query")
            yield Static(id="models-heading", classes="quiet", markup=False)
            yield _ModelList(self._choices, id="models-list")
            with VerticalScroll(id="models-none", classes="pick-none", can_focus=False):
                yield Static(id="models-none-words", markup=False)
            yield Static(id="models-details", markup=False)
            yield Static(id="models-notice", markup=False)

    def on_mount(self) -> None:
        """Begin to search."""
        self._refill(to_best=True)
        self._work.search(self._folders, self._used, self._current)

    def on_resize(self) -> None:
        """Leave out in a low window what matters least."""
        self.query_one("#models-details").styles.height = _LOW_DETAILS if self._is_low else _DETAILS
        self.call_after_refresh(self._tell)

    # What comes from threads

    @on(Found)
    def _add_found(self, message: Found) -> None:
        message.stop()
        self._free_memory = message.free_memory
        if message.lot is None:
            self._is_searching = False
            self._tell()
            return
        self._notices += message.lot.notices
        self._choices.add(message.lot.rows)
        self._refill(to_best=not self._has_moved)
        self._read_next()

    @on(HeadersRead)
    def _add_read(self, message: HeadersRead) -> None:
        message.stop()
        self._work.headers_done()
        for row in message.rows:
            self._choices.add_details(row)
        self._refill()
        self._read_next()
        if self._enter_waits and (shown := self._highlighted()) and shown.details:
            self._enter_waits, self._asked = False, None
            self.choose()

    @on(Checked)
    def _add_checked(self, message: Checked) -> None:
        message.stop()
        self._work.check_done()
        self._problems[message.path] = message.problem
        if message.problem:
            self._choices.mark_damaged(message.path, message.problem)
            self._refill()
        self._check_next()
        if self._enter_waits and (shown := self._highlighted()) and shown.file.path == message.path:
            self._enter_waits = False
            self.choose()

    @on(LookedAt)
    def _add_looked_at(self, message: LookedAt) -> None:
        message.stop()
        if message.typed != self._choices.typed:
            return
        self._choices.typed_row, self._choices.typed_reason = message.row, message.reason
        self._refill(to_best=not self._has_moved and not self._enter_waits)
        self._read_next()
        if self._enter_waits:
            self._enter_waits = False
            self.choose()

    def _read_next(self) -> None:
        """Have the next headers read: of the rows in sight first."""
        in_sight = [self._choices.row_at(row) for row in self.pick_list.rows_in_view]
        self._work.read_headers(self._choices.unread(in_sight), self._free_memory)

    def _check_next(self) -> None:
        """Have the highlighted model checked; for all of a long list it would take too long."""
        row = self._highlighted()
        if row is not None and self._is_unchecked(row):
            self._work.check(row.file.path)

    def _is_unchecked(self, row: ModelRow) -> bool:
        return row.details is not None and not row.details.error and row.file.path not in self._problems

    # What the person does

    @on(Input.Changed)
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        self._has_moved, self._asked, self._enter_waits = False, None, False
        if self._choices.take_query(self.query_text) and self._choices.typed:
            self._work.look_at(self._choices.typed)
        self._refill(to_best=True)
        self._read_next()

    @on(RowList.RowMoved)
    def _move(self, event: RowList.RowMoved) -> None:
        event.stop()
        self._has_moved, self._asked, self._enter_waits = True, None, False
        self._tell()

    def choose(self) -> None:
        """End with the highlighted model; where something speaks against it, say so and ask once more."""
        row = self._highlighted()
        if row is None:
            # A path was pasted, and Enter pressed before it was looked at.
            is_typed_row = self._choices.is_typed_row(self.pick_list.highlighted_row)
            self._enter_waits = is_typed_row and not self._choices.typed_reason
        elif objection(row, self._free_memory) and self._asked != row.file.path:
            self._asked = row.file.path
            self._enter_waits = row.details is None
            self._tell()
        elif self._is_unchecked(row) and self._asked != row.file.path:
            self._enter_waits = True
        else:
            self.dismiss(row.file.path)

    def is_asked(self, path: Path) -> bool:
        """Return whether it was said what speaks against a model, and the person chose it nevertheless."""
        return self._asked == path

    # What is shown

    def _highlighted(self) -> ModelRow | None:
        """Return the highlighted model; None where there is none, or a path that leads to none."""
        index = self.pick_list.highlighted_row
        return None if index is None else self._choices.row_at(index)

    def _refill(self, *, to_best: bool = False) -> None:
        """Sort and filter anew; the highlight goes to the best row, or stays on its model."""
        choices, listed = self._choices, self.pick_list
        before, old_index = self._highlighted(), listed.highlighted_row
        choices.sort()
        index = choices.best_row()
        if not to_best and old_index is not None:
            place = choices.place_of(before.file.path) if before else None
            if choices.is_typed_row(old_index):
                index = 0
            elif place is not None:
                index = place
            else:
                index = min(old_index, choices.n_rows - 1)
        listed.show_rows(choices.n_rows, max(index, 0))
        self._tell()

    def _tell(self) -> None:
        """Show what goes with the list: headings, details, counts and notices."""
        listed = self.pick_list
        listed.display = listed.row_count > 0
        self.query_one("#models-none").display = not listed.display
        if not listed.display:
            self.query_one("#models-none-words", Static).update(self._none_words())
        self.query_one("#models-details").display = listed.display
        self.query_one("#models-heading").display = listed.display and not self._is_low
        self.query_one("#models-heading", Static).update(heading(self.query_one(_ModelList).text_width))
        self.query_one("#models-details", Static).update(self._details_words())
        notice = self.query_one("#models-notice", Static)
        notice.display = bool(self._notices)
        if self._notices:
            more = f" (and {len(self._notices) - 1:,} more)" if len(self._notices) > 1 else ""
            width = max(self._inner_width - 4 - len(more), 1)
            notice.update(Content(f"⚠ {middle_cut(one_line(self._notices[0]), width)}{more}"))
            notice.tooltip = Content("\n".join(map(one_line, self._notices)))
        self._check_next()
        total, shown = self._choices.n_models, len(self._choices.matching)
        count = f"{total:,}" if shown == total else f"{shown:,} of {total:,}"
        close = escape(keys_of(self).said("{pick-close} closes"))
        keys = f"[@click=screen.choose]Enter loads[/] · [@click=screen.close]{close}[/]"
        self.query_one("#models").border_subtitle = f"{count}{' …' if self._is_searching else ''} · {keys}"

    def _details_words(self) -> Content:
        width = max(self._inner_width - 2, 1)
        n_rows = (_LOW_DETAILS if self._is_low else _DETAILS) - 1
        if row := self._highlighted():
            is_asked = self._asked == row.file.path
            return details_text(row, self._free_memory, width, n_rows, is_asked=is_asked)
        typed = self._choices.typed
        if typed and self._choices.is_typed_row(self.pick_list.highlighted_row):
            reason = text_rows(self._choices.typed_reason or "Looking …", width, n_rows)
            path = path_rows(typed.path, width, n_rows - len(reason))
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
        if self._choices.n_models:
            return Content(f"None of {self._choices.n_models:,} models matches.")
        config = one_line(str(config_file()))
        looked_in = "\n".join(f"  {one_line(place)}" for place in self._looked_in())
        return Content(
            f"No models found. To have a folder searched, write in {config}:\n"
            f"  [model]\n  {CONFIG_EXAMPLE}\nor paste the path of a GGUF file above.\n\n"
            f"Looked in:\n{looked_in}"
        )


def _places(folders: Iterable[str | Path]) -> list[str]:
    return [str(place.path) for place in places(folders, os.environ, Path.home())]

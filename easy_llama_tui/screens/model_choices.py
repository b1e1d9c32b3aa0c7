"""The models that can be chosen: those that were found and match what is typed, and a path that was typed."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from easy_llama_tui.drafts.typed_path import TypedPath, typed_path
from easy_llama_tui.models.model_search import ModelRow
from easy_llama_tui.screens.pick_screen import match_score


class ModelChoices:
    """The rows of the list in their order. A path that was typed is the first row."""

    def __init__(self) -> None:
        self.typed: TypedPath | None = None
        """The path that was typed, if it is one."""
        self.typed_row: ModelRow | None = None
        """The model that lies there."""
        self.typed_reason = ""
        """Why there is none; "" where it is not known yet."""
        self.matching: list[ModelRow] = []
        """The models that match, the best first."""
        self._models: dict[Path, ModelRow] = {}
        self._query = ""

    @property
    def n_models(self) -> int:
        """How many models were found."""
        return len(self._models)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.matching) + (self.typed is not None)

    def is_typed_row(self, index: int | None) -> bool:
        """Return whether a row is the path that was typed."""
        return index == 0 and self.typed is not None

    def row_at(self, index: int | None) -> ModelRow | None:
        """Return the model of a row; None where there is none, or a path that leads to none."""
        if index is None or self.is_typed_row(index):
            return self.typed_row
        index -= self.typed is not None
        return self.matching[index] if 0 <= index < len(self.matching) else None

    def place_of(self, path: Path) -> int | None:
        """Return the row of a model that was found; None where it does not match."""
        paths = [row.file.path for row in self.matching]
        return paths.index(path) + (self.typed is not None) if path in paths else None

    def best_row(self) -> int:
        """Return the row that the person most likely means."""
        if self.typed:
            is_meant = self.typed.is_plainly_path and not self.typed_reason
            return 0 if is_meant or self.typed_row or not self.matching else 1
        if not self._query:
            return next((index for index, row in enumerate(self.matching) if row.is_current), 0)
        return 0

    def unread(self, first: Iterable[ModelRow | None]) -> list[ModelRow]:
        """Return the models whose headers are not read, those of `first` first."""
        rows = [self.typed_row, *first, *self.matching, *self._models.values()]
        return list({row.file.path: row for row in rows if row and row.details is None}.values())

    # What changes

    def take_query(self, query: str) -> bool:
        """Take what is typed now; return whether it is another path, which has to be looked at."""
        self._query = query
        typed = typed_path(query)
        if typed == self.typed:
            return False
        self.typed, self.typed_row, self.typed_reason = typed, None, ""
        return typed is not None

    def sort(self) -> None:
        """Sort and filter anew."""
        scored = [(match_score(self._query, row.searched_text), row) for row in self._models.values()]
        kept = [(score, row) for score, row in scored if score is not None]
        self.matching = [row for _, row in sorted(kept, key=lambda pair: (-pair[0], pair[1].order))]

    def add(self, rows: Iterable[ModelRow]) -> None:
        """Add models that were found."""
        self._models.update((row.file.path, row) for row in rows)

    def add_details(self, read: ModelRow) -> None:
        """Add what a header says; a projector is no model to choose."""
        path = read.file.path
        if path in self._models:
            if read.details and read.details.is_projector:
                del self._models[path]
            else:
                self._models[path] = replace(
                    self._models[path], details=read.details, fit=read.fit, needed_bytes=read.needed_bytes
                )
        if self.typed_row and self.typed_row.file.path == path:
            self.typed_row = read

    def mark_damaged(self, path: Path, problem: str) -> None:
        """Note that a file is not whole."""
        if path in self._models:
            self._models[path] = _damaged(self._models[path], problem)
        if self.typed_row and self.typed_row.file.path == path:
            self.typed_row = _damaged(self.typed_row, problem)


def _damaged(row: ModelRow, problem: str) -> ModelRow:
    return replace(row, details=replace(row.details, error=problem)) if row.details else row

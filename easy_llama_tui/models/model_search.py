"""Searching the disk for models and reading their headers, for a list that fills while it is used.

Everything here looks at the disk, and is called from threads.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from easy_llama.errors import ModelLoadError
from easy_llama.loading import fitting_context_length, kv_cache_bytes
from easy_llama_tui.models.model_library import DetailsCache, Fit, ModelDetails, ModelFile, fits
from easy_llama_tui.models.model_sources import Notice, Source

FindModels = Callable[[Iterable[str | Path], Iterable[str | Path]], Iterator[ModelFile | Notice]]
"""As `model_library.find_models`: from folders and files used before, what there is."""

_GATHER_SECONDS = 0.05
"""How long models are gathered before they are handed on."""


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model, and what is known of it so far."""

    file: ModelFile
    used_rank: int | None = None
    """How many others were used since; None where it was not used before."""
    is_current: bool = False
    """It is the one that is loaded."""
    details: ModelDetails | None = None
    """None until its header is read."""
    fit: Fit = Fit.UNKNOWN
    needed_bytes: int | None = None
    """What its weights and its context take; None where the header does not tell."""

    @property
    def order(self) -> tuple[int | float, int, str]:
        """What sorts rows: those used before first, then the newest."""
        rank = float("inf") if self.used_rank is None else self.used_rank
        return rank, -self.file.modified_ns, self.file.name

    @property
    def searched_text(self) -> str:
        """What a search looks through."""
        # "repository/name", as it is written elsewhere.
        parts = [f"{self.file.origin}/{self.file.name}", self.file.path.name, self.file.source]
        if self.details:
            known = (self.details.architecture, self.details.quantisation, self.details.parameters)
            parts += [text for text in known if text]
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Lot:
    """What was found since the last lot."""

    rows: tuple[ModelRow, ...] = ()
    notices: tuple[str, ...] = ()


def search(
    find: FindModels, folders: Sequence[str | Path], used: Sequence[str | Path], current: Path | None
) -> Iterator[Lot]:
    """Yield the models on this disk in lots, the rest last; `used` begins with what was used last."""
    ranks: dict[str, int] = {}
    for rank, path in enumerate(used):
        ranks.setdefault(os.path.realpath(path), rank)
    in_use = os.path.realpath(current) if current else None
    rows: list[ModelRow] = []
    notices: list[str] = []
    since = time.monotonic()
    for found in find(folders, used):
        if isinstance(found, Notice):
            notices.append(found.text)
        else:
            real = os.path.realpath(found.path)
            rows.append(ModelRow(found, ranks.get(real), real == in_use))
        if time.monotonic() - since > _GATHER_SECONDS:
            yield Lot(tuple(rows), tuple(notices))
            rows, notices, since = [], [], time.monotonic()
    yield Lot(tuple(rows), tuple(notices))


def with_details(row: ModelRow, cache: DetailsCache, free_memory: int | None) -> ModelRow:
    """Return a row with what the model's header tells."""
    details = cache.read(row.file)
    return replace(
        row,
        details=details,
        fit=fits(details, free_memory),
        needed_bytes=_needed_bytes(details, free_memory),
    )


def model_at(path: Path, find: FindModels) -> ModelFile | None:
    """Return the model in a file, wherever it lies, with the other parts of a split one."""
    for found in find((), (path,)):
        if isinstance(found, ModelFile):
            is_part = (
                found.n_parts > 1 and path.parent == found.path.parent and path.name.startswith(found.name)
            )
            if (
                found.source is Source.USED
                or is_part
                or os.path.realpath(found.path) == os.path.realpath(path)
            ):
                return found
    return None


def _needed_bytes(details: ModelDetails, free_memory: int | None) -> int | None:
    """Return what the weights and the context that the app would choose take."""
    try:
        # With boundless memory it is the native context.
        length = fitting_context_length(details.figures, free_memory or 1 << 62)
        return details.weights_bytes + kv_cache_bytes(details.figures, length)
    except ModelLoadError:
        return None

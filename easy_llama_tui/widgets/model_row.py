"""A model in the list of models: its row, whose columns give way in narrow windows, and its details."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.style import Style
from textual.content import Content

from easy_llama_tui.models.model_library import Fit, ModelDetails
from easy_llama_tui.models.model_search import ModelRow
from easy_llama_tui.models.model_sources import Source
from easy_llama_tui.text.display_text import cells, chop, one_line, wrap
from easy_llama_tui.widgets.row_list import Part

FIT_WORDS: Final = {Fit.YES: "fits", Fit.TIGHT: "tight", Fit.NO: "too big", Fit.UNKNOWN: "unknown"}
_FIT_LOOKS: Final = {Fit.YES: "good", Fit.TIGHT: "doubtful", Fit.NO: "bad", Fit.UNKNOWN: "text"}

_NAME_CELLS = 26
"""Cells that a name keeps before another column is shown."""
_GAP = "  "


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    width: int
    text: Callable[[ModelRow], str]
    is_number: bool = False


_QUANTISATION = _Column("Quant", 7, lambda row: (row.details and row.details.quantisation) or "")
_PARAMETERS = _Column("Params", 6, lambda row: (row.details and row.details.parameters) or "", True)
_SIZE = _Column("Size", 8, lambda row: gigabytes(row.file.size_bytes), True)
_CONTEXT = _Column("Context", 10, lambda row: _context(row.details), True)
_FIT = _Column("Memory", 7, lambda row: fit_word(row))
_SOURCE = _Column("From", 12, lambda row: row.file.source)

_IN_ORDER = (_QUANTISATION, _PARAMETERS, _SIZE, _CONTEXT, _FIT, _SOURCE)
_BY_WEIGHT = (_FIT, _SIZE, _QUANTISATION, _CONTEXT, _PARAMETERS, _SOURCE)


def heading(width: int) -> Content:
    """Return the headings of the columns that are shown at this width."""
    columns = _columns(width)
    return Content(
        _GAP.join(["Name".ljust(_name_width(columns, width)), *(_cell(c, c.heading) for c in columns)])
    )


def draw_row(row: ModelRow, width: int) -> list[Part]:
    """Return a model's row in this many cells."""
    columns = _columns(width)
    room = _name_width(columns, width)
    mark = " ●" if row.is_current else ""
    name = middle_cut(one_line(row.file.name), room - len(mark))
    origin = one_line(row.file.origin)
    left = room - cells(name) - len(mark)
    if not origin or cells(origin) + len(_GAP) > left:
        origin = ""
    cannot_load = row.details is not None and bool(row.details.error or row.details.remark)
    parts = [Part(name, "muted" if cannot_load else "text"), Part(mark, "sign")]
    if origin:
        parts += [Part(_GAP), Part(origin, "muted")]
        left -= cells(origin) + len(_GAP)
    parts.append(Part(" " * left))
    for column in columns:
        is_fit_known = column is _FIT and row.details is not None and not cannot_load
        look = _FIT_LOOKS[row.fit] if is_fit_known else "muted"
        parts += [Part(_GAP), Part(_cell(column, one_line(column.text(row))), look)]
    return parts


def fit_word(row: ModelRow) -> str:
    """Return in a word whether a model fits the free memory, or why that is no question."""
    if row.details is None:
        return "…"
    if row.details.error:
        return "error"
    return "no chat" if row.details.remark else FIT_WORDS[row.fit]


def facts(row: ModelRow) -> str:
    """Return what the header and the place of a model tell, in one line."""
    parts = ["in use" if row.is_current else ""]
    if row.details:
        context = row.details.native_context
        parts += [
            row.details.architecture or "",
            row.details.parameters or "",
            row.details.quantisation or "",
        ]
        parts.append(f"context {context:,}" if context else "")
    parts += [gigabytes(row.file.size_bytes), f"{row.file.n_parts:,} files" if row.file.n_parts > 1 else ""]
    if row.file.source is not Source.USED:
        parts += [row.file.source, row.file.origin]
    return one_line(" · ".join(part for part in parts if part))


def memory_words(row: ModelRow, free_memory: int | None) -> str:
    """Return what a model needs, what is free, and what follows from it."""
    if row.details is None:
        return "Reading its header …"
    needed = f"Needs about {gigabytes(row.needed_bytes or row.details.weights_bytes)}"
    if row.needed_bytes is None:
        needed += " and what its context takes"
    if free_memory is None:
        return f"{needed}; how much memory is free is not known."
    ending = {Fit.TIGHT: ": tight, maybe with a shorter context", Fit.NO: ": too big"}.get(row.fit, "")
    return f"{needed} of {gigabytes(free_memory)} free{ending}."


def objection(row: ModelRow, free_memory: int | None) -> str:
    """Return what speaks against loading a model; "" where nothing does."""
    if row.details is None:
        return memory_words(row, free_memory)
    if row.details.error:
        return row.details.error
    if row.details.is_projector:
        return "A projector, which reads images or sound for another model: one cannot chat with it."
    if row.details.remark:
        return f"One cannot chat with it: {row.details.remark}."
    is_too_big = row.fit is Fit.NO and not row.is_current
    return memory_words(row, free_memory) if is_too_big else ""


def details_text(row: ModelRow, free_memory: int | None, width: int, rows: int, *, is_asked: bool) -> Content:
    """Return what is known of a model in so many rows at most.

    Where it `is_asked` whether to load it in spite of an objection, how to do so comes first.
    """
    against = objection(row, free_memory)
    words = against or memory_words(row, free_memory)
    if against and is_asked:
        words = f"Enter again loads it anyway. {words}"
    said = text_rows(words, width, rows - 1)
    left = rows - len(said)
    known = text_rows(facts(row), width, 2 if left > 2 else 1) if left > 1 else []
    path = path_rows(row.file.path, width, left - len(known))
    style = ("bold $warning" if is_asked else "$warning") if against and row.details else ""
    lines = [Content.styled(line, style) for line in said]
    lines += [Content.styled(line, "$text-muted") for line in known]
    return Content("\n").join([*lines, *map(Content, path)])


def gigabytes(size: int) -> str:
    """Return a size as "1.25 GB" (of 10⁹ bytes)."""
    value = size / 1e9
    if value < 0.005:
        return "<0.01 GB"
    digits = 2 if value < 9.995 else 1 if value < 999.95 else 0
    return f"{value:,.{digits}f} GB"


def middle_cut(text: str, width: int) -> str:
    """Return one line in at most `width` cells; what is too much is taken out of the middle.

    The ends tell files apart: which model it is, and how it is quantised.
    """
    if cells(text) <= width:
        return text
    if width < 3:
        return chop(text, width)[0] if width > 0 else ""
    start = chop(text, (width - 1) // 2)[0]
    end = ""
    for character in reversed(text):
        if cells(character + end) > width - 1 - cells(start):
            break
        end = character + end
    return f"{start}…{end}"


def path_rows(path: Path, width: int, rows: int) -> list[str]:
    """Return a path in so many rows of this width at most, its middle taken out where it is longer."""
    if rows < 1:
        return []
    text = middle_cut(one_line(str(path)), width * rows)
    return chop(text, max(width, 1))[:rows]


def text_rows(text: str, width: int, rows: int) -> list[str]:
    """Return text as at most so many rows, broken at words; what is cut off shows as "…"."""
    lines = [line.text for line in wrap([(one_line(text), Style())], width)]
    if len(lines) <= rows:
        return lines
    kept = lines[: max(rows, 0)]
    if kept:
        kept[-1] = f"{chop(kept[-1], max(width - 1, 1))[0]}…"
    return kept


def _context(details: ModelDetails | None) -> str:
    return f"{details.native_context:,}" if details and details.native_context else ""


def _columns(width: int) -> tuple[_Column, ...]:
    shown: list[_Column] = []
    left = width
    for column in _BY_WEIGHT:
        left -= column.width + len(_GAP)
        # The fit stays as long as a few letters of the name do.
        if left < (8 if column is _FIT else _NAME_CELLS):
            break
        shown.append(column)
    return tuple(column for column in _IN_ORDER if column in shown)


def _name_width(columns: tuple[_Column, ...], width: int) -> int:
    return width - sum(column.width + len(_GAP) for column in columns)


def _cell(column: _Column, text: str) -> str:
    """Return text in the width of its column."""
    text = middle_cut(text, column.width)
    space = " " * (column.width - cells(text))
    return space + text if column.is_number else text + space

"""Text selected with the mouse: Textual's offsets → rows of messages → the text that is copied.

The `y` of an offset is not a row from the top, which changes as messages above are laid out, but tells the
message and the row in it.
"""

import re

from rich.cells import get_character_cell_size
from textual.geometry import Offset
from textual.selection import Selection

from easy_llama_tui.text.display_text import Line, one_line
from easy_llama_tui.widgets.message_column import MessageColumn, Place
from easy_llama_tui.widgets.message_view import MessageView

_ROWS = 1 << 20
"""More rows than a message can have."""
_WORD = re.compile(r"[\w\-./:@~]+")


def row_key(place: Place) -> int:
    """Return the `y` of a row in a selection."""
    return place.message * _ROWS + place.row


def selected_text(column: MessageColumn, selection: Selection) -> str:
    """Return the text of a selection as it would be written: not wrapped, without indent and borders."""
    views = column.views
    if not views:
        return ""
    first = _place(selection.start) if selection.start else Place(0, 0)
    last = _place(selection.end) if selection.end else Place(len(views) - 1, _ROWS)
    parts: list[str] = []
    for index in range(first.message, min(last.message, len(views) - 1) + 1):
        view = views[index]
        if not view.is_laid_out and first.message < index < last.message:
            parts.append(f"{one_line(view.entry.name)}\n{view.shown_text()}\n\n")
            continue
        rows = range(
            first.row if index == first.message else 0,
            min(last.row + 1 if index == last.message else _ROWS, len(view.lines)),
        )
        for row in rows:
            span = selection.get_span(row_key(Place(index, row))) or (0, -1)
            parts.append(_row_text(view, row, span, joined=bool(parts)))
    return "".join(parts).rstrip("\n")


def _row_text(view: MessageView, row: int, span: tuple[int, int], *, joined: bool) -> str:
    line = view.lines[row]
    end = span[1] if span[1] >= 0 else None
    text = line.text[max(span[0], line.lead) : end]
    return (line.joint if joined else "") + text.rstrip()


def clicked(column: MessageColumn, place: Place, line: Line, x: int, clicks: int) -> Selection | None:
    """Return what several clicks on cell `x` of a row select: two a word, three the message's text."""
    if clicks == 3:
        last = column.views[place.message].height - 1
        return Selection(
            Offset(0, row_key(Place(place.message, 1))), Offset(0, row_key(Place(place.message, last)))
        )
    if clicks == 2:
        character = _character_at(line, x)
        for match in _WORD.finditer(line.text):
            if match.start() <= character < match.end():
                y = row_key(place)
                return Selection(Offset(match.start(), y), Offset(match.end(), y))
    return None


def _place(offset: Offset) -> Place:
    return Place(*divmod(offset.y, _ROWS))


def _character_at(line: Line, x: int) -> int:
    """Return the index of the character that is drawn in cell `x`."""
    for index, character in enumerate(line.text):
        x -= get_character_cell_size(character)
        if x < 0:
            return index
    return len(line.text)

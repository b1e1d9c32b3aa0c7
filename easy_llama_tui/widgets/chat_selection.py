"""Text selected with the mouse: Textual's offsets → rows of messages → the text that is copied.

The `y` of an offset is not a row from the top, which changes as messages above are laid out, but tells the
message and the row in it.
"""

import re

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Offset
from textual.selection import Selection
from textual.strip import Strip

from easy_llama_tui.display_text import Line, one_line, printable
from easy_llama_tui.widgets.message_column import MessageColumn, Place
from easy_llama_tui.widgets.message_view import MessageView

_ROWS = 1 << 20
"""More rows than a message can have."""
_WORD = re.compile(r"[\w\-./:@~]+")


def row_key(place: Place) -> int:
    """Return the `y` of a row in a selection."""
    return place.message * _ROWS + place.row


def place_of_key(key: int) -> Place:
    """Return the row that a `y` of a selection tells."""
    return Place(*divmod(key, _ROWS))


def highlighted(strip: Strip, line: Line, span: tuple[int, int], style: Style) -> Strip:
    """Return `strip`, which shows `line`, with the characters of `span` in another style.

    The end of the span is -1 for the end of the line. Indent and border are left as they are.
    """
    start, end = max(span[0], line.lead), span[1] if span[1] >= 0 else len(line.text)
    segments: list[Segment] = []
    position = 0
    for text, own, _ in strip:
        first, last = (min(max(0, at - position), len(text)) for at in (start, end))
        parts = (
            (text[:first], own),
            (text[first:last], (own or Style()) + style),
            (text[max(first, last) :], own),
        )
        segments += [Segment(part, part_style) for part, part_style in parts if part]
        position += len(text)
    return Strip(segments, strip.cell_length)


def selected_text(column: MessageColumn, selection: Selection) -> str:
    """Return the text of a selection as it would be written: not wrapped, without indent and borders."""
    views = column.views
    if not views:
        return ""
    first = place_of_key(selection.start.y) if selection.start else Place(0, 0)
    last = place_of_key(selection.end.y) if selection.end else Place(len(views) - 1, _ROWS)
    parts: list[str] = []
    for index in range(first.message, min(last.message, len(views) - 1) + 1):
        view = views[index]
        if not view.is_laid_out and first.message < index < last.message:
            parts.append(f"{one_line(view.entry.name)}\n{printable(view.entry.text)}\n\n")
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


def word_around(place: Place, line: Line, x: int) -> Selection | None:
    """Return the selection of the word at character `x` of a row."""
    for match in _WORD.finditer(line.text):
        if match.start() <= x < match.end():
            y = row_key(place)
            return Selection(Offset(match.start(), y), Offset(match.end(), y))
    return None


def whole_message(index: int, view: MessageView) -> Selection:
    """Return the selection of a message's text, without its name."""
    return Selection(Offset(0, row_key(Place(index, 1))), Offset(0, row_key(Place(index, view.height - 1))))

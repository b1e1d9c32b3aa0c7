"""Going from message to message: which one is next, and what the window then shows. Pure."""

from typing import NamedTuple

from easy_llama_tui.widgets.message_column import MessageColumn, Place

ROWS_AT_ONCE = 3
"""Rows that one key moves inside a message that is longer than the window, as the wheel does."""


class Step(NamedTuple):
    """What one key does."""

    message: int
    """The message that it leads to."""
    rows: int
    """Rows to scroll, where it stays in the same message."""


def text_rows(column: MessageColumn, message: int) -> range:
    """Return the rows of a message from the top of the chat, without those that part it from the next."""
    top = column.top(message)
    return range(top, top + max(1, column.views[message].own_height))


def step(column: MessageColumn, message: int, direction: int, top: int, height: int) -> Step:
    """Return where ↑ (-1) or ↓ (1) leads from a message, in a window of `height` rows from `top` on.

    A message that is longer than the window is first moved through to its end.
    """
    rows = text_rows(column, message)
    if len(rows) > height and direction < 0 and rows.start < top:
        return Step(message, -min(ROWS_AT_ONCE, top - rows.start))
    if len(rows) > height and direction > 0 and rows.stop > top + height:
        return Step(message, min(ROWS_AT_ONCE, rows.stop - top - height))
    return Step(min(max(0, message + direction), len(column.views) - 1), 0)


def view_of(column: MessageColumn, message: int, top: int, height: int) -> tuple[Place, int] | None:
    """Return which place is to be in which row of the window so that a message is seen.

    `None` where all of it is seen already. Of one that is longer than the window the top is shown.
    """
    view = column.views[message]
    above, seen = column.top(message) < top, view.is_laid_out
    count = len(view.lines)
    if seen:
        rows = text_rows(column, message)
        if top <= rows.start and rows.stop <= top + height:
            return None
    else:
        column.heights_changed(message)
    if above or count - 1 > height:
        return Place(message, 0), 0
    last = count - 1 if count <= height else count - 2
    return Place(message, last), height - 1


def nearest_seen(column: MessageColumn, message: int, top: int, height: int) -> int:
    """Return a message itself where some of it is in the window, else the nearest one of which some is."""
    rows = text_rows(column, message)
    if rows.stop > top and rows.start < top + height:
        return message
    above = rows.stop <= top
    first, last = column.place(top).message, column.place(top + height - 1).message
    if above:
        # The row that is first may be the blank one at the end of a message.
        return min(last, first + 1) if text_rows(column, first).stop <= top else first
    return last

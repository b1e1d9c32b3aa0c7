"""Messages one below the other, of which only those that are looked at are laid out.

The heights of the others are estimates. So a place is told as a row of a message, never as a row from the
top, and `show` says where the window stands once everything in it is exact.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from easy_llama_tui.text.display_text import Line
from easy_llama_tui.widgets.message_view import Layout, MessageView

_LAST_ROW = 1 << 30
"""Stands for the last row of a message, whichever that turns out to be."""


class Place(NamedTuple):
    """A row of a message."""

    message: int
    """Which message, from the top."""
    row: int
    """Which of its rows."""


class MessageColumn:
    """The views of all messages and where each begins, in rows from the top."""

    def __init__(self) -> None:
        self.views: list[MessageView] = []
        self._tops = [0]

    @property
    def height(self) -> int:
        """The rows of all messages together."""
        return self._all_tops()[-1]

    @property
    def end(self) -> Place:
        """The last row of the last message."""
        return Place(len(self.views) - 1, _LAST_ROW)

    def replace(self, views: Iterable[MessageView]) -> None:
        """Show other messages."""
        self.views = list(views)
        self.heights_changed(0)

    def truncate(self, index: int) -> None:
        """Drop a message and all below it."""
        del self.views[index:]
        self.heights_changed(index)

    def append(self, view: MessageView) -> None:
        """Add a message at the bottom."""
        self.views.append(view)

    def set_layout(self, layout: Layout) -> None:
        """Use another width or other styles for all messages."""
        for view in self.views:
            view.set_layout(layout)
        self.heights_changed(0)

    def heights_changed(self, index: int) -> None:
        """Tell that message `index`, or ones after it, may have another height."""
        del self._tops[index + 1 :]

    def top(self, index: int) -> int:
        """Return the row from the top at which a message begins."""
        return self._all_tops()[index]

    def place(self, y: int) -> Place:
        """Return the place that is `y` rows from the top, or the nearest one. There must be a message."""
        tops = self._all_tops()
        index = min(max(0, bisect_right(tops, y) - 1), len(self.views) - 1)
        return Place(index, min(max(0, y - tops[index]), self.views[index].height - 1))

    def y(self, place: Place) -> int:
        """Return how many rows a place is from the top."""
        return self.top(place.message) + place.row

    def line(self, y: int) -> tuple[Place, Line] | None:
        """Return the row that is `y` rows from the top, or `None` below the end."""
        if not 0 <= y < self.height:
            return None
        place = self.place(y)
        lines = self._lay_out(place.message)
        return place, lines[min(place.row, len(lines) - 1)]

    def lines(self, y: int, count: int) -> Iterator[tuple[Place, Line]]:
        """Yield the `count` rows from the one that is `y` rows from the top on, or as many as there are."""
        if not 0 <= y < self.height:
            return
        message, row = self.place(y)
        for index in range(message, len(self.views)):
            lines = self._lay_out(index)
            for at in range(row, min(len(lines), row + count)):
                yield Place(index, at), lines[at]
            count -= len(lines) - row
            row = 0
            if count <= 0:
                return

    def show(self, place: Place, window_row: int, window_height: int) -> int:
        """Lay out all that a window shows when it has `place` in its row `window_row`.

        Returns the row from the top at which the window begins. It is moved where it would reach beyond
        the top or the bottom.
        """
        if not self.views:
            return 0
        self._lay_out(place.message)
        place = Place(place.message, min(place.row, self.views[place.message].height - 1))
        while True:
            limit = max(0, self.height - window_height)
            window_top = min(max(0, self.y(place) - window_row), limit)
            first = self.place(window_top).message
            last = self.place(window_top + max(0, window_height - 1)).message
            vague = [i for i in range(first, last + 1) if not self.views[i].is_laid_out]
            if not vague:
                return window_top
            for index in vague:
                self._lay_out(index)

    def _lay_out(self, index: int) -> list[Line]:
        view = self.views[index]
        if not view.is_laid_out:
            estimate = view.height
            if len(view.lines) != estimate:
                self.heights_changed(index)
        return view.lines

    def _all_tops(self) -> list[int]:
        tops = self._tops
        known = len(tops) - 1
        if known < len(self.views):
            heights = (view.height for view in self.views[known:])
            tops += list(accumulate(heights, initial=tops[-1]))[1:]
        return tops

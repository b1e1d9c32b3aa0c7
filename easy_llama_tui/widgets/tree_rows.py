"""The tree of a chat as rows of a list, its branches drawn with lines."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from easy_llama_tui.chats.conversation import Message
from easy_llama_tui.chats.tree import Tree, TreeRow
from easy_llama_tui.text.display_text import cells, one_line
from easy_llama_tui.widgets.row_list import Part, RowList, cut_parts, parts_width

SHOWN: Final = "●"
HIDDEN: Final = "○"
_LONGEST_WHO: Final = 16
_FIRST_WORDS: Final = 400
"""Characters of a message that its row is made from; no window has room for more."""
_WITH_COUNT: Final = 44
_WITH_TIME: Final = 64
"""Cells from which a row tells how much hangs below a message, and when that was written."""


class TreeRows(RowList):
    """Rows of a tree, with a cursor."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self._tree: Tree | None = None
        self._rows: Sequence[TreeRow] = ()
        self._today = datetime.now().astimezone()

    def show_tree(self, tree: Tree, rows: Sequence[TreeRow], cursor: int, today: datetime) -> None:
        """Show these rows of a tree, with the cursor on one; `today` is now, in the person's time zone."""
        self._tree, self._rows, self._today = tree, rows, today
        self.show_rows(len(rows), cursor)

    def draw_row(self, index: int, width: int) -> Sequence[Part]:
        """Return the parts of a row."""
        if self._tree is None:
            return [Part(" ")]
        row, tree = self._rows[index], self._tree
        start = [Part(" "), Part(_lines_before(row, width), "muted")]
        if row.is_folded:
            is_shown = row.ids[0] in tree.path
            start.append(_mark(is_shown))
            start.append(Part(f"⋯ {len(row.ids):,} messages", "muted"))
            return cut_parts(start, width)
        message = tree.messages[row.ids[0]]
        start.append(_mark(message.id in tree.path))
        start += _name_parts(tree, message)
        end = self._end_parts(message, width)
        room = width - parts_width(end) - (1 if end else 0)
        start.append(Part(one_line(message.content[:_FIRST_WORDS])))
        start = cut_parts(start, room)
        gap = Part(" " * max(width - parts_width(start) - parts_width(end), 0))
        return [*start, gap, *end]

    def _end_parts(self, message: Message, width: int) -> list[Part]:
        """Return what stands at the right of a row."""
        assert self._tree is not None
        if message.id == self._tree.running:
            return [Part("being written", "mark")]
        parts: list[Part] = []
        if message.id == self._tree.head:
            parts.append(Part("here", "mark"))
        elif width >= _WITH_COUNT and (below := self._tree.below[message.id]):
            parts.append(Part(f"{below:,} below", "muted"))
        if width >= _WITH_TIME:
            moment = message.created.astimezone(self._today.tzinfo)
            is_today = moment.date() == self._today.date()
            told = f"{moment:%H:%M}" if is_today else f"{moment:%Y-%m-%d}"
            parts.append(Part(f"{told:>12}", "muted"))
        return parts


def _lines_before(row: TreeRow, width: int) -> str:
    """Return the lines of the branches that a row stands beside; far to the right, only the last of them."""
    most = max(width // 6, 2)
    lines = "│ " * row.depth
    if row.begins_branch:
        lines = lines[:-2] + "├─"
    if row.depth <= most:
        return lines
    return "┆ " + lines[-2 * (most - 1) :]


def _mark(is_shown: bool) -> Part:
    return Part(f"{SHOWN if is_shown else HIDDEN} ", "mark" if is_shown else "muted")


def _name_parts(tree: Tree, message: Message) -> list[Part]:
    """Return who wrote a message, which alternative it is, and the name of its branch."""
    who = {"user": "You", "system": "System", "bot": one_line(message.author) or "Bot"}[message.role]
    if cells(who) > _LONGEST_WHO:
        who = "".join(part.text for part in cut_parts([Part(who)], _LONGEST_WHO))
    parts = [Part(f"{who} ", "strong")]
    place, count = tree.place(message.id)
    if count > 1:
        parts.append(Part(f"‹{place}/{count}› "))
    if message.branch:
        parts.append(Part(f"[{one_line(message.branch)}] ", "mark"))
    return parts

"""The whole tree of a chat in reading order, a row for each message or for several that lie in a line. Pure.

At a fork the largest branch goes straight on and the others stand before it, one step to the right. So a
branch is never more than log2(n) steps to the right, however deep and forked the chat is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from easy_llama_tui.chats.conversation import Conversation, Message

LEAST_FOLDED: Final = 2
"""How many messages in a line are folded to one row at least."""


@dataclass(frozen=True, slots=True)
class Tree:
    """All messages of a chat, and what a row says of each."""

    messages: Mapping[str, Message]
    """By their ids, in the order of creation."""
    children: Mapping[str | None, tuple[str, ...]]
    """What follows each message, or begins the chat (None), the oldest first."""
    below: Mapping[str, int]
    """How many messages hang below each."""
    path: frozenset[str]
    """The messages that are shown."""
    head: str | None
    """Where the shown path ends."""
    running: str | None = None
    """The reply that is being written."""

    @property
    def branches(self) -> int:
        """How many ways lead through the chat."""
        return sum(not below for below in self.below.values())

    def place(self, message_id: str) -> tuple[int, int]:
        """Return which of its alternatives a message is, from 1, and how many there are."""
        siblings = self.children[self.messages[message_id].parent]
        return siblings.index(message_id) + 1, len(siblings)


@dataclass(frozen=True, slots=True)
class TreeRow:
    """One message, or several in a line that are folded to one row."""

    ids: tuple[str, ...]
    """From the top."""
    depth: int = 0
    """How many steps to the right it stands."""
    begins_branch: bool = False
    """Whether a branch to the right begins here."""
    run: str = ""
    """What names the line of messages that it belongs to and that can be folded; "" where there is none."""

    @property
    def is_folded(self) -> bool:
        """Whether it stands for several messages."""
        return len(self.ids) > 1


def tree_of(conversation: Conversation, running: str | None = None) -> Tree:
    """Return the tree of a conversation, in which the reply `running` is being written."""
    messages = {message.id: message for message in conversation.messages}
    above: dict[str | None, tuple[str, ...]] = {
        one: tuple(child.id for child in conversation.children(one)) for one in (None, *messages)
    }
    order = list(above[None])
    for one in order:  # which grows meanwhile
        order.extend(above[one])
    below = dict.fromkeys(messages, 0)
    for one in reversed(order):
        parent = messages[one].parent
        if parent is not None:
            below[parent] += 1 + below[one]
    path = frozenset(message.id for message in conversation.path())
    return Tree(messages, above, below, path, conversation.head, running)


def tree_rows(
    tree: Tree, unfolded: Collection[str] = (), *, all_unfolded: bool = False
) -> tuple[TreeRow, ...]:
    """Return the rows of a tree from the top.

    Args:
        tree: the tree.
        unfolded: the lines of messages that are not folded, as `TreeRow.run` names them.
        all_unfolded: fold none.
    """
    rows: list[TreeRow] = []
    waiting = _fork(tree, tree.children[None], 0)
    while waiting:
        first, depth, begins_branch = waiting.pop()
        line = [first]
        while len(children := tree.children[line[-1]]) == 1:
            line.append(children[0])
        rows.append(TreeRow((first,), depth, begins_branch))
        for run in _runs(tree, line[1:-1]):
            name = run[0] if len(run) >= LEAST_FOLDED else ""
            if name and not all_unfolded and name not in unfolded:
                rows.append(TreeRow(tuple(run), depth, run=name))
            else:
                rows += [TreeRow((one,), depth, run=name) for one in run]
        if len(line) > 1:
            rows.append(TreeRow((line[-1],), depth))
        waiting += _fork(tree, children, depth)
    return tuple(rows)


def matching_rows(tree: Tree, query: str) -> tuple[TreeRow, ...]:
    """Return a row for each message in which all words of `query` stand, or in its branch's name."""
    words = query.casefold().split()
    found: list[TreeRow] = []
    for row in tree_rows(tree, all_unfolded=True):
        message = tree.messages[row.ids[0]]
        text = f"{message.content}\n{message.branch}".casefold()
        if all(word in text for word in words):
            found.append(TreeRow(row.ids))
    return tuple(found)


def row_of(rows: Sequence[TreeRow], message_id: str | None) -> int | None:
    """Return the row in which a message stands, if any."""
    return next((place for place, row in enumerate(rows) if message_id in row.ids), None)


def _fork(tree: Tree, ids: Sequence[str], depth: int) -> list[tuple[str, int, bool]]:
    """Return the branches that begin at a place, the last first, with their steps to the right."""
    if not ids:
        return []
    # Of equal ones the newest, so that alternatives keep their order.
    trunk = max(reversed(ids), key=lambda one: tree.below[one])
    sides = [(one, depth + 1, True) for one in ids if one != trunk]
    return [(trunk, depth, False), *reversed(sides)]


def _runs(tree: Tree, line: Sequence[str]) -> list[list[str]]:
    """Divide a line of messages before and after those that are always to be seen."""
    runs: list[list[str]] = []
    open_run = False
    for one in line:
        stands_out = bool(tree.messages[one].branch) or one in (tree.head, tree.running)
        if open_run and not stands_out:
            runs[-1].append(one)
        else:
            runs.append([one])
        open_run = not stands_out
    return runs

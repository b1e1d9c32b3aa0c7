"""The whole tree of a chat: its branches, and going to any place in it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input

from easy_llama_tui.chats.session import title_from
from easy_llama_tui.chats.tree import Tree, TreeRow, matching_rows, row_of, tree_rows
from easy_llama_tui.preferences.panel_keys import TREE_KEYS
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.screens.name_screen import NameScreen
from easy_llama_tui.widgets.key_hints import KeyHint, KeyHints, keys_of
from easy_llama_tui.widgets.line_input import LineInput
from easy_llama_tui.widgets.tree_rows import TreeRows

LOOK_SECONDS: Final = 0.5
"""How often the tree is looked at again, because a reply may be growing in it."""


@dataclass(frozen=True, slots=True)
class TreeWork:
    """What the screen has done to the chat."""

    look: Callable[[], Tree]
    """Returns the tree as it is now."""
    name: Callable[[str, str], None]
    """Names the branch that begins at a message, or takes its name away ("")."""
    prune: Callable[[str], None]
    """Deletes a message and all below it, and says so, or why not."""
    undo: Callable[[], None]
    """Brings back what was deleted or changed last, and says so, or why not."""


class TreeScreen(Dialog[str | None]):
    """Ends with the id of the message to go to, or with None where it was closed."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in TREE_KEYS]
    DEFAULT_CSS = """
    TreeScreen {
        align: center middle;
        background: $background 60%;
    }
    TreeScreen > #tree {
        width: 100%;
        height: 100%;
        border: round $primary;
        background: $surface;
        color: $foreground;
    }
    TreeScreen Input, TreeScreen Input:focus {
        display: none;
        height: 1;
        padding: 0 1;
        border: none;
        background: $background;
        color: $foreground;
    }
    TreeScreen .-filtered Input {
        display: block;
    }
    TreeScreen TreeRows {
        height: 1fr;
    }
    """

    def __init__(self, work: TreeWork, start: str | None = None) -> None:
        """Show the tree that `work` looks at, with the cursor on the message `start`, or on the shown end."""
        super().__init__()
        self._work = work
        self._tree = work.look()
        self._rows: tuple[TreeRow, ...] = ()
        self._unfolded: set[str] = set()
        self._all_unfolded = False
        self._start = start or self._tree.head

    @property
    def tree_list(self) -> TreeRows:
        """The rows."""
        return self.query_one(TreeRows)

    def compose(self) -> ComposeResult:
        """Show the tree in the whole window."""
        with Vertical(id="tree"):
            yield LineInput(placeholder="words of a message", id="tree-query")
            yield TreeRows()
            said = keys_of(self).said
            yield KeyHints(
                (
                    KeyHint(said("{rows-enter}"), "go there", "go"),
                    KeyHint(said("{tree-name}"), "name", "name_branch"),
                    KeyHint(said("{tree-prune}"), "delete", "prune"),
                    KeyHint(said("{tree-undo}"), "undo", "undo"),
                    KeyHint(said("{tree-unfold}"), "unfold", "unfold"),
                    KeyHint(said("{tree-fold-all}"), "all", "fold_all"),
                    KeyHint(said("{tree-filter}"), "find", "filter"),
                    KeyHint(said("{tree-close}"), "back", "back"),
                )
            )

    def on_mount(self) -> None:
        """Show the tree, and look at it now and then."""
        self.tree_list.focus()
        self._show_rows(self._start)
        self.set_interval(LOOK_SECONDS, self._look_again)

    # What the keys do

    def action_go(self) -> None:
        """End with the message under the cursor, or unfold it."""
        if (row := self._row) is None:
            return
        if row.is_folded:
            self.action_unfold()
        else:
            self.dismiss(row.ids[0])

    def action_back(self) -> None:
        """Show the whole tree again where it is filtered, else close."""
        if self._is_filtered:
            row = self._row
            self.query_one("#tree").remove_class("-filtered")
            self.query_one(Input).value = ""
            self.tree_list.focus()
            self._show_rows(row.ids[0] if row else self._tree.head)
        else:
            self.dismiss(None)

    def action_filter(self) -> None:
        """Ask for words of a message."""
        self.query_one("#tree").add_class("-filtered")
        self.query_one(Input).focus()

    def action_unfold(self) -> None:
        """Show each of the messages that are folded to the row under the cursor."""
        if (row := self._row) is not None and row.is_folded:
            self._unfolded.add(row.run)
            self._show_rows(row.ids[0])

    def action_fold(self) -> None:
        """Fold the messages in a line around the cursor to one row."""
        row = self._row
        if row is None or not row.run or row.is_folded:
            return
        if self._all_unfolded:
            self._all_unfolded = False
            self._unfolded = {one.run for one in self._rows if one.run}
        self._unfolded.discard(row.run)
        self._show_rows(row.ids[0])

    def action_fold_all(self) -> None:
        """Unfold everything, or fold it again."""
        row = self._row
        self._all_unfolded = not self._all_unfolded
        self._unfolded.clear()
        self._show_rows(row.ids[0] if row else None)

    def action_name_branch(self) -> None:
        """Ask for a name of the branch that begins under the cursor."""
        if (message_id := self._message_id("named")) is None:
            return
        ask = NameScreen(
            "Name the branch that begins here",
            self._tree.messages[message_id].branch,
            accept="name",
            check=lambda text: "" if title_from(text) else "A name needs something that can be seen.",
        )
        self.app.push_screen(ask, partial(self._set_name, message_id))

    def action_unname_branch(self) -> None:
        """Take the name of the branch under the cursor away."""
        if (message_id := self._message_id("changed")) is not None:
            self._set_name(message_id, "")

    def action_prune(self) -> None:
        """Delete the message under the cursor and all below it."""
        if (message_id := self._message_id("deleted")) is not None:
            self._work.prune(message_id)
            self._look_again()

    def action_undo(self) -> None:
        """Bring back what was deleted."""
        self._work.undo()
        self._look_again()

    def _set_name(self, message_id: str, name: str | None) -> None:
        if name is not None:
            self._work.name(message_id, title_from(name))
            self._look_again()

    # What is shown

    @property
    def _is_filtered(self) -> bool:
        return self.query_one("#tree").has_class("-filtered")

    @property
    def _row(self) -> TreeRow | None:
        cursor = self.tree_list.cursor
        return self._rows[cursor] if cursor < len(self._rows) else None

    def _message_id(self, done: str) -> str | None:
        """Return the message under the cursor; say so where there are several."""
        row = self._row
        if row is not None and row.is_folded:
            shows = keys_of(self).said("{tree-unfold} shows each")
            self.notify(f"These are {len(row.ids):,} messages: {shows}, which can be {done}.", markup=False)
            return None
        return row.ids[0] if row is not None else None

    def _look_again(self) -> None:
        """Show the tree anew where it has changed."""
        tree = self._work.look()
        if not tree.messages:
            self.dismiss(None)
            return
        if tree == self._tree:
            return
        row, self._tree = self._row, tree
        gone = row is None or row.ids[0] not in tree.messages
        self._show_rows(None if gone else row.ids[0] if row else None)

    def _show_rows(self, at: str | None) -> None:
        """Show the rows, with the cursor on a message, or about where it was."""
        tree = self._tree
        if self._is_filtered:
            self._rows = matching_rows(tree, self.query_one(Input).value)
        else:
            self._rows = tree_rows(tree, self._unfolded, all_unfolded=self._all_unfolded)
        place = row_of(self._rows, at)
        cursor = min(self.tree_list.cursor, max(len(self._rows) - 1, 0)) if place is None else place
        self.tree_list.show_tree(tree, self._rows, cursor, datetime.now().astimezone())
        box = self.query_one("#tree", Vertical)
        count, branches = len(tree.messages), tree.branches
        box.border_title = (
            f"{len(self._rows):,} of {count:,} messages"
            if self._is_filtered
            else f"{count:,} messages, {branches:,} {'branch' if branches == 1 else 'branches'}"
        )
        box.border_subtitle = "● shown  ○ not shown"

    @on(Input.Changed)
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        if self._is_filtered:
            row = self._row
            self._show_rows(row.ids[0] if row else None)

    @on(Input.Submitted)
    def _to_rows(self, event: Input.Submitted) -> None:
        event.stop()
        self.tree_list.focus()

    @on(TreeRows.RowTaken)
    def _take(self, event: TreeRows.RowTaken) -> None:
        event.stop()
        self.action_go()

    @on(KeyHints.Chosen)
    async def _do_clicked(self, event: KeyHints.Chosen) -> None:
        event.stop()
        await self.run_action(event.action)

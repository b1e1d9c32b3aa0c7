"""The chat: what is said in it, and the message mode, in which keys are for one message."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.events import Blur, Key
from textual.message import Message

from easy_llama_tui.preferences.keymap import LOG_KEYS, MESSAGE_KEYS
from easy_llama_tui.widgets.chat_styles import CHAT_CSS
from easy_llama_tui.widgets.message_cursor import nearest_seen, step, view_of
from easy_llama_tui.widgets.message_scroll import Anchor, MessageScroll
from easy_llama_tui.widgets.message_view import ChatEntry

_SCROLLING = {key.action for key in LOG_KEYS}
_AMONG_MESSAGES = {key.action.partition("(")[0] for key in MESSAGE_KEYS}


class ChatLog(MessageScroll):
    """Shows messages, and follows the last one while the reader is at the bottom.

    In the message mode the end is not followed: one message is marked, and keys go from one to the next, or
    say what is to be done with it. What that is, the log does not know: it posts `MessageKeyPressed`.
    """

    DEFAULT_CSS = CHAT_CSS

    # The same keys scroll, or go from message to message: `check_action` tells which.
    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in (*MESSAGE_KEYS, *LOG_KEYS)]

    class CursorMoved(Message):
        """Keys are for another message than before, or for none any more."""

        def __init__(self, message_id: str | None) -> None:
            super().__init__()
            self.message_id = message_id

    class MessageKeyPressed(Message):
        """A key was pressed that is for one message."""

        def __init__(self, message_id: str, action: str) -> None:
            super().__init__()
            self.message_id = message_id
            self.action = action
            """What it asks for, as in `keymap.MESSAGE_KEYS`: "edit", "copy", "delete" …"""

    class MessageModeLeft(Message):
        """The person ended the message mode by a key, and the log still has the focus."""

    def __init__(
        self,
        entries: Iterable[ChatEntry] = (),
        *,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        self._cursor = ""
        """The id of the message that keys are for; "" outside the message mode."""
        super().__init__(entries, id=id, classes=classes)

    def set_entries(self, entries: Sequence[ChatEntry]) -> None:
        """Show other messages. The reader stays where they are if that message is still there."""
        cursor = self._indices.get(self._cursor)
        super().set_entries(entries)
        self._keep_cursor(cursor)

    def remove_from(self, id: str) -> None:  # noqa: A002
        """Drop the message with this id and all below it.

        Raises:
            KeyError: there is no such message.
        """
        cursor = self._indices.get(self._cursor)
        super().remove_from(id)
        self._keep_cursor(cursor)

    # What is shown, and copied

    @property
    def reasoning_folded(self) -> bool:
        """Whether what bots reason is folded to one row; what the reader sees stays in its place."""
        return self._layout.folded

    @reasoning_folded.setter
    def reasoning_folded(self, folded: bool) -> None:
        self._change_layout(self._layout._replace(folded=folded))

    @property
    def reasoning_key(self) -> str:
        """The key that folds and opens reasoning, as the reader is to see it."""
        return self._layout.fold_key

    @reasoning_key.setter
    def reasoning_key(self, key: str) -> None:
        self._change_layout(self._layout._replace(fold_key=key))

    def copied_text(self, message_id: str) -> str:
        """Return the source of a message as it is shown: without folded reasoning, unless it is all.

        Raises:
            KeyError: there is no such message.
        """
        self._apply_waiting()
        return self._column.views[self._indices[message_id]].shown_text()

    def code_blocks(self, message_id: str) -> tuple[str, ...]:
        """Return what is in the fenced code blocks of a message as it is shown, from the top.

        Raises:
            KeyError: there is no such message.
        """
        self._apply_waiting()
        return self._column.views[self._indices[message_id]].code_blocks()

    # The message mode

    @property
    def cursor_id(self) -> str | None:
        """The id of the message that keys are for; `None` outside the message mode."""
        return self._cursor or None

    def enter_message_mode(self, message_id: str | None = None) -> bool:
        """Let keys be for one message, by default the last, and take the focus.

        In the message mode already, go to another message. Returns whether there is such a message.
        """
        self._apply_waiting()
        if message_id is None and self._column.views:
            message_id = self._column.views[-1].entry.id
        if message_id not in self._indices:
            return False
        self._move_cursor(self._indices[message_id])
        self.focus(scroll_visible=False)
        return True

    def leave_message_mode(self) -> None:
        """Let keys be for the log again. The focus stays where it is."""
        if self._cursor:
            self._set_cursor("")
            self._set_following(self._at_end, unseen=self._unseen)

    def _move_cursor(self, index: int) -> None:
        """Go to a message, and bring it into view where it is not all there."""
        self._set_cursor(self._column.views[index].entry.id)
        self._set_following(False, unseen=self._unseen)
        if self._window and (found := view_of(self._column, index, self._top, self._window.height)):
            self._show(Anchor(*found))

    def _set_cursor(self, message_id: str) -> None:
        if message_id == self._cursor:
            return
        for id_, selected in ((self._cursor, False), (message_id, True)):
            if id_ in self._indices:
                self._column.views[self._indices[id_]].set_selected(selected)
        self._cursor = message_id
        self.refresh()
        self.post_message(self.CursorMoved(message_id or None))

    def _keep_cursor(self, index: int | None) -> None:
        """After messages were dropped, go to what is where the cursor's message was."""
        if not self._cursor:
            return
        if self._cursor in self._indices:
            self._see_cursor()
        elif self._column.views:
            last = len(self._column.views) - 1
            self._move_cursor(last if index is None else min(max(0, index), last))
        else:
            self.action_message_leave()

    def _see_cursor(self) -> None:
        """Bring the cursor's message back into view where nothing of it is left there."""
        index = self._indices[self._cursor]
        if self._window and nearest_seen(self._column, index, self._top, self._window.height) != index:
            self._move_cursor(index)

    @property
    def _may_follow(self) -> bool:
        return not self._cursor

    def _resized(self) -> None:
        if self._cursor:
            self._see_cursor()

    def _message_clicked(self, message: int) -> None:
        if self._cursor:
            self._set_cursor(self._column.views[message].entry.id)

    def _scrolled(self) -> None:
        """After scrolling, never let keys be for a message that is not seen."""
        if self._cursor and self._window:
            index = self._indices[self._cursor]
            index = nearest_seen(self._column, index, self._top, self._window.height)
            self._set_cursor(self._column.views[index].entry.id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tell whether an action can be run: some are for the message mode, some for outside it."""
        if action in _AMONG_MESSAGES:
            return bool(self._cursor)
        if action in _SCROLLING:
            return not self._cursor
        return super().check_action(action, parameters)

    def action_message_step(self, direction: int) -> None:
        """Go to the message above (-1) or below (1), through all of one that is longer than the window."""
        self._apply_waiting()
        index = self._indices[self._cursor]
        to = step(self._column, index, direction, self._top, self._window.height)
        if to.rows:
            self._scroll_rows(to.rows)
        elif to.message != index:
            self._move_cursor(to.message)
        else:
            self._see_cursor()

    def action_message_first(self) -> None:
        """Go to the first message."""
        self._move_cursor(0)

    def action_message_last(self) -> None:
        """Go to the last message."""
        self._apply_waiting()
        self._move_cursor(len(self._column.views) - 1)

    def action_message_page(self, direction: int) -> None:
        """Scroll up (-1) or down (1) by a page, and go along where the message is left behind."""
        if direction < 0:
            self.action_page_up()
        else:
            self.action_page_down()

    def action_message_key(self, action: str) -> None:
        """Tell the screen what is to be done with the message."""
        self.post_message(self.MessageKeyPressed(self._cursor, action))

    def action_message_leave(self) -> None:
        """End the message mode."""
        self.leave_message_mode()
        self.post_message(self.MessageModeLeft())

    def on_key(self, event: Key) -> None:
        """End the message mode with Esc, which elsewhere stops a reply."""
        if self._cursor and event.key == "escape":
            event.stop()
            event.prevent_default()
            self.action_message_leave()

    def on_blur(self, event: Blur) -> None:
        """End the message mode when the person goes to another widget, but not to another window."""
        if self.app.app_focus:
            self.leave_message_mode()

"""All saved chats: found by typing, opened, and kept in order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input
from textual.worker import get_current_worker

from easy_llama_tui.chats.chat_index import ChatIndex, ChatSummary
from easy_llama_tui.chats.chat_search import Found, search
from easy_llama_tui.chats.conversation import utc_now
from easy_llama_tui.chats.session import Session, SessionError
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.chats.session_trash import DeletedChat
from easy_llama_tui.chats.transcript import Transcript
from easy_llama_tui.preferences.panel_keys import CHATS_KEYS
from easy_llama_tui.screens.chat_actions import ChatActions, session_with_defaults
from easy_llama_tui.screens.chat_rows import row_of, with_found, with_title_match
from easy_llama_tui.screens.file_thread import FileThread
from easy_llama_tui.screens.pick_screen import PickScreen
from easy_llama_tui.text.display_text import one_line
from easy_llama_tui.widgets.chat_list import ChatList, ChatRow
from easy_llama_tui.widgets.key_hints import KeyHint, KeyHints, keys_of
from easy_llama_tui.widgets.line_input import LineInput

if TYPE_CHECKING:
    from textual.timer import Timer

_TYPING_SECONDS: Final = 0.08
"""How long nothing is typed before texts are searched."""
_BATCH_SECONDS: Final = 0.05
"""How long found chats are gathered before they are shown."""

_HINTS: Final = (
    KeyHint("Enter", "open", "choose"),
    KeyHint("{chats-rename}", "rename", "rename"),
    KeyHint("{chats-duplicate}", "duplicate", "duplicate"),
    KeyHint("{chats-export}", "export", "export"),
    KeyHint("{chats-import}", "import", "import"),
    KeyHint("{chats-delete}", "delete", "delete"),
)
_UNDO: Final = KeyHint("{chats-undo}", "undo delete", "undo_delete")
_CLOSE: Final = KeyHint("{pick-close}", "back", "close")


@dataclass
class _Searched(Message):
    """The search for a text went on, or came to its end."""

    query: str
    found: list[Found]
    is_done: bool


class ChatsScreen(PickScreen[str]):
    """Lists the saved chats, and ends with the id of the one to open, or with None.

    Files are read and changed in a thread, one after the other in the order of the keys; what was begun
    is done even where the screen is closed meanwhile.
    """

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in CHATS_KEYS]
    DEFAULT_CSS = """
    ChatsScreen #chats {
        width: 100%;
        max-width: 132;
        height: 100%;
        border: round $primary;
        background: $surface;
        color: $foreground;
    }
    """

    def __init__(
        self,
        store: SessionStore,
        index: ChatIndex,
        open_chat_id: str,
        rename_open: Callable[[str], None],
        folder: Path | None = None,
        *,
        snapshot_open: Callable[[], Session] | None = None,
        import_as: Callable[[Transcript], Session] = session_with_defaults,
        deleted: list[DeletedChat] | None = None,
        on_deleted: Callable[[str], object] = str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Make the screen.

        Args:
            store: The folder of chats.
            index: Lists the chats of `store`.
            open_chat_id: The chat that is open, which cannot be deleted.
            rename_open: Gives the open chat a title.
            folder: What paths of exports and imports are relative to; None for the current folder.
            snapshot_open: Returns the open chat, which may be newer than its file.
            import_as: Makes an imported transcript a chat.
            deleted: What Ctrl+Z brings back, the last first. The same list, given again, makes deletions
                of an earlier visit undoable.
            on_deleted: Is told the id of each chat that was deleted, from a thread.
            now: The clock (aware).
        """
        super().__init__()
        self._index = index
        self._open_chat_id = open_chat_id
        self._deleted = deleted if deleted is not None else []
        self._now = now
        self._files = FileThread(self)
        self._actions = ChatActions(
            self,
            store,
            self._files,
            folder or Path.cwd(),
            rename_open=rename_open,
            snapshot_open=snapshot_open,
            import_as=import_as,
            deleted=self._deleted,
            on_deleted=on_deleted,
        )
        self._chats: dict[str, ChatSummary] | None = None
        self._rows: dict[str, ChatRow] = {}
        self._open_title = ""
        self._found: dict[str, Found] = {}
        self._is_searching = False
        self._typing: Timer | None = None
        self.found_message_id: str | None = None
        """Which message of the chosen chat holds what was searched for; None where nothing was."""

    def compose(self) -> ComposeResult:
        """Show the field, the list and the keys."""
        with Vertical(id="chats") as box:
            box.border_title = "Chats"
            yield LineInput(placeholder="Type to search titles and texts", id="chats-query")
            yield ChatList(id="chats-list")
            yield KeyHints(id="chats-keys")

    def on_mount(self) -> None:
        """Have the chats listed."""
        self.show_keys()
        self.chat_list.say("Reading the chats …")
        self.list_again(self._open_chat_id)

    def on_unmount(self) -> None:
        """Let what was begun come to its end."""
        self._files.close()

    @property
    def chat_list(self) -> ChatList:
        """The list."""
        return self.query_one(ChatList)

    # The list

    def list_again(self, highlighted: str = "") -> None:
        """Read the list anew, and highlight a chat, or else the one that is highlighted."""
        self._files.do(self._index.chats, partial(self._show_listed, highlighted), self._cannot_list)

    def _cannot_list(self, error: SessionError) -> None:
        self._files.warn(error)
        if self._files.has_screen:
            self.chat_list.say("The chats cannot be listed.")

    def _show_listed(self, highlighted: str, chats: Sequence[ChatSummary]) -> None:
        now = self._now().astimezone()
        is_first = self._chats is None
        self._chats = {chat.id: chat for chat in chats}
        self._rows = {chat.id: row_of(chat, now, open_chat_id=self._open_chat_id) for chat in chats}
        self._set_open_title()
        current = self.chat_list.highlighted_chat
        if not is_first and highlighted in self._rows and not self._is_shown(highlighted):
            self.query_one(Input).clear()  # which shows all
            self._found = {}
        self._refill(highlighted or (current.id if current else ""))
        self._search_soon()

    def _is_shown(self, chat_id: str) -> bool:
        query = self.query_text
        return not query or chat_id in self._found or bool(with_title_match(self._rows[chat_id], query))

    def title_of(self, chat_id: str) -> str:
        """Return the title of a chat that is listed, as it is in its file."""
        if chat_id == self._open_chat_id and self._open_title:
            return self._open_title
        return self._chats[chat_id].title if self._chats else ""

    def show_open_title(self, title: str) -> None:
        """Show the title that the open chat was given here; its file has it a little later."""
        self._open_title = title
        self._set_open_title()
        self._refill(self._open_chat_id)

    def _set_open_title(self) -> None:
        row = self._rows.get(self._open_chat_id)
        if self._open_title and row:
            self._rows[row.id] = replace(row, title=one_line(self._open_title))

    def hide_chat(self, chat_id: str) -> None:
        """Take a chat off the list before its file is gone, and highlight the next.

        So the key that deletes, pressed again at once, deletes the next one.
        """
        rows, place = self.chat_list.chat_rows, self.chat_list.place_of(chat_id) or 0
        below = rows[place + 1] if place + 1 < len(rows) else rows[place - 1]
        del self._rows[chat_id]
        self._refill(below.id)

    # Search

    @on(Input.Changed)
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        current = self.chat_list.highlighted_chat
        self._found = {}
        self._refill("" if self.query_text or current is None else current.id)
        self._search_soon()

    def _search_soon(self) -> None:
        """Search the texts once nothing is typed for a moment."""
        self.workers.cancel_group(self, "search")
        if self._typing is not None:
            self._typing.stop()
            self._typing = None
        self._is_searching = bool(self.query_text)
        if self._is_searching:
            self._typing = self.set_timer(_TYPING_SECONDS, self._search)
        self._show_count()

    def _search(self) -> None:
        if self._chats is None:
            return  # it begins when they are listed
        query = self.query_text
        shown = {row.id for row in self.chat_list.chat_rows}
        chats = [chat for chat in self._chats.values() if chat.id not in shown]
        work = partial(self._search_texts, query, chats)
        self.run_worker(work, thread=True, group="search", exclusive=True, exit_on_error=True)

    def _search_texts(self, query: str, chats: list[ChatSummary]) -> None:
        """Search chats one by one, in a thread, and post what was found from time to time."""
        worker = get_current_worker()
        found: list[Found] = []
        last = monotonic()
        for chat in chats:
            if worker.is_cancelled:
                return
            found += search(query, (chat,))
            if found and monotonic() - last > _BATCH_SECONDS:
                self.post_message(_Searched(query, found, False))
                found, last = [], monotonic()
        self.post_message(_Searched(query, found, True))

    @on(_Searched)
    def _add_found(self, message: _Searched) -> None:
        message.stop()
        if message.query != self.query_text or not self._is_searching:
            return
        self._is_searching = not message.is_done
        new = [one for one in message.found if one.chat.id in self._rows and one.chat.id not in self._found]
        self._found.update((one.chat.id, one) for one in new)
        listed = self.chat_list
        listed.add_chats(
            [with_found(self._rows[one.chat.id], one) for one in new if listed.place_of(one.chat.id) is None]
        )
        self._show_count()

    # What is shown

    def _refill(self, highlighted: str) -> None:
        """Show the chats whose titles hold what was typed, then those whose texts are known to."""
        query = self.query_text
        rows = list(self._rows.values())
        if query:
            by_title = [row for one in rows if (row := with_title_match(one, query))]
            there = {row.id for row in by_title}
            by_text = [
                with_found(self._rows[id_], found)
                for id_, found in self._found.items()
                if id_ in self._rows and id_ not in there
            ]
            rows = by_title + by_text
        self.chat_list.show_chats(rows, highlighted=highlighted)
        self._show_count()

    def _show_count(self) -> None:
        count, query = len(self.chat_list.chat_rows), self.query_text
        if self._chats is None:
            return
        if not query:
            words = "1 chat" if count == 1 else f"{count:,} chats"
            hint = "No chats yet. What you write is saved by itself."
        elif self._is_searching:
            words = hint = f"{count:,} found · searching …" if count else "searching …"
        else:
            words, hint = f"{count:,} found", "Nothing found in titles and texts."
        self.query_one("#chats").border_subtitle = words
        self.chat_list.say(hint)

    def show_keys(self) -> None:
        """Show what can be done now."""
        hints = (*_HINTS, _UNDO, _CLOSE) if self._deleted else (*_HINTS, _CLOSE)
        said = keys_of(self).said
        self.query_one(KeyHints).show_hints([hint._replace(key=said(hint.key)) for hint in hints])

    # What the person does

    def choose(self) -> None:
        """End with the highlighted chat; of one that is damaged, a copy of what can be read is offered."""
        row = self.chat_list.highlighted_chat
        if row is None:
            return
        if row.is_damaged:
            self._actions.recover(row, (self._chats and self._chats[row.id].problem) or "")
            return
        found = self._found.get(row.id)
        self.found_message_id = found.message_id if found else None
        self.dismiss(None if row.is_open else row.id)

    def action_choose(self) -> None:
        """Open the highlighted chat."""
        self.choose()

    def action_rename(self) -> None:
        """Ask for a title of the highlighted chat."""
        self._actions.rename()

    def action_duplicate(self) -> None:
        """Make a copy of the highlighted chat."""
        self._actions.duplicate()

    def action_delete(self) -> None:
        """Delete the highlighted chat, which Ctrl+Z undoes; the open one stays."""
        self._actions.delete()

    @on(ChatList.DeleteRequested)
    def _delete_asked(self, event: ChatList.DeleteRequested) -> None:
        event.stop()
        self._actions.delete()

    def action_undo_delete(self) -> None:
        """Bring back the chat that was deleted last."""
        self._actions.undo_delete()

    def action_export(self) -> None:
        """Ask where the highlighted chat is exported to."""
        self._actions.export()

    def action_import(self) -> None:
        """Ask for a file with a chat."""
        self._actions.import_file()

    def undamaged_chat(self, done: str) -> ChatRow | None:
        """Return the highlighted chat; where it cannot be read, say so and return None."""
        row = self.chat_list.highlighted_chat
        if row is None or not row.is_damaged or self._chats is None:
            return row
        problem = self._chats[row.id].problem or ""
        told = f"This chat cannot be {done}. {one_line(problem)}"
        self.notify(told, severity="warning", timeout=10, markup=False)
        return None

    @on(ChatList.RowMoved)
    def _ignore_move(self, event: ChatList.RowMoved) -> None:
        event.stop()

    def on_key(self, event: events.Key) -> None:
        """Write into the field whatever has the focus."""
        field = self.query_one(Input)
        if self.focused is not field and event.is_printable and event.character:
            event.stop()
            field.focus()
            field.insert_text_at_cursor(event.character)

    @on(KeyHints.Chosen)
    async def _do_clicked(self, event: KeyHints.Chosen) -> None:
        event.stop()
        await self.run_action(event.action)

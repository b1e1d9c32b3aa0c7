"""What can be done with a saved chat, beside opening it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from easy_llama_tui.chats.chat_exchange import export_chat
from easy_llama_tui.chats.chat_import import transcript_in
from easy_llama_tui.chats.session import ModelReference, SamplerChoice, Session, SessionError, title_from
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.chats.session_trash import DeletedChat
from easy_llama_tui.chats.transcript import Transcript, session_from, shown_transcript
from easy_llama_tui.drafts.path_suggester import PathSuggester, path_from
from easy_llama_tui.replies.engine import OWN_FORMAT
from easy_llama_tui.screens.export_screen import Export, ExportScreen
from easy_llama_tui.screens.file_thread import FileThread
from easy_llama_tui.screens.name_screen import NameScreen
from easy_llama_tui.screens.recovery_screen import offer_recovery
from easy_llama_tui.text.display_text import one_line
from easy_llama_tui.widgets.chat_list import ChatRow
from easy_llama_tui.widgets.key_hints import keys_of

if TYPE_CHECKING:
    from easy_llama_tui.screens.chats_screen import ChatsScreen


def session_with_defaults(transcript: Transcript) -> Session:
    """Return a chat that goes on with whatever model is loaded, in that model's own format."""
    return session_from(
        transcript,
        model=ModelReference("", transcript.model_name),
        format=OWN_FORMAT,
        sampler=SamplerChoice("DefaultSampling"),
    )


class ChatActions:
    """Renames, duplicates, deletes, exports and imports chats, on behalf of the list of chats."""

    def __init__(
        self,
        screen: "ChatsScreen",
        store: SessionStore,
        files: FileThread,
        folder: Path,
        *,
        rename_open: Callable[[str], None],
        snapshot_open: Callable[[], Session] | None,
        import_as: Callable[[Transcript], Session],
        deleted: list[DeletedChat],
        on_deleted: Callable[[str], object],
    ) -> None:
        """Act for `screen`; the other arguments are those of `ChatsScreen`."""
        self._screen = screen
        self._store = store
        self._files = files
        self._folder = folder
        self._rename_open = rename_open
        self._snapshot_open = snapshot_open
        self._import_as = import_as
        self._deleted = deleted
        self._on_deleted = on_deleted

    def rename(self) -> None:
        """Ask for a title of the highlighted chat."""
        row = self._screen.undamaged_chat("renamed")
        if row is None:
            return
        ask = NameScreen(
            "Rename the chat",
            self._screen.title_of(row.id),
            accept="rename",
            check=lambda text: "" if title_from(text) else "A title needs something that can be seen.",
        )
        self._screen.app.push_screen(ask, partial(self._rename, row))

    def _rename(self, row: ChatRow, title: str | None) -> None:
        if title is None:
            return
        if row.is_open:
            self._rename_open(title)
            self._screen.show_open_title(title_from(title))
        else:
            rename = partial(self._store.rename, row.id, title)
            self._files.do(rename, lambda _: self._screen.list_again(row.id), self._warn_and_list)

    def duplicate(self) -> None:
        """Make a copy of the highlighted chat."""
        row = self._screen.undamaged_chat("duplicated")
        if row is None:
            return
        load = self._loader(row)
        self._files.do(lambda: self._store.duplicate(load()), self._say_duplicated, self._warn_and_list)

    def _say_duplicated(self, copy: Session) -> None:
        self._screen.list_again(copy.id)
        self._screen.notify(f"“{one_line(copy.title)}” was made.", markup=False)

    def _loader(self, row: ChatRow) -> Callable[[], Session]:
        """Return what reads a chat, in a thread; the open one as it is now."""
        if row.is_open and self._snapshot_open is not None:
            snapshot = self._snapshot_open()
            return lambda: snapshot
        return partial(self._store.load, row.id)

    def recover(self, row: ChatRow, problem: str) -> None:
        """Offer a copy of what can be read of a damaged chat, and open that."""

        def made(copy: Session) -> None:
            self._screen.dismiss(copy.id)

        offer_recovery(self._screen.app, self._files, self._store, row.id, problem, made)

    def delete(self) -> None:
        """Delete the highlighted chat, which Ctrl+Z undoes; the open one stays."""
        row = self._screen.chat_list.highlighted_chat
        if row is None:
            return
        if row.is_open:
            self._screen.notify("This chat is open; begin another first.", severity="warning", markup=False)
            return
        self._screen.hide_chat(row.id)

        def delete() -> None:
            self._deleted.append(self._store.delete(row.id))
            # Here, and not when the list is told: it may be closed by then.
            self._on_deleted(row.id)

        self._files.do(delete, lambda _: self._say_deleted(row), self._warn_and_list)

    def _say_deleted(self, row: ChatRow) -> None:
        self._screen.show_keys()
        self._screen.list_again()
        back = keys_of(self._screen).said("{chats-undo} brings it back.")
        self._screen.notify(f"“{row.title}” was deleted. {back}", markup=False)

    def undo_delete(self) -> None:
        """Bring back the chat that was deleted last."""

        def restore() -> str:
            # In the thread, where all deletions before are done.
            if not self._deleted:
                return ""
            deleted = self._deleted.pop()
            self._store.restore(deleted)
            return deleted.id

        self._files.do(restore, self._say_restored, self._warn_and_list)

    def _say_restored(self, chat_id: str) -> None:
        self._screen.show_keys()
        if chat_id:
            self._screen.list_again(chat_id)
            self._screen.notify("The chat is back.", markup=False)
        else:
            self._screen.notify("There is no deleted chat to bring back.", markup=False)

    def export(self) -> None:
        """Ask where the highlighted chat is exported to."""
        if row := self._screen.undamaged_chat("exported"):
            self._ask_export(row, self._loader(row))

    def _ask_export(
        self, row: ChatRow, load: Callable[[], Session], typed: str = "", problem: str = ""
    ) -> None:
        ask = ExportScreen(row.title, self._folder, typed=typed, problem=problem)
        self._screen.app.push_screen(ask, partial(self._export, row, load))

    def _export(self, row: ChatRow, load: Callable[[], Session], to: Export | None) -> None:
        if to is None:
            return

        def export() -> None:
            export_chat(shown_transcript(load()), to.path, replace=to.replace)

        def failed(error: SessionError) -> None:
            if self._files.has_screen and self._screen.is_current:
                self._ask_export(row, load, to.typed, str(error))
            else:
                self._files.warn(error)

        told = f"“{row.title}” was exported to {one_line(str(to.path))}."
        self._files.do(export, lambda _: self._screen.notify(told, markup=False), failed)

    def import_file(self) -> None:
        """Ask for a file with a chat."""
        self._ask_import()

    def _ask_import(self, typed: str = "", problem: str = "") -> None:
        ask = NameScreen(
            "Import a chat",
            typed,
            accept="import",
            placeholder="chat.md",
            note="A chat that was exported as Markdown, JSON or plain text; JSON may be of any program "
            "that keeps a list of messages as OpenAI does.",
            problem=problem,
            suggester=PathSuggester(self._folder),
        )
        self._screen.app.push_screen(ask, self._import)

    def _import(self, typed: str | None) -> None:
        if typed is None:
            return

        def failed(error: SessionError) -> None:
            if self._files.has_screen and self._screen.is_current:
                self._ask_import(typed, str(error))
            else:
                self._files.warn(error)

        path = path_from(typed, self._folder)
        self._files.do(partial(transcript_in, path), self._add_imported, failed)

    def _add_imported(self, transcript: Transcript) -> None:
        # On the UI thread, because the chat takes its choices from what is open.
        session = self._import_as(transcript)
        self._files.do(partial(self._store.save, session), lambda _: self._say_imported(session))

    def _say_imported(self, session: Session) -> None:
        self._screen.list_again(session.id)
        count = len(session.messages)
        length = "1 message" if count == 1 else f"{count:,} messages"
        self._screen.notify(f"“{one_line(session.title)}” was imported, {length}.", markup=False)

    def _warn_and_list(self, error: SessionError) -> None:
        self._files.warn(error)
        if self._files.has_screen:
            self._screen.list_again()

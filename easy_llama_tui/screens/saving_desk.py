"""The chat and its file: what keeps it from being saved is said until it is saved, also on the way out."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from easy_llama_tui.chats.session_files import reason_of
from easy_llama_tui.replies.messages import ChatSaved, SaveFailed, SaveNoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from easy_llama_tui.chats.session import Session, SessionError
    from easy_llama_tui.chats.session_writer import SessionWriter
    from easy_llama_tui.screens.chat_screen import ChatScreen
    from easy_llama_tui.screens.export_screen import Export
    from easy_llama_tui.screens.file_thread import FileThread
    from easy_llama_tui.widgets.standing_notice import StandingNotice

ONLY_READ = "{holder} has this chat open, so here it is only to be read. /duplicate goes on in a copy."
FLUSH_SECONDS = 5.0
"""How long leaving waits for the disk."""


class SavingDesk:
    """Watches over the saving of chats, and over who may write to the open one."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen
        self._failed: dict[str, SaveFailed] = {}
        self._notice: StandingNotice | None = None
        self._is_asking = False
        self._may_be_lost = False
        self._is_closed = False
        self.parting_words: list[str] = []
        """What to say once the terminal is given back."""

    def make_writer(self) -> SessionWriter:
        """Return the thread that saves chats, which tells the screen how that goes."""
        from easy_llama_tui.chats.session_writer import SessionWriter

        post, drafts = self._screen.post_message, self._screen.drafts

        def on_saved(session: Session) -> None:
            drafts.on_saved(session)
            post(ChatSaved(session.id))

        return SessionWriter(
            self._screen.store,
            lambda session, error: post(_failure(session, error)),
            on_saved,
            lambda notice: post(SaveNoted(notice)),
        )

    @cached_property
    def files(self) -> FileThread:
        """The thread that reads and writes other files than those of open chats."""
        from easy_llama_tui.screens.file_thread import FileThread

        return FileThread(self._screen)

    # What is told

    def failed(self, message: SaveFailed) -> None:
        """Say that a chat is not saved, until it is."""
        self._failed[message.chat_id] = message
        self.show()

    def saved(self, chat_id: str) -> None:
        """Say no longer that a chat is not saved."""
        if self._failed.pop(chat_id, None) is not None:
            self.show()
            if not self._failed:
                self._screen.notify("Everything is saved again.", markup=False)

    def show(self) -> None:
        """Show what is wrong with the open chat's file, and with those of chats that were left."""
        chat = self._screen.chat
        sentences: list[str] = []
        if chat.held_by:
            sentences.append(ONLY_READ.format(holder=_capital(chat.held_by)))
        own = self._failed.get(chat.id)
        others = len(self._failed) - (own is not None)
        if own is not None:
            sentences.append(f"{own.reason} /export writes it to another place.")
        elif others:
            sentences.append(next(iter(self._failed.values())).reason)
        if others and (own is not None or others > 1):
            more = others - (own is None)
            sentences.append(f"{more} more {'chat is' if more == 1 else 'chats are'} not saved either.")
        first = own or next(iter(self._failed.values()), None)
        self._screen.status_bar.problem = f"not saved: {first.cause}" if first else ""
        if self._notice is None and sentences:
            from easy_llama_tui.widgets.standing_notice import StandingNotice

            self._notice = StandingNotice(id="standing-notice")
            self._screen.query_one("#writing").mount(self._notice, before="#attached")
        if self._notice is not None:
            self._notice.say(*sentences)

    # A chat that another program has open

    def why_only_read(self) -> str:
        """Return why the open chat cannot be changed now; empty where it can.

        Where the other program has closed it meanwhile, its newest version is shown, to go on from there.
        """
        chat = self._screen.chat
        if not chat.held_by:
            return ""
        if self._screen.switch.reopen():
            return "The other program has closed this chat. This is how it left it: go on from here."
        return ONLY_READ.format(holder=_capital(chat.held_by))

    def duplicate(self) -> None:
        """Go on in a copy of the open chat, with all its alternatives."""
        screen = self._screen
        if not screen.chat.has_messages:
            screen.notify("There is nothing to duplicate yet.", markup=False)
        elif not screen.replies.after_turn(self.duplicate):
            # What is written to a chat that is only read is meant for the copy.
            screen.switch.show_new(screen.chat.duplicate(), "" if screen.chat.held_by else screen.prompt.text)
            screen.notify("This is the copy; the chat that it was made from is as it was.", markup=False)

    # Elsewhere

    def export(self, typed: str = "", problem: str = "") -> None:
        """Ask where the open chat is exported to."""
        from easy_llama_tui.screens.export_screen import ExportScreen

        screen = self._screen
        if not screen.chat.has_messages:
            screen.notify("There is nothing to export yet.", markup=False)
            return
        ask = ExportScreen(screen.chat.title, screen.settings.folder, typed=typed, problem=problem)
        screen.app.push_screen(ask, self._export)

    def _export(self, to: Export | None) -> None:
        if to is None:
            return
        session = self._screen.chat.snapshot()

        def export() -> None:
            from easy_llama_tui.chats.chat_exchange import export_chat
            from easy_llama_tui.chats.transcript import shown_transcript

            export_chat(shown_transcript(session), to.path, replace=to.replace)

        def told(_done: None) -> None:
            self._screen.notify(f"The chat was exported to {to.path}.", markup=False)

        self.files.do(export, told, lambda error: self.export(to.typed, str(error)))

    # On the way out

    def may_leave(self, leave: Callable[[], None]) -> bool:
        """Save all; where something cannot be saved, ask what to do, and `leave` once that is decided."""
        if self._is_asking:
            return False
        if self._is_closed or self._may_be_lost or self.save_all():
            return True
        self._ask(leave)
        return False

    def save_all(self) -> bool:
        """End what runs and save all, and return whether all is on the disk."""
        screen = self._screen
        if screen.turns.running is not None:
            screen.turns.afterwards = None
            screen.turns.stop()
            screen.replies.end_turn("interrupted", "", (), "")
        screen.save()
        return screen.writer.flush(timeout=FLUSH_SECONDS)

    def close(self) -> bool:
        """Save all for the last time, what cannot be saved in its place elsewhere; return whether it was."""
        screen = self._screen
        self._is_closed = True
        saved = self.save_all()
        if not saved and not self._may_be_lost:
            self._rescue(screen.writer.unsaved())
        screen.writer.close(timeout=1.0)
        if "files" in self.__dict__:
            self.files.close()
        return saved

    def _ask(self, leave: Callable[[], None]) -> None:
        from easy_llama_tui.screens.unsaved_screen import UnsavedScreen

        self._is_asking = True
        unsaved = self._screen.writer.unsaved()
        reasons = [failed.reason for failed in self._failed.values()]
        titles = [session.title for session in unsaved]

        def answered(answer: str | None) -> None:
            self._is_asking = False
            if answer == "elsewhere":
                self._ask_folder(leave)
            elif answer == "leave":
                self._leave_anyway(leave)
            elif answer == "again":
                if self.save_all():
                    leave()
                else:
                    self._ask(leave)

        self._screen.app.push_screen(UnsavedScreen(titles, reasons), answered)

    def _ask_folder(self, leave: Callable[[], None], typed: str = "", problem: str = "") -> None:
        from easy_llama_tui.drafts.path_suggester import PathSuggester, path_from
        from easy_llama_tui.screens.name_screen import NameScreen

        self._is_asking = True
        folder = self._screen.settings.folder

        def answered(typed: str | None) -> None:
            self._is_asking = False
            if typed is None:
                self._ask(leave)
                return
            place = path_from(typed, folder)
            try:
                self._write_to(place, self._screen.writer.unsaved())
            except OSError as error:
                self._ask_folder(leave, typed, f"It cannot be written to {place}: {reason_of(error)}.")
                return
            self._leave_anyway(leave)

        ask = NameScreen(
            "Save in another folder",
            typed or str(Path.home()),
            accept="save and leave",
            note="A folder that is there. ezllama-tui --resume FILE goes on from the file in it.",
            problem=problem,
            suggester=PathSuggester(folder),
        )
        self._screen.app.push_screen(ask, answered)

    def _leave_anyway(self, leave: Callable[[], None]) -> None:
        self._may_be_lost = True
        leave()

    def _rescue(self, sessions: tuple[Session, ...]) -> None:
        """Write chats to the first folder that takes them: nobody can be asked any more."""
        for folder in (Path.home(), Path(tempfile.gettempdir())):
            try:
                self._write_to(folder, sessions)
            except OSError:
                continue
            return
        self.parting_words.append("What was written last could not be saved anywhere.")

    def _write_to(self, folder: Path, sessions: tuple[Session, ...]) -> None:
        from easy_llama_tui.atomic_write import write_new
        from easy_llama_tui.chats.session import to_toml

        for session in sessions:
            name = self._screen.store.path_of(session).stem
            path, number = folder / f"{name}.toml", 1
            while path.exists():
                number += 1
                path = folder / f"{name}-{number}.toml"
            write_new(path, to_toml(session).encode("utf-8"))
            self.parting_words.append(f"“{session.title}” is in {path}; --resume {path} goes on with it.")


def _failure(session: Session, error: SessionError) -> SaveFailed:
    cause = error.__cause__
    short = reason_of(cause) if isinstance(cause, OSError) else error.what
    return SaveFailed(session.id, str(error), short)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

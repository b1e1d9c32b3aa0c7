"""What is written and not sent: kept on disk while one writes, and there again when the chat is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from easy_llama_tui.chats.conversation import ConversationError
from easy_llama_tui.drafts.draft import Draft, SentText
from easy_llama_tui.drafts.draft_store import DraftStore
from easy_llama_tui.drafts.draft_writer import DraftWriter
from easy_llama_tui.text.display_text import one_line

if TYPE_CHECKING:
    from textual.timer import Timer

    from easy_llama_tui.chats.chat import Chat
    from easy_llama_tui.chats.session import Session
    from easy_llama_tui.screens.chat_screen import ChatScreen
    from easy_llama_tui.widgets.prompt_input import Mode, PromptInput

SAVE_SECONDS: Final = 0.5
"""What was typed is saved at the latest so long afterwards."""

_FIRST_WORDS: Final = 40


class DraftDesk:
    """Keeps the unsent words of the open chat.

    What was sent stays in the draft until it is on disk with its chat, so that there is no moment at which
    it is nowhere. A chat that has no file shares one draft with all new chats of this program: it comes
    back wherever a chat is begun next.
    """

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen
        folder = screen.settings.drafts_folder
        self._store = DraftStore(folder) if folder is not None else None
        self._writer = DraftWriter(self._store, self._hear) if self._store is not None else None
        self._timer: Timer | None = None
        self._new_name = ""
        """What the draft of new chats is called."""

        self._new_draft = Draft()
        """What it is."""

        self._sent: list[SentText] = []
        self._edits: dict[str, str] = {}
        self._has_file = False
        """Whether the open chat was on disk when it was opened."""

        self._saved: Session | None = None
        """The last snapshot that is on disk."""

        self._seems_empty = False
        self._is_told = False
        self._is_open = False
        self._prompt: PromptInput | None = None
        """Where one writes, once a chat is open; it is read also when the screen is gone."""

    def open_chat(self, written_since: str = "") -> None:
        """Bring back what was written in the chat that is open now, and go on with what was meant for it."""
        screen, writer, store = self._screen, self._writer, self._store
        if writer is None or store is None:
            return
        chat = screen.chat
        self._is_open = True
        self._prompt = prompt = screen.prompt
        # What is written where it cannot be sent belongs to the next new chat.
        self._has_file = chat.was_saved and not chat.held_by
        if self._has_file:
            name = store.name_for(chat.place)
            draft = writer.unwritten(name) or store.read(name) or Draft()
            draft = draft.without_saved(self._is_in_chat)
        else:
            draft = self._draft_of_new_chats(store)
        draft = draft.with_lost_edits(self._has_message)
        self._sent.clear()
        self._edits = dict(draft.edits)
        if not draft.is_empty or prompt.has_text:
            prompt.restore(draft.text, cast("Mode", draft.mode), draft.cursor, draft.aside)
        if written_since:
            prompt.insert(written_since, prompt.document.end)
            prompt.move_cursor(prompt.document.end)
        if draft.opening:
            screen.replies.restore_opening(draft.opening)
        for message_id in draft.edits:
            words = one_line(chat.conversation.get(message_id).content)[:_FIRST_WORDS]
            screen.tell(f"Your edit of “{words}…” was not finished: {{message-edit}} there goes on with it.")

    def _draft_of_new_chats(self, store: DraftStore) -> Draft:
        if self._new_draft.is_empty and (found := store.take_over()) is not None:
            self._new_name, self._new_draft = found
        draft = self._new_draft
        return draft.without_saved(lambda sent: self._is_on_disk(draft.chat, sent))

    def leave_chat(self, written: str | None = None) -> str:
        """Save what is written in the chat that is open, before another one is.

        Args:
            written: what stood in the prompt when the other one was asked for; None is what does now.

        Returns:
            What was written since then: it is meant for the other one.
        """
        prompt, written_since = self._prompt, ""
        if prompt is None:
            return ""
        if self._sent and not self._has_file:
            # Else it would be offered again in the next new chat.
            self._screen.writer.flush(timeout=1.0)
        if written is not None and prompt.text.startswith(written):
            written_since = prompt.text[len(written) :]
        if written_since:
            prompt.restore(written or "", prompt.mode, prompt.cursor_location, "")
        self._seems_empty = True
        self._save()
        return written_since

    def save_now(self) -> None:
        """Save what is written, and wait a moment until that is on disk."""
        self._save()
        if self._writer is not None:
            self._writer.flush(timeout=1.0)

    def close(self) -> bool:
        """Save what is written, and return whether all is on disk."""
        if self._writer is None or self._store is None:
            return True
        self.leave_chat()
        done = self._writer.close(timeout=2.0)
        self._store.remove_old(self._is_known)
        self._store.close()
        return done

    def changed(self) -> None:
        """Have the draft saved soon."""
        if self._timer is None and self._writer is not None:
            self._timer = self._screen.set_timer(SAVE_SECONDS, self._save)

    def sent(self, message_id: str, text: str, mode: str = "message") -> None:
        """Keep what was sent as this message until it is on disk with the chat."""
        if self._writer is not None:
            self._sent.append(SentText(message_id, text, mode))
            self.changed()

    def on_saved(self, session: Session) -> None:
        """Note that a chat is on disk; in the thread that saves chats."""
        self._saved = session
        if self._sent or not self._has_file:
            self._screen.call_later(self.changed)

    def edit_of(self, message_id: str) -> str | None:
        """Return what had become of a message whose editing did not end; None where there is none."""
        return self._edits.get(message_id)

    def edit_changed(self, chat: Chat, message_id: str, text: str) -> None:
        """Keep what becomes of a message."""
        if chat is self._screen.chat:
            self._edits[message_id] = text
            self.changed()

    def edit_ended(self, chat: Chat, message_id: str) -> None:
        """Forget the edit of a message."""
        if chat is self._screen.chat and self._edits.pop(message_id, None) is not None:
            self.changed()

    def _save(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        writer, store, chat = self._writer, self._store, self._screen.chat
        if writer is None or store is None or self._prompt is None or not self._is_open:
            return
        draft = self._draft_now(self._prompt)
        if not draft.text and not self._seems_empty:
            # What was just sent has left the prompt, and is told with the next message.
            self._seems_empty = True
            self.changed()
            return
        self._seems_empty = not draft.text
        is_new = not self._has_file
        self._has_file = self._has_file or self._is_on_disk_now
        if self._has_file:
            writer.submit(store.name_for(chat.place), draft)
            draft = Draft()
        if is_new and not (draft.is_empty and self._new_draft.is_empty):
            self._new_draft = draft
            self._new_name = self._new_name or store.new_name()
            writer.submit(self._new_name, draft)

    def _draft_now(self, prompt: PromptInput) -> Draft:
        screen = self._screen
        text, aside = prompt.unsent
        if self._saved is not None and self._is_on_disk_now:
            saved = {message.id: message.content for message in self._saved.messages} if self._sent else {}
            self._sent = [sent for sent in self._sent if not _begins(saved.get(sent.message_id), sent)]
        # What was taken back is in the prompt again.
        self._sent = [sent for sent in self._sent if self._has_message(sent.message_id)]
        return Draft(
            text,
            prompt.mode,
            prompt.cursor_location,
            aside,
            screen.replies.opening,
            dict(self._edits),
            tuple(self._sent),
            screen.chat.place,
        )

    @property
    def _is_on_disk_now(self) -> bool:
        chat = self._screen.chat
        return self._saved is not None and self._saved.id == chat.id and not chat.held_by

    def _has_message(self, message_id: str) -> bool:
        try:
            self._screen.chat.conversation.get(message_id)
        except ConversationError:
            return False
        return True

    def _is_known(self, chat: str) -> bool:
        """Return whether a chat is there, or could come back: from the trash, or with a disk that is away."""
        from easy_llama_tui.chats.session_files import SUFFIX
        from easy_llama_tui.chats.session_store import TRASH_FOLDER

        folder, name = self._screen.store.folder, chat + SUFFIX
        if not folder.is_dir() or Path(name).name != name or (folder / name).exists():
            return True
        return any((place / name).exists() for place in (folder / TRASH_FOLDER).glob("*"))

    def _is_in_chat(self, sent: SentText) -> bool:
        if not self._has_message(sent.message_id):
            return False
        return _begins(self._screen.chat.conversation.get(sent.message_id).content, sent)

    def _is_on_disk(self, chat: str, sent: SentText) -> bool:
        """Return whether a text that was sent is in the file of a chat that was new then."""
        from easy_llama_tui.chats.session import SessionError

        try:
            session = self._screen.store.load(chat)
        except SessionError:
            return False
        return any(
            message.id == sent.message_id and _begins(message.content, sent) for message in session.messages
        )

    def _hear(self, error: OSError | None) -> None:
        self._screen.call_later(self._tell, error)

    def _tell(self, error: OSError | None) -> None:
        if error is None:
            self._is_told = False
        elif not self._is_told:
            self._is_told = True
            self._screen.notify(
                f"What you are writing could not be saved: {error.strerror or error}. It is tried again and "
                f"again; make room, or make {self._screen.settings.drafts_folder} writable.",
                severity="warning",
                timeout=10,
                markup=False,
            )


def _begins(content: str | None, sent: SentText) -> bool:
    from easy_llama_tui.chats.message import storable_text

    return content is not None and content.startswith(storable_text(sent.text))

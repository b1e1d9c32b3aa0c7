"""Changing the chat or the model, while the other stays."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from easy_llama.errors import EasyLlamaError
from easy_llama.model_file import read_summary
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.context_window import EVERYTHING
from easy_llama_tui.chats.conversation import ConversationError
from easy_llama_tui.chats.session import DamagedSessionError, ModelReference, Session, SessionError
from easy_llama_tui.chats.session_trash import DeletedChat
from easy_llama_tui.replies.engine import OWN_FORMAT, LoadOptions
from easy_llama_tui.replies.figures import Figures
from easy_llama_tui.replies.wording import ChatState

if TYPE_CHECKING:
    from easy_llama_tui.models.memory_check import MemoryDoubt
    from easy_llama_tui.screens.chat_screen import ChatScreen
    from easy_llama_tui.screens.memory_screen import LoadingWay


class ChatSwitch:
    """Opens chats and loads models."""

    def __init__(self, screen: "ChatScreen") -> None:
        self._screen = screen
        self._options: LoadOptions | None = None
        self._former: tuple[ModelReference, LoadOptions] | None = None
        self._is_first_load = True
        self._deleted_chats: list[DeletedChat] = []

    # Models

    def load_first_model(self, options: LoadOptions) -> None:
        """Load the model to begin with, unless the person was quicker and wants another or none."""
        if self._is_first_load:
            self.load_model(options)

    def stop_loading(self) -> None:
        """Load no model after all; the one that was there before comes back."""
        screen = self._screen
        # Before it was begun there is nothing to stop; and it may have come at this very moment.
        if self._options is not None and not screen.turns.stop_loading():
            return
        self._give_up_loading()

    def ask_about_memory(self, doubt: "MemoryDoubt") -> None:
        """Ask what to do about a model that may not fit the memory."""
        from easy_llama_tui.screens.memory_screen import MemoryScreen

        screen = self._screen
        options = self._options
        assert options is not None
        screen.turns.hold()

        def go_on(answer: "LoadingWay | None") -> None:
            if self._options is not options:
                return  # another model was chosen meanwhile
            if answer is None:
                if screen.turns.running is not None:
                    screen.replies.stop()
                self._give_up_loading()
                return
            length = doubt.shorter_context if answer == "shorter" else options.context_length
            self.load_model(replace(options, context_length=length, in_spite_of_memory=answer == "anyway"))
            if screen.turns.running is not None:
                screen.replies.ask_again()

        screen.app.push_screen(MemoryScreen(screen.chat.model.name, doubt), go_on)

    def _give_up_loading(self) -> None:
        screen = self._screen
        screen.turns.failed()
        self._is_first_load = False
        name = screen.chat.model.name
        if self._former is not None:
            screen.tell(f"{name} is not loaded. {self._former[0].name} comes back; {{stop}} stops that too.")
        else:
            screen.tell(f"{name} is not loaded. {{model}} loads it, or another one.")
        screen.view.show_state()
        screen.view.show_title()
        self._go_back()

    def load_model(self, options: LoadOptions) -> None:
        """Load a model in place of the one that is loaded."""
        self._options = options
        self._screen.turns.load(options)
        self._screen.view.show_state()
        self._screen.view.show_title()

    def choose_model(self) -> None:
        """Let the person choose another model."""
        from easy_llama_tui.screens.model_screen import ModelScreen

        screen = self._screen
        models = ModelScreen(
            screen.settings.config.model.folders,
            screen.settings.recent_models,
            Path(screen.chat.model.path) if screen.chat.model.path else None,
        )
        screen.app.push_screen(
            models,
            lambda path: self._change_model(path, is_sure=models.is_asked(path)) if path else None,
        )

    def on_model_ready(self) -> None:
        """Note that the model can be used."""
        self._is_first_load = False
        if self._options is not None:
            self._former = (self._screen.chat.model, self._options)
            self._screen.post_message(self._screen.ModelUsed(self._options.path))

    def on_model_failed(self, reason: str) -> None:
        """Go back to the model that was there before, or tell that there is none."""
        screen = self._screen
        is_fatal = self._is_first_load and not screen.chat.has_messages
        self._is_first_load = False
        screen.post_message(screen.EngineFailed(reason, is_fatal))
        self._go_back()

    def _go_back(self) -> None:
        """Load the model that was there before, where there was one."""
        screen = self._screen
        former, self._former = self._former, None
        if former is not None:
            screen.chat.model, options = former
            self.load_model(options)
            screen.view.refresh_entries()
            screen.chat_changed()

    def _change_model(self, path: Path, *, is_sure: bool) -> None:
        """Load another model; where the person `is_sure`, also one that may not fit the memory."""
        screen = self._screen
        waits_for_model = screen.turns.running is not None and screen.turns.state is ChatState.LOADING
        if not waits_for_model and screen.replies.after_turn(
            lambda: self._change_model(path, is_sure=is_sure)
        ):
            return
        try:
            summary = read_summary(path)
        except (EasyLlamaError, OSError) as error:
            screen.notify(str(error), severity="error", timeout=10, markup=False)
            return
        self._is_first_load = False
        screen.chat.model = ModelReference(str(path), summary.display_name)
        options = self._options or screen.settings.load_options or LoadOptions(path)
        self.load_model(replace(options, path=path, in_spite_of_memory=is_sure))
        if waits_for_model:
            screen.replies.ask_again()
        screen.view.refresh_entries()
        screen.chat_changed()

    # Chats

    def new_chat(self, written: str | None = None) -> None:
        """Leave this chat, which is saved, and begin another.

        Args:
            written: what stood in the prompt when that was asked for, where it had to wait.
        """
        written = self._screen.prompt.text if written is None else written
        if not self._screen.replies.after_turn(lambda: self.new_chat(written)):
            self._show(self._screen.settings.begin_chat(), written)

    def show_chats(self) -> None:
        """Let the person choose among all chats."""
        from easy_llama_tui.chats.chat_index import ChatIndex
        from easy_llama_tui.screens.chats_screen import ChatsScreen

        screen = self._screen
        screen.save()
        screen.writer.flush(timeout=1.0)
        chats = ChatsScreen(
            screen.store,
            ChatIndex(screen.store, screen.settings.index_file),
            "" if screen.chat.held_by else screen.chat.id,  # what is only read is opened anew from there
            self._rename,
            screen.settings.folder,
            snapshot_open=screen.chat.snapshot,
            deleted=self._deleted_chats,
            on_deleted=screen.worker.forget_chat,
        )

        def close(chosen: str | None) -> None:
            if chosen:
                self._open_chat(chosen, chats.found_message_id)
            elif chats.found_message_id:
                self._show_message(chats.found_message_id)

        screen.app.push_screen(chats, close)

    def _open_chat(self, chosen: str, message_id: str | None, written: str | None = None) -> None:
        screen = self._screen
        written = screen.prompt.text if written is None else written
        if screen.replies.after_turn(lambda: self._open_chat(chosen, message_id, written)):
            return
        try:
            chat = self._opened(chosen)
        except DamagedSessionError as error:
            self._offer_recovery(chosen, str(error))
            return
        except SessionError as error:
            screen.notify(str(error), severity="error", timeout=10, markup=False)
            return
        if not screen.settings.catalog.knows(chat.format):
            screen.notify(
                f"The chat's format {chat.format!r} is not known: the model's own is used. "
                f"{screen.settings.config.keys.said('{format} lists others.')}",
                severity="warning",
                timeout=10,
                markup=False,
            )
            chat.format = OWN_FORMAT
        self._show(chat, written)
        if message_id:
            self._show_message(message_id)

    def _opened(self, chosen: str) -> Chat:
        """Return a saved chat, to go on with or only to be read; what is not on the disk yet is newer."""
        store, writer = self._screen.store, self._screen.writer
        path = store.find(chosen)
        writer.come_back(path)
        newest = next((session for session in writer.unsaved() if store.path_of(session) == path), None)
        if newest is not None:
            return Chat.from_session(newest)
        try:
            opened = store.open(chosen)
            chat = Chat.from_session(opened.session)
        except SessionError:
            writer.leave(path)
            raise
        chat.held_by = str(opened.holder) if opened.holder else ""
        return chat

    def _offer_recovery(self, chosen: str, problem: str) -> None:
        from easy_llama_tui.screens.recovery_screen import offer_recovery

        def made(copy: Session) -> None:
            self._open_chat(copy.id, None)

        screen = self._screen
        offer_recovery(screen.app, screen.saving.files, screen.store, chosen, problem, made)

    def reopen(self) -> bool:
        """Open the chat that is only read again, where its holder has closed it; return whether it had."""
        screen = self._screen
        try:
            chat = self._opened(str(screen.store.path_of(screen.chat.snapshot())))
        except SessionError:
            return False
        if not chat.held_by:
            self._show(chat, written="")  # what stands in the prompt is meant for it
        return not chat.held_by

    def show_new(self, chat: Chat, written: str) -> None:
        """Show a chat that was not there before, and save it; `written` is what stays with the one before."""
        self._show(chat, written)
        self._screen.save()

    def _show_message(self, message_id: str) -> None:
        """Lead to a message that was found, wherever in the tree it is."""
        screen = self._screen
        try:
            if message_id not in {message.id for message in screen.chat.conversation.path()}:
                screen.chat.conversation.show(message_id)
                screen.view.show_path()
        except ConversationError:
            return
        screen.chat_log.enter_message_mode(message_id)

    def _show(self, chat: Chat, written: str) -> None:
        screen = self._screen
        screen.save()
        written_since = screen.drafts.leave_chat(written)
        if not screen.chat.held_by and screen.chat.was_saved:
            screen.writer.leave(screen.store.path_of(screen.chat.snapshot()))
        before, screen.chat = screen.chat.model, chat
        screen.worker.open_chat(chat.id)
        screen.turns.figures = Figures()
        screen.turns.window = EVERYTHING
        screen.turns.has_room = True
        screen.replies.forget()
        screen.message_actions.forget()
        screen.desk.forget()
        if screen.turns.state is not ChatState.NO_MODEL:
            # The model that is loaded goes on with any chat; F3 brings another.
            chat.model = before
        screen.drafts.open_chat(written_since)
        screen.view.show_chat()
        screen.prompt.focus()
        screen.desk.show_chat()
        screen.desk.look()

    def _rename(self, title: str) -> None:
        self._screen.chat.rename(title)
        self._screen.chat_changed()

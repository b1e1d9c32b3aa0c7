"""Changing the chat or the model, while the other stays."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from easy_llama.errors import EasyLlamaError
from easy_llama.model_file import read_summary
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.context_window import EVERYTHING
from easy_llama_tui.chats.conversation import ConversationError
from easy_llama_tui.chats.session import ModelReference, SessionError
from easy_llama_tui.chats.session_trash import DeletedChat
from easy_llama_tui.replies.engine import OWN_FORMAT, LoadOptions
from easy_llama_tui.replies.figures import Figures
from easy_llama_tui.replies.wording import ChatState

if TYPE_CHECKING:
    from easy_llama_tui.screens.chat_screen import ChatScreen


class ChatSwitch:
    """Opens chats and loads models."""

    def __init__(self, screen: "ChatScreen") -> None:
        self._screen = screen
        self._options: LoadOptions | None = None
        self._former: tuple[ModelReference, LoadOptions] | None = None
        self._is_first_load = True
        self._deleted_chats: list[DeletedChat] = []

    # Models

    def load_model(self, options: LoadOptions) -> None:
        """Load a model in place of the one that is loaded."""
        self._options = options
        self._screen.turns.load(options)
        self._screen.show_state()
        self._screen.show_title()

    def choose_model(self) -> None:
        """Let the person choose another model."""
        from easy_llama_tui.screens.model_screen import ModelScreen

        screen = self._screen
        screen.app.push_screen(
            ModelScreen(
                screen.settings.config.model.folders,
                screen.settings.recent_models,
                Path(screen.chat.model.path) if screen.chat.model.path else None,
            ),
            lambda path: self._change_model(path) if path else None,
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
        former, self._former = self._former, None
        if former is not None:
            screen.chat.model, options = former
            self.load_model(options)
            screen.refresh_entries()
            screen.chat_changed()

    def _change_model(self, path: Path) -> None:
        screen = self._screen
        waits_for_model = screen.turns.running is not None and screen.turns.state is ChatState.LOADING
        if not waits_for_model and screen.replies.after_turn(lambda: self._change_model(path)):
            return
        try:
            summary = read_summary(path)
        except (EasyLlamaError, OSError) as error:
            screen.notify(str(error), severity="error", timeout=10, markup=False)
            return
        self._is_first_load = False
        screen.chat.model = ModelReference(str(path), summary.display_name)
        options = self._options or screen.settings.load_options or LoadOptions(path)
        self.load_model(replace(options, path=path))
        if waits_for_model:
            screen.replies.ask_again()
        screen.refresh_entries()
        screen.chat_changed()

    # Chats

    def new_chat(self) -> None:
        """Leave this chat, which is saved, and begin another."""
        if not self._screen.replies.after_turn(self.new_chat):
            self._show(self._screen.settings.begin_chat())

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
            screen.chat.id,
            self._rename,
            screen.settings.folder,
            snapshot_open=screen.chat.snapshot,
            deleted=self._deleted_chats,
        )

        def close(chosen: str | None) -> None:
            if chosen:
                self._open_chat(chosen, chats.found_message_id)
            elif chats.found_message_id:
                self._show_message(chats.found_message_id)

        screen.app.push_screen(chats, close)

    def _open_chat(self, chosen: str, message_id: str | None) -> None:
        screen = self._screen
        if screen.replies.after_turn(lambda: self._open_chat(chosen, message_id)):
            return
        try:
            chat = Chat.from_session(screen.store.load(chosen))
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
        self._show(chat)
        if message_id:
            self._show_message(message_id)

    def _show_message(self, message_id: str) -> None:
        """Lead to a message that was found, wherever in the tree it is."""
        screen = self._screen
        try:
            if message_id not in {message.id for message in screen.chat.conversation.path()}:
                screen.chat.conversation.show(message_id)
                screen.show_path()
        except ConversationError:
            return
        screen.chat_log.enter_message_mode(message_id)

    def _show(self, chat: Chat) -> None:
        screen = self._screen
        screen.save()
        before, screen.chat = screen.chat.model, chat
        screen.turns.figures = Figures()
        screen.turns.window = EVERYTHING
        screen.turns.has_room = True
        screen.replies.forget()
        screen.message_actions.forget()
        screen.desk.forget()
        if screen.turns.state is not ChatState.NO_MODEL:
            # The model that is loaded goes on with any chat; F3 brings another.
            chat.model = before
        screen.show_chat()
        screen.prompt.focus()
        screen.desk.show_chat()
        screen.desk.look()

    def _rename(self, title: str) -> None:
        self._screen.chat.rename(title)
        self._screen.chat_changed()

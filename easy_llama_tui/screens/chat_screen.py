"""The chat: what the person does becomes turns, and what the engine does becomes text."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message as TextualMessage
from textual.screen import Screen
from textual.widgets import Label

from easy_llama.model_file import split_file_name
from easy_llama_tui.chat import Chat
from easy_llama_tui.conversation import Finish, Message
from easy_llama_tui.engine import OWN_FORMAT, ChatEngine, LoadedModel, ReplyRequest
from easy_llama_tui.engine_worker import EngineWorker
from easy_llama_tui.keymap import CHAT_KEYS
from easy_llama_tui.messages import (
    ChatSaved,
    Figures,
    LoadProgress,
    ModelFailed,
    ModelReady,
    PromptRead,
    ReplyEnded,
    ReplyText,
    SaveFailed,
)
from easy_llama_tui.screens.help_screen import HelpScreen
from easy_llama_tui.session_store import SessionStore, SessionWriter
from easy_llama_tui.widgets.chat_log import ChatLog
from easy_llama_tui.widgets.message_view import ChatEntry
from easy_llama_tui.widgets.prompt_input import PromptInput
from easy_llama_tui.widgets.status_bar import StatusBar
from easy_llama_tui.widgets.title_bar import TitleBar
from easy_llama_tui.wording import ChatState, activity, ending

AUTOSAVE_SECONDS = 2.0
QUIT_SECONDS = 3.0
"""How long a first Ctrl+C waits for the second."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """The reply that is under way."""

    request_id: int
    reply_id: str


class ChatScreen(Screen[None]):
    """One chat with one model. It owns the chat and the state; the widgets show them."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in CHAT_KEYS]

    @dataclass
    class EngineFailed(TextualMessage):
        """There is no model to chat with."""

        reason: str

    title_bar = getters.query_one(TitleBar)
    chat_log = getters.query_one(ChatLog)
    prompt = getters.query_one(PromptInput)
    status_bar = getters.query_one(StatusBar)

    def __init__(
        self,
        engine: ChatEngine,
        store: SessionStore,
        chat: Chat,
        begin_chat: Callable[[], Chat],
        notices: tuple[str, ...] = (),
    ) -> None:
        """Show `chat`, and load the engine's model.

        Args:
            engine: answers; it is loaded once the screen is painted.
            store: where chats are saved.
            chat: the chat to begin with, new or saved.
            begin_chat: makes a new chat as the person's options say.
            notices: what to tell the person at once.
        """
        super().__init__()
        self.chat = chat
        self.state = ChatState.LOADING
        self._begin_chat = begin_chat
        self._notices = notices
        self._worker = EngineWorker(engine, self.post_message)
        self._writer = SessionWriter(
            store,
            lambda error: self.post_message(SaveFailed(str(error))),
            lambda session: self.post_message(ChatSaved(session.id)),
        )
        self._model: LoadedModel | None = None
        self._load_share = 0.0
        self._turn: _Turn | None = None
        self._requests = 0
        self._figures = Figures()
        self._after_turn: Callable[[], None] | None = None
        self._unsaved_text = False
        self._quit_armed = 0.0
        self._errors: dict[str, str] = {}
        self._left: bool | None = None

    def compose(self) -> ComposeResult:
        """Lay out the screen from top to bottom."""
        yield TitleBar(id="title")
        yield ChatLog(id="log")
        with Horizontal(id="prompt-row"):
            yield Label(">", id="prompt-mark")
            yield PromptInput(id="prompt")
        yield StatusBar(id="status")

    def on_mount(self) -> None:
        """Show the chat, and load the model once the screen is painted."""
        self._show_chat()
        # At once, and not when there is time: keys that are typed meanwhile belong to it.
        self.set_focus(self.prompt)
        self.set_interval(AUTOSAVE_SECONDS, self._autosave)
        for notice in self._notices:
            self.notify(notice, timeout=10, markup=False)
        self.call_after_refresh(self._worker.start)

    # What the person does

    @on(PromptInput.Submitted)
    def _on_submitted(self, message: PromptInput.Submitted) -> None:
        typed = message.text.strip()
        if key := next((key for key in CHAT_KEYS if key.typed and key.typed == typed), None):
            self.call_next(self.run_action, key.action)
        elif self._turn is not None:
            self.prompt.give_back(message.text)
            self.notify("The reply is not finished: Esc stops it, then Enter sends.", markup=False)
        else:
            self.prompt.remember(message.text)
            self._ask(message.text)

    @on(PromptInput.QuitRequested)
    async def _on_quit_requested(self) -> None:
        await self.action_quit()

    @on(PromptInput.ScrollRequested)
    def _on_scroll_requested(self, message: PromptInput.ScrollRequested) -> None:
        if message.pages < 0:
            self.chat_log.action_page_up()
        else:
            self.chat_log.action_page_down()

    def action_stop(self) -> None:
        """Stop reading or writing; the text so far stays."""
        if self._turn is None:
            self.prompt.focus()
        elif self.state is ChatState.LOADING:
            # Nothing has begun that could be waited for.
            self._worker.stop_reply()
            self._end_turn("interrupted", "", (), "")
        else:
            self._worker.stop_reply()
            self._set_state(ChatState.STOPPING)

    def action_reroll(self) -> None:
        """Write another reply beside the last one, stopping that first if it is being written."""
        if self._turn is not None:
            self._after_turn = self.action_reroll
            self.action_stop()
            return
        before = self.chat.conversation.path()
        reply = self.chat.begin_alternative()
        if reply is None:
            self.notify("There is nothing to re-roll yet: write a message first.", markup=False)
            return
        if before[-1].role == "bot":
            self.chat_log.remove_from(before[-1].id)
        self._begin(reply)

    def action_alternative(self, step: int) -> None:
        """Show the alternative before or after the last reply."""
        reply = self.chat.conversation.last_reply()
        if self._turn is not None or reply is None:
            return
        siblings = self.chat.conversation.siblings(reply.id)
        place = siblings.index(reply) + step
        if not 0 <= place < len(siblings):
            return
        self.chat.conversation.show(siblings[place].id)
        self.chat_log.remove_from(reply.id)
        shown = self.chat.conversation.path()
        for message in shown[shown.index(siblings[place]) :]:
            self.chat_log.append(self._entry(message))
        self._save()

    def action_new_chat(self) -> None:
        """Leave this chat, which is saved, and begin another."""
        if self._turn is not None:
            self._after_turn = self.action_new_chat
            self.action_stop()
            return
        self._save()
        self.chat = self._begin_chat()
        self._figures = Figures()
        self._errors.clear()
        self._show_chat()
        self._show_state()
        self.prompt.focus()

    def action_interrupt(self) -> None:
        """Do what Ctrl+C means now: copy, stop, clear, or quit when pressed twice."""
        if self.prompt.selected_text:
            self.prompt.action_copy()
        elif (selected := self.get_selected_text()) is not None:
            self.app.copy_to_clipboard(selected)
            self.clear_selection()
        elif self._turn is not None:
            self.action_stop()
        elif self.prompt.text:
            self.prompt.clear()
        elif time.monotonic() < self._quit_armed:
            self.run_worker(self.action_quit())
        else:
            self._quit_armed = time.monotonic() + QUIT_SECONDS
            self.notify("Press Ctrl+C again to quit.", timeout=QUIT_SECONDS, markup=False)

    def action_help(self) -> None:
        """Show the keys."""
        self.app.push_screen(HelpScreen())

    async def action_quit(self) -> None:
        """Save and leave."""
        await self.app.action_quit()

    def leave(self) -> bool:
        """End what runs, save, and free the model; return whether all of it was done in time."""
        if self._left is not None:
            return self._left
        if self._turn is not None:
            self._after_turn = None
            self._worker.stop_reply()
            self._end_turn("interrupted", "", (), "")
        self._save()
        saved = self._writer.flush(timeout=5.0)
        self._writer.close(timeout=1.0)
        self._left = self._worker.close() and saved
        return self._left

    # What the engine does

    @on(LoadProgress)
    def _on_load_progress(self, message: LoadProgress) -> None:
        self._load_share = message.share
        self._show_state()

    @on(ModelReady)
    def _on_model_ready(self, message: ModelReady) -> None:
        self._model = message.model
        for notice in message.model.notices:
            self.notify(notice, timeout=10, markup=False)
        self._set_state(ChatState.IDLE if self._turn is None else ChatState.READING)
        self._show_title()

    @on(PromptRead)
    def _on_prompt_read(self, message: PromptRead) -> None:
        if self._is_current(message.request_id):
            self._figures = message.figures
            self._show_state()

    @on(ReplyText)
    def _on_reply_text(self, message: ReplyText) -> None:
        if not self._is_current(message.request_id):
            return
        self._figures = message.figures
        reply = self._reply()
        reply = self.chat.conversation.update(reply.id, content=reply.content + message.text)
        self._unsaved_text = True
        if self.state is ChatState.READING:
            self.state = ChatState.GENERATING
        self.chat_log.update(self._entry(reply))
        self._show_state()

    @on(ReplyEnded)
    def _on_reply_ended(self, message: ReplyEnded) -> None:
        if self._is_current(message.request_id):
            self._figures = message.figures
            self._end_turn(message.finish, message.text, message.ids, message.error)

    @on(ModelFailed)
    def _on_model_failed(self, message: ModelFailed) -> None:
        if self._turn is not None:
            self._end_turn("error", "", (), message.reason)
        self.post_message(self.EngineFailed(message.reason))

    @on(SaveFailed)
    def _on_save_failed(self, message: SaveFailed) -> None:
        self.status_bar.problem = message.reason

    @on(ChatSaved)
    def _on_chat_saved(self) -> None:
        self.status_bar.problem = ""

    # A turn

    def _ask(self, text: str) -> None:
        last = self.chat.conversation.last_reply()
        reply = self.chat.ask(text)
        if last is not None:
            self.chat_log.update(self._entry(last))  # it is not the last any more
        self.chat_log.append(self._entry(self.chat.conversation.path()[-2]))
        self._begin(reply)

    def _begin(self, reply: Message) -> None:
        self._requests += 1
        self._turn = _Turn(self._requests, reply.id)
        self._figures = Figures()
        self._worker.reply(
            self._requests,
            ReplyRequest(
                turns=self.chat.conversation.turns(before=reply.id),
                format=self.chat.format,
                sampler=self.chat.sampler_for(reply),
            ),
        )
        if self.state is not ChatState.LOADING:
            self.state = ChatState.READING
        self.chat_log.append(self._entry(reply))
        self.chat_log.scroll_to_end_now()
        self._save()
        self._show_state()

    def _end_turn(self, finish: Finish, text: str, ids: tuple[int, ...], error: str) -> None:
        """End the turn, however it ended: keep the text, go idle, save."""
        reply = self._reply()
        self._turn = None
        reply = self.chat.conversation.update(reply.id, content=reply.content + text, finish=finish, ids=ids)
        if error:
            self._errors[reply.id] = error
        if self.state is not ChatState.LOADING:
            self.state = ChatState.IDLE
        self.chat_log.update(self._entry(reply))
        self._save()
        self._show_state()
        next_step, self._after_turn = self._after_turn, None
        if next_step is not None:
            next_step()

    def _is_current(self, request_id: int) -> bool:
        return self._turn is not None and self._turn.request_id == request_id

    def _reply(self) -> Message:
        assert self._turn is not None
        return self.chat.conversation.get(self._turn.reply_id)

    # Saving

    def _save(self) -> None:
        self._unsaved_text = False
        if self.chat.has_messages:
            self._writer.submit(self.chat.snapshot())

    def _autosave(self) -> None:
        if self._unsaved_text:
            self._save()

    # Showing

    def _set_state(self, state: ChatState) -> None:
        self.state = state
        self._show_state()

    def _show_chat(self) -> None:
        path = self.chat.conversation.path()
        self.chat_log.set_entries([self._entry(message) for message in path])
        self.prompt.set_history([message.content for message in path if message.role == "user"])
        self._show_title()
        self._show_state()

    def _show_title(self) -> None:
        own = self._model.format_label if self._model else "chat template"
        quantisation = split_file_name(Path(self.chat.model.path).name).quantisation or ""
        self.title_bar.description = (
            f"{self.chat.model.name} {quantisation}".rstrip(),
            own if self.chat.format == OWN_FORMAT else self.chat.format,
            self.chat.preset_name,
        )
        self.title_bar.context_length = self._model.context_length if self._model else None

    def _show_state(self) -> None:
        self.status_bar.activity = activity(
            self.state,
            self._figures,
            model=self.chat.model.name,
            loaded=self._load_share,
            waiting=self._turn is not None,
        )
        self.status_bar.keys = (
            *self._keys_of_the_moment(),
            ("F1", "help"),
            ("^P", "commands"),
            ("^Q", "quit"),
        )
        self.title_bar.context_used = self._figures.context_used or None
        self.prompt.placeholder = "" if self.chat.has_messages else "Write a message; Enter sends it"

    def _keys_of_the_moment(self) -> tuple[tuple[str, str], ...]:
        if self._turn is not None:
            return (("Esc", "stop"),)
        path = self.chat.conversation.path()
        if not path or path[-1].role == "system":
            return ()
        if len(self.chat.conversation.siblings(path[-1].id)) > 1:
            return (("^R", "re-roll"), ("Alt+←→", "alternatives"))
        return (("^R", "re-roll"),)

    def _entry(self, message: Message) -> ChatEntry:
        conversation = self.chat.conversation
        siblings = conversation.siblings(message.id)
        streaming = self._turn is not None and self._turn.reply_id == message.id
        names = {"user": "You", "system": "System", "bot": self.chat.model.name}
        return ChatEntry(
            id=message.id,
            role=message.role,
            name=names[message.role],
            text=message.content,
            note=""
            if streaming
            else ending(message, self._errors.get(message.id), is_last=message.id == conversation.head),
            alternative=(siblings.index(message) + 1, len(siblings)) if len(siblings) > 1 else None,
            streaming=streaming,
        )

"""The chat: what the person does becomes turns, and what the engine does becomes text."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import getters, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message as TextualMessage
from textual.widgets import Label

from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.context_window import Window
from easy_llama_tui.chats.conversation import Message
from easy_llama_tui.drafts.attachments import expansion
from easy_llama_tui.drafts.prompt_history import PromptHistory
from easy_llama_tui.preferences.keymap import APP_KEYS, CHAT_KEYS
from easy_llama_tui.replies.engine import ChatEngine, LoadOptions
from easy_llama_tui.replies.turns import Turns
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.screens.chat_view import ChatView
from easy_llama_tui.screens.draft_desk import DraftDesk
from easy_llama_tui.screens.front_first import FrontFirstCompositor
from easy_llama_tui.screens.reply_desk import BUSY, NO_MODEL, ReplyDesk
from easy_llama_tui.screens.styled_once import StyledOnce
from easy_llama_tui.settings import Settings
from easy_llama_tui.widgets.chat_log import ChatLog
from easy_llama_tui.widgets.path_completion import PathCompletion
from easy_llama_tui.widgets.prompt_input import MODE_MARKS, PromptInput
from easy_llama_tui.widgets.side_panel import SidePanel
from easy_llama_tui.widgets.status_bar import StatusBar
from easy_llama_tui.widgets.title_bar import TitleBar
from easy_llama_tui.widgets.writing_area import WritingArea

if TYPE_CHECKING:
    from easy_llama_tui.chats.session_store import SessionStore
    from easy_llama_tui.chats.session_writer import SessionWriter
    from easy_llama_tui.replies import messages
    from easy_llama_tui.replies.engine_worker import EngineWorker
    from easy_llama_tui.screens.chat_switch import ChatSwitch
    from easy_llama_tui.screens.message_actions import MessageActions
    from easy_llama_tui.screens.panel_desk import PanelDesk
    from easy_llama_tui.screens.saving_desk import SavingDesk
    from easy_llama_tui.screens.token_desk import TokenDesk
    from easy_llama_tui.screens.token_screen import TokenScreen
    from easy_llama_tui.widgets.candidates_panel import CandidatesPanel
    from easy_llama_tui.widgets.context_panel import ContextPanel
    from easy_llama_tui.widgets.format_panel import FormatPanel
    from easy_llama_tui.widgets.sampler_panel import SamplerPanel

AUTOSAVE_SECONDS = 1.5
"""Less than the two seconds of a reply that may be lost: what is saved must also be written."""
TYPING_SECONDS = 0.5
"""How long leaving waits for keys that were pressed before."""
QUIT_SECONDS = 3.0
"""How long a first Ctrl+C waits for the second."""


class ChatScreen(StyledOnce):
    """One chat with one model. It owns the chat; the widgets show it, `Turns` knows what the engine is at."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in CHAT_KEYS]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-middle"), (100, "-wide")]  # noqa: RUF012 (Textual's own)
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (8, "-low"), (12, "-short"), (20, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "#prompt"

    class EngineFailed(TextualMessage):
        """The model to begin with cannot be loaded."""

        def __init__(self, reason: str, is_fatal: bool) -> None:
            super().__init__()
            self.reason = reason
            self.is_fatal = is_fatal
            """Whether there is nothing else that could be done or read."""

    class ModelUsed(TextualMessage):
        """A model was loaded."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            self.path = path

    title_bar = getters.query_one(TitleBar)
    chat_log = getters.query_one(ChatLog)
    prompt = getters.query_one(PromptInput)
    status_bar = getters.query_one(StatusBar)
    side_panel = getters.query_one(SidePanel)

    def __init__(
        self,
        make_engine: Callable[[], ChatEngine],
        make_store: "Callable[[], SessionStore]",
        chat: Chat,
        settings: Settings,
    ) -> None:
        """Show `chat`, and load the model that `settings` name.

        Args:
            make_engine: makes what answers; it is called, and its model loaded, once the screen is painted.
            make_store: makes what chats are saved in, when it is first needed.
            chat: the chat to begin with, new or saved.
            settings: what the app was started with.
        """
        super().__init__()
        self._compositor = FrontFirstCompositor()
        self.chat = chat
        self.settings = settings
        self.turns = Turns(lambda: self.worker)
        self.replies = ReplyDesk(self, self.turns)
        self.drafts = DraftDesk(self)
        self._make_engine = make_engine
        self._make_store = make_store
        self.view = ChatView(self)
        self._quit_armed = 0.0
        self._left: bool | None = None

    # What the first picture does not need is loaded and made when it is first used. For the same reason the
    # handlers of messages from modules that come later go by Textual's names and have no `on`.

    @cached_property
    def engine(self) -> ChatEngine:
        """What answers; only its thread may use it."""
        return self._make_engine()

    @cached_property
    def worker(self) -> "EngineWorker":
        """The engine's thread."""
        from easy_llama_tui.replies.engine_worker import EngineWorker

        return EngineWorker(self.engine, self.post_message, self.chat.id)

    @cached_property
    def store(self) -> "SessionStore":
        """Where chats are saved."""
        return self._make_store()

    @cached_property
    def writer(self) -> "SessionWriter":
        """The thread that saves chats."""
        return self.saving.make_writer()

    @cached_property
    def saving(self) -> "SavingDesk":
        """What watches over the saving of chats."""
        from easy_llama_tui.screens.saving_desk import SavingDesk

        return SavingDesk(self)

    @cached_property
    def desk(self) -> "PanelDesk":
        """What keeps the panels in step."""
        from easy_llama_tui.screens.panel_desk import PanelDesk

        return PanelDesk(self)

    @cached_property
    def switch(self) -> "ChatSwitch":
        """What changes the chat and the model."""
        from easy_llama_tui.screens.chat_switch import ChatSwitch

        return ChatSwitch(self)

    @cached_property
    def message_actions(self) -> "MessageActions":
        """What is done with one message."""
        from easy_llama_tui.screens.message_actions import MessageActions

        return MessageActions(self)

    @cached_property
    def tokens(self) -> "TokenDesk":
        """What shows the tokens of a text."""
        from easy_llama_tui.screens.token_desk import TokenDesk

        return TokenDesk(self)

    def compose(self) -> ComposeResult:
        """Lay out the screen from top to bottom."""
        self.set_breakpoints()
        yield TitleBar(id="title")
        with Horizontal(id="middle"):
            yield ChatLog(id="log")
            yield SidePanel(id="side")
        prompt = PromptInput(
            id="prompt",
            keys=self.settings.config.keys,
            history=PromptHistory(self.settings.history_file),
            folder=self.settings.folder,
        )
        prompt.has_focus_at_first()
        with WritingArea(id="writing"):
            yield PathCompletion(prompt, id="completion")
            yield Label(id="attached")
            with Horizontal(id="prompt-row"):
                yield Label(MODE_MARKS["message"], id="prompt-mark")
                yield prompt
        yield StatusBar(id="status")

    async def on_mount(self) -> None:
        """Show the chat, and load the model once the screen is painted."""
        self.side_panel.styles.width = self.settings.config.appearance.panel_width
        self.chat_log.reasoning_key = self.settings.config.keys.by_id()["reasoning"].shown
        self.chat_log.reasoning_folded = self.settings.config.appearance.reasoning == "folded"
        self.drafts.open_chat()
        self.view.show_chat()
        # At once, and not when there is time: keys that are typed meanwhile belong to it.
        self.set_focus(self.prompt)
        self.set_interval(AUTOSAVE_SECONDS, self._autosave)
        for notice in self.settings.notices:
            self.notify(notice, timeout=10, markup=False)
        if self.settings.load_options is not None:
            self.turns.state = ChatState.LOADING
            self.view.show_state()
            self.call_after_refresh(self._load_first_model, self.settings.load_options)
        if self.settings.panel:
            await self.side_panel.show_panel(self.settings.panel, focus=False)

    async def _load_first_model(self, options: LoadOptions) -> None:
        # In steps: what is typed meanwhile is seen between them.
        for part in ("engine", "worker", "switch"):
            getattr(self, part)
            await asyncio.sleep(0)
        self.switch.load_first_model(options)

    # What the person writes

    @on(PromptInput.Submitted)
    def _on_submitted(self, message: PromptInput.Submitted) -> None:
        typed = message.text.strip()
        said = self.settings.config.keys.said
        keys = () if message.mode in ("opening", "system") else (*CHAT_KEYS, *APP_KEYS)
        if key := next((key for key in keys if key.typed and key.typed == typed), None):
            self.call_next(self.run_action, key.action)
        elif reason := self.why_only_read():
            self._give_back(message, reason)
        elif message.mode == "opening":
            self.replies.set_opening(message.text)
        elif message.mode == "system":
            self._add_system(message)
        elif self.turns.running is not None:
            self._give_back(message, said("The reply is not finished: {stop} stops it, then {send} sends."))
        elif self.turns.state is ChatState.NO_MODEL:
            self._give_back(message, said(NO_MODEL))
        elif problems := expansion(message.text, self.settings.folder).problems:
            self._give_back(message, f"Not sent: {problems[0].note}.")
        else:
            self.prompt.remember(message.text)
            self.replies.ask(message.text)

    @on(PromptInput.Changed, "#prompt")
    def _on_prompt_changed(self) -> None:
        self.drafts.changed()

    @on(PromptInput.ModeChanged)
    def _on_mode_changed(self, message: PromptInput.ModeChanged) -> None:
        self.drafts.changed()
        self.query_one("#prompt-mark", Label).update(MODE_MARKS[message.mode])
        self.view.show_placeholder()

    @on(PromptInput.CommandsRequested)
    def _on_commands_requested(self) -> None:
        self.app.action_command_palette()

    @on(PromptInput.MessageModeRequested)
    def _on_message_mode_requested(self) -> None:
        self.action_message_mode()

    @on(PromptInput.QuitRequested)
    async def _on_quit_requested(self) -> None:
        await self.action_quit()

    @on(PromptInput.ScrollRequested)
    def _on_scroll_requested(self, message: PromptInput.ScrollRequested) -> None:
        if message.pages < 0:
            self.chat_log.action_page_up()
        else:
            self.chat_log.action_page_down()

    @on(PromptInput.DraftChanged)
    def _on_draft_changed(self) -> None:
        self.view.show_attached(None)
        self.desk.draft_changed()

    def why_only_read(self) -> str:
        """Return why the chat cannot be changed now; empty where it can."""
        return self.saving.why_only_read() if self.chat.held_by else ""

    def _give_back(self, message: PromptInput.Submitted, why: str) -> None:
        self.prompt.give_back(message.text, message.mode)
        self.notify(why, markup=False)

    def tell(self, sentence: str) -> None:
        """Tell something in a notice, with the keys in force in place of actions, as in "{stop} stops it"."""
        self.notify(self.settings.config.keys.said(sentence), markup=False)

    def _add_system(self, message: PromptInput.Submitted) -> None:
        if self.turns.running is not None:
            self._give_back(message, self.settings.config.keys.said(BUSY))
            return
        system = self.chat.conversation.add("system", message.text)
        self.drafts.sent(system.id, message.text, "system")
        self.chat.was_saved = True  # the person wrote it, so it is to be there again
        self.view.show_path()
        self.chat_changed()

    # What the keys do

    def action_stop(self) -> None:
        """Stop reading or writing; the text so far stays. Else go back to the prompt, or stop loading."""
        self.turns.afterwards = None
        if self.turns.running is not None:
            self.replies.stop()
        elif self.turns.state is ChatState.LOADING and self.focused is self.prompt:
            self.switch.stop_loading()
        else:
            self.prompt.focus()

    def action_reroll(self) -> None:
        """Write another reply beside the last one, stopping that first if it is being written."""
        if self.replies.after_turn(self.action_reroll):
            return
        path = self.chat.conversation.path()
        if not path or path[-1].role == "system":
            self.notify("There is nothing to re-roll yet: write a message first.", markup=False)
        elif self.replies.is_free():
            self.replies.reroll(path[-1])

    def action_continue(self) -> None:
        """Go on with the last reply where it ended."""
        path = self.chat.conversation.path()
        if path and path[-1].role == "bot":
            self.replies.continue_reply(path[-1])
        else:
            self.notify("The last message is not the bot's: there is nothing to continue.", markup=False)

    def action_alternative(self, step: int) -> None:
        """Show the alternative before or after the marked message, or else the last reply."""
        conversation = self.chat.conversation
        marked, last = self.chat_log.cursor_id, conversation.last_reply()
        messages = [conversation.get(marked)] if marked else []
        messages += [last] if last else []
        for message in messages:
            if len(conversation.siblings(message.id)) > 1:
                self.show_sibling(message, step)
                return
        if messages:
            self.notify("There is no alternative to this message.", markup=False)

    def show_sibling(self, message: Message, step: int) -> None:
        """Show the alternative before or after a message, also while a reply is being written."""
        siblings = self.chat.conversation.siblings(message.id)
        place = siblings.index(message) + step
        if not 0 <= place < len(siblings):
            return
        in_message_mode = self.chat_log.cursor_id is not None
        self.chat.conversation.show(siblings[place].id)
        self.view.show_path()
        if in_message_mode:
            self.chat_log.enter_message_mode(siblings[place].id)
        self.chat_changed()

    def action_new_chat(self) -> None:
        """Leave this chat, which is saved, and begin another."""
        # Behind the keys that are on their way to the prompt: they were typed in this chat.
        self.prompt.call_later(self.switch.new_chat)

    def action_chats(self) -> None:
        """Show all chats."""
        self.switch.show_chats()

    def action_model(self) -> None:
        """Choose another model."""
        self.switch.choose_model()

    async def action_panel(self, name: str) -> None:
        """Open a panel at the side, or close it."""
        had_keys = self.side_panel.has_focus_within
        await self.side_panel.toggle(name)
        if had_keys and not self.side_panel.takes_keys:
            self.prompt.focus()

    def action_fold_reasoning(self) -> None:
        """Fold the bot's reasoning to one line, or open it."""
        self.chat_log.reasoning_folded = not self.chat_log.reasoning_folded

    def action_message_mode(self) -> None:
        """Go through the messages."""
        if self.chat.conversation.path():
            self.chat_log.enter_message_mode()

    def action_tokens(self) -> None:
        """Look at the tokens of the marked message, or else of the last reply."""
        marked = self.chat_log.cursor_id
        message = self.chat.conversation.get(marked) if marked else self.chat.conversation.last_reply()
        if message is None:
            self.notify("There is no reply yet: write a message first.", markup=False)
        else:
            self.tokens.look_at(message)

    def action_prompt_tokens(self) -> None:
        """Look at the tokens of what the model would read now."""
        self.tokens.look_at_prompt()

    def action_tree(self) -> None:
        """Show the whole tree of the chat."""
        self.message_actions.show_tree(self.chat_log.cursor_id)

    def action_duplicate(self) -> None:
        """Go on in a copy of the chat."""
        self.saving.duplicate()

    def action_export(self) -> None:
        """Export the chat."""
        self.saving.export()

    def action_undo_delete(self) -> None:
        """Bring back the message that was deleted last."""
        self.message_actions.undo_delete()

    def action_theme(self) -> None:
        """Choose the colours."""
        self.app.action_change_theme()

    def action_interrupt(self) -> None:
        """Do what Ctrl+C means now: copy, stop (loading too), clear, or quit when pressed twice."""
        if self.prompt.selected_text:
            self._copy(self.prompt.selected_text)
        elif (selected := self.get_selected_text()) is not None:
            self._copy(selected)
            self.clear_selection()
        elif self.turns.running is not None and self.turns.state is not ChatState.STOPPING:
            self.action_stop()
        elif self.turns.state is ChatState.LOADING:
            self.switch.stop_loading()
        elif self.prompt.text:
            self.prompt.clear()
        elif time.monotonic() < self._quit_armed:
            self.run_worker(self.action_quit())
        else:
            self._quit_armed = time.monotonic() + QUIT_SECONDS
            self.notify(
                self.settings.config.keys.said("Press {interrupt} again to quit."),
                timeout=QUIT_SECONDS,
                markup=False,
            )

    def action_help(self) -> None:
        """Show the keys."""
        from easy_llama_tui.screens.help_screen import HelpScreen

        self.app.push_screen(HelpScreen(self.settings.config.keys))

    async def action_quit(self) -> None:
        """Save and leave."""
        await self.app.action_quit()

    async def all_typed(self) -> None:
        """Wait a moment for keys that are on their way to the prompt."""
        typed = asyncio.Event()
        if self.is_mounted and self.prompt.call_later(typed.set):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(typed.wait(), TYPING_SECONDS)

    def leave(self) -> bool:
        """End what runs, save, and free the model; return whether all of it was done in time."""
        if self._left is not None:
            return self._left
        saved = self.saving.close()
        saved = self.drafts.close() and saved
        self._left = self.worker.close() and saved
        return self._left

    def _copy(self, text: str) -> None:
        from easy_llama_tui.clipboard import copy_text

        async def copy() -> None:
            result = await copy_text(text, self.app)
            self.notify(result.notice, markup=False)

        self.run_worker(copy())

    # Messages, panels

    @on(ChatLog.MessageKeyPressed)
    def _on_message_key(self, message: ChatLog.MessageKeyPressed) -> None:
        self.message_actions.do(message.action, message.message_id)

    @on(ChatLog.CursorMoved)
    def _on_cursor_moved(self) -> None:
        self.view.show_state()

    @on(ChatLog.MessageModeLeft)
    def _on_message_mode_left(self) -> None:
        self.prompt.focus()

    @on(SidePanel.Changed)
    def _on_panel_changed(self, message: SidePanel.Changed) -> None:
        self.settings.panel = message.panel
        self.desk.panel_changed(message.panel)

    def _on_format_panel_format_highlighted(self, message: "FormatPanel.FormatHighlighted") -> None:
        self.desk.highlight_format(message.name)

    def _on_format_panel_format_chosen(self, message: "FormatPanel.FormatChosen") -> None:
        self.desk.choose_format(message.name)

    def _on_sampler_panel_settings_changed(self, message: "SamplerPanel.SettingsChanged") -> None:
        self.desk.change_sampler(message.preset_name, message.settings)

    def _on_sampler_panel_preset_saved(self, message: "SamplerPanel.PresetSaved") -> None:
        self.desk.save_own_preset(message.preset_name, message.settings)

    def _on_sampler_panel_preset_deleted(self, message: "SamplerPanel.PresetDeleted") -> None:
        self.desk.delete_own_preset(message.preset_name)

    def _on_context_panel_policy_chosen(self, message: "ContextPanel.PolicyChosen") -> None:
        self.desk.change_policy(message.policy)

    def _on_context_panel_pin_toggled(self, message: "ContextPanel.PinToggled") -> None:
        self.desk.pin(message.message_id)

    def _on_context_panel_message_chosen(self, message: "ContextPanel.MessageChosen") -> None:
        self.desk.go_to(message.message_id)

    def _on_candidates_panel_count_changed(self, message: "CandidatesPanel.CountChanged") -> None:
        self.desk.change_count(message.count)

    def _on_token_screen_candidates_wanted(self, message: "TokenScreen.CandidatesWanted") -> None:
        self.tokens.find_candidates(message.index, message.count)

    def _on_token_screen_computing_stopped(self) -> None:
        self.tokens.stop()

    def _on_token_screen_closed(self) -> None:
        self.tokens.close()

    def _on_token_screen_forked(self, message: "TokenScreen.Forked") -> None:
        self.tokens.fork(message.index, message.token_id)

    # What the engine does

    def _on_load_progress(self, message: "messages.LoadProgress") -> None:
        self.turns.load_share = message.share
        self.view.show_state()

    def _on_model_ready(self, message: "messages.ModelReady") -> None:
        self.turns.loaded(message.model)
        self.chat_log.expect_text()
        for notice in message.model.notices:
            self.notify(notice, timeout=10, markup=False)
        self.switch.on_model_ready()
        self.view.show_state()
        self.view.show_title()
        self.desk.show_chat()
        self.desk.look()

    def _on_model_failed(self, message: "messages.ModelFailed") -> None:
        if self.turns.running is not None:
            self.replies.end_turn("error", "", (), message.reason)
        self.turns.failed()
        self.view.show_state()
        self.view.show_title()
        self.switch.on_model_failed(message.reason)

    def _on_load_doubted(self, message: "messages.LoadDoubted") -> None:
        self.switch.ask_about_memory(message.doubt)

    def _on_window_fitted(self, message: "messages.WindowFitted") -> None:
        if self.turns.is_current(message.request_id):
            self.set_window(message.window)
            self.replies.on_window(message)

    def set_window(self, window: Window) -> None:
        """Note what the model reads, and dim the rest."""
        changed = window.outside != self.turns.window.outside
        self.turns.window = window
        if changed:
            self.view.refresh_entries()

    def _on_prompt_read(self, message: "messages.PromptRead") -> None:
        if self.turns.is_current(message.request_id):
            self.turns.figures = message.figures
            self.view.show_state()

    def _on_candidates_seen(self, message: "messages.CandidatesSeen") -> None:
        if self.turns.is_current(message.request_id):
            self.desk.show_candidates(message.distribution)

    def _on_reply_text(self, message: "messages.ReplyText") -> None:
        if self.turns.is_current(message.request_id):
            self.replies.on_text(message)

    def _on_reply_ended(self, message: "messages.ReplyEnded") -> None:
        if self.turns.is_current(message.request_id):
            self.replies.on_ended(message)

    def _on_reply_refused(self, message: "messages.ReplyRefused") -> None:
        if self.turns.is_current(message.request_id):
            self.replies.on_refused(message)

    def _on_inspected(self, message: "messages.Inspected") -> None:
        if message.chat_id != self.chat.id:
            return
        self.desk.show_inspection(message.inspection)

    def _on_text_tokens(self, message: "messages.TextTokens") -> None:
        self.tokens.on_tokens(message)

    def _on_text_progress(self, message: "messages.TextProgress") -> None:
        self.tokens.on_progress(message)

    def _on_text_scored(self, message: "messages.TextScored") -> None:
        self.tokens.on_scored(message)

    def _on_candidates_found(self, message: "messages.CandidatesFound") -> None:
        self.tokens.on_candidates(message)

    def _on_text_failed(self, message: "messages.TextFailed") -> None:
        self.tokens.on_failed(message)

    def _on_save_failed(self, message: "messages.SaveFailed") -> None:
        self.saving.failed(message)

    def _on_chat_saved(self, message: "messages.ChatSaved") -> None:
        self.saving.saved(message.chat_id)

    def _on_save_noted(self, message: "messages.SaveNoted") -> None:
        self.notify(message.notice, severity="warning", timeout=20, markup=False)

    # Saving

    def chat_changed(self) -> None:
        """Save the chat, and show what depends on its choices."""
        self.save()
        self.view.show_title()
        self.view.show_state()
        self.desk.look_soon()

    def save(self) -> None:
        """Save the chat as it is now."""
        self.replies.has_unsaved_text = False
        if self.chat.is_worth_saving and not self.chat.held_by:
            self.chat.was_saved = True
            self.settings.tell_chat(self.chat.resumed_by)
            self.writer.submit(self.chat.snapshot())

    def save_now(self) -> None:
        """Save the chat and what is written, and wait a moment until that is on disk."""
        self.save()
        if self.chat.was_saved:
            self.writer.flush(timeout=1.0)
        self.drafts.save_now()

    def _autosave(self) -> None:
        if self.replies.has_unsaved_text:
            self.save()

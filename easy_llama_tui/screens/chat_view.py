"""What of the chat is shown: its messages, the lines above and below them, and what the prompt is for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Label

from easy_llama.model_file import split_file_name
from easy_llama_tui.replies.engine import OWN_FORMAT
from easy_llama_tui.replies.wording import ChatState, activity, ending
from easy_llama_tui.text.display_text import printable
from easy_llama_tui.widgets.message_view import ChatEntry
from easy_llama_tui.widgets.prompt_input import MODE_HINTS

if TYPE_CHECKING:
    from easy_llama_tui.chats.conversation import Message
    from easy_llama_tui.replies.inspection import Inspection
    from easy_llama_tui.screens.chat_screen import ChatScreen

_FIRST_HINT = ". {stop} stops a reply, {help} shows all keys."


class ChatView:
    """Brings the widgets of the chat's screen up to what the chat and its turns are; changes neither."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen
        # Looked up for each piece of text that is written.
        self._keys = screen.settings.config.keys.by_id()

    def show_chat(self) -> None:
        """Show another chat."""
        self._screen.settings.tell_chat(self._screen.chat.resumed_by)
        self.show_path()
        self.show_title()
        self.show_state()
        self.show_placeholder()
        if self._screen.chat.held_by or "saving" in self._screen.__dict__:
            self._screen.saving.show()

    def show_path(self, *, without: Message | None = None) -> None:
        """Show the messages of the shown path, up to one that is about to be written."""
        path = self._screen.chat.conversation.path()
        self._screen.chat_log.set_entries([self.entry(message) for message in path if message is not without])

    def show_entry(self, message: Message) -> bool:
        """Show a message as it is now, where it is on the shown path; return whether it is."""
        entry = self.entry(message)
        try:
            self._screen.chat_log.update(entry)
        except KeyError:
            return False
        return True

    def refresh_entries(self) -> None:
        """Show again what is said about messages beside their text."""
        for shown in self._screen.chat_log.entries:
            entry = self.entry(self._screen.chat.conversation.get(shown.id))
            if entry != shown:
                self._screen.chat_log.update(entry)

    def show_attached(self, tokens: int | None) -> None:
        """Show the files that the draft attaches, and what it costs where that is known."""
        notes = [attachment.note for attachment in self._screen.prompt.attachments]
        if notes and tokens:
            notes.append(f"{tokens:,} tokens with the message")
        label = self._screen.query_one("#attached", Label)
        label.display = bool(notes)
        label.update(Content(printable(" · ".join(notes))))

    def show_usage(self, inspection: Inspection) -> None:
        """Show how full the context is."""
        self._screen.title_bar.context_used = inspection.window.tokens or None

    def show_title(self) -> None:
        """Show what one talks to."""
        model = self._screen.turns.model
        own = model.format_label if model else "chat template"
        quantisation = split_file_name(Path(self._screen.chat.model.path).name).quantisation or ""
        self._screen.title_bar.description = (
            f"{self._screen.chat.model.name} {quantisation}".strip() or "no model",
            own if self._screen.chat.format == OWN_FORMAT else self._screen.chat.format,
            self._screen.chat.preset_name,
        )
        self._screen.title_bar.context_length = model.context_length if model else None

    def show_state(self) -> None:
        """Show what goes on, and the keys that matter now."""
        # Each blink would draw the whole prompt again beside the reply.
        self._screen.prompt.cursor_blink = self._screen.turns.running is None
        self._screen.status_bar.activity = activity(
            self._screen.turns.state,
            self._screen.turns.figures,
            model=self._screen.chat.model.name,
            loaded=self._screen.turns.load_share,
            waiting=self._screen.turns.running is not None,
            to_choose=self._keys["model"].said,
        )
        keys = self._keys
        self._screen.status_bar.keys = (
            *self._keys_of_the_moment(),
            (keys["help"].hint, "help"),
            (keys["commands"].hint, "commands"),
            (keys["quit"].hint, "quit"),
        )
        if used := self._screen.turns.figures.context_used:
            self._screen.title_bar.context_used = used

    def show_placeholder(self) -> None:
        """Show in the empty prompt what it is for."""
        hint = "" if self._screen.chat.has_messages else MODE_HINTS["message"]
        if hint and self._screen.settings.is_first_run:
            hint += _FIRST_HINT
        hint = hint if self._screen.prompt.mode == "message" else MODE_HINTS[self._screen.prompt.mode]
        self._screen.prompt.placeholder = self._screen.settings.config.keys.said(hint)

    def _keys_of_the_moment(self) -> tuple[tuple[str, str], ...]:
        keys = self._keys
        if self._screen.chat_log.cursor_id is not None:
            wanted = ("message-edit", "message-copy", "message-reroll", "message-continue", "message-delete")
            hints = ((keys[id_].hint, id_.removeprefix("message-")) for id_ in wanted)
            return (*hints, (keys["stop"].hint, "back"))
        if self._screen.turns.running is not None:
            return ((keys["stop"].hint, "stop"),)
        if self._screen.turns.state is ChatState.LOADING:
            return ((keys["stop"].hint, "stop loading"),)
        if self._screen.turns.state is ChatState.NO_MODEL:
            return ((keys["model"].hint, "model"),)
        path = self._screen.chat.conversation.path()
        if not path or path[-1].role == "system":
            return ()
        reroll = (keys["reroll"].hint, "re-roll")
        if len(self._screen.chat.conversation.siblings(path[-1].id)) > 1:
            before, after = keys["previous-alternative"].hint, keys["next-alternative"].hint
            is_usual = (before, after) == ("Alt+←", "Alt+→")
            return (reroll, ("Alt+←→" if is_usual else f"{before} {after}".strip(), "alternatives"))
        return (reroll,)

    def _ending(self, message: Message) -> str:
        """Return what is said below a message on how it came to its end."""
        return ending(
            message,
            self._screen.replies.errors.get(message.id),
            is_last=message.id == self._screen.chat.conversation.head,
            to_continue=self._keys["continue"].hint,
            to_reroll=self._keys["reroll"].hint,
            has_room=self._screen.turns.has_room,
        )

    def entry(self, message: Message) -> ChatEntry:
        """Return how a message is shown."""
        conversation = self._screen.chat.conversation
        siblings = conversation.siblings(message.id)
        running = self._screen.turns.running
        streaming = running is not None and running.reply_id == message.id
        writer = self._screen.chat.model.name if streaming else message.author
        names = {"user": "You", "system": "System", "bot": writer or "Bot"}
        note = "" if streaming else self._ending(message)
        return ChatEntry(
            id=message.id,
            role=message.role,
            name=names[message.role],
            text=message.content,
            note=note,
            alternative=(siblings.index(message) + 1, len(siblings)) if len(siblings) > 1 else None,
            streaming=streaming,
            outside=message.id in self._screen.turns.window.outside,
            pinned=message.pinned,
            begins_in_reasoning=message.id in self._screen.replies.begun_in_reasoning,
        )

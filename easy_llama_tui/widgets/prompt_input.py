"""Where the person writes."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final, Literal, Protocol

from textual import events, on
from textual.binding import BindingType
from textual.document._document import Location
from textual.document._document_navigator import DocumentNavigator
from textual.message import Message
from textual.reactive import reactive
from textual.timer import Timer
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from easy_llama_tui.drafts.attachments import Attachment, find_attachments
from easy_llama_tui.drafts.prompt_history import PromptHistory
from easy_llama_tui.preferences.keymap import PROMPT_KEYS, KeyBindings
from easy_llama_tui.text.display_text import editable
from easy_llama_tui.widgets.prompt_lines import PromptLines

Mode = Literal["message", "opening", "system"]
"""What is being written: a message, the beginning of the bot's next message, or a system message."""

MODE_MARKS: Final[dict[Mode, str]] = {"message": ">", "opening": "<", "system": "!!"}
"""What stands before the prompt in each mode."""

MODE_HINTS: Final[dict[Mode, str]] = {
    "message": "Write a message; {send} sends it",
    "opening": "How the bot's next message begins; {send} writes it on, Esc leaves",
    "system": "A system message; {send} inserts it, Esc leaves",
}
"""What an empty prompt says in each mode, with the action in place of its key."""

DRAFT_SECONDS: Final = 0.15
"""How long the person pauses before the draft is told."""

_TYPED_MODES: Final[dict[str, Mode]] = {"<": "opening", "!!": "system"}
_COMMANDS: Final = "!"


class SentTexts(Protocol):
    """What was sent, for Ctrl+↑."""

    @property
    def texts(self) -> Sequence[str]:
        """The messages, oldest first."""

    def add(self, text: str) -> None:
        """Add the newest one."""


class Completer(Protocol):
    """What may take keys before the prompt does."""

    def take_key(self, key: str) -> bool:
        """Do what a key means to it now, and return whether it means anything."""


class PromptInput(TextArea):
    """A text area that grows with its text, sends with Enter, and remembers what was sent."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in PROMPT_KEYS if key.id != "send"]

    mode: reactive[Mode] = reactive[Mode]("message")
    """What is being written."""

    class Submitted(Message):
        """The person sent a message, which the prompt holds no more: it may be told to `give_back`."""

        def __init__(self, prompt: "PromptInput", text: str, mode: Mode = "message") -> None:
            super().__init__()
            self.prompt = prompt
            self.text = text
            self.mode = mode

        @property
        def control(self) -> "PromptInput":
            """The prompt that was sent from."""
            return self.prompt

    class ModeChanged(Message):
        """Something else is being written."""

        def __init__(self, prompt: "PromptInput", mode: Mode) -> None:
            super().__init__()
            self.prompt = prompt
            self.mode = mode

        @property
        def control(self) -> "PromptInput":
            """The prompt."""
            return self.prompt

    class DraftChanged(Message):
        """The person paused after changing the text, or the prompt is empty again."""

        def __init__(self, prompt: "PromptInput", text: str, attachments: tuple[Attachment, ...]) -> None:
            super().__init__()
            self.prompt = prompt
            self.text = text
            self.attachments = attachments
            """The files that the text names."""

        @property
        def control(self) -> "PromptInput":
            """The prompt."""
            return self.prompt

    class QuitRequested(Message):
        """The person ended the input of an empty prompt."""

    class CommandsRequested(Message):
        """The person typed `!` and Enter."""

    class MessageModeRequested(Message):
        """The person went up from an empty prompt."""

    class ScrollRequested(Message):
        """The person wants to see another page of the chat."""

        def __init__(self, pages: int) -> None:
            super().__init__()
            self.pages = pages

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002 (Textual's name)
        keys: KeyBindings | None = None,
        history: SentTexts | None = None,
        folder: Path | None = None,
    ) -> None:
        """Begin empty.

        Args:
            id: the widget's id.
            keys: the keys that the person chose; the defaults where None.
            history: what was sent before, in all chats; where None, it begins empty.
            folder: where the paths of attachments begin; the current folder where None.
        """
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
            tab_behavior="focus",
        )
        self.completer: Completer | None = None
        self.attachments_folder = folder or Path.cwd()
        """Where the paths of attachments begin."""
        self.attachments: tuple[Attachment, ...] = ()
        """The files that the text names, as of the last change."""
        self._history: SentTexts = PromptHistory() if history is None else history
        self._shown_entry: int | None = None
        self._draft = ""
        self._draft_timer: Timer | None = None
        self._send_keys: tuple[str, ...] = ()
        self.use_keys(keys or KeyBindings())

    def use_keys(self, keys: KeyBindings) -> None:
        """Take the keys that the person chose."""
        assert self._merged_bindings is not None
        self._bindings = self._merged_bindings.copy()
        self._bindings.apply_keymap(keys.keymap())
        self._send_keys = keys.by_id()["send"].all_names

    def has_focus_at_first(self) -> None:
        """Have the focus from the first picture on: it is styled and drawn so at once, and not again."""
        self.set_reactive(TextArea.has_focus, True)

    def on_mount(self) -> None:
        """Show the cursor where the focus is here already."""
        if self.has_focus:
            self._watch_has_focus(True)

    def remember(self, text: str) -> None:
        """Add a message that was sent to the history."""
        self._history.add(text)
        self._shown_entry = None

    def give_back(self, text: str, mode: Mode = "message") -> None:
        """Put a message that cannot be sent now before what was typed since."""
        self.mode = mode
        self.insert(text, self.document.start)
        self.move_cursor(self.document.end)

    @property
    def unsent(self) -> tuple[str, str]:
        """What is written, and what was before an earlier message took its place and was changed there."""
        if self._shown_entry is None:
            return self.text, ""
        text, texts = self.text, self._history.texts
        is_as_sent = self._shown_entry < len(texts) and texts[self._shown_entry] == text
        return (self._draft, "") if is_as_sent else (text, self._draft)

    def restore(self, text: str, mode: Mode, cursor: Location, aside: str) -> None:
        """Begin with what was written before, and forget what is here; see `unsent`."""
        self.load_text(editable(text))
        self.mode = mode
        row = max(0, min(cursor[0], self.document.line_count - 1))
        self.move_cursor((row, max(0, min(cursor[1], len(self.document.get_line(row))))))
        self._draft, self._shown_entry = "", None
        if aside and self._history.texts:
            self._draft, self._shown_entry = editable(aside), len(self._history.texts) - 1

    @property
    def has_text(self) -> bool:
        """Whether anything is written."""
        return self.document.line_count > 1 or bool(self.document[0])

    def edit(self, edit: Edit) -> EditResult:
        """Change the text; whatever comes in, by key, paste or history, is made printable."""
        edit.text = editable(edit.text)
        return super().edit(edit)

    def find_matching_bracket(self, bracket: str, search_from: Location) -> Location | None:
        """Find none: it would look through the whole text at every move beside a bracket."""
        return None

    def _set_document(self, text: str, language: str | None) -> None:
        super()._set_document(editable(text), language)
        self.wrapped_document = PromptLines(self.document, self.wrap_width, self.indent_width)
        self.navigator = DocumentNavigator(self.wrapped_document)

    def watch_mode(self, before: Mode, now: Mode) -> None:
        """Tell what is being written from now on."""
        if before != now:
            self.post_message(self.ModeChanged(self, now))

    # The keys

    async def _on_key(self, event: events.Key) -> None:
        if await self._take_key(event.key):
            event.stop()
            event.prevent_default()
        else:
            await super()._on_key(event)

    async def _take_key(self, key: str) -> bool:
        """Do what a key means that types nothing, and return whether it is one."""
        if self.completer is not None and self.completer.take_key(key):
            return True
        if key == "escape" and self.mode != "message":
            self.mode = "message"
            return True
        if key in self._send_keys:
            self._send(by_enter=key == "enter")
            return True
        # Textual runs bindings after a detour through the app, and keys that arrive together would change
        # their order: "x", Backspace, "d" would become "xd", Backspace.
        for binding in self._bindings.key_to_bindings.get(key, ()):
            if await self.app.run_action(binding.action, self):
                return True
        return False

    def _send(self, *, by_enter: bool) -> None:
        row, column = self.cursor_location
        text = self.text
        typed = text.strip()
        if by_enter and column and self.document.get_line(row)[column - 1] == "\\":
            self.replace("\n", (row, column - 1), (row, column))
        elif self.mode == "message" and typed == _COMMANDS:
            self.clear()
            self.post_message(self.CommandsRequested())
        elif self.mode == "message" and typed in _TYPED_MODES:
            self.clear()
            self.mode = _TYPED_MODES[typed]
        elif typed:
            # Taken at once: what is typed right after Enter belongs to the next message.
            self.clear()
            self._shown_entry = None
            self.post_message(self.Submitted(self, text, self.mode))
            self.mode = "message"

    def action_newline(self) -> None:
        """Begin a new line at the cursor."""
        self._replace_via_keyboard("\n", *self.selection)

    def action_cursor_up(self, select: bool = False) -> None:
        """Move the cursor up, or from an empty prompt into the chat."""
        if not self.has_text and self.mode == "message" and not select:
            self.post_message(self.MessageModeRequested())
        else:
            super().action_cursor_up(select)

    def action_end_of_input(self) -> None:
        """Ask to quit where the prompt is empty; else delete the character after the cursor."""
        if self.has_text:
            self.action_delete_right()
        else:
            self.post_message(self.QuitRequested())

    def action_scroll_chat(self, pages: int) -> None:
        """Ask for another page of the chat."""
        self.post_message(self.ScrollRequested(pages))

    def action_edit_in_editor(self) -> None:
        """Let the person write in an editor of their own."""
        from easy_llama_tui.drafts.external_editor import edit_in_editor

        changed = edit_in_editor(self.app, self.text)
        if changed is not None:
            self._show(changed)

    def action_history(self, step: int) -> None:
        """Show an earlier (-1) or later (1) message that was sent, and at the end the draft again."""
        texts = self._history.texts
        if self._shown_entry is None:
            if step > 0 or not texts:
                return
            self._draft = self.text
            self._shown_entry = len(texts)
        self._shown_entry = max(self._shown_entry + step, 0)
        if self._shown_entry >= len(texts):
            self._shown_entry = None
            self._show(self._draft)
        else:
            self._show(texts[self._shown_entry])

    def _show(self, text: str) -> None:
        # Replacing, unlike loading, can be undone.
        self.replace(text, self.document.start, self.document.end)
        self.move_cursor(self.document.end)

    # The draft

    @on(TextArea.Changed)
    def _on_draft_edited(self) -> None:
        if self._draft_timer is not None:
            self._draft_timer.stop()
            self._draft_timer = None
        self.attachments = find_attachments(self.text, self.attachments_folder)
        if self.has_text:
            self._draft_timer = self.set_timer(DRAFT_SECONDS, self._tell_draft)
        else:
            self._tell_draft()

    def _tell_draft(self) -> None:
        self._draft_timer = None
        # A file may have changed since.
        self.attachments = find_attachments(self.text, self.attachments_folder)
        self.post_message(self.DraftChanged(self, self.text, self.attachments))

"""Where the person writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from easy_llama_tui.display_text import printable
from easy_llama_tui.keymap import PROMPT_KEYS


class PromptInput(TextArea):
    """A text area that grows with its text, sends with Enter, and remembers what was sent."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in PROMPT_KEYS if key.id != "send"]

    @dataclass
    class Submitted(Message):
        """The person sent a message, which the prompt holds no more: it may be told to `give_back`."""

        prompt: "PromptInput"
        text: str

        @property
        def control(self) -> "PromptInput":
            """The prompt that was sent from."""
            return self.prompt

    class QuitRequested(Message):
        """The person ended the input of an empty prompt."""

    @dataclass
    class ScrollRequested(Message):
        """The person wants to see another page of the chat."""

        pages: int

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
            tab_behavior="focus",
        )
        self._sent: list[str] = []
        self._shown_entry: int | None = None
        self._draft = ""

    def set_history(self, texts: Sequence[str]) -> None:
        """Give it the messages that were sent before, oldest first."""
        self._sent = list(texts)
        self._shown_entry = None

    def remember(self, text: str) -> None:
        """Add a message that was sent to the history."""
        self._sent.append(text)
        self._shown_entry = None

    def give_back(self, text: str) -> None:
        """Put a message that cannot be sent now before what was typed since."""
        self.insert(text, self.document.start)
        self.move_cursor(self.document.end)

    def edit(self, edit: Edit) -> EditResult:
        """Change the text; whatever comes in, by key, paste or history, is made printable."""
        edit.text = printable(edit.text.replace("\r\n", "\n").replace("\r", "\n"))
        return super().edit(edit)

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self._enter()
            return
        # Textual runs bindings after a detour through the app, and keys that arrive together would change
        # their order: "x", Backspace, "d" would become "xd", Backspace.
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if await self.app.run_action(binding.action, self):
                event.stop()
                event.prevent_default()
                return
        await super()._on_key(event)

    def _enter(self) -> None:
        row, column = self.cursor_location
        if column and self.document.get_line(row)[column - 1] == "\\":
            self.replace("\n", (row, column - 1), (row, column))
        elif self.text.strip():
            # Taken at once: what is typed right after Enter belongs to the next message.
            text = self.text
            self.clear()
            self.post_message(self.Submitted(self, text))

    def action_newline(self) -> None:
        """Begin a new line at the cursor."""
        self.replace("\n", *self.selection)

    def action_end_of_input(self) -> None:
        """Ask to quit where the prompt is empty; else delete the character after the cursor."""
        if self.text:
            self.action_delete_right()
        else:
            self.post_message(self.QuitRequested())

    def action_scroll_chat(self, pages: int) -> None:
        """Ask for another page of the chat."""
        self.post_message(self.ScrollRequested(pages))

    def action_history(self, step: int) -> None:
        """Show an earlier (-1) or later (1) message that was sent, and at the end the draft again."""
        if self._shown_entry is None:
            if step > 0 or not self._sent:
                return
            self._draft = self.text
            self._shown_entry = len(self._sent)
        self._shown_entry = max(self._shown_entry + step, 0)
        if self._shown_entry >= len(self._sent):
            self._shown_entry = None
            self._show(self._draft)
        else:
            self._show(self._sent[self._shown_entry])

    def _show(self, text: str) -> None:
        # Replacing, unlike loading, can be undone.
        self.replace(text, self.document.start, self.document.end)
        self.move_cursor(self.document.end)

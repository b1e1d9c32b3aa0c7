"""Editing one message: beside the old text, or in its place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static, TextArea
from textual.widgets.text_area import Edit, EditResult

from easy_llama.prompt import Role
from easy_llama_tui.drafts.external_editor import edit_in_editor
from easy_llama_tui.preferences.panel_keys import EDIT_KEYS
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.text.display_text import editable
from easy_llama_tui.widgets.key_hints import KeyHint, KeyHints, keys_of

_TITLES: Final[dict[Role, str]] = {
    "user": "Edit your message",
    "bot": "Edit the reply",
    "system": "Edit the system message",
}

_GOES_ON: Final = "This is the edit that was not finished before."


@dataclass(frozen=True, slots=True)
class Edited:
    """What became of a message."""

    text: str
    """The text; control characters are as `printable` makes them, and line ends are LF."""
    in_place: bool
    """Whether it takes the place of the old text, rather than a place beside it."""


class EditedText(TextArea):
    """A text area that shows nothing which could drive the terminal."""

    def edit(self, edit: Edit) -> EditResult:
        """Change the text; whatever comes in is made printable."""
        edit.text = editable(edit.text)
        return super().edit(edit)


class EditScreen(Dialog[Edited | None]):
    """Ends with the new text, or with None where it was left or nothing was changed."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in EDIT_KEYS]
    DEFAULT_CSS = """
    EditScreen {
        align: center middle;
        background: $background 60%;
    }
    EditScreen > #edit {
        width: 100%;
        height: 100%;
        border: round $primary;
        background: $surface;
        color: $foreground;
    }
    EditScreen TextArea, EditScreen TextArea:focus {
        height: 1fr;
        border: none;
        padding: 0 1;
        background: $background;
        color: $foreground;
        scrollbar-size-vertical: 1;
    }
    EditScreen #edit-note {
        height: auto;
        padding: 0 1;
        background: $surface;
        color: $text-warning;
    }
    """

    def __init__(
        self,
        text: str,
        role: Role,
        below: int,
        *,
        begun: str | None = None,
        on_change: Callable[[str], object] | None = None,
    ) -> None:
        """Edit `text`, a message of `role` that `below` messages follow.

        Args:
            text: the message.
            role: whose it is.
            below: how many messages follow it.
            begun: what had become of it, where it was edited before without an end.
            on_change: is told what becomes of it.
        """
        super().__init__()
        self._begun = None if begun is None else editable(begun)
        self._on_change = on_change
        self._role: Role = role
        self._below = below
        self._text = editable(text)
        self._asked = ""

    def compose(self) -> ComposeResult:
        """Show the text in the whole window, and below it what can be done with it."""
        with Vertical(id="edit") as box:
            box.border_title = _TITLES[self._role]
            yield EditedText(
                self._text if self._begun is None else self._begun,
                soft_wrap=True,
                show_line_numbers=False,
                highlight_cursor_line=False,
                tab_behavior="focus",
            )
            yield Static(id="edit-note", markup=False)
            yield KeyHints(self._hints())

    def on_mount(self) -> None:
        """Put the cursor at the end."""
        area = self.query_one(EditedText)
        area.focus()
        area.move_cursor(area.document.end)
        self._say(self._warning if self._begun is None else f"{_GOES_ON} {self._warning}".rstrip())

    def action_keep_both(self) -> None:
        """End with the text beside the old one."""
        self._end(in_place=False)

    def action_replace(self) -> None:
        """End with the text in place of the old one; where messages followed that, ask once more."""
        if self._is_changed and self._has_text and self._below and self._asked != "replace":
            self._asked = "replace"
            self._say(f"{self._warning} {keys_of(self).said('{edit-replace}')} again changes it anyway.")
        else:
            self._end(in_place=True)

    def action_leave(self) -> None:
        """End without a change; where there is one, ask once more."""
        if self._is_changed and self._asked != "leave":
            self._asked = "leave"
            self._say(keys_of(self).said("{edit-leave} again discards the change."))
        else:
            self.dismiss(None)

    def action_editor(self) -> None:
        """Have the text changed in the person's editor."""
        area = self.query_one(EditedText)
        text = edit_in_editor(self.app, area.text)
        if text is not None:
            area.replace(text, area.document.start, area.document.end)
            area.move_cursor(area.document.end)

    @property
    def _is_changed(self) -> bool:
        return self.query_one(EditedText).text != self._text

    @property
    def _has_text(self) -> bool:
        return bool(self.query_one(EditedText).text.strip())

    @property
    def _warning(self) -> str:
        if not self._below:
            return ""
        below = "1 message below was" if self._below == 1 else f"{self._below:,} messages below were"
        return f"⚠ {below} written after the old text."

    def _hints(self) -> tuple[KeyHint, ...]:
        said = keys_of(self).said
        if self._role == "user":
            keep = KeyHint(
                said("{edit-keep}"),
                "ask this instead (the old one stays beside it)",
                "keep_both",
                "ask this instead",
            )
        else:
            keep = KeyHint(said("{edit-keep}"), "keep both", "keep_both")
        return (
            keep,
            KeyHint(said("{edit-replace}"), "change in place", "replace"),
            KeyHint(said("{edit-editor}"), "your editor", "editor"),
            KeyHint(said("{edit-leave}"), "back", "leave"),
        )

    def _end(self, *, in_place: bool) -> None:
        if not self._is_changed:
            self.dismiss(None)
        elif not self._has_text:
            self._say(keys_of(self).said("A message needs a text. {edit-leave} leaves it as it was."))
        else:
            self.dismiss(Edited(self.query_one(EditedText).text, in_place))

    def _say(self, note: str) -> None:
        line = self.query_one("#edit-note", Static)
        line.update(note)
        line.display = bool(note)

    @on(TextArea.Changed)
    def _forget_question(self, event: TextArea.Changed) -> None:
        event.stop()
        if self._on_change is not None:
            self._on_change(event.text_area.text)
        self._asked = ""
        self._say(self._warning)

    @on(KeyHints.Chosen)
    async def _do_clicked(self, event: KeyHints.Chosen) -> None:
        event.stop()
        await self.run_action(event.action)

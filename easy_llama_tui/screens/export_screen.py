"""Asks in which format and to which file a chat is exported."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from easy_llama_tui.chats.chat_exchange import FORMATS, ExchangeFormat, file_name, format_for
from easy_llama_tui.chats.session import SessionError
from easy_llama_tui.drafts.path_suggester import PathSuggester, path_from
from easy_llama_tui.preferences.panel_keys import EXPORT_KEYS
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.text.display_text import printable
from easy_llama_tui.widgets.key_hints import KeyHint, KeyHints, keys_of
from easy_llama_tui.widgets.line_input import LineInput


@dataclass(frozen=True, slots=True)
class Export:
    """Where to export to."""

    path: Path
    replace: bool
    """Whether a file that is there already may be replaced."""
    typed: str
    """The path as it was typed."""


class ExportScreen(Dialog[Export | None]):
    """Ends with where to export to, or with None where it was closed.

    The suffix of the path says the format, and choosing a format changes the suffix.
    """

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in EXPORT_KEYS]
    DEFAULT_CSS = """
    ExportScreen {
        align: center middle;
        background: $background 60%;
    }
    ExportScreen > #export {
        width: 100%;
        max-width: 80;
        height: auto;
        max-height: 100%;
        padding: 0 1;
        border: round $primary;
        background: $surface;
        color: $foreground;
    }
    ExportScreen Input, ExportScreen Input:focus {
        height: 1;
        padding: 0 1;
        border: none;
        background: $background;
        color: $foreground;
    }
    ExportScreen #export-formats, ExportScreen #export-problem {
        height: auto;
        padding: 0 1;
        background: $surface;
        color: $foreground;
    }
    ExportScreen #export-problem {
        color: $text-warning;
        background: $surface;
    }
    """

    def __init__(self, title: str, folder: Path, *, typed: str = "", problem: str = "") -> None:
        """Ask where the chat of this title goes.

        Args:
            title: The chat's; the file is named after it at first.
            folder: What paths are relative to.
            typed: What was typed the time before.
            problem: What was wrong with it.
        """
        super().__init__()
        self._title_of_chat = title
        self._folder = folder
        self._typed = typed or file_name(title, FORMATS[0])
        self._problem = problem
        self._agreed: Path | None = None

    def compose(self) -> ComposeResult:
        """Show the formats, and the path below them."""
        with Vertical(id="export") as box:
            box.border_title = "Export"
            yield Static(id="export-formats", markup=False)
            yield LineInput(printable(self._typed), suggester=PathSuggester(self._folder))
            yield Static(id="export-problem", markup=False)
            said = keys_of(self).said
            step = said("{export-format-before}{export-format-next}")
            yield KeyHints(
                (
                    KeyHint("Enter", "export", "accept"),
                    KeyHint(step, "format", "format(1)"),
                    KeyHint(said("{export-close}"), "back", "close"),
                )
            )

    def on_mount(self) -> None:
        """Put the cursor at the end of the name, before the suffix."""
        self._say(self._problem)
        field = self.query_one(Input)
        field.focus()
        field.cursor_position = len(field.value) - len(Path(field.value).suffix)
        self._show_formats()

    def action_format(self, step: int) -> None:
        """Take another format, which changes the suffix."""
        kind = self._kind()
        place = FORMATS.index(kind) + step if kind else 0
        field = self.query_one(Input)
        stem = field.value
        if kind:
            stem = stem[: -len(Path(stem).suffix)]
        before = field.cursor_position
        field.value = stem + FORMATS[place % len(FORMATS)].suffixes[0]
        field.cursor_position = min(before, len(stem))

    def action_accept(self) -> None:
        """End with the path; where a file is there already, ask once more."""
        typed = self.query_one(Input).value.strip()
        if not typed:
            self._say(keys_of(self).said("Type the name of a file, or leave with {export-close}."))
            return
        path = path_from(typed, self._folder)
        try:
            format_for(path)
        except SessionError as error:
            self._say(error.next_step)
            return
        # Those of `Path` raise for a name that is too long; why it cannot be is said when it is written.
        if os.path.isdir(path):  # noqa: PTH112
            self._say("This is a folder; add the name of a file.")
        elif os.path.exists(path) and self._agreed != path:  # noqa: PTH110
            self._agreed = path
            self._say("This file is there already. Enter again replaces it.")
        else:
            self.dismiss(Export(path, self._agreed == path, typed))

    def action_close(self) -> None:
        """End without a path."""
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """Close where the click was beside the box."""
        if event.widget is self:
            self.action_close()

    def _kind(self) -> ExchangeFormat | None:
        try:
            return format_for(Path(self.query_one(Input).value.strip()))
        except SessionError:
            return None

    def _show_formats(self) -> None:
        kind = self._kind()
        rows = [
            Content.assemble(("● " if one is kind else "○ ") + one.name, f"  {one.suffixes[0]}")
            for one in FORMATS
        ]
        self.query_one("#export-formats", Static).update(Content("\n").join(rows))

    def _say(self, problem: str) -> None:
        line = self.query_one("#export-problem", Static)
        line.update(printable(problem))
        line.display = bool(problem)

    @on(Input.Changed)
    def _on_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._show_formats()
        if event.value != self._typed:
            self._agreed = None
            self._say("")
        self._typed = event.value

    @on(Input.Submitted)
    def _accept_typed(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_accept()

    @on(events.Click, "#export-formats")
    def _take_clicked(self, event: events.Click) -> None:
        event.stop()
        if 0 <= event.y < len(FORMATS):
            kind = self._kind()
            self.action_format(event.y - FORMATS.index(kind) if kind else 1)

    @on(KeyHints.Chosen)
    async def _do_clicked(self, event: KeyHints.Chosen) -> None:
        event.stop()
        await self.run_action(event.action)

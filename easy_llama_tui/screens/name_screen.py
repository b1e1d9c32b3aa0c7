"""A small screen that asks for one line, such as a name or a path."""

from collections.abc import Callable
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.suggester import Suggester
from textual.widgets import Input, Static

from easy_llama_tui.preferences.panel_keys import NAME_KEYS
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.text.display_text import printable
from easy_llama_tui.widgets.key_hints import KeyHint, KeyHints, keys_of
from easy_llama_tui.widgets.line_input import LineInput


class NameScreen(Dialog[str | None]):
    """Ends with the line that was typed, without spaces around it, or with None where it was closed."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in NAME_KEYS]
    DEFAULT_CSS = """
    NameScreen {
        align: center middle;
        background: $background 60%;
    }
    NameScreen > .name-box {
        width: 100%;
        max-width: 80;
        height: auto;
        max-height: 100%;
        padding: 0 1;
        border: round $primary;
        background: $surface;
        color: $foreground;
    }
    NameScreen Input, NameScreen Input:focus {
        height: 1;
        padding: 0 1;
        border: none;
        background: $background;
        color: $foreground;
    }
    NameScreen .name-note {
        height: auto;
        padding: 0 1;
        background: $surface;
        color: $text-muted;
    }
    NameScreen .name-problem {
        height: auto;
        padding: 0 1;
        background: $surface;
        color: $text-warning;
    }
    NameScreen KeyHints {
        margin-top: 1;
    }
    """

    def __init__(
        self,
        question: str,
        value: str = "",
        *,
        accept: str = "accept",
        placeholder: str = "",
        note: str = "",
        problem: str = "",
        check: Callable[[str], str] | None = None,
        suggester: Suggester | None = None,
    ) -> None:
        """Ask for a line.

        Args:
            question: what is asked for, in the border.
            value: what stands there at first, selected: typing replaces it.
            accept: what Enter does, in a word or two.
            placeholder: an example, shown while nothing is typed.
            note: a line of help.
            problem: what was wrong with the value the time before.
            check: returns why a line cannot be accepted, or ""; it is called for each Enter.
            suggester: completes what is typed; → takes its suggestion.
        """
        super().__init__()
        self._question = question
        self._value = printable(value)
        self._accept = accept
        self._placeholder = placeholder
        self._note = note
        self._problem = problem
        self._check = check
        self._suggester = suggester

    def compose(self) -> ComposeResult:
        """Show the field in a box, with what is to be said of it below."""
        with Vertical(classes="name-box") as box:
            box.border_title = printable(self._question)
            yield LineInput(self._value, placeholder=self._placeholder, suggester=self._suggester)
            if self._note:
                yield Static(printable(self._note), classes="name-note", markup=False)
            yield Static(classes="name-problem", markup=False)
            yield KeyHints(self._hints())

    def on_mount(self) -> None:
        """Select what stands there."""
        self._say(self._problem)
        field = self.query_one(Input)
        field.focus()
        field.action_select_all()

    def _hints(self) -> tuple[KeyHint, ...]:
        completion = (KeyHint("→", "complete", "complete"),) if self._suggester else ()
        close = KeyHint(keys_of(self).said("{name-close}"), "back", "close")
        return (KeyHint("Enter", self._accept, "accept"), *completion, close)

    def action_accept(self) -> None:
        """End with the line, where there is one and nothing speaks against it."""
        text = self.query_one(Input).value.strip()
        problem = keys_of(self).said("Type something, or leave with {name-close}.") if not text else ""
        if not problem and self._check is not None:
            problem = self._check(text)
        if problem:
            self._say(problem)
        else:
            self.dismiss(text)

    def action_complete(self) -> None:
        """Take the suggestion."""
        field = self.query_one(Input)
        field.action_end()
        field.action_cursor_right()

    def action_close(self) -> None:
        """End without a line."""
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """Close where the click was beside the box."""
        if event.widget is self:
            self.action_close()

    def _say(self, problem: str) -> None:
        line = self.query_one(".name-problem", Static)
        line.update(printable(problem))
        line.display = bool(problem)

    @on(Input.Changed)
    def _forget_problem(self, event: Input.Changed) -> None:
        event.stop()
        if event.value != self._value:
            self._say("")

    @on(Input.Submitted)
    def _accept_typed(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_accept()

    @on(KeyHints.Chosen)
    async def _do_clicked(self, event: KeyHints.Chosen) -> None:
        event.stop()
        await self.run_action(event.action)

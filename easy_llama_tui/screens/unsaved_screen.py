"""Asks what to do with chats that cannot be saved, before the program ends."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static

from easy_llama_tui.preferences.panel_keys import UNSAVED_KEYS
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.text.display_text import one_line, printable
from easy_llama_tui.widgets.key_hints import KeyHint, KeyHints, keys_of

Answer = Literal["again", "elsewhere", "leave"]
_SHOWN_TITLES = 5


class UnsavedScreen(Dialog[Answer | None]):
    """Ends with what to do, or with None where the person wants to stay."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in UNSAVED_KEYS]
    DEFAULT_CSS = """
    UnsavedScreen {
        align: center middle;
        background: $background 60%;
    }
    UnsavedScreen > #unsaved {
        width: 100%;
        max-width: 80;
        height: auto;
        max-height: 100%;
        padding: 0 1;
        border: round $error;
        background: $surface;
        color: $foreground;
    }
    UnsavedScreen Static {
        height: auto;
        padding: 0 1;
        background: $surface;
        color: $foreground;
    }
    UnsavedScreen .unsaved-reason {
        color: $text-error;
    }
    UnsavedScreen KeyHints {
        margin-top: 1;
    }
    """

    def __init__(self, titles: Sequence[str], reasons: Sequence[str]) -> None:
        """Ask about the chats of these titles, which cannot be saved for these reasons."""
        super().__init__()
        self._titles = titles
        self._reasons = dict.fromkeys(reasons)

    def compose(self) -> ComposeResult:
        """Show what is not saved and why, and what can be done."""
        with Vertical(id="unsaved") as box:
            box.border_title = "Not saved"
            shown = [f"“{one_line(title)}”" for title in self._titles[:_SHOWN_TITLES]]
            more = len(self._titles) - len(shown)
            shown += [f"and {more} more"] if more else []
            yield Static(f"The newest words of {', '.join(shown)} are only in memory.", markup=False)
            for reason in self._reasons:
                yield Static(f"⚠ {printable(reason)}", classes="unsaved-reason", markup=False)
            said = keys_of(self).said
            yield KeyHints(
                (
                    KeyHint(said("{unsaved-again}"), "try again", "answer('again')"),
                    KeyHint(said("{unsaved-elsewhere}"), "save in another folder", "answer('elsewhere')"),
                    KeyHint(said("{unsaved-leave}"), "leave, and lose them", "answer('leave')"),
                    KeyHint(said("{unsaved-close}"), "stay", "close"),
                )
            )

    def action_answer(self, answer: Answer) -> None:
        """End with an answer."""
        self.dismiss(answer)

    def action_close(self) -> None:
        """Stay."""
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """Stay where the click was beside the box."""
        if event.widget is self:
            self.action_close()

    @on(KeyHints.Chosen)
    async def _do_clicked(self, event: KeyHints.Chosen) -> None:
        event.stop()
        await self.run_action(event.action)

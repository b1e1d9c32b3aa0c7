"""Says what is wrong with a chat's file, and offers a copy of what can be read of it."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from easy_llama_tui.chats.session import Session, SessionError
from easy_llama_tui.chats.session_recovery import Recovery
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.preferences.panel_keys import RECOVERY_KEYS
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.screens.file_thread import FileThread
from easy_llama_tui.text.display_text import one_line, printable
from easy_llama_tui.widgets.key_hints import KeyHint, KeyHints, keys_of

_SHOWN_NOTES: Final = 50


class RecoveryScreen(Dialog[bool]):
    """Ends with whether a copy of what can be read is wanted."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in RECOVERY_KEYS]
    DEFAULT_CSS = """
    RecoveryScreen {
        align: center middle;
        background: $background 60%;
    }
    RecoveryScreen > #recovery {
        width: 100%;
        max-width: 90;
        height: auto;
        max-height: 100%;
        border: round $primary;
        background: $surface;
        color: $foreground;
    }
    RecoveryScreen VerticalScroll {
        height: auto;
        max-height: 16;
        padding: 0 1;
        background: $surface;
        scrollbar-size-vertical: 1;
    }
    RecoveryScreen Static {
        height: auto;
        background: $surface;
        color: $foreground;
    }
    RecoveryScreen .recovery-problem {
        color: $text-error;
    }
    RecoveryScreen .recovery-notes {
        color: $text-muted;
    }
    RecoveryScreen KeyHints {
        margin-top: 1;
    }
    """

    def __init__(self, recovery: Recovery, problem: str) -> None:
        """Offer what was recovered of a file that has this problem."""
        super().__init__()
        self._recovery = recovery
        self._problem = problem

    def compose(self) -> ComposeResult:
        """Show the problem, what can be read, and what cannot."""
        with Vertical(id="recovery") as box:
            box.border_title = "This chat cannot be opened"
            with VerticalScroll():
                yield Static(f"⚠ {printable(self._problem)}\n", classes="recovery-problem", markup=False)
                yield Static(found_words(self._recovery), markup=False)
                if notes := self._recovery.notes[:_SHOWN_NOTES]:
                    more = len(self._recovery.notes) - len(notes)
                    lines = [one_line(note) for note in notes] + [f"and {more} more."] * bool(more)
                    yield Static("\n" + "\n".join(lines), classes="recovery-notes", markup=False)
            said = keys_of(self).said
            accept = (KeyHint(said("{recovery-accept}"), "open a copy of that", "accept"),)
            close = KeyHint(said("{recovery-close}"), "back", "close")
            yield KeyHints((*(() if self._recovery.is_empty else accept), close))

    def on_mount(self) -> None:
        """Let the arrow keys scroll."""
        self.query_one(VerticalScroll).focus()

    def action_accept(self) -> None:
        """End with yes, where there is something to copy."""
        if not self._recovery.is_empty:
            self.dismiss(True)

    def action_close(self) -> None:
        """End with no."""
        self.dismiss(False)

    def on_click(self, event: events.Click) -> None:
        """Close where the click was beside the box."""
        if event.widget is self:
            self.action_close()

    @on(KeyHints.Chosen)
    async def _do_clicked(self, event: KeyHints.Chosen) -> None:
        event.stop()
        await self.run_action(event.action)


def found_words(recovery: Recovery) -> str:
    """Return what was found, in a sentence or two."""
    if recovery.is_empty:
        return "No message in it can be read. The file stays as it is."
    whole = "1 message" if recovery.whole == 1 else f"{recovery.whole:,} messages"
    partly = f", and {recovery.partial:,} in part" if recovery.partial else ""
    return f"{whole} can be read{partly}. The file stays as it is; a copy becomes a chat of its own."


def offer_recovery(
    app: App[Any],
    files: FileThread,
    store: SessionStore,
    chat_id: str,
    problem: str,
    then: Callable[[Session], None],
) -> None:
    """Offer a copy of what can be read of a chat's damaged file; `then` is told of the copy that was made.

    Args:
        app: Where it is offered.
        files: Reads and writes.
        store: Where the chat is.
        chat_id: What the store finds it by.
        problem: What is wrong with it.
        then: Told on the UI thread.
    """

    def answered(recovery: Recovery, wanted: bool | None) -> None:
        if wanted:
            files.do(partial(store.save_recovered, recovery), then)

    def offer(recovery: Recovery) -> None:
        app.push_screen(RecoveryScreen(recovery, problem), partial(answered, recovery))

    def failed(_error: SessionError) -> None:
        app.notify(one_line(problem), severity="error", timeout=10, markup=False)

    files.do(partial(store.recover, chat_id), offer, failed)

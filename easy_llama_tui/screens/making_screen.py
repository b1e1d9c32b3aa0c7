"""How a reply was made, to read, to copy, and to make it again."""

from typing import ClassVar, Final, Literal

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from easy_llama_tui.chats.making_words import MakingWords, making_text
from easy_llama_tui.clipboard import copy_text
from easy_llama_tui.preferences.panel_keys import MAKING_KEYS
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.text.display_text import one_line, printable
from easy_llama_tui.widgets.key_hints import KeyHint, KeyHints, keys_of

Again = Literal["again"]
_LABEL: Final = 22
"""Cells of the names; the longest setting and a gap."""


class MakingScreen(Dialog[Again | None]):
    """Ends with "again" where the reply is to be made again, else with None."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in MAKING_KEYS]
    DEFAULT_CSS = """
    MakingScreen {
        align: center middle;
        background: $background 60%;
    }
    MakingScreen > #making {
        width: 100%;
        max-width: 90;
        height: 100%;
        max-height: 46;
        border: round $primary;
        background: $surface;
        color: $foreground;
    }
    MakingScreen VerticalScroll {
        height: 1fr;
        padding: 0 1;
        background: $surface;
        scrollbar-size-vertical: 1;
    }
    MakingScreen #making-facts {
        color: $foreground;
        background: $surface;
    }
    MakingScreen #making-cautions {
        color: $text-warning;
        background: $surface;
    }
    """

    def __init__(self, words: MakingWords) -> None:
        """Show these words."""
        super().__init__()
        self._words = words

    def compose(self) -> ComposeResult:
        """Show the cautions, then the figures, which scroll."""
        with Vertical(id="making") as box:
            box.border_title = "How this reply was made"
            with VerticalScroll():
                cautions = "\n".join(f"⚠ {printable(one)}" for one in self._words.cautions)
                if cautions:
                    yield Static(f"{cautions}\n", id="making-cautions", markup=False)
                yield Static(self._facts(), id="making-facts", markup=False)
            yield KeyHints(self._hints())

    def on_mount(self) -> None:
        """Let the arrow keys scroll."""
        self.query_one(VerticalScroll).focus()

    def action_copy_all(self) -> None:
        """Copy all of it."""
        self._copy(making_text(self._words))

    def action_copy_seed(self) -> None:
        """Copy the seed."""
        if self._words.seed is None:
            self.notify("Its seed is not known.", markup=False)
        else:
            self._copy(str(self._words.seed))

    def action_again(self) -> None:
        """Make the reply again, where that can be."""
        if self._words.can_repeat:
            self.dismiss("again")
        else:
            self.notify("Too little is known of it to make it again.", markup=False)

    def action_close(self) -> None:
        """Close."""
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """Close where the click was beside the box."""
        if event.widget is self:
            self.action_close()

    def _copy(self, text: str) -> None:
        async def copy() -> None:
            result = await copy_text(text, self.app)
            self.notify(result.notice, markup=False)

        self.run_worker(copy())

    def _facts(self) -> Content:
        lines = []
        for name, value in self._words.facts:
            if value:
                lines.append(Content.assemble((f"{name:<{_LABEL}}", "$text-muted"), one_line(value)))
            else:
                lines.append(Content.styled(name, "bold"))
        return Content("\n").join(lines)

    def _hints(self) -> tuple[KeyHint, ...]:
        said = keys_of(self).said
        again = (
            (KeyHint(said("{making-again}"), "again with the same seed", "again", "again"),)
            if self._words.can_repeat
            else ()
        )
        return (
            *again,
            KeyHint(said("{making-copy-seed}"), "copy the seed", "copy_seed", "seed"),
            KeyHint(said("{making-copy}"), "copy all", "copy_all"),
            KeyHint(said("{making-close}"), "back", "close"),
        )

    @on(KeyHints.Chosen)
    async def _do_clicked(self, event: KeyHints.Chosen) -> None:
        event.stop()
        await self.run_action(event.action)

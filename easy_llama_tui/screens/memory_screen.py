"""Asks what to do about a model that may not fit the memory."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static

from easy_llama_tui.models.memory_check import MemoryDoubt
from easy_llama_tui.preferences.panel_keys import MEMORY_KEYS
from easy_llama_tui.screens.dialog import Dialog
from easy_llama_tui.text.display_text import one_line
from easy_llama_tui.widgets.key_hints import KeyHint, KeyHints, keys_of
from easy_llama_tui.widgets.model_row import gigabytes
from easy_llama_tui.widgets.row_list import Part, RowList

LoadingWay = Literal["shorter", "anyway"]
"""With a shorter context, or as it was to be loaded."""


class _Ways(RowList):
    """What can be done. The first row is the safe one: Enter may have been meant for the prompt."""

    def __init__(self, doubt: MemoryDoubt) -> None:
        super().__init__(id="memory-ways")
        self.ways: list[tuple[str, LoadingWay | None]] = [
            ("Do not load it", None),
            ("Load it anyway", "anyway"),
        ]
        if doubt.shorter_context is not None:
            words = f"Load it with a context of {doubt.shorter_context:,} tokens, which fits"
            self.ways.insert(0, (words, "shorter"))
        self.row_count = len(self.ways)

    def draw_row(self, index: int, width: int) -> Sequence[Part]:
        """Return a way in words."""
        return [Part(f"  {self.ways[index][0]}")]


class MemoryScreen(Dialog[LoadingWay | None]):
    """Ends with how the model is to be loaded, or with None where it is not."""

    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in MEMORY_KEYS]
    DEFAULT_CSS = """
    MemoryScreen {
        align: center middle;
        background: $background 60%;
    }
    MemoryScreen > #memory {
        width: 100%;
        max-width: 76;
        height: auto;
        max-height: 100%;
        padding: 0 1;
        border: round $primary;
        background: $surface;
        color: $foreground;
    }
    MemoryScreen #memory-words {
        height: auto;
        padding: 0 1 1 1;
        background: $surface;
        color: $foreground;
    }
    """

    def __init__(self, model: str, doubt: MemoryDoubt) -> None:
        """Ask about the model that is called so."""
        super().__init__()
        self._model = model
        self._doubt = doubt

    def compose(self) -> ComposeResult:
        """Say what is needed and what there is, and list what can be done."""
        with Vertical(id="memory") as box:
            box.border_title = "This model may not fit the memory"
            yield Static(self._words(), id="memory-words", markup=False)
            ways = _Ways(self._doubt)
            ways.styles.height = len(ways.ways)
            yield ways
            said = keys_of(self).said
            yield KeyHints(
                (
                    KeyHint(said("{rows-enter}"), "do that", "take"),
                    KeyHint(said("{memory-close}"), "do not load it", "close"),
                )
            )

    def on_mount(self) -> None:
        """Let the arrow keys choose."""
        self.query_one(_Ways).focus()

    def action_take(self) -> None:
        """Do what the cursor is on."""
        self.query_one(_Ways).action_enter()

    def action_close(self) -> None:
        """Do not load it."""
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """Close where the click was beside the box."""
        if event.widget is self:
            self.action_close()

    def _words(self) -> str:
        doubt = self._doubt
        needs = (
            f"{one_line(self._model)} needs about {gigabytes(doubt.needed_bytes)} with a context of "
            f"{doubt.context_length:,} tokens; {gigabytes(doubt.free_bytes)} are free"
        )
        if doubt.is_on_gpu:
            return (
                f"{needs} on the GPU. Where its memory runs out, the model is not loaded, or the program "
                "ends. --n-gpu-layers puts fewer layers there. The chat is kept."
            )
        return (
            f"{needs}. Where memory runs out, everything becomes slow, or the system ends the program. "
            "The chat is kept."
        )

    @on(RowList.RowTaken)
    def _take(self, event: RowList.RowTaken) -> None:
        event.stop()
        self.dismiss(self.query_one(_Ways).ways[event.index][1])

    @on(KeyHints.Chosen)
    async def _do_clicked(self, event: KeyHints.Chosen) -> None:
        event.stop()
        await self.run_action(event.action)

"""The panel at the side of the chat: one of four, or none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from easy_llama_tui.widgets.candidates_panel import CandidatesPanel
from easy_llama_tui.widgets.context_panel import ContextPanel
from easy_llama_tui.widgets.format_panel import FormatPanel
from easy_llama_tui.widgets.sampler_panel import SamplerPanel

PANELS: Mapping[str, type[Widget]] = {
    "format": FormatPanel,
    "sampler": SamplerPanel,
    "candidates": CandidatesPanel,
    "context": ContextPanel,
}
"""The panels by name."""

_FOCUSED_WHEN_OPENED = frozenset({"format", "sampler"})
"""One opens them to choose; the others are looked at while one writes."""

Panel = TypeVar("Panel", bound=Widget)


class SidePanel(Vertical):
    """Shows one panel at a time. A panel is made when it is first opened, and then stays as it was left."""

    @dataclass
    class Changed(Message):
        """Another panel is shown, or none."""

        panel: str
        """Its name, or "" where none is."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(id=id)
        self.display = False
        self.shown_panel = ""

    def compose(self) -> ComposeResult:
        """Begin empty."""
        return iter(())

    async def toggle(self, name: str) -> None:
        """Show a panel, or close it where it is the one that is shown."""
        await self.show_panel("" if name == self.shown_panel else name)

    async def show_panel(self, name: str, *, focus: bool = True) -> None:
        """Show the panel of this name; "" shows none, and so does a name that is not known."""
        name = name if name in PANELS else ""
        self.shown_panel = name
        for panel in self.children:
            panel.display = panel.id == name
        if name and not self.query(f"#{name}"):
            await self.mount(PANELS[name](id=name))
        self.display = bool(name)
        self.post_message(self.Changed(name))
        if focus and self.takes_keys:
            self.query_one(f"#{name}", PANELS[name]).focus_first()  # type: ignore[attr-defined]

    @property
    def takes_keys(self) -> bool:
        """Whether the panel that is shown is one that has the keys when it is opened."""
        return self.shown_panel in _FOCUSED_WHEN_OPENED

    def panel(self, kind: type[Panel]) -> Panel | None:
        """Return a panel while it is shown, else None."""
        found = next((child for child in self.children if isinstance(child, kind)), None)
        return found if found is not None and found.display and self.display else None

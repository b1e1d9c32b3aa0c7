"""The panel at the side of the chat: one of four, or none."""

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

if TYPE_CHECKING:
    from easy_llama_tui.widgets.candidates_panel import CandidatesPanel
    from easy_llama_tui.widgets.context_panel import ContextPanel
    from easy_llama_tui.widgets.format_panel import FormatPanel
    from easy_llama_tui.widgets.sampler_panel import SamplerPanel

PANELS: Final = {
    "format": "FormatPanel",
    "sampler": "SamplerPanel",
    "candidates": "CandidatesPanel",
    "context": "ContextPanel",
}
"""The classes of the panels by name. Each has a module, which is loaded when it is first opened."""

_FOCUSED_WHEN_OPENED = frozenset({"format", "sampler"})
"""One opens them to choose; the others are looked at while one writes."""


class SidePanel(Vertical):
    """Shows one panel at a time. A panel is made when it is first opened, and then stays as it was left."""

    class Changed(Message):
        """Another panel is shown, or none."""

        def __init__(self, panel: str) -> None:
            super().__init__()
            self.panel = panel
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
            await self.mount(_panel_class(name)(id=name))
        self.display = bool(name)
        self.post_message(self.Changed(name))
        if focus and self.takes_keys:
            self.query_one(f"#{name}").focus_first()  # type: ignore[attr-defined]

    @property
    def takes_keys(self) -> bool:
        """Whether the panel that is shown is one that has the keys when it is opened."""
        return self.shown_panel in _FOCUSED_WHEN_OPENED

    @property
    def format_panel(self) -> "FormatPanel | None":
        """The panel of formats while it is shown, else None."""
        return cast("FormatPanel | None", self._shown("format"))

    @property
    def sampler_panel(self) -> "SamplerPanel | None":
        """The panel of the sampler while it is shown, else None."""
        return cast("SamplerPanel | None", self._shown("sampler"))

    @property
    def candidates_panel(self) -> "CandidatesPanel | None":
        """The panel of candidates while it is shown, else None."""
        return cast("CandidatesPanel | None", self._shown("candidates"))

    @property
    def context_panel(self) -> "ContextPanel | None":
        """The panel of the context while it is shown, else None."""
        return cast("ContextPanel | None", self._shown("context"))

    def _shown(self, name: str) -> Widget | None:
        if name != self.shown_panel:
            return None
        return next((child for child in self.children if child.id == name), None)


def _panel_class(name: str) -> type[Widget]:
    module = import_module(f"easy_llama_tui.widgets.{name}_panel")
    return cast(type[Widget], getattr(module, PANELS[name]))

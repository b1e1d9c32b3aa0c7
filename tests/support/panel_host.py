"""A panel alone on a screen, driven by keys."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from textual.app import ComposeResult
from textual.geometry import Offset
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget

from support.themed_app import ThemedApp
from support.waiting import until

PanelT = TypeVar("PanelT", bound=Widget)


class PanelApp(ThemedApp):
    """Nothing but a panel; remembers what it posts."""

    AUTO_FOCUS = None

    def __init__(self, panel: Widget) -> None:
        super().__init__()
        self.panel = panel
        self.posted: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.panel

    def note(self, message: Message) -> None:
        # A message passes once for each widget that it bubbles to.
        is_from_panel = type(message).__qualname__.startswith(type(self.panel).__qualname__)
        if is_from_panel and not any(message is one for one in self.posted):
            self.posted.append(message)


@dataclass
class PanelReader(Generic[PanelT]):
    """Looks at a panel and presses keys."""

    pilot: Pilot[None]
    app: PanelApp
    panel: PanelT

    @property
    def posted(self) -> list[Message]:
        return self.app.posted

    def rows(self) -> list[str]:
        """The screen, row by row."""
        return [
            "".join(segment.text for segment in line).rstrip()
            for line in self.app.screen._compositor.render_strips()
        ]

    def text(self) -> str:
        return "\n".join(self.rows())

    def row_with(self, text: str) -> str:
        return next(row for row in self.rows() if text in row)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def click(self, text: str, times: int = 1) -> None:
        """Click on where `text` is on the screen."""
        for y, row in enumerate(self.rows()):
            if text in row:
                await self.pilot.click(offset=Offset(row.index(text), y), times=times)
                await self.pilot.pause()
                return
        raise AssertionError(f"{text!r} is not on the screen:\n{self.text()}")

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; fail where it never is."""
        await until(self.pilot, condition)


@asynccontextmanager
async def panel_on_screen(
    panel: PanelT, size: tuple[int, int] = (36, 30)
) -> AsyncIterator[PanelReader[PanelT]]:
    app = PanelApp(panel)
    async with app.run_test(size=size, message_hook=app.note) as pilot:
        await pilot.pause()
        yield PanelReader(pilot, app, panel)

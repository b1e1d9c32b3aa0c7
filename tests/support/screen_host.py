"""A modal screen over a few lines of chat, driven by keys."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from support.themed_app import ThemedApp
from support.waiting import until

OPEN = object()
"""The result of a screen that was not closed yet."""


class ScreenApp(ThemedApp):
    """Shows one screen, and remembers what it ended with."""

    def __init__(self, shown: Screen[Any]) -> None:
        super().__init__()
        self._shown = shown
        self.result: object = OPEN

    def compose(self) -> ComposeResult:
        yield Static("chat behind\n" * 60)

    def on_mount(self) -> None:
        self.push_screen(self._shown, lambda result: setattr(self, "result", result))


@dataclass
class ScreenReader:
    """Looks at a screen and presses keys."""

    pilot: Pilot[None]
    app: ScreenApp

    def lines(self) -> list[str]:
        """What is seen, line by line."""
        return [
            "".join(segment.text for segment in line).rstrip()
            for line in self.app.screen._compositor.render_strips()
        ]

    def text(self) -> str:
        return "\n".join(self.lines())

    def line(self, part: str) -> str:
        """The first line that holds a text, without what is around the box."""
        return next((line.strip(" │") for line in self.lines() if part in line), "")

    def pointed(self) -> str:
        """The highlighted row."""
        return self.line("▸").partition("▸")[2].strip(" │")

    async def type(self, text: str) -> None:
        names = {" ": "space"}
        await self.pilot.press(*(names.get(character, character) for character in text))

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; fail where it never is."""
        await until(self.pilot, condition, self.text)

    async def until_seen(self, *parts: str) -> None:
        await self.until(lambda: all(part in self.text() for part in parts))

    async def ended(self) -> object:
        """What the screen ended with."""
        await self.until(lambda: self.app.result is not OPEN)
        return self.app.result

    @property
    def is_open(self) -> bool:
        return self.app.result is OPEN


@asynccontextmanager
async def show(shown: Screen[Any], size: tuple[int, int] = (120, 30)) -> AsyncIterator[ScreenReader]:
    """Run an app that shows this screen."""
    app = ScreenApp(shown)
    async with app.run_test(size=size) as pilot:
        reader = ScreenReader(pilot, app)
        await reader.until(lambda: app.screen is shown)
        yield reader

"""A modal screen over a few lines of chat, driven by keys."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Static

from easy_llama_tui.preferences.themes import DEFAULT_THEME, load_themes, theme_variables, themes_folder

OPEN = object()
"""The result of a screen that was not closed yet."""


class ScreenApp(App[None]):
    """Shows one screen, and remembers what it ended with."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, shown: Screen[Any]) -> None:
        super().__init__()
        self._shown = shown
        self.result: object = OPEN
        for theme in load_themes([themes_folder()])[0]:
            self.register_theme(theme)
        self.theme = DEFAULT_THEME

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme_variables(self.current_theme)

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

    async def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait until something is so; fail where it never is, with what is seen."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"never happened:\n{self.text()}"
            await self.pilot.pause()
            await asyncio.sleep(0)

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

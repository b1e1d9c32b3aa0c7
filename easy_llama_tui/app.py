"""The app: themes, the screen, and the way out."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import App

from easy_llama_tui.chat import Chat
from easy_llama_tui.commands import KeyCommands
from easy_llama_tui.engine import ChatEngine
from easy_llama_tui.screens.chat_screen import ChatScreen
from easy_llama_tui.session_store import SessionStore
from easy_llama_tui.themes import DEFAULT_THEME, load_themes, themes_folder

HANG_SECONDS = 10.0
"""How long leaving may take after a signal."""


class EzllamaApp(App[None]):
    """A chat with one model, full screen."""

    TITLE = "ezllama"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar = {KeyCommands}

    def __init__(
        self,
        engine: ChatEngine,
        store: SessionStore,
        chat: Chat,
        begin_chat: Callable[[], Chat],
        notices: tuple[str, ...] = (),
    ) -> None:
        """Make the app for one engine; the arguments are those of `ChatScreen`."""
        super().__init__()
        self.failure = ""
        """Why the program cannot go on, for the terminal it is given back to."""
        self.left_cleanly = True
        """Whether all was saved and freed in time at the end."""
        self.chat_screen = ChatScreen(engine, store, chat, begin_chat, notices)
        themes, self._broken_themes = load_themes([themes_folder()])
        for theme in themes:
            self.register_theme(theme)
        self.theme = DEFAULT_THEME

    async def on_mount(self) -> None:
        """Show the chat, and leave in good order when the terminal goes away."""
        # Keys wait until it is there, so that none is lost.
        await self.push_screen(self.chat_screen)
        for error in self._broken_themes:
            self.notify(str(error), severity="warning", markup=False)
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                loop.add_signal_handler(getattr(signal, name), self._on_signal)

    async def action_quit(self) -> None:
        """Save and leave."""
        self.left_cleanly = self.chat_screen.leave()
        self.exit()

    @on(ChatScreen.EngineFailed)
    def _on_engine_failed(self, message: ChatScreen.EngineFailed) -> None:
        self.failure = message.reason
        self.left_cleanly = self.chat_screen.leave()
        self.exit(return_code=2)

    def _on_signal(self) -> None:
        # Should the app hang, a terminal that is gone must not leave it behind, computing.
        timer = threading.Timer(HANG_SECONDS, os._exit, args=(1,))
        timer.daemon = True
        timer.start()
        self.run_worker(self.action_quit())

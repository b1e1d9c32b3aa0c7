"""The app: themes, the screen, and the way out."""

import asyncio
import signal
from collections.abc import Callable
from typing import ClassVar

from textual.app import App

from easy_llama_tui.chat import Chat
from easy_llama_tui.commands import KeyCommands
from easy_llama_tui.engine import ChatEngine
from easy_llama_tui.screens.chat_screen import ChatScreen
from easy_llama_tui.session_store import SessionStore
from easy_llama_tui.themes import DEFAULT_THEME, load_themes, themes_folder


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

    def on_mount(self) -> None:
        """Show the chat, and leave in good order when the terminal goes away."""
        self.push_screen(self.chat_screen)
        for error in self._broken_themes:
            self.notify(str(error), severity="warning", markup=False)
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                loop.add_signal_handler(getattr(signal, name), lambda: self.run_worker(self.action_quit()))

    async def action_quit(self) -> None:
        """Save and leave."""
        self.left_cleanly = self.chat_screen.leave()
        self.exit()

    def fail(self, reason: str) -> None:
        """Leave because of something that the person must know about."""
        self.failure = reason
        self.left_cleanly = self.chat_screen.leave()
        self.exit(return_code=2)

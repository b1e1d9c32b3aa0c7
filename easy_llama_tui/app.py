"""The app: themes, the screen, what is remembered, and the way out."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import App
from textual.binding import BindingType
from textual.driver import Driver
from textual.notifications import SeverityLevel
from textual.widget import AwaitMount
from textual.worker import WorkType

from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.garbage import LOOK_SECONDS, GarbageCollection
from easy_llama_tui.locations import config_file
from easy_llama_tui.preferences import remembered
from easy_llama_tui.preferences.config import unknown_choice
from easy_llama_tui.preferences.keymap import APP_KEYS
from easy_llama_tui.preferences.themes import (
    DEFAULT_THEME,
    load_themes,
    themes_folder,
    user_themes_folder,
)
from easy_llama_tui.replies.engine import ChatEngine
from easy_llama_tui.screens.chat_screen import ChatScreen
from easy_llama_tui.settings import Settings
from easy_llama_tui.suspension import Suspension
from easy_llama_tui.text.display_text import one_line, printable, without_heaps

if TYPE_CHECKING:
    from easy_llama_tui.chats.session_store import SessionStore

HANG_SECONDS = 10.0
"""How long leaving may take after a signal."""

_LONGEST_NOTICE = 2_000
"""What a notice holds at most, in characters: it must not cover more than the screen."""

_SIXTEEN_COLOURS_THEME = "high-contrast-dark"
"""What stays readable where the terminal has sixteen colours, unless another was chosen."""


class EzllamaApp(App[None], inherit_bindings=False):
    """A chat with one model, full screen."""

    TITLE = "ezllama"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [key.binding() for key in APP_KEYS]

    def __init__(
        self,
        make_engine: Callable[[], ChatEngine],
        make_store: "Callable[[], SessionStore]",
        chat: Chat,
        settings: Settings,
    ) -> None:
        """Make the app for one engine; the arguments are those of `ChatScreen`."""
        # Without colours the terminal's own default ones serve, and not greys of ours.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.failure = ""
        """Why the program cannot go on, for the terminal it is given back to."""
        self.left_cleanly = True
        """Whether all was saved and freed in time at the end."""
        self.settings = settings
        self.keys = settings.config.keys
        """The keys in force, which the widgets name."""
        self.chat_screen = ChatScreen(make_engine, make_store, chat, settings)
        self._garbage = GarbageCollection()
        self._is_leaving = False
        self._suspension = Suspension(self, self.chat_screen.save_now)
        self.set_keymap(settings.config.keys.keymap())
        self._theme_problems = self._use_themes()

    def _use_themes(self) -> list[str]:
        """Put on the theme that is wished for, and return what is wrong with it.

        Reading all of them would take longer than all else that comes before the first picture.
        """
        wished = self.settings.config.appearance.theme
        for name in list(self.available_themes):
            self.unregister_theme(name)
        problems = self._read_themes(lambda path: path.stem == wished)
        if wished not in self.available_themes:
            problems = self._read_themes()
            names = list(self.available_themes)
            problem = unknown_choice(config_file(), "appearance.theme", wished, names, DEFAULT_THEME)
            problems.append(str(problem))
            wished = DEFAULT_THEME
        if wished == DEFAULT_THEME and self.console.color_system == "standard":
            wished = _SIXTEEN_COLOURS_THEME
            self._read_themes(lambda path: path.stem == _SIXTEEN_COLOURS_THEME)
        self.theme = self._first_theme = wished
        self.stylesheet.set_variables(self.get_css_variables())
        return problems

    def _read_themes(self, wanted: Callable[[Path], bool] = lambda _path: True) -> list[str]:
        """Read themes that are not there yet, and return what is wrong with the others."""
        themes, failed = load_themes([themes_folder(), user_themes_folder()], wanted)
        for theme in themes:
            if theme.name not in self.available_themes:
                self.register_theme(theme)
        return [str(error) for error in failed]

    def _read_more_themes(self, wanted: Callable[[Path], bool] = lambda _path: True) -> None:
        """Read themes that are not there yet, and say what is wrong with the others, each thing once."""
        new = [problem for problem in self._read_themes(wanted) if problem not in self._theme_problems]
        self._theme_problems += new
        self._warn(new)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a notice. What it says may come from any model or file: it is text, and never markup."""
        shown = without_heaps(printable(message))
        if len(shown) > _LONGEST_NOTICE:
            shown = f"{shown[:_LONGEST_NOTICE]}…"
        title = without_heaps(one_line(title))
        super().notify(shown, title=title, severity=severity, timeout=timeout, markup=False)

    def _warn(self, problems: Iterable[str]) -> None:
        for problem in problems:
            self.notify(problem, severity="warning", timeout=10, markup=False)

    def refresh_css(self, animate: bool = True) -> None:
        """Style everything anew; nothing while there is no screen, whose style rules are read soon enough."""
        if self.screen_stack:
            super().refresh_css(animate=animate)

    def get_driver_class(self) -> type[Driver]:
        """Return what speaks to the terminal: where Textual would take its own for Unix, ours."""
        chosen = super().get_driver_class()
        if chosen.__name__ != "LinuxDriver":
            return chosen
        from easy_llama_tui.terminal_driver import TerminalDriver

        return TerminalDriver

    def get_default_screen(self) -> ChatScreen:
        """Return the chat: there is no other screen below it."""
        return self.chat_screen

    def on_load(self) -> None:
        """Have keys wait until the chat is there, so that none is lost."""
        # No key was read yet: this comes before them all. Waiting in `on_mount` would hold back the picture.
        self.call_later(self._wait_for_chat)

    async def _wait_for_chat(self) -> None:
        await AwaitMount(self.chat_screen, [self.chat_screen])

    def on_mount(self) -> None:
        """Tell what is wrong with themes, and leave in good order when the terminal goes away."""
        self._warn(self._theme_problems)
        self.call_after_refresh(self._settle)
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                loop.add_signal_handler(getattr(signal, name), self._on_signal)
        if not self.is_headless:
            self._suspension.install()

    def _settle(self) -> None:
        """Do what the first picture need not wait for."""
        from easy_llama_tui.leaving import UnheldThreads

        asyncio.get_running_loop().set_default_executor(UnheldThreads(thread_name_prefix="work"))
        if not gc.isenabled():  # see `main`
            self._garbage.begin()
            self.set_interval(LOOK_SECONDS, self._collect_when_idle)
        # Those that come along are read when they are listed.
        self._read_more_themes(lambda path: path.parent == user_themes_folder())

    async def on_event(self, event: events.Event) -> None:
        """Note that someone is at work, and do what Textual does."""
        if isinstance(event, events.InputEvent | events.Paste):
            self._garbage.at_work()
        await super().on_event(event)

    def _collect_when_idle(self) -> None:
        if self.chat_screen.turns.running is not None:
            self._garbage.at_work()
        else:
            self._garbage.when_idle()

    def action_command_palette(self) -> None:
        """Show the list of commands, where the chat that they are for is what one sees."""
        from easy_llama_tui.commands import chat_palette

        if self.screen is self.chat_screen:
            self.push_screen(chat_palette(self.chat_screen))

    def action_change_theme(self) -> None:
        """Choose the colours, which are seen at once."""
        from easy_llama_tui.screens.theme_screen import ThemeScreen

        self._read_more_themes()
        self.push_screen(ThemeScreen())

    def action_suspend_process(self) -> None:
        """Stop for now, and give the terminal to the shell."""
        if not self._suspension.suspend():
            self.notify("There is no shell to go back to here.", markup=False)

    def terminal_gone(self) -> None:
        """Save and leave: there is nobody to show anything to."""
        self._on_signal()

    async def action_quit(self) -> None:
        """Save and leave; where something cannot be saved, ask first."""
        await self.chat_screen.all_typed()
        if self.chat_screen.saving.may_leave(self._leave):
            self._leave()

    def _leave(self) -> None:
        self._remember()
        self.left_cleanly = self.chat_screen.leave()
        self.exit()

    async def _leave_without_asking(self) -> None:
        await self.chat_screen.all_typed()
        self._leave()

    @on(ChatScreen.ModelUsed)
    def _on_model_used(self, message: ChatScreen.ModelUsed) -> None:
        if self.settings.state_file:
            known = remembered.load(self.settings.state_file).with_model(message.path)
            remembered.save(self.settings.state_file, known)
            self.settings.recent_models = known.recent_models

    @on(ChatScreen.EngineFailed)
    def _on_engine_failed(self, message: ChatScreen.EngineFailed) -> None:
        if not message.is_fatal:
            self.notify(message.reason, severity="error", timeout=15, markup=False)
            return
        self.failure = message.reason
        self.left_cleanly = self.chat_screen.leave()
        self.exit(return_code=2)

    def _remember(self) -> None:
        if not self.settings.state_file:
            return
        chosen = {"theme": self.theme} if self.theme != self._first_theme else {}
        remembered.update(
            self.settings.state_file,
            panel=self.settings.panel,
            candidates_count=self.settings.candidates_count,
            hint_seen=True,
            **chosen,
        )

    def _on_signal(self) -> None:
        if self._is_leaving:
            return  # a terminal that goes away is told of in several ways
        self._is_leaving = True
        from easy_llama_tui.leaving import end_within

        # Should the app hang, a terminal that is gone must not leave it behind, computing.
        end_within(HANG_SECONDS, 1)
        leave: WorkType[None] = self._leave_without_asking
        self.run_worker(leave)

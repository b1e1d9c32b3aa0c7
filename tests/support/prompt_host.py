"""The prompt by itself, with the list of files above it, driven by keys."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Key
from textual.keys import _character_to_key
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Input, Label

from easy_llama_tui.preferences.keymap import KeyBindings
from easy_llama_tui.widgets.path_completion import PathCompletion
from easy_llama_tui.widgets.prompt_input import PromptInput, SentTexts
from support.themed_app import ThemedApp
from support.waiting import until

Told = TypeVar("Told", bound=Message)


class PromptApp(ThemedApp):
    """A prompt at the bottom, and something else that can have the focus."""

    CSS = """
    Screen { layout: vertical; }
    #other { height: 1fr; }
    #prompt-row { height: auto; max-height: 10; }
    #prompt-mark { width: 3; padding: 0 1; }
    #prompt { width: 1fr; height: auto; max-height: 8; border: none; padding: 0 1 0 0; }
    """

    def __init__(
        self, keys: KeyBindings | None = None, history: SentTexts | None = None, folder: Path | None = None
    ) -> None:
        super().__init__()
        self.prompt = PromptInput(id="prompt", keys=keys, history=history, folder=folder)

    def compose(self) -> ComposeResult:
        yield Input(id="other")
        yield PathCompletion(self.prompt, id="completion")
        with Horizontal(id="prompt-row"):
            yield Label(">", id="prompt-mark")
            yield self.prompt


@dataclass
class PromptHost:
    """A running prompt, and what its test asks of it."""

    pilot: Pilot[None]
    app: PromptApp
    messages: list[Message] = field(default_factory=list)

    @property
    def prompt(self) -> PromptInput:
        return self.app.prompt

    @property
    def completion(self) -> PathCompletion:
        return self.app.query_one(PathCompletion)

    @property
    def offered(self) -> list[str]:
        """The files that are seen, top to bottom."""
        return [match.label for match in self.completion.matches]

    def told(self, kind: type[Told]) -> list[Told]:
        """What the prompt has told of one kind."""
        return [message for message in self.messages if type(message) is kind]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Type a text at once, into the prompt."""
        for character in text:
            key = "ctrl+j" if character == "\n" else _character_to_key(character)
            self.prompt.post_message(Key(key, character))
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; fail where it never is."""
        await until(self.pilot, condition)


@asynccontextmanager
async def prompt_host(
    *,
    keys: KeyBindings | None = None,
    history: SentTexts | None = None,
    folder: Path | None = None,
    size: tuple[int, int] = (80, 24),
) -> AsyncIterator[PromptHost]:
    """Run a prompt that has the focus."""
    app = PromptApp(keys, history, folder)
    messages: list[Message] = []

    def note(message: Message) -> None:
        if type(message).__qualname__.startswith("PromptInput.") and message not in messages:
            messages.append(message)

    async with app.run_test(size=size, message_hook=note) as pilot:
        app.prompt.focus()
        await pilot.pause()
        yield PromptHost(pilot, app, messages)

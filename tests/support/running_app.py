"""The app with a scripted engine, driven by keys."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from textual.pilot import Pilot

from easy_llama.samplers import DefaultSampling, SamplerSettings
from easy_llama_tui.app import EzllamaApp
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.conversation import Message
from easy_llama_tui.chats.session import ModelReference, Session
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.preferences.config import Config
from easy_llama_tui.replies.engine import LoadOptions
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.screens.chat_screen import ChatScreen
from easy_llama_tui.settings import Settings
from support.scripted_engine import ScriptedEngine
from support.waiting import until


def begin_chat(sampler: SamplerSettings = DefaultSampling, system: str = "") -> Chat:
    return Chat(
        model=ModelReference("/models/tiny-Q4_0.gguf", "tiny Q4_0"),
        format="template",
        preset_name="DefaultSampling",
        sampler=sampler,
        system=system,
    )


def settings_for(folder: Path, **changes: object) -> Settings:
    """What the app is started with; all its files are in `folder`."""
    settings = Settings(
        config=Config(),
        load_options=LoadOptions(Path("/models/tiny-Q4_0.gguf")),
        begin_chat=begin_chat,
        presets_folder=folder / "samplers",
        state_file=folder / "state.toml",
        history_file=folder / "history.jsonl",
        drafts_folder=folder / "drafts",
        index_file=folder / "chats.json",
        folder=folder,
    )
    return replace(settings, **changes)  # type: ignore[arg-type]


@dataclass
class Running:
    """A running app, and what its test asks of it."""

    pilot: Pilot[None]
    app: EzllamaApp
    engine: ScriptedEngine
    store: SessionStore

    @property
    def screen(self) -> ChatScreen:
        return self.app.chat_screen

    @property
    def path(self) -> tuple[Message, ...]:
        return self.screen.chat.conversation.path()

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(message.role, message.content) for message in self.path]

    @property
    def shown(self) -> list[tuple[str, str]]:
        return [(entry.role, entry.text) for entry in self.screen.chat_log.entries]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; fail where it never is."""
        await until(self.pilot, condition)

    async def until_state(self, state: ChatState) -> None:
        await self.until(lambda: self.screen.turns.state is state)

    async def type(self, text: str) -> None:
        await self.pilot.press(*("space" if character == " " else character for character in text))

    async def send(self, text: str) -> None:
        await self.type(text)
        await self.pilot.press("enter")

    async def exchange(self, question: str, *words: str) -> None:
        """Send a message and have it answered."""
        await self.until_state(ChatState.IDLE)
        self.engine.reply_with(*words)
        await self.send(question)
        await self.until(lambda: self.screen.turns.state is ChatState.IDLE and self.path[-1].finish)

    async def saved(self) -> Session:
        """The chat as it is on the disk, once all is written."""
        assert await asyncio.to_thread(self.screen.writer.flush, 10.0)
        return self.store.load(self.screen.chat.id)

    async def saved_messages(self) -> list[tuple[str, str, str | None]]:
        session = await self.saved()
        return [(message.role, message.content, message.finish) for message in session.messages]


RunApp = Callable[..., "asynccontextmanager[Running]"]

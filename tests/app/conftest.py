from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.quick_textual import make_textual_quick
from support.running_app import RunApp, Running, begin_chat, settings_for
from support.scripted_engine import ScriptedEngine
from support.settling import settle

from easy_llama_tui.app import EzllamaApp
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.session_store import SessionStore


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key that is pressed, and each pause, ends once the app has nothing left to do."""
    monkeypatch.setattr("textual.app.wait_for_idle", settle)
    monkeypatch.setattr("textual.pilot.wait_for_idle", settle)
    make_textual_quick(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path / "sessions")


@pytest.fixture
def run_app(store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunApp:
    # Each word is seen at once; how words are joined is tested by itself.
    monkeypatch.setattr("easy_llama_tui.replies.generation.BATCH_SECONDS", 0.0)

    @asynccontextmanager
    async def run(
        engine: ScriptedEngine | None = None,
        chat: Chat | None = None,
        size: tuple[int, int] = (110, 30),
        notifications: bool = False,
        **changes: object,
    ) -> AsyncIterator[Running]:
        engine = engine or ScriptedEngine()
        settings = settings_for(tmp_path, **changes)
        app = EzllamaApp(lambda: engine, lambda: store, chat or begin_chat(), settings)
        async with app.run_test(size=size, notifications=notifications) as pilot:
            running = Running(pilot, app, engine, store)
            yield running
            if not app.chat_screen._left:
                await app.action_quit()

    return run

"""Each panel as it looks beside a chat: in two themes, over the chat and at its side.

After a change that is meant, run it with `--snapshot-update`, and look at the pictures.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.running_app import Running, begin_chat, settings_for
from support.scripted_engine import ScriptedEngine
from support.whole_app import text, until_seen
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from easy_llama.samplers import DefaultSampling
from easy_llama_tui.app import EzllamaApp
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.session import ModelReference
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.preferences.config import AppearanceConfig, Config
from easy_llama_tui.replies.wording import ChatState

SnapCompare = Callable[..., bool]

SEEN = {
    "format": (" tokens", "im_start"),
    "sampler": ("top_k", "meow"),
    "candidates": ("meow", "survive"),
    "context": ("Used ", "●pin"),
}
"""What is there once a panel shows all that it is told."""

REPLY = """The cat says **meow**. Cats also:

- purr when they are content
- hiss when they are not

```python
def speak(animal):
    return {"cat": "meow"}[animal]  # only cats
```
"""


def fixed_chat() -> Chat:
    """A chat in which nothing depends on when and where it is shown."""
    chat = begin_chat(DefaultSampling.replace(temp=1.1, seed=7), system="Be brief.")
    chat.model = ModelReference("/models/tiny-Q4_0.gguf", "tiny")
    conversation = chat.conversation
    first = conversation.add("user", "The dog says woof, but what does the cat say?")
    conversation.add("bot", "It says nothing.", finish="stop")
    reply = conversation.add("bot", REPLY, parent=first.id, finish="stop")
    conversation.set_pinned(first.id, True)
    conversation.add("user", "And the cow?", parent=reply.id)
    conversation.add("bot", "The cow", finish="interrupted")
    for message in conversation.messages:
        if message.role == "bot":
            conversation.restore(replace(message, by="tiny"))
    return chat


def looks(name: str, tmp_path: Path) -> Callable[[Pilot[None]], Awaitable[None]]:
    async def look(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, EzllamaApp)
        running = Running(pilot, app, ScriptedEngine(), SessionStore(tmp_path))
        await running.until_state(ChatState.IDLE)
        for field in (*app.screen.query(TextArea), *app.screen.query(Input)):
            field.cursor_blink = False
            field._cursor_visible = True  # on a busy machine it has blinked before
        await until_seen(running, *SEEN[name], "re-roll")
        await running.until(lambda: running.screen.title_bar.context_used)
        await running.until(lambda: "loading" not in text(running))

    return look


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
@pytest.mark.parametrize("theme", ["ezllama-dark", "high-contrast-light"])
@pytest.mark.parametrize("name", SEEN)
def test_a_panel_beside_a_chat(
    snap_compare: SnapCompare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    theme: str,
    size: tuple[int, int],
) -> None:
    # Whatever terminal the tests run in.
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)
    settings = settings_for(
        tmp_path,
        config=replace(Config(), appearance=AppearanceConfig(theme=theme)),
        panel=name,
        state_file=None,
    )
    store = SessionStore(tmp_path / "sessions")
    app: App[None] = EzllamaApp(ScriptedEngine, lambda: store, fixed_chat(), settings)
    assert snap_compare(app, terminal_size=size, run_before=looks(name, tmp_path))
    assert app.chat_screen.leave()  # type: ignore[attr-defined]

"""What tests of the whole app look at, beside its state: the screen, the notices, the mouse."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from textual.geometry import Offset

from easy_llama.events import CancelFlag, Distribution
from easy_llama.samplers import SamplerSettings
from easy_llama_tui.chats.session import ModelReference, Session
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.preferences.config import Config
from easy_llama_tui.preferences.keymap import effective_bindings
from easy_llama_tui.replies.engine import RenderedPrompt
from support.running_app import Running, begin_chat
from support.scripted_engine import ScriptedEngine


class WatchedEngine(ScriptedEngine):
    """Notes too what it is asked to look at."""

    def __init__(self, *, hold_loading: bool = False) -> None:
        super().__init__(hold_loading=hold_loading)
        self.looked: list[tuple[str, int]] = []
        """The prompts whose candidates were looked for, and how many of them."""

        self.listed = 0
        """How often the tokens of a prompt were asked for."""

    def next_tokens(
        self, prompt: RenderedPrompt, sampler: SamplerSettings, count: int, cancel: CancelFlag
    ) -> Distribution | None:
        self.looked.append(("".join(piece.text for piece in prompt.pieces), count))
        return super().next_tokens(prompt, sampler, count, cancel)

    def token_texts(self, ids: Sequence[int]) -> tuple[str, ...]:
        self.listed += 1
        return super().token_texts(ids)


def rows(running: Running) -> list[str]:
    """The screen that is on top, row by row."""
    return [
        "".join(segment.text for segment in line).rstrip()
        for line in running.app.screen._compositor.render_strips()
    ]


def text(running: Running) -> str:
    return "\n".join(rows(running))


def notices(running: Running) -> str:
    return " ".join(notification.message for notification in running.app._notifications)


async def until_seen(running: Running, *parts: str) -> None:
    await running.until(lambda: all(part in text(running) for part in parts))


async def click(running: Running, part: str, *, times: int = 1) -> None:
    """Click on where a text begins on the screen."""
    await until_seen(running, part)
    for y, row in enumerate(rows(running)):
        if part in row:
            await running.pilot.click(offset=Offset(row.index(part), y), times=times)
            await running.pilot.pause()
            return


async def until_screen(running: Running, name: str) -> None:
    await running.until(lambda: type(running.app.screen).__name__ == name)
    await running.pilot.pause()


def entry(running: Running, message_id: str):
    return next(one for one in running.screen.chat_log.entries if one.id == message_id)


def save_chat(store: SessionStore, *said: str, model: str = "/models/tiny-Q4_0.gguf") -> Session:
    """Put a chat on the disk, of what the person and the bot said in turn."""
    chat = begin_chat()
    for index, content in enumerate(said):
        if index % 2:
            chat.conversation.add("bot", content, finish="stop")
        else:
            chat.conversation.add("user", content)
    session = replace(chat.snapshot(), model=ModelReference(model, Path(model).stem))
    store.save(session)
    return session


def with_keys(**overrides: str) -> Config:
    """A configuration with these keys."""
    bindings, problems = effective_bindings({id_.replace("_", "-"): key for id_, key in overrides.items()})
    assert not problems
    return replace(Config(), keys=bindings)

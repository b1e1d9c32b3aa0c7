"""Whatever models, files and people write is shown as text, on every screen and in every panel."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.gguf_bytes import ENTRIES, STR, TENSORS, entry, header, padded
from support.hostile import FLOODS, HOSTILE, MARKUP, NAME, forbidden_in
from support.running_app import RunApp, Running, begin_chat
from support.scripted_engine import ScriptedEngine
from support.whole_app import rows, text, until_screen, until_seen
from textual.widgets import Input, TextArea

from easy_llama.errors import EasyLlamaError, ModelLoadError
from easy_llama.events import Candidate, Distribution
from easy_llama.prompt import Turn
from easy_llama.samplers import DefaultSampling
from easy_llama_tui.chats.making import Making, Recipe
from easy_llama_tui.chats.session import ModelReference, Session
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.preferences.config import Config
from easy_llama_tui.replies.engine import LoadedModel, LoadOptions, OnProgress
from easy_llama_tui.replies.format_catalog import FormatCatalog
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.widgets.row_list import RowList
from easy_llama_tui.widgets.standing_notice import StandingNotice

NOW = datetime(2026, 11, 28, tzinfo=UTC)
WORDS = (f"{HOSTILE} ", *(f"{word} " for word in HOSTILE.split(" ")), f"{FLOODS} ")


class HostileEngine(ScriptedEngine):
    """A model all of whose words are hostile."""

    def load(self, options: LoadOptions, on_progress: OnProgress) -> LoadedModel:
        loaded = super().load(options, on_progress)
        return replace(loaded, format_label=HOSTILE, notices=(HOSTILE, MARKUP))

    def format_warnings(self, format_name: str, turns: Sequence[Turn]) -> tuple[str, ...]:
        return (HOSTILE, MARKUP)

    def token_bytes(self, ids: Sequence[int]) -> tuple[bytes, ...]:
        return tuple(text.encode("utf-8", "replace") for text in self.token_texts(ids))

    def distribution(self, count: int) -> Distribution:
        shown = [HOSTILE, "\x1b[31m", "\x9b", "[red]x", "\u202e", "\u0301" * 99, "\r", "\ud800"]
        rows = [Candidate(self.id_of(one), one, 0.1, 0.1) for one in shown]
        return Distribution(tuple(rows[:count]), len(shown))


def hostile_chat(store: SessionStore) -> Session:
    """A chat in which whatever can be a text is a hostile one."""
    chat = begin_chat(system=HOSTILE)
    conversation = chat.conversation
    conversation.add("system", HOSTILE)
    made = (Making(Recipe(HOSTILE, HOSTILE, HOSTILE, HOSTILE, DefaultSampling), NOW),)
    table = f"| {MARKUP} | {HOSTILE} |\n|--|--|"
    for content in (HOSTILE, FLOODS, f"```{MARKUP}\n{HOSTILE}\n```\n# {HOSTILE}\n{table}"):
        conversation.add("user", content)
        reply = conversation.add("bot", f"<think>{content}</think>\n{content}", finish="stop")
        conversation.update(reply.id, content=reply.content, finish="stop", made=made)
        conversation.name_branch(reply.id, HOSTILE)
    session = replace(
        chat.snapshot(),
        title=HOSTILE,
        named=True,
        model=ModelReference(f"/models/{NAME}.gguf", HOSTILE),
    )
    store.save(session)
    return session


def hostile_files(folder: Path) -> None:
    name = NAME.encode() + b"\xff"
    path = folder / os.fsdecode(name)
    entries = [ENTRIES[0], entry("general.name", STR, HOSTILE.encode("utf-8", "replace")), *ENTRIES[2:]]
    entries.insert(2, entry("general.size_label", STR, MARKUP))
    Path(f"{path}.gguf").write_bytes(padded(header(entries, TENSORS)) + b"\x11" * 416)
    Path(f"{path}.txt").write_bytes(HOSTILE.encode("utf-8", "surrogatepass"))


def assert_clean(running: Running, where: str) -> None:
    """Nothing that is drawn could drive a terminal, is a link, or does what a text says."""
    width = running.app.size.width
    for row in running.app.screen._compositor.render_strips():
        for segment in row:
            assert forbidden_in(segment.text) == [], (where, segment.text)
            style = segment.style
            assert style is None or style.link is None, (where, segment.text)
            actions = (
                [str(value) for key, value in style.meta.items() if key.startswith("@")] if style else []
            )
            assert not any("app.quit" in action for action in actions), (where, segment.text)
    shown = rows(running)
    assert max(map(len, shown)) <= 20 * width, where
    assert running.app._exception is None
    # No part of it was taken for markup.
    for notice in running.app._notifications:
        assert forbidden_in(notice.message.replace("\n", "")) == [], (where, notice.message)


@asynccontextmanager
async def hostile_app(
    run_app: RunApp, store: SessionStore, folder: Path, **changes: object
) -> AsyncIterator[Running]:
    from easy_llama_tui.chats.chat import Chat

    hostile_files(folder)
    session = hostile_chat(store)
    config = Config()
    config = replace(config, model=replace(config.model, folders=(str(folder),)))
    catalog = FormatCatalog(
        {HOSTILE: _FORMAT, MARKUP: _FORMAT}, problems=(f"{folder / NAME}.toml: {HOSTILE}",)
    )
    presets = {"DefaultSampling": DefaultSampling, HOSTILE: DefaultSampling, MARKUP: DefaultSampling}
    async with run_app(
        HostileEngine(),
        Chat.from_session(store.load(session.id)),
        config=config,
        catalog=catalog,
        presets=presets,
        notices=(HOSTILE, MARKUP),
        recent_models=(f"/gone/{NAME}.gguf",),
        notifications=True,
        **changes,
    ) as running:
        await running.until_state(ChatState.IDLE)
        yield running


_FORMAT: Mapping[str, object] = {
    **dict.fromkeys(("system_prefix", "system_prompt", "system_suffix"), ""),
    **{"user_prefix": HOSTILE, "user_suffix": MARKUP, "bot_prefix": HOSTILE, "bot_suffix": MARKUP},
    "stops": [HOSTILE],
}


async def test_the_chat_and_the_panels(run_app: RunApp, store: SessionStore, tmp_path: Path) -> None:
    async with hostile_app(run_app, store, tmp_path) as running:
        assert_clean(running, "chat")
        for key in ("f2", "f4", "f5", "f9"):
            await running.pilot.press(key)
            await running.pilot.pause()
            assert_clean(running, key)
            await running.pilot.press("down", "down", "down")
            assert_clean(running, f"{key}, further down")
            await running.pilot.press(key)
        await running.pilot.press("f2")
        await running.type("bold")
        await running.pilot.press("enter")
        assert_clean(running, "a format with a hostile name")
        await running.pilot.press("escape")


async def test_a_reply(run_app: RunApp, store: SessionStore, tmp_path: Path) -> None:
    async with hostile_app(run_app, store, tmp_path, panel="candidates") as running:
        await running.until(lambda: running.screen.prompt.has_focus)
        running.engine.say(*WORDS)
        await running.send("hi")
        await running.until(lambda: running.path[-1].role == "bot" and running.shown[-1][1])
        assert_clean(running, "a reply that is written")
        running.engine.fail(EasyLlamaError(f"{HOSTILE} {MARKUP}"))
        await running.until_state(ChatState.IDLE)
        assert_clean(running, "a reply that failed")
        assert running.said[-1][0] == "bot"


async def test_message_mode_and_its_screens(run_app: RunApp, store: SessionStore, tmp_path: Path) -> None:
    async with hostile_app(run_app, store, tmp_path, size=(110, 40)) as running:
        for key, name in (
            ("e", "EditScreen"),
            ("i", "MakingScreen"),
            ("t", "TokenScreen"),
            ("T", "TreeScreen"),
        ):
            await running.pilot.press("up", key)
            await until_screen(running, name)
            await running.pilot.pause()
            assert_clean(running, name)
            await running.pilot.press("right", "down", "right")
            assert_clean(running, f"{name}, further")
            await running.pilot.press("escape")
            await running.until(lambda: running.app.screen is running.screen)
            assert_clean(running, f"after {name}")
            await running.pilot.press("escape")
        await running.pilot.press("up", "up", "y", "p", "d")
        assert_clean(running, "copied, pinned, deleted")
        await running.pilot.press("u", "escape")


async def test_chats_and_what_is_asked_about_them(
    run_app: RunApp, store: SessionStore, tmp_path: Path
) -> None:
    async with hostile_app(run_app, store, tmp_path) as running:
        damaged = store.folder / f"{NAME}.toml"
        damaged.write_text("version = 1\n" + HOSTILE.replace("\ud800", "").replace("\udc9b", ""))
        await running.pilot.press("ctrl+o")
        await until_screen(running, "ChatsScreen")
        await until_seen(running, "loud")
        assert_clean(running, "chats")
        for key, name in (("ctrl+r", "NameScreen"), ("f2", "NameScreen"), ("ctrl+e", "ExportScreen")):
            await running.pilot.press(key)
            await running.pilot.pause()
            if type(running.app.screen).__name__ == name:
                assert_clean(running, name)
                field = running.app.screen.query_one(Input)
                field.value = NAME
                await running.pilot.press("x", "enter")
                await running.pilot.pause()
                assert_clean(running, f"{name} with a hostile name")
                if type(running.app.screen).__name__ == name:
                    await running.pilot.press("escape")
        running.app.screen.query_one(Input).value = "[@click"
        await running.pilot.pause()
        assert_clean(running, "chats that were searched")
        await running.pilot.press("escape")


async def test_a_damaged_chat_and_what_stays_wrong(
    run_app: RunApp, store: SessionStore, tmp_path: Path
) -> None:
    async with hostile_app(run_app, store, tmp_path) as running:
        good = store.path_of(store.load(store.summaries()[0].id)).read_text("utf-8")
        damaged = store.folder / f"{NAME}.toml"
        damaged.write_text(f'{good}\n[[messages]]\n"{MARKUP}" = ', "utf-8")
        os.utime(damaged, (0, 0))  # the last of the list
        await running.pilot.press("ctrl+o")
        await until_screen(running, "ChatsScreen")
        await until_seen(running, "valid TOML", "8 messages")
        assert_clean(running, "a damaged chat in the list")
        await running.pilot.press("down", "enter")
        await running.pilot.pause()
        await until_screen(running, "RecoveryScreen")
        assert_clean(running, "a damaged chat")
        await running.pilot.press("escape", "escape")
        await running.until(lambda: running.app.screen is running.screen)
        standing = StandingNotice()
        await running.screen.mount(standing)
        standing.say(HOSTILE, MARKUP)
        await until_seen(running, "[bold]loud")
        assert_clean(running, "what stays wrong")


async def test_models(run_app: RunApp, store: SessionStore, tmp_path: Path) -> None:
    async with hostile_app(run_app, store, tmp_path) as running:
        await running.pilot.press("f3")
        await until_screen(running, "ModelScreen")
        # The chat behind the list has that name in it too.
        await running.until(lambda: running.app.screen.query_one(RowList).row_count)
        await running.pilot.pause()
        assert_clean(running, "models")
        await running.pilot.press("down")
        assert_clean(running, "models, further down")
        running.app.screen.query_one(Input).value = f"/nowhere/{NAME}.gguf"
        await running.pilot.pause()
        assert_clean(running, "a path of a model")
        running.engine.load_error = ModelLoadError(f"{HOSTILE} {MARKUP}")
        running.app.screen.query_one(Input).value = ""
        await running.pilot.press("enter")
        await running.until(lambda: running.app.screen is running.screen)
        await running.pilot.pause()
        assert_clean(running, "a model that cannot be loaded")


async def test_the_other_screens(run_app: RunApp, store: SessionStore, tmp_path: Path) -> None:
    async with hostile_app(run_app, store, tmp_path) as running:
        theme = replace(running.app.available_themes["ezllama-dark"], name=f"evil {NAME} {MARKUP}")
        running.app.register_theme(theme)
        for key, name in (("f1", "HelpScreen"), ("ctrl+p", "CommandPalette"), ("f7", "TreeScreen")):
            await running.pilot.press(key)
            await running.pilot.pause()
            assert_clean(running, name)
            await running.pilot.press("b", "o", "l", "d")
            assert_clean(running, f"{name}, searched")
            await running.pilot.press("escape", "escape")
            await running.until(lambda: running.app.screen is running.screen)
        await running.send("/theme")
        await until_screen(running, "ThemeScreen")
        await running.type("evil")
        await until_seen(running, "evil")
        assert_clean(running, "themes")
        await running.pilot.press("enter")
        await running.pilot.pause()
        assert_clean(running, "a theme with a hostile name")


async def test_the_prompt(run_app: RunApp, store: SessionStore, tmp_path: Path) -> None:
    async with hostile_app(run_app, store, tmp_path) as running:
        await running.until(lambda: running.screen.prompt.has_focus)
        for pasted in (HOSTILE, FLOODS, MARKUP):
            running.screen.prompt.insert(pasted)
            await running.pilot.pause()
            assert_clean(running, "a paste")
            running.screen.prompt.text = ""
        running.screen.prompt.insert("@")
        await running.type("ev")
        await running.pilot.pause()
        assert_clean(running, "path completion")
        await running.pilot.press("tab")
        await running.pilot.pause()
        assert_clean(running, "a path that was completed")
        running.screen.prompt.text = f"@{NAME} /format {HOSTILE}"
        await running.pilot.pause()
        assert_clean(running, "an attachment")
        running.screen.prompt.text = f"/format {MARKUP}"
        await running.pilot.press("enter")
        await running.pilot.pause()
        assert_clean(running, "a command that is none")


@pytest.mark.parametrize("message", [HOSTILE, MARKUP, FLOODS])
async def test_a_notice(run_app: RunApp, message: str) -> None:
    async with run_app(notifications=True) as running:
        await running.until_state(ChatState.IDLE)
        for severity in ("information", "warning", "error"):
            running.app.notify(message, title=message, severity=severity)  # type: ignore[arg-type]
        running.screen.notify(message)
        running.screen.prompt.notify(message)
        await running.until(lambda: "[@click" in text(running) or "stacked" in text(running))
        assert_clean(running, "a notice")


async def test_an_edited_text_is_shown_as_text(run_app: RunApp, store: SessionStore, tmp_path: Path) -> None:
    async with hostile_app(run_app, store, tmp_path) as running:
        await running.pilot.press("up", "e")
        await until_screen(running, "EditScreen")
        area = running.app.screen.query_one(TextArea)
        area.insert(HOSTILE)
        await running.pilot.pause()
        assert_clean(running, "an edited text")
        assert forbidden_in(area.text.replace("\n", "").replace("\t", "")) == []


@pytest.mark.long
async def test_lines_of_ten_megabytes(run_app: RunApp, request: pytest.FixtureRequest) -> None:
    lines = ["x" * 10_000_000]
    if request.config.getoption("--long"):
        lines += [f"{HOSTILE} " * 15_000, "\u200d" * 10_000_000, "e" + "\u0301" * 10_000_000]
    chat = begin_chat()
    for line in lines:
        chat.conversation.add("user", line)
        chat.conversation.add("bot", line, finish="stop")
    async with run_app(chat=chat, panel="context") as running:
        await running.until_state(ChatState.IDLE)
        assert_clean(running, "long lines")
        await running.pilot.press("up", "up", "up")
        assert_clean(running, "long lines above")
        await running.pilot.press("home")
        assert_clean(running, "long lines at the top")

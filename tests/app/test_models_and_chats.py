"""Other models and other chats, from the running app."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.gguf_bytes import SMALL
from support.running_app import RunApp, Running
from support.scripted_engine import ScriptedEngine
from support.whole_app import notices, save_chat, text, until_screen, until_seen
from textual.widgets import Input

from easy_llama.errors import ModelLoadError
from easy_llama.prompt import Turn
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.session import SessionError
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.preferences import remembered
from easy_llama_tui.preferences.config import Config, ModelConfig
from easy_llama_tui.replies.engine import LoadedModel, LoadOptions, OnProgress
from easy_llama_tui.replies.wording import ChatState


class ModelEngine(ScriptedEngine):
    """Refuses the models that are named so, and says of each which format is its own."""

    gone = ""
    """What is in the names of further models to refuse."""

    def load(self, options: LoadOptions, on_progress: OnProgress) -> LoadedModel:
        loaded = super().load(options, on_progress)
        if "broken" in options.path.name or (self.gone and self.gone in options.path.name):
            raise ModelLoadError(f"{options.path.name}: refused; try another file")
        return replace(loaded, format_label=f"template of {options.path.stem}")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("other-Q8_0", "broken-Q4_0"):
        (folder / f"{name}.gguf").write_bytes(SMALL)
    return folder


def searching(folder: Path) -> Config:
    return replace(Config(), model=ModelConfig(folders=(str(folder),)))


async def choose_model(running: Running, name: str) -> None:
    await running.pilot.press("f3")
    await until_screen(running, "ModelScreen")
    await running.type(name)
    await until_seen(running, f"▸ {name}")
    await until_seen(running, "1 of 2 ·")
    await running.pilot.press("enter")
    await running.until(lambda: running.app.screen is running.screen)


# Models


async def test_another_model_goes_on_with_the_chat_in_its_own_format(
    run_app: RunApp, models: Path, tmp_path: Path
) -> None:
    async with run_app(ModelEngine(), config=searching(models)) as running:
        await running.exchange("Hello", "Hi")
        assert running.screen.title_bar.description[1] == "template of tiny-Q4_0"
        await choose_model(running, "other")
        await running.until(lambda: len(running.engine.loads) == 2)
        await running.until_state(ChatState.IDLE)
        assert running.engine.loads[1].path == models / "other-Q8_0.gguf"
        assert running.said == running.shown == [("user", "Hello"), ("bot", "Hi")]
        assert running.screen.chat.format == "template"
        await running.until(lambda: running.screen.title_bar.description[1] == "template of other-Q8_0")
        await running.exchange("More", "Yes")
        assert running.engine.requests[-1].turns[0] == Turn("user", "Hello")
        assert (await running.saved()).model.path == str(models / "other-Q8_0.gguf")
    assert remembered.load(tmp_path / "state.toml").recent_models[0] == str(models / "other-Q8_0.gguf")


async def test_a_format_that_the_person_chose_stays_with_another_model(run_app: RunApp, models: Path) -> None:
    async with run_app(ModelEngine(), config=searching(models)) as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f2")
        await running.type("alpaca")
        await running.pilot.press("enter", "escape")
        await choose_model(running, "other")
        await running.until(lambda: len(running.engine.loads) == 2)
        await running.exchange("More", "Yes")
        assert running.engine.requests[-1].format == "alpaca"
        assert running.screen.title_bar.description[1] == "alpaca"


async def test_a_model_that_cannot_be_loaded_leaves_the_chat_and_the_model_before(
    run_app: RunApp, models: Path
) -> None:
    async with run_app(ModelEngine(), config=searching(models)) as running:
        await running.exchange("Hello", "Hi")
        await choose_model(running, "broken")
        await running.until(lambda: "refused; try another file" in notices(running))
        await running.until(lambda: len(running.engine.loads) == 3)
        await running.until_state(ChatState.IDLE)
        assert running.engine.loads[-1].path == running.engine.loads[0].path
        assert not running.app.failure
        assert running.shown == [("user", "Hello"), ("bot", "Hi")]
        await running.exchange("More", "Yes")
        assert (await running.saved()).model.path == "/models/tiny-Q4_0.gguf"


async def test_where_no_model_can_be_loaded_the_chat_is_read_and_another_can_be_chosen(
    run_app: RunApp, models: Path
) -> None:
    engine = ModelEngine()
    async with run_app(engine, config=searching(models)) as running:
        await running.exchange("Hello", "Hi")
        engine.gone = "tiny"
        await choose_model(running, "broken")
        await running.until(lambda: len(engine.loads) == 3)
        await running.until_state(ChatState.NO_MODEL)
        await running.until(lambda: "tiny-Q4_0.gguf: refused" in notices(running))
        assert not running.app.failure
        assert running.shown == [("user", "Hello"), ("bot", "Hi")]
        await running.pilot.press("up", "k", "escape")
        await running.until(lambda: running.screen.prompt.has_focus)
        await running.send("More")
        await running.until(lambda: running.screen.prompt.text == "More")
        assert "F3" in running.screen.status_bar.activity
        await choose_model(running, "other")
        await running.until_state(ChatState.IDLE)
        engine.reply_with("Yes")
        await running.pilot.press("enter")
        await running.until(lambda: running.said[-1] == ("bot", "Yes"))


async def test_another_model_while_a_reply_is_written_stops_and_keeps_that(
    run_app: RunApp, models: Path
) -> None:
    async with run_app(ModelEngine(), config=searching(models)) as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("half")
        await running.send("Hello")
        await running.until(lambda: running.said[-1] == ("bot", "half"))
        await choose_model(running, "other")
        await running.until(lambda: len(running.engine.loads) == 2)
        await running.until_state(ChatState.IDLE)
        assert (running.path[-1].content, running.path[-1].finish) == ("half", "interrupted")


async def test_a_file_that_is_gone_is_said_and_the_model_stays(run_app: RunApp, models: Path) -> None:
    async with run_app(ModelEngine(), config=searching(models)) as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f3")
        await until_screen(running, "ModelScreen")
        await running.type("other")
        await until_seen(running, "1 of 2 ·", "2,048")
        (models / "other-Q8_0.gguf").unlink()
        await running.pilot.press("enter")
        await running.until(lambda: "other-Q8_0.gguf" in notices(running))
        assert running.screen.turns.state is ChatState.IDLE
        assert len(running.engine.loads) == 1


async def test_a_chat_without_its_model_is_read_and_asks_for_one(
    run_app: RunApp, store: SessionStore, models: Path
) -> None:
    session = save_chat(store, "Hello", "Hi", model="/gone/old.gguf")
    gone = "The model of this chat is not there any more: /gone/old.gguf."
    notice = f"{gone} /model chooses another to go on with."
    async with run_app(
        ModelEngine(),
        chat=Chat.from_session(store.load(session.id)),
        config=searching(models),
        load_options=None,
        notices=(notice,),
    ) as running:
        await until_seen(running, "Hello", "Hi", "no model")
        await running.until(lambda: "not there any more" in notices(running))
        assert running.screen.turns.state is ChatState.NO_MODEL
        assert running.screen.status_bar.keys[0] == ("F3", "model")
        assert running.engine.loads == []
        for key in ("ctrl+r", "f8"):
            running.app.clear_notifications()
            await running.pilot.press(key)
            await running.until(lambda: "F3 chooses one" in notices(running))
        assert running.shown == [("user", "Hello"), ("bot", "Hi")]
        await choose_model(running, "other")
        await running.until_state(ChatState.IDLE)
        await running.exchange("More", "Yes")
        assert (await running.saved()).model.path == str(models / "other-Q8_0.gguf")


async def test_closing_the_list_of_models_changes_nothing(run_app: RunApp, models: Path) -> None:
    async with run_app(config=searching(models)) as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f3")
        await until_screen(running, "ModelScreen")
        await running.pilot.press("f3")
        await running.until(lambda: running.app.screen is running.screen)
        assert len(running.engine.loads) == 1
        assert running.screen.prompt.has_focus


# Chats


async def list_chats(running: Running, *parts: str) -> None:
    await running.pilot.press("ctrl+o")
    await until_screen(running, "ChatsScreen")
    await until_seen(running, *parts)


async def highlight(running: Running, title: str) -> None:
    """Point at a chat by the arrow keys."""
    await running.pilot.press("ctrl+home")
    for _ in range(5):
        row = running.app.screen.chat_list.highlighted_chat
        if row.title == title:
            return
        await running.pilot.press("down")
    raise AssertionError(f"{title} is not in the list")


async def test_another_chat_is_opened_and_goes_on_with_the_loaded_model(
    run_app: RunApp, store: SessionStore
) -> None:
    save_chat(store, "About cats", "Meow", model="/gone/old.gguf")
    async with run_app() as running:
        await running.exchange("About dogs", "Woof")
        first = running.screen.chat.id
        await list_chats(running, "About cats", "About dogs", "2 chats")
        await highlight(running, "About cats")
        await running.pilot.press("enter")
        await running.until(lambda: running.shown == [("user", "About cats"), ("bot", "Meow")])
        await running.exchange("And tigers", "Roar")
        assert [turn.content for turn in running.engine.requests[-1].turns] == [
            "About cats",
            "Meow",
            "And tigers",
        ]
        assert (await running.saved()).model.path == "/models/tiny-Q4_0.gguf"
        assert len(store.load(first).messages) == 2


async def test_a_chat_is_found_by_what_was_said_in_it(run_app: RunApp, store: SessionStore) -> None:
    save_chat(store, "About cats", "They purr")
    save_chat(store, "About dogs", "They bark")
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await list_chats(running, "About cats")
        await running.type("purr")
        await until_seen(running, "1 found")
        await running.pilot.press("enter")
        await running.until(lambda: running.said[:1] == [("user", "About cats")])


async def test_the_open_chat_is_renamed(run_app: RunApp, store: SessionStore) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await list_chats(running, "Hello")
        await running.pilot.press("f2")
        await until_screen(running, "NameScreen")
        running.app.screen.query_one(Input).value = "My chat"
        await running.pilot.press("enter")
        await until_seen(running, "My chat")
        await running.pilot.press("escape")
        await running.exchange("More", "Yes")
        session = await running.saved()
        assert (session.title, session.named, len(session.messages)) == ("My chat", True, 4)


async def test_another_chat_is_renamed(run_app: RunApp, store: SessionStore) -> None:
    other = save_chat(store, "About cats", "Meow")
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await list_chats(running, "About cats")
        await highlight(running, "About cats")
        await running.pilot.press("f2")
        await until_screen(running, "NameScreen")
        running.app.screen.query_one(Input).value = "Felines"
        await running.pilot.press("enter")
        await until_seen(running, "Felines", "Hello")
        assert store.load(other.id).title == "Felines"


async def test_a_chat_is_duplicated_the_open_one_as_it_is_now(run_app: RunApp, store: SessionStore) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await list_chats(running, "1 chat")
        await running.pilot.press("f6")
        await until_seen(running, "2 chats")
        copies = [store.load(one.id) for one in store.summaries()]
        assert [[message.content for message in one.messages] for one in copies] == [["Hello", "Hi"]] * 2
        assert len({one.id for one in copies}) == 2


async def test_a_chat_is_deleted_and_comes_back_and_the_open_one_stays(
    run_app: RunApp, store: SessionStore
) -> None:
    other = save_chat(store, "About cats", "Meow")
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await list_chats(running, "2 chats")
        await highlight(running, "Hello")
        await running.pilot.press("f9")
        await running.until(lambda: "This chat is open" in notices(running))
        await highlight(running, "About cats")
        await running.pilot.press("f9")
        await until_seen(running, "1 chat", "undo delete")
        with pytest.raises(SessionError):
            store.load(other.id)
        await running.pilot.press("ctrl+z")
        await until_seen(running, "2 chats", "About cats")
        assert len(store.load(other.id).messages) == 2


async def test_what_was_deleted_comes_back_also_at_a_later_visit(
    run_app: RunApp, store: SessionStore
) -> None:
    other = save_chat(store, "About cats", "Meow")
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await list_chats(running, "2 chats")
        await highlight(running, "About cats")
        await running.pilot.press("f9")
        await until_seen(running, "1 chat")
        await running.pilot.press("escape")
        await running.until(lambda: running.app.screen is running.screen)
        await list_chats(running, "1 chat")
        await running.pilot.press("ctrl+z")
        await until_seen(running, "2 chats")
        assert len(store.load(other.id).messages) == 2


async def test_what_was_read_of_a_chat_is_kept_when_it_is_left_and_gone_when_it_is_deleted(
    run_app: RunApp, store: SessionStore
) -> None:
    other = save_chat(store, "About cats", "Meow").id
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        first = running.screen.chat.id
        states = running.engine.states
        assert states[-1] == ("recall", first)
        await running.pilot.press("ctrl+n")
        await running.until(lambda: states[-2][0] == "keep")
        second = running.screen.chat.id
        assert states[-2:] == [("keep", first), ("recall", second)]
        await running.exchange("Other", "Yes")
        await list_chats(running, "3 chats")
        await highlight(running, "About cats")
        await running.pilot.press("f9")
        await until_seen(running, "2 chats")
        await running.pilot.press("escape")
        # Which row is where may change as chats are saved: what is gone from the disk is what is forgotten.
        await running.until(lambda: "forget" in dict(states))
        (gone,) = {first, second, other} - {path.stem for path in store.files()}
        assert ("forget", gone) in states
        await running.app.action_quit()
        assert states[-1] == ("keep", second)
        assert running.engine.closed.is_set()


async def test_a_chat_is_exported_and_imported_again(
    run_app: RunApp, store: SessionStore, tmp_path: Path
) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi **there**")
        await list_chats(running, "1 chat")
        await running.pilot.press("f7")
        await until_screen(running, "ExportScreen")
        running.app.screen.query_one(Input).value = "out.json"
        await running.pilot.press("enter")
        await running.until(lambda: (tmp_path / "out.json").exists())
        await running.until(lambda: "was exported" in notices(running))
        assert "Hi **there**" in json.dumps(json.loads((tmp_path / "out.json").read_text()))
        await running.pilot.press("f8")
        await until_screen(running, "NameScreen")
        running.app.screen.query_one(Input).value = "out.json"
        await running.pilot.press("enter")
        await until_seen(running, "2 chats")
        await running.until(lambda: "was imported, 2 messages" in notices(running))
        first = running.screen.chat.id
        await running.pilot.press("enter")
        await running.until(lambda: running.screen.chat.id != first)
        assert running.shown == [("user", "Hello"), ("bot", "Hi **there**")]
        await running.exchange("More", "Yes")
        assert running.engine.requests[-1].format == "template"


async def test_a_damaged_chat_is_explained_and_a_copy_of_what_can_be_read_is_offered(
    run_app: RunApp, store: SessionStore
) -> None:
    damaged_id = save_chat(store, "About cats", "Meow", "More").id
    path = store.folder / f"{damaged_id}.toml"
    damaged = path.read_text().replace('role = "bot"', "role = bot")
    path.write_text(damaged)
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        first = running.screen.chat.id
        await list_chats(running, "2 chats")
        await running.type("cats")
        await running.until(lambda: len(running.app.screen.chat_list.chat_rows) == 1)
        await running.pilot.press("enter")
        await until_screen(running, "RecoveryScreen")
        line = damaged[: damaged.index("role = bot")].count("\n") + 1
        await until_seen(running, "2 messages can be read, and 1 in part")
        problem = str(running.app.screen.query_one(".recovery-problem").render())
        assert str(path) in problem and f"line {line}" in problem
        await running.pilot.press("escape")
        await until_screen(running, "ChatsScreen")
        assert running.shown == [("user", "Hello"), ("bot", "Hi")]
        await running.pilot.press("enter")
        await until_screen(running, "RecoveryScreen")
        await running.pilot.press("enter")
        await running.until(lambda: running.screen.chat.id not in (first, damaged_id))
        assert running.said == [("user", "About cats"), ("bot", "Meow"), ("user", "More")]
        assert running.screen.chat.title == "recovered: About cats"
        assert path.read_text() == damaged
        await running.exchange("Go on", "Yes")
        assert (await running.saved()).messages[-1].content == "Yes"
        assert path.read_text() == damaged


async def test_another_chat_while_a_reply_is_written_keeps_both(run_app: RunApp, store: SessionStore) -> None:
    save_chat(store, "About cats", "Meow")
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("half")
        await running.send("Hello")
        await running.until(lambda: running.said[-1] == ("bot", "half"))
        first = running.screen.chat.id
        await list_chats(running, "About cats")
        await highlight(running, "About cats")
        await running.pilot.press("enter")
        await running.until(lambda: running.said[:1] == [("user", "About cats")])
        await running.until_state(ChatState.IDLE)
        running.screen.writer.flush(10)
        assert [(one.content, one.finish) for one in store.load(first).messages] == [
            ("Hello", None),
            ("half", "interrupted"),
        ]
        assert "About cats" in text(running)


async def test_the_settings_of_a_chat_come_with_it(run_app: RunApp, store: SessionStore) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f4", "right", "escape")
        await running.until(lambda: running.screen.chat.sampler.temp != 0.8)
        temp = running.screen.chat.sampler.temp
        first = running.screen.chat.id
        await running.pilot.press("ctrl+n")
        await running.until(lambda: running.screen.chat.sampler.temp == 0.8)
        await running.exchange("Other", "Yes")
        await list_chats(running, "2 chats")
        await highlight(running, "Hello")
        await running.pilot.press("enter")
        await running.until(lambda: running.screen.chat.id == first)
        assert running.screen.chat.sampler.temp == temp
        await until_seen(running, f"{temp:.2f}")


async def test_loading_that_fails_outside_the_engines_own_errors_is_said_too(
    run_app: RunApp, models: Path
) -> None:
    class BuggyEngine(ModelEngine):
        def load(self, options: LoadOptions, on_progress: OnProgress) -> LoadedModel:
            if "broken" in options.path.name:
                raise ZeroDivisionError("oh")
            return super().load(options, on_progress)

    async with run_app(BuggyEngine(), config=searching(models)) as running:
        await running.exchange("Hello", "Hi")
        await choose_model(running, "broken")
        await running.until(lambda: "ZeroDivisionError" in notices(running))
        await running.until(lambda: len(running.engine.loads) == 2)
        await running.until_state(ChatState.IDLE)
        assert not running.app.failure

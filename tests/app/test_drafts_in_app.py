"""What is written and not sent is there again: in the next start, in each chat, wherever it was written."""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.running_app import RunApp, Running, begin_chat
from support.scripted_engine import END, ScriptedEngine
from support.whole_app import notices, save_chat, text, until_screen
from textual import events

from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.drafts.draft import Draft
from easy_llama_tui.drafts.draft_store import DraftStore
from easy_llama_tui.replies.wording import ChatState


@pytest.fixture(autouse=True)
def saves_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easy_llama_tui.screens.draft_desk.SAVE_SECONDS", 0.02)


@pytest.fixture
def drafts(tmp_path: Path) -> Callable[[], list[Draft]]:
    """Reads what a program that is started now would find."""

    def read() -> list[Draft]:
        store = DraftStore(tmp_path / "drafts")
        found = [store.read(path.stem) for path in (tmp_path / "drafts").glob("*.json")]
        return [draft for draft in found if draft is not None]

    return read


Drafts = Callable[[], list[Draft]]


async def write(running: Running, *keys: str) -> None:
    await running.pilot.press(*keys)


def opened(store: SessionStore, *said: str) -> Chat:
    return Chat.from_session(store.load(save_chat(store, *said).id))


async def test_a_draft_is_on_disk_soon_and_goes_with_its_text(run_app: RunApp, drafts: Drafts) -> None:
    async with run_app() as running:
        await running.type("some words")
        await running.until(lambda: [draft.text for draft in drafts()] == ["some words"])
        await running.pilot.press("ctrl+c")
        await running.until(lambda: drafts() == [])
        await running.pilot.press("ctrl+z")
        await running.until(lambda: [draft.text for draft in drafts()] == ["some words"])


async def test_what_was_written_in_a_new_chat_comes_back_at_the_next_start(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.type("first")
        await write(running, "ctrl+j")
        await running.type("second")
        await write(running, "left", "left")
    async with run_app() as running:
        assert running.screen.prompt.text == "first\nsecond"
        await write(running, "x")
        assert running.screen.prompt.text == "first\nsecoxnd"


@pytest.mark.parametrize(("sign", "mark"), [("<", "opening"), ("!!", "system")])
async def test_what_is_written_is_the_same_again(run_app: RunApp, sign: str, mark: str) -> None:
    async with run_app() as running:
        await running.send(sign)
        await running.type("words")
    async with run_app() as running:
        assert (running.screen.prompt.mode, running.screen.prompt.text) == (mark, "words")
        await running.until(lambda: str(running.screen.query_one("#prompt-mark").content) == sign)


async def test_each_chat_has_its_own_draft(run_app: RunApp, store: SessionStore) -> None:
    saved = save_chat(store, "Old question", "Old answer")
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        first = running.screen.chat.id
        await running.type("for the first")
        await write(running, "ctrl+n")
        assert running.screen.prompt.text == ""
        await running.type("for a new one")
        running.screen.switch._open_chat(saved.id, None)
        assert running.screen.prompt.text == ""
        await running.type("for the old")
        running.screen.switch._open_chat(first, None)
        assert running.screen.prompt.text == "for the first"
        await write(running, "ctrl+n")
        assert running.screen.prompt.text == "for a new one"
    async with run_app(chat=Chat.from_session(store.load(saved.id))) as running:
        assert running.screen.prompt.text == "for the old"
    async with run_app() as running:
        assert running.screen.prompt.text == "for a new one"
        await write(running, "ctrl+n")
        assert running.screen.prompt.text == "for a new one"


async def test_words_that_come_with_a_key_for_a_new_chat_stay_in_theirs(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "Hi")
        first = running.screen.chat.id
        for key in (*"abc", "ctrl+n", *"xyz"):
            running.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await running.until(lambda: running.screen.prompt.text == "xyz")
        running.screen.switch._open_chat(first, None)
        assert running.screen.prompt.text == "abc"


async def test_words_that_are_typed_while_a_reply_stops_are_for_the_next_chat(run_app: RunApp) -> None:
    engine = ScriptedEngine()
    async with run_app(engine) as running:
        await running.until_state(ChatState.IDLE)
        engine.say("slow")
        await running.send("Hello")
        await running.until_state(ChatState.GENERATING)
        first = running.screen.chat.id
        await running.type("for this ")
        engine.ignores_cancel = True
        await write(running, "ctrl+n")
        await running.type("for that")
        assert running.screen.chat.id == first
        engine.say(END)
        await running.until(lambda: running.screen.chat.id != first)
        assert running.screen.prompt.text == "for that"
        running.screen.switch._open_chat(first, None)
        assert running.screen.prompt.text == "for this "


async def test_words_that_come_with_the_key_that_quits_are_kept(run_app: RunApp, drafts: Drafts) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        for key in (*"abc", "ctrl+q"):
            running.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await running.until(lambda: running.screen._left)
        assert [draft.text for draft in drafts()] == ["abc"]


async def test_the_draft_of_a_chat_that_is_gone_for_good_goes_too(
    run_app: RunApp, store: SessionStore, tmp_path: Path, drafts: Drafts
) -> None:
    folder = DraftStore(tmp_path / "drafts")
    kept, deleted = save_chat(store, "One", "a"), save_chat(store, "Two", "b")
    for chat in (kept.id, deleted.id, "gone", "/elsewhere/gone.toml"):
        folder.write(folder.name_for(chat), Draft(chat, chat=chat))
        os.utime(tmp_path / "drafts" / f"{folder.name_for(chat)}.json", (0, 0))
    folder.write(folder.name_for("new"), Draft("new", chat="new"))
    store.delete(deleted.id)
    async with run_app():
        pass
    assert {one.text for one in drafts()} == {kept.id, deleted.id, "/elsewhere/gone.toml", "new"}


async def test_two_programs_do_not_take_each_others_drafts(run_app: RunApp, drafts: Drafts) -> None:
    async with run_app() as running:
        await running.type("here")
        await running.until(drafts)
        async with run_app() as beside:
            assert beside.screen.prompt.text == ""
            await beside.type("there")
    async with run_app() as running:
        assert running.screen.prompt.text in ("here", "there")
        await running.until_state(ChatState.IDLE)
        running.engine.reply_with("ok")
        first = running.screen.prompt.text
        await write(running, "enter")
        await running.until(lambda: running.path and running.path[-1].finish)
        await running.saved()
        await running.until(lambda: len(drafts()) == 1)
        await write(running, "ctrl+n")
        assert {first, running.screen.prompt.text} == {"here", "there"}


async def test_what_is_sent_is_kept_until_its_chat_is_on_disk(
    run_app: RunApp, drafts: Drafts, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine(hold_loading=True)
    is_held = True
    save = store.save

    def save_or_not(session, **how):
        if is_held:
            raise OSError(28, "No space left on device")
        return save(session, **how)

    monkeypatch.setattr(store, "save", save_or_not)
    async with run_app(engine) as running:
        await running.send("Hello")
        await running.type("and more")
        wanted = [("and more", ("Hello",))]
        await running.until(
            lambda: [(draft.text, tuple(one.text for one in draft.sent)) for draft in drafts()] == wanted
        )
        left = drafts()[0]
        assert left.without_saved(lambda _: False).text == "Hello\nand more"
        is_held = False
        engine.loaded.set()
        engine.reply_with("Hi")
        await running.until(lambda: running.path[-1].finish)
        await running.saved()
        await running.until(lambda: [(draft.text, draft.sent) for draft in drafts()] == [("and more", ())])
        assert drafts()[0].chat == running.screen.chat.id


async def test_what_was_sent_and_is_in_the_file_does_not_come_back(
    run_app: RunApp, store: SessionStore, tmp_path: Path
) -> None:
    from easy_llama_tui.drafts.draft import SentText

    session = save_chat(store, "Hello there", "Hi")
    folder = DraftStore(tmp_path / "drafts")
    sent = (SentText("m1", "Hello there"), SentText("m9", "Lost words"))
    folder.write(folder.new_name(), Draft(sent=sent, chat=session.id))
    folder.write(folder.name_for(session.id), Draft(sent=sent[:1], chat=session.id))
    folder.close()
    async with run_app() as running:
        assert running.screen.prompt.text == "Lost words"
        running.screen.switch._open_chat(session.id, None)
        assert running.screen.prompt.text == ""


async def test_a_beginning_for_the_bot_is_not_lost(run_app: RunApp, drafts: Drafts) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.send("<")
        await running.send("Sure")
        await running.until(lambda: [draft.opening for draft in drafts()] == ["Sure"])
    async with run_app() as running:
        assert "begins with what you wrote" in notices(running)
        await running.until_state(ChatState.IDLE)
        running.engine.reply_with(" thing")
        await running.send("Hello")
        await running.until(lambda: running.said == [("user", "Hello"), ("bot", "Sure thing")])
        await running.until(lambda: running.path[-1].finish)
        await running.saved()
        await running.until(lambda: drafts() == [])


async def test_an_edit_that_did_not_end_goes_on(run_app: RunApp, store: SessionStore, drafts: Drafts) -> None:
    chat = opened(store, "Question", "Answer")
    async with run_app(chat=chat) as running:
        await running.until_state(ChatState.IDLE)
        await write(running, "up", "up", "e")
        await until_screen(running, "EditScreen")
        await running.type(" mark")
        await running.until(lambda: [draft.edits for draft in drafts()] == [{"m1": "Question mark"}])
    async with run_app(chat=Chat.from_session(store.load(chat.id))) as running:
        assert "Your edit of “Question…” was not finished" in notices(running)
        await running.until_state(ChatState.IDLE)
        await write(running, "up", "up", "e")
        await until_screen(running, "EditScreen")
        assert "not finished before" in text(running) and "Question mark" in text(running)
        running.engine.reply_with("Aha")
        await write(running, "ctrl+s")
        await running.until(lambda: running.said == [("user", "Question mark"), ("bot", "Aha")])
        await running.until(lambda: running.path[-1].finish)
        await running.saved()
        await running.until(lambda: drafts() == [])


async def test_an_edit_that_is_left_does_not_come_back(
    run_app: RunApp, store: SessionStore, drafts: Drafts
) -> None:
    async with run_app(chat=opened(store, "Question", "Answer")) as running:
        await running.until_state(ChatState.IDLE)
        await write(running, "up", "e")
        await until_screen(running, "EditScreen")
        await running.type("x")
        await running.until(drafts)
        await write(running, "escape", "escape")
        await running.until(lambda: drafts() == [])


async def test_a_draft_stays_while_earlier_messages_are_looked_at(run_app: RunApp, drafts: Drafts) -> None:
    async with run_app() as running:
        await running.exchange("One", "a")
        await running.type("draft")
        await write(running, "ctrl+up")
        await running.until(lambda: [(one.text, one.aside) for one in drafts()] == [("draft", "")])
        await running.type("!")
        await running.until(lambda: [(one.text, one.aside) for one in drafts()] == [("One!", "draft")])
        chat = running.screen.chat.id
    async with run_app(chat=Chat.from_session(running.store.load(chat))) as running:
        assert running.screen.prompt.text == "One!"
        await write(running, "ctrl+down")
        assert running.screen.prompt.text == "draft"


async def test_a_message_that_does_not_fit_is_in_the_prompt_once(run_app: RunApp, drafts: Drafts) -> None:
    engine = ScriptedEngine()
    engine.context_length = 3
    async with run_app(engine) as running:
        await running.until_state(ChatState.IDLE)
        await running.send("far too many words")
        await running.until(lambda: running.screen.prompt.text == "far too many words")
        await running.until(
            lambda: [(one.text, one.sent) for one in drafts()] == [("far too many words", ())]
        )


async def test_a_folder_that_cannot_be_written_is_told_once_and_typing_goes_on(
    run_app: RunApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easy_llama_tui.drafts.draft_writer.RETRY_SECONDS", 0.01)
    (tmp_path / "drafts").write_text("in the way")
    async with run_app() as running:
        await running.type("words")
        await running.until(lambda: "could not be saved" in notices(running))
        await running.type(" and more")
        await asyncio.to_thread((tmp_path / "drafts").unlink)
        await running.until(lambda: list((tmp_path / "drafts").glob("*.json")))
        assert notices(running).count("could not be saved") == 1
        assert running.screen.prompt.text == "words and more"


async def test_a_chat_from_elsewhere_has_a_draft_of_its_own(
    run_app: RunApp, store: SessionStore, tmp_path: Path
) -> None:
    session = save_chat(store, "Hello", "Hi")
    other = tmp_path / "copy.toml"
    other.write_bytes((store.folder / f"{session.id}.toml").read_bytes())
    async with run_app(chat=Chat.from_session(store.load(session.id))) as running:
        await running.type("one")
    async with run_app(chat=Chat.from_session(store.load(str(other)))) as running:
        assert running.screen.prompt.text == ""
        await running.type("two")
    async with run_app(chat=Chat.from_session(store.load(session.id))) as running:
        assert running.screen.prompt.text == "one"
    assert begin_chat().place != session.id


async def test_a_clock_that_jumps_as_in_sleep_changes_no_word(
    run_app: RunApp, store: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    for name in ("chats.chat", "replies.turns"):
        monkeypatch.setattr(f"easy_llama_tui.{name}.utc_now", lambda: now)
    async with run_app() as running:
        for days in (0, 9, -400):
            now += timedelta(days=days)
            await running.exchange(f"Question {days}", f"Answer {days}")
            said = await running.saved_messages()
            assert said[-2:] == [("user", f"Question {days}", None), ("bot", f"Answer {days}", "stop")]
        assert len(said) == 6
        assert store.listing().damaged == ()

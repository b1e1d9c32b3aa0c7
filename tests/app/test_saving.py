"""What the person sees and can do while a chat cannot be saved, or is open in another program."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.running_app import RunApp, Running
from support.whole_app import click, notices, save_chat, text, until_screen, until_seen
from textual.widgets import Input

from easy_llama_tui.chats import session_store, session_writer
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.file_lock import LockHolder
from easy_llama_tui.chats.session import from_toml
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.drafts.draft_store import DraftStore
from easy_llama_tui.replies.wording import ChatState


class Disk:
    """The disk that chats are saved on, full while a test wants that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self.tries = 0
        real = session_store.write_atomically

        def write(path: Path, data: bytes, **how: object) -> os.stat_result:
            if self.is_full:
                self.tries += 1
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(path, data, **how)

        monkeypatch.setattr(session_store, "write_atomically", write)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(session_writer, "RETRY_SECONDS", 0.02)
    return Disk(monkeypatch)


@pytest.fixture
def other(store: SessionStore) -> Iterator[SessionStore]:
    """Another program with the same chats, or as good as."""
    other = SessionStore(store.folder)
    yield other
    other.release_all()


async def fail_to_save(running: Running, disk: Disk) -> None:
    """Have a chat whose first exchange is saved, and whose second cannot be."""
    await running.exchange("Hello", "Hi")
    await running.saved()
    disk.is_full = True
    await running.exchange("More", "Words")
    await until_seen(running, "could not be saved")


def standing(running: Running) -> str:
    """What is said above the prompt."""
    return " ".join(
        str(notice.render()) for notice in running.screen.query("#standing-notice") if notice.display
    )


class TestADiskThatIsFull:
    async def test_is_told_until_there_is_room_while_all_goes_on(self, run_app: RunApp, disk: Disk) -> None:
        async with run_app() as running:
            await fail_to_save(running, disk)
            assert "No space left on device" in standing(running)
            assert "make room on the disk" in standing(running) and "/export" in standing(running)
            assert running.screen.status_bar.problem == "not saved: No space left on device"
            await running.exchange("And more", "Still", " written")
            assert running.said[-1] == ("bot", "Still written")
            tries = disk.tries
            await running.until(lambda: disk.tries > tries + 2)
            assert "could not be saved" in standing(running)
            disk.is_full = False
            # Nothing is done for it.
            await running.until(lambda: not standing(running))
            assert running.screen.status_bar.problem == ""
            await running.until(lambda: "Everything is saved again" in notices(running))
            assert len(running.store.load(running.screen.chat.id).messages) == 6

    async def test_the_chat_is_exported_meanwhile(self, run_app: RunApp, disk: Disk, tmp_path: Path) -> None:
        async with run_app() as running:
            await fail_to_save(running, disk)
            await running.send("/export")
            await until_screen(running, "ExportScreen")
            running.app.screen.query_one(Input).value = "nowhere/chat.md"
            await running.pilot.press("enter")
            await until_seen(running, "could not be exported")
            running.app.screen.query_one(Input).value = "chat.md"
            await running.pilot.press("enter")
            await running.until(lambda: "was exported to" in notices(running))
            assert "Words" in (tmp_path / "chat.md").read_text()
            disk.is_full = False

    async def test_a_chat_that_was_left_is_not_forgotten(self, run_app: RunApp, disk: Disk) -> None:
        async with run_app() as running:
            await fail_to_save(running, disk)
            first = running.screen.chat.id
            await running.pilot.press("ctrl+n")
            await running.until(lambda: running.screen.chat.id != first)
            assert "could not be saved" in standing(running)
            await running.exchange("Another", "Chat")
            await running.until(lambda: "1 more chat is not saved either" in standing(running))
            disk.is_full = False
            await running.until(lambda: not standing(running))
            assert len(running.store.load(first).messages) == 4

    async def test_a_chat_whose_words_are_only_in_memory_is_opened_with_them(
        self, run_app: RunApp, disk: Disk
    ) -> None:
        async with run_app() as running:
            await fail_to_save(running, disk)
            first = running.screen.chat.id
            await running.pilot.press("ctrl+n")
            await running.until(lambda: running.screen.chat.id != first)
            await running.pilot.press("ctrl+o")
            await until_screen(running, "ChatsScreen")
            await running.until(lambda: running.app.screen.chat_list.chat_rows)
            await running.pilot.press("enter")
            await running.until(lambda: running.screen.chat.id == first)
            assert running.said[-1] == ("bot", "Words")
            disk.is_full = False
            await running.until(lambda: not standing(running))
            assert SessionStore(running.store.folder).open(first).holder is not None

    @pytest.mark.parametrize("size", [(80, 24), (120, 36), (40, 14), (30, 8), (200, 60)])
    async def test_is_told_in_any_window(self, run_app: RunApp, disk: Disk, size: tuple[int, int]) -> None:
        async with run_app(size=size) as running:
            await running.exchange("Hello", "Hi")
            disk.is_full = True
            await running.exchange("More", "Words")
            await until_seen(running, "⚠")
            assert "saved" in text(running)
            assert "Words" in text(running)
            disk.is_full = False


class TestLeaving:
    async def ask(self, running: Running, disk: Disk) -> None:
        await fail_to_save(running, disk)
        await running.pilot.press("ctrl+q")
        await until_screen(running, "UnsavedScreen")
        await until_seen(running, "“Hello”", "only in memory", "No space left on device")

    async def test_one_can_stay(self, run_app: RunApp, disk: Disk) -> None:
        async with run_app() as running:
            await self.ask(running, disk)
            await running.pilot.press("ctrl+q")  # which asks nothing anew
            await running.pilot.press("escape")
            await running.until(lambda: running.app.screen is running.screen)
            await running.exchange("And more", "Yes")
            disk.is_full = False
            assert len((await running.saved()).messages) == 6

    async def test_one_can_try_again(self, run_app: RunApp, disk: Disk) -> None:
        async with run_app() as running:
            await self.ask(running, disk)
            await running.pilot.press("enter")
            await until_screen(running, "UnsavedScreen")
            disk.is_full = False
            await running.pilot.press("enter")
            await running.until(lambda: not running.app.is_running)
            assert running.app.left_cleanly
            assert len(running.store.load(running.screen.chat.id).messages) == 4

    async def test_one_can_save_in_another_folder(self, run_app: RunApp, disk: Disk, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        async with run_app() as running:
            await self.ask(running, disk)
            await running.pilot.press("s")
            await until_screen(running, "NameScreen")
            running.app.screen.query_one(Input).value = str(tmp_path / "nowhere")
            await running.pilot.press("enter")
            await until_seen(running, "It cannot be written to")
            running.app.screen.query_one(Input).value = str(elsewhere)
            await running.pilot.press("enter")
            await running.until(lambda: not running.app.is_running)
            (path,) = elsewhere.iterdir()
            assert [one.content for one in from_toml(path.read_text(), "").messages][-1] == "Words"
            assert path.stat().st_mode & 0o777 == 0o600
            assert str(path) in running.screen.saving.parting_words[0]

    async def test_one_can_go_back_from_the_question_for_a_folder(self, run_app: RunApp, disk: Disk) -> None:
        async with run_app() as running:
            await self.ask(running, disk)
            await click(running, "save in another folder")
            await until_screen(running, "NameScreen")
            await running.pilot.press("escape")
            await until_screen(running, "UnsavedScreen")
            await running.pilot.press("escape")
            disk.is_full = False

    async def test_one_can_leave_all_the_same(self, run_app: RunApp, disk: Disk) -> None:
        async with run_app() as running:
            await self.ask(running, disk)
            await running.pilot.press("x")
            await running.until(lambda: not running.app.is_running)
            assert running.screen.saving.parting_words == []
            assert len(running.store.load(running.screen.chat.id).messages) == 2

    async def test_where_nobody_can_be_asked_the_chat_is_put_where_it_can(
        self, run_app: RunApp, disk: Disk, user_folders: Path
    ) -> None:
        async with run_app() as running:
            await fail_to_save(running, disk)
            running.app.run_worker(running.app._leave_without_asking())  # as a signal does
            await running.until(lambda: not running.app.is_running)
            path = user_folders / f"{running.screen.chat.id}.toml"
            assert from_toml(path.read_text(), "").messages[-1].content == "Words"
            assert str(path) in running.screen.saving.parting_words[0]


class TestOtherPrograms:
    @pytest.fixture
    def drafts_folder(self, tmp_path: Path) -> Path:
        return tmp_path / "drafts"

    async def open_elsewhere(self, running: Running, other: SessionStore, chat_id: str) -> None:
        assert other.open(chat_id).holder is None
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("ctrl+o")
        await until_screen(running, "ChatsScreen")
        await running.until(lambda: running.app.screen.chat_list.chat_rows)
        await running.pilot.press("ctrl+home")
        while running.app.screen.chat_list.highlighted_chat.id != chat_id:
            await running.pilot.press("down")
        await running.pilot.press("enter")
        await running.until(lambda: running.screen.chat.id == chat_id)

    async def test_a_chat_that_is_open_elsewhere_is_only_read(
        self, run_app: RunApp, store: SessionStore, other: SessionStore
    ) -> None:
        chat_id = save_chat(store, "About cats", "Meow").id
        path = store.folder / f"{chat_id}.toml"
        before = path.read_bytes()
        async with run_app() as running:
            await self.open_elsewhere(running, other, chat_id)
            await until_seen(running, "has this chat open, so here it is only to be read", "/duplicate")
            assert f"process {os.getpid()}" in standing(running)
            await running.send("And dogs?")
            await running.until(lambda: running.screen.prompt.text == "And dogs?")
            await running.pilot.press("ctrl+c")
            await running.pilot.press("ctrl+r", "f8")
            await running.pilot.press("up")
            for key in ("e", "d", "b", "p", "u", "r", "n"):
                await running.pilot.press(key)
                assert running.app.screen is running.screen
            await running.pilot.press("escape")
            assert running.shown == [("user", "About cats"), ("bot", "Meow")]
            assert not running.screen.turns.running
        assert path.read_bytes() == before

    async def test_what_is_written_to_it_comes_along_and_is_not_lost(
        self, run_app: RunApp, store: SessionStore, other: SessionStore, drafts_folder: Path
    ) -> None:
        chat_id = save_chat(store, "About cats", "Meow").id
        async with run_app(drafts_folder=drafts_folder) as running:
            await self.open_elsewhere(running, other, chat_id)
            await running.type("And dogs?")
            await running.app.run_action("duplicate", running.screen)
            await running.until(lambda: running.screen.chat.id != chat_id)
            assert running.screen.prompt.text == "And dogs?"
            await self.open_elsewhere(running, other, chat_id)
            await running.type("Birds?")
            await running.pilot.press("ctrl+n")
            await running.until(lambda: running.screen.chat.id != chat_id)
            assert running.screen.prompt.text == "Birds?"
        # The draft of the chat is the other program's.
        assert not (drafts_folder / f"{DraftStore.name_for(chat_id)}.json").exists()

    async def test_a_copy_goes_on(self, run_app: RunApp, store: SessionStore, other: SessionStore) -> None:
        chat_id = save_chat(store, "About cats", "Meow").id
        async with run_app() as running:
            await self.open_elsewhere(running, other, chat_id)
            await running.send("/duplicate")
            await running.until(lambda: running.screen.chat.id != chat_id)
            assert not standing(running)
            await running.exchange("And dogs?", "Woof")
            saved = await running.saved()
            assert (saved.title, saved.messages[-1].content) == ("copy of About cats", "Woof")
            assert len(store.load(chat_id).messages) == 2

    async def test_it_goes_on_here_once_the_other_has_closed_it(
        self, run_app: RunApp, store: SessionStore, other: SessionStore
    ) -> None:
        session = save_chat(store, "About cats", "Meow")
        async with run_app() as running:
            await self.open_elsewhere(running, other, session.id)
            chat = Chat.from_session(session)
            chat.ask("Said there")
            other.save(chat.snapshot(), hold=True)
            other.release(other.path_of(session))
            await running.send("And dogs?")
            await running.until(lambda: "This is how it left it" in notices(running))
            assert running.said[2] == ("user", "Said there")
            assert not standing(running)
            assert running.screen.prompt.text == "And dogs?"
            running.engine.reply_with("Woof")
            await running.pilot.press("enter")
            await running.until(lambda: running.path[-1].content == "Woof" and running.path[-1].finish)
            assert (await running.saved()).messages[-1].content == "Woof"

    async def test_the_chat_to_begin_with_may_be_open_elsewhere(
        self, run_app: RunApp, store: SessionStore
    ) -> None:
        chat = Chat.from_session(save_chat(store, "About cats", "Meow"))
        chat.held_by = str(LockHolder(7))
        async with run_app(chat=chat) as running:
            await until_seen(running, "another ezllama (process 7)".capitalize(), "About cats")

    async def test_an_open_chat_is_kept_from_others_until_another_is_opened(
        self, run_app: RunApp, other: SessionStore
    ) -> None:
        async with run_app() as running:
            await running.exchange("Hello", "Hi")
            first = (await running.saved()).id
            assert other.open(first).holder is not None
            await running.pilot.press("ctrl+n")
            await running.until(lambda: other.open(first).holder is None)

    async def test_what_another_program_wrote_is_kept_and_told(self, run_app: RunApp) -> None:
        async with run_app() as running:
            await running.exchange("Hello", "Hi")
            path = running.store.folder / f"{(await running.saved()).id}.toml"
            path.write_text("theirs")
            await running.exchange("More", "Words")
            await running.until(lambda: "Another program wrote to the file" in notices(running))
            (copy,) = (running.store.folder / ".kept" / path.stem).iterdir()
            assert copy.read_text() == "theirs"
            assert len((await running.saved()).messages) == 4
            path.unlink()
            await running.exchange("Again", "Words")
            await running.until(lambda: "was removed" in notices(running))
            assert len((await running.saved()).messages) == 6

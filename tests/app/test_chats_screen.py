"""The list of chats: what keys and clicks do to the chats on the disk, and what the person sees."""

import asyncio
import builtins
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.themed_app import ThemedApp
from support.waiting import until
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, Static

from easy_llama_tui.chats.chat_index import ChatIndex
from easy_llama_tui.chats.conversation import Conversation
from easy_llama_tui.chats.session import ModelReference, SamplerChoice, Session
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.chats.session_trash import DeletedChat
from easy_llama_tui.screens import chats_screen
from easy_llama_tui.screens.chats_screen import ChatsScreen
from easy_llama_tui.screens.export_screen import ExportScreen
from easy_llama_tui.screens.name_screen import NameScreen
from easy_llama_tui.screens.recovery_screen import RecoveryScreen
from easy_llama_tui.text.time_words import when
from easy_llama_tui.widgets.chat_list import ChatList
from easy_llama_tui.widgets.key_hints import KeyHints

NOW = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)


def session(
    chat_id: str, *contents: str, title: str = "", ago: timedelta = timedelta(), model: str = "tiny"
) -> Session:
    conversation = Conversation(now=lambda: NOW)
    for number, content in enumerate(contents or ("What do cats say?", "Meow.")):
        conversation.add("bot" if number % 2 else "user", content, finish="stop" if number % 2 else None)
    return Session(
        id=chat_id,
        title=title or chat_id.title(),
        named=True,
        created=NOW - ago,
        updated=NOW - ago,
        head=conversation.head,
        model=ModelReference(f"/models/{model}.gguf", model),
        format="template",
        sampler=SamplerChoice("DefaultSampling"),
        messages=conversation.messages,
    )


@dataclass
class Shown:
    """The screen in a running app, and what its test asks of it."""

    pilot: Pilot[None]
    screen: ChatsScreen
    store: SessionStore
    results: list[str | None] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)

    @property
    def chat_list(self) -> ChatList:
        return self.screen.query_one(ChatList)

    @property
    def ids(self) -> list[str]:
        return [row.id for row in self.chat_list.chat_rows]

    @property
    def highlighted(self) -> str | None:
        chat = self.chat_list.highlighted_chat
        return chat.id if chat else None

    @property
    def count(self) -> str:
        return str(self.screen.query_one("#chats").border_subtitle or "")

    @property
    def notices(self) -> list[str]:
        return [notice.message for notice in self.pilot.app._notifications]

    @property
    def problem(self) -> str:
        """What the question that is asked says is wrong."""
        lines = self.pilot.app.screen.query(".name-problem, #export-problem")
        return str(lines.first().render()) if lines and lines.first().display else ""

    def lines(self) -> list[str]:
        """The rows of the list as they are drawn."""
        return [self.chat_list.render_line(y).text.rstrip() for y in range(self.chat_list.size.height)]

    async def until(self, condition: Callable[[], object]) -> None:
        await until(self.pilot, condition)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        await self.press(*("space" if character == " " else character for character in text))

    async def search(self, text: str) -> None:
        await self.type(text)
        await self.until(lambda: self.count.endswith("found"))

    async def until_asked(self, kind: "builtins.type[Screen[Any]]") -> None:
        await self.until(lambda: isinstance(self.pilot.app.screen, kind))

    async def fill_in(self, text: str) -> None:
        self.pilot.app.screen.query_one(Input).value = text
        await self.press("enter")

    async def until_noticed(self, text: str) -> None:
        await self.until(lambda: any(text in notice for notice in self.notices))


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return SessionStore(tmp_path / "sessions")


@pytest.fixture
def three(store: SessionStore) -> SessionStore:
    store.save(session("dogs", "What do dogs say?", "Woof, all day.", ago=timedelta(days=40)))
    store.save(session("birds", "Who sings?", "Birds do.", "And who flies?", ago=timedelta(days=1)))
    store.save(session("cats", ago=timedelta(hours=1)))
    return store


@asynccontextmanager
async def shown(
    store: SessionStore,
    *,
    size: tuple[int, int] = (100, 30),
    open_chat: str = "",
    folder: Path | None = None,
    snapshot: Session | None = None,
    deleted: list[DeletedChat] | None = None,
    wait: bool = True,
) -> AsyncIterator[Shown]:
    index = ChatIndex(store, None)
    renamed: list[str] = []
    screen = ChatsScreen(
        store,
        index,
        open_chat,
        renamed.append,
        folder or store.folder.parent,
        snapshot_open=(lambda: snapshot) if snapshot else None,
        deleted=deleted,
        now=lambda: NOW,
    )
    async with ThemedApp().run_test(size=size) as pilot:
        running = Shown(pilot, screen, store, renamed=renamed)
        pilot.app.push_screen(screen, running.results.append)
        await pilot.pause()
        if wait:
            await running.until(lambda: running.count)
        yield running
        # What still runs in its thread ends before the folder goes.
        await asyncio.to_thread(screen._files.close, wait=True)


def titles(store: SessionStore) -> set[str]:
    return {summary.title for summary in store.summaries()}


# The list


async def test_all_chats_are_listed_newest_first(three: SessionStore) -> None:
    async with shown(three, open_chat="birds") as screen:
        assert screen.ids == ["cats", "birds", "dogs"]
        assert screen.count == "3 chats"
        cats, cats_about, birds, birds_about, _, _ = screen.lines()[:6]
        local = (NOW - timedelta(hours=1)).astimezone()
        assert cats.split() == ["Cats", *when(local, NOW.astimezone()).split()]
        assert cats_about.split() == ["2", "messages", "·", "tiny", "What", "do", "cats", "say?"]
        assert birds.split() == ["▸", "Birds", "open", "yesterday"]  # the open chat is where one begins
        assert birds_about.split()[:4] == ["3", "messages", "·", "tiny"]


async def test_enter_opens_the_highlighted_chat(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.press("down", "down", "up", "enter")
        await screen.until(lambda: screen.results)
        assert screen.results == ["birds"]


async def test_the_chat_that_is_open_is_just_gone_back_to(three: SessionStore) -> None:
    async with shown(three, open_chat="cats") as screen:
        await screen.press("enter")
        await screen.until(lambda: screen.results)
        assert screen.results == [None]


@pytest.mark.parametrize("key", ["escape", "ctrl+o", "ctrl+c"])
async def test_it_is_left_without_a_choice(three: SessionStore, key: str) -> None:
    async with shown(three) as screen:
        await screen.press(key)
        await screen.until(lambda: screen.results)
        assert screen.results == [None]


async def test_a_click_highlights_and_a_second_opens(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.pilot.click(ChatList, offset=(5, 5))
        assert screen.highlighted == "dogs"
        assert screen.results == []
        await screen.pilot.click(ChatList, offset=(5, 4))
        await screen.until(lambda: screen.results)
        assert screen.results == ["dogs"]


async def test_the_keys_at_the_bottom_can_be_clicked(three: SessionStore) -> None:
    async with shown(three) as screen:
        hints = screen.screen.query_one(KeyHints)
        line = hints.render_line(0).text
        await screen.pilot.click(KeyHints, offset=(line.index("F9") + 1, 0))
        await screen.until(lambda: "cats" not in screen.ids)


async def test_without_chats_it_says_so(store: SessionStore) -> None:
    async with shown(store) as screen:
        assert "No chats yet" in "".join(screen.lines())
        for key in ("enter", "f2", "f6", "f7", "f9", "down", "pagedown", "ctrl+end"):
            await screen.press(key)
        assert screen.results == []


async def test_a_damaged_chat_is_listed_with_its_reason_and_can_be_deleted(three: SessionStore) -> None:
    (three.folder / "broken.toml").write_text("schema = 1\nid = [")
    async with shown(three) as screen:
        place = screen.chat_list.place_of("broken")
        assert place is not None
        await screen.press(*["down"] * place)
        assert screen.highlighted == "broken"
        lines = screen.lines()
        assert "⚠" in lines[2 * place] and "damaged" in lines[2 * place]
        assert "is not valid TOML: Invalid value (at end of document)" in lines[2 * place + 1]
        for key, done in (("f2", "renamed"), ("f6", "duplicated"), ("f7", "exported")):
            await screen.press(key)
            assert any(f"cannot be {done}" in notice for notice in screen.notices)
        assert any("TOML" in notice for notice in screen.notices)
        await screen.press("enter")
        await screen.until_asked(RecoveryScreen)
        await screen.press("enter")  # there is nothing to copy
        assert isinstance(screen.pilot.app.screen, RecoveryScreen)
        await screen.press("escape", "f9")
        await screen.until(lambda: not (three.folder / "broken.toml").exists())


async def test_what_a_file_says_cannot_drive_the_terminal(store: SessionStore) -> None:
    store.save(session("evil", "\x1b]52;c;aGk=\x07[red]hi\n\u202eabc", title="[bold]\x1b[31mred\x9b"))
    async with shown(store) as screen:
        await screen.search("hi")
        text = "".join(screen.lines())
        assert not any(character in text for character in "\x1b\x07\x9b\u202e")
        assert "[bold]" in text and "[red]" in text


async def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("a file")
    async with shown(SessionStore(tmp_path / "sessions"), wait=False) as screen:
        await screen.until_noticed("could not be listed")
        await screen.press("escape")
        await screen.until(lambda: screen.results)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (300, 60)])
async def test_any_window_is_enough(three: SessionStore, size: tuple[int, int]) -> None:
    three.save(session("wide", "語" * 100, title="長い" * 30, model="a-model-with-a-long-name" * 4))
    async with shown(three, size=size, open_chat="wide") as screen:
        assert screen.chat_list.size.height >= 4
        hints = screen.screen.query_one(KeyHints)
        words = "\n".join(hints.render_line(y).text for y in range(hints.size.height))
        for key in ("Enter open", "F2 rename", "F6 duplicate", "F7 export", "F8 import", "F9 delete", "Esc"):
            assert key in words
        first, second = screen.lines()[:2]
        assert "open" in first and "today" in first
        assert "1 message" in second and "語" in second


async def test_a_thousand_chats_move_as_quickly_as_three(store: SessionStore) -> None:
    store.folder.mkdir(parents=True)
    for number in range(1000):
        store.save(session(f"chat{number:04}", ago=timedelta(minutes=number)))
    async with shown(store) as screen:
        assert screen.count == "1,000 chats"
        await screen.press("ctrl+end")
        assert screen.highlighted == "chat0999"
        assert any("Chat0999" in line for line in screen.lines())
        await screen.press("pageup", "ctrl+home", "pagedown")
        assert screen.highlighted != "chat0000"
        await screen.search("chat0500")
        assert screen.ids == ["chat0500"]


# Search


async def test_typing_finds_titles_first_and_then_texts(three: SessionStore) -> None:
    three.save(session("whales", "Do BIRDS swim?", "No.", title="Sea"))
    async with shown(three) as screen:
        await screen.search("birds")
        assert screen.ids == ["birds", "whales"]
        assert screen.highlighted == "birds"
        assert screen.count == "2 found"
        text = screen.lines()[3]
        assert "Do BIRDS swim?" in text


async def test_the_match_is_told_by_more_than_colour(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.search("all day")
        assert screen.ids == ["dogs"]
        strip = screen.chat_list.render_line(1)
        marked = [segment.text for segment in strip if segment.style and segment.style.underline]
        assert marked == ["all day"]


async def test_a_match_far_down_a_long_message_is_in_sight(store: SessionStore) -> None:
    store.save(session("long", "word " * 500 + "needle" + " word" * 500))
    async with shown(store, size=(40, 12)) as screen:
        await screen.search("needle")
        assert "needle" in screen.lines()[1], screen.lines()


async def test_nothing_found_is_said(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.search("zebra")
        assert "Nothing found" in "".join(screen.lines())
        await screen.press("enter", "f9", "f2")
        assert screen.results == []
        await screen.press(*["backspace"] * 5)
        await screen.until(lambda: len(screen.ids) == 3)


async def test_the_message_that_was_found_is_known(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.search("woof")
        await screen.press("enter")
        await screen.until(lambda: screen.results)
        assert screen.results == ["dogs"]
        assert screen.screen.found_message_id == "m2"


async def test_further_typing_gives_a_search_up(three: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on = threading.Event(), threading.Event()
    searched: list[tuple[str, str]] = []
    real = chats_screen.search

    def slow(query: str, chats: tuple) -> list:
        searched.append((query, chats[0].id))
        if query == "wo":
            began.set()
            assert go_on.wait(10)
        return list(real(query, chats))

    monkeypatch.setattr(chats_screen, "search", slow)
    async with shown(three) as screen:
        await screen.type("wo")
        await screen.until(began.is_set)
        await screen.type("of")
        go_on.set()
        await screen.until(lambda: screen.count.endswith("found"))
        assert screen.ids == ["dogs"]
        assert [id_ for query, id_ in searched if query == "wo"] == ["cats"]


async def test_what_is_found_comes_while_the_search_goes_on(
    three: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    real = chats_screen.search

    def slow(query: str, chats: tuple) -> list:
        if chats[0].id == "dogs":
            assert go_on.wait(10)
        return list(real(query, chats))

    monkeypatch.setattr(chats_screen, "search", slow)
    monkeypatch.setattr(chats_screen, "_BATCH_SECONDS", -1.0)
    async with shown(three) as screen:
        await screen.type("say?")
        await screen.until(lambda: screen.ids == ["cats"])
        assert screen.count == "1 found · searching …"
        go_on.set()
        await screen.until(lambda: screen.count == "2 found")
        assert screen.ids == ["cats", "dogs"]


async def test_what_is_typed_before_the_chats_are_listed_counts(
    three: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    real = ChatIndex.chats
    monkeypatch.setattr(ChatIndex, "chats", lambda self: go_on.wait(10) and real(self))
    async with shown(three, open_chat="cats", wait=False) as screen:
        await screen.type("woof")
        assert screen.ids == []
        go_on.set()
        await screen.until(lambda: screen.count == "1 found")
        assert screen.ids == ["dogs"]
        assert screen.screen.query_one(Input).value == "woof"


async def test_what_is_typed_in_the_list_goes_to_the_field(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.press("tab")
        assert screen.screen.focused is screen.chat_list
        await screen.press("end")
        assert screen.highlighted == "dogs"
        await screen.search("birds")
        assert screen.ids == ["birds"]


# Rename, duplicate, delete


async def test_a_chat_is_renamed(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.press("down", "f2")
        await screen.until_asked(NameScreen)
        assert screen.pilot.app.screen.query_one(Input).value == "Birds"
        await screen.type("Wings")  # replaces what stands there
        await screen.press("enter")
        await screen.until(lambda: "Wings" in titles(three))
        await screen.until(lambda: any("Wings" in line for line in screen.lines()))
        assert screen.highlighted == "birds"
        assert screen.renamed == []


async def test_a_title_must_be_seen_and_esc_keeps_the_old_one(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.press("f2")
        await screen.until_asked(NameScreen)
        await screen.fill_in("\u200b\u2060")
        await screen.fill_in("   ")
        assert isinstance(screen.pilot.app.screen, NameScreen)
        await screen.press("escape")
        await screen.until_asked(ChatsScreen)
        assert titles(three) == {"Cats", "Birds", "Dogs"}


async def test_the_open_chat_is_renamed_by_itself(three: SessionStore) -> None:
    async with shown(three, open_chat="cats") as screen:
        await screen.press("f2")
        await screen.until_asked(NameScreen)
        await screen.fill_in("  Tigers  ")
        await screen.until(lambda: screen.renamed == ["Tigers"])
        await screen.until(lambda: "Tigers" in screen.lines()[0])
        assert titles(three) == {"Cats", "Birds", "Dogs"}  # its own session saves it
        await screen.press("f6")  # which lists all anew
        await screen.until(lambda: len(screen.ids) == 4)
        assert sum("Tigers" in line for line in screen.lines()) == 1


async def test_a_chat_is_duplicated(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.press("down", "f6")
        await screen.until(lambda: len(screen.ids) == 4)
        assert titles(three) == {"Cats", "Birds", "Dogs", "copy of Birds"}
        assert screen.chat_list.highlighted_chat.title == "copy of Birds"
        assert screen.ids[0] == screen.highlighted


async def test_the_open_chat_is_duplicated_as_it_is_now(three: SessionStore) -> None:
    now = session("cats", "one", "two", "three")
    async with shown(three, open_chat="cats", snapshot=now) as screen:
        await screen.press("f6")
        await screen.until(lambda: len(screen.ids) == 4)
        assert three.load(screen.highlighted).messages == now.messages


async def test_a_chat_is_deleted_and_brought_back(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.press("f9")
        await screen.until_noticed("“Cats” was deleted. Ctrl+Z brings it back.")
        assert titles(three) == {"Birds", "Dogs"}
        assert (screen.ids, screen.highlighted) == (["birds", "dogs"], "birds")
        await screen.press("ctrl+z")
        await screen.until(lambda: "cats" in screen.ids)
        assert titles(three) == {"Cats", "Birds", "Dogs"}
        assert screen.highlighted == "cats"
        await screen.press("ctrl+z")
        await screen.until_noticed("no deleted chat")


async def test_quick_keys_delete_one_chat_each_and_undo_brings_each_back(
    three: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = slow_deletion(monkeypatch)
    async with shown(three) as screen:
        await screen.press("f9", "f9", "f9", "f9", "ctrl+z", "ctrl+z")
        assert screen.ids == []  # although none of the files is gone
        go_on.set()
        await screen.until(lambda: sorted(screen.ids) == ["birds", "dogs"])
        await screen.until(lambda: titles(three) == {"Birds", "Dogs"})
        await screen.press("ctrl+z")
        await screen.until(lambda: titles(three) == {"Cats", "Birds", "Dogs"})


def slow_deletion(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let chats be deleted only when the event that is returned is set."""
    go_on = threading.Event()
    real = SessionStore.delete
    monkeypatch.setattr(SessionStore, "delete", lambda self, id_: go_on.wait(10) and real(self, id_))
    return go_on


async def test_what_was_begun_is_done_even_where_the_app_is_left(
    three: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = slow_deletion(monkeypatch)
    screen = ChatsScreen(three, ChatIndex(three, None), "", lambda title: None, now=lambda: NOW)
    async with ThemedApp().run_test() as pilot:
        await pilot.app.push_screen(screen)
        running = Shown(pilot, screen, three)
        await running.until(lambda: running.ids)
        await pilot.press("f9", "f9")
    go_on.set()
    await asyncio.to_thread(screen._files.close, wait=True)
    assert titles(three) == {"Dogs"}


async def test_what_was_deleted_at_an_earlier_visit_comes_back(three: SessionStore) -> None:
    deleted = [three.delete("dogs")]
    async with shown(three, deleted=deleted) as screen:
        hints = screen.screen.query_one(KeyHints)
        words = " ".join(hints.render_line(y).text for y in range(hints.size.height))
        assert "Ctrl+Z undo delete" in words
        await screen.press("ctrl+z")
        await screen.until(lambda: "dogs" in screen.ids)
        assert deleted == []


async def test_the_delete_key_deletes_in_the_list_and_edits_in_the_field(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.press("delete")
        assert len(screen.ids) == 3
        await screen.press("tab", "delete")
        await screen.until(lambda: titles(three) == {"Birds", "Dogs"})


async def test_the_open_chat_is_not_deleted(three: SessionStore) -> None:
    async with shown(three, open_chat="cats") as screen:
        await screen.press("f9")
        await screen.until_noticed("This chat is open; begin another first")
        assert "cats" in screen.ids
        assert titles(three) == {"Cats", "Birds", "Dogs"}


async def test_a_failed_deletion_is_told_and_the_chat_listed_again(
    three: SessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (three.folder / ".trash").write_text("no folder")
    async with shown(three) as screen:
        await screen.press("f9")
        await screen.until_noticed("could not be moved to the trash")
        await screen.until(lambda: "cats" in screen.ids)
        assert titles(three) == {"Cats", "Birds", "Dogs"}


async def test_a_deletion_is_done_even_where_the_screen_is_left_at_once(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.press("f9", "escape")
        await screen.until(lambda: screen.results)
        await screen.until(lambda: titles(three) == {"Birds", "Dogs"})


# Export and import


@pytest.mark.parametrize(
    ("downs", "suffix", "begins"), [(0, ".md", "<!--"), (1, ".json", "{"), (2, ".txt", "Title: ")]
)
async def test_a_chat_is_exported_and_imported_again(
    three: SessionStore, tmp_path: Path, downs: int, suffix: str, begins: str
) -> None:
    async with shown(three, folder=tmp_path) as screen:
        await screen.press("down", "f7")
        await screen.until_asked(ExportScreen)
        await screen.press(*["down"] * downs, "enter")
        path = tmp_path / f"Birds{suffix}"
        await screen.until_noticed("was exported to")
        assert path.read_text(encoding="utf-8").startswith(begins)
        await screen.press("f9")
        await screen.until(lambda: "birds" not in screen.ids)
        await screen.press("f8")
        await screen.until_asked(NameScreen)
        await screen.fill_in(path.name)
        await screen.until(lambda: len(screen.ids) == 3)
        imported = three.load(screen.highlighted)
        assert imported.title == "Birds"
        assert [message.content for message in imported.messages] == [
            "Who sings?",
            "Birds do.",
            "And who flies?",
        ]


async def test_a_file_is_replaced_only_after_a_second_enter(three: SessionStore, tmp_path: Path) -> None:
    (tmp_path / "Cats.md").write_text("mine")
    async with shown(three, folder=tmp_path) as screen:
        await screen.press("f7")
        await screen.until_asked(ExportScreen)
        await screen.press("enter")
        assert (tmp_path / "Cats.md").read_text() == "mine"
        await screen.press("x", "backspace", "enter")  # a change takes the question back
        assert isinstance(screen.pilot.app.screen, ExportScreen)
        assert (tmp_path / "Cats.md").read_text() == "mine"
        await screen.press("enter")
        await screen.until_noticed("was exported to")
        assert (tmp_path / "Cats.md").read_text() != "mine"


async def test_a_failed_export_asks_again_with_what_was_typed(three: SessionStore, tmp_path: Path) -> None:
    async with shown(three, folder=tmp_path) as screen:
        await screen.press("f7")
        await screen.until_asked(ExportScreen)
        await screen.fill_in("cats.doc")
        assert isinstance(screen.pilot.app.screen, ExportScreen)
        for typed in ("nowhere/cats.md", f"{'cats' * 100}.md"):
            await screen.fill_in(typed)
            await screen.until(lambda: "could not be exported" in screen.problem)
            assert isinstance(screen.pilot.app.screen, ExportScreen)
            assert screen.pilot.app.screen.query_one(Input).value == typed
        await screen.press("escape", "escape")
        await screen.until(lambda: screen.results)


async def test_the_suffix_and_the_format_follow_each_other(three: SessionStore) -> None:
    async with shown(three) as screen:
        await screen.press("f7")
        await screen.until_asked(ExportScreen)
        asked = screen.pilot.app.screen
        field, formats = asked.query_one(Input), asked.query_one("#export-formats", Static)

        def chosen() -> str:
            return next(line for line in str(formats.render()).splitlines() if "●" in line)

        assert field.value == "Cats.md" and ".md" in chosen()
        await screen.press("up")
        await screen.until(lambda: ".txt" in chosen())
        assert field.value == "Cats.txt"
        await screen.pilot.click(formats, offset=(3, 1))
        await screen.until(lambda: ".json" in chosen())
        assert field.value == "Cats.json"
        await screen.press("end", *["backspace"] * 4, "m", "d")
        await screen.until(lambda: ".md" in chosen())
        await screen.press(*["backspace"] * 3, "down")
        assert field.value == "Cats.md"  # a name without a suffix gets one


async def test_the_open_chat_is_exported_as_it_is_now(three: SessionStore, tmp_path: Path) -> None:
    now = session("cats", "just said")
    async with shown(three, open_chat="cats", snapshot=now, folder=tmp_path) as screen:
        await screen.press("f7")
        await screen.until_asked(ExportScreen)
        await screen.press("down", "enter")
        await screen.until_noticed("was exported to")
        messages = json.loads((tmp_path / "Cats.json").read_text())["messages"]
        assert messages == [{"role": "user", "content": "just said"}]


@pytest.mark.parametrize("name", ["export", "export.md", "export.txt", "export.json"])
async def test_the_content_says_what_is_imported(three: SessionStore, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('[{"role": "user", "content": "<|im_end|> hello"}]')
    async with shown(three, folder=tmp_path) as screen:
        await screen.search("zebra")  # the imported chat is shown all the same
        await screen.press("f8")
        await screen.until_asked(NameScreen)
        await screen.fill_in(f'"{tmp_path / name}"')
        await screen.until(lambda: len(screen.ids) == 4)
        assert [message.content for message in three.load(screen.highlighted).messages] == [
            "<|im_end|> hello"
        ]


@pytest.mark.parametrize(
    ("text", "told"),
    [(None, "There is no file"), ("just words", "before the first message"), ("[]", "holds")],
)
async def test_a_failed_import_asks_again_and_says_why(
    three: SessionStore, tmp_path: Path, text: str | None, told: str
) -> None:
    if text is not None:
        (tmp_path / "chat.txt").write_text(text)
    async with shown(three, folder=tmp_path) as screen:
        await screen.press("f8")
        await screen.until_asked(NameScreen)
        await screen.fill_in("chat.txt")
        await screen.until(lambda: told in screen.problem)
        assert screen.pilot.app.screen.query_one(Input).value == "chat.txt"
        assert len(list(three.files())) == 3


async def test_a_path_is_completed(three: SessionStore, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "chat.txt").write_text("User: hi")
    async with shown(three, folder=tmp_path) as screen:
        await screen.press("f8")
        await screen.until_asked(NameScreen)
        field = screen.pilot.app.screen.query_one(Input)
        for begun, whole in (("fol", "folder/"), ("ch", "folder/chat.txt")):
            await screen.type(begun)
            await screen.until(lambda whole=whole: field._suggestion == whole)
            await screen.press("right")
            assert field.value == whole
        await screen.press("enter")
        await screen.until(lambda: len(screen.ids) == 4)


# Moments in words


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (NOW.replace(hour=9, minute=5), "today 09:05"),
        (NOW - timedelta(hours=15, seconds=1), "yesterday"),
        (datetime(2026, 11, 12, tzinfo=UTC), "12 Nov"),
        (datetime(2025, 1, 2, tzinfo=UTC), "2 Jan 2025"),
        (datetime(1, 1, 1, tzinfo=UTC), "1 Jan 1"),
    ],
)
def test_moments_are_told_in_words(moment: datetime, words: str) -> None:
    assert when(moment, NOW) == words


def test_a_day_is_that_of_the_person() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=12)))  # it is the 23rd, 3 o'clock
    assert when(NOW.replace(hour=13), there) == "today 01:00"
    assert when(NOW.replace(hour=3), there) == "yesterday"

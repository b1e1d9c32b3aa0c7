"""Editing a message: what the keys end with, and what is asked before text is lost."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from support.waiting import until
from textual import events
from textual.app import App
from textual.pilot import Pilot

from easy_llama_tui.screens import edit_screen
from easy_llama_tui.screens.edit_screen import Edited, EditedText, EditScreen
from easy_llama_tui.widgets.key_hints import KeyHints


class Host(App[None]):
    """Has nothing but the screen."""


@dataclass
class Shown:
    pilot: Pilot[None]
    screen: EditScreen
    results: list[Edited | None] = field(default_factory=list)

    @property
    def area(self) -> EditedText:
        return self.screen.query_one(EditedText)

    @property
    def note(self) -> str:
        note = self.screen.query_one("#edit-note")
        return str(note.render()) if note.display else ""

    @property
    def keys(self) -> str:
        hints = self.screen.query_one(KeyHints)
        return "\n".join(hints.render_line(y).text for y in range(hints.size.height))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def until(self, condition: Callable[[], object]) -> None:
        await until(self.pilot, condition)

    async def result(self) -> Edited | None:
        await self.until(lambda: self.results)
        return self.results[0]


@asynccontextmanager
async def shown(
    text: str = "old text", role: str = "user", below: int = 0, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Shown]:
    screen = EditScreen(text, role, below)
    async with Host().run_test(size=size) as pilot:
        running = Shown(pilot, screen)
        pilot.app.push_screen(screen, running.results.append)
        await running.until(lambda: screen.query(EditedText) and screen.focused)
        yield running


async def test_ctrl_s_ends_with_the_text_beside_the_old_one() -> None:
    async with shown(below=3) as screen:
        await screen.press("!", "ctrl+s")
        assert await screen.result() == Edited("old text!", in_place=False)


async def test_ctrl_r_ends_with_the_text_in_place() -> None:
    async with shown() as screen:
        assert screen.note == ""
        await screen.press("!", "ctrl+r")
        assert await screen.result() == Edited("old text!", in_place=True)


@pytest.mark.parametrize(
    ("below", "warning"), [(1, "1 message below was written"), (1234, "1,234 messages below were written")]
)
async def test_in_place_asks_once_more_where_messages_followed(below: int, warning: str) -> None:
    async with shown(below=below) as screen:
        assert warning in screen.note
        await screen.press("!", "ctrl+r")
        assert "Ctrl+R again" in screen.note and warning in screen.note
        await screen.press("!", "ctrl+r")  # further typing takes the question back
        assert screen.results == []
        await screen.press("ctrl+r")
        assert await screen.result() == Edited("old text!!", in_place=True)


async def test_esc_leaves_at_once_where_nothing_was_changed() -> None:
    async with shown() as screen:
        await screen.press("x", "backspace", "escape")
        assert await screen.result() is None


async def test_esc_asks_once_before_a_change_is_discarded() -> None:
    async with shown(below=2) as screen:
        await screen.press("x", "escape")
        assert screen.results == []
        assert screen.note == "Esc again discards the change."
        await screen.press("y", "escape")
        assert screen.results == []
        await screen.press("escape")
        assert await screen.result() is None


@pytest.mark.parametrize("key", ["ctrl+s", "ctrl+r"])
async def test_a_text_that_was_not_changed_changes_nothing(key: str) -> None:
    async with shown("a\r\nb\x1b[31m", below=5) as screen:
        await screen.press(key)
        assert await screen.result() is None


@pytest.mark.parametrize("key", ["ctrl+s", "ctrl+r"])
async def test_a_message_needs_a_text(key: str) -> None:
    async with shown("x", below=5) as screen:
        await screen.press("backspace", "space", key)
        assert screen.results == []
        assert "needs a text" in screen.note


@pytest.mark.parametrize(
    ("role", "words", "title"),
    [
        ("user", "Ctrl+S ask this instead (the old one stays beside it)", "Edit your message"),
        ("bot", "Ctrl+S keep both", "Edit the reply"),
        ("system", "Ctrl+S keep both", "Edit the system message"),
    ],
)
async def test_the_words_are_those_of_the_role(role: str, words: str, title: str) -> None:
    async with shown(role=role) as screen:
        assert words in screen.keys
        assert screen.screen.query_one("#edit").border_title == title


async def test_enter_is_a_new_line_and_the_keys_of_a_text_area_work() -> None:
    async with shown("one") as screen:
        await screen.press("enter", "t", "w", "o", "ctrl+a", "z", "ctrl+z", "ctrl+s")
        assert await screen.result() == Edited("one\ntwo", in_place=False)


async def test_what_is_pasted_or_was_there_cannot_drive_the_terminal() -> None:
    async with shown("a\x1b]52;c;aGk=\x07\x9b") as screen:
        assert screen.area.text == "a␛]52;c;aGk=␇\ufffd"
        screen.pilot.app.post_message(events.Paste("\x1b[31m\r\nb"))
        await screen.until(lambda: screen.area.text.endswith("b"))
        assert screen.area.text.endswith("␛[31m\nb")


async def test_ctrl_g_brings_the_text_from_the_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [None, "from the editor\n"]
    monkeypatch.setattr(edit_screen, "edit_in_editor", lambda app, text: answers.pop(0))
    async with shown() as screen:
        await screen.press("ctrl+g")
        assert screen.area.text == "old text"
        await screen.press("ctrl+g")
        assert screen.area.text == "from the editor\n"
        await screen.press("ctrl+z")
        assert screen.area.text == "old text"


async def test_the_keys_can_be_clicked() -> None:
    async with shown() as screen:
        await screen.press("!")
        await screen.pilot.click(KeyHints, offset=(2, 0))
        assert await screen.result() == Edited("old text!", in_place=False)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (300, 60)])
async def test_any_window_is_enough(size: tuple[int, int]) -> None:
    async with shown("word " * 200, below=3, size=size) as screen:
        assert screen.area.size.height >= 4
        assert screen.area.size.width >= size[0] - 6
        for words in ("Ctrl+S ask this instead", "Ctrl+R change in place", "Ctrl+G", "Esc"):
            assert words in screen.keys
        assert "3 messages below" in screen.note

"""Windows from 40 to 300 columns and from 12 rows on, also while they change."""

from pathlib import Path

import pytest
from support.running_app import RunApp, Running, begin_chat, settings_for
from support.scripted_engine import ScriptedEngine
from support.whole_app import rows, text, until_screen, until_seen
from textual.widgets import TextArea

from easy_llama_tui.app import EzllamaApp
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.replies.wording import ChatState

SIZES = [(40, 12), (60, 16), (80, 24), (300, 60)]
PANELS = {"f2": "Find a format", "f4": "top_k", "f5": "Candidates", "f9": "Used"}
MARKDOWN = (
    "# Title\n\n",
    "A long paragraph " * 12 + "\n\n",
    "```python\nprint('x' * 100)  # " + "y" * 120 + "\n```\n\n",
    "| a | b |\n|---|---|\n| " + "cell " * 20 + " | 2 |\n\n",
    "- 漢字 🙂 " + "ü" * 90 + "\n",
)


def is_filled(running: Running, size: tuple[int, int]) -> bool:
    """Whether the screen is painted to its edges, and no row beyond them."""
    strips = running.app.screen._compositor.render_strips()
    return len(strips) == size[1] and all(strip.cell_length == size[0] for strip in strips)


@pytest.mark.parametrize("size", SIZES)
async def test_every_panel_is_of_use_at_every_size(run_app: RunApp, size: tuple[int, int]) -> None:
    async with run_app(size=size) as running:
        await running.exchange("Hello", *MARKDOWN)
        for key, words in PANELS.items():
            await running.pilot.press(key)
            await until_seen(running, words)
            assert is_filled(running, size)
            assert running.screen.prompt.size.height >= 1
            if size[0] >= 100:
                assert running.screen.chat_log.outer_size.width <= size[0] - 40
            await running.pilot.press(key)
        await running.until(lambda: running.screen.prompt.has_focus)
        await running.type("x")
        assert running.screen.prompt.text == "x"


@pytest.mark.parametrize("size", SIZES)
async def test_every_screen_is_of_use_at_every_size(run_app: RunApp, size: tuple[int, int]) -> None:
    async with run_app(size=size) as running:
        await running.exchange("Hello", "Hi")
        for key, name, words in (
            ("f1", "HelpScreen", "Writing"),
            ("ctrl+o", "ChatsScreen", "Hello"),
            ("f3", "ModelScreen", "Type to find"),
        ):
            await running.pilot.press(key)
            await until_screen(running, name)
            await until_seen(running, words)
            assert is_filled(running, size)
            await running.pilot.press("escape")
            await running.until(lambda: running.app.screen is running.screen)
        await running.send("/theme")
        await until_screen(running, "ThemeScreen")
        assert is_filled(running, size)
        await running.pilot.press("escape")
        await running.until(lambda: running.app.screen is running.screen)
        await running.pilot.press("up", "e")
        await until_screen(running, "EditScreen")
        assert running.app.screen.query_one(TextArea).size.height >= 1
        assert is_filled(running, size)
        await running.pilot.press("escape")


async def test_a_window_that_changes_while_a_reply_is_written(run_app: RunApp) -> None:
    async with run_app(size=(120, 36)) as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f5")
        await running.send("Hello")
        written = ""
        for piece, size in zip(MARKDOWN, [(40, 12), (300, 60), (41, 13), (80, 24), (100, 30)], strict=True):
            running.engine.say(piece)
            written += piece
            await running.until(lambda: running.said[-1] == ("bot", written))  # noqa: B023
            await running.pilot.resize_terminal(*size)
            await running.until(lambda: is_filled(running, size))  # noqa: B023
            assert running.screen.turns.state is ChatState.GENERATING
        running.engine.reply_with("The end.")
        await running.until(lambda: running.path[-1].finish)
        assert running.shown[-1] == ("bot", written + "The end.")
        # The end was followed all the time.
        await until_seen(running, "The end.")


async def test_a_reader_who_is_elsewhere_stays_there_while_the_window_changes(run_app: RunApp) -> None:
    async with run_app(size=(80, 20)) as running:
        await running.exchange("Hello", *(f"paragraph{number}\n\n" for number in range(40)))
        running.engine.say("slow")
        await running.send("More")
        await running.until_state(ChatState.GENERATING)
        await running.pilot.press("up", "home")
        await until_seen(running, "Hello")
        for size in ((60, 20), (80, 14), (110, 30)):
            await running.pilot.resize_terminal(*size)
            await running.until(lambda: is_filled(running, size))  # noqa: B023
            running.engine.say(" more\n\n" * 5)
            await until_seen(running, "Hello")
        running.engine.reply_with(" end")
        await running.until(lambda: running.path[-1].finish)
        assert "Hello" in text(running)


async def test_a_panel_is_at_the_side_where_there_is_room_and_else_over_the_chat(run_app: RunApp) -> None:
    async with run_app(size=(60, 20)) as running:
        await running.exchange("Hello", "Hi")
        await running.pilot.press("f9")
        await until_seen(running, "Used")
        assert running.screen.chat_log.outer_size.width == 60
        for width in (80, 120):
            await running.pilot.resize_terminal(width, 24)
            await running.until(lambda: is_filled(running, (width, 24)))  # noqa: B023
            beside = running.screen.chat_log.outer_size.width
            assert width // 2 < beside < width
            row = next(row for row in rows(running) if "Used" in row)
            assert row.index("Used") > beside
        await running.pilot.resize_terminal(40, 12)
        await running.until(lambda: is_filled(running, (40, 12)))
        await until_seen(running, "Used")
        assert running.screen.chat_log.outer_size.width == 40


async def test_a_long_draft_leaves_room_for_the_chat(run_app: RunApp) -> None:
    async with run_app(size=(40, 12)) as running:
        await running.exchange("Hello", "Hi")
        running.screen.prompt.text = "\n".join("abcdefgh")
        await running.pilot.pause()
        assert is_filled(running, (40, 12))
        assert running.screen.chat_log.outer_size.height >= 1
        assert running.screen.status_bar.size.height == 1


@pytest.mark.parametrize("size", [(40, 8), (40, 12), (60, 16), (80, 24), (120, 36)])
async def test_a_long_draft_leaves_the_chat_at_least_half_of_the_rows(
    run_app: RunApp, size: tuple[int, int]
) -> None:
    async with run_app(size=size) as running:
        await running.exchange("Hello", "the reply")
        for number in range(9):
            await running.type(f"line{number}")
            await running.pilot.press("ctrl+j")
        await running.type("end")
        prompt, log = running.screen.prompt, running.screen.chat_log
        await running.until(lambda: prompt.size.height > 1)
        assert prompt.outer_size.height <= size[1] / 2
        assert running.screen.query_one("#writing").outer_size.height <= max(size[1] / 2, 3) + 1
        assert log.scrollable_content_region.height >= 1
        await until_seen(running, "the reply", "end")
        shown = rows(running)
        assert "tiny" in shown[0] and "re-roll" in shown[-1]
        # Another size, another limit.
        await running.pilot.resize_terminal(80, 30)
        await running.until(lambda: prompt.size.height == 8)


@pytest.mark.parametrize("size", SIZES)
async def test_a_notice_leaves_the_title_the_prompt_and_the_state_in_view(
    store: SessionStore, tmp_path: Path, size: tuple[int, int]
) -> None:
    engine = ScriptedEngine()
    app = EzllamaApp(lambda: engine, lambda: store, begin_chat(), settings_for(tmp_path))
    async with app.run_test(size=size, notifications=True) as pilot:
        running = Running(pilot, app, engine, store)
        await running.until_state(ChatState.IDLE)
        await running.type("draft")
        await running.until(lambda: "draft" in rows(running)[-2] and "ready" in rows(running)[-1])
        before = rows(running)
        await running.pilot.press("ctrl+r")
        await until_seen(running, "There is nothing")
        shown = rows(running)
        assert (shown[0], shown[-3:]) == (before[0], before[-3:])
        await app.action_quit()

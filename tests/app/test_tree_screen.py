"""The tree of a chat in the running app, by keys and by mouse."""

import time
from datetime import UTC, datetime

import pytest
from support.running_app import RunApp, Running, begin_chat
from support.whole_app import click, notices, rows, text, until_screen, until_seen, with_keys
from textual.widgets import Input

from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.conversation import Conversation, Message
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.screens.tree_screen import TreeScreen

NOON = datetime(2026, 11, 2, 12, 0, 0, tzinfo=UTC)


def forked_chat() -> Chat:
    """m1 woof? - (m2 woof!, m3 arf - m4 cat? - m5 meow - m6 cow? - m7 moo), shown to the end."""
    chat = begin_chat()
    said = [
        *(("m1", None, "user", "woof?"), ("m2", "m1", "bot", "woof!"), ("m3", "m1", "bot", "arf")),
        *(("m4", "m3", "user", "cat?"), ("m5", "m4", "bot", "meow"), ("m6", "m5", "user", "cow?")),
        ("m7", "m6", "bot", "moo"),
    ]
    chat.conversation = Conversation(
        Message(*one, NOON, "stop" if one[2] == "bot" else None, by="tiny" if one[2] == "bot" else "")
        for one in said
    )
    return chat


def tree_lines(running: Running) -> list[str]:
    """The rows of the tree, without the box."""
    return [
        " ".join(row.strip("│").split())
        for row in rows(running)[1:-2]
        if any(mark in row for mark in "●○") and not row.startswith("╰")
    ]


def pointed(running: Running) -> str:
    return next((line for line in tree_lines(running) if line.startswith("▸")), "")


async def open_tree(running: Running) -> TreeScreen:
    await running.until_state(ChatState.IDLE)
    await running.pilot.press("f7")
    await until_screen(running, "TreeScreen")
    await running.until(lambda: pointed(running))
    screen = running.app.screen
    assert isinstance(screen, TreeScreen)
    return screen


async def test_the_tree_is_drawn_with_what_is_shown_and_what_hangs_below(run_app: RunApp) -> None:
    async with run_app(chat=forked_chat()) as running:
        await open_tree(running)
        lines = tree_lines(running)
        assert [line.partition(" 2026")[0] for line in lines] == [
            "● You woof? 6 below",
            "├─○ tiny ‹1/2› woof!",
            "● tiny ‹2/2› arf 4 below",
            "● ⋯ 3 messages",
            "▸● tiny moo here",
        ]
        assert lines[0].endswith("2026-11-02")
        assert "7 messages, 2 branches" in text(running)


async def test_enter_goes_to_a_branch_that_is_not_shown(run_app: RunApp) -> None:
    async with run_app(chat=forked_chat()) as running:
        await open_tree(running)
        await running.pilot.press("home", "down", "enter")
        await running.until(lambda: running.app.screen is running.screen)
        assert [said[1] for said in running.shown] == ["woof?", "woof!"]
        assert running.screen.chat_log.cursor_id == "m2"
        assert (await running.saved()).head == "m2"


async def test_a_place_in_the_middle_shows_all_that_was_shown_below_it(run_app: RunApp) -> None:
    async with run_app(chat=forked_chat()) as running:
        await running.until_state(ChatState.IDLE)
        running.screen.chat.conversation.show("m2")
        running.screen.view.show_path()
        await open_tree(running)
        await running.pilot.press("home", "down", "down")
        assert "‹2/2›" in pointed(running)
        await running.pilot.press("enter")
        await running.until(lambda: running.screen.chat_log.cursor_id == "m3")
        assert [said[1] for said in running.shown] == ["woof?", "arf", "cat?", "meow", "cow?", "moo"]


async def test_esc_leaves_all_as_it_was(run_app: RunApp) -> None:
    async with run_app(chat=forked_chat()) as running:
        await open_tree(running)
        await running.pilot.press("home", "escape")
        await running.until(lambda: running.app.screen is running.screen)
        assert running.path[-1].id == "m7"
        assert running.screen.chat_log.cursor_id is None


@pytest.mark.parametrize("key", ["enter", "right", "space"])
async def test_messages_in_a_line_are_unfolded_and_folded(run_app: RunApp, key: str) -> None:
    async with run_app(chat=forked_chat()) as running:
        await open_tree(running)
        await running.pilot.press("up", key)
        assert [line.split()[1:3] for line in tree_lines(running)[3:6]] == [
            ["You", "cat?"],
            ["tiny", "meow"],
            ["You", "cow?"],
        ]
        assert "cat?" in pointed(running)
        await running.pilot.press("down", "left")
        assert pointed(running) == "▸● ⋯ 3 messages"
        await running.pilot.press("a")
        assert len(tree_lines(running)) == 7
        await running.pilot.press("left")
        assert pointed(running) == "▸● ⋯ 3 messages"


async def test_a_branch_is_named_and_its_name_is_saved_and_taken_away(run_app: RunApp) -> None:
    async with run_app(chat=forked_chat()) as running:
        await open_tree(running)
        await running.pilot.press("home", "down", "n")
        await until_screen(running, "NameScreen")
        await running.type("short one")
        await running.pilot.press("enter")
        await running.until(lambda: "[short one]" in pointed(running))
        assert next(one.branch for one in (await running.saved()).messages if one.id == "m2") == "short one"
        await running.pilot.press("N")
        await running.until(lambda: "[short one]" not in text(running))
        assert (await running.saved()).messages[1].branch == ""


async def test_a_branch_is_pruned_and_brought_back(run_app: RunApp) -> None:
    async with run_app(chat=forked_chat()) as running:
        await open_tree(running)
        await running.pilot.press("up", "d")
        await running.until(lambda: "These are 3 messages" in notices(running))
        assert len(running.path) == 6
        await running.pilot.press("right", "down", "d")
        await running.until(lambda: [said[1] for said in running.said] == ["woof?", "arf", "cat?"])
        assert "Deleted 3 messages" in notices(running)
        assert "4 messages" in text(running)
        assert len((await running.saved()).messages) == 4
        await running.pilot.press("u")
        await running.until(lambda: "7 messages" in text(running))
        assert running.path[-1].id == "m7"
        await running.pilot.press("home", "d")
        await running.until(lambda: running.app.screen is running.screen)
        await running.send("/undo")
        await running.until(lambda: len(running.path) == 6)


async def test_messages_are_found_by_their_text(run_app: RunApp) -> None:
    async with run_app(chat=forked_chat()) as running:
        await open_tree(running)
        await running.pilot.press("slash")
        await running.type("woof")
        await running.until(lambda: len(tree_lines(running)) == 2)
        assert "2 of 7 messages" in text(running)
        await running.pilot.press("enter", "end")
        assert "woof!" in pointed(running)
        await running.pilot.press("escape")
        await running.until(lambda: len(tree_lines(running)) == 5)
        assert "woof!" in pointed(running)
        await running.pilot.press("slash")
        assert not running.app.screen.query_one(Input).value
        await running.type("nothing like that")
        await running.until(lambda: not tree_lines(running))
        await running.pilot.press("enter", "enter", "d", "n", "left")
        assert isinstance(running.app.screen, TreeScreen)
        await running.pilot.press("escape", "escape")
        await running.until(lambda: running.app.screen is running.screen)


async def test_while_a_reply_is_written_the_tree_grows_and_one_can_go_elsewhere(run_app: RunApp) -> None:
    async with run_app(chat=forked_chat()) as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("one")
        await running.send("sheep?")
        await running.until(lambda: running.said[-1] == ("bot", "one"))
        await running.pilot.press("f7")
        await until_screen(running, "TreeScreen")
        await until_seen(running, "being written")
        assert "one" in pointed(running)
        running.engine.say(" two")
        await running.until(lambda: "one two" in pointed(running))
        await running.pilot.press("d")
        await running.until(lambda: "Esc stops it" in notices(running))
        await running.pilot.press("home", "down", "enter")
        await running.until(lambda: running.app.screen is running.screen)
        assert [said[1] for said in running.shown] == ["woof?", "woof!"]
        running.engine.reply_with(" three")
        await running.until_state(ChatState.IDLE)
        await running.until(lambda: "in the other branch has ended" in notices(running))
        assert [said[1] for said in running.shown] == ["woof?", "woof!"]
        contents = [one.content for one in (await running.saved()).messages]
        assert contents[-2:] == ["sheep?", "one two three"]


async def test_rows_and_keys_can_be_clicked(run_app: RunApp) -> None:
    async with run_app(chat=forked_chat()) as running:
        await open_tree(running)
        await click(running, "woof!")
        assert "woof!" in pointed(running)
        await click(running, "go there")
        await running.until(lambda: running.screen.chat_log.cursor_id == "m2")
        await running.pilot.press("T")
        await until_screen(running, "TreeScreen")
        await running.until(lambda: "woof!" in pointed(running))
        await click(running, "moo")
        await click(running, "moo")
        await running.until(lambda: running.screen.chat_log.cursor_id == "m7")


async def test_an_empty_chat_has_no_tree_and_says_so(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f7")
        await running.until(lambda: "no messages yet" in notices(running))
        assert running.app.screen is running.screen


async def test_its_key_can_be_changed_and_it_can_be_typed(run_app: RunApp) -> None:
    async with run_app(chat=forked_chat(), config=with_keys(tree="f12", tree_prune="x")) as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f12")
        await until_screen(running, "TreeScreen")
        await running.until(lambda: pointed(running))
        await running.pilot.press("d")
        assert "7 messages" in text(running)
        await running.pilot.press("x")
        await running.until(lambda: "6 messages" in text(running))
        await running.pilot.press("escape")
        await running.until(lambda: running.app.screen is running.screen)
        await running.send("/tree")
        await until_screen(running, "TreeScreen")


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (300, 60)])
async def test_any_window_is_enough(run_app: RunApp, size: tuple[int, int]) -> None:
    async with run_app(chat=forked_chat(), size=size) as running:
        await open_tree(running)
        await until_seen(running, "├─○", "moo", "Enter", "Esc")
        assert all(len(row) <= size[0] for row in rows(running))


@pytest.mark.parametrize("shape", ["deep", "forked"])
async def test_a_thousand_messages_stay_quick(run_app: RunApp, shape: str) -> None:
    chat = begin_chat()
    for number in range(500):
        chat.conversation.add("user", f"question {number}")
        reply = chat.conversation.add("bot", f"answer {number}", finish="stop")
        if shape == "forked" and number % 2:
            other = chat.conversation.add_alternative(reply.id, "another answer")
            chat.conversation.update(other.id, content="another answer", finish="stop")
    async with run_app(chat=chat) as running:
        await open_tree(running)
        await running.pilot.press("a")
        began = time.process_time()
        for key in ("home", "pagedown", "pagedown", "end", "up", "up"):
            await running.pilot.press(key)
        # With all that the test's own waiting costs, still far below what a person would notice.
        assert time.process_time() - began < 3.0
        assert "answer 499" in text(running) or "question 499" in text(running)


async def test_what_a_model_wrote_cannot_drive_the_terminal(run_app: RunApp) -> None:
    chat = begin_chat()
    chat.conversation.add("user", "[bold]a\x1b[31m\n\tb\x07 \u202e" + "x" * 500)
    chat.conversation.name_branch("m1", "[red]\x1b]0;t\x07")
    async with run_app(chat=chat) as running:
        await open_tree(running)
        assert "\x1b" not in text(running) and "\x07" not in text(running)
        assert "[bold]a" in pointed(running) and "[[red]" in pointed(running)

"""What is done with messages in the running app: by keys, with what the engine is then asked for."""

from collections.abc import Iterator

import pytest
from support.running_app import RunApp, Running, begin_chat
from support.scripted_engine import ScriptedEngine
from support.whole_app import entry, notices, rows, save_chat, text, until_screen, until_seen
from textual import events
from textual.widgets import TextArea

from easy_llama.prompt import Turn
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.context_window import Policy
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.replies.wording import ChatState

CODE = "Two blocks:\n\n```python\nfirst()\n```\n\n```python\nsecond()\n```\n"
REASONED = "<think>\nfar from simple\n</think>\n\nThe answer."


@pytest.fixture(autouse=True)
def no_clipboard_tool(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Copying goes through the terminal, whatever this machine has."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    yield


async def talk(running: Running, *pairs: tuple[str, str]) -> None:
    for question, answer in pairs or (("One", "first"), ("Two", "second")):
        await running.until_state(ChatState.IDLE)
        running.engine.reply_with(answer)
        running.screen.prompt.text = question  # typed letter by letter elsewhere
        await running.pilot.press("enter")
        await running.until(lambda: running.screen.turns.state is ChatState.IDLE and running.path[-1].finish)


async def among_messages(running: Running, *keys: str) -> None:
    """Into the message mode, by the key, and on."""
    await running.pilot.press("up")
    await running.until(lambda: running.screen.chat_log.has_focus)
    await running.pilot.press(*keys)
    await running.pilot.pause()


async def edit(running: Running, new: str, key: str) -> None:
    await until_screen(running, "EditScreen")
    running.app.screen.query_one(TextArea).text = new
    await running.pilot.press(key)


# The message mode


async def test_up_in_an_empty_prompt_goes_among_the_messages_and_esc_back(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running)
        await running.type("draft")
        await running.pilot.press("up")
        assert running.screen.prompt.has_focus
        await running.pilot.press("ctrl+c")
        await among_messages(running)
        ids = [message.id for message in running.path]
        assert running.screen.chat_log.cursor_id == ids[-1]
        await running.pilot.press("k", "up")
        assert running.screen.chat_log.cursor_id == ids[1]
        await running.pilot.press("home")
        assert running.screen.chat_log.cursor_id == ids[0]
        await running.pilot.press("j", "escape")
        await running.until(lambda: running.screen.prompt.has_focus)
        assert running.screen.chat_log.cursor_id is None
        await running.type("x")
        assert running.screen.prompt.text == "x"


async def test_up_in_an_empty_chat_stays_in_the_prompt(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("up")
        await running.type("x")
        assert running.screen.prompt.text == "x"


async def test_a_message_is_copied_as_it_is_shown(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running, ("One", "**first** _word_"))
        await among_messages(running, "y")
        await running.until(lambda: running.app.clipboard == "**first** _word_")
        assert "Sent 16 characters" in notices(running)


async def test_code_is_copied_the_last_block_first(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running, ("One", CODE))
        await among_messages(running, "c")
        await running.until(lambda: running.app.clipboard.strip() == "second()")
        await running.pilot.press("c")
        await running.until(lambda: running.app.clipboard.strip() == "first()")
        await running.pilot.press("k", "c")
        await running.until(lambda: "no code block" in notices(running))


# Editing


@pytest.mark.parametrize("key", ["y", "c"])
async def test_a_message_that_has_just_made_room_for_another_is_not_copied(run_app: RunApp, key: str) -> None:
    async with run_app() as running:
        await talk(running)
        await among_messages(running)
        for pressed in ("r", key):  # as quickly as a terminal hands over what was pressed at once
            running.app.post_message(events.Key(pressed, pressed))
        await running.until(lambda: running.screen.turns.running is not None)
        running.engine.reply_with("another")
        await running.until_state(ChatState.IDLE)
        assert running.said[-1] == ("bot", "another") and not running.app.clipboard


async def test_a_question_asked_in_other_words_is_answered_beside_the_old_one(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running)
        running.engine.reply_with("other")
        await among_messages(running, "home", "e")
        await edit(running, "Uno", "ctrl+s")
        await running.until(lambda: running.said == [("user", "Uno"), ("bot", "other")])
        await running.until_state(ChatState.IDLE)
        assert running.engine.requests[-1].turns == (Turn("user", "Uno"),)
        assert entry(running, running.path[0].id).alternative == (2, 2)
        contents = [message.content for message in (await running.saved()).messages]
        assert contents == ["One", "first", "Two", "second", "Uno", "other"]
        await among_messages(running, "home", "h")
        await running.until(lambda: [said[1] for said in running.said] == ["One", "first", "Two", "second"])


async def test_a_reply_is_edited_beside_the_old_one_and_what_follows_knows_it(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running, ("One", "first"))
        await among_messages(running, "e")
        await edit(running, "better", "ctrl+s")
        await running.until(lambda: running.said[-1] == ("bot", "better"))
        assert entry(running, running.path[-1].id).alternative == (2, 2)
        await running.pilot.press("escape")
        await talk(running, ("Two", "second"))
        # What the person wrote has no token ids of the model.
        turn = running.engine.requests[-1].turns[1]
        assert (turn.role, turn.content) == ("bot", "better")


async def test_a_message_is_changed_in_place_after_a_warning_where_others_follow(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running)
        await among_messages(running, "home", "e")
        await edit(running, "Uno", "ctrl+r")
        await until_seen(running, "3 messages below were")
        assert running.path[0].content == "One"
        await running.pilot.press("ctrl+r")
        await running.until(lambda: running.path[0].content == "Uno")
        assert [said[1] for said in running.shown] == ["Uno", "first", "Two", "second"]
        assert len(running.engine.requests) == 2
        assert (await running.saved()).messages[0].content == "Uno"
        assert "brings the old text back" in notices(running)
        await running.pilot.press("u")
        await running.until(lambda: running.path[0].content == "One")
        assert (await running.saved()).messages[0].content == "One"


async def test_deletions_and_changes_in_place_are_taken_back_in_turn(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running)
        ids = running.path[-1].ids
        await among_messages(running, "e")
        await edit(running, "better", "ctrl+r")
        await running.until(lambda: running.path[-1].content == "better")
        assert (running.path[-1].ids, running.path[-1].edited) == (ids, True)
        await running.pilot.press("home", "j", "j", "d")
        await running.until(lambda: len(running.path) == 2)
        await running.pilot.press("u")
        await running.until(lambda: running.said[-1] == ("bot", "better"))
        await running.pilot.press("u")
        await running.until(lambda: running.said[-1] == ("bot", "second"))
        assert (running.path[-1].ids, running.path[-1].edited) == (ids, False)
        await running.pilot.press("u")
        await running.until(lambda: "No message was deleted or changed" in notices(running))


async def test_an_edited_reply_keeps_the_ids_that_its_text_may_still_begin_with(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running, ("One", "first"))
        ids = running.path[-1].ids
        await among_messages(running, "e")
        await until_screen(running, "EditScreen")
        await running.pilot.press("ctrl+r")
        await running.until(lambda: running.app.screen is running.screen)
        assert ids and running.path[-1].ids == ids
        await running.pilot.press("e")
        await edit(running, "changed", "ctrl+r")
        await running.until(lambda: running.path[-1].content == "changed")
        assert (running.path[-1].ids, running.path[-1].edited) == (ids, True)


async def test_editing_can_be_left(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running)
        await among_messages(running, "e")
        await edit(running, "half a thought", "escape")
        await until_seen(running, "Esc again discards")
        await running.pilot.press("escape")
        await running.until(lambda: running.app.screen is running.screen)
        assert running.said[-1] == ("bot", "second")
        assert running.screen.chat_log.cursor_id == running.path[-1].id


# Deleting, re-rolling, branching, continuing, pinning


@pytest.mark.parametrize("undo", ["u", "/undo"])
async def test_a_message_and_all_below_is_deleted_and_brought_back(run_app: RunApp, undo: str) -> None:
    async with run_app() as running:
        await talk(running)
        await among_messages(running, "home", "j", "j", "d")
        await running.until(lambda: running.said == [("user", "One"), ("bot", "first")])
        assert "Deleted 2 messages" in notices(running)
        assert len((await running.saved()).messages) == 2
        if undo == "u":
            await running.pilot.press("u")
        else:
            await running.pilot.press("escape")
            await running.send("/undo")
        await running.until(lambda: [said[1] for said in running.shown] == ["One", "first", "Two", "second"])
        assert len((await running.saved()).messages) == 4


async def test_the_whole_chat_deleted_can_be_brought_back(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running)
        await among_messages(running, "home", "d")
        await running.until(lambda: running.said == running.shown == [])
        await running.until(lambda: running.screen.prompt.has_focus)
        assert (await running.saved()).messages == ()
        await running.send("/undo")
        await running.until(lambda: len(running.shown) == 4)


async def test_nothing_to_bring_back_is_said(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running, ("One", "first"))
        await among_messages(running, "u")
        await running.until(lambda: "No message was deleted" in notices(running))


async def test_a_reply_in_the_middle_is_rerolled_and_what_followed_is_kept(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running)
        running.engine.reply_with("other")
        await among_messages(running, "home", "j", "r")
        await running.until(lambda: running.said == [("user", "One"), ("bot", "other")])
        await running.until_state(ChatState.IDLE)
        assert running.engine.requests[-1].turns == (Turn("user", "One"),)
        await running.pilot.press("alt+left")
        await running.until(lambda: [said[1] for said in running.said] == ["One", "first", "Two", "second"])


async def test_a_branch_begins_where_the_person_says(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running)
        await among_messages(running, "home", "j", "b")
        await running.until(lambda: running.screen.prompt.has_focus)
        assert running.said == running.shown == [("user", "One"), ("bot", "first")]
        await running.exchange("Other", "third")
        assert [turn.content for turn in running.engine.requests[-1].turns] == ["One", "first", "Other"]
        assert entry(running, running.path[2].id).alternative == (2, 2)
        await among_messages(running, "k", "h")
        await running.until(lambda: running.said[-1] == ("bot", "second"))


@pytest.mark.parametrize("by", ["f8", "n"])
async def test_a_reply_is_continued_from_its_exact_tokens(run_app: RunApp, by: str) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        running.engine.say("Half", " a")
        await running.send("Hello")
        await running.until(lambda: running.said[-1] == ("bot", "Half a"))
        await running.pilot.press("escape")
        await running.until_state(ChatState.IDLE)
        ids = running.path[-1].ids
        assert ids == tuple(map(running.engine.id_of, ("Half", " a")))
        running.engine.reply_with(" word.")
        if by == "n":
            await among_messages(running, "n")
        else:
            await running.pilot.press("f8")
        await running.until(lambda: running.path[-1].finish == "stop")
        assert running.said == running.shown == [("user", "Hello"), ("bot", "Half a word.")]
        request = running.engine.requests[-1]
        assert (request.opening, request.opening.ids) == (Turn("bot", "Half a", ids), ids)
        assert request.turns == (Turn("user", "Hello"),)
        assert (await running.saved_messages())[-1] == ("bot", "Half a word.", "stop")
        assert not running.screen.chat_log.entries[-1].note


async def test_continuing_in_the_middle_keeps_what_followed(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running)
        running.engine.reply_with(" and more")
        await among_messages(running, "home", "j", "n")
        await running.until(lambda: running.said == [("user", "One"), ("bot", "first and more")])
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("alt+left")
        await running.until(lambda: [said[1] for said in running.said] == ["One", "first", "Two", "second"])


async def test_what_no_bot_wrote_is_not_continued(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running)
        await among_messages(running, "home", "n")
        await running.until(lambda: "Only the bot's messages" in notices(running))
        assert len(running.engine.requests) == 2


async def test_a_message_is_pinned_and_let_go(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running)
        await among_messages(running, "home", "p")
        await running.until(lambda: running.screen.chat_log.entries[0].pinned)
        assert (await running.saved()).messages[0].pinned
        await running.pilot.press("p")
        await running.until(lambda: not running.screen.chat_log.entries[0].pinned)


async def test_while_a_reply_is_written_messages_are_read_and_copied_but_not_changed(
    run_app: RunApp,
) -> None:
    async with run_app() as running:
        await talk(running, ("One", "first"))
        running.engine.say("slow")
        await running.send("Two")
        await running.until_state(ChatState.GENERATING)
        await among_messages(running, "home", "y")
        await running.until(lambda: running.app.clipboard == "One")
        for key in ("e", "d", "b", "r", "n"):
            running.app.clear_notifications()
            await running.pilot.press(key)
            await running.until(lambda: "Esc stops it" in notices(running))
            assert running.app.screen is running.screen
        assert len(running.path) == 4
        running.engine.reply_with(" end")
        await running.until(lambda: running.said[-1] == ("bot", "slow end"))


# Alternatives


async def test_alternatives_are_flipped_at_any_message_while_a_reply_is_written(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running)
        running.engine.reply_with("other")
        await among_messages(running, "home", "j", "r")
        await running.until(lambda: running.said == [("user", "One"), ("bot", "other")])
        await running.pilot.press("escape")
        await running.until_state(ChatState.IDLE)
        running.engine.say("slow")
        await running.send("Three")
        await running.until(lambda: running.said[-1] == ("bot", "slow"))
        await among_messages(running, "home", "j", "h")
        await running.until(lambda: [said[1] for said in running.said] == ["One", "first", "Two", "second"])
        assert running.shown == running.said
        running.engine.say(" and")
        await running.until(lambda: running.screen.replies.running_text() == "slow and")
        assert running.shown == running.said
        await running.pilot.press("l")
        await running.until(lambda: running.shown[-1] == ("bot", "slow and"))
        assert running.screen.chat_log.entries[-1].streaming
        await running.pilot.press("alt+left")
        await running.until(lambda: running.said[-1] == ("bot", "second"))
        running.engine.reply_with(" steady")
        await running.until_state(ChatState.IDLE)
        await running.until(lambda: "in the other branch has ended" in notices(running))
        assert [said[1] for said in running.said] == ["One", "first", "Two", "second"]
        assert running.shown == running.said
        await running.pilot.press("alt+right")
        await running.until(lambda: running.shown[-1] == ("bot", "slow and steady"))
        assert not running.screen.chat_log.entries[-1].streaming


async def test_a_reply_that_is_being_written_can_be_left_for_another_and_stopped(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running, ("One", "first"))
        running.engine.say("slow")
        await running.pilot.press("ctrl+r")
        await running.until(lambda: running.said[-1] == ("bot", "slow"))
        await running.pilot.press("alt+left")
        await running.until(lambda: running.shown[-1] == ("bot", "first"))
        await running.pilot.press("escape")
        await running.until_state(ChatState.IDLE)
        assert running.shown[-1] == ("bot", "first")
        await running.pilot.press("alt+right")
        await running.until(lambda: running.shown[-1] == ("bot", "slow"))
        assert running.path[-1].finish == "interrupted"
        saved = await running.saved()
        assert [one.content for one in saved.messages] == ["One", "first", "slow"]


async def test_quitting_while_another_branch_is_written_loses_nothing(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running, ("One", "first"))
        running.engine.say("slow")
        await running.pilot.press("ctrl+r")
        await running.until(lambda: running.said[-1] == ("bot", "slow"))
        await running.pilot.press("alt+left")
        await running.until(lambda: running.shown[-1] == ("bot", "first"))
        chat_id = running.screen.chat.id
        await running.pilot.press("ctrl+q")
    saved = running.store.load(chat_id)
    assert [(one.content, one.finish) for one in saved.messages[1:]] == [
        ("first", "stop"),
        ("slow", "interrupted"),
    ]
    assert saved.head == "m2"


async def test_a_refused_reply_in_another_branch_leaves_what_is_shown(run_app: RunApp) -> None:
    engine = small_engine(24)
    async with run_app(engine) as running:
        await talk(running, ("One", "first"))
        await running.pilot.press("ctrl+r")
        running.engine.reply_with("other")
        await running.until(lambda: running.said[-1] == ("bot", "other"))
        await running.until_state(ChatState.IDLE)
        running.screen.prompt.text = " ".join(["word"] * 40)
        await running.pilot.press("enter", "alt+left")
        await running.until(lambda: "This does not fit" in notices(running))
        await running.until_state(ChatState.IDLE)
        assert running.shown == running.said
        assert [one.content for one in running.screen.chat.conversation.messages] == ["One", "first", "other"]


async def test_alt_arrows_flip_the_marked_message_and_say_where_there_is_nothing(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running, ("One", "first"))
        await running.pilot.press("alt+left")
        await running.until(lambda: "no alternative" in notices(running))
        running.engine.reply_with("other")
        await among_messages(running, "home", "e")
        await edit(running, "Uno", "ctrl+s")
        await running.until(lambda: running.said == [("user", "Uno"), ("bot", "other")])
        assert "stands beside the old one" in notices(running)
        await running.until_state(ChatState.IDLE)
        running.engine.reply_with("more")
        await running.pilot.press("escape", "ctrl+r")
        await running.until(lambda: running.said[-1] == ("bot", "more"))
        await running.until_state(ChatState.IDLE)
        await among_messages(running, "home", "alt+left")
        await running.until(lambda: running.said == [("user", "One"), ("bot", "first")])
        await running.pilot.press("alt+right")
        await running.until(lambda: running.said == [("user", "Uno"), ("bot", "more")])


# Reasoning


async def test_reasoning_is_folded_and_opened_by_a_key(run_app: RunApp) -> None:
    async with run_app() as running:
        await talk(running, ("One", REASONED))
        await until_seen(running, "The answer.")
        assert "far from simple" not in text(running)
        await running.pilot.press("ctrl+t")
        await until_seen(running, "far from simple")
        await running.pilot.press("ctrl+t")
        await running.until(lambda: "far from simple" not in text(running))
        await among_messages(running, "y")
        await running.until(lambda: running.app.clipboard == "The answer.")


# A context that overflows


def small_engine(length: int) -> ScriptedEngine:
    engine = ScriptedEngine()
    engine.context_length = length
    return engine


async def test_what_the_model_does_not_read_is_dimmed_and_still_there(run_app: RunApp) -> None:
    engine = small_engine(40)
    async with run_app(engine) as running:
        for word in ("one", "two", "three", "four"):
            await talk(running, (f"{word} a b c d", f"{word} e f g h"))
        assert all(message.finish == "stop" for message in running.path if message.role == "bot")
        assert running.engine.requests[-1].turns[0].content != "one a b c d"
        await running.until(
            lambda: [one.outside for one in running.screen.chat_log.entries][:2] == [True] * 2
        )
        outside = [one.outside for one in running.screen.chat_log.entries]
        assert outside == sorted(outside, reverse=True) and not outside[-1]
        assert len((await running.saved()).messages) == 8
        row = next(row for row in rows(running) if "outside" in row.lower() or "not read" in row.lower())
        assert row  # said in words too, not by the colour alone


async def test_a_pinned_message_and_the_first_exchange_stay_where_that_was_chosen(run_app: RunApp) -> None:
    chat = begin_chat()
    chat.policy = Policy.KEEP_FIRST
    async with run_app(small_engine(48), chat=chat) as running:
        for word in ("one", "two"):
            await talk(running, (f"{word} a b", f"{word} e f"))
        await among_messages(running, "k", "p", "escape")
        for word in ("three", "four", "five", "six"):
            await talk(running, (f"{word} a b", f"{word} e f"))
        sent = [turn.content for turn in running.engine.requests[-1].turns]
        assert sent[:4] == ["one a b", "one e f", "two a b", "two e f"]
        assert "three a b" not in sent
        assert sent[-1] == "six a b"


async def test_a_chat_that_is_to_stop_when_full_says_so_and_gives_the_text_back(run_app: RunApp) -> None:
    chat = begin_chat()
    chat.policy = Policy.STOP
    async with run_app(small_engine(24), chat=chat) as running:
        await talk(running, ("one a b c", "d e f"))
        await running.send("two a b c d e f g h i j k l m")
        await running.until(lambda: "The context is full" in notices(running))
        await running.until_state(ChatState.IDLE)
        assert running.screen.prompt.text == "two a b c d e f g h i j k l m"
        assert running.said == running.shown == [("user", "one a b c"), ("bot", "d e f")]
        assert len((await running.saved()).messages) == 2
        # Choosing to leave out the oldest lets it go on.
        await running.pilot.press("f9", "shift+tab", "right", "escape")
        running.engine.reply_with("yes")
        await running.pilot.press("enter")
        await running.until(lambda: running.said[-1] == ("bot", "yes"))


async def test_a_message_longer_than_the_context_comes_back_and_nothing_is_lost(
    run_app: RunApp, store: SessionStore
) -> None:
    long = " ".join(["word"] * 40)
    async with run_app(small_engine(24)) as running:
        await running.until_state(ChatState.IDLE)
        running.screen.prompt.text = long
        await running.pilot.press("enter")
        await running.until(lambda: "This does not fit" in notices(running))
        await running.until_state(ChatState.IDLE)
        assert running.screen.prompt.text == long
        assert running.said == running.shown == []
        await running.pilot.press("ctrl+c")
        await talk(running, ("short", "yes"))
        assert len((await running.saved()).messages) == 2


async def test_a_refused_first_message_leaves_no_chat_on_the_disk(
    run_app: RunApp, store: SessionStore
) -> None:
    async with run_app(small_engine(24)) as running:
        await running.until_state(ChatState.IDLE)
        running.screen.prompt.text = " ".join(["word"] * 40)
        await running.pilot.press("enter")
        await running.until(lambda: "This does not fit" in notices(running))
        await running.pilot.press("ctrl+q")
    assert all(not store.load(one.id).messages for one in store.summaries())


async def test_what_is_typed_while_a_message_is_refused_is_kept_after_it(run_app: RunApp) -> None:
    async with run_app(small_engine(24)) as running:
        await running.until_state(ChatState.IDLE)
        running.screen.prompt.text = " ".join(["word"] * 40)
        await running.pilot.press("enter", "x")
        await running.until(lambda: "This does not fit" in notices(running))
        await running.until(lambda: running.screen.prompt.text.endswith("wordx"))


async def test_a_refused_answer_gives_the_words_put_in_the_bots_mouth_back_too(run_app: RunApp) -> None:
    long = " ".join(["word"] * 40)
    async with run_app(small_engine(24)) as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("less_than_sign", "enter", "S", "enter")
        running.screen.prompt.text = long
        await running.pilot.press("enter")
        await running.until(lambda: "This does not fit" in notices(running))
        await running.until_state(ChatState.IDLE)
        assert running.screen.prompt.text == long
        assert running.said == running.shown == []
        running.screen.prompt.text = "short"
        running.engine.reply_with("ure")
        await running.pilot.press("enter")
        await running.until(lambda: running.said == [("user", "short"), ("bot", "Sure")])


async def test_a_refused_reroll_leaves_the_reply_that_was_there(run_app: RunApp, store: SessionStore) -> None:
    session = save_chat(store, " ".join(["word"] * 40), "reply")
    async with run_app(small_engine(24), chat=Chat.from_session(store.load(session.id))) as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("ctrl+r")
        await running.until(lambda: "This does not fit" in notices(running))
        await running.until_state(ChatState.IDLE)
        assert running.said[-1] == ("bot", "reply")
        assert running.screen.chat_log.entries[-1].alternative is None
        await running.pilot.press("f8")
        await running.until_state(ChatState.IDLE)
        assert running.said[-1] == ("bot", "reply")
        assert running.path[-1].finish == "stop"


async def test_a_reply_that_fills_the_context_says_so(run_app: RunApp) -> None:
    from easy_llama.events import Finished, PromptProgress, Token

    class FullEngine(ScriptedEngine):
        def generate(self, prompt, format_name, sampler, cancel, live, reply_start=()):
            yield PromptProgress(20, 20, 0)
            yield Token(0, "word")
            yield Finished(
                reason="length",
                text="",
                ids=(0,),
                seed=1,
                prompt_tokens=20,
                reused_tokens=0,
                generated_tokens=5,
                prompt_seconds=0.1,
                generation_seconds=0.1,
            )

    engine = FullEngine()
    engine.context_length = 24
    async with run_app(engine) as running:
        await running.until_state(ChatState.IDLE)
        await running.send("Hello")
        await running.until(lambda: running.path and running.path[-1].finish == "length")
        assert "context is full" in running.screen.chat_log.entries[-1].note

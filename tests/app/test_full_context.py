"""A chat that fills the context: what is offered, and what is said, also when it is opened again."""

import pytest
from support.running_app import RunApp, Running, begin_chat
from support.scripted_engine import ScriptedEngine
from support.whole_app import notices, save_chat, text, until_seen
from textual import events

from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.context_window import Policy
from easy_llama_tui.replies.wording import ChatState


def full_chat(policy: Policy, finish: str = "length") -> Chat:
    """A chat as it comes from its file, of about 240 tokens of the scripted engine's."""
    chat = begin_chat()
    chat.policy = policy
    for _ in range(2):
        chat.conversation.add("user", "ask " * 10)
        chat.conversation.add("bot", "word " * 100, finish=finish)
    return Chat.from_session(chat.snapshot())


def small_engine(context_length: int = 200) -> ScriptedEngine:
    engine = ScriptedEngine()
    engine.context_length = context_length
    return engine


async def test_a_reply_that_filled_it_is_not_offered_to_be_continued(run_app: RunApp) -> None:
    async with run_app(small_engine(), full_chat(Policy.STOP)) as running:
        await until_seen(running, "ended where the context is full · ^R to re-roll")
        assert "to continue" not in text(running)
        await running.pilot.press("f8")
        await running.until(lambda: "The context is full" in notices(running))
        assert running.path[-1].content == "word " * 100


async def test_one_that_was_stopped_there_is_not_either(run_app: RunApp) -> None:
    async with run_app(small_engine(), full_chat(Policy.STOP, "interrupted")) as running:
        await until_seen(running, "stopped · the context is full · ^R to re-roll")
        assert "to continue" not in text(running)


@pytest.mark.parametrize(("policy", "context_length"), [(Policy.DROP_OLDEST, 200), (Policy.STOP, 4096)])
async def test_where_there_is_room_or_can_be_it_is(
    run_app: RunApp, policy: Policy, context_length: int
) -> None:
    async with run_app(small_engine(context_length), full_chat(policy)) as running:
        await running.until(lambda: running.screen.desk.inspection and running.screen.desk.inspection.history)
        await until_seen(running, "ended at the length limit · F8 to continue · ^R to re-roll")


async def test_another_policy_makes_room_and_is_told_at_once(run_app: RunApp) -> None:
    async with run_app(small_engine(), full_chat(Policy.STOP)) as running:
        await until_seen(running, "ended where the context is full")
        running.screen.desk.change_policy(Policy.DROP_OLDEST)
        await until_seen(running, "ended at the length limit · F8 to continue")


async def test_the_candidates_say_why_there_are_none(run_app: RunApp) -> None:
    async with run_app(small_engine(), full_chat(Policy.STOP), panel="candidates") as running:
        await until_seen(running, "The context is full", "nothing can", "F9", "Ctrl+N")
        running.screen.desk.change_policy(Policy.DROP_OLDEST)
        await running.until(lambda: "The context is full" not in text(running))


async def test_it_is_left_for_a_new_chat_and_for_another_one(run_app: RunApp) -> None:
    async with run_app(small_engine(), full_chat(Policy.STOP)) as running:
        other = save_chat(running.store, "another question", "another answer")
        await until_seen(running, "ended where the context is full")
        await running.pilot.press("ctrl+n")
        assert running.shown == []
        await running.until(lambda: len(running.store.summaries()) == 2)
        full = next(chat for chat in running.store.summaries() if chat.id != other.id)
        for chosen in (full.id, other.id):
            running.screen.switch._open_chat(chosen, None)
            await running.until(lambda: running.shown == running.said != [])
        assert running.shown[0] == ("user", "another question")
        await running.exchange("and", "yes")


def asked(running: Running) -> list[str]:
    """What the model was given to read last, by the first words of each message."""
    return [" ".join(turn.content.split()[:2]) for turn in running.engine.requests[-1].turns]


async def exchanges(running: Running, numbers: range) -> None:
    for number in numbers:
        await running.exchange(f"ask {number} please", *["word "] * 30)


async def test_a_chat_that_outgrows_its_context_leaves_out_its_oldest_turns(run_app: RunApp) -> None:
    async with run_app(small_engine()) as running:
        await running.until_state(ChatState.IDLE)
        await running.pilot.press("f9")
        await exchanges(running, range(3))
        await until_seen(running, "Next to be left out", "ask 0")
        assert asked(running)[0] == "ask 0" and not any(
            entry.outside for entry in running.screen.chat_log.entries
        )
        await exchanges(running, range(3, 6))
        # The model reads the newest, the chat shows all, dimmed what is outside, and nothing is deleted.
        assert "ask 0" not in asked(running) and asked(running)[-1] == "ask 5"
        outside = [entry.outside for entry in running.screen.chat_log.entries]
        assert outside[0] and not outside[-1] and outside == sorted(outside, reverse=True)
        assert len(await running.saved_messages()) == 12
        await until_seen(running, "Next to be left out: 'ask 2 please'")


async def test_what_is_pinned_by_key_stays_in(run_app: RunApp) -> None:
    async with run_app(small_engine()) as running:
        await running.until_state(ChatState.IDLE)
        await exchanges(running, range(1))
        await running.pilot.press("up", "up", "p", "escape")
        await running.until(lambda: running.path[0].pinned)
        await exchanges(running, range(1, 6))
        assert asked(running)[0] == "ask 0" and "ask 1" not in asked(running)
        assert [entry.outside for entry in running.screen.chat_log.entries][:4] == [False, False, True, True]


async def test_a_message_longer_than_the_context_stays_in_the_prompt(run_app: RunApp) -> None:
    async with run_app(small_engine()) as running:
        await running.until_state(ChatState.IDLE)
        await exchanges(running, range(1))
        paste = "long " * 400
        running.app.post_message(events.Paste(paste))
        await running.until(lambda: running.screen.prompt.text)
        await running.pilot.press("enter")
        await running.until(lambda: "does not fit" in notices(running))
        await running.until_state(ChatState.IDLE)
        assert running.screen.prompt.text == paste.strip() or running.screen.prompt.text == paste
        assert len(running.path) == 2
        await running.pilot.press("ctrl+c")
        await exchanges(running, range(1, 2))
        assert running.said[-2] == ("user", "ask 1 please")

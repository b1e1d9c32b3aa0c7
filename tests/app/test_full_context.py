"""A chat that fills the context: what is offered, and what is said, also when it is opened again."""

import pytest
from support.running_app import RunApp, begin_chat
from support.scripted_engine import ScriptedEngine
from support.whole_app import notices, save_chat, text, until_seen

from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.context_window import Policy


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

"""Looking at the tokens of a chat, and forking a reply at one of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.running_app import RunApp, Running
from support.scripted_engine import ScriptedEngine

from easy_llama.errors import ExceededContextLengthException
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.screens.token_screen import TokenScreen


@contextmanager
def held(engine: ScriptedEngine) -> Iterator[None]:
    """No figures come until the end."""
    engine.may_score.clear()
    yield
    engine.may_score.set()


def shown(running: Running) -> TokenScreen:
    assert isinstance(running.app.screen, TokenScreen)
    return running.app.screen


def seen(running: Running) -> str:
    strips = running.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in strips)


async def until_open(running: Running) -> None:
    await running.until(lambda: isinstance(running.app.screen, TokenScreen))


async def until_seen(running: Running, *parts: str) -> None:
    await running.until(lambda: all(part in seen(running) for part in parts))


async def look(running: Running, *keys: str) -> None:
    """Open the inspector for the marked message."""
    await running.pilot.press("up", *keys, "t")
    await until_open(running)


async def test_a_reply_is_looked_at_token_by_token(run_app: RunApp) -> None:
    async with run_app(size=(120, 36)) as running:
        await running.exchange("Hello", "I ", "say ", "meow")
        await look(running)
        await until_seen(running, "I say meow", "Token 1 of 3", "perplexity", "tiny Q4_0")
        await running.pilot.press("right", "right")
        await until_seen(running, "Token 3 of 3", "·meow", "50.0%")
        # What the model read before the token is read again, and only that one is asked for.
        await running.until(lambda: running.engine.scored[-1].tokens[-1] == running.engine.id_of("meow"))
        request = running.engine.scored[-1]
        assert (request.start, request.reply_start) == (len(request.tokens) - 1, len(request.tokens) - 3)
        await running.pilot.press("escape")
        await running.until(lambda: running.app.screen is running.screen)
        assert running.said == [("user", "Hello"), ("bot", "I say meow")]


async def test_another_token_begins_another_reply_that_has_all_before_it(run_app: RunApp) -> None:
    async with run_app(size=(120, 36)) as running:
        await running.exchange("Hello", "I ", "say ", "no")
        await look(running)
        await until_seen(running, "Token 1 of 3", "·meow")
        await running.pilot.press("right", "right")
        await until_seen(running, "Token 3 of 3", "·meow")
        running.engine.reply_with(" loudly")
        await running.pilot.press("c", "enter")
        await running.until(lambda: running.said[-1] == ("bot", "I say  meow loudly"))
        await running.until_state(ChatState.IDLE)
        engine = running.engine
        assert engine.requests[-1].reply_start == tuple(map(engine.id_of, ("I ", "say ", " meow")))
        assert engine.requests[-1].text == engine.requests[0].text
        reply = running.path[-1]
        assert reply.ids == (*engine.requests[-1].reply_start, engine.id_of(" loudly"))
        assert reply.made[-1].start == len("I say ")
        # The other reply is there beside it.
        siblings = running.screen.chat.conversation.siblings(reply.id)
        assert [one.content for one in siblings] == ["I say no", "I say  meow loudly"]
        assert [message[1] for message in await running.saved_messages()] == [
            *("Hello", "I say no", "I say  meow loudly")
        ]


async def test_a_message_of_the_person_can_be_looked_at_but_not_forked(run_app: RunApp) -> None:
    async with run_app(size=(120, 36)) as running:
        await running.exchange("Hello you", "yes")
        await look(running, "up")
        await until_seen(running, "Hello you", "Token 1 of", "put there by")
        await until_seen(running, "·meow")
        await running.pilot.press("c", "enter")
        await running.until(lambda: "edit this message instead" in notices(running))
        assert running.said == [("user", "Hello you"), ("bot", "yes")]


async def test_the_prompt_is_looked_at_with_what_the_format_writes(run_app: RunApp) -> None:
    async with run_app(size=(120, 36)) as running:
        await running.exchange("Hello", "yes")
        await running.send("/prompt")
        await until_open(running)
        await until_seen(running, "The prompt", "<|im_start|>user", "Hello", "yes", "perplexity")


async def test_the_last_reply_is_looked_at_by_a_command(run_app: RunApp) -> None:
    async with run_app(size=(120, 36)) as running:
        await running.exchange("Hello", "It ", "is")
        await running.send("/tokens")
        await until_open(running)
        await until_seen(running, "It is", "Token 1 of 2")


async def test_esc_stops_what_is_computed_and_leaves_only_then(run_app: RunApp) -> None:
    async with run_app(size=(120, 36)) as running:
        await running.exchange("Hello", "I ", "say")
        with held(running.engine):
            await look(running)
            await until_seen(running, "I say", "computing")
            await running.pilot.press("escape")
            await running.until(lambda: "computing" not in seen(running))
            assert shown(running)
            await running.pilot.press("escape")
            await running.until(lambda: running.app.screen is running.screen)
        # The engine is free again.
        await running.pilot.press("escape")
        await running.exchange("and", "more")
        assert running.said[-1] == ("bot", "more")


async def test_while_a_reply_is_written_it_says_so(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.exchange("Hello", "yes")
        running.engine.say("more")
        await running.send("again")
        await running.until(lambda: running.said[-1] == ("bot", "more"))
        await running.send("/tokens")
        await running.until(lambda: "not finished" in notices(running))
        assert running.app.screen is running.screen
        running.engine.reply_with("!")
        await running.until_state(ChatState.IDLE)


async def test_what_cannot_be_computed_is_said_and_can_be_left(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ExceededContextLengthException("the text is longer than the context")

    async with run_app(size=(120, 36)) as running:
        await running.exchange("Hello", "yes")
        monkeypatch.setattr(running.engine, "score", refuse)
        await look(running)
        await until_seen(running, "longer than the context")
        await running.pilot.press("escape")
        await running.until(lambda: running.app.screen is running.screen)


async def test_an_answer_for_a_text_that_was_left_changes_nothing(run_app: RunApp) -> None:
    async with run_app(size=(120, 36)) as running:
        await running.exchange("Hello", "I ", "say")
        with held(running.engine):
            await look(running)
            await until_seen(running, "computing")
            await running.pilot.press("escape", "escape")
            await running.until(lambda: running.app.screen is running.screen)
        await running.pilot.press("escape")
        await running.send("/prompt")
        await until_open(running)
        await until_seen(running, "The prompt", "perplexity")


def notices(running: Running) -> str:
    return "\n".join(notice.message for notice in running.app._notifications)

"""What the next prompt is made of, as the panels show it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scripted_engine import ScriptedEngine

from easy_llama import formats
from easy_llama.errors import ChatTemplateError, ModelUnloadedException
from easy_llama.events import CancelFlag
from easy_llama.prompt import Control, Turn
from easy_llama.samplers import DefaultSampling
from easy_llama_tui.chats.context_window import EVERYTHING, PathTurn, Policy
from easy_llama_tui.chats.conversation import Conversation
from easy_llama_tui.replies.engine import RenderedPrompt
from easy_llama_tui.replies.inspection import DRAFT, Inspection, InspectionRequest, inspect

SYSTEM = PathTurn(Turn("system", "Be brief please."), ("m1",))
ASKED = PathTurn(Turn("user", "What does the cat say?"), ("m2",))
SAID = PathTurn(Turn("bot", "The cat says meow."), ("m3",))


def request(*turns: PathTurn, draft: str = "", **more: object) -> InspectionRequest:
    values = {"format": "chatml", "sampler": DefaultSampling, "policy": Policy.DROP_OLDEST, **more}
    return InspectionRequest(turns, draft, **values)  # type: ignore[arg-type]


def look(wanted: InspectionRequest, engine: ScriptedEngine | None = None) -> Inspection:
    return inspect(engine or ScriptedEngine(), wanted, CancelFlag())


def whole_length(engine: ScriptedEngine, turns: Sequence[PathTurn], name: str = "chatml") -> int:
    return len(engine.render([one.turn for one in turns], name).ids)


def test_an_empty_chat_costs_nothing() -> None:
    assert look(request()) == Inspection()


def test_each_message_costs_its_words_and_what_the_format_puts_before_it() -> None:
    # The scripted tokens are words: "<|im_start|>user\n" is one, "<|im_end|>\n<|im_start|>user\n" two.
    found = look(request(SYSTEM, ASKED, SAID, draft="And the dog?"))
    assert dict(found.costs) == {"m1": 1 + 3, "m2": 2 + 5, "m3": 2 + 4, DRAFT: 2 + 3}
    assert (found.system, found.history, found.draft, found.reply_opening) == (4, 13, 5, 2)
    assert found.format_own == 0
    assert found.total == found.window.tokens == 24
    assert (found.error, found.warnings, found.tokens, found.distribution) == ("", (), (), None)


class OwnPrompt(ScriptedEngine):
    """Its format begins with a system prompt where the chat has none."""

    def render(self, turns: Sequence[Turn], *more: object, **named: object) -> RenderedPrompt:
        found = super().render(turns, *more, **named)  # type: ignore[arg-type]
        if turns and turns[0].role == "system":
            return found
        pieces = (Control("<s>You are a helpful model</s> "), *found.pieces)
        return replace(
            found, pieces=pieces, ids=tuple(range(len(self.places(replace(found, pieces=pieces)))))
        )


def test_what_the_format_itself_begins_with_is_no_cost_of_a_message() -> None:
    # "<s>You are a helpful model</s> <|im_start|>user" are six words.
    plain, own = look(request(ASKED, SAID)), look(request(ASKED, SAID), OwnPrompt())
    assert own.costs == plain.costs == (("m2", 5), ("m3", 2 + 4))
    assert (plain.format_own, own.format_own) == (1, 1 + 5)
    assert own.total == own.window.tokens == plain.total + 5
    with_system = look(request(SYSTEM, ASKED), OwnPrompt())
    assert with_system.format_own == 0 and with_system.system == 1 + 3


def test_room_is_kept_for_the_reply() -> None:
    assert look(request(ASKED)).room == 1024
    assert look(request(ASKED, sampler=DefaultSampling.replace(max_len_tokens=64))).room == 64


def test_a_draft_after_a_question_without_a_reply_is_read_with_it_as_when_it_is_sent() -> None:
    engine = ScriptedEngine()
    found = look(request(SYSTEM, ASKED, draft="Well?"), engine)
    conversation = Conversation()
    conversation.add("system", SYSTEM.turn.content)
    conversation.add("user", ASKED.turn.content)
    conversation.add("user", "Well?")
    assert found.total == whole_length(engine, conversation.turns())
    costs = dict(found.costs)
    assert 0 < costs[DRAFT] == found.draft < costs["m2"] == found.history


@pytest.mark.parametrize("words", [1, 3, 100])
def test_a_long_draft_bears_the_most_of_a_shared_turn(words: int) -> None:
    found = look(request(ASKED, draft="dog " * words))
    assert found.format_own + found.draft + found.history + found.reply_opening == found.total
    assert (found.draft > found.history) == (words == 100)


def test_a_message_too_many_is_said_to_be_outside() -> None:
    engine = ScriptedEngine()
    engine.context_length = 26
    found = look(request(SYSTEM, ASKED, SAID, draft="And the dog?"), engine)
    assert found.window.outside == {"m2", "m3"}
    # The costs stay known, so that it is seen what would come back.
    assert dict(found.costs)["m2"] == 7
    assert found.total > found.window.tokens


def test_a_draft_that_is_too_long_is_told_and_nothing_is_read() -> None:
    engine = ScriptedEngine()
    engine.context_length = 26
    found = look(request(draft="dog " * 50, candidates=3), engine)
    assert not found.window.fits
    assert (found.error, found.distribution) == ("", None)


@pytest.mark.parametrize(("policy", "can"), [(Policy.STOP, False), (Policy.DROP_OLDEST, True)])
def test_a_reply_is_not_to_be_continued_where_nothing_more_fits(policy: Policy, can: bool) -> None:
    engine = ScriptedEngine()
    asked, said = PathTurn(Turn("user", "And the dog?"), ("m4",)), PathTurn(Turn("bot", "Woof."), ("m5",))
    turns = (ASKED, SAID, asked, said)
    engine.context_length = whole_length(engine, turns)
    assert look(request(*turns, policy=policy), engine).can_continue
    engine.context_length -= 4
    assert look(request(*turns, policy=policy), engine).can_continue is can
    # What is asked next is another matter.
    assert look(request(*turns[:-1], policy=policy), engine).can_continue


class TestTokens:
    def test_they_are_listed_where_that_is_wished(self) -> None:
        found = look(request(ASKED, with_tokens=True))
        assert len(found.tokens) == found.window.tokens
        assert [token.id for token in found.tokens] == list(range(found.total))
        assert [token.is_control for token in found.tokens] == [True, *[False] * 5, True, True]

    def test_those_of_messages_that_are_left_out_are_not(self) -> None:
        engine = ScriptedEngine()
        engine.context_length = 26
        found = look(request(SYSTEM, ASKED, SAID, draft="And the dog?", with_tokens=True), engine)
        assert len(found.tokens) == found.window.tokens < found.total


class TestCandidates:
    def test_they_follow_the_last_message_left_open(self) -> None:
        prompts: list[str] = []

        class Watched(ScriptedEngine):
            def next_tokens(self, prompt: RenderedPrompt, *more: object) -> object:  # type: ignore[override]
                prompts.append("".join(piece.text for piece in prompt.pieces))
                return super().next_tokens(prompt, *more)  # type: ignore[arg-type]

        found = look(request(SYSTEM, ASKED, draft="The do", candidates=2), Watched())
        assert prompts[0].endswith("The do") and prompts[0].count("<|im_end|>") == 1
        assert found.distribution is not None and len(found.distribution.candidates) == 2
        assert found.after.endswith("say?\n\nThe do") and len(found.after) <= 40

    def test_none_are_looked_for_once_it_is_given_up(self) -> None:
        cancel = CancelFlag()
        cancel.cancel()
        found = inspect(ScriptedEngine(), request(ASKED, candidates=2), cancel)
        assert found.distribution is None and found.total


class TestErrors:
    @pytest.mark.parametrize(
        "error", [ChatTemplateError("no system messages here"), ValueError("no format of that name")]
    )
    def test_they_come_back_as_text(self, error: Exception) -> None:
        class Refusing(ScriptedEngine):
            def render(self, *args: object, **more: object) -> RenderedPrompt:
                raise error

        assert look(request(ASKED), Refusing()) == Inspection(error=str(error))

    def test_an_unknown_format_is_one(self) -> None:
        assert "chatmll" in look(request(ASKED, format="chatmll")).error

    def test_a_model_that_is_gone_is_one(self) -> None:
        class Empty(ScriptedEngine):
            @property
            def context_length(self) -> int:
                raise ModelUnloadedException("no model is loaded")

            @context_length.setter
            def context_length(self, value: int) -> None:
                pass

        found = look(request(ASKED), Empty())
        assert (found.error, found.window) == ("no model is loaded", EVERYTHING)


texts = st.text("ab \n", max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["system", "user", "bot"]), texts), max_size=8),
    texts,
    st.sampled_from([name for name in formats.names() if name != "blank"]),
    st.integers(20, 200),
)
def test_the_parts_are_the_whole(
    messages: list[tuple[str, str]], draft: str, name: str, context: int
) -> None:
    conversation = Conversation()
    for role, text in messages:
        conversation.add(role, text)  # type: ignore[arg-type]
    engine = ScriptedEngine()
    engine.context_length = context
    found = look(request(*conversation.turns(), draft=draft, format=name, with_tokens=True), engine)
    if draft:
        conversation.add("user", draft)
    turns = conversation.turns()
    if not turns:
        assert found == Inspection()
        return
    assert found.error == ""
    assert found.total == whole_length(engine, turns, name)
    assert found.format_own + sum(count for _, count in found.costs) + found.reply_opening == found.total
    assert [message for message, _ in found.costs] == [
        message
        for one in turns
        for message in ((*one.messages[:-1], DRAFT) if draft and one is turns[-1] else one.messages)
    ]
    assert min(found.format_own, found.system, found.history, found.draft, found.reply_opening) >= 0
    assert all(count >= 0 for _, count in found.costs)
    assert len(found.tokens) == found.window.tokens

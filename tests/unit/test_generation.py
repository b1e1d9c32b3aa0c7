"""Engine events to messages, with a clock of the test's own."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from support.scripted_engine import ScriptedEngine, finished
from textual.message import Message

from easy_llama.errors import ChatTemplateError, GenerationError
from easy_llama.events import CancelFlag, Candidates, Distribution, Event, LiveSettings, PromptProgress, Token
from easy_llama.prompt import Turn
from easy_llama.samplers import DefaultSampling, SamplerSettings
from easy_llama_tui.chats.context_window import PathTurn, Policy
from easy_llama_tui.replies.engine import LoadedModel, RenderedPrompt
from easy_llama_tui.replies.generation import (
    BATCH_SECONDS,
    CROWDED_BATCH_SECONDS,
    ReplyRequest,
    batch_seconds_of,
    run_reply,
)
from easy_llama_tui.replies.messages import (
    CandidatesSeen,
    PromptRead,
    ReplyEnded,
    ReplyRefused,
    ReplyText,
    WindowFitted,
)

REQUEST = ReplyRequest((PathTurn(Turn("user", "Hi"), ("m1",)),), "template", DefaultSampling)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class TimedEngine(ScriptedEngine):
    """Yields events, each at its time, and knows the text of its tokens."""

    def __init__(self, clock: Clock, *events: tuple[float, Event | Exception]) -> None:
        super().__init__()
        self._clock, self._events = clock, events
        self.live: LiveSettings | None = None
        self.prompt = ""

    def generate(
        self,
        prompt: RenderedPrompt,
        format_name: str,
        sampler: SamplerSettings,
        cancel: CancelFlag,
        live: LiveSettings,
        reply_start: tuple[int, ...] = (),
    ) -> Iterator[Event]:
        self.live = live
        self.prompt = "".join(piece.text for piece in prompt.pieces)
        for seconds, event in self._events:
            self._clock.now = 100.0 + seconds
            if isinstance(event, Exception):
                raise event
            yield event


class Mumbling(TimedEngine):
    """Tells of tokens what does not make up their text, as where one ends within a character."""

    def token_texts(self, ids: Sequence[int]) -> tuple[str, ...]:
        return tuple("\ufffd" for _ in ids)


def run_with(
    engine: ScriptedEngine, clock: Clock, request: ReplyRequest, live: LiveSettings | None = None
) -> list[Message]:
    posted: list[Message] = []
    run_reply(engine, 5, request, CancelFlag(), live or LiveSettings(), posted.append, clock)
    return posted


def run(*events: tuple[float, Event | Exception]) -> list[Message]:
    """Return what is posted once it is known that the chat fits."""
    clock = Clock()
    fitted, *posted = run_with(TimedEngine(clock, *events), clock, REQUEST)
    assert isinstance(fitted, WindowFitted) and not fitted.window.outside
    return posted


def test_text_is_joined_to_batches_and_none_is_lost() -> None:
    step = BATCH_SECONDS / 4
    tokens = [(1 + number * step, Token(number, f"{number} ")) for number in range(40)]
    posted = run(*tokens, (9, finished("stop", range(40))))
    texts = [message.text for message in posted if isinstance(message, ReplyText)]
    assert texts[0] == "0 "
    assert 8 <= len(texts) <= 11
    assert isinstance(posted[-1], ReplyEnded)
    assert "".join(texts) + posted[-1].text == "".join(f"{number} " for number in range(40))
    assert posted[-1].ids == tuple(range(40))


def test_where_the_model_takes_all_cores_text_comes_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("easy_llama_tui.replies.generation.usable_cores", lambda: 4)
    loaded = LoadedModel(512, "chatml", n_threads=4, n_gpu_layers=0)
    assert batch_seconds_of(loaded) == CROWDED_BATCH_SECONDS > BATCH_SECONDS
    for change in ({"n_threads": 3}, {"n_threads": None}, {"n_gpu_layers": -1}):
        assert batch_seconds_of(replace(loaded, **change)) == BATCH_SECONDS


def test_candidates_come_with_the_next_text() -> None:
    step = BATCH_SECONDS / 4
    seen = [Distribution((), number) for number in range(3)]
    posted = run(
        (1.0, Candidates(0, seen[0])),
        (1.0, Token(0, "a")),
        (1.0 + step, Candidates(1, seen[1])),
        (1.0 + step, Token(1, "b")),
        (1.0 + 5 * step, Token(2, "c")),
        (1.0 + 6 * step, Candidates(3, seen[2])),
        (1.0 + 6 * step, finished("stop", range(3))),
    )
    told = [
        message.distribution.survivors if isinstance(message, CandidatesSeen) else message.text
        for message in posted
        if isinstance(message, CandidatesSeen | ReplyText | ReplyEnded)
    ]
    assert told == [0, "a", 1, "bc", 2, ""]


def test_figures_follow_the_events() -> None:
    posted = run(
        (0.1, PromptProgress(60, 100, 60, 40, 7)),
        (0.4, PromptProgress(100, 100, 60)),
        (0.5, Token(1, "a")),
        (1.0, Token(2, "b")),
        (1.5, Token(3, "c")),
        (1.6, finished("length", range(3))),
    )
    first, second = (message.figures for message in posted if isinstance(message, PromptRead))
    assert (first.prompt_tokens, first.reused_tokens, first.read_tokens) == (100, 60, 0)
    assert (first.slid_tokens, first.unslidable_tokens) == (40, 7)
    assert (second.read_tokens, second.context_used) == (40, 100)
    texts = [message for message in posted if isinstance(message, ReplyText)]
    assert texts[0].figures.tokens_per_second is None
    assert texts[0].figures.first_token_seconds == 0.5
    assert texts[2].figures.tokens_per_second == 2.0
    assert texts[2].figures.context_used == 103
    assert isinstance(posted[-1], ReplyEnded) and posted[-1].finish == "length"


def test_every_message_carries_the_request_and_there_is_one_end() -> None:
    posted = run((0, PromptProgress(1, 1, 0)), (1, Token(1, "a")), (2, finished("stop", range(1))))
    assert {message.request_id for message in posted} == {5}  # type: ignore[attr-defined]
    assert [isinstance(message, ReplyEnded) for message in posted] == [False, False, True]


def test_an_error_after_text_keeps_it() -> None:
    posted = run((1, Token(1, "a")), (1.001, Token(2, "b")), (2, GenerationError("no room; try again")))
    last = posted[-1]
    assert isinstance(last, ReplyEnded)
    assert (last.finish, last.text, last.error) == ("error", "b", "no room; try again")


def test_an_engine_that_just_stops_ends_the_turn_too() -> None:
    (last,) = run()
    assert isinstance(last, ReplyEnded) and last.finish == "error" and "without saying why" in last.error


def test_an_error_that_nobody_thought_of_ends_the_turn_too(caplog: pytest.LogCaptureFixture) -> None:
    *_, last = run((1, Token(1, "a")), (2, KeyError("what")))
    assert isinstance(last, ReplyEnded) and last.finish == "error"
    assert "KeyError" in last.error and "log file" in last.error
    assert "a reply failed" in caplog.text


def test_what_could_come_next_is_passed_on_in_its_place() -> None:
    found = Distribution((), 3)
    posted = run((0, Candidates(0, found)), (1, Token(1, "a")), (2, finished("stop", range(1))))
    assert [type(message) for message in posted] == [CandidatesSeen, ReplyText, ReplyEnded]
    assert isinstance(posted[0], CandidatesSeen)
    assert (posted[0].request_id, posted[0].distribution) == (5, found)


def test_changed_settings_reach_the_engine() -> None:
    clock, live = Clock(), LiveSettings()
    engine = TimedEngine(clock, (1, finished("stop", range(0))))
    run_with(engine, clock, REQUEST, live)
    assert engine.live is live


def test_the_seed_is_told() -> None:
    last = run((1, replace(finished("stop", range(0)), seed=77)))[-1]
    assert isinstance(last, ReplyEnded) and last.seed == 77


@pytest.mark.parametrize(
    ("reason", "prompt", "generated", "is_full"),
    [
        # The last token needs no place in the context, so one more than it holds can be there.
        ("length", 4000, 97, True),
        ("length", 4000, 96, False),
        ("length", 20, 50, False),
        ("stop", 4000, 97, False),
    ],
)
def test_it_is_told_when_the_context_ended_the_reply(
    reason: str, prompt: int, generated: int, is_full: bool
) -> None:
    event = replace(finished(reason, range(3)), prompt_tokens=prompt, generated_tokens=generated)  # type: ignore[arg-type]
    last = run((1, event))[-1]
    assert isinstance(last, ReplyEnded)
    assert (last.finish, last.context_is_full) == (reason, is_full)


def exchange(number: int, words: int) -> tuple[PathTurn, PathTurn]:
    text = " ".join([f"n{number}"] * words)
    return (
        PathTurn(Turn("user", text), (f"q{number}",)),
        PathTurn(Turn("bot", text), (f"a{number}",)),
    )


def long_request(policy: Policy = Policy.DROP_OLDEST, **changes: object) -> ReplyRequest:
    turns = (*exchange(1, 40), *exchange(2, 40), PathTurn(Turn("user", "And now?"), ("q3",)))
    return ReplyRequest(turns, "template", DefaultSampling, policy, **changes)  # type: ignore[arg-type]


def test_a_chat_that_is_too_long_goes_without_its_beginning() -> None:
    clock = Clock()
    engine = TimedEngine(clock, (1, finished("stop", range(0))))
    engine.context_length = 160
    first, *_, last = run_with(engine, clock, long_request())
    assert isinstance(first, WindowFitted) and isinstance(last, ReplyEnded)
    assert (first.request_id, first.window.outside, first.window.fits) == (5, {"q1", "a1"}, True)
    assert "n1" not in engine.prompt and "n2" in engine.prompt and "And now?" in engine.prompt


def test_what_was_left_out_before_stays_out() -> None:
    clock = Clock()
    engine = TimedEngine(clock, (1, finished("stop", range(0))))
    engine.context_length = 220
    without = frozenset({"q1", "a1", "q2", "a2"})
    first = run_with(engine, clock, long_request(outside=without))[0]
    assert isinstance(first, WindowFitted) and first.window.outside == without


@pytest.mark.parametrize(
    ("policy", "context", "said"),
    [
        (Policy.STOP, 120, r"context is full.* /context .*; /new"),
        (Policy.DROP_OLDEST, 5, r"does not fit.* holds 5.*unpin"),
    ],
)
def test_what_cannot_fit_is_refused_before_anything_is_read(policy: Policy, context: int, said: str) -> None:
    clock = Clock()
    engine = TimedEngine(clock, (1, finished("stop", range(0))))
    engine.context_length = context
    (only,) = run_with(engine, clock, long_request(policy))
    assert isinstance(only, ReplyRefused) and only.request_id == 5
    assert re.search(said, only.reason)
    assert engine.live is None


def test_a_fork_that_leaves_no_room_is_refused_before_anything_is_read() -> None:
    clock = Clock()
    engine = TimedEngine(clock, (1, finished("stop", range(0))))
    length = len(engine.render([one.turn for one in REQUEST.turns], REQUEST.format).ids)
    engine.context_length = length + 4
    (only,) = run_with(engine, clock, replace(REQUEST, start=(0, 1, 2, 3)))
    assert isinstance(only, ReplyRefused) and f"is {length + 4} tokens long" in only.reason
    engine.context_length = length + 5
    assert isinstance(run_with(engine, clock, replace(REQUEST, start=(0, 1, 2, 3)))[-1], ReplyEnded)


def test_a_template_that_refuses_the_chat_ends_the_turn() -> None:
    class Refusing(TimedEngine):
        def render(self, *args: object, **more: object) -> RenderedPrompt:
            raise ChatTemplateError("the template wants a user first.")

    clock = Clock()
    (only,) = run_with(Refusing(clock), clock, REQUEST)
    assert isinstance(only, ReplyEnded)
    assert only.finish == "error"
    assert only.error == "the template wants a user first. In this chat, /format chooses another."


class TestOpenings:
    def ids(self, engine_class: type[TimedEngine], opening: Turn | None) -> tuple[int, ...]:
        clock = Clock()
        engine = engine_class(clock, (1, Token(90, "!")), (2, finished("stop", range(3))))
        last = run_with(engine, clock, replace(REQUEST, opening=opening))[-1]
        assert isinstance(last, ReplyEnded) and last.finish == "stop"
        if opening is not None:
            assert engine.prompt.endswith(opening.content)
        return last.ids

    def test_the_tokens_of_the_opening_come_before_those_of_the_rest(self) -> None:
        without = self.ids(TimedEngine, None)
        assert without == (0, 1, 2)
        *opening, zero, one, two = self.ids(TimedEngine, Turn("bot", "Sure thing: "))
        assert [zero, one, two] == [0, 1, 2]
        assert len(opening) == 2 and opening[1] == opening[0] + 1

    def test_where_tokens_do_not_end_with_the_opening_none_are_claimed(self) -> None:
        assert self.ids(Mumbling, Turn("bot", "Sure thing: ")) == ()

    def test_an_empty_opening_is_none(self) -> None:
        assert self.ids(TimedEngine, Turn("bot", "")) == (0, 1, 2)

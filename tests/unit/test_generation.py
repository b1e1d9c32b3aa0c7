"""Engine events to messages, with a clock of the test's own."""

from collections.abc import Iterator

from support.scripted_engine import finished
from textual.message import Message

from easy_llama.errors import GenerationError
from easy_llama.events import CancelFlag, Event, PromptProgress, Token
from easy_llama.prompt import Turn
from easy_llama.samplers import DefaultSampling
from easy_llama_tui.engine import LoadedModel, OnProgress, ReplyRequest
from easy_llama_tui.generation import BATCH_SECONDS, run_reply
from easy_llama_tui.messages import PromptRead, ReplyEnded, ReplyText

REQUEST = ReplyRequest((Turn("user", "Hi"),), "template", DefaultSampling)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class TimedEngine:
    """Yields events, each at its time."""

    def __init__(self, clock: Clock, *events: tuple[float, Event | Exception]) -> None:
        self._clock, self._events = clock, events

    def load(self, on_progress: OnProgress) -> LoadedModel:
        raise AssertionError

    def reply(self, request: ReplyRequest, cancel: CancelFlag) -> Iterator[Event]:
        for seconds, event in self._events:
            self._clock.now = 100.0 + seconds
            if isinstance(event, Exception):
                raise event
            yield event

    def close(self) -> None:
        pass


def run(*events: tuple[float, Event | Exception]) -> list[Message]:
    clock = Clock()
    posted: list[Message] = []
    run_reply(TimedEngine(clock, *events), 5, REQUEST, CancelFlag(), posted.append, clock)
    return posted


def test_text_is_joined_to_batches_and_none_is_lost() -> None:
    step = BATCH_SECONDS / 4
    tokens = [(1 + number * step, Token(number, f"{number} ")) for number in range(40)]
    posted = run(*tokens, (9, finished("stop", 40)))
    texts = [message.text for message in posted if isinstance(message, ReplyText)]
    assert texts[0] == "0 "
    assert 8 <= len(texts) <= 11
    assert isinstance(posted[-1], ReplyEnded)
    assert "".join(texts) + posted[-1].text == "".join(f"{number} " for number in range(40))
    assert posted[-1].ids == tuple(range(40))


def test_figures_follow_the_events() -> None:
    posted = run(
        (0.1, PromptProgress(60, 100, 60)),
        (0.4, PromptProgress(100, 100, 60)),
        (0.5, Token(1, "a")),
        (1.0, Token(2, "b")),
        (1.5, Token(3, "c")),
        (1.6, finished("length", 3)),
    )
    first, second = (message.figures for message in posted if isinstance(message, PromptRead))
    assert (first.prompt_tokens, first.reused_tokens, first.read_tokens) == (100, 60, 0)
    assert (second.read_tokens, second.context_used) == (40, 100)
    texts = [message for message in posted if isinstance(message, ReplyText)]
    assert texts[0].figures.tokens_per_second is None
    assert texts[0].figures.first_token_seconds == 0.5
    assert texts[2].figures.tokens_per_second == 2.0
    assert texts[2].figures.context_used == 103
    assert isinstance(posted[-1], ReplyEnded) and posted[-1].finish == "length"


def test_every_message_carries_the_request_and_there_is_one_end() -> None:
    posted = run((0, PromptProgress(1, 1, 0)), (1, Token(1, "a")), (2, finished("stop", 1)))
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

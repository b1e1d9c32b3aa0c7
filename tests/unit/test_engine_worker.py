"""The engine's own thread: one job after the other, and none too many."""

import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.scripted_engine import END, ScriptedEngine
from textual.message import Message

from easy_llama.errors import ModelLoadError
from easy_llama.events import LiveSettings
from easy_llama.prompt import Turn
from easy_llama.samplers import DefaultSampling
from easy_llama_tui.chats.context_window import PathTurn, Policy
from easy_llama_tui.replies.engine import LoadOptions, RenderedPrompt
from easy_llama_tui.replies.engine_worker import EngineWorker
from easy_llama_tui.replies.generation import ReplyRequest
from easy_llama_tui.replies.inspection import InspectionRequest
from easy_llama_tui.replies.messages import (
    Inspected,
    LoadProgress,
    ModelFailed,
    ModelReady,
    PromptRead,
    ReplyEnded,
    ReplyText,
)

TURNS = (PathTurn(Turn("user", "Hi"), ("m1",)),)
REQUEST = ReplyRequest(TURNS, "chatml", DefaultSampling)
OPTIONS, OTHER = LoadOptions(Path("one.gguf")), LoadOptions(Path("other.gguf"))


def looking(draft: str) -> InspectionRequest:
    return InspectionRequest(TURNS, draft, "chatml", DefaultSampling, Policy.DROP_OLDEST)


class Running:
    """A worker, and what it posted."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self.engine = engine
        self.posted: list[Message] = []
        self._posts: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.worker = EngineWorker(engine, self._posts.put)

    def until(self, kind: type[Message]) -> Message:
        """Return the next message of a kind; fail where there is none in time."""
        while True:
            self.posted.append(self._posts.get(timeout=20))
            if isinstance(self.posted[-1], kind):
                return self.posted[-1]

    def reply(self, number: int = 1) -> None:
        self.worker.reply(number, REQUEST, LiveSettings())

    def hold(self) -> None:
        """Keep the worker busy until `END` is said."""
        self.engine.ignores_cancel = True
        self.reply(0)
        self.until(PromptRead)

    def all(self, kind: type[Message]) -> list[Message]:
        """End the worker, and return all messages of a kind."""
        assert self.worker.close(timeout=20)
        while not self._posts.empty():
            self.posted.append(self._posts.get())
        return [message for message in self.posted if isinstance(message, kind)]


@pytest.fixture
def start() -> Iterator[Callable[[ScriptedEngine], Running]]:
    started: list[Running] = []

    def run(engine: ScriptedEngine) -> Running:
        started.append(Running(engine))
        return started[-1]

    yield run
    for running in started:
        running.engine.ignores_cancel = False
        running.engine.loaded.set()
        assert running.worker.close(timeout=20)


@pytest.fixture
def running(start: Callable[[ScriptedEngine], Running]) -> Running:
    return start(ScriptedEngine())


@pytest.fixture
def slow(start: Callable[[ScriptedEngine], Running]) -> Running:
    """One whose models are not loaded before the test says so."""
    return start(ScriptedEngine(hold_loading=True))


class TestLoading:
    def test_it_tells_how_far_it_is_and_what_is_there(self, running: Running) -> None:
        running.worker.load(OPTIONS)
        ready = running.until(ModelReady)
        assert isinstance(ready, ModelReady) and ready.model.context_length == 4096
        assert [type(message) for message in running.posted] == [LoadProgress, ModelReady]
        assert running.engine.loads == [OPTIONS]

    def test_a_reason_is_given_where_it_fails(self, running: Running) -> None:
        running.engine.load_error = ModelLoadError("one.gguf is damaged; download it again")
        running.worker.load(OPTIONS)
        failed = running.until(ModelFailed)
        assert isinstance(failed, ModelFailed) and failed.reason == "one.gguf is damaged; download it again"

    def test_an_error_that_nobody_thought_of_is_a_reason_too(
        self, running: Running, caplog: pytest.LogCaptureFixture
    ) -> None:
        running.engine.load_error = KeyError("what")  # type: ignore[assignment]
        running.worker.load(OPTIONS)
        failed = running.until(ModelFailed)
        assert isinstance(failed, ModelFailed) and "KeyError" in failed.reason
        assert "loading the model failed" in caplog.text

    def test_it_can_be_stopped(self, slow: Running) -> None:
        slow.worker.load(OPTIONS)
        slow.until(LoadProgress)
        assert slow.worker.stop_loading()
        assert slow.engine.closed.wait(20)
        slow.engine.loaded.set()
        slow.worker.load(OTHER)
        slow.until(ModelReady)
        assert not slow.all(ModelFailed)
        assert len(slow.all(ModelReady)) == 1

    def test_it_can_be_stopped_before_it_begins(self, slow: Running) -> None:
        slow.hold()
        slow.worker.load(OPTIONS)
        assert slow.worker.stop_loading()
        slow.engine.say(END)
        assert slow.engine.closed.wait(20)
        assert not slow.engine.loads
        assert not slow.all(ModelFailed)

    def test_it_cannot_be_stopped_once_it_has_ended(self, running: Running) -> None:
        assert not running.worker.stop_loading()
        running.worker.load(OPTIONS)
        running.until(ModelReady)
        assert not running.worker.stop_loading()
        assert not running.engine.closed.is_set()

    def test_what_was_loaded_in_spite_of_it_is_freed(self, slow: Running) -> None:
        slow.engine.ignores_cancel = True
        slow.worker.load(OPTIONS)
        slow.until(LoadProgress)
        assert slow.worker.stop_loading()
        slow.engine.loaded.set()
        assert slow.engine.closed.wait(20)
        assert not slow.all(ModelReady)

    def test_another_one_takes_its_place_and_nothing_more_is_heard_of_the_first(self, slow: Running) -> None:
        slow.worker.load(OPTIONS)
        slow.until(LoadProgress)
        slow.worker.load(OTHER)
        slow.until(LoadProgress)
        while slow.engine.loads != [OPTIONS, OTHER]:
            slow.until(LoadProgress)
        slow.engine.loaded.set()
        slow.until(ModelReady)
        assert not slow.all(ModelFailed)
        assert len(slow.all(ModelReady)) == 1

    def test_it_ends_the_reply_that_is_being_written(self, running: Running) -> None:
        running.reply()
        running.until(PromptRead)
        running.worker.load(OPTIONS)
        ended = running.until(ReplyEnded)
        assert isinstance(ended, ReplyEnded) and ended.finish == "interrupted"
        running.until(ModelReady)


class TestReplies:
    def test_they_wait_for_the_model_and_for_each_other(self, slow: Running) -> None:
        slow.worker.load(OPTIONS)
        slow.reply(1)
        slow.reply(2)
        slow.engine.reply_with("one ")
        slow.engine.reply_with("two ")
        slow.engine.loaded.set()
        slow.until(ReplyEnded)
        slow.until(ReplyEnded)
        order = [message for message in slow.posted if isinstance(message, ModelReady | ReplyText)]
        assert [getattr(message, "text", "ready") for message in order] == ["ready", "one ", "two "]

    def test_one_is_stopped(self, running: Running) -> None:
        running.reply()
        running.engine.say("one ")
        running.until(ReplyText)
        running.worker.stop_reply()
        ended = running.until(ReplyEnded)
        assert isinstance(ended, ReplyEnded) and ended.finish == "interrupted"

    def test_stopping_when_there_is_none_does_not_stop_the_next(self, running: Running) -> None:
        running.worker.stop_reply()
        running.engine.reply_with("one ")
        running.reply()
        ended = running.until(ReplyEnded)
        assert isinstance(ended, ReplyEnded) and ended.finish == "stop"


class TestLooking:
    def test_what_the_prompt_is_made_of_is_told(self, running: Running) -> None:
        running.worker.inspect(looking("And the dog?"))
        found = running.until(Inspected)
        assert isinstance(found, Inspected) and found.inspection.draft == 3  # of one turn with m1

    def test_only_the_last_request_is_answered(self, running: Running) -> None:
        running.hold()
        for draft in ("a", "a b", "a b " * 50):
            running.worker.inspect(looking(draft))
        running.engine.say(END)
        running.until(Inspected)
        (found,) = running.all(Inspected)
        assert isinstance(found, Inspected) and found.inspection.draft > 90

    def test_no_request_is_lost_however_they_come(self, running: Running) -> None:
        for words in range(1, 300):
            running.worker.inspect(looking("a " * words))
        # The last one is always answered, since nothing comes in its place.
        found = running.until(Inspected)
        while isinstance(found, Inspected) and found.inspection.draft < 298:
            found = running.until(Inspected)

    def test_a_reply_comes_before_it(self, running: Running) -> None:
        running.hold()
        running.worker.inspect(looking("a"))
        running.reply(1)
        running.engine.say(END, END)
        running.until(ReplyEnded)
        running.until(ReplyEnded)
        assert running.all(Inspected) == []

    def test_an_error_that_nobody_thought_of_is_in_the_log_and_does_not_end_the_thread(
        self, start: Callable[[ScriptedEngine], Running], caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(ScriptedEngine):
            def render(self, *args: object, **more: object) -> RenderedPrompt:
                rendered.put(None)
                raise KeyError("what")

        rendered: queue.SimpleQueue[None] = queue.SimpleQueue()
        running = start(Broken())
        running.worker.inspect(looking("a"))
        rendered.get(timeout=20)
        running.worker.load(OPTIONS)
        running.until(ModelReady)
        assert "looking at the prompt failed" in caplog.text
        assert running.all(Inspected) == []


class TestStates:
    def test_they_are_kept_and_recalled_around_each_model_and_chat(self, running: Running) -> None:
        worker, states = running.worker, running.engine.states
        worker.open_chat("one")
        worker.load(OPTIONS)
        running.until(ModelReady)
        worker.open_chat("two")
        running.reply()
        running.engine.reply_with("meow")
        running.until(ReplyEnded)
        worker.forget_chat("one")
        worker.close(timeout=20)
        assert states == [
            ("keep", ""),
            ("recall", "one"),
            ("keep", "one"),
            ("recall", "one"),
            ("keep", "one"),
            ("recall", "two"),
            ("forget", "one"),
            ("keep", "two"),
        ]


class TestClosing:
    def test_the_model_is_freed(self, running: Running) -> None:
        assert running.worker.close(timeout=20)
        assert running.engine.closed.is_set()

    def test_what_runs_is_ended_and_what_waits_is_not_begun(self, running: Running) -> None:
        running.reply(1)
        running.until(PromptRead)
        running.reply(2)
        running.worker.load(OPTIONS)
        ended = running.all(ReplyEnded)
        assert [getattr(message, "request_id", None) for message in ended] in ([1], [1, 2])
        assert len(running.engine.requests) == len(ended)

    def test_loading_is_ended(self, slow: Running) -> None:
        slow.worker.load(OPTIONS)
        slow.until(LoadProgress)
        assert slow.worker.close(timeout=20)
        assert slow.engine.closed.is_set()

    def test_it_does_not_wait_for_ever(self, running: Running) -> None:
        running.hold()
        assert not running.worker.close(timeout=0.01)
        assert not running.engine.closed.is_set()
        running.engine.say(END)
        assert running.worker.close(timeout=20)

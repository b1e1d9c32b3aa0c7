"""What the engine is at, one reply at a time."""

import pytest
from support.running_app import begin_chat

from easy_llama.events import LiveSettings
from easy_llama.prompt import Turn
from easy_llama.samplers import DefaultSampling, GreedyDecoding
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.context_window import Policy, Window
from easy_llama_tui.replies.engine import LoadedModel, LoadOptions
from easy_llama_tui.replies.figures import Figures
from easy_llama_tui.replies.generation import ReplyRequest
from easy_llama_tui.replies.turns import CANDIDATES_SECONDS, Turns
from easy_llama_tui.replies.wording import ChatState

MODEL = LoadedModel(4096, "chat template")


class Worker:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.loads: list[LoadOptions] = []
        self.replies: list[tuple[int, ReplyRequest, LiveSettings]] = []
        self.stops = 0

    def load(self, options: LoadOptions) -> None:
        self.loads.append(options)

    def reply(self, request_id: int, request: ReplyRequest, live: LiveSettings) -> None:
        self.replies.append((request_id, request, live))

    def stop_reply(self) -> None:
        self.stops += 1


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def turns(worker: Worker) -> Turns:
    return Turns(lambda: worker)  # type: ignore[arg-type, return-value]


@pytest.fixture
def chat() -> Chat:
    return begin_chat()


@pytest.fixture
def options(tmp_path: object) -> LoadOptions:
    return LoadOptions(tmp_path)  # type: ignore[arg-type]


class TestLoading:
    def test_at_first_there_is_no_model(self, turns: Turns) -> None:
        assert (turns.state, turns.model, turns.running) == (ChatState.NO_MODEL, None, None)

    def test_a_model_is_loaded_and_ready(self, turns: Turns, worker: Worker, options: LoadOptions) -> None:
        turns.figures = Figures(prompt_tokens=7)
        turns.load(options)
        assert (turns.state, turns.model, turns.figures) == (ChatState.LOADING, None, Figures())
        assert worker.loads == [options]
        turns.loaded(MODEL)
        assert (turns.state, turns.model) == (ChatState.IDLE, MODEL)

    def test_a_model_that_cannot_be_loaded_leaves_none(self, turns: Turns, options: LoadOptions) -> None:
        turns.loaded(MODEL)
        turns.load(options)
        turns.failed()
        assert (turns.state, turns.model) == (ChatState.NO_MODEL, None)

    def test_a_message_may_wait_for_the_model(self, turns: Turns, chat: Chat, options: LoadOptions) -> None:
        turns.load(options)
        turns.begin(chat, chat.ask("Hi"))
        assert turns.state is ChatState.LOADING
        turns.loaded(MODEL)
        assert turns.state is ChatState.READING

    def test_a_message_that_is_given_up_while_it_waits_leaves_the_model_loading(
        self, turns: Turns, chat: Chat, options: LoadOptions
    ) -> None:
        turns.load(options)
        turns.begin(chat, chat.ask("Hi"))
        turns.stop()
        turns.end()
        assert turns.state is ChatState.LOADING
        turns.loaded(MODEL)
        assert turns.state is ChatState.IDLE

    def test_a_message_that_waited_in_vain_ends_without_a_model(
        self, turns: Turns, chat: Chat, options: LoadOptions
    ) -> None:
        turns.load(options)
        turns.begin(chat, chat.ask("Hi"))
        turns.failed()
        turns.end()
        assert turns.state is ChatState.NO_MODEL


class TestReplies:
    def test_the_request_is_what_leads_up_to_the_reply(
        self, turns: Turns, worker: Worker, chat: Chat
    ) -> None:
        turns.loaded(MODEL)
        turns.window = Window(frozenset({"m1"}), (), True, 9)
        chat.format, chat.policy, chat.sampler = "alpaca", Policy.KEEP_FIRST, GreedyDecoding
        reply = chat.ask("Hi")
        turns.begin(chat, reply, asked="Hi")
        ((number, request, live),) = worker.replies
        assert turns.state is ChatState.READING
        assert [one.turn for one in request.turns] == [Turn("user", "Hi")]
        assert (request.format, request.policy) == ("alpaca", Policy.KEEP_FIRST)
        # The seed is drawn before, so that it is known however the reply ends.
        assert request.sampler.seed is not None
        assert request.sampler.replace(seed=None) == GreedyDecoding
        assert (request.outside, request.opening) == ({"m1"}, None)
        assert turns.running is not None
        assert (turns.running.request_id, turns.running.reply_id) == (number, reply.id)
        assert (turns.running.before, turns.running.asked) == (None, "Hi")
        assert turns.live is live and live.sampler is None

    def test_an_alternative_under_a_fixed_seed_has_its_own(
        self, turns: Turns, worker: Worker, chat: Chat
    ) -> None:
        chat.sampler = DefaultSampling.replace(seed=5)
        first = chat.ask("Hi")
        turns.begin(chat, first)
        turns.end()
        turns.begin(chat, chat.conversation.add_alternative(first.id))
        assert [request.sampler.seed for _, request, _ in worker.replies] == [5, 6]

    def test_a_continued_reply_is_kept_as_it_was(self, turns: Turns, worker: Worker, chat: Chat) -> None:
        reply = chat.ask("Hi")
        reply = chat.conversation.update(reply.id, content="Hello", finish="length", ids=(1, 2))
        opening = Turn("bot", "Hello", (1, 2))
        turns.begin(chat, reply, opening=opening, is_continued=True)
        assert turns.running is not None and turns.running.before is reply
        assert worker.replies[0][1].opening is opening
        assert [one.turn.role for one in worker.replies[0][1].turns] == ["user"]

    def test_messages_of_another_reply_are_late(self, turns: Turns, worker: Worker, chat: Chat) -> None:
        assert not turns.is_current(0)
        turns.begin(chat, chat.ask("Hi"))
        first = worker.replies[0][0]
        assert turns.is_current(first)
        turns.end()
        assert not turns.is_current(first)
        turns.begin(chat, chat.ask("And?"))
        assert not turns.is_current(first) and turns.is_current(worker.replies[1][0])

    def test_a_reply_is_stopped_and_ends(self, turns: Turns, worker: Worker, chat: Chat) -> None:
        turns.loaded(MODEL)
        turns.begin(chat, chat.ask("Hi"))
        running = turns.running
        turns.stop()
        assert (turns.state, worker.stops) == (ChatState.STOPPING, 1)
        assert turns.end() is running
        assert (turns.state, turns.running) == (ChatState.IDLE, None)

    def test_figures_begin_anew(self, turns: Turns, chat: Chat) -> None:
        turns.figures = Figures(generated_tokens=9)
        turns.begin(chat, chat.ask("Hi"))
        assert turns.figures == Figures()

    def test_what_is_to_follow_follows_once(self, turns: Turns) -> None:
        done: list[int] = []
        turns.afterwards = lambda: done.append(1)
        step = turns.take_afterwards()
        assert step is not None
        step()
        assert (done, turns.take_afterwards()) == ([1], None)


class TestWatching:
    def test_settings_reach_the_reply_under_way_only(self, turns: Turns, worker: Worker, chat: Chat) -> None:
        turns.begin(chat, chat.ask("Hi"))
        turns.follow_sampler(GreedyDecoding)
        turns.end()
        turns.begin(chat, chat.ask("And?"))
        assert [live.sampler for _, _, live in worker.replies] == [GreedyDecoding, None]

    def test_candidates_are_watched_now_and_in_replies_to_come(
        self, turns: Turns, worker: Worker, chat: Chat
    ) -> None:
        turns.begin(chat, chat.ask("Hi"))
        assert worker.replies[0][2].candidates == 0
        turns.watch(8)
        assert worker.replies[0][2].candidates == 8
        turns.end()
        turns.begin(chat, chat.ask("And?"))
        live = worker.replies[1][2]
        assert (live.candidates, live.candidates_interval) == (8, CANDIDATES_SECONDS)
        turns.watch(0)
        assert live.candidates == 0

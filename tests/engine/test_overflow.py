"""A chat that outgrows its context, turn after turn, on the real model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from easy_llama.events import CancelFlag, LiveSettings
from easy_llama.prompt import Turn
from easy_llama.samplers import GreedyDecoding
from easy_llama_tui.chats.context_window import EVERYTHING, PathTurn, Policy, Window
from easy_llama_tui.replies.engine import OWN_FORMAT, LoadOptions
from easy_llama_tui.replies.figures import Figures
from easy_llama_tui.replies.format_catalog import FormatCatalog
from easy_llama_tui.replies.generation import ReplyRequest, run_reply
from easy_llama_tui.replies.inspection import InspectionRequest, inspect
from easy_llama_tui.replies.local_engine import LocalEngine
from easy_llama_tui.replies.messages import ReplyEnded, WindowFitted

SHORT = GreedyDecoding.replace(max_len_tokens=4)
ASKED = "Say number {} of the boats that lie in the harbour, in a few words."


@pytest.fixture(scope="module")
def engine(model_path: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(FormatCatalog({}))
    engine.load(LoadOptions(model_path, context_length=256), lambda share: True)
    yield engine
    engine.close()


class Chat:
    """A chat, as the app has replies written in it."""

    def __init__(self, engine: LocalEngine, format_name: str, policy: Policy) -> None:
        self.engine, self.format, self.policy = engine, format_name, policy
        self.turns = [PathTurn(Turn("system", "You know boats."), ("s",))]
        self.window: Window = EVERYTHING

    def ask(self, more: str = "") -> Figures:
        """Ask once more; return how the turn went."""
        number = len(self.turns)
        self.turns.append(PathTurn(Turn("user", ASKED.format(number) + more), (f"q{number}",)))
        posted: list[object] = []
        request = ReplyRequest(tuple(self.turns), self.format, SHORT, self.policy, self.window.outside)
        run_reply(self.engine, 1, request, CancelFlag(), LiveSettings(), posted.append)
        (fitted,) = (message for message in posted if isinstance(message, WindowFitted))
        ended = posted[-1]
        assert isinstance(ended, ReplyEnded) and ended.finish != "error"
        self.window = fitted.window
        reply = Turn("bot", "".join(self.engine.token_texts(ended.ids)), ended.ids)
        self.turns.append(PathTurn(reply, (f"a{number}",)))
        return ended.figures

    def ask_until_it_overflows(self) -> Figures:
        while not self.window.outside:
            figures = self.ask()
        return figures

    def of_one_turn(self) -> int:
        """Return about how many tokens are new in a turn."""
        return len(self.engine.render([self.turns[-2].turn], "chatml").ids)


@pytest.mark.parametrize(
    ("format_name", "policy"),
    [(OWN_FORMAT, Policy.DROP_OLDEST), ("chatml", Policy.KEEP_FIRST)],
)
def test_what_is_left_is_slid_and_the_next_turns_read_what_is_new(
    engine: LocalEngine, format_name: str, policy: Policy
) -> None:
    chat = Chat(engine, format_name, policy)
    figures = chat.ask_until_it_overflows()
    assert figures.slid_tokens > 60 and figures.read_tokens <= chat.of_one_turn() + 4
    kept = [one.turn for one in chat.turns if chat.window.holds(one)]
    assert kept[0].role == "system" and (kept[1].content == ASKED.format(1)) == (policy is Policy.KEEP_FIRST)
    assert [turn.role for turn in kept[1:]] == ["user", "bot"] * (len(kept) // 2)
    outside = chat.window.outside
    following = chat.ask()
    assert chat.window.outside == outside, "an eighth of the context was made free"
    assert following.read_tokens <= chat.of_one_turn() + 4
    assert following.slid_tokens == figures.slid_tokens


def test_the_candidates_that_are_looked_at_first_slide_too(engine: LocalEngine) -> None:
    chat = Chat(engine, OWN_FORMAT, Policy.DROP_OLDEST)
    chat.ask_until_it_overflows()
    before = chat.window.outside
    while chat.window.outside == before:
        look = InspectionRequest(
            tuple(chat.turns), ASKED.format(len(chat.turns)), OWN_FORMAT, SHORT, chat.policy, before, 3
        )
        assert inspect(engine, look, CancelFlag()).distribution is not None
        figures = chat.ask()
        # The reply's opening is all that the look did not read.
        assert figures.read_tokens <= 8 and figures.slid_tokens


def test_a_message_that_was_edited_before_the_overflow_is_not_slid_over(engine: LocalEngine) -> None:
    chat = Chat(engine, OWN_FORMAT, Policy.DROP_OLDEST)
    needed = 0
    while needed < 256 - 2 * 30:
        needed = chat.ask().prompt_tokens
    chat.turns[1] = PathTurn(Turn("user", ASKED.format("one")), ("q1",))
    figures = chat.ask(" And again." * 12)
    assert chat.window.outside and figures.slid_tokens == 0

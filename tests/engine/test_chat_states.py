"""A chat that is left and opened again, on the real model."""

from pathlib import Path

import pytest

from easy_llama.events import CancelFlag, LiveSettings
from easy_llama.prompt import Turn
from easy_llama.samplers import GreedyDecoding
from easy_llama_tui.chats.context_window import PathTurn
from easy_llama_tui.replies.chat_states import LEAST_TOKENS, ChatStates
from easy_llama_tui.replies.engine import OWN_FORMAT, LoadOptions
from easy_llama_tui.replies.format_catalog import FormatCatalog
from easy_llama_tui.replies.generation import ReplyRequest, run_reply
from easy_llama_tui.replies.local_engine import LocalEngine
from easy_llama_tui.replies.messages import ReplyEnded

QUESTION = PathTurn(Turn("user", " ".join(f"Boat {n} lies there." for n in range(22))), ("m1",))
NEXT = PathTurn(Turn("user", "And the last one?"), ("m3",))
SAMPLER = GreedyDecoding.replace(max_len_tokens=8)


def loaded(path: Path, folder: Path, *, budget: int = 10**9, context_length: int = 512) -> LocalEngine:
    engine = LocalEngine(FormatCatalog({}), ChatStates(folder, budget))
    engine.load(LoadOptions(path, context_length=context_length), lambda share: True)
    return engine


def reply(engine: LocalEngine, *turns: PathTurn) -> ReplyEnded:
    posted: list[object] = []
    run_reply(
        engine, 1, ReplyRequest(turns, OWN_FORMAT, SAMPLER), CancelFlag(), LiveSettings(), posted.append
    )
    assert isinstance(posted[-1], ReplyEnded)
    return posted[-1]


def answered(engine: LocalEngine, first: ReplyEnded) -> tuple[PathTurn, ...]:
    text = "".join(engine.token_texts(first.ids))
    return (QUESTION, PathTurn(Turn("bot", text, first.ids), ("m2",)), NEXT)


def test_a_chat_goes_on_where_it_was_left_with_the_same_tokens(model_path: Path, tmp_path: Path) -> None:
    engine = loaded(model_path, tmp_path)
    engine.recall_state("one")
    first = reply(engine, QUESTION)
    assert first.figures.prompt_tokens > LEAST_TOKENS
    engine.keep_state("one", 10)
    (kept,) = tmp_path.iterdir()
    turns = answered(engine, first)
    expected = reply(engine, *turns)
    engine.close()

    engine = loaded(model_path, tmp_path)
    engine.recall_state("another")
    engine.keep_state("another", 10)  # nothing was read of it
    assert list(tmp_path.iterdir()) == [kept]
    engine.recall_state("one")
    again = reply(engine, *turns)
    assert again.ids == expected.ids
    assert again.figures.reused_tokens == expected.figures.reused_tokens > LEAST_TOKENS
    # Another chat between them leaves it in memory, without a look at the disk.
    kept.unlink()
    engine.recall_state("another")
    reply(engine, PathTurn(Turn("user", "Hello" + " again" * 150), ("m1",)))
    back = reply(engine, *turns)
    assert back.ids == expected.ids
    assert back.figures.read_tokens <= 1
    engine.forget_state("one")
    engine.close()


@pytest.mark.parametrize("what", ["damaged", "other settings", "no budget"])
def test_what_cannot_be_trusted_is_read_anew(model_path: Path, tmp_path: Path, what: str) -> None:
    engine = loaded(model_path, tmp_path)
    first = reply(engine, QUESTION)
    engine.keep_state("one", 10)
    (kept,) = tmp_path.iterdir()
    engine.close()
    if what == "damaged":
        data = bytearray(kept.read_bytes())
        data[len(data) // 2] ^= 1
        kept.write_bytes(data)
    engine = loaded(
        model_path,
        tmp_path,
        budget=0 if what == "no budget" else 10**9,
        context_length=1024 if what == "other settings" else 512,
    )
    engine.recall_state("one")
    assert not engine._model.engine.cached_tokens
    assert kept.exists() == (what != "damaged")
    engine.keep_state("one", 10)
    assert kept.exists() == (what == "other settings")
    engine.close()
    assert first.ids

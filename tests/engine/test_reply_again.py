"""What a saved reply says of how it was made is enough to make it again, with a real model."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from easy_llama.events import LiveSettings
from easy_llama.prompt import Generated, Turn, Written
from easy_llama.samplers import DefaultSampling
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.conversation import Message
from easy_llama_tui.chats.session import ModelReference, from_toml, to_toml
from easy_llama_tui.replies.engine import OWN_FORMAT, LoadedModel, LoadOptions
from easy_llama_tui.replies.format_catalog import FormatCatalog
from easy_llama_tui.replies.generation import ReplyRequest, run_reply
from easy_llama_tui.replies.local_engine import LocalEngine
from easy_llama_tui.replies.messages import ReplyEnded, ReplyText
from easy_llama_tui.replies.turns import Turns

SETTINGS = DefaultSampling.replace(temp=1.1 + 0.1, min_p=1 / 30, max_len_tokens=24)


class InlineWorker:
    """Has replies written at once, in this thread."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine
        self.posted: list[object] = []

    def reply(self, request_id: int, request: ReplyRequest, live: LiveSettings) -> None:
        from easy_llama.events import CancelFlag

        run_reply(self._engine, request_id, request, CancelFlag(), live, self.posted.append)


@pytest.fixture
def load(model_path: Path) -> Iterator[Callable[[], tuple[LocalEngine, LoadedModel]]]:
    engines: list[LocalEngine] = []

    def load_anew() -> tuple[LocalEngine, LoadedModel]:
        engine = LocalEngine(FormatCatalog({}))
        engines.append(engine)
        return engine, engine.load(LoadOptions(model_path, context_length=512), lambda share: True)

    yield load_anew
    for engine in engines:
        engine.close()


def begin_chat(path: Path) -> Chat:
    chat = Chat(
        model=ModelReference(str(path), "SmolLM2"),
        format=OWN_FORMAT,
        preset_name="DefaultSampling",
        sampler=SETTINGS,
    )
    chat.conversation.add("user", "Write a strange line about a cat.")
    return chat


def write(chat: Chat, engine: LocalEngine, model: LoadedModel, again: Message | None = None) -> Message:
    """Have a reply to the chat's question written, as the app does."""
    worker = InlineWorker(engine)
    turns = Turns(lambda: worker)  # type: ignore[arg-type, return-value]
    turns.loaded(model)
    reply = chat.conversation.add("bot", "", parent="m1")
    turns.begin(chat, reply, again=again.made[0] if again is not None else None)
    (ended,) = [one for one in worker.posted if isinstance(one, ReplyEnded)]
    text = "".join(one.text for one in worker.posted if isinstance(one, ReplyText)) + ended.text
    turns.figures = ended.figures
    return chat.conversation.update(
        reply.id, content=text, finish=ended.finish, ids=ended.ids, made=turns.making_so_far(ended)
    )


def test_a_saved_reply_is_made_again_by_a_model_that_is_loaded_anew(load, model_path: Path) -> None:
    chat = begin_chat(model_path)
    first = write(chat, *load())
    other = write(chat, *load())
    assert other.content != first.content  # another seed was drawn
    opened = Chat.from_session(from_toml(to_toml(chat.snapshot()), "chat.toml"))
    assert opened.conversation.messages == chat.conversation.messages
    opened.sampler = DefaultSampling
    engine, model = load()
    for before in opened.conversation.messages[1:]:
        again = write(opened, engine, model, before)
        assert (again.content, again.ids) == (before.content, before.ids)
        assert again.made[0].recipe == before.made[0].recipe
        assert again.made[0].seed == before.made[0].seed
    assert first.made[0].recipe.threads == model.n_threads is not None


def test_ids_are_used_only_where_they_spell_the_text(load) -> None:
    engine, _ = load()
    ids = tuple(engine._model.tokenize("meow, it says", add_special=False))
    beyond = engine._model.n_vocab

    def kind(turn: Turn) -> type:
        pieces = engine.render([Turn("user", "?"), turn, Turn("user", "!")], OWN_FORMAT).pieces
        return next(type(piece) for piece in pieces if "meow" in piece.text)

    assert kind(Turn("bot", "meow, it says", ids)) is Generated
    assert kind(Turn("bot", "meow, it said", ids)) is Written
    assert kind(Turn("bot", "meow, it says", (*ids[:-1], beyond))) is Written
    assert kind(Turn("bot", "meow, it says", (*ids[:-1], -1))) is Written
    opening = engine.render([Turn("user", "?")], OWN_FORMAT, opening=Turn("bot", "purr", ids))
    assert not any(isinstance(piece, Generated) for piece in opening.pieces)

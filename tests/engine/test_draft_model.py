"""A second model that guesses what the first one will write: here the same one, nearly always right."""

import logging
import shutil
import struct
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llama_cpp
import pytest
from llama_cpp import llama_cpp as lib
from support.memory import run_fresh
from support.reference import reference

import easy_llama as ez
from easy_llama import draft_model, loaded_model, native_model
from easy_llama.abort import ABORTED
from easy_llama.draft_model import DraftModel
from easy_llama.errors import DraftModelError, ModelLoadError
from easy_llama.events import CancelFlag, Finished, GenerationRequest, Token
from easy_llama.model import Model
from easy_llama.samplers import GreedyDecoding, SamplerSettings, SimpleSampling
from easy_llama.speculation import Speculation

VERSE = "The sea is wide, and the sea is deep, and the ships go by.\n"
REPEATING = VERSE * 3
STORY = "Once upon a time, in a village by the sea, there lived"
SHARE_OF_WEIGHTS = draft_model._share_of_weights
SURE = f"{REPEATING}The sea is"
COUNTING = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,"


@pytest.fixture(scope="module", autouse=True)
def cheap_drafts() -> Iterator[None]:
    """A draft as large as the model guesses as if it were a tenth of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draft_model, "_share_of_weights", lambda draft, model: 0.1)
        yield


@pytest.fixture(scope="module")
def drafted(model_path: Path, cheap_drafts: None) -> Iterator[Model]:
    with Model(model_path, context_length=2048, prompt_lookup=False, draft_model=model_path) as model:
        yield model


@pytest.fixture
def draft(drafted: Model) -> DraftModel:
    """That of `drafted`, with nothing read."""
    (new_guesser,) = drafted.engine._new_guessers
    made: DraftModel = new_guesser.__self__  # type: ignore[attr-defined]
    made._cache.forget()
    drafted.engine.forget()
    return made


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[llama_cpp.Llama]:
    """Whatever is loaded meanwhile, in its order."""
    llamas: list[llama_cpp.Llama] = []

    def load(path: Path, on_progress: native_model.OnProgress | None, **options: Any) -> llama_cpp.Llama:
        llamas.append(native_model.load_llama(path, on_progress, **options))
        return llamas[-1]

    monkeypatch.setattr(loaded_model, "load_llama", load)
    monkeypatch.setattr(draft_model, "load_llama", load)
    return llamas


def ids_of(model: Model, text: str) -> tuple[int, ...]:
    return tuple(model.tokenize(text))


def written(model: Model, text: str, sampler: SamplerSettings) -> tuple[list[int], Finished]:
    *events, end = model.events(ids_of(model, text), sampler=sampler)
    assert isinstance(end, Finished)
    return [event.id for event in events if isinstance(event, Token)], end


def greedy(length: int) -> SamplerSettings:
    return GreedyDecoding.replace(max_len_tokens=length)


def n_cells(llama: llama_cpp.Llama) -> int:
    return int(lib.llama_memory_seq_pos_max(lib.llama_get_memory(llama.ctx), 0)) + 1


def by_hand(model: Model, draft: DraftModel, text: str, length: int) -> list[int]:
    """Greedy ids, guessed and computed in the same batches, in a context of its own."""
    prompt = ids_of(model, text)
    with reference(model) as other:
        return other.greedy_guessed(prompt, Speculation(draft.guesser(prompt, CancelFlag())), length)


# What is guessed


@pytest.mark.parametrize(("text", "least"), [(REPEATING, 12), (COUNTING, 9), (STORY, 1)])
def test_greedy_replies_are_those_that_the_model_gives(
    drafted: Model, draft: DraftModel, text: str, least: int
) -> None:
    ids, end = written(drafted, text, greedy(20))
    assert len(ids) == 20 and ids == by_hand(drafted, draft, text, 20)
    assert end.guessed_tokens >= least
    # Read one after the other, each was the likeliest, but where two are nearly as likely.
    with reference(drafted) as other:
        rows = [*other.decode(ids_of(drafted, text))[-1:], *other.decode_each(ids[:-1])]
    assert all(row.max() - row[token] < 0.5 for row, token in zip(rows, ids, strict=True))


def test_the_likeliest_tokens_are_guessed_where_they_are_sure(drafted: Model, draft: DraftModel) -> None:
    prompt = ids_of(drafted, SURE)
    with reference(drafted) as other:
        expected = other.greedy(other.decode(prompt)[-1], 6)
    guesser = draft.guesser(prompt, CancelFlag())
    assert guesser.guess(6) == tuple(expected)
    assert guesser.guess(0) == ()
    # A person's name could be any.
    assert draft.guesser(ids_of(drafted, f"{STORY} an old man named"), CancelFlag()).guess(6) == ()


def test_where_the_draft_would_end_nothing_is_guessed(drafted: Model, draft: DraftModel) -> None:
    chat = ez.formats.wrap("What is the capital of France? Say it in one word.", ez.formats.chatml)
    prompt = ids_of(drafted, chat)
    reply, end = written(drafted, chat, greedy(60))
    assert end.reason == "stop"
    guesser = draft.guesser((*prompt, *reply), CancelFlag())
    assert guesser.guess(5) == ()


def test_only_what_is_new_is_read(drafted: Model, draft: DraftModel, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    decode = lib.llama_decode

    def counted(context: object, batch: lib.llama_batch) -> int:
        sizes.append(batch.n_tokens)
        return int(decode(context, batch))

    monkeypatch.setattr(lib, "llama_decode", counted)
    prompt = ids_of(drafted, SURE)
    guesser = draft.guesser(prompt, CancelFlag())
    first = guesser.guess(3)
    assert sizes == [len(prompt), 1, 1] and len(first) == 3
    for token in first:
        guesser.append(token)
    guesser.guess(2)
    assert sizes[3:] == [1, 1]  # the last one that was guessed, which it had not read itself
    # Where another token came, what was read after it is taken out.
    other = draft.guesser((*prompt, first[0]), CancelFlag())
    other.append(0)
    sizes.clear()
    other.guess(1)
    assert sizes == [2] and draft._cache.ids == [*prompt, first[0], 0]
    assert n_cells(draft.llama) == len(draft._cache.ids)


def test_the_same_reply_is_guessed_in_the_same_way_whatever_came_between(
    drafted: Model, draft: DraftModel
) -> None:
    sampled = SimpleSampling.replace(seed=3, max_len_tokens=14)
    for text, settings in ((SURE, greedy(14)), (COUNTING, sampled)):
        first, end = written(drafted, text, settings)
        assert end.guessed_tokens > 3
        again = [(first, end.guessed_tokens)]
        for between in ("", STORY):
            if between:
                written(drafted, between, greedy(8))
            ids, end = written(drafted, text, settings)
            again.append((ids, end.guessed_tokens))
        assert again[0] == again[1] == again[2]


def test_the_text_is_looked_up_first(model_path: Path) -> None:
    with Model(model_path, context_length=512, prompt_lookup=True, draft_model=model_path) as both:
        draft: DraftModel = both.engine._new_guessers[1].__self__  # type: ignore[attr-defined]
        assert written(both, REPEATING, greedy(20))[1].guessed_tokens > 12
        assert draft._cache.ids == []
        assert written(both, COUNTING, greedy(12))[1].guessed_tokens > 2
        assert draft._cache.ids != []


def test_a_small_batch_bounds_what_is_computed_at_once(model_path: Path) -> None:
    for n_batch in (1, 4):
        wishes: dict[str, Any] = {"n_batch": n_batch, "prompt_lookup": False, "draft_model": model_path}
        with Model(model_path, context_length=256, **wishes) as small:
            ids, end = written(small, COUNTING, greedy(12))
            assert len(ids) == 12 and (end.guessed_tokens > 0) is (n_batch > 1)


# How it ends


@pytest.mark.parametrize("kept", [1, 5, 9, 14])
def test_whoever_stops_listening_leaves_no_guess_in_the_cache(
    drafted: Model, draft: DraftModel, kept: int
) -> None:
    prompt = ids_of(drafted, REPEATING)
    events = drafted.events(prompt, sampler=greedy(30))
    ids: list[int] = []
    while len(ids) < kept:
        if isinstance(event := next(events), Token):
            ids.append(event.id)
    events.close()  # type: ignore[attr-defined]
    assert drafted.engine.cached_tokens == (*prompt, *ids[:-1])
    assert n_cells(drafted.llama) == len(drafted.engine.cached_tokens)
    assert n_cells(draft.llama) == len(draft._cache.ids)


def test_esc_ends_also_while_the_draft_reads_a_prompt(
    drafted: Model, draft: DraftModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = ids_of(drafted, "All work and no play, said the ship to the sea. " * 25)[:250]
    cancel = CancelFlag()
    decode, codes = lib.llama_decode, []

    def watched(context: object, batch: lib.llama_batch) -> int:
        if context != draft.llama.ctx:
            return int(decode(context, batch))
        # All of the prompt is one batch, which takes many times as long.
        threading.Timer(0.02, cancel.cancel).start()
        codes.append(int(decode(context, batch)))
        return codes[-1]

    monkeypatch.setattr(lib, "llama_decode", watched)
    events = list(drafted.engine.generate(GenerationRequest(prompt, greedy(40)), cancel))
    monkeypatch.setattr(lib, "llama_decode", decode)
    last, n_tokens = events[-1], sum(isinstance(event, Token) for event in events)
    assert isinstance(last, Finished) and (last.reason, n_tokens) == ("interrupted", 1)
    assert codes == [ABORTED]
    assert len(draft._cache.ids) == n_cells(draft.llama) == 0
    # And the next reply is guessed as ever.
    assert written(drafted, REPEATING, greedy(20))[1].guessed_tokens > 10


def test_a_flag_that_is_set_lets_nothing_be_guessed(drafted: Model, draft: DraftModel) -> None:
    cancel = CancelFlag()
    cancel.cancel()
    assert draft.guesser(ids_of(drafted, REPEATING), cancel).guess(4) == ()
    assert draft._cache.ids == []


def test_a_text_that_its_context_does_not_hold_is_not_guessed(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft_model, "draft_context_length", lambda metadata, length: 256)
    with Model(model_path, context_length=512, prompt_lookup=False, draft_model=model_path) as model:
        ids, end = written(model, VERSE * 15, greedy(8))
        assert len(ids) == 8 and end.guessed_tokens == 0
        prompt = ids_of(model, VERSE * 15)[:240]
        *events, end = model.events(prompt, sampler=greedy(24))
        assert isinstance(end, Finished)
        assert len([event for event in events if isinstance(event, Token)]) == 24
        assert 10 <= end.guessed_tokens <= 256 - 240 + 1


def test_where_it_fails_the_reply_goes_on(
    drafted: Model, draft: DraftModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    decode = lib.llama_decode
    monkeypatch.setattr(
        lib, "llama_decode", lambda ctx, batch: -3 if ctx == draft.llama.ctx else decode(ctx, batch)
    )
    with caplog.at_level(logging.WARNING, "easy_llama.draft_model"):
        ids, end = written(drafted, REPEATING, greedy(20))
    assert len(ids) == 20 and end.guessed_tokens == 0
    (record,) = caplog.records
    assert "llama_decode returned -3" in record.getMessage()


# Loading


def test_it_is_told_and_can_be_changed(model_path: Path, loaded: list[llama_cpp.Llama]) -> None:
    model = Model(model_path, context_length=256, prompt_lookup=False, draft_model=str(model_path))
    assert model.draft_model == str(model_path) and len(loaded) == 2
    assert f"draft_model={str(model_path)!r}" in repr(model)
    assert loaded[1].n_ctx() == 256 and loaded[1].n_threads == loaded[0].n_threads
    model.reload(draft_model=None)
    assert model.draft_model is None and [llama.ctx is None for llama in loaded] == [True, True, False]
    assert written(model, REPEATING, greedy(12))[1].guessed_tokens == 0
    model.reload(draft_model=model_path)
    assert model.draft_model == str(model_path)
    assert written(model, REPEATING, greedy(12))[1].guessed_tokens > 5
    model.unload()
    assert all(llama.ctx is None for llama in loaded) and len(loaded) == 5


def test_it_is_freed_with_a_model_that_nobody_has_any_more(
    model_path: Path, loaded: list[llama_cpp.Llama]
) -> None:
    model = Model(model_path, context_length=256, draft_model=model_path)
    written(model, COUNTING, greedy(5))
    del model
    assert [llama.ctx for llama in loaded] == [None, None]


def test_a_stream_that_is_open_ends_with_both(model_path: Path, loaded: list[llama_cpp.Llama]) -> None:
    model = Model(model_path, context_length=256, prompt_lookup=False, draft_model=model_path)
    events = model.events(COUNTING, sampler=greedy(20))
    while not isinstance(next(events), Token):
        pass
    model.unload()
    assert [llama.ctx for llama in loaded] == [None, None]
    with pytest.raises(ez.ModelUnloadedException):
        next(events)


def test_how_far_loading_is_counts_both(model_path: Path) -> None:
    shares: list[float] = []
    Model(
        model_path, context_length=256, draft_model=model_path, on_progress=lambda s: not shares.append(s)
    ).unload()
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1
    assert any(0.1 < share < 0.5 for share in shares) and any(0.5 < share < 0.9 for share in shares)


def test_loading_may_be_ended_in_the_draft_too(model_path: Path, loaded: list[llama_cpp.Llama]) -> None:
    with pytest.raises(ModelLoadError, match="stopped by on_progress") as ended:
        Model(model_path, context_length=256, draft_model=model_path, on_progress=lambda share: share < 0.7)
    assert not isinstance(ended.value, DraftModelError)
    assert [llama.ctx for llama in loaded] == [None]


def test_a_file_that_is_no_model_is_told_of_before_the_model_is_loaded(
    model_path: Path, tmp_path: Path, loaded: list[llama_cpp.Llama]
) -> None:
    file = tmp_path / "notes.gguf"
    file.write_text("Buy fruit.")
    for path, reason in ((file, "not a GGUF file"), (tmp_path / "gone.gguf", "does not exist")):
        with pytest.raises(DraftModelError, match=rf"^{path.name} cannot be the draft model: .*{reason}"):
            Model(model_path, context_length=256, draft_model=path)
    assert loaded == []


@pytest.fixture
def other_vocabulary(model_path: Path, tmp_path: Path) -> Path:
    """The model with one token that is spelled otherwise."""
    path = tmp_path / "other.gguf"
    shutil.copyfile(model_path, path)
    token = "Ġships".encode()
    with path.open("r+b") as file:
        start = file.read(4 << 20)
        at = start.index(struct.pack("<Q", len(token)) + token)
        file.seek(at + 8)
        file.write("Ġshipz".encode())
    return path


def test_another_vocabulary_is_refused_and_both_are_freed(
    model_path: Path, other_vocabulary: Path, loaded: list[llama_cpp.Llama]
) -> None:
    model = Model(model_path, context_length=256)
    with pytest.raises(DraftModelError, match=r"^other\.gguf cannot be the draft .*same family"):
        model.reload(draft_model=other_vocabulary)
    assert [llama.ctx for llama in loaded] == [None] * 3 and not model.is_loaded
    model.load()
    assert model.draft_model is None
    model.unload()


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        (["a", "b", "c"], ["a", "b", "c"], True),
        (["a", "b", "c"], ["a", "x", "c"], False),
        (["a", "b", "c"], ["a", "b", "c", "padding"], True),
        (["a", *["padding"] * 128], ["a"], True),
        (["a", *["padding"] * 129], ["a"], False),
    ],
)
def test_the_same_ids_have_to_be_the_same_tokens(
    monkeypatch: pytest.MonkeyPatch, one: Sequence[str], other: Sequence[str], fits: bool
) -> None:
    monkeypatch.setattr(lib, "llama_vocab_get_text", lambda vocab, token: vocab[token])
    vocabularies = [SimpleNamespace(vocab=tokens, n_vocab=len(tokens)) for tokens in (one, other)]
    assert draft_model._is_shared(*vocabularies) is fits  # type: ignore[arg-type]


def test_what_only_one_of_both_has_is_not_guessed_and_not_read(drafted: Model, draft: DraftModel) -> None:
    prompt = ids_of(drafted, SURE)
    expected = draft.guesser(prompt, CancelFlag()).guess(4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draft, "_n_shared", max(expected))
        assert max(expected) not in draft.guesser(prompt, CancelFlag()).guess(4)
    # A token that the draft does not know.
    guesser = draft.guesser(prompt, CancelFlag())
    guesser.append(draft.llama.n_vocab())
    assert guesser.guess(4) == () and guesser.cost == 0


@pytest.mark.parametrize(("n_cutting", "reason"), [(0, "load it without one"), (1, "of another kind")])
def test_caches_that_cannot_be_cut_are_refused(
    model_path: Path,
    loaded: list[llama_cpp.Llama],
    monkeypatch: pytest.MonkeyPatch,
    n_cutting: int,
    reason: str,
) -> None:
    answers = iter([True] * n_cutting + [False])
    monkeypatch.setattr(draft_model, "cuts_anywhere", lambda llama: next(answers))
    with pytest.raises(DraftModelError, match=rf"cache cannot be cut.*{reason}"):
        Model(model_path, context_length=256, draft_model=model_path)
    assert [llama.ctx for llama in loaded] == [None] * (1 + n_cutting)


def test_a_draft_as_large_as_the_model_is_refused(
    model_path: Path, loaded: list[llama_cpp.Llama], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft_model, "_share_of_weights", SHARE_OF_WEIGHTS)
    with pytest.raises(DraftModelError, match=r"would take 100% .* a quarter as large"):
        Model(model_path, context_length=256, draft_model=model_path)
    assert [llama.ctx for llama in loaded] == [None, None]


def test_a_token_costs_what_the_weights_weigh(drafted: Model, draft: DraftModel) -> None:
    with pytest.MonkeyPatch.context() as patch:
        sizes = iter([30, 120])
        patch.setattr(lib, "llama_model_size", lambda model: next(sizes))
        assert SHARE_OF_WEIGHTS(draft.llama, drafted.llama) == 0.25


def test_a_program_may_end_while_a_daemon_thread_guesses(model_path: Path) -> None:
    program = """\
import sys, threading
import easy_llama as ez
from easy_llama import draft_model

draft_model._share_of_weights = lambda draft, model: 0.1
model = ez.Model(sys.argv[1], 2048, prompt_lookup=False, draft_model=sys.argv[1])
prompt = model.tokenize("All work and no play, said the ship to the sea. " * 40)
model.engine.read(prompt)
writing = threading.Event()

def generate():
    for event in model.events(prompt, sampler=ez.samplers.GreedyDecoding):
        if type(event).__name__ == "Token":
            writing.set()

threading.Thread(target=generate, daemon=True).start()
assert writing.wait(60)
print("end")
"""
    done = run_fresh(program, model_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")

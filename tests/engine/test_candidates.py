"""The likeliest next tokens, and that looking at them changes nothing."""

import io

import numpy as np
import pytest
from llama_cpp import llama_cpp as lib

from easy_llama.errors import ExceededContextLengthException, GenerationError
from easy_llama.events import Finished, Token
from easy_llama.model import Model
from easy_llama.samplers import GreedyDecoding

PROMPT = "The dog says woof, but the cat says"
STORY = "Once upon a time, in a village by the sea, there lived"
OTHER = "Two and two are"
GREEDY = GreedyDecoding.replace(max_len_tokens=6)


@pytest.fixture(autouse=True)
def empty_cache(model: Model) -> None:
    model.engine.forget()


def told(model: Model) -> tuple[tuple[int, ...], Finished]:
    """Tell a story, and return the prompt of its next turn with how the first one ended."""
    *events, last = model.events(STORY, sampler=GREEDY)
    ids = tuple(event.id for event in events if isinstance(event, Token))
    assert isinstance(last, Finished)
    prompt = model.tokenizer.encode(STORY, add_special=True, parse_special=True)
    return (*prompt, *ids[:-1]), last


def generated(model: Model, prompt: tuple[int, ...]) -> tuple[list[int], Finished]:
    *events, last = model.events(prompt, sampler=GREEDY)
    assert isinstance(last, Finished)
    return [event.id for event in events if isinstance(event, Token)], last


def test_candidates_are_the_softmax_of_the_logits(model: Model) -> None:
    every = model.candidates(PROMPT, model.n_vocab)
    model.ingest(PROMPT)
    row = np.ctypeslib.as_array(lib.llama_get_logits_ith(model.llama.ctx, -1), (model.n_vocab,))
    shares = np.exp(row.astype(np.float64)) / np.exp(row.astype(np.float64)).sum()
    order = np.argsort(-shares, kind="stable")
    assert [text for text, _ in every] == [model.vocab[token] for token in order]
    np.testing.assert_allclose([share for _, share in every], shares[order], rtol=1e-4, atol=1e-9)
    assert isinstance(every[0][1], np.floating)
    assert every[0][0].startswith("Ġ")
    assert model.candidates(PROMPT, 5) == every[:5]


@pytest.mark.parametrize("k", [0, -1, 10**6])
def test_a_k_that_is_out_of_range_is_named(model: Model, k: int) -> None:
    with pytest.raises(ValueError, match=f"k must be .* not {k}"):
        model.candidates(PROMPT, k)


def test_candidates_are_printed_as_the_page_shows(model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    file = io.StringIO()
    model.print_candidates(PROMPT, 3, file=file)
    model.print_candidates(PROMPT, 3)
    lines = [
        f"token {text!r} has probability {float(share)}\n" for text, share in model.candidates(PROMPT, 3)
    ]
    assert file.getvalue() == capsys.readouterr().out == "".join(lines)


def test_a_prompt_that_finds_the_cache_empty_stays_in_it(model: Model) -> None:
    model.candidates(PROMPT, 1)
    prompt = tuple(model.tokenizer.encode(PROMPT, add_special=True, parse_special=True))
    assert model.engine.cached_tokens == prompt
    assert generated(model, prompt)[1].reused_tokens == len(prompt)


@pytest.mark.parametrize("cuts_anywhere", [True, False])
@pytest.mark.parametrize("other", [OTHER, STORY, "Once upon a time, in a", STORY + " a", "goes on"])
def test_the_next_turn_is_as_if_nobody_had_looked(
    model: Model, monkeypatch: pytest.MonkeyPatch, other: str, cuts_anywhere: bool
) -> None:
    following, first = told(model)
    following += tuple(model.tokenizer.encode(" and then", add_special=False, parse_special=False))
    expected, undisturbed = generated(model, following)
    reroll, _ = generated(model, following)

    model.engine.forget()
    assert told(model)[1].ids == first.ids
    # As a recurrent model is, whose cache cannot be cut: then it is restored every time.
    monkeypatch.setattr(model.engine._cache, "cuts_anywhere", cuts_anywhere)
    cached = model.engine.cached_tokens
    prompt = (*following, 28, 29) if other == "goes on" else tuple(model._encode(other))
    for _ in range(2):
        model.engine.logits(prompt)
    if other != "goes on" or not cuts_anywhere:
        assert model.engine.cached_tokens == cached
    found, last = generated(model, following)
    assert found == expected
    assert last.reused_tokens == (undisturbed.reused_tokens if other != "goes on" else last.reused_tokens)
    model.engine.logits(prompt)
    again, last = generated(model, following)
    assert again == reroll and last.reused_tokens == len(following)


def test_logits_are_the_same_whatever_the_cache_holds(model: Model) -> None:
    prompt = model.tokenizer.encode(OTHER, add_special=True, parse_special=True)
    alone = model.engine.logits(prompt)
    model.engine.forget()
    told(model)
    np.testing.assert_array_equal(model.engine.logits(prompt), alone)


def test_a_cache_that_cannot_be_restored_is_read_again(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    following, _ = told(model)
    with monkeypatch.context() as patch:
        patch.setattr(lib, "llama_state_seq_set_data", lambda *_: 0)
        model.candidates(OTHER, 1)
    assert model.engine.cached_tokens == ()
    found, last = generated(model, following)
    model.engine.forget()
    assert last.reused_tokens == 0 and found == generated(model, following)[0]


def test_a_prompt_that_does_not_fit_is_refused(model: Model) -> None:
    with pytest.raises(ExceededContextLengthException):
        model.engine.logits([1] * (model.context_length + 1))
    with pytest.raises(ValueError, match="empty"):
        model.candidates("", 1)


def test_nobody_looks_in_the_middle_of_a_generation(model: Model) -> None:
    events = model.events(STORY, sampler=GREEDY)
    next(events)
    with pytest.raises(GenerationError, match="under way"):
        model.candidates(OTHER, 1)
    events.close()  # type: ignore[attr-defined]

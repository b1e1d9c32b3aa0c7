"""Tokens that are guessed and computed several at once, on the real model."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from llama_cpp import llama_cpp as lib
from support.reference import reference

from easy_llama.engine import NewGuesser
from easy_llama.events import CancelFlag, Candidates, Finished, GenerationRequest, LiveSettings, Token
from easy_llama.model import Model
from easy_llama.prompt_lookup import PromptLookup
from easy_llama.samplers import GreedyDecoding, SamplerSettings, SimpleSampling
from easy_llama.speculation import Speculation

VERSE = "The sea is wide, and the sea is deep, and the ships go by.\n"
REPEATING = VERSE * 3
STORY = "Once upon a time, in a village by the sea, there lived"


class Wrong:
    """Guesses what never comes."""

    cost = 0.0

    def __init__(self, prompt: Sequence[int] = (), cancel: CancelFlag | None = None) -> None:
        pass

    def append(self, token: int) -> None:
        pass

    def guess(self, count: int) -> tuple[int, ...]:
        return (0,) * count


def look_up(prompt: Sequence[int], cancel: CancelFlag) -> PromptLookup:
    return PromptLookup(prompt)


@pytest.fixture(autouse=True)
def looking_up(model: Model) -> Iterator[None]:
    model.engine.forget()
    model.engine.guess_with(look_up)
    yield
    model.engine.guess_with(*[look_up] if model.prompt_lookup else [])


def ids_of(model: Model, text: str) -> tuple[int, ...]:
    return tuple(model.tokenize(text))


def written(
    model: Model, text: str, sampler: SamplerSettings, live: LiveSettings | None = None, **wishes: object
) -> tuple[list[Token], Finished]:
    *events, end = model.events(ids_of(model, text), sampler=sampler, live=live, **wishes)  # type: ignore[arg-type]
    assert isinstance(end, Finished)
    return [event for event in events if isinstance(event, Token)], end


def n_cells(model: Model) -> int:
    return int(lib.llama_memory_seq_pos_max(lib.llama_get_memory(model.llama.ctx), 0)) + 1


def by_hand(model: Model, text: str, length: int) -> list[int]:
    """Greedy ids, guessed and computed in the same batches, in a context of its own."""
    prompt = ids_of(model, text)
    with reference(model) as other:
        return other.greedy_guessed(prompt, Speculation(PromptLookup(prompt)), length)


@pytest.mark.parametrize("text", [REPEATING, STORY])
def test_greedy_replies_are_those_that_the_model_gives(model: Model, text: str) -> None:
    tokens, end = written(model, text, GreedyDecoding.replace(max_len_tokens=28))
    ids = [token.id for token in tokens]
    assert len(ids) == 28 and ids == by_hand(model, text, 28)
    assert (end.guessed_tokens > 15) is (text != STORY)
    # Read one after the other, each was the likeliest, but where two are nearly as likely.
    prompt = ids_of(model, text)
    with reference(model) as other:
        rows = [*other.decode(prompt)[-1:], *other.decode_each(ids[:-1])]
    assert all(row.max() - row[token] < 0.5 for row, token in zip(rows, ids, strict=True))


def test_draws_use_the_same_random_numbers(model: Model) -> None:
    same, guessed = 0, 0
    for seed in range(10):
        found = []
        for guessers in ([look_up], []):
            model.engine.guess_with(*guessers)
            settings = SimpleSampling.replace(seed=seed, max_len_tokens=8, temp=0.9)
            tokens, end = written(model, REPEATING, settings)
            found.append([token.id for token in tokens])
            guessed += end.guessed_tokens
        same += found[0] == found[1]
    # Batches are rounded otherwise, which changes a draw that is a close one.
    assert same >= 7 and guessed > 3


def test_guesses_that_are_wrong_change_nothing_but_the_rounding(model: Model) -> None:
    model.engine.guess_with(Wrong)
    tokens, end = written(model, STORY, GreedyDecoding.replace(max_len_tokens=24))
    assert end.guessed_tokens == 0
    ids = [token.id for token in tokens]
    assert model.engine.cached_tokens == (*ids_of(model, STORY), *ids[:-1])
    with reference(model) as other:
        rows = [*other.decode(ids_of(model, STORY))[-1:], *other.decode_each(ids[:-1])]
    assert all(row.max() - row[token] < 0.5 for row, token in zip(rows, ids, strict=True))


@pytest.mark.parametrize("guesser", [look_up, Wrong])
@pytest.mark.parametrize("kept", [1, 5, 9, 14])
def test_whoever_stops_listening_leaves_no_guess_in_the_cache(
    model: Model, guesser: NewGuesser, kept: int
) -> None:
    model.engine.guess_with(guesser)
    prompt = ids_of(model, REPEATING)
    events = model.events(prompt, sampler=GreedyDecoding.replace(max_len_tokens=30))
    ids: list[int] = []
    while len(ids) < kept:
        if isinstance(event := next(events), Token):
            ids.append(event.id)
    events.close()  # type: ignore[attr-defined]
    assert model.engine.cached_tokens == (*prompt, *ids[:-1])
    assert n_cells(model) == len(model.engine.cached_tokens)


def test_esc_ends_also_in_the_middle_of_what_is_computed_already(model: Model) -> None:
    cancel = CancelFlag()
    request = GenerationRequest(ids_of(model, REPEATING), GreedyDecoding.replace(max_len_tokens=60))
    ids: list[int] = []
    for event in model.engine.generate(request, cancel):
        if isinstance(event, Token):
            ids.append(event.id)
            if len(ids) == 12:
                cancel.cancel()
        last = event
    assert isinstance(last, Finished) and last.reason == "interrupted" and len(ids) == 12
    assert n_cells(model) == len(model.engine.cached_tokens) <= len(request.prompt) + 12


def test_a_stop_among_guesses_ends_the_reply(model: Model) -> None:
    tokens, _ = written(model, REPEATING, GreedyDecoding.replace(max_len_tokens=30))
    whole = "".join(token.text for token in tokens)
    stop = whole[40:48]
    tokens, end = written(model, REPEATING, GreedyDecoding.replace(max_len_tokens=30), stops=[stop])
    assert "".join(token.text for token in tokens) + end.text == whole[: whole.index(stop)]
    assert end.reason == "stop" and n_cells(model) == len(model.engine.cached_tokens)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 16])
def test_no_token_is_written_beyond_the_limit(model: Model, length: int) -> None:
    tokens, end = written(model, REPEATING, GreedyDecoding.replace(max_len_tokens=length))
    assert len(tokens) == end.generated_tokens == length and end.reason == "length"


def test_a_reply_may_fill_the_context_to_its_end(model_path: object) -> None:
    with Model(str(model_path), context_length=256) as small:
        tokens, end = written(small, REPEATING, GreedyDecoding.replace(max_len_tokens=None))
        prompt = len(ids_of(small, REPEATING))
        assert end.reason == "length" and prompt + len(tokens) == small.context_length + 1
        assert end.guessed_tokens > 100


def test_a_small_batch_bounds_what_is_computed_at_once(model_path: object) -> None:
    for n_batch in (1, 4):
        with Model(str(model_path), context_length=256, n_batch=n_batch) as small:
            tokens, end = written(small, REPEATING, GreedyDecoding.replace(max_len_tokens=30))
            assert len(tokens) == 30
            assert (end.guessed_tokens > 0) is (n_batch > 1)


def test_likelihoods_and_candidates_are_those_of_each_token(model: Model) -> None:
    live = LiveSettings(likelihoods=True, candidates=3)
    *events, _ = model.events(
        ids_of(model, REPEATING), sampler=GreedyDecoding.replace(max_len_tokens=24), live=live
    )
    tokens = [event for event in events if isinstance(event, Token)]
    with reference(model) as other:
        rows = [
            *other.decode(ids_of(model, REPEATING))[-1:],
            *other.decode_each([token.id for token in tokens[:-1]]),
        ]
    for token, row in zip(tokens, rows, strict=True):
        assert token.likelihood is not None
        true = row[token.id] - row.max() - np.log(np.exp(row - row.max()).sum())
        assert abs(token.likelihood.log_probability - true) < 0.5
    told = [event.distribution.candidates[0].id for event in events if isinstance(event, Candidates)]
    assert told == [token.id for token in tokens]


def test_a_grammar_holds_for_what_is_guessed(model: Model) -> None:
    text = 'Say it as JSON.\n{"name": "sea", "size": 3}\n{"name": "sea", "size": 3}\n'
    settings = GreedyDecoding.replace(
        max_len_tokens=30, grammar='root ::= "{\\"name\\": \\"sea\\", \\"size\\": " [0-9] "}"'
    )
    tokens, end = written(model, text, settings)
    assert "".join(token.text for token in tokens) + end.text == '{"name": "sea", "size": 3}'
    assert end.guessed_tokens > 3


def test_a_cache_that_cannot_be_cut_is_not_guessed_into(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model.engine._cache, "cuts_anywhere", False)
    model.engine.guess_with(look_up)
    assert written(model, REPEATING, GreedyDecoding.replace(max_len_tokens=20))[1].guessed_tokens == 0


def test_the_same_seed_gives_the_same_reply_again(model: Model) -> None:
    settings = SimpleSampling.replace(seed=3, max_len_tokens=20)
    replies = [[token.id for token in written(model, REPEATING, settings)[0]] for _ in range(2)]
    assert replies[0] == replies[1]


@pytest.mark.parametrize(
    ("metadata", "layers", "gains"),
    [
        ({"general.architecture": "llama"}, 0, True),
        ({"general.architecture": "llama"}, -1, False),
        ({"general.architecture": "qwen3moe", "qwen3moe.expert_count": 128}, 0, False),
        ({"general.architecture": "llama", "llama.expert_count": 0}, 0, True),
    ],
)
def test_it_is_on_where_it_was_measured_to_gain(
    metadata: dict[str, object], layers: int, gains: bool
) -> None:
    from easy_llama.loaded_model import gains_by_lookup

    assert gains_by_lookup(metadata, layers) is gains


def test_a_wish_is_followed(model_path: object) -> None:
    with Model(str(model_path), context_length=256, prompt_lookup=False) as small:
        assert small.prompt_lookup is False
        sampler = GreedyDecoding.replace(max_len_tokens=20)
        assert written(small, REPEATING, sampler)[1].guessed_tokens == 0
        small.reload(prompt_lookup=True)
        assert small.prompt_lookup is True
        assert written(small, REPEATING, sampler)[1].guessed_tokens > 0

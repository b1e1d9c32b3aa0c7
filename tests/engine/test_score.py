"""How likely the model finds a text: the figures, the cache, and what goes wrong."""

import math
from pathlib import Path

import numpy as np
import pytest
from llama_cpp import llama_cpp as lib
from support.reference import log_softmax, reference

from easy_llama.errors import ExceededContextLengthException, GenerationError, ModelUnloadedException
from easy_llama.events import CancelFlag, Candidates, LiveSettings, PromptProgress, Token
from easy_llama.model import Model
from easy_llama.samplers import DefaultSampling, GreedyDecoding, SamplerSettings
from easy_llama.scores import Score, ScoreRequest

STORY = "Once upon a time, in a village by the sea, there lived"
OTHER = "Two and two are"
GREEDY = GreedyDecoding.replace(max_len_tokens=20)
PART = 16
"""How many tokens the engine reads together here where it wants the logits of each; else it is 64."""

SAME = 1e-4
"""Figures that come from the same logits, in nats: one side computes in 32 bits, the other in 64."""

MEAN, LARGEST = 0.1, 1.0
"""Figures of tokens that were decoded in other company, in nats. With this model's weights of 4 bits,
llama.cpp rounds what it multiplies them with to 8; 0.04 and 0.4 were seen. A place too far is 5 off."""


@pytest.fixture(autouse=True)
def small_parts(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several parts are soon read where each is small."""
    monkeypatch.setattr("easy_llama.decoder._ROWS", PART)
    model.engine.forget()


@pytest.fixture(scope="module")
def text(model: Model) -> tuple[int, ...]:
    """A text of more than two parts, which is no multiple of one."""
    page = (Path(__file__).parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
    return tuple(model.tokenize(page)[: 2 * PART + 9])


def prompt_of(model: Model, text: str = STORY) -> tuple[int, ...]:
    return tuple(model.tokenize(text))


def generated(model: Model, prompt: tuple[int, ...], sampler: SamplerSettings = GREEDY) -> list[int]:
    return [event.id for event in model.events(prompt, sampler=sampler) if isinstance(event, Token)]


def logs(score: Score) -> np.ndarray:
    """Return the log-probabilities of all but a first token."""
    return np.array([token.likelihood.log_probability for token in score.tokens if token.likelihood])


def agree(ours: np.ndarray, theirs: np.ndarray) -> bool:
    difference = np.abs(ours - theirs)
    return bool(difference.mean() < MEAN and difference.max() < LARGEST)


@pytest.mark.parametrize("start", [0, 1, 7, PART, PART + 1, 2 * PART + 8])
def test_figures_are_those_of_the_logits(model: Model, text: tuple[int, ...], start: int) -> None:
    score = model.score(text, start=start)
    first = max(start, 1)
    with reference(model) as low:
        if first > 1:
            low.decode(text[: first - 1])
        parts = [text[place : place + PART] for place in range(first - 1, len(text), PART)]
        expected = log_softmax(np.concatenate([low.decode(part) for part in parts]))
    assert score.start == start
    assert [token.id for token in score.tokens] == list(text[start:])
    assert b"".join(token.data for token in score.tokens).decode() == model.detokenize(text[start:])
    assert (score.tokens[0].likelihood is None) == (start == 0)
    for token, row in zip(score.tokens[first - start :], expected, strict=False):
        assert token.likelihood is not None and token.distribution is None
        assert token.likelihood.log_probability == pytest.approx(row[token.id], abs=SAME)
        assert token.likelihood.entropy == pytest.approx(-(np.exp(row) * row).sum(), abs=10 * SAME)
        near = np.abs(row - row[token.id]) < SAME
        assert abs(token.likelihood.rank - 1 - int((row > row[token.id]).sum())) <= near.sum() - 1
    assert score.log_probability == pytest.approx(logs(score).sum())
    assert score.perplexity == pytest.approx(math.exp(-logs(score).mean()))


def test_a_text_is_read_as_a_prompt_is(model: Model) -> None:
    score = model.score("<|im_start|>user\nHi")
    assert [token.id for token in score.tokens] == model.tokenize("<|im_start|>user\nHi")
    assert [token.text for token in score.tokens] == ["<|im_start|>", "user", "\n", "Hi"]
    assert score.tokens[0].likelihood is None and score.tokens[1].likelihood is not None


def test_the_first_token_of_all_has_no_figure(model: Model) -> None:
    score = model.score("Once")
    assert [(token.text, token.likelihood) for token in score.tokens] == [("Once", None)]
    assert score.log_probability == 0.0 and math.isnan(score.perplexity)


def test_nonsense_is_less_likely_than_sense(model: Model) -> None:
    sense = model.score("The capital of France is Paris.")
    nonsense = model.score("The capital of France is umbrella.")
    assert sense.perplexity < nonsense.perplexity / 2


def test_what_is_in_the_cache_is_not_read_again(model: Model, text: tuple[int, ...]) -> None:
    cold = model.score(text, start=21)
    model.engine.forget()
    model.engine.read(text)
    seen: list[PromptProgress] = []
    warm = model.engine.score(ScoreRequest(text, start=21), on_read=seen.append)
    assert warm is not None and agree(logs(warm), logs(cold))
    assert [progress.done for progress in seen] == [20, 20 + PART, len(text)]
    assert {(progress.total, progress.reused) for progress in seen} == {(len(text), 20)}


def test_a_cache_that_cannot_be_cut_is_read_anew(
    model: Model, text: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = model.score(text, start=21)
    seen: list[PromptProgress] = []
    with monkeypatch.context() as patch:
        patch.setattr(lib, "llama_memory_seq_rm", lambda *_: False)
        warm = model.engine.score(ScoreRequest(text, start=21), on_read=seen.append)
    assert warm is not None and agree(logs(warm), logs(cold))
    assert [progress.done for progress in seen] == [0, 20, 20 + PART, len(text)]


def test_a_text_that_was_scored_is_not_read_again(model: Model, text: tuple[int, ...]) -> None:
    model.score(OTHER)
    model.score(text)
    assert model.engine.cached_tokens == text
    *_, last = model.events(text, sampler=GREEDY)
    assert last.reused_tokens == len(text)


@pytest.mark.parametrize("candidates", [0, 3])
@pytest.mark.parametrize("cancelled", [False, True])
def test_a_look_at_a_reply_changes_no_later_one(model: Model, candidates: int, cancelled: bool) -> None:
    prompt = prompt_of(model)
    drawn = DefaultSampling.replace(seed=5, max_len_tokens=8)
    reply = generated(model, prompt, drawn)
    following = (*prompt, *reply, *model.tokenize(" And so"))
    next_reply = generated(model, following, drawn)

    model.engine.forget()
    assert generated(model, prompt, drawn) == reply
    cached = model.engine.cached_tokens
    for end in (len(prompt) + len(reply), len(prompt) + 4):
        cancel = CancelFlag()
        if cancelled:
            cancel.cancel()
        request = ScoreRequest((*prompt, *reply)[:end], len(prompt), candidates, drawn)
        assert (model.engine.score(request, cancel) is None) == cancelled
        assert model.engine.cached_tokens == cached
    assert generated(model, following, drawn) == next_reply
    model.score(following, candidates=candidates)
    assert generated(model, prompt, drawn) == reply


def test_a_cancelled_look_leaves_a_cache_that_is_right(model: Model, text: tuple[int, ...]) -> None:
    flag = CancelFlag()

    def stop(progress: PromptProgress) -> None:
        if progress.done == PART:
            flag.cancel()

    assert model.engine.score(ScoreRequest(text), flag, stop) is None
    assert model.engine.cached_tokens == text[:PART]
    with reference(model) as low:
        low.decode(text[:PART])
        expected = low.greedy(low.decode(text[PART:])[-1], 8)
    assert generated(model, text, GREEDY.replace(max_len_tokens=8)) == expected


def test_figures_of_a_generation_are_those_of_the_logits(model: Model) -> None:
    prompt = prompt_of(model)
    live = LiveSettings(likelihoods=True, candidates=3)
    events = list(model.events(prompt, sampler=DefaultSampling.replace(seed=3, max_len_tokens=12), live=live))
    tokens = [event for event in events if isinstance(event, Token)]
    seen = [event.distribution for event in events if isinstance(event, Candidates)]
    with reference(model) as low:
        rows = [low.decode(prompt)[-1], *low.decode_each([token.id for token in tokens[:-1]])]
    for token, found, row in zip(tokens, seen, log_softmax(np.array(rows)), strict=True):
        assert token.likelihood is not None
        assert token.likelihood.log_probability == pytest.approx(row[token.id], abs=SAME)
        assert token.likelihood.entropy == pytest.approx(-(np.exp(row) * row).sum(), abs=10 * SAME)
        assert {round(candidate.before, 4) for candidate in found.candidates} >= {
            round(float(share), 4) for share in np.sort(np.exp(row))[-3:]
        }


def test_figures_seen_live_are_found_again(model: Model) -> None:
    prompt = prompt_of(model)
    live = LiveSettings(likelihoods=True)
    sampler = DefaultSampling.replace(seed=1, max_len_tokens=2 * PART)
    tokens = [event for event in model.events(prompt, sampler=sampler, live=live) if isinstance(event, Token)]
    then = np.array([token.likelihood.log_probability for token in tokens if token.likelihood])
    score = model.score((*prompt, *(token.id for token in tokens)), start=len(prompt))
    assert len(then) == len(tokens) > PART and agree(logs(score), then)


def test_without_asking_no_figure_is_computed(model: Model) -> None:
    live = LiveSettings()
    seen = []
    for event in model.events(STORY, sampler=GREEDY, live=live):
        if isinstance(event, Token):
            seen.append(event.likelihood is not None)
            live.likelihoods = len(seen) == 3
    assert seen == [False, False, False, True, *[False] * 16]


def test_candidates_are_told_of_as_before_a_draw(model: Model) -> None:
    prompt = prompt_of(model)
    sampler = SamplerSettings(top_k=5, top_p=1.0, min_p=0.0, repeat_penalty=1.5, presence_penalty=0.5)
    text = (*prompt, *generated(model, prompt)[:12])
    score = model.score(text, start=len(prompt), candidates=5, sampler=sampler)
    for place, token in enumerate(score.tokens, len(prompt)):
        found = token.distribution
        assert found is not None and token.likelihood is not None and found.survivors == 5
        own = next(candidate for candidate in found.candidates if candidate.id == token.id)
        assert math.log(own.before) == pytest.approx(token.likelihood.log_probability, abs=SAME)
        assert sum(candidate.after for candidate in found.candidates) == pytest.approx(1.0, abs=1e-3)
        expected = model.engine.next_tokens(text[:place], sampler, 5)
        assert expected is not None
        theirs = {candidate.id: candidate for candidate in expected.candidates}
        common = [candidate for candidate in found.candidates if candidate.id in theirs]
        assert len(common) >= 3
        for candidate in common:
            assert candidate.before == pytest.approx(theirs[candidate.id].before, abs=0.15)
            assert candidate.after == pytest.approx(theirs[candidate.id].after, abs=0.25)


def test_the_token_itself_is_always_told_of(model: Model) -> None:
    score = model.score("The capital of France is umbrella.", candidates=1)
    for token in score.tokens[1:]:
        assert token.distribution is not None
        own = [candidate for candidate in token.distribution.candidates if candidate.id == token.id]
        assert len(own) == 1 and own[0].after == pytest.approx(own[0].before, rel=1e-3)


def test_a_grammar_counts_from_the_reply_on(model: Model) -> None:
    digits = SamplerSettings(grammar='root ::= " "? [0-9]+')
    prompt = prompt_of(model, "Count: 1 2 3")
    text = (*prompt, *model.tokenize(" 4567"))
    whole = model.score(text, start=len(prompt), candidates=8, sampler=digits)
    later = ScoreRequest(text, len(prompt) + 2, 8, digits, reply_start=len(prompt))
    part = model.engine.score(later)
    assert part is not None
    for token in (*whole.tokens, *part.tokens):
        assert token.distribution is not None
        possible = [candidate.text for candidate in token.distribution.candidates if candidate.after]
        assert possible and all(set(text) <= set(" 0123456789") or text == "" for text in possible[:1])
        assert token.distribution.survivors < 100


def test_a_text_that_a_grammar_forbids_is_looked_at_without_it(model: Model) -> None:
    digits = DefaultSampling.replace(grammar="root ::= [0-9]+")
    prompt = prompt_of(model, "Count: 1 2 3")
    text = (*prompt, *model.tokenize("four and 5"))
    found = model.score(text, start=len(prompt), candidates=4, sampler=digits)
    assert found == model.score(text, start=len(prompt), candidates=4, sampler=DefaultSampling)


def test_a_text_that_does_not_fit_is_refused_with_both_lengths(model: Model) -> None:
    length = model.context_length + 2
    with pytest.raises(ExceededContextLengthException, match=f"{length:,} .* {model.context_length:,}"):
        model.score([28] * length)
    assert len(model.score([28] * 70, start=69).tokens) == 1


def test_a_reply_that_filled_the_context_is_scored_to_its_last_token(model_path: Path) -> None:
    with Model(model_path, context_length=256) as model:
        prompt = prompt_of(model) * 17
        ids = (*prompt, *generated(model, prompt, GREEDY.replace(max_len_tokens=None)))
        assert len(ids) == model.context_length + 1
        whole = model.score(ids, start=len(prompt), candidates=2)
        assert len(whole.tokens) == len(ids) - len(prompt)
        assert all(token.likelihood for token in whole.tokens)
        last = model.score(ids, start=len(ids) - 1, candidates=2)
        assert last.tokens[-1].id == ids[-1] and last.tokens[-1].distribution
        assert model.engine.cached_tokens == ids[:-1]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ScoreRequest(()), "empty"),
        (ScoreRequest((28, 10**6)), "outside"),
        (ScoreRequest((28, 29), start=2), "start must be from 0 to 1"),
        (ScoreRequest((28, 29), start=-1), "start must be from 0 to 1"),
        (ScoreRequest((28, 29), candidates=-1), "candidates must be at least 0"),
        (ScoreRequest((28, 29), start=1, reply_start=2), "reply_start must be from 0 to start, 1"),
        (ScoreRequest((28, 29), candidates=1, sampler=SamplerSettings(grammar="root")), "grammar"),
    ],
)
def test_a_request_that_makes_no_sense_is_named(model: Model, request_: ScoreRequest, message: str) -> None:
    model.engine.read(prompt_of(model))
    with pytest.raises(ValueError, match=message):
        model.engine.score(request_)
    assert model.engine.cached_tokens == prompt_of(model)


def test_an_empty_text_is_refused(model: Model) -> None:
    with pytest.raises(ValueError, match="empty"):
        model.score("")


def test_nobody_scores_in_the_middle_of_a_generation(model: Model) -> None:
    events = model.events(STORY, sampler=GREEDY)
    next(events)
    with pytest.raises(GenerationError, match="under way"):
        model.score(OTHER)
    events.close()  # type: ignore[attr-defined]


def test_a_model_that_is_unloaded_meanwhile_ends_it(model_path: Path) -> None:
    with Model(model_path, context_length=256) as model:
        model.ingest(STORY)
        with pytest.raises(ModelUnloadedException):
            model.engine.score(ScoreRequest(prompt_of(model)), on_read=lambda _: model.unload())
        with pytest.raises(ModelUnloadedException):
            model.score(STORY)


def test_the_end_of_the_program_ends_it(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.engine, "score", lambda request: None)
    with pytest.raises(ModelUnloadedException, match="ended"):
        model.score(STORY)

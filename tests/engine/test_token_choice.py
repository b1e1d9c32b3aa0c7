"""Candidates and live settings while the real model generates."""

import itertools

import numpy as np
import pytest

from easy_llama.errors import GenerationError
from easy_llama.events import Candidates, Finished, LiveSettings, Token
from easy_llama.model import Model
from easy_llama.samplers import (
    DefaultSampling,
    GreedyDecoding,
    LowTempSampling,
    SamplerSettings,
    SimpleSampling,
)

TEXT = "The dog says woof, but the cat says"
SHORT = DefaultSampling.replace(max_len_tokens=6, seed=3)


def run(model: Model, sampler: SamplerSettings, live: LiveSettings | None) -> list[object]:
    return list(model.events(TEXT, sampler=sampler, live=live))


def test_watching_does_not_change_what_is_drawn(model: Model) -> None:
    alone = [event for event in run(model, SHORT, None) if isinstance(event, Token)]
    watched = run(model, SHORT, LiveSettings(candidates=5))
    assert [event for event in watched if isinstance(event, Token)] == alone
    assert len([event for event in watched if isinstance(event, Candidates)]) == len(alone)


def test_candidates_are_the_softmax_of_the_logits(model: Model) -> None:
    events = run(model, SHORT, LiveSettings(candidates=7))
    reports = [event for event in events if isinstance(event, Candidates)]
    tokens = [event.id for event in events if isinstance(event, Token)]
    prompt = model.tokenize(TEXT)
    for place, report in enumerate(reports):
        assert report.position == place
        logits = model.engine.logits([*prompt, *tokens[:place]]).astype(np.float64)
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        before = {row.id: row.before for row in report.distribution.candidates}
        likeliest = np.argsort(-shares)[:7]
        assert before.keys() >= set(likeliest[:5].tolist())
        # Reading a prompt at once and token by token gives slightly other numbers in llama.cpp.
        assert all(abs(before[token] - shares[token]) < 0.05 for token in before)
        after = [row.after for row in report.distribution.candidates]
        assert after == sorted(after, reverse=True)
        assert tokens[place] in {row.id for row in report.distribution.candidates if row.after > 0} or (
            report.distribution.survivors > 7
        )
        assert sum(after) <= 1.0 + 1e-5
        if report.distribution.survivors <= 7:
            assert sum(after) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("sampler", "survivors"),
    [
        (GreedyDecoding, 1),
        (SimpleSampling, 49152),
        (SimpleSampling.replace(top_k=9), 9),
        (SimpleSampling.replace(grammar='root ::= " meow" | " purr"'), 4),
    ],
)
def test_survivors_are_what_the_samplers_leave(
    model: Model, sampler: SamplerSettings, survivors: int
) -> None:
    events = run(model, sampler.replace(max_len_tokens=1, seed=1), LiveSettings(candidates=3))
    report = next(event for event in events if isinstance(event, Candidates))
    if sampler.grammar:
        assert 1 < report.distribution.survivors < 20
    else:
        assert report.distribution.survivors == survivors


def test_settings_change_from_the_next_token_on(model: Model) -> None:
    live = LiveSettings()
    greedy = run(model, GreedyDecoding.replace(max_len_tokens=8), None)
    expected = [event.id for event in greedy if isinstance(event, Token)]
    # Forbid all that is not greedy's from the third token on, by becoming greedy.
    live.sampler = SimpleSampling.replace(logit_bias={expected[0]: 100.0, expected[1]: -100.0})
    events = model.events(TEXT, sampler=GreedyDecoding.replace(max_len_tokens=4), live=live)
    tokens = []
    for event in events:
        if isinstance(event, Token):
            tokens.append(event.id)
            if len(tokens) == 2:
                live.sampler = GreedyDecoding
    assert tokens[:2] == [expected[0]] * 2
    assert tokens[2] != expected[0] or tokens[3] != expected[0]


def test_candidates_begin_and_end_with_the_panel(model: Model) -> None:
    live = LiveSettings()
    seen = []
    for event in model.events(TEXT, sampler=SHORT.replace(max_len_tokens=9), live=live):
        seen.append(type(event).__name__)
        if seen.count("Token") == 3:
            live.candidates = 4
        if seen.count("Token") == 6:
            live.candidates = 0
    names = [name for name in seen if name in ("Token", "Candidates")]
    runs = [(name, len(list(group))) for name, group in itertools.groupby(names)]
    assert runs[0] == ("Token", 3) and runs[-1][0] == "Token" and runs[-1][1] >= 3
    assert names.count("Candidates") == 3


def test_a_grammar_holds_while_other_settings_change(model: Model) -> None:
    live = LiveSettings(candidates=2)
    sampler = SimpleSampling.replace(grammar='root ::= "abcabcabc"', seed=5)
    text = ""
    for event in model.events(TEXT, sampler=sampler, live=live):
        if isinstance(event, Token | Finished):
            text += event.text
            live.sampler = LowTempSampling.replace(grammar='root ::= "x"', repeat_penalty=1.1)
    assert text == "abcabcabc"


def test_a_change_that_leaves_no_token_ends_with_an_error(model: Model) -> None:
    live = LiveSettings(sampler=GreedyDecoding.replace(logit_bias=dict.fromkeys(range(49152), -np.inf)))
    with pytest.raises((GenerationError, ValueError)):
        run(model, SHORT.replace(grammar='root ::= "a"'), live)

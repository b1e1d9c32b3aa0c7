"""How likely a token is, and what that makes of a text."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easy_llama.events import Likelihood
from easy_llama.likelihood import LikelihoodMeter
from easy_llama.scores import Score, ScoredToken

LOGITS = st.lists(st.floats(-40, 40, width=32), min_size=1, max_size=50)


@given(LOGITS, st.data())
@settings(max_examples=200)
def test_it_is_the_softmax_of_the_logits(values: list[float], data: st.DataObject) -> None:
    token = data.draw(st.integers(0, len(values) - 1))
    found = LikelihoodMeter(len(values)).measure(np.array(values, dtype=np.float32), token)
    exact = np.array(values, dtype=np.float64)
    logs = exact - exact.max() - math.log(np.exp(exact - exact.max()).sum())
    assert found.log_probability == pytest.approx(logs[token], abs=1e-5)
    assert found.entropy == pytest.approx(-(np.exp(logs) * logs).sum(), abs=1e-4)
    assert found.rank == 1 + sum(value > values[token] for value in values)


def test_what_cannot_come_takes_no_part() -> None:
    logits = np.array([0.0, -np.inf, 0.0, -np.inf], dtype=np.float32)
    found = LikelihoodMeter(4).measure(logits, 2)
    assert found.log_probability == pytest.approx(math.log(0.5))
    assert found.entropy == pytest.approx(math.log(2))
    assert found.rank == 1
    impossible = LikelihoodMeter(4).measure(logits, 1)
    assert impossible.log_probability == -math.inf
    assert impossible.rank == 3


def test_a_certain_token_has_no_entropy() -> None:
    found = LikelihoodMeter(2).measure(np.array([100.0, -100.0], dtype=np.float32), 0)
    assert (found.log_probability, found.rank, found.entropy) == (0.0, 1, 0.0)


def test_the_meter_is_used_again() -> None:
    meter = LikelihoodMeter(3)
    first = meter.measure(np.array([3.0, 2.0, 1.0], dtype=np.float32), 0)
    meter.measure(np.array([-3.0, 9.0, 0.0], dtype=np.float32), 2)
    assert meter.measure(np.array([3.0, 2.0, 1.0], dtype=np.float32), 0) == first


def scored(*log_probabilities: float | None) -> Score:
    return Score(
        0,
        tuple(ScoredToken(1, b"a", None if p is None else Likelihood(p, 1, 0.0)) for p in log_probabilities),
    )


def test_a_text_is_as_likely_as_all_its_tokens() -> None:
    score = scored(None, math.log(0.5), math.log(0.125))
    assert score.log_probability == pytest.approx(math.log(1 / 16))
    assert score.perplexity == pytest.approx(4.0)


def test_a_text_of_which_nothing_is_known_has_no_perplexity() -> None:
    assert scored(None).log_probability == 0.0
    assert math.isnan(scored(None).perplexity)


def test_half_a_character_is_shown_as_such() -> None:
    assert ScoredToken(1, b"\xf0\x9f", None).text == "\ufffd"
    assert ScoredToken(1, b" \xc3\xa4", None).text == " ä"

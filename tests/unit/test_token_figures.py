"""What is told of tokens: their text, how sure each was, and which were the least sure."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easy_llama_tui.replies.token_figures import (
    CONFIDENCE_FROM,
    TokenFigure,
    overall,
    spans,
    surprises,
)


def tokens(*data: bytes) -> list[TokenFigure]:
    return [TokenFigure(index, part) for index, part in enumerate(data)]


def likely(*probabilities: float | None) -> list[TokenFigure]:
    return [
        TokenFigure(index, b"x", None if one is None else math.log(one))
        for index, one in enumerate(probabilities)
    ]


@pytest.mark.parametrize(
    ("probability", "confidence"),
    [
        (1.0, "sure"),
        (0.9, "sure"),
        (0.8999, "likely"),
        (0.5, "likely"),
        (0.4999, "maybe"),
        (0.1, "maybe"),
        (0.0999, "unlikely"),
        (1e-30, "unlikely"),
        (None, None),
    ],
)
def test_a_token_has_a_class_by_its_probability(probability: float | None, confidence: str | None) -> None:
    figure = likely(probability)[0]
    assert figure.confidence == confidence
    assert figure.probability == (None if probability is None else pytest.approx(probability))


def test_the_classes_go_down_to_nothing_and_one_that_could_not_be_is_unlikely() -> None:
    shares = [share for _, share in CONFIDENCE_FROM]
    assert shares == sorted(shares, reverse=True) and shares[-1] == 0
    never = TokenFigure(1, b"x", float("-inf"))
    assert never.confidence == "unlikely" and never.probability == 0


def test_perplexity_is_the_inverse_of_the_geometric_mean_of_the_probabilities() -> None:
    figures = overall(likely(0.5, None, 0.125, 0.25))
    assert figures is not None
    assert figures.counted == 3
    assert figures.perplexity == pytest.approx(4)
    assert figures.mean_log_probability == pytest.approx(-2 * math.log(2))
    assert overall(likely(None, None)) is None and overall([]) is None
    impossible = overall([TokenFigure(1, b"x", float("-inf"))])
    assert impossible is not None and impossible.perplexity > 1e300


def test_the_least_sure_tokens_are_five_percent_and_three_at_least() -> None:
    figures = likely(*[0.9] * 100)
    for index, probability in ((70, 0.01), (20, 0.02), (99, 0.03), (0, 0.04), (50, 0.05)):
        figures[index] = TokenFigure(index, b"x", math.log(probability))
    assert surprises(figures) == (70, 20, 99, 0, 50)
    assert surprises(likely(0.5, None, 0.2, 0.9, 0.1)) == (4, 2, 0)
    assert surprises(likely(0.5, 0.2)) == (1, 0)
    assert surprises(likely(None)) == ()


def test_a_character_of_several_tokens_is_one_span() -> None:
    found = spans(tokens(b"hi \xf0\x9f", b"\x98", b"\x80 yes", b"!"))
    assert found == [("hi ", 0, 0), ("😀", 0, 2), (" yes", 2, 2), ("!", 3, 3)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ((b"\xf0\x9f", b"hello"), [("\\xf0\\x9f", 0, 0), ("hello", 1, 1)]),
        ((b"\xf0\x9f",), [("\\xf0\\x9f", 0, 0)]),
        ((b"\xff", b"a"), [("\\xff", 0, 0), ("a", 1, 1)]),
        ((b"", b"a"), [("", 0, 0), ("a", 1, 1)]),
        ((b"\xe6\xbc\xa2\xe5", b"\xad\x97\n"), [("漢", 0, 0), ("字", 0, 1), ("\n", 1, 1)]),
    ],
)
def test_bytes_that_make_no_character_are_shown_as_such(
    data: tuple[bytes, ...], expected: list[tuple[str, int, int]]
) -> None:
    assert spans(tokens(*data)) == expected


def test_a_control_token_is_never_joined_with_text() -> None:
    figures = tokens(b"\xf0\x9f", b"<|im_end|>", b"\x98\x80")
    figures[1] = TokenFigure(1, b"<|im_end|>", is_control=True)
    assert [one.text for one in spans(figures)] == ["\\xf0\\x9f", "<|im_end|>", "\\x98\\x80"]


def test_bytes_of_a_part_of_a_character_are_written_in_hexadecimal() -> None:
    assert [one.text for one in tokens("é".encode(), b"a\xc3", b"\xa9x")] == ["é", "a\\xc3", "\\xa9x"]


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=12), cuts=st.lists(st.integers(0, 48), max_size=8))
def test_however_a_text_is_cut_into_tokens_its_spans_are_the_text(text: str, cuts: list[int]) -> None:
    data = text.encode("utf-8", "replace")
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    figures = tokens(*(data[start:end] for start, end in pairwise(places)))
    found = spans(figures)
    assert "".join(one.text for one in found) == data.decode()
    assert all(0 <= one.first <= one.last < len(figures) for one in found)
    assert [one.first for one in found] == sorted(one.first for one in found)
    covered = {index for one in found for index in range(one.first, one.last + 1)}
    assert covered >= {index for index, figure in enumerate(figures) if figure.data}


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(st.binary(max_size=4), max_size=8))
def test_any_bytes_are_shown(parts: list[bytes]) -> None:
    found = spans(tokens(*parts))
    whole = b"".join(parts).decode("utf-8", "backslashreplace")
    assert "".join(one.text for one in found) == whole

"""Text made safe to show, and cut into rows."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from easy_llama_tui.text.display_text import (
    Line,
    cells,
    chop,
    editable,
    one_line,
    plain_lines,
    printable,
    wrap,
)

PLAIN = Style()
BOLD = Style(bold=True)

any_text = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)
awkward_text = st.text(
    alphabet=st.sampled_from("ab cdefg-.\n  漢字。、「」ー한 éͤ❤️👍🏽😀\u3000x"),
    max_size=120,
)


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\n\ttext", "plain\n\ttext"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
        ("\x00\x08\x7f", "␀␈␡"),
        ("\x9b31m \x85", "\ufffd31m \ufffd"),
        ("one\r\ntwo\rthree", "one\ntwothree"),
        ("\u202eevil\u202c \u2066x\u2069", "\ufffdevil\ufffd \ufffdx\ufffd"),
        ("zero\u200bwidth\ufeff\u00ad", "zerowidth"),
        ("hi\U000e0041\U000e0042", "hi"),
        ("\ud83d lone", "\ufffd lone"),
        ("line\u2028par\u2029", "line\npar\n"),
        ("👨‍👩‍👧 ❤️ naïve 日本語", "👨‍👩‍👧 ❤️ naïve 日本語"),
    ],
)
def test_printable_shows_what_would_drive_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(any_text)
def test_printable_leaves_no_control_character(text: str) -> None:
    result = printable(text)
    assert not [c for c in result if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
    assert not [
        c for c in result if unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI")
    ]
    assert printable(result) == result
    result.encode()


@given(any_text, any_text)
def test_pieces_of_a_stream_can_be_cleaned_one_by_one(first: str, second: str) -> None:
    assert printable(first) + printable(second) == printable(first + second)


def test_text_with_nothing_to_clean_is_returned_as_it_is() -> None:
    text = "nothing to do here\n" * 10
    assert printable(text) is text


def test_labels_are_one_line() -> None:
    assert one_line(" a\nb\t\x1bc ") == "a b ␛c"


def test_words_wrap_and_newlines_stay() -> None:
    lines = wrap([("the quick brown fox\n\njumps", PLAIN)], 10)
    assert texts(lines) == ["the quick", "brown fox", "", "jumps"]
    assert [line.joint for line in lines] == ["\n", " ", "\n", "\n"]


def test_a_word_longer_than_a_row_is_cut() -> None:
    lines = wrap([("see https://example.com/a now", PLAIN)], 10)
    assert texts(lines) == ["see", "https://ex", "ample.com/", "a now"]
    assert [line.joint for line in lines] == ["\n", " ", "", ""]


def test_spaces_at_the_start_stay_and_those_at_a_break_go() -> None:
    assert texts(wrap([("    code here", PLAIN)], 9)) == ["    code", "here"]


def test_ideographs_break_anywhere_but_before_closing_punctuation() -> None:
    lines = texts(wrap([("日本語、日本語。日本語", PLAIN)], 6))
    assert lines == ["日本", "語、日", "本語。", "日本語"]


def test_styles_stay_with_their_characters() -> None:
    lines = wrap([("one ", PLAIN), ("two three", BOLD), (" four", PLAIN)], 8)
    assert [[(s.text, s.style) for s in line.segments] for line in lines] == [
        [("one ", PLAIN), ("two", BOLD)],
        [("three", BOLD)],
        [("four", PLAIN)],
    ]


@given(awkward_text, st.integers(2, 20))
def test_no_row_is_wider_than_asked_for_and_no_character_is_lost(text: str, width: int) -> None:
    lines = wrap([(text[:7], PLAIN), (text[7:], BOLD)], width)
    assert all(cells(line.text) <= width for line in lines)
    kept = "".join(texts(lines))
    spaces = str.maketrans("", "", " \n\u3000")
    assert kept.translate(spaces) == text.translate(spaces)


@given(awkward_text, st.integers(2, 20))
def test_chop_gives_pieces_that_fit(text: str, width: int) -> None:
    pieces = chop(text.replace("\n", ""), width)
    assert "".join(pieces) == text.replace("\n", "")
    assert all(cells(piece) <= width for piece in pieces)


def test_a_megabyte_is_wrapped_without_being_split_into_words_by_hand() -> None:
    assert len(wrap([("x" * 1_000_000, PLAIN)], 100)) == 10_000


def test_plain_text_is_shown_as_typed() -> None:
    assert texts(plain_lines("a\tb\n  **c** [d]", PLAIN, 20)) == ["a   b", "  **c** [d]"]


@pytest.mark.parametrize(
    "heap", ["e" + "\u0301" * 5000, "\u200d" * 5000, "👩\u200d" * 5000, "a \u0301" * 5000]
)
@pytest.mark.parametrize("width", [1, 20, 200])
def test_marks_that_take_no_cell_make_no_endless_row(heap: str, width: int) -> None:
    for rows in (texts(wrap([(heap, PLAIN)], width)), chop(heap, width)):
        assert max(map(len, rows)) <= 8 * width + 1
    kept = "".join(texts(wrap([(heap, PLAIN)], width)))
    assert kept.replace(" ", "") == heap.replace(" ", "")


def test_a_text_that_is_edited_has_no_heaps() -> None:
    assert editable("e" + "\u0301" * 5000 + "x\r\ny\rz\x1b") == "e" + "\u0301" * 16 + "x\ny\nz␛"
    assert editable("👨‍👩‍👧 ❤️ นี้ก็ नमस्ते\n\n\n") == "👨‍👩‍👧 ❤️ นี้ก็ नमस्ते\n\n\n"
    assert editable("\n" * 50 + "é") == "\n" * 50 + "é"

"""What a model reasons, told apart from what it answers."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easy_llama_tui.text.reasoning import (
    TAGS,
    Part,
    ReasoningSplitter,
    may_have_reasoning,
    prompt_opens_reasoning,
    split_reasoning,
)


def parts(text: str, *, begins_inside: bool = False, complete: bool = True) -> list[tuple[str, str]]:
    found = split_reasoning(text, begins_inside=begins_inside, complete=complete)
    return [(part.kind, part.text.strip()) for part in found]


BOTH = [("reasoning", "I wonder.\nYes."), ("answer", "It is **so**.")]


@pytest.mark.parametrize("tag", TAGS, ids=lambda tag: tag.opening)
def test_each_pair_of_tags_holds_reasoning(tag: tuple[str, str, bool]) -> None:
    opening, closing, _ = tag
    assert parts(f"{opening}\nI wonder.\nYes.\n{closing}\n\nIt is **so**.") == BOTH
    assert parts(f"{opening}I wonder.\nYes.{closing}It is **so**.") == BOTH
    assert parts(f"{opening}\nI wonder.", complete=False) == [("reasoning", "I wonder.")]


def test_the_channels_of_gpt_oss_are_told_apart() -> None:
    text = (
        "<|channel|>analysis<|message|>I wonder.\nYes.<|end|>"
        "<|start|>assistant<|channel|>final<|message|>It is **so**."
    )
    assert parts(text) == BOTH


def test_text_without_tags_is_an_answer() -> None:
    assert split_reasoning("a\n\nb") == (Part("answer", "a\n\nb", 2, closed=False),)
    assert split_reasoning("") == ()
    assert split_reasoning(" \n") == ()


def test_blank_reasoning_is_none() -> None:
    assert parts("<think>\n\n</think>\n\nIt is **so**.") == BOTH[1:]


def test_a_part_may_be_without_a_word() -> None:
    assert split_reasoning("<think>…</think>!") == (
        Part("reasoning", "…", 0, closed=True),
        Part("answer", "!", 0, closed=False),
    )


def test_a_model_may_reason_more_than_once() -> None:
    text = "<think>one</think>\nfirst\n<think>\ntwo\n</think>\nsecond"
    assert parts(text) == [
        ("reasoning", "one"),
        ("answer", "first"),
        ("reasoning", "two"),
        ("answer", "second"),
    ]


class TestOpenedByThePrompt:
    def test_a_closing_tag_alone_says_so(self) -> None:
        assert parts("I wonder.\nYes.\n</think>\n\nIt is **so**.") == BOTH
        assert parts("I wonder.\nYes.</think>\nIt is **so**.") == BOTH

    def test_it_can_be_told_before_the_tag_is_there(self) -> None:
        assert parts("I wonder.\nYes.", begins_inside=True, complete=False) == BOTH[:1]
        assert parts("I wonder.\nYes.</think>It is **so**.", begins_inside=True) == BOTH
        assert parts("<think>\nI wonder.\nYes.\n</think>\nIt is **so**.", begins_inside=True) == BOTH

    def test_a_word_in_the_middle_of_a_line_does_not(self) -> None:
        text = "The tag </think> ends it."
        assert parts(text) == [("answer", text)]

    def test_nor_does_one_after_reasoning(self) -> None:
        assert parts("<think>a</think>\nb\n</think>\nc") == [("reasoning", "a"), ("answer", "b\n</think>\nc")]

    @pytest.mark.parametrize(
        ("prompt", "inside"),
        [
            ("<|im_start|>assistant\n<think>\n", True),
            ("<｜Assistant｜><think>", True),
            ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False),
            ("<｜Assistant｜></think>", False),
            ("<|start|>assistant<|channel|>final<|message|>", False),
            ("<|start|>assistant<|channel|>analysis<|message|>", True),
            ("use <think>\n<|im_start|>assistant\n", False),
            ("", False),
        ],
    )
    def test_the_end_of_the_prompt_tells_it(self, prompt: str, inside: bool) -> None:
        assert prompt_opens_reasoning(prompt) is inside


class TestCode:
    @pytest.mark.parametrize(
        "text",
        [
            "Write `<think>` and `</think>`.",
            "`</think>`",
            "``a ` </think>``",
            "```html\n<think>\nx\n</think>\n```",
            "- item\n\n    ~~~\n    <think>\n    ~~~",
            "```\n</think>",
            "The <think> tag opens it.",
            "x [THINK] y",
        ],
    )
    def test_tags_in_code_and_prose_are_text(self, text: str) -> None:
        assert parts(text) == [("answer", text)]
        assert parts(f"<think>\nhm\n</think>\n{text}") == [("reasoning", "hm"), ("answer", text)]

    def test_they_are_in_reasoning_too(self) -> None:
        text = "Say `</think>`.\n```\n<think>\n</think>\n```\nDone."
        assert parts(f"<think>\n{text}\n</think>\nyes") == [("reasoning", text), ("answer", "yes")]

    @pytest.mark.parametrize("end", ["\n</think>\n", "\n```</think>\n"])
    def test_a_fence_that_was_left_open_does_not_swallow_the_answer(self, end: str) -> None:
        found = parts(f"<think>\n```python\nx = 1{end}```\ny\n```")
        assert [kind for kind, _ in found] == ["reasoning", "answer"]
        assert found[1][1] == "```\ny\n```"


class TestGrowing:
    def test_a_tag_never_flashes(self) -> None:
        text = "<think>\nI wonder. `</think>` no.\n</think>\n\nIt is `so`."
        splitter = ReasoningSplitter()
        seen = set()
        for character in text:
            splitter.extend(character, complete=False)
            seen |= {(part.kind, part.text) for part in splitter.parts}
        assert all("</th" not in text.replace("`</th", "") for _, text in seen)
        assert all(not text.strip().endswith(("<", "<t", "</")) for _, text in seen)
        assert all("won" not in text for kind, text in seen if kind == "answer")

    def test_what_looked_like_a_tag_is_shown_once_it_is_none(self) -> None:
        splitter = ReasoningSplitter()
        splitter.extend("a <thi", complete=False)
        assert splitter.parts[0].text == "a "
        splitter.extend("s>", complete=False)
        assert splitter.parts[0].text == "a <this>"
        splitter.extend("\n<think", complete=True)
        assert splitter.parts[0].text == "a <this>\n<think"

    def test_words_are_counted(self) -> None:
        splitter = ReasoningSplitter()
        for piece in ("<think>one tw", "o - three\nfo", "ur 漢字\n"):
            splitter.extend(piece, complete=False)
        assert splitter.parts[0].words == 6
        assert not splitter.parts[0].closed
        splitter.extend("</think>", complete=False)
        assert splitter.parts[0].closed

    @pytest.mark.parametrize(
        "text",
        ["\n" * 100_000, "x " * 50_000, "`" * 100_000, "<" * 100_000],
        ids=["lines", "words", "ticks", "tags"],
    )
    def test_no_text_takes_long(self, text: str) -> None:
        began = time.perf_counter()
        split_reasoning(text)
        splitter = ReasoningSplitter()
        for start in range(0, len(text), 5_000):
            splitter.extend(text[start : start + 5_000], complete=False)
        assert time.perf_counter() - began < 3


PIECES = st.sampled_from(
    [
        *("<think>", "</think>", "<thinking>", "[THINK]", "[/THINK]", "<|channel|>analysis<|message|>"),
        *("<|end|>", "<|start|>assistant<|channel|>final<|message|>", "<", "</th", "`", "```", "```\n"),
        *("\n", "\n\n", " ", "word", "a b", "~~~\n", "漢"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=14), st.booleans(), st.randoms(use_true_random=False))
def test_however_it_arrives_the_parts_are_the_same(pieces: list[str], inside: bool, random: object) -> None:
    text = "".join(pieces)
    splitter = ReasoningSplitter(begins_inside=inside)
    position = 0
    while position < len(text):
        step = random.randint(1, 7)  # type: ignore[attr-defined]
        splitter.extend(text[position : position + step], complete=False)
        position += step
    splitter.extend("", complete=True)
    assert splitter.parts == split_reasoning(text, begins_inside=inside)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=14), st.booleans())
def test_nothing_but_tags_and_blank_lines_is_left_out(pieces: list[str], inside: bool) -> None:
    def words(text: str) -> str:
        for mark in ("<|start|>assistant<|channel|>final<|message|>", *(t for tag in TAGS for t in tag[:2])):
            text = text.replace(mark, "")
        return "".join(text.split())

    text = "".join(pieces)
    joined = "".join(part.text for part in split_reasoning(text, begins_inside=inside))
    assert words(joined) == words(text)
    if not may_have_reasoning(text) and not inside and text.strip():
        assert [part.kind for part in split_reasoning(text)] == ["answer"]

"""The tree of a chat as rows: every message once, in reading order, never far to the right."""

import math
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easy_llama_tui.chats.conversation import Conversation, Message
from easy_llama_tui.chats.tree import matching_rows, row_of, tree_of, tree_rows

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def message(number: int, parent: int | None, content: str = "", **more) -> Message:
    role = "bot" if number % 2 == 0 else "user"
    return Message(f"m{number}", f"m{parent}" if parent else None, role, content, NOON, **more)


def conversation(*parents: int | None) -> Conversation:
    """Return a conversation in which message n follows parents[n - 1]."""
    return Conversation([message(number, parent) for number, parent in enumerate(parents, start=1)])


def drawn(rows) -> list[str]:
    """Return how far to the right each row stands, whether a branch begins there, and what it holds."""
    lines = []
    for row in rows:
        what = str(len(row.ids)) if row.is_folded else row.ids[0]
        lines.append("> " * row.depth + "* " * row.begins_branch + what)
    return lines


@st.composite
def trees(draw) -> Conversation:
    count = draw(st.integers(1, 30))
    parents = [None, *(draw(st.none() | st.integers(1, number)) for number in range(1, count))]
    return conversation(*parents)


class TestRows:
    def test_a_line_is_folded_between_its_ends(self) -> None:
        tree = tree_of(conversation(None, 1, 2, 3, 4))
        assert drawn(tree_rows(tree)) == ["m1", "3", "m5"]
        assert drawn(tree_rows(tree, {"m2"})) == ["m1", "m2", "m3", "m4", "m5"]
        assert drawn(tree_rows(tree, all_unfolded=True)) == ["m1", "m2", "m3", "m4", "m5"]

    def test_one_message_is_not_folded(self) -> None:
        assert drawn(tree_rows(tree_of(conversation(None, 1, 2)))) == ["m1", "m2", "m3"]

    def test_the_largest_branch_goes_straight_on_after_the_others(self) -> None:
        # m2, m3 and m4 answer m1; m3 goes on with m5.
        tree = tree_of(conversation(None, 1, 1, 1, 3))
        assert drawn(tree_rows(tree)) == ["m1", "> * m2", "> * m4", "m3", "m5"]

    def test_of_equal_branches_the_newest_goes_straight_on(self) -> None:
        assert drawn(tree_rows(tree_of(conversation(None, 1, 1, 1)))) == ["m1", "> * m2", "> * m3", "m4"]

    def test_several_beginnings_are_branches_too(self) -> None:
        assert drawn(tree_rows(tree_of(conversation(None, None, 1)))) == ["> * m2", "m1", "m3"]

    def test_what_stands_out_is_never_folded(self) -> None:
        chat = conversation(None, 1, 2, 3, 4, 5, 6, 7)
        chat.name_branch("m4", "a name")
        chat.end_at("m6")
        assert drawn(tree_rows(tree_of(chat))) == ["m1", "2", "m4", "m5", "m6", "m7", "m8"]
        assert drawn(tree_rows(tree_of(chat, running="m2"))) == [
            "m1",
            "m2",
            "m3",
            "m4",
            "m5",
            "m6",
            "m7",
            "m8",
        ]

    @settings(max_examples=150, deadline=None)
    @given(trees())
    def test_every_message_stands_once_below_its_parent(self, chat: Conversation) -> None:
        tree = tree_of(chat)
        for rows in (tree_rows(tree), tree_rows(tree, all_unfolded=True)):
            order = [one for row in rows for one in row.ids]
            assert sorted(order) == sorted(tree.messages)
            for one in tree.messages.values():
                assert one.parent is None or order.index(one.parent) < order.index(one.id)
            assert max(row.depth for row in rows) <= math.log2(len(order)) + 1

    @settings(max_examples=100, deadline=None)
    @given(trees())
    def test_the_figures_are_those_of_the_tree(self, chat: Conversation) -> None:
        tree = tree_of(chat)
        leaves = [one for one in chat.messages if not chat.children(one.id)]
        assert tree.branches == len(leaves)
        assert {one.id for one in chat.path()} == tree.path
        for one in chat.messages:
            removed = Conversation(chat.messages, chat.head).remove(one.id)
            assert tree.below[one.id] == len(removed.messages) - 1
            siblings = chat.siblings(one.id)
            assert tree.place(one.id) == (siblings.index(one) + 1, len(siblings))


class TestFinding:
    @pytest.mark.parametrize(
        ("query", "found"), [("", ["m1", "m2", "m3"]), ("CAT says", ["m2"]), ("cow", ["m3"]), ("moo x", [])]
    )
    def test_all_words_must_be_there(self, query: str, found: list[str]) -> None:
        chat = Conversation(
            [message(1, None, "woof"), message(2, 1, "the cat\nsays"), message(3, 1, "moo", branch="The Cow")]
        )
        assert sorted(row.ids[0] for row in matching_rows(tree_of(chat), query)) == found

    def test_a_message_in_a_folded_row_is_found(self) -> None:
        rows = tree_rows(tree_of(conversation(None, 1, 2, 3, 4)))
        assert (row_of(rows, "m3"), row_of(rows, "m9"), row_of(rows, None)) == (1, None, None)


@pytest.mark.parametrize("shape", ["deep", "wide", "comb"])
def test_ten_thousand_messages_take_no_recursion_and_little_time(shape: str) -> None:
    count = 10_000
    parents = {
        "deep": [None, *range(1, count)],
        "wide": [None, *[1] * (count - 1)],
        # Each second message has an answer that leads nowhere.
        "comb": [None, *(number - 1 - number % 2 or None for number in range(2, count + 1))],
    }[shape]
    chat = conversation(*parents)
    before = time.process_time()
    tree = tree_of(chat)
    rows = tree_rows(tree)
    assert time.process_time() - before < 1.0
    assert sum(len(row.ids) for row in rows) == count
    assert max(row.depth for row in rows) <= 1

"""What is guessed of the next tokens, and how many of them."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easy_llama.prompt_lookup import PromptLookup
from easy_llama.speculation import MOST_COST, Speculation

BATCH, COST, START, EARNED = 0.2, 0.35, 1.3, 0.003
"""What an account is kept with."""

texts = st.lists(st.integers(0, 3), max_size=60)


class TestLookup:
    def test_what_came_there_before_is_guessed(self) -> None:
        lookup = PromptLookup([1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4])
        assert lookup.guess(3) == (5, 6, 7)
        assert lookup.guess(0) == ()

    def test_two_tokens_alone_say_too_little(self) -> None:
        assert PromptLookup([1, 2, 3, 4, 5, 9, 2, 3]).guess(3) == ()
        assert PromptLookup([1, 2]).guess(3) == PromptLookup().guess(3) == ()

    def test_the_place_that_agrees_furthest_is_taken(self) -> None:
        first, second = [8, 1, 2, 3, 4], [9, 1, 2, 3, 5]
        assert PromptLookup([*first, 0, *second, 0, 8, 1, 2, 3]).guess(1) == (4,)
        assert PromptLookup([*first, 0, *second, 0, 9, 1, 2, 3]).guess(1) == (5,)

    def test_of_places_that_agree_as_far_the_last_is_taken(self) -> None:
        assert PromptLookup([1, 2, 3, 4, 0, 1, 2, 3, 5, 6, 1, 2, 3]).guess(2) == (5, 6)

    def test_what_repeats_itself_goes_on_doing_so(self) -> None:
        assert PromptLookup([7, 8, 7, 8, 7, 8]).guess(5) == (7, 8, 7, 8, 7)
        assert PromptLookup([7] * 4).guess(3) == (7, 7, 7)

    @given(texts, texts, st.integers(1, 20))
    def test_token_by_token_is_as_all_at_once(self, first: list[int], rest: list[int], count: int) -> None:
        lookup = PromptLookup(first)
        for token in rest:
            lookup.guess(count)
            lookup.append(token)
        guess = lookup.guess(count)
        assert guess == PromptLookup(first + rest).guess(count)
        assert len(guess) in (0, count)
        text = first + rest
        if guess:  # its beginning stands in the text, behind the same three tokens
            behind = [*text[-3:], guess[0]]
            assert any(text[at : at + 4] == behind for at in range(len(text) - 3))


class Always:
    """Guesses what it is told to."""

    def __init__(self, tokens: Sequence[int] = (1,) * 99, cost: float = 0.0) -> None:
        self.tokens = tuple(tokens)
        self.cost = cost
        self.taken: list[int] = []
        self.tried = 0

    def append(self, token: int) -> None:
        self.taken.append(token)

    def guess(self, count: int) -> tuple[int, ...]:
        guess = self.tokens[:count]
        self.tried += min(len(guess) + 1, count)
        return guess


def batches(speculation: Speculation, reply: Sequence[int]) -> list[int]:
    """Write a reply; return how many tokens were guessed in each batch."""
    sizes: list[int] = []
    for place, token in enumerate(reply):
        if not speculation.confirms(token):
            sizes.append(len(speculation.guess(len(reply) - place)))
    return sizes


class TestSpeculation:
    def test_right_guesses_are_confirmed_one_after_the_other(self) -> None:
        speculation = Speculation(Always([5, 6, 7]))
        assert not speculation.confirms(4)
        assert speculation.guess(9) == (5, 6, 7)
        assert [speculation.confirms(token) for token in (5, 6, 7, 8)] == [True, True, True, False]
        assert speculation.right_tokens == 3

    def test_after_a_wrong_one_nothing_is_confirmed(self) -> None:
        speculation = Speculation(Always([5, 6, 7]))
        speculation.confirms(4)
        speculation.guess(9)
        assert [speculation.confirms(token) for token in (5, 9)] == [True, False]
        speculation.guess(0)
        assert not speculation.confirms(6)
        assert speculation.right_tokens == 1

    def test_the_guesser_is_told_every_token(self) -> None:
        guesser = Always()
        batches(Speculation(guesser), [1, 1, 2, 1, 1, 1])
        assert guesser.taken == [1, 1, 2, 1, 1, 1]

    def test_more_are_guessed_while_guesses_are_right(self) -> None:
        assert batches(Speculation(Always()), [1] * 60)[:3] == [3, 8, 10]

    def test_no_more_are_guessed_than_are_wanted(self) -> None:
        speculation = Speculation(Always())
        assert len(speculation.guess(2)) == 2 and speculation.guess(0) == speculation.guess(-1) == ()

    @pytest.mark.parametrize("length", [20, 100, 1000])
    def test_guesses_that_are_always_wrong_cost_next_to_nothing(self, length: int) -> None:
        guessed = sum(batches(Speculation(Always()), [2] * length))
        assert 0 < guessed * COST < START + EARNED * length

    @given(st.lists(st.booleans(), min_size=1, max_size=300))
    def test_the_loss_is_bounded_whatever_comes(self, is_guessed: list[bool]) -> None:
        reply = [1 if one else 2 for one in is_guessed]
        speculation = Speculation(Always())
        sizes = batches(speculation, reply)
        time = len(sizes) + BATCH * sum(size > 0 for size in sizes) + COST * sum(sizes)
        assert time <= len(reply) + START + EARNED * len(reply) + 1e-6

    @given(
        st.lists(st.sampled_from([1, 2]), min_size=1, max_size=300),
        st.integers(0, 4),
        st.floats(0, 3),
        st.floats(0, 3),
    )
    def test_what_guessing_takes_is_paid_for_too(
        self, reply: list[int], length: int, one: float, other: float
    ) -> None:
        guessers = [Always([1] * length, one), Always([1], other)]
        sizes = batches(Speculation(*guessers), reply)
        time = len(sizes) + BATCH * sum(size > 0 for size in sizes) + COST * sum(sizes)
        time += sum(guesser.cost * guesser.tried for guesser in guessers)
        assert time <= len(reply) + 2 * (START + EARNED * len(reply)) + 1e-6

    def test_the_first_that_has_a_guess_makes_it(self) -> None:
        first, second = Always([5, 6]), Always([7, 8, 9], cost=0.1)
        speculation = Speculation(first, second)
        assert speculation.guess(9) == (5, 6)
        first.tokens = ()
        assert not speculation.confirms(4) and speculation.guess(1) == (7,)
        assert speculation.confirms(7) and first.taken == second.taken == [4, 7]

    def test_one_that_is_wrong_does_not_keep_the_other_from_guessing(self) -> None:
        wrong, right = Always([2] * 9), Always([1] * 9, cost=0.2)
        speculation = Speculation(wrong, right)
        batches(speculation, [1] * 100)
        assert speculation.right_tokens > 70

    def test_one_that_takes_longer_guesses_less_at_first(self) -> None:
        costs = (0, 0.1, 0.2, 0.5, MOST_COST)
        assert [len(Speculation(Always(cost=cost)).guess(9)) for cost in costs] == [3, 2, 2, 1, 1]

    def test_one_that_takes_too_long_is_never_asked(self) -> None:
        slow = Always(cost=MOST_COST + 0.01)
        assert sum(batches(Speculation(slow), [1] * 500)) == slow.tried == 0

    @given(texts)
    def test_the_same_reply_is_guessed_in_the_same_way(self, reply: list[int]) -> None:
        assert batches(Speculation(PromptLookup([1, 2])), reply) == batches(
            Speculation(PromptLookup([1, 2])), reply
        )

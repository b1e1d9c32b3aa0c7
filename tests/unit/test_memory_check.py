"""Whether a model fits, and with which context."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easy_llama.errors import DraftModelError
from easy_llama.loading import computing_bytes, kv_cache_bytes
from easy_llama_tui.models.memory_check import Draft, choose_context

HEADER = {
    "general.architecture": "llama",
    "llama.block_count": 32,
    "llama.context_length": 131_072,
    "llama.embedding_length": 4096,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "llama.rope.freq_base": 500_000.0,
    "llama.rope.dimension_count": 128,
    "llama.vocab_size": 128_256,
}
GB = 10**9
WEIGHTS = 5 * GB


def needed(length: int) -> int:
    return WEIGHTS + kv_cache_bytes(HEADER, length) + computing_bytes(HEADER, length)


def test_all_of_it_where_there_is_room() -> None:
    choice = choose_context(HEADER, WEIGHTS, 100 * GB)
    assert (choice.context_length, choice.native_context_length, choice.doubt) == (131_072, 131_072, None)


def test_the_weights_leave_less_for_the_context() -> None:
    without_weights = choose_context(HEADER, 0, 9 * GB).context_length
    choice = choose_context(HEADER, WEIGHTS, 9 * GB)
    assert choice.context_length < without_weights
    assert choice.context_length == 15 * 1024
    assert needed(choice.context_length) <= 8.1 * GB < needed(choice.context_length + 1024)
    assert choice.doubt is None


def test_weights_that_do_not_fit_are_doubtful_with_any_context() -> None:
    choice = choose_context(HEADER, WEIGHTS, 4 * GB)
    assert choice.context_length == 1024
    assert choice.doubt is not None
    assert (choice.doubt.needed_bytes, choice.doubt.free_bytes) == (needed(1024), 4 * GB)
    assert choice.doubt.shorter_context is None


def test_a_wish_that_does_not_fit_has_a_shorter_one_beside_it() -> None:
    choice = choose_context(HEADER, WEIGHTS, 9 * GB, wished=65_536)
    assert choice.context_length == 65_536
    assert choice.doubt is not None
    assert choice.doubt.needed_bytes == needed(65_536)
    assert (choice.doubt.context_length, choice.doubt.shorter_context) == (65_536, 15 * 1024)


def test_a_wish_that_fits_is_not_argued_with() -> None:
    # Also where it takes more than would be chosen.
    assert choose_context(HEADER, WEIGHTS, 9 * GB, wished=16_384).doubt is None
    assert needed(16_384) <= 9 * GB


def test_a_draft_model_takes_its_share() -> None:
    small = HEADER | {"llama.block_count": 8, "llama.context_length": 4096}
    draft = Draft(small, GB)

    def drafting(length: int) -> int:
        return GB + kv_cache_bytes(small, length) + computing_bytes(small, length)

    choice = choose_context(HEADER, WEIGHTS, 9 * GB, wished=32_768, draft=draft)
    assert choice.doubt is not None
    assert choice.doubt.needed_bytes == needed(32_768) + drafting(4096)
    assert choose_context(HEADER, WEIGHTS, 9 * GB, wished=2048, draft=draft).doubt is None
    without = choose_context(HEADER, WEIGHTS, 9 * GB).context_length
    assert choose_context(HEADER, WEIGHTS, 9 * GB, draft=draft).context_length < without
    with pytest.raises(DraftModelError, match=r"no llama\.block_count"):
        choose_context(HEADER, WEIGHTS, 9 * GB, draft=Draft({**small, "llama.block_count": None}, GB))


@given(
    weights=st.integers(0, 200 * GB),
    free=st.integers(0, 200 * GB),
    wished=st.none() | st.integers(1, 200_000),
)
def test_what_is_offered_fits(weights: int, free: int, wished: int | None) -> None:
    choice = choose_context(HEADER, weights, free, wished=wished)
    assert wished is None or choice.context_length == wished
    if choice.doubt is None:
        assert weights <= free
    elif choice.doubt.shorter_context is not None:
        assert wished is not None and choice.doubt.shorter_context < wished
        again = choose_context(HEADER, weights, free, wished=choice.doubt.shorter_context)
        assert again.doubt is None


@pytest.mark.parametrize("free", [0, 10 * GB])
def test_a_short_model_is_never_given_more_than_it_has(free: int) -> None:
    short = HEADER | {"llama.context_length": 512}
    assert choose_context(short, WEIGHTS, free).context_length == 512

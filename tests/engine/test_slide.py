"""What is left out of a prompt, and what slides in the KV cache then, on the real model."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from easy_llama import formats, kv_cache
from easy_llama.cache_reuse import LEAST_SLID
from easy_llama.events import CancelFlag, Event, Finished, GenerationRequest, LeftOut, PromptProgress
from easy_llama.kv_state import KVState
from easy_llama.left_out import TurnTokens, find_left_out
from easy_llama.model import Model
from easy_llama.prompt import Turn, encode_prompt, piece_of_each_token
from easy_llama.samplers import GreedyDecoding
from easy_llama.scores import ScoreRequest

KL_BOUND = 0.05
"""How far the next token's distribution may be from that of a prompt that is read anew, in nats."""

TEXTS = (
    "How long is the river?",
    "It is two hundred miles long.",
    "Which animals live on its banks?",
    "Herons and otters live there.",
    "What do fishermen do in winter?",
    "They mend their nets and carve boats.",
    "Who races the boats?",
    "The children race them to the mill.",
)
SHORT = GreedyDecoding.replace(max_len_tokens=1)
ASKED = Turn("user", "Who wins a race of boats?")


def turns_of(texts: Sequence[str]) -> list[Turn]:
    system = Turn("system", "You know a village by a river.")
    return [system, *(Turn(("user", "bot")[number % 2], text) for number, text in enumerate(texts))]


def prompt_of(
    model: Model, turns: Sequence[Turn], without: Sequence[int] = ()
) -> tuple[tuple[int, ...], tuple[LeftOut, ...]]:
    """Return the prompt without some turns, and what was left out."""

    def tokens(numbers: Sequence[int]) -> TurnTokens:
        pieces = formats.build_prompt(formats.get("chatml"), [turns[number] for number in numbers])
        places = piece_of_each_token(pieces, model.tokenizer)
        return TurnTokens.of(pieces, encode_prompt(pieces, model.tokenizer), places)

    kept = [number for number in range(len(turns)) if number not in without]
    prompt = tokens(kept)
    return prompt.ids, find_left_out(tokens(range(len(turns))), prompt, kept)


@pytest.fixture(scope="module")
def read_whole(model: Model) -> KVState:
    """What the cache holds when the chat was read."""
    model.engine.forget()
    read(model, prompt_of(model, turns_of(TEXTS))[0])
    state = model.engine.state()
    assert state is not None
    return state


@pytest.fixture
def turns(model: Model, read_whole: KVState) -> list[Turn]:
    """The turns of the chat, which the cache holds."""
    model.engine.forget()
    model.engine.restore(read_whole)
    return turns_of(TEXTS)


def last_of(events: Iterator[Event]) -> Finished:
    *_, last = events
    assert isinstance(last, Finished)
    return last


def read(model: Model, prompt: tuple[int, ...], left_out: tuple[LeftOut, ...] = ()) -> Finished:
    return last_of(model.engine.generate(GenerationRequest(prompt, SHORT, left_out=left_out)))


def logits_after(model: Model, prompt: tuple[int, ...]) -> np.ndarray:
    logits = model.engine._cache.logits_after(prompt)
    assert logits is not None
    return logits.astype(np.float64)


def kl_divergence(wanted: np.ndarray, found: np.ndarray) -> float:
    p, q = (logits - logits.max() for logits in (wanted, found))
    p, q = (logits - np.log(np.exp(logits).sum()) for logits in (p, q))
    return float((np.exp(p) * (p - q)).sum())


MERGING = {"airoboros", "llama2chat", "mistral_instruct", "mistral_v3", "mixtral"}
"""The formats that put a system message into the first turn: another first turn begins with other tokens."""


def test_what_is_left_out_stands_between_the_same_tokens_in_nearly_every_format(model):
    turns = turns_of(TEXTS[:5])
    for name in formats.names():

        def tokens(numbers: Sequence[int], name: str = name) -> TurnTokens:
            pieces = formats.build_prompt(formats.get(name), [turns[number] for number in numbers])
            places = piece_of_each_token(pieces, model.tokenizer)
            return TurnTokens.of(pieces, encode_prompt(pieces, model.tokenizer), places)

        whole, kept = tokens(range(6)), tokens((0, 3, 4, 5))
        (cut,) = find_left_out(whole, kept, (0, 3, 4, 5))
        dropped = tuple(token for turn in cut.turns for token in turn)
        fits = (*kept.ids[: cut.at], *dropped, *kept.ids[cut.at :]) == whole.ids
        assert fits == (name not in MERGING), name


@pytest.mark.parametrize("without", [(1, 2), (1, 2, 5, 6)])
def test_what_follows_a_cut_is_slid_and_predicts_as_if_it_were_read(model, turns, read_whole, without):
    prompt, left_out = prompt_of(model, [*turns, ASKED], without)
    model.engine.forget()
    read(model, prompt)
    expected = logits_after(model, prompt)
    model.engine.forget()
    model.engine.restore(read_whole)
    last = read(model, prompt, left_out)
    system = len(prompt_of(model, turns[:1])[0])
    new = len(prompt_of(model, [turns[0], ASKED])[0]) - system
    # What opened the bot's message at the end of the whole prompt was read too.
    assert last.prompt_tokens - last.reused_tokens <= new + 4
    assert last.slid_tokens >= LEAST_SLID
    assert model.engine.cached_tokens == prompt
    assert 0 < kl_divergence(expected, logits_after(model, prompt)) < KL_BOUND
    # From then on nothing is left out that was not before, and nothing is read again.
    again, still = prompt_of(model, [*turns, ASKED, Turn("bot", "I do."), ASKED], without)
    following = read(model, again, still)
    assert following.reused_tokens >= len(prompt) - 4 and following.slid_tokens == last.slid_tokens


def test_an_edited_message_is_read_and_so_is_all_after_it(model, turns):
    changed = [*turns[:2], Turn("bot", "Nobody knows."), *turns[3:], ASKED]
    last = read(model, *prompt_of(model, changed, (1, 2)))
    assert last.slid_tokens == 0 and last.reused_tokens <= len(prompt_of(model, turns[:1])[0])


def test_a_message_that_is_deleted_later_is_forgotten_with_all_that_read_it(model, turns):
    last = read(model, *prompt_of(model, [*turns, ASKED], (1, 2)))
    assert last.slid_tokens
    after = read(model, *prompt_of(model, [turns[0], *turns[3:], ASKED]))
    assert after.slid_tokens == 0 and after.reused_tokens <= len(prompt_of(model, turns[:1])[0])
    assert after.prompt_tokens == last.prompt_tokens


def test_stopping_at_once_leaves_a_cache_that_is_right(model, turns, read_whole):
    prompt, left_out = prompt_of(model, [*turns, Turn("user", ASKED.content * 3)], (1, 2))
    expected = read(model, prompt, left_out), logits_after(model, prompt)
    model.engine.forget()
    model.engine.restore(read_whole)
    cancel = CancelFlag()
    cancel.cancel()
    stopped = last_of(model.engine.generate(GenerationRequest(prompt, SHORT, left_out=left_out), cancel))
    assert stopped.reason == "interrupted" and stopped.slid_tokens
    held = model.engine.cached_tokens
    assert stopped.reused_tokens < len(held) < len(prompt) and held == prompt[: len(held)]
    last = read(model, prompt, left_out)
    assert last.slid_tokens == expected[0].slid_tokens
    assert kl_divergence(expected[1], logits_after(model, prompt)) < 1e-3


def test_a_cache_that_cannot_slide_is_read_anew_and_says_so(model, turns, monkeypatch):
    prompt, left_out = prompt_of(model, [*turns, ASKED], (1, 2))
    monkeypatch.setattr(model.engine._cache, "can_slide", False)
    first, *_ = model.engine.generate(GenerationRequest(prompt, SHORT, left_out=left_out))
    assert isinstance(first, PromptProgress)
    assert first.unslidable >= LEAST_SLID and first.slid == 0 and first.reused < 40


def test_a_look_at_the_next_token_slides_for_the_reply_that_follows(model, turns):
    prompt, left_out = prompt_of(model, [*turns, ASKED], (1, 2))
    assert model.engine.next_tokens(prompt[:-2], GreedyDecoding, 3, left_out=left_out)
    last = read(model, prompt, left_out)
    assert last.prompt_tokens - last.reused_tokens == 2 and last.slid_tokens >= LEAST_SLID


def test_scoring_what_has_slid_changes_nothing(model, turns):
    prompt, left_out = prompt_of(model, [*turns, ASKED], (1, 2))
    drawn = read(model, prompt, left_out)
    progress: list[PromptProgress] = []
    request = ScoreRequest((*prompt, *drawn.ids), len(prompt), left_out=left_out)
    assert model.engine.score(request, on_read=progress.append)
    assert progress[0].reused == len(prompt) - 1
    again = read(model, prompt, left_out)
    assert (again.reused_tokens, again.slid_tokens) == (len(prompt), drawn.slid_tokens)
    assert again.ids == drawn.ids


def test_scoring_slides_too_and_tells_of_every_token(model, turns):
    prompt, left_out = prompt_of(model, [*turns, ASKED], (1, 2))
    system = len(prompt_of(model, turns[:1])[0])
    for start in (system + 60, len(prompt) - 3):
        score = model.engine.score(ScoreRequest(prompt, start, left_out=left_out))
        assert score is not None and [token.id for token in score.tokens] == list(prompt[start:])


class TestShelf:
    @pytest.fixture(autouse=True)
    def is_worth_a_copy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kv_cache, "_WORTH_A_COPY", 20)

    def test_another_branch_and_back_reads_neither_twice(self, model: Model) -> None:
        model.engine.forget()
        one = model.tokenize("The first branch. " + TEXTS[0] * 5)
        other = model.tokenize("Now to something else. " + TEXTS[2] * 5)
        sampler = GreedyDecoding.replace(max_len_tokens=8)
        model.engine.shelf.budget = 10**9
        try:
            first = last_of(model.events(one, sampler=sampler))
            last_of(model.events(other, sampler=sampler))
            on = (*one, *first.ids, *model.tokenize(" And", add_special=False))
            back = last_of(model.events(on, sampler=sampler))
            assert back.reused_tokens >= len(one) + len(first.ids) - 1
            there = last_of(model.events((*other, 28), sampler=sampler))
            assert there.reused_tokens == len(other)
            # From the same numbers come the same tokens.
            assert last_of(model.events(one, sampler=sampler)).ids == first.ids
            expected = back.ids
            model.engine.forget()
            assert model.engine.shelf.states == ()
            assert last_of(model.events(on, sampler=sampler)).ids == expected
        finally:
            model.engine.shelf.budget = 0

    def test_a_state_that_is_put_back_gives_the_same_tokens(self, model: Model) -> None:
        sampler = GreedyDecoding.replace(max_len_tokens=8)
        text = model.tokenize(TEXTS[0] * 4)
        first = last_of(model.events(text, sampler=sampler))
        state = model.engine.state()
        assert state is not None and state.ids[: len(text)] == tuple(text)
        model.engine.forget()
        assert model.engine.state() is None
        model.engine.restore(state)
        assert model.engine.cached_tokens == state.ids
        again = last_of(model.events(text, sampler=sampler))
        assert again.ids == first.ids and again.reused_tokens == len(text) - 1

    def test_nothing_is_kept_without_a_budget(self, model: Model) -> None:
        model.engine.forget()
        read(model, tuple(model.tokenize(TEXTS[0] * 5)))
        read(model, tuple(model.tokenize(TEXTS[2])))
        assert model.engine.shelf.states == ()

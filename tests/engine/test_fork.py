"""Another token in the middle of a reply, and when the same reply comes again."""

import json
from pathlib import Path

import pytest
from support.reference import reference

from easy_llama.errors import ExceededContextLengthException
from easy_llama.events import Candidates, Finished, LiveSettings, PromptProgress, Token
from easy_llama.model import Model
from easy_llama.samplers import DefaultSampling, GreedyDecoding, SamplerSettings, SimpleSampling

STORY = "Once upon a time, in a village by the sea, there lived"
LENGTH = 12
GREEDY = GreedyDecoding.replace(max_len_tokens=LENGTH)


@pytest.fixture(autouse=True)
def empty_cache(model: Model) -> None:
    model.engine.forget()


def run(
    model: Model,
    prompt: str | tuple[int, ...],
    sampler: SamplerSettings = GREEDY,
    start: tuple[int, ...] = (),
    stops: tuple[str, ...] = (),
) -> tuple[tuple[int, ...], str, Finished]:
    """Generate; return the ids of the tokens, the whole text, and how it ended."""
    *events, last = model.events(prompt, stops, sampler, reply_start=start)
    assert isinstance(last, Finished)
    tokens = [event for event in events if isinstance(event, Token)]
    text = "".join(token.text for token in tokens) + last.text
    return tuple(token.id for token in tokens), text, last


def token(model: Model, text: str) -> int:
    (found,) = model.tokenizer.encode(text, add_special=False, parse_special=True)
    return found


@pytest.mark.parametrize("place", [0, 1, 5, LENGTH - 1])
def test_a_fork_goes_on_from_another_token(model: Model, place: int) -> None:
    prompt = tuple(model.tokenize(STORY))
    reply, _, _ = run(model, prompt)
    start = (*reply[:place], token(model, " dragons"))
    ids, text, last = run(model, prompt, start=start)
    with reference(model) as low:
        row = low.decode(prompt)[-1]
        for each in start:
            row = low.decode([each])[0]
        assert ids == (*start, *low.greedy(row, LENGTH))
    assert last.ids == ids and text == model.detokenize(ids)
    assert last.generated_tokens == LENGTH and last.reason == "length"


@pytest.mark.parametrize("place", [0, 5, LENGTH - 1])
def test_a_fork_is_what_a_run_over_the_same_ids_gives(model: Model, place: int) -> None:
    prompt = tuple(model.tokenize(STORY))
    reply, _, _ = run(model, prompt)
    start = (*reply[:place], token(model, " dragons"))
    ids, _, _ = run(model, prompt, start=start)
    run(model, prompt)
    assert run(model, (*prompt, *start))[0] == ids[len(start) :]


@pytest.mark.parametrize("place", [0, 1, 5, LENGTH - 1])
def test_a_fork_reads_one_token(model: Model, place: int) -> None:
    reply, _, _ = run(model, STORY)
    other = (*reply[:place], token(model, " dragons"))
    _, _, last = run(model, STORY, start=other)
    assert last.prompt_tokens - last.reused_tokens == 1
    # And so does a token that was there before, in place of the other.
    _, _, last = run(model, STORY, start=reply[: place + 1])
    assert last.prompt_tokens - last.reused_tokens <= 1


def test_a_fork_far_into_a_long_text_reads_one_token(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.engine._decoder, "n_batch", 64)
    prompt = tuple(model.tokenize(STORY + " 1 2 3 4 5 6 7 8 9" * 8))
    assert len(prompt) > 2 * 64, "it takes several batches"
    reply, _, _ = run(model, prompt, GREEDY)
    sampler = GREEDY.replace(max_len_tokens=2)
    *events, last = model.events(prompt, sampler=sampler, reply_start=(*reply[:8], 28))
    assert isinstance(last, Finished) and last.prompt_tokens - last.reused_tokens == 1
    read = [event for event in events if isinstance(event, PromptProgress)]
    assert [progress.done for progress in read] == [len(prompt) + 8, len(prompt) + 9]


def test_a_token_that_completes_a_character_does_so(model: Model) -> None:
    rocket = tuple(model.tokenizer.encode("🚀", add_special=False, parse_special=False))
    assert len(rocket) > 1
    *events, last = model.events(STORY, sampler=GREEDY, reply_start=rocket)
    texts = [event.text for event in events if isinstance(event, Token)]
    assert texts[: len(rocket)] == [*[""] * (len(rocket) - 1), "🚀"]
    assert isinstance(last, Finished) and model.detokenize(last.ids) == "".join(texts) + last.text


def test_a_stop_that_begins_before_the_fork_is_found(model: Model) -> None:
    reply, whole, _ = run(model, STORY)
    for end in range(2, 8):
        before, after = (model.detokenize(part) for part in (reply[:end], reply[end:]))
        stop = before[-2:] + after[:3]
        _, text, last = run(model, STORY, start=reply[:end], stops=(stop,))
        assert text == whole[: whole.index(stop)]
        assert last.reason == "stop"


def test_a_stop_within_the_start_ends_it_there(model: Model) -> None:
    start = tuple(model.tokenize("The end. And then"))
    _, text, last = run(model, STORY, start=start, stops=("end",))
    assert (text, last.reason, last.generated_tokens) == ("The ", "stop", 0)


def test_an_end_chosen_in_place_of_a_token_is_the_end(model: Model) -> None:
    reply, _, _ = run(model, STORY)
    assert model.eos_token is not None
    ids, text, last = run(model, STORY, start=(*reply[:9], model.eos_token))
    assert ids == last.ids == reply[:9] and text == model.detokenize(reply[:9])
    assert (last.reason, last.generated_tokens) == ("stop", 0)


def test_candidates_and_likelihoods_are_told_of_what_is_drawn(model: Model) -> None:
    reply, _, _ = run(model, STORY)
    live = LiveSettings(likelihoods=True, candidates=2)
    sampler = GREEDY.replace(max_len_tokens=2)
    events = list(model.events(STORY, sampler=sampler, live=live, reply_start=reply[:4]))
    assert [event.position for event in events if isinstance(event, Candidates)] == [4, 5]
    told = [event.likelihood is not None for event in events if isinstance(event, Token)]
    assert told == [False] * 4 + [True] * 2


def test_what_the_reply_began_with_counts_for_penalties(model: Model) -> None:
    sampler = GREEDY.replace(presence_penalty=100.0, max_len_tokens=20)
    ids, _, _ = run(model, STORY, sampler, start=tuple(model.tokenize(" a young girl")))
    assert len(set(ids)) == len(ids)


def test_a_grammar_goes_on_through_a_fork(model: Model) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    sampler = GREEDY.replace(json_schema=schema, max_len_tokens=60)
    prompt = '<|im_start|>user\nJSON for Ann, aged 30: {"name": "Ann", "age": 30}<|im_end|>\n'
    prompt += "<|im_start|>assistant\n"
    reply, text, last = run(model, prompt, sampler)
    assert last.reason == "stop" and set(json.loads(text)) == {"name", "age"}
    # Within the name, so that the rest is only JSON together with what comes before.
    place = next(count for count in range(len(reply)) if "A" in model.detokenize(reply[:count]))
    start = (*reply[:place], token(model, "xyz"))
    _, text, last = run(model, prompt, sampler, start=start)
    assert text.startswith(model.detokenize(start))
    assert last.reason == "length" or "xyz" in json.loads(text)["name"]


def test_a_token_that_the_grammar_forbids_is_refused(model: Model) -> None:
    sampler = GREEDY.replace(grammar="root ::= [0-9]+")
    with pytest.raises(ValueError, match=r"grammar .* forbids how it begins"):
        run(model, STORY, sampler, start=tuple(model.tokenize("12a")))
    assert run(model, STORY, sampler, start=tuple(model.tokenize("12")))[1].startswith("12")


def test_a_start_that_is_no_good_is_refused(model: Model) -> None:
    with pytest.raises(ValueError, match="outside"):
        run(model, STORY, start=(model.n_vocab,))
    with pytest.raises(ExceededContextLengthException):
        run(model, STORY, start=(28,) * model.context_length)


def test_a_fork_ends_where_the_context_does(model_path: Path) -> None:
    with Model(model_path, context_length=256) as model:
        prompt = tuple(model.tokenize(STORY))
        start = (28,) * (model.context_length - len(prompt) - 2)
        ids, _, last = run(model, prompt, SimpleSampling.replace(seed=1, logit_bias={2: -100.0}), start=start)
    assert (last.reason, last.generated_tokens) == ("length", 3) and len(ids) == len(start) + 3


class TestTheSameSeed:
    """What llama.cpp can promise: in one run of the program, on one processor, the same text again."""

    SAMPLER = DefaultSampling.replace(seed=11, temp=1.0, max_len_tokens=10)
    PROMPTS = (STORY, "Dear Sir or Madam, I am writing to")

    @pytest.fixture(params=PROMPTS)
    def prompt(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def test_gives_the_same_text_again(self, model: Model, prompt: str) -> None:
        first = run(model, prompt, self.SAMPLER)
        assert first[2].seed == 11
        assert run(model, prompt, self.SAMPLER)[:2] == first[:2]
        assert run(model, prompt, self.SAMPLER.replace(seed=12))[1] != first[1]
        assert run(model, prompt, self.SAMPLER)[:2] == first[:2]

    def test_from_an_empty_cache_as_well(self, model: Model, prompt: str) -> None:
        first = run(model, prompt, self.SAMPLER)
        model.engine.forget()
        assert run(model, prompt, self.SAMPLER)[:2] == first[:2]

    def test_after_another_text(self, model: Model, prompt: str) -> None:
        first = run(model, prompt, self.SAMPLER)
        run(model, "Something else entirely: a b c", self.SAMPLER)
        assert run(model, prompt, self.SAMPLER)[:2] == first[:2]

    def test_after_the_text_went_on(self, model: Model, prompt: str) -> None:
        first = run(model, prompt, self.SAMPLER)
        ids = (*model.tokenize(prompt), *first[0])
        second = run(model, (*ids, *model.tokenize("\n\nThen")), self.SAMPLER)
        assert run(model, prompt, self.SAMPLER)[:2] == first[:2]
        model.score(ids, candidates=2)
        assert run(model, prompt, self.SAMPLER)[:2] == first[:2]
        assert second[1] != first[1]

    def test_of_a_fork_as_well(self, model: Model, prompt: str) -> None:
        reply, _, _ = run(model, prompt, self.SAMPLER)
        start = (*reply[:4], token(model, " dragons"))
        fork = run(model, prompt, self.SAMPLER, start)
        assert run(model, prompt, self.SAMPLER, start)[:2] == fork[:2]
        run(model, prompt, self.SAMPLER)
        assert run(model, prompt, self.SAMPLER, start)[:2] == fork[:2]

    def test_with_the_seed_that_is_told_at_the_end(self, model: Model, prompt: str) -> None:
        first = run(model, prompt, self.SAMPLER.replace(seed=None))
        again = run(model, prompt, self.SAMPLER.replace(seed=first[2].seed))
        assert again[:2] == first[:2]

"""The token loop on the real model."""

import threading
from collections.abc import Iterator, Sequence

import pytest
from llama_cpp import llama_cpp as lib

from easy_llama.errors import ExceededContextLengthException, GenerationError
from easy_llama.events import CancelFlag, Event, Finished, GenerationRequest, PromptProgress, Token
from easy_llama.model import Model
from easy_llama.prompt import Control, Generated, Piece, Written, encode_prompt
from easy_llama.samplers import GreedyDecoding, SamplerSettings, SimpleSampling

PROMPT = "Once upon a time, in a village by the sea, there lived"
CHAT = "<|im_start|>user\nSay it with emoji: {}<|im_end|>\n<|im_start|>assistant\n"


def greedy(length: int) -> SamplerSettings:
    return GreedyDecoding.replace(max_len_tokens=length)


def reference_ids(model: Model, prompt: Sequence[int], length: int, *, first: int = 0) -> list[int]:
    """Greedy ids of a bare loop over llama.cpp's C functions, in a context of its own.

    The results depend a little on how tokens are batched: `first` ids of the prompt are read before the
    rest, as they are where they were in the cache.
    """
    params = lib.llama_context_default_params()
    params.n_ctx = 2048
    params.n_batch = params.n_ubatch = 512
    params.n_threads = params.n_threads_batch = 1
    params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = lib.llama_init_from_model(model.llama.model, params)
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_greedy())
    vocab = lib.llama_model_get_vocab(model.llama.model)
    found: list[int] = []
    tokens = (lib.llama_token * (len(prompt) - first))(*prompt[first:])
    try:
        if first:
            head = (lib.llama_token * first)(*prompt[:first])
            assert lib.llama_decode(context, lib.llama_batch_get_one(head, first)) == 0
        while True:
            assert lib.llama_decode(context, lib.llama_batch_get_one(tokens, len(tokens))) == 0
            token = lib.llama_sampler_sample(chain, context, -1)
            if lib.llama_vocab_is_eog(vocab, token):
                return found
            found.append(token)
            if len(found) == length:
                return found
            tokens = (lib.llama_token * 1)(token)
    finally:
        lib.llama_sampler_free(chain)
        lib.llama_free(context)


def ids_of(events: Iterator[Event]) -> list[int]:
    return [event.id for event in events if isinstance(event, Token)]


def finished(events: Iterator[Event]) -> Finished:
    *_, last = events
    assert isinstance(last, Finished)
    return last


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token | Finished))


@pytest.fixture(autouse=True)
def empty_cache(model: Model) -> None:
    model.engine.forget()


@pytest.mark.parametrize("text", [PROMPT, CHAT.format("the sea")])
def test_greedy_output_is_that_of_a_bare_loop(model: Model, text: str) -> None:
    prompt = model.tokenizer.encode(text, add_special=True, parse_special=True)
    expected = reference_ids(model, prompt, 24)
    assert len(expected) > 10
    assert ids_of(model.events(prompt, sampler=greedy(24))) == expected
    assert model.generate(text, sampler=greedy(24)) == model.tokenizer.decode(expected)


def test_the_joined_stream_is_what_generate_returns(model: Model) -> None:
    chunks = list(model.stream(PROMPT, sampler=greedy(12)))
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == model.generate(
        PROMPT, sampler=greedy(12)
    )
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


def test_a_stop_string_ends_the_text_wherever_tokens_split_it(model: Model) -> None:
    whole = model.generate(PROMPT, sampler=greedy(16))
    for start in range(8, 50, 3):
        stop = whole[start : start + 7]
        expected = whole[: whole.index(stop)]
        events = list(model.events(PROMPT, stops=[stop], sampler=greedy(16)))
        assert text_of(events) == expected
        last = events[-1]
        assert isinstance(last, Finished) and last.reason == "stop"
        assert last.ids == () or model.tokenizer.decode(last.ids) == expected


def test_a_stop_string_that_never_comes_costs_no_text(model: Model) -> None:
    whole = model.generate(PROMPT, sampler=greedy(16))
    almost = [whole[-4:] + "\x00", whole[10:14] + "\x00"]
    assert model.generate(PROMPT, stops=almost, sampler=greedy(16)) == whole


def test_a_stop_id_ends_the_text(model: Model) -> None:
    ids = ids_of(model.events(PROMPT, sampler=greedy(30)))
    stop = next(token for token in ids[5:] if token not in ids[:5])
    kept = ids[: ids.index(stop)]
    assert ids_of(model.events(PROMPT, stops=[stop], sampler=greedy(30))) == kept


def test_an_emoji_is_never_half(model: Model) -> None:
    prompt = CHAT.format("🎉 🚀 🌊 🐱 — only emoji, no words: 🎉🎉🎉")
    for seed in range(3):
        sampler = SamplerSettings(seed=seed, max_len_tokens=16)
        texts = [event.text for event in model.events(prompt, sampler=sampler) if isinstance(event, Token)]
        assert "\ufffd" not in "".join(texts)
    # Cut within a character of four bytes, which are three tokens here.
    rocket = model.tokenizer.encode("🎉", add_special=False, parse_special=False)
    assert len(rocket) > 1
    for length in range(1, 8):
        events = list(
            model.events(
                [Control("<|im_start|>user\nSay hi 🎉<|im_end|>\n<|im_start|>assistant\n")],
                sampler=greedy(length),
            )
        )
        last = events[-1]
        assert isinstance(last, Finished)
        assert "\ufffd" not in text_of(events)
        assert model.tokenizer.decode(last.ids) == text_of(events)


def test_a_prompt_is_read_only_where_it_differs(model: Model) -> None:
    start = model.tokenizer.encode(PROMPT * 5, add_special=True, parse_special=True)
    one = model.tokenizer.encode(" a king", add_special=False, parse_special=False)
    two = model.tokenizer.encode(" two dogs and", add_special=False, parse_special=False)
    finished(model.events(start + one, sampler=greedy(5)))
    after = finished(model.events(start + two, sampler=greedy(10)))
    assert after.reused_tokens == len(start)
    assert after.prompt_tokens == len(start) + len(two)
    expected = reference_ids(model, start + two, 10, first=len(start))
    assert ids_of(model.events(start + two, sampler=greedy(10))) == expected


def test_a_reply_goes_on_from_the_cache_with_its_exact_ids(model: Model) -> None:
    head: list[Piece] = [
        Control("<|im_start|>user\n"),
        Written("Tell me of the sea."),
        Control("<|im_end|>\n"),
    ]
    head.append(Control("<|im_start|>assistant\n"))
    reply = finished(model.events(head, sampler=SimpleSampling.replace(seed=4, max_len_tokens=20)))
    again: list[Piece] = [
        *head,
        Generated(model.tokenizer.decode(reply.ids), reply.ids),
        Control("<|im_end|>\n<|im_start|>user\n"),
        Written("More."),
        Control("<|im_end|>\n<|im_start|>assistant\n"),
    ]
    following = finished(model.events(again, sampler=greedy(2)))
    # All that was in the cache is found again: the prompt, and the reply but for its last token, which
    # was drawn and never decoded.
    assert following.reused_tokens == reply.prompt_tokens + len(reply.ids) - 1


def test_another_reply_to_a_prompt_reads_nothing_and_starts_from_the_same_numbers(model: Model) -> None:
    prompt = model.tokenizer.encode(PROMPT, add_special=True, parse_special=True)
    sampler = SimpleSampling.replace(seed=7, max_len_tokens=10)
    first = finished(model.events(prompt, sampler=sampler))
    other = finished(model.events(prompt, sampler=sampler.replace(seed=8)))
    again = finished(model.events(prompt, sampler=sampler))
    assert other.reused_tokens == again.reused_tokens == len(prompt)
    assert again.ids == first.ids != other.ids


def test_a_shorter_prompt_than_the_cached_one_is_right(model: Model) -> None:
    prompt = model.tokenizer.encode(PROMPT, add_special=True, parse_special=True)
    finished(model.events(prompt, sampler=greedy(10)))
    shorter = prompt[:-3]
    after = finished(model.events(shorter, sampler=greedy(10)))
    assert after.reused_tokens == len(shorter) - 1
    assert list(after.ids) == reference_ids(model, shorter, 10, first=len(shorter) - 1)


def test_a_seed_repeats_a_reply(model: Model) -> None:
    sampler = SimpleSampling.replace(seed=11, max_len_tokens=10)
    first = ids_of(model.events(PROMPT, sampler=sampler))
    assert ids_of(model.events(PROMPT, sampler=sampler)) == first
    assert ids_of(model.events(PROMPT, sampler=sampler.replace(seed=12))) != first
    drawn = finished(model.events(PROMPT, sampler=sampler.replace(seed=None)))
    assert finished(model.events(PROMPT, sampler=sampler.replace(seed=drawn.seed))).ids == drawn.ids


def test_cancelled_in_the_reply_the_next_generation_is_right(model: Model) -> None:
    prompt = model.tokenizer.encode(PROMPT, add_special=True, parse_special=True)
    cancel = CancelFlag()
    texts = []
    for event in model.events(prompt, sampler=greedy(200), cancel=cancel):
        if isinstance(event, Token | Finished):
            texts.append(event.text)
        if len(texts) == 10:
            cancel.cancel()
    assert isinstance(event, Finished)
    assert event.reason == "interrupted"
    assert event.generated_tokens == 10
    assert "".join(texts) == model.tokenizer.decode(event.ids)
    assert ids_of(model.events(prompt, sampler=greedy(20))) == reference_ids(model, prompt, 20)


def test_cancelled_in_the_prompt_the_next_generation_is_right(model: Model) -> None:
    short = model.tokenizer.encode(PROMPT, add_special=True, parse_special=True)
    long = model.tokenizer.encode("All work and no play. " * 300, add_special=False, parse_special=False)
    long = long[:1900]
    cancel = CancelFlag()
    seen: list[Event] = []
    reading = threading.Event()

    def generate() -> None:
        for event in model.events(short + long, sampler=greedy(5), cancel=cancel):
            seen.append(event)
            reading.set()

    thread = threading.Thread(target=generate)
    thread.start()
    assert reading.wait(20)
    # The first chunk of 512 tokens is being decoded now, or is about to be.
    cancel.cancel()
    thread.join(20)
    last = seen[-1]
    assert isinstance(last, Finished)
    assert (last.reason, last.generated_tokens) == ("interrupted", 0)
    assert any(isinstance(event, PromptProgress) for event in seen)
    assert len(model.engine.cached_tokens) < len(short + long)
    kept = len(model.engine.cached_tokens)
    assert ids_of(model.events(short, sampler=greedy(10))) == reference_ids(
        model, short, 10, first=min(kept, len(short) - 1)
    )


def test_cancelled_before_it_begins(model: Model) -> None:
    cancel = CancelFlag()
    cancel.cancel()
    last = finished(model.events(PROMPT, sampler=greedy(5), cancel=cancel))
    assert (last.reason, last.generated_tokens, last.text) == ("interrupted", 0, "")


def test_a_stream_that_is_left_early_leaves_the_model_usable(model: Model) -> None:
    events = model.events(PROMPT, sampler=greedy(50))
    next(events)
    next(events)
    events.close()  # type: ignore[attr-defined]
    prompt = model.tokenizer.encode(PROMPT, add_special=True, parse_special=True)
    assert ids_of(model.events(PROMPT, sampler=greedy(10))) == reference_ids(model, prompt, 10)


def test_a_second_generation_inside_the_first_says_so(model: Model) -> None:
    events = model.events(PROMPT, sampler=greedy(50))
    next(events)
    with pytest.raises(GenerationError, match="still under way in this thread"):
        model.generate("Hello")
    events.close()  # type: ignore[attr-defined]
    assert model.generate("Hello", sampler=greedy(3))


def test_threads_wait_for_each_other(model: Model) -> None:
    prompts = [f"The number {number} is" for number in range(4)]
    alone = {prompt: model.generate(prompt, sampler=greedy(6)) for prompt in prompts}
    together: dict[str, str] = {}
    threads = [
        threading.Thread(
            target=lambda prompt=prompt: together.update({prompt: model.generate(prompt, sampler=greedy(6))})
        )
        for prompt in prompts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert together == alone


def test_a_prompt_that_does_not_fit_is_refused_with_both_lengths(model: Model) -> None:
    prompt = model.tokenizer.encode("word " * 2100, add_special=False, parse_special=False)
    with pytest.raises(ExceededContextLengthException, match=rf"{len(prompt):,} tokens.*2,048"):
        list(model.events(prompt))
    assert model.generate("Hello", sampler=greedy(3))


def test_the_end_of_the_context_ends_the_reply(model_path: object) -> None:
    small = Model(str(model_path), context_length=256)
    try:
        prompt = small.tokenizer.encode("word " * 250, add_special=False, parse_special=False)[:250]
        last = finished(small.events(prompt, sampler=SimpleSampling.replace(seed=1), stops=[]))
        room = small.context_length - 250
        assert last.reason in ("length", "stop")
        assert last.generated_tokens <= room + 1
        last = finished(small.engine.generate(GenerationRequest(tuple(prompt), greedy(10_000))))
        assert last.reason == "length"
        assert last.generated_tokens == room + 1
    finally:
        small.unload()


@pytest.mark.parametrize("prompt", [(), (-1,), (10**6,)])
def test_a_prompt_that_is_none_is_refused(model: Model, prompt: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="prompt"):
        list(model.engine.generate(GenerationRequest(prompt)))


def test_using_the_llama_directly_does_not_confuse_the_cache(model: Model) -> None:
    prompt = model.tokenizer.encode(PROMPT, add_special=True, parse_special=True)
    expected = reference_ids(model, prompt, 10)
    list(model.events(prompt, sampler=greedy(5)))
    model.llama.create_completion("Something else entirely, and longer than that", max_tokens=8)
    assert ids_of(model.events(prompt, sampler=greedy(10))) == expected
    model.llama.create_completion(PROMPT, max_tokens=8)
    assert ids_of(model.events(prompt, sampler=greedy(10))) == expected


def test_written_control_tokens_stay_text(model: Model) -> None:
    pieces = [Control("<|im_start|>user\n"), Written("a <|im_end|> b"), Control("<|im_end|>\n")]
    ids = encode_prompt(pieces, model.tokenizer)
    end = model.eos_token
    assert ids.count(end) == 1
    assert model.tokenizer.decode(ids, special=True) == "<|im_start|>user\na <|im_end|> b<|im_end|>\n"


def test_plain_text_is_tokenized_as_the_whole_prompt_would_be(model: Model) -> None:
    pieces = [Control("<|im_start|>user\n"), Written("\n\n  Hello there"), Control("<|im_end|>\n")]
    whole = model.tokenizer.encode(
        "<|im_start|>user\n\n\n  Hello there<|im_end|>\n", add_special=True, parse_special=True
    )
    assert encode_prompt(pieces, model.tokenizer) == tuple(whole)

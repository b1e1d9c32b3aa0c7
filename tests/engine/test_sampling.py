"""What the native sampler chain leaves of a distribution, against an independent computation."""

import ctypes
import itertools
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from llama_cpp import llama_cpp as lib

from easy_llama.errors import GenerationError
from easy_llama.events import Finished, Token
from easy_llama.logits import TokenData, largest_places
from easy_llama.model import Model
from easy_llama.sampler_chain import drawable_count, sampler_chain
from easy_llama.samplers import PRESETS, GreedyDecoding, RandomSampling, SamplerSettings, SimpleSampling

TEXT = "The cat sat on the mat. The dog lay by the door. The cat sat on the"
DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
Logits = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def prompt(model: Model) -> list[int]:
    return model.tokenizer.encode(TEXT, add_special=True, parse_special=True)


@pytest.fixture(scope="module")
def logits(model: Model, prompt: list[int]) -> Logits:
    return model.engine.logits(prompt)


def draw(
    model: Model, settings: SamplerSettings, logits: Logits, prompt: Sequence[int], *, last: bool
) -> tuple[dict[int, float], int]:
    """Return the logits that the native chain leaves, by id, and the id that it draws.

    Without `last` the chain's last sampler, which draws, is taken away; then the id is -1.
    """
    data = np.zeros(len(logits), dtype=DATA)
    data["id"] = np.arange(len(logits))
    data["logit"] = logits
    array = lib.llama_token_data_array(
        data=data.ctypes.data_as(lib.llama_token_data_p), size=len(data), selected=-1, sorted=False
    )
    vocab = lib.llama_model_get_vocab(model.llama.model)
    length = model.context_length
    with sampler_chain(settings, vocab=vocab, seed=1, context=prompt, context_length=length) as chain:
        if not last:
            end = lib.llama_sampler_chain_n(chain) - 1
            lib.llama_sampler_free(lib.llama_sampler_chain_remove(chain, end))
        lib.llama_sampler_apply(chain, ctypes.byref(array))
    # XTC moves the array's begin.
    rows = [array.data[place] for place in range(array.size)]
    left = {row.id: row.logit for row in rows if row.logit > -np.inf}
    return left, rows[array.selected].id if last else -1


def probabilities(left: dict[int, float]) -> dict[int, float]:
    values = np.array(list(left.values()), dtype=np.float64)
    shares = np.exp(values - values.max())
    return dict(zip(left, shares / shares.sum(), strict=True))


def softmax(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shares = np.exp(values - values.max())
    return shares / shares.sum()


def penalised(settings: SamplerSettings, logits: Logits, prompt: Sequence[int]) -> npt.NDArray[np.float64]:
    values = logits.astype(np.float64)
    last_n = settings.penalty_last_n or 0
    seen = prompt if last_n < 0 else prompt[len(prompt) - min(last_n, len(prompt)) :]
    for token in set(seen):
        repeat = settings.repeat_penalty or 1.0
        values[token] = values[token] / repeat if values[token] > 0 else values[token] * repeat
        values[token] -= list(seen).count(token) * (settings.frequency_penalty or 0.0)
        values[token] -= settings.presence_penalty or 0.0
    return values


def expected(settings: SamplerSettings, logits: Logits, prompt: Sequence[int]) -> dict[int, float]:
    """The distribution that is drawn from, computed from the definitions of the samplers."""
    biased = logits.copy()
    for token, bias in (settings.logit_bias or {}).items():
        biased[token] += np.float32(bias)
    values = penalised(settings, biased, prompt)
    ids = np.argsort(-values, kind="stable")
    if settings.is_greedy:
        return {int(ids[0]): 1.0}
    if (settings.top_n_sigma or 0.0) > 0:
        finite = values[np.isfinite(values)]
        ids = ids[values[ids] >= values.max() - settings.top_n_sigma * finite.std()]
    if (settings.top_k or 0) > 0:
        ids = ids[: settings.top_k]
    if settings.typical_p is not None and settings.typical_p < 1:
        shares = softmax(values[ids])
        surprise = -np.log(np.maximum(shares, 1e-300))
        order = np.argsort(np.abs(surprise - (shares * surprise).sum()), kind="stable")
        kept = order[: 1 + int(np.searchsorted(np.cumsum(shares[order]), settings.typical_p, side="right"))]
        ids = np.sort(ids[kept])[np.argsort(-values[np.sort(ids[kept])], kind="stable")]
    if settings.top_p is not None and settings.top_p < 1:
        ids = ids[: 1 + int(np.searchsorted(np.cumsum(softmax(values[ids])), settings.top_p))]
    if settings.min_p:
        shares = softmax(values[ids])
        ids = ids[shares >= settings.min_p * shares.max()]
    shares = softmax(values[ids] / (1.0 if settings.temp is None else settings.temp))
    return {int(token): float(share) for token, share in zip(ids, shares, strict=True) if share > 0}


PENALTIES = SimpleSampling.replace(repeat_penalty=1.3, frequency_penalty=0.4, presence_penalty=0.7)
OTHERS = {
    "typical": SimpleSampling.replace(typical_p=0.5),
    "typical of few": SimpleSampling.replace(typical_p=0.6, top_k=30),
    "typical after top-n-sigma": SimpleSampling.replace(typical_p=0.7, top_n_sigma=2.0),
    "top-n-sigma": SimpleSampling.replace(top_n_sigma=1.5),
    "penalties": PENALTIES,
    "penalties of the last few": PENALTIES.replace(penalty_last_n=5),
    "penalties of the whole context": PENALTIES.replace(penalty_last_n=-1),
    "penalties of nothing": PENALTIES.replace(penalty_last_n=0),
    "logit bias": SimpleSampling.replace(logit_bias={335: 4.0, 260: -2.5, 0: float("-inf")}),
    "all off": SamplerSettings(
        temp=None, top_p=None, min_p=None, top_k=None, typical_p=None, top_n_sigma=None, dry_multiplier=None
    ),
}


@pytest.mark.parametrize("name", [*PRESETS, *OTHERS])
def test_what_is_drawn_from_is_what_the_definitions_say(
    model: Model, prompt: list[int], logits: Logits, name: str
) -> None:
    settings = (PRESETS | OTHERS)[name]
    left, token = draw(model, settings, logits, prompt, last=settings.is_greedy)
    found = {token: 1.0} if settings.is_greedy else probabilities(left)
    wanted = expected(settings, logits, prompt)
    both = set(found) | set(wanted)
    # What is all but impossible, llama.cpp may round to nothing.
    assert {one for one in both if (one in found) != (one in wanted) and wanted.get(one, 1) > 1e-12} == set()
    differences = [abs(found.get(one, 0.0) - wanted.get(one, 0.0)) for one in both]
    assert max(differences) < 1e-5 and sum(wanted.values()) == pytest.approx(1)


def test_the_settings_above_are_not_all_alike(prompt: list[int], logits: Logits) -> None:
    values = [expected(settings, logits, prompt) for settings in OTHERS.values()]
    alike = [(one, other) for one, other in itertools.combinations(values, 2) if one == other]
    # Without what the penalties look at, nothing is penalised; and the prompt is shorter than 64 tokens.
    assert len(alike) == 2


def test_xtc_leaves_the_least_likely_of_the_likely_ones(
    model: Model, prompt: list[int], logits: Logits
) -> None:
    whole = expected(SimpleSampling, logits, prompt)
    likely = [token for token in sorted(whole, key=lambda one: -whole[one]) if whole[token] >= 0.02]
    assert len(likely) >= 3
    xtc = SimpleSampling.replace(xtc_probability=1.0, xtc_threshold=0.02)
    left, _ = draw(model, xtc, logits, prompt, last=False)
    assert set(whole) - set(left) == set(likely[:-1])
    # The likeliest token is not sacred: where it is taken away, the next one is the greedy choice.
    assert draw(model, xtc.replace(temp=0.0), logits, prompt, last=True)[1] == likely[-1]
    never, _ = draw(model, xtc.replace(xtc_threshold=0.6), logits, prompt, last=False)
    assert set(never) >= set(likely)


def test_greedy_takes_the_likeliest_of_the_typical(model: Model, prompt: list[int], logits: Logits) -> None:
    typical = SimpleSampling.replace(typical_p=0.2)
    left = expected(typical, logits, prompt)
    likeliest = max(left, key=lambda one: left[one])
    assert draw(model, typical.replace(temp=0.0), logits, prompt, last=True)[1] == likeliest


def test_dry_takes_more_off_the_longer_the_repetition(
    model: Model, prompt: list[int], logits: Logits
) -> None:
    # " cat sat on the" was there before, and " mat" came after it.
    mat, length = prompt[5], 4
    assert model.tokenizer.decode([mat]) == " mat" and prompt[1:5] == prompt[-length:]

    def taken_off(**changes: object) -> float:
        dry = SimpleSampling.replace(dry_multiplier=0.8, **changes)
        left, _ = draw(model, dry, logits, prompt, last=False)
        others = [one for one in left if abs(left[one] - logits[one]) > 1e-4 and one != mat]
        assert others == [] or changes.get("dry_allowed_length") == 1
        return float(logits[mat]) - left[mat]

    first = int(prompt[0] == prompt[-length - 1])
    assert taken_off() == pytest.approx(0.8 * 1.75 ** (length + first - 2), abs=1e-4)
    assert taken_off(dry_base=2.0) == pytest.approx(0.8 * 2.0 ** (length + first - 2), abs=1e-4)
    assert taken_off(dry_allowed_length=10) == 0
    assert taken_off(dry_penalty_last_n=0) == 0
    assert taken_off(dry_penalty_last_n=8) == 0
    assert taken_off(dry_sequence_breakers=(" sat",)) < taken_off(dry_sequence_breakers=())


def drawn(model: Model, settings: SamplerSettings, rows: Sequence[Logits], count: int | None) -> list[int]:
    """Return what a chain draws from rows of logits, one after the other, given so many of the likeliest."""
    data, tokens = TokenData(model.n_vocab), []
    length = model.context_length
    vocab = model.tokenizer.vocab
    with sampler_chain(settings, vocab=vocab, seed=1, context=[1, 2, 3], context_length=length) as chain:
        for logits in rows:
            data.take(logits, count)
            data.apply(chain)
            token, logit = data.drawn
            assert logit > -np.inf
            lib.llama_sampler_accept(chain, token)
            tokens.append(token)
    return tokens


@given(
    settings=st.builds(
        SamplerSettings,
        temp=st.sampled_from([0.0, 0.8, 1.0, None]),
        top_k=st.sampled_from([1, 2, 40]),
        top_p=st.sampled_from([0.5, 0.9, 1.0]),
        min_p=st.sampled_from([0.0, 0.05]),
        repeat_penalty=st.sampled_from([1.0, 1.0, 1.5]),
        frequency_penalty=st.sampled_from([0.0, 2.0]),
        presence_penalty=st.sampled_from([0.0, 2.0]),
        penalty_last_n=st.sampled_from([64, 4, 0]),
        typical_p=st.sampled_from([1.0, 1.0, 0.5]),
        top_n_sigma=st.sampled_from([-1.0, -1.0, 1.5]),
        xtc_probability=st.sampled_from([0.0, 0.0, 0.6]),
        dry_multiplier=st.sampled_from([0.0, 3.0]),
        dry_allowed_length=st.just(1),
        dry_penalty_last_n=st.sampled_from([3, 64]),
    ),
    # Of the likeliest tokens these, in their order, are made less likely.
    biased=st.dictionaries(st.integers(0, 60), st.sampled_from([-3.0, float("-inf")]), max_size=50),
    seed=st.integers(0, 2**32 - 1),
)
@example(settings=SamplerSettings(), biased={}, seed=0)
@example(settings=GreedyDecoding, biased=dict.fromkeys(range(20), float("-inf")), seed=0)
@example(settings=GreedyDecoding.replace(repeat_penalty=2.0), biased={}, seed=0)
def test_what_is_left_out_of_a_draw_could_not_have_been_drawn(
    model: Model, settings: SamplerSettings, biased: dict[int, float], seed: int
) -> None:
    chance = np.random.default_rng(seed)
    # The same few are the likeliest again and again, so that penalties matter. No two are just as likely:
    # which of these comes first is nobody's promise.
    basis = chance.permutation(model.n_vocab)
    steps = [basis + chance.permutation(model.n_vocab) // 50 for _ in range(6)]
    rows = [(np.argsort(np.argsort(step)) / 1000).astype(np.float32) for step in steps]
    likeliest = np.argsort(-basis)
    settings = settings.replace(logit_bias={int(likeliest[place]): bias for place, bias in biased.items()})
    count = drawable_count(settings, model.n_vocab, model.context_length)
    if (settings.top_n_sigma or 0) <= 0:
        assert count is not None and count <= 40 + 50 + 64 + 64
    assert drawn(model, settings, rows, count) == drawn(model, settings, rows, None)


def test_of_most_presets_only_a_few_tokens_can_be_drawn(model: Model) -> None:
    found = {
        name for name, preset in PRESETS.items() if drawable_count(preset, model.n_vocab, 4096) is not None
    }
    assert found == {name for name, preset in PRESETS.items() if preset.is_greedy or (preset.top_k or 0) > 0}
    logits = np.random.default_rng(1).normal(0.0, 3.0, model.n_vocab).astype(np.float32)
    data = TokenData(model.n_vocab)
    data.take(logits, drawable_count(SamplerSettings(), model.n_vocab, 4096))
    assert 40 <= len(data.left) < 400


@pytest.mark.parametrize(
    "changes",
    [
        {"repeat_penalty": 0.9},
        {"frequency_penalty": -0.1},
        {"presence_penalty": -0.1},
        {"logit_bias": {5: 0.1}},
        {"top_k": 0},
        {"top_k": None},
        {"top_k": 1000},
        {"top_n_sigma": 1.0},
        {"mirostat": 2},
        {"grammar": 'root ::= "a"'},
        {"dry_multiplier": 0.8, "dry_penalty_last_n": -1},
    ],
)
def test_where_any_token_may_be_drawn_all_are_looked_at(changes: dict[str, object]) -> None:
    settings = SamplerSettings().replace(**changes)
    assert drawable_count(settings, 49_152, 4096) is None


@given(
    n_blocks=st.integers(1, 20),
    rest=st.integers(0, 63),
    count=st.integers(1, 25),
    rare=st.sampled_from([None, float("-inf"), 5.0, float("nan")]),
    seed=st.integers(0, 2**32 - 1),
)
@example(n_blocks=20, rest=63, count=20, rare=5.0, seed=1)
def test_the_largest_places_hold_the_largest_values(
    n_blocks: int, rest: int, count: int, rare: float | None, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    row = chance.normal(size=64 * n_blocks + rest).astype(np.float32)
    if rare is not None:
        row[chance.random(len(row)) < 0.3] = rare
    places = largest_places(row, count)
    assert list(places) == sorted(set(places)) and len(places) >= min(count, len(row))
    if not np.isnan(row).any():
        wanted = np.sort(row)[::-1][:count]
        assert np.array_equal(np.sort(row[places])[::-1][: len(wanted)], wanted)


def test_of_many_values_few_places_are_left() -> None:
    row = np.random.default_rng(3).normal(size=64 * 700).astype(np.float32)
    assert 40 <= len(largest_places(row, 40)) < 60 and len(largest_places(row, 1)) == 1
    assert len(largest_places(row, 701)) == len(row)


@pytest.mark.parametrize("tau", [1.0, 2.5, 5.0])
def test_mirostat_2_leaves_what_surprises_less_than_it_aims_at(
    model: Model, prompt: list[int], logits: Logits, tau: float
) -> None:
    left, token = draw(model, SimpleSampling.replace(mirostat=2, mirostat_tau=tau), logits, prompt, last=True)
    whole = expected(SimpleSampling, logits, prompt)
    # It begins at twice the surprise that it aims at; the likeliest token always stays.
    wanted = {one for one, share in whole.items() if -np.log2(share) <= 2 * tau}
    assert token in left
    assert set(left) == wanted or len(left) == 1


def test_mirostat_1_leaves_the_likeliest_and_more_of_them_the_higher_it_aims(
    model: Model, prompt: list[int], logits: Logits
) -> None:
    order = np.argsort(-logits, kind="stable")
    sizes = []
    for tau in (0.5, 3.0, 6.0):
        mirostat = SimpleSampling.replace(mirostat=1, mirostat_tau=tau)
        left, token = draw(model, mirostat, logits, prompt, last=True)
        assert set(left) == set(order[: len(left)].tolist()) and token in left
        sizes.append(len(left))
    assert sizes[0] < sizes[1] < sizes[2] < len(order)


@pytest.mark.parametrize(
    "changes",
    [
        {"mirostat": 1},
        {"mirostat": 2, "mirostat_eta": 0.3},
        {"xtc_probability": 0.5, "xtc_threshold": 0.05},
        {"dry_multiplier": 0.8, "typical_p": 0.9, "top_n_sigma": 1.0, "logit_bias": {5: 1.0}},
    ],
)
def test_a_seed_repeats_the_reply(model: Model, changes: dict[str, object]) -> None:
    settings = SamplerSettings(seed=7, max_len_tokens=8).replace(**changes)
    text = model.generate(TEXT, sampler=settings)
    assert text and model.generate(TEXT, sampler=settings) == text
    others = {model.generate(TEXT, sampler=settings.replace(seed=seed)) for seed in (8, 9)}
    assert others != {text}


@pytest.mark.parametrize(
    "settings",
    [
        GreedyDecoding,
        RandomSampling,
        SamplerSettings(repeat_penalty=1.5, dry_multiplier=1.0),
        SamplerSettings(typical_p=0.5, top_n_sigma=1.0, xtc_probability=1.0, xtc_threshold=0.0),
        SamplerSettings(mirostat=1),
        SamplerSettings(mirostat=2),
    ],
)
def test_a_grammar_is_followed_to_its_end(model: Model, settings: SamplerSettings) -> None:
    grammar = 'root ::= "The answer is " ("yes" | "no") "."'
    for _ in range(2):  # the second time the prompt's logits are kept
        events = list(model.events(TEXT, sampler=settings.replace(grammar=grammar, seed=3)))
        text = "".join(event.text for event in events if isinstance(event, Token | Finished))
        assert text in ("The answer is yes.", "The answer is no.")
        assert isinstance(events[-1], Finished) and events[-1].reason == "stop"


def test_a_json_schema_is_followed(model: Model) -> None:
    schema = {
        "type": "object",
        "properties": {"animal": {"enum": ["cat", "dog"]}, "legs": {"type": "integer", "minimum": 0}},
        "required": ["animal", "legs"],
        "additionalProperties": False,
    }
    for written in (schema, json.dumps(schema)):
        text = model.generate(TEXT, sampler=GreedyDecoding.replace(json_schema=written, max_len_tokens=80))
        reply = json.loads(text)
        assert reply["animal"] in ("cat", "dog") and isinstance(reply["legs"], int)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"grammar": 'root ::= root "a" | "b"'}, "grammar.*left recursion"),
        ({"grammar": 'answer ::= "a"'}, "grammar.*root"),
        ({"grammar": "root ::= bar"}, "grammar.*Undefined rule identifier 'bar'"),
        ({"grammar": "   "}, "grammar"),
        ({"json_schema": {"$ref": "#/nowhere"}}, "json_schema"),
        ({"json_schema": {"type": "string", "pattern": "no anchors"}}, "json_schema"),
        ({"logit_bias": {10**6: 1.0}}, "logit_bias.*1000000"),
    ],
)
def test_what_llama_cpp_cannot_follow_is_named_before_the_prompt_is_read(
    model: Model, changes: dict[str, object], field: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model.engine.forget()
    with pytest.raises(ValueError, match=field):
        list(model.events(TEXT, sampler=SamplerSettings(**changes)))
    assert model.engine.cached_tokens == ()
    # llama.cpp would print it, over whatever is on the screen.
    assert capfd.readouterr() == ("", "")


def test_where_no_token_is_possible_an_error_says_so(model: Model) -> None:
    has_x = [token for token in range(model.n_vocab) if b"x" in model.tokenizer.bytes_of(token)]
    banned = dict.fromkeys(has_x, float("-inf"))
    for grammar in ('root ::= "x"', 'root ::= "ab" "x"'):
        with pytest.raises(GenerationError, match="grammar"):
            model.generate(TEXT, sampler=SamplerSettings(grammar=grammar, logit_bias=banned))
    assert model.generate(TEXT, sampler=GreedyDecoding.replace(max_len_tokens=3))


@pytest.mark.parametrize("settings", [GreedyDecoding, SamplerSettings()])
def test_a_model_that_computes_no_numbers_is_told_of(
    model: Model, settings: SamplerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = np.full(model.n_vocab, np.nan, dtype=np.float32)
    monkeypatch.setattr("easy_llama.logits.LogitRows.row", lambda rows, number=-1: nothing)
    model.engine.forget()
    with pytest.raises(GenerationError, match=r"no number.*another file"):
        model.generate(TEXT, sampler=settings)
    model.engine.forget()


def test_a_bias_makes_a_reply_of_one_token(model: Model) -> None:
    token = model.tokenizer.encode(" sea", add_special=False, parse_special=False)[0]
    settings = SamplerSettings(logit_bias={token: 1000.0}, max_len_tokens=3)
    assert model.generate(TEXT, sampler=settings) == " sea sea sea"

"""A person's own presets on the disk, and what is told and typed of each setting."""

import dataclasses
import math
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easy_llama.samplers import PRESETS, DefaultSampling, SamplerSettings
from easy_llama_tui.samplers.sampler_editing import (
    resting_reason,
    same,
    shown_value,
    stepped,
    switched,
    text_of,
    typed_value,
    value_from,
    value_of_text,
)
from easy_llama_tui.samplers.sampler_fields import FIELDS, SamplerField
from easy_llama_tui.samplers.sampler_presets import (
    PresetError,
    checked_name,
    delete_preset,
    load_presets,
    presets_folder,
    save_preset,
)

NUMBERS = [one for one in FIELDS.values() if one.kind != "text"]
EVERYTHING = SamplerSettings(
    max_len_tokens=100,
    temp=0.7,
    top_p=0.9,
    min_p=0.1,
    frequency_penalty=-0.5,
    presence_penalty=0.3,
    repeat_penalty=1.2,
    top_k=33,
    seed=2**32 - 2,
    penalty_last_n=-1,
    typical_p=0.5,
    top_n_sigma=1.5,
    xtc_probability=0.25,
    xtc_threshold=0.2,
    dry_multiplier=0.8,
    dry_base=2.0,
    dry_allowed_length=3,
    dry_penalty_last_n=99,
    dry_sequence_breakers=("\n", '"', "\\", "é"),
    mirostat=2,
    mirostat_tau=4.0,
    mirostat_eta=0.2,
    logit_bias={5: -math.inf, 7: 1.5},
    grammar='root ::= "a"\r\n\x1b[31m',
)

# Files


@pytest.mark.parametrize(
    "values",
    [EVERYTHING, DefaultSampling, SamplerSettings(json_schema='{"type": "object"}'), *PRESETS.values()],
)
def test_a_saved_preset_comes_back(tmp_path: Path, values: SamplerSettings) -> None:
    path = save_preset(tmp_path / "a" / "samplers", "  Mine, 2 ", values)
    assert path.name == "Mine, 2.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_presets(path.parent) == ({"Mine, 2": values}, ())
    assert [one.name for one in path.parent.iterdir()] == ["Mine, 2.toml"]


def test_switched_off_by_none_does_the_same_when_it_comes_back(tmp_path: Path) -> None:
    off = SamplerSettings(
        **{one.name: None for one in NUMBERS if one.off is not None and one.name[:3] != "dry"}
    )
    save_preset(tmp_path, "off", off)
    (back,) = load_presets(tmp_path)[0].values()
    assert all(same(one, getattr(off, one.name), getattr(back, one.name)) for one in FIELDS.values())


def test_saving_again_replaces_and_deleting_takes_away(tmp_path: Path) -> None:
    save_preset(tmp_path, "mine", DefaultSampling)
    save_preset(tmp_path, "mine", EVERYTHING)
    assert load_presets(tmp_path)[0] == {"mine": EVERYTHING}
    delete_preset(tmp_path, "mine")
    delete_preset(tmp_path, "mine")
    assert load_presets(tmp_path) == ({}, ())


def test_a_folder_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert load_presets(tmp_path / "none") == ({}, ())
    assert presets_folder().name == "samplers"


def test_a_file_needs_to_name_only_what_it_changes(tmp_path: Path) -> None:
    (tmp_path / "warm.toml").write_text("temp = 1.5\n", encoding="utf-8")
    assert load_presets(tmp_path)[0] == {"warm": DefaultSampling.replace(temp=1.5)}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("temp = 1\ntmep = 2", "line 2: there is no setting 'tmep'; did you mean 'temp'?"),
        ("temp = 1\n\ntop_p = 3.5", "line 3: top_p must be from 0 to 1, not 3.5"),
        ("top_k = 'many'", "line 1: top_k must be int or None, not 'many'"),
        ("temp = true", "line 1: temp must be float or None, not True"),
        ("temp = nan", "line 1: temp must be"),
        ("temp = ", "at end of document"),
        ("logit_bias = '[1]'", "line 1: logit_bias must be JSON as this program writes it"),
        ("json_schema = '{'", "line 1: json_schema must be a JSON schema, and this is no JSON"),
        ("grammar = 'a'\njson_schema = '{}'", "grammar and json_schema exclude each other"),
        ("x = " + "[" * 9000, "mine.toml: "),
        ("x = " + "9" * 9000, "mine.toml: "),
        ("# " + "x" * 1_000_001, "it is too large"),
        ("temp = '\x07'", "line 1, column"),
    ],
)
def test_a_broken_file_is_reported_and_the_others_are_read(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    save_preset(tmp_path, "good", DefaultSampling)
    presets, problems = load_presets(tmp_path)
    assert list(presets) == ["good"]
    assert len(problems) == 1
    assert problems[0].startswith(f"{tmp_path / 'mine.toml'}: ") and reason in problems[0]
    assert problems[0].isprintable() and len(problems[0]) < 500


def test_what_is_no_text_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    (tmp_path / "tempsampling.toml").touch()
    (tmp_path / "lowtempsampling.toml").touch()
    presets, problems = load_presets(tmp_path)
    assert list(presets) == ["tempsampling"]
    assert len(problems) == 3
    assert "lowtempsampling is a built-in preset's name" in problems[2]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "needs a name"),
        ("  ", "needs a name"),
        ("a/b", "leave out /"),
        ("../x", "leave out /"),
        ("a\\b", "leave out"),
        ("a\x1bb", "leave out U\\+001B"),
        ("a\u202eb", "leave out U\\+202E"),
        ("\ud800", "leave out U\\+D800"),
        (".hidden", "begin or end with a dot"),
        ("..", "begin or end with a dot"),
        ("CON", "device"),
        ("nul.x", "device"),
        ("defaultsampling", "built-in preset's name"),
        ("x" * 41, "at most 40"),
        ("MINE", "There is mine already"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_in_words(tmp_path: Path, name: str, reason: str) -> None:
    save_preset(tmp_path, "mine", DefaultSampling)
    with pytest.raises(PresetError, match=reason):
        save_preset(tmp_path, name, EVERYTHING)
    assert load_presets(tmp_path)[0] == {"mine": DefaultSampling}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(max_size=45))
def test_a_name_is_refused_or_names_a_file_in_the_folder(tmp_path: Path, name: str) -> None:
    try:
        tidy = checked_name(name)
    except PresetError:
        return
    folder = tmp_path / "samplers"
    path = save_preset(folder, name, EVERYTHING)
    assert path.parent == folder
    assert load_presets(folder) == ({tidy: EVERYTHING}, ())
    delete_preset(folder, name)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PresetError, match="could not be saved in"):
        save_preset(tmp_path / "file", "mine", DefaultSampling)


# What is told and typed


def test_every_setting_has_one_row() -> None:
    assert sorted(FIELDS) == sorted(field.name for field in dataclasses.fields(SamplerSettings))


def bounds(one: SamplerField) -> tuple[float, float]:
    """The stated range, as far as the numbers of C go."""
    limit = 2**31 - 1 if one.kind == "whole" else 3e38
    return max(one.low, -limit), min(one.high, limit)


def number(one: SamplerField, low: float, high: float) -> st.SearchStrategy[int | float]:
    if one.kind == "whole":
        return st.integers(math.ceil(low), math.floor(high))
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


def beyond(one: SamplerField) -> list[st.SearchStrategy[int | float]]:
    found = []
    if one.low > -math.inf:
        found.append(number(one, -(2**40), one.low - (1 if one.kind == "whole" else 1e-7)))
    if one.high < math.inf:
        found.append(number(one, one.high + (1 if one.kind == "whole" else 1e-7), 2**40))
    return found


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_stated_range_is_what_the_settings_accept(data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(NUMBERS))
    value = data.draw(
        st.sampled_from(bounds(one)) if one.kind == "number" else st.nothing() | number(one, *bounds(one))
    )
    inside = data.draw(number(one, *bounds(one)))
    for accepted in (value, inside):
        assert getattr(SamplerSettings(**{one.name: accepted}), one.name) == accepted
    if outside := beyond(one):
        with pytest.raises(ValueError, match=one.name):
            SamplerSettings(**{one.name: data.draw(st.one_of(outside))})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("temp", "0 or more · 1 is off"),
        ("top_p", "0 to 1 · 1 is off"),
        ("top_k", "any whole number · below 1 is off"),
        ("repeat_penalty", "above 0 · 1 is off"),
        ("penalty_last_n", "-1 or more · 0 is off · -1 is all"),
        ("frequency_penalty", "any number · 0 is off"),
        ("seed", "0 to 4,294,967,294 · from the next reply on"),
        ("grammar", "from the next reply on"),
    ],
)
def test_ranges_are_told_in_words(name: str, text: str) -> None:
    assert FIELDS[name].range_text == text


@pytest.mark.parametrize("one", [one for one in NUMBERS if one.off is not None], ids=lambda one: one.name)
def test_off_and_usual_values_are_allowed_and_what_they_say(one: SamplerField) -> None:
    assert one.is_off(one.off) and one.is_off(None)
    assert not one.is_off(one.usual)
    for value in (one.off, one.usual, *one.ladder):
        SamplerSettings(**{one.name: value})


@settings(max_examples=200, deadline=None)
@given(data=st.data(), direction=st.sampled_from([-1, 1]))
def test_steps_lead_to_allowed_values_and_come_to_an_end(data: st.DataObject, direction: int) -> None:
    one = data.draw(st.sampled_from(NUMBERS))
    value = data.draw(number(one, *bounds(one)))
    SamplerSettings(**{one.name: stepped(one, value, direction)})
    for _ in range(1000):
        following = stepped(one, value, direction)
        if following == value or one.name == "seed":
            break
        value = following
    assert one.name == "seed" or stepped(one, value, direction) == value


@pytest.mark.parametrize(
    ("name", "value", "direction", "following"),
    [
        ("temp", 0.8, 1, 0.85),
        ("temp", 0.83, -1, 0.8),
        ("temp", None, -1, 0.95),
        ("temp", 0.0, -1, 0.0),
        ("temp", 2.0**63, -1, 5.0),
        ("temp", 2.0**63, 1, 2.0**63),
        ("top_k", 1, 1, 5),
        ("top_k", 5, -1, 1),
        ("top_k", 40, 1, 50),
        ("top_k", 1000, 1, -1),
        ("top_k", -1, 1, -1),
        ("top_k", 0, -1, 1000),
        ("penalty_last_n", 0, 1, 16),
        ("penalty_last_n", -1, -1, 4096),
        ("top_n_sigma", -1.0, 1, 0.1),
        ("mirostat", 2, 1, 2),
        ("seed", None, 1, None),
        ("seed", 7, -1, 6),
        ("dry_allowed_length", 2, 1, 3),
    ],
)
def test_steps(name: str, value: float | None, direction: int, following: float | None) -> None:
    result = stepped(FIELDS[name], value, direction)
    assert result == (pytest.approx(following) if isinstance(following, float) else following)
    assert FIELDS[name].kind == "number" or isinstance(result, int | None)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_number_can_be_typed_as_it_is_shown_for_editing(data: st.DataObject) -> None:
    one = data.draw(st.sampled_from(NUMBERS))
    value = data.draw(number(one, *bounds(one)))
    assert value_from(one, typed_value(value)) == value


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("temp", " 0,5 ", 0.5),
        ("temp", "OFF", 1.0),
        ("top_k", "1,000", 1000),
        ("max_len_tokens", "no limit", -1),
        ("dry_penalty_last_n", "all", -1),
        ("seed", "", None),
        ("seed", "new", None),
    ],
)
def test_what_may_be_typed(name: str, typed: str, value: object) -> None:
    assert value_from(FIELDS[name], typed) == value


@pytest.mark.parametrize(
    ("name", "typed"), [("top_k", "4.5"), ("temp", ""), ("temp", "warm"), ("xtc_threshold", "off")]
)
def test_what_is_no_number_is_refused_by_name(name: str, typed: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be a"):
        value_from(FIELDS[name], typed)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("temp", 0.8, "0.80"),
        ("temp", 1.0, "1.00 off"),
        ("temp", 2.0**63, "9.2e+18"),
        ("min_p", 0.0125, "0.0125"),
        ("top_k", 0, "off"),
        ("top_k", 40, "40"),
        ("max_len_tokens", -5, "no limit"),
        ("penalty_last_n", -1, "all"),
        ("penalty_last_n", 0, "off"),
        ("seed", 5, "fixed 5"),
        ("seed", None, "drawn anew (last 9)"),
        ("grammar", None, "off"),
        ("grammar", "a\nb", "2 lines"),
        ("logit_bias", {1: 2.0}, "1 token"),
        ("dry_sequence_breakers", (), "0 texts"),
    ],
)
def test_values_are_shown(name: str, value: object, shown: str) -> None:
    assert shown_value(FIELDS[name], value, last_seed=9) == shown


def test_switching_goes_off_then_to_the_presets_value_else_to_the_one_before_else_to_a_usual_one() -> None:
    min_p = FIELDS["min_p"]
    off = DefaultSampling.replace(min_p=0.0)
    assert switched(min_p, DefaultSampling, DefaultSampling, None) == 0.0
    assert switched(min_p, off, DefaultSampling, 0.3) == 0.05
    assert switched(min_p, off, off, 0.3) == 0.3
    assert switched(min_p, off, off, None) == min_p.usual


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({}, "top_k", ""),
        ({"temp": 0.0}, "top_k", "temp is 0"),
        ({"temp": 0.0, "typical_p": 0.5}, "top_k", ""),
        ({"temp": 0.0}, "presence_penalty", ""),
        ({"mirostat": 2}, "top_k", "mirostat is on"),
        ({"mirostat": 2}, "temp", ""),
        ({}, "mirostat_tau", "mirostat is off"),
        ({}, "xtc_threshold", "xtc_probability is off"),
        ({}, "dry_base", "dry_multiplier is off"),
        ({"dry_multiplier": 1.0}, "dry_base", ""),
        ({"dry_multiplier": 1.0, "dry_penalty_last_n": 0}, "dry_multiplier", "dry_penalty_last_n is off"),
        ({}, "penalty_last_n", "no penalty is on"),
        ({"repeat_penalty": 1.1}, "penalty_last_n", ""),
        ({"penalty_last_n": 0, "repeat_penalty": 1.1}, "repeat_penalty", "penalty_last_n is off"),
    ],
)
def test_it_is_known_what_has_no_effect(changes: dict[str, float], name: str, reason: str) -> None:
    assert resting_reason(name, DefaultSampling.replace(**changes)) == reason


# What has several lines


@settings(max_examples=100, deadline=None)
@given(
    biases=st.dictionaries(
        st.integers(0, 2**31 - 1), st.floats(-1e30, 1e30, allow_nan=False) | st.just(-math.inf), max_size=4
    ),
    breakers=st.lists(st.text(min_size=1).filter(lambda text: "\0" not in text), max_size=4),
)
def test_what_has_several_lines_comes_back_from_its_text(
    biases: dict[int, float], breakers: list[str]
) -> None:
    before = SamplerSettings(logit_bias=biases, dry_sequence_breakers=tuple(breakers))
    after = SamplerSettings(
        **{
            name: value_of_text(name, text_of(name, getattr(before, name)))
            for name in ("logit_bias", "dry_sequence_breakers")
        }
    )
    assert after == before


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("grammar", " \n", None),
        ("json_schema", '{\n"type": "object"}', '{\n"type": "object"}'),
        ("logit_bias", "\n5 = -inf\n  6:1\n", {5: -math.inf, 6: 1.0}),
        ("logit_bias", "", None),
        ("dry_sequence_breakers", '\\n\n"\n\\\\\n\\"\n ', ("\n", '"', "\\", '"', " ")),
        ("dry_sequence_breakers", "", ()),
    ],
)
def test_texts_are_understood(name: str, text: str, value: object) -> None:
    assert value_of_text(name, text) == value


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("logit_bias", "1 = 2\nfive = 1", "logit_bias, line 2: write a token id"),
        ("logit_bias", "1 = 2 = 3", "logit_bias, line 1"),
        ("dry_sequence_breakers", "a\n\\q", "dry_sequence_breakers, line 2: after a backslash"),
        ("dry_sequence_breakers", "\\", "dry_sequence_breakers, line 1"),
    ],
)
def test_texts_that_are_not_understood_are_told_with_their_line(name: str, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        value_of_text(name, text)

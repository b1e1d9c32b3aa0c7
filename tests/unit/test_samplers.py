import json
import pickle
from dataclasses import fields

import pytest

from easy_llama import samplers
from easy_llama.samplers import PRESETS, DefaultSampling, LogitBias, SamplerSettings, preset, preset_name

DOCUMENTED = [
    *("GreedyDecoding", "DefaultSampling", "ClassicSampling", "SimpleSampling", "SemiSampling"),
    *("TikTokenSampling", "LowMinPSampling", "MinPSampling", "StrictMinPSampling", "ContrastiveSearch"),
    *("WarmContrastiveSearch", "RandomSampling", "LowTempSampling", "HighTempSampling"),
]


def test_every_documented_preset_is_there_by_name() -> None:
    assert list(PRESETS) == DOCUMENTED
    for name in DOCUMENTED:
        assert getattr(samplers, name) is PRESETS[name]
        assert preset_name(PRESETS[name].replace(seed=3)) == name


def test_the_defaults_are_llama_cpps() -> None:
    assert SamplerSettings() == SamplerSettings(
        max_len_tokens=-1,
        temp=0.8,
        top_p=0.95,
        min_p=0.05,
        frequency_penalty=0.0,
        presence_penalty=0.0,
        repeat_penalty=1.0,
        top_k=40,
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temp", -1.0),
        ("top_p", 1.5),
        ("min_p", -0.1),
        ("repeat_penalty", 0.0),
        ("temp", float("nan")),
        ("seed", -1),
        ("seed", 2**32 - 1),
        ("temp", float("inf")),
        ("frequency_penalty", float("inf")),
        ("temp", 1e39),
        ("top_k", 2**31),
        ("penalty_last_n", -2),
        ("typical_p", 1.5),
        ("top_n_sigma", float("nan")),
        ("xtc_probability", 2.0),
        ("xtc_threshold", -0.1),
        ("dry_multiplier", -1.0),
        ("dry_base", 0.5),
        ("dry_allowed_length", -1),
        ("dry_penalty_last_n", -2),
        ("mirostat", 3),
        ("mirostat_tau", -1.0),
        ("mirostat_eta", float("inf")),
        ("dry_sequence_breakers", ("",)),
        ("dry_sequence_breakers", ("a\0",)),
        ("logit_bias", {-1: 1.0}),
        ("logit_bias", {1: float("inf")}),
        ("logit_bias", {1: float("nan")}),
        ("grammar", "root ::= \0"),
        ("json_schema", "{"),
        ("json_schema", "[" * 100_000),
        ("json_schema", "[]"),
    ],
)
def test_a_value_that_makes_no_sense_names_its_field(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        SamplerSettings(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("temp", "hot"), ("top_k", 1.5), ("top_k", True), ("seed", "x"), ("mirostat", 1.0)],
        *[("xtc_threshold", None), ("dry_base", None), ("dry_allowed_length", None)],
        *[("dry_penalty_last_n", None), ("mirostat_tau", None), ("mirostat_eta", None)],
        *[("dry_sequence_breakers", "\n"), ("dry_sequence_breakers", (1,)), ("dry_sequence_breakers", None)],
        *[("logit_bias", {"1": 1.0}), ("logit_bias", {1: "x"}), ("logit_bias", {1: True}), ("logit_bias", 5)],
        *[("grammar", 5), ("json_schema", 5), ("json_schema", {"const": float})],
    ],
)
def test_a_value_of_another_type_names_its_field(field: str, value: object) -> None:
    with pytest.raises(TypeError, match=field):
        SamplerSettings(**{field: value})


def test_settings_never_change() -> None:
    with pytest.raises(AttributeError):
        DefaultSampling.temp = 0.1  # type: ignore[misc]
    assert DefaultSampling.replace(temp=None).temp is None
    assert DefaultSampling.temp == 0.8


def test_a_preset_is_found_by_name_and_a_wrong_name_helps() -> None:
    assert preset("greedydecoding") is samplers.GreedyDecoding
    with pytest.raises(ValueError, match="did you mean MinPSampling"):
        preset("MinPSamplin")
    with pytest.raises(ValueError, match="no sampler preset"):
        preset("@@@")


def test_what_llama_cpp_has_beside_the_documented_samplers_is_off() -> None:
    documented = ("max_len_tokens", "temp", "top_p", "min_p", "frequency_penalty", "presence_penalty")
    documented += ("repeat_penalty", "top_k", "seed")
    for settings in PRESETS.values():
        for field in fields(settings):
            if field.name not in documented:
                assert getattr(settings, field.name) == getattr(DefaultSampling, field.name)
    assert (DefaultSampling.typical_p, DefaultSampling.top_n_sigma) == (1.0, -1.0)
    assert not any(
        (DefaultSampling.xtc_probability, DefaultSampling.dry_multiplier, DefaultSampling.mirostat)
    )
    assert not any((DefaultSampling.logit_bias, DefaultSampling.has_grammar, DefaultSampling.has_penalties))


def test_a_logit_bias_never_changes_and_has_a_hash() -> None:
    biases = {5: 1, 7: float("-inf")}
    settings = SamplerSettings(logit_bias=biases)
    biases[5] = 2
    assert settings.logit_bias == {5: 1.0, 7: float("-inf")} == LogitBias([(7, float("-inf")), (5, 1.0)])
    again = SamplerSettings(logit_bias={7: float("-inf"), 5: 1.0})
    assert settings == again and hash(settings) == hash(again) and len({settings, again}) == 1
    assert settings != settings.replace(logit_bias={5: 1.0})
    with pytest.raises(TypeError):
        settings.logit_bias[5] = 3.0  # type: ignore[index]
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert repr(settings.logit_bias) == "LogitBias({5: 1.0, 7: -inf})"


def test_what_is_empty_is_off() -> None:
    assert SamplerSettings(logit_bias={}, grammar="", json_schema="") == SamplerSettings()
    assert not SamplerSettings(repeat_penalty=1.5, penalty_last_n=0).has_penalties


def test_a_schema_is_kept_as_text_in_its_own_order() -> None:
    schema = {"type": "object", "properties": {"z": {"const": "é"}, "a": {}}}
    settings = SamplerSettings(json_schema=schema)
    assert isinstance(settings.json_schema, str) and "é" in settings.json_schema
    assert list(json.loads(settings.json_schema)["properties"]) == ["z", "a"]
    assert settings.has_grammar and hash(settings) == hash(SamplerSettings(json_schema=settings.json_schema))


def test_a_grammar_and_a_schema_exclude_each_other() -> None:
    settings = SamplerSettings(grammar='root ::= "a"')
    with pytest.raises(ValueError, match="grammar and json_schema"):
        settings.replace(json_schema="{}")
    assert settings.replace(json_schema="{}", grammar=None).json_schema == "{}"

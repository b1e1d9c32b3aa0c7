import pytest

from easy_llama import samplers
from easy_llama.samplers import PRESETS, DefaultSampling, SamplerSettings, preset, preset_name

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
    ],
)
def test_a_value_that_makes_no_sense_names_its_field(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        SamplerSettings(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"), [("temp", "hot"), ("top_k", 1.5), ("top_k", True), ("seed", "x")]
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

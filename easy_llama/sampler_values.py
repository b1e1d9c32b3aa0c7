"""Sampler settings as plain values, as a session file holds them."""

import json
from collections.abc import Mapping
from dataclasses import fields

from easy_llama.samplers import PRESETS, DefaultSampling, SamplerSettings

__all__ = ["SamplerValue", "settings_from_values", "values_of"]

SamplerValue = int | float | str | bool

_ALWAYS = (
    *("max_len_tokens", "temp", "top_p", "min_p"),
    *("frequency_penalty", "presence_penalty", "repeat_penalty", "top_k"),
)
"""What a reader wants to see whatever the preset."""

_OFF: dict[str, SamplerValue] = {
    "max_len_tokens": -1,
    "temp": 1.0,
    "top_p": 1.0,
    "min_p": 0.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "repeat_penalty": 1.0,
    "top_k": -1,
    "penalty_last_n": 0,
    "typical_p": 1.0,
    "top_n_sigma": -1.0,
    "xtc_probability": 0.0,
    "dry_multiplier": 0.0,
    "mirostat": 0,
}
"""The value at which each sampler does nothing: TOML has no None."""

_AS_JSON = frozenset({"dry_sequence_breakers", "logit_bias"})
"""The settings of several values, which become JSON text."""

_FIELDS = tuple(field.name for field in fields(SamplerSettings))


def values_of(settings: SamplerSettings, preset_name: str) -> dict[str, SamplerValue]:
    """Return the documented settings, and those others that differ from the preset's.

    Args:
        settings: what is to be saved.
        preset_name: the preset that is saved beside the values; an unknown one counts as DefaultSampling.
    """
    base = PRESETS.get(preset_name, DefaultSampling)
    values: dict[str, SamplerValue] = {}
    for name in _FIELDS:
        value = getattr(settings, name)
        if name not in _ALWAYS and value == getattr(base, name):
            continue
        if value is None:
            if name in _OFF:
                values[name] = _OFF[name]
        elif name == "logit_bias":
            values[name] = json.dumps(dict(value))
        elif name in _AS_JSON:
            values[name] = json.dumps(value, ensure_ascii=False)
        else:
            values[name] = value
    return values


def settings_from_values(preset_name: str, values: Mapping[str, object]) -> SamplerSettings:
    """Return the settings of saved values; what is left out is as in the preset, unknown names are ignored.

    A preset that is not built in counts as DefaultSampling, as it does in `values_of`.

    Raises:
        ValueError, TypeError: a value makes no sense; the message names it.
    """
    known = {
        name: _from_json(name, value) if name in _AS_JSON else value
        for name, value in values.items()
        if name in _FIELDS
    }
    return PRESETS.get(preset_name, DefaultSampling).replace(**known)


def _from_json(name: str, text: object) -> object:
    """Return what a setting of several values has as JSON; the keys of a logit bias are token ids."""
    try:
        value = json.loads(str(text))
        return {int(token): bias for token, bias in value.items()} if name == "logit_bias" else value
    except (AttributeError, RecursionError, ValueError) as error:
        raise ValueError(f"{name} must be JSON as this program writes it, not {text!r}") from error

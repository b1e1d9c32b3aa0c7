"""Sampler settings as a person shows, types and steps them. Pure.

What is allowed is for `SamplerSettings` to say.
"""

import json
import math
import re
from collections.abc import Iterable
from typing import Any, cast

from easy_llama.samplers import SamplerSettings
from easy_llama_tui.samplers.sampler_fields import FIELDS, Number, SamplerField


def same(one: SamplerField, value: object, other: object) -> bool:
    """Return whether two values of a setting do the same."""
    return value == other or (one.can_be_off and one.is_off(value) and one.is_off(other))


def shown_value(one: SamplerField, value: Any, last_seed: int | None = None) -> str:
    """Return what a row says of a value.

    Args:
        one: the setting.
        value: its value.
        last_seed: the seed of the last reply, if there was any.
    """
    if one.name == "seed":
        if value is not None:
            return f"fixed {value}"
        return "drawn anew" + ("" if last_seed is None else f" (last {last_seed})")
    if one.can_be_off and one.is_off(value):
        return one.off_word
    if one.kind == "text":
        if isinstance(value, str):
            return _counted(value.count("\n") + 1, "line")
        return _counted(len(value), "token" if one.name == "logit_bias" else "text")
    if value in one.words:
        return one.words[value]
    return f"{value:,}" if one.kind == "whole" else _shown_number(value)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _shown_number(value: float) -> str:
    if abs(value) >= 1e6:
        return f"{value:.2g}"
    return f"{value:.2f}" if round(value, 2) == value else f"{value:.4g}"


def typed_value(value: Number | None) -> str:
    """Return a number as a person would type it, exactly."""
    if value is None:
        return ""
    text = repr(value)
    return text.removesuffix(".0") if "e" not in text else text


def value_from(one: SamplerField, typed: str) -> Number | None:
    """Return the number that a person typed; "off" and the words that rows show are understood.

    Whether the setting may have it is for `SamplerSettings` to say.

    Raises:
        ValueError: it is no number; the message names the setting.
    """
    text = typed.strip().lower()
    if one.name == "seed" and text in ("", "off", "new", "anew", "drawn anew"):
        return None
    if one.off is not None and text in ("off", one.off_word):
        return one.off
    for value, word in one.words.items():
        if text == word:
            return value
    try:
        if one.kind == "whole":
            return int(text.replace(",", ""))
        return float(text.replace(",", "."))
    except ValueError:
        example = "40" if one.kind == "whole" else "0.5"
        kind = "a whole number" if one.kind == "whole" else "a number"
        words = ' or "off"' if one.off is not None else ""
        raise ValueError(f"{one.name} must be {kind}, such as {example}{words}") from None


def stepped(one: SamplerField, value: Number | None, direction: int) -> Number | None:
    """Return the next value a step up (1) or down (-1), or the same where there is none.

    Steps lead to round values, from wherever they begin.
    """
    if one.kind == "text" or (value is None and one.off is None):
        return value
    current = cast(Number, one.off if value is None else value)
    if one.ladder:
        return _next_rung(one.ladder, current, direction)
    low, high = one.reach
    if one.is_off(current):
        current = max(current, low)  # "off" may be far from the first value that is on
    if direction > 0:
        following = (math.floor(current / one.step + 1e-6) + 1) * one.step
        following = current if current >= high else min(max(following, low), high)
    else:
        following = (math.ceil(current / one.step - 1e-6) - 1) * one.step
        following = current if current <= low else max(min(following, high), low)
    return int(following) if one.kind == "whole" else round(following, 6)


def _next_rung(ladder: tuple[int, ...], current: Number, direction: int) -> Number:
    def height(value: Number) -> float:
        # A negative number, and 0 where it is no rung, stands for "all": more than any number.
        return math.inf if value < 0 or (value == 0 and 0 not in ladder) else value

    rungs = sorted(ladder, key=height)
    if direction > 0:
        return next((rung for rung in rungs if height(rung) > height(current)), current)
    return next((rung for rung in reversed(rungs) if height(rung) < height(current)), current)


def switched(one: SamplerField, settings: SamplerSettings, preset: SamplerSettings, before: Any) -> Any:
    """Return the value that switches a sampler off, or on again.

    On again it has the preset's value; where that is off, what it had `before` (None: nothing), else a
    usual one.
    """
    value = getattr(settings, one.name)
    if not one.is_off(value):
        return one.off
    for candidate in (getattr(preset, one.name), before, one.usual):
        if not one.is_off(candidate):
            return candidate
    return value


def resting_reason(name: str, settings: SamplerSettings) -> str:
    """Return why a setting has no effect just now; "" where it has.

    It follows the order in which llama.cpp's samplers are put together for these settings.
    """
    if settings.mirostat:
        keeps = {"temp", "max_len_tokens", "seed", "logit_bias", "grammar", "json_schema"}
        return "" if name in keeps or name.startswith("mirostat") else "mirostat is on"
    if name.startswith("mirostat_"):
        return "mirostat is off"
    drops = settings.xtc_probability or not FIELDS["typical_p"].is_off(settings.typical_p)
    if settings.is_greedy and not drops and name in ("top_k", "top_p", "min_p", "top_n_sigma", "seed"):
        return "temp is 0"
    if name.endswith("_penalty") and not settings.penalty_last_n:
        return "penalty_last_n is off"
    if name == "penalty_last_n" and settings.penalty_last_n and not settings.has_penalties:
        return "no penalty is on"
    if name == "xtc_threshold" and not settings.xtc_probability:
        return "xtc_probability is off"
    if name == "dry_multiplier" and settings.dry_multiplier and not settings.dry_penalty_last_n:
        return "dry_penalty_last_n is off"
    if name.startswith("dry_") and name != "dry_multiplier" and not settings.dry_multiplier:
        return "dry_multiplier is off"
    return ""


# What has several lines


def text_of(name: str, value: Any) -> str:
    """Return a setting of several lines as text to edit."""
    if not value:
        return ""
    if name == "logit_bias":
        return "\n".join(f"{token} = {typed_value(bias)}" for token, bias in value.items())
    if name == "dry_sequence_breakers":
        return "\n".join(_escaped(breaker) for breaker in value)
    return str(value)


def value_of_text(name: str, text: str) -> object:
    """Return what edited text stands for; empty text is None (no breakers: an empty sequence).

    Raises:
        ValueError: a line cannot be understood; the message names the setting and the line.
    """
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line]
    if name == "logit_bias":
        return dict(_biases(lines)) or None
    if name == "dry_sequence_breakers":
        return tuple(_unescaped(number, line) for number, line in lines)
    return text if text.strip() else None


def _biases(lines: Iterable[tuple[int, str]]) -> Iterable[tuple[int, float]]:
    for number, line in lines:
        if not line.strip():
            continue
        parts = re.split("[=:]", line)
        try:
            token, bias = parts
            yield int(token), float(bias)
        except ValueError:
            raise ValueError(
                f'logit_bias, line {number}: write a token id, "=" and a number, such as 1234 = -2.5'
            ) from None


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"')


def _unescaped(number: int, line: str) -> str:
    # A bare quote is a quote; what follows a backslash is JSON's.
    quoted = re.sub(r'\\.|"|\t', lambda match: {'"': '\\"', "\t": "\\t"}.get(match[0], match[0]), line)
    try:
        return str(json.loads(f'"{quoted}"'))
    except ValueError:
        raise ValueError(
            f"dry_sequence_breakers, line {number}: after a backslash there must be n, t or \\"
        ) from None


def main_field(name: str) -> str:
    """Return the setting that switches another one's sampler off."""
    for prefix, main in (("xtc", "xtc_probability"), ("dry", "dry_multiplier"), ("mirostat", "mirostat")):
        if name.startswith(prefix):
            return main
    return "the preset"

"""How replies were made, in a session file: recipes once, each reply with the number of its own.

Every setting of a recipe is written out, so that other defaults of a later version change nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Final

import tomli_w

from easy_llama.cache_types import DEFAULT_CACHE_TYPE
from easy_llama.sampler_values import settings_from_values, values_of
from easy_llama.samplers import MAX_SEED, SamplerSettings
from easy_llama_tui.chats.making import Making, Recipe
from easy_llama_tui.chats.message import Message
from easy_llama_tui.chats.session_table import SamplerValue, Table

OFF: Final = "off"
"""What is written for a number that is None: TOML has no such value."""

_TEXTS: Final = frozenset({"grammar", "json_schema"})
"""The settings that are left out where they are None, as an empty text would be None too."""
_AS_JSON: Final = frozenset({"logit_bias", "dry_sequence_breakers"})
_BASE: Final = "DefaultSampling"

_NUMBERS: Final = (
    ("seed", "seed"),
    ("start", "start"),
    ("given", "given_tokens"),
    ("reading", "reading_seconds"),
    ("writing", "writing_seconds"),
    ("prompt", "prompt_tokens"),
    ("reused", "reused_tokens"),
    ("slid", "slid_tokens"),
    ("written", "written_tokens"),
    ("left_out", "left_out"),
)
"""The figures of a making in their order: the name in the file, and the field's."""
_NONE_IF_ABSENT: Final = frozenset({"seed", "reading", "writing"})


def recipe_numbers(messages: Sequence[Message]) -> dict[Recipe, int]:
    """Return the number of each recipe, from 1, in the order in which messages were made by them."""
    numbers: dict[Recipe, int] = {}
    for message in messages:
        for making in message.made:
            numbers.setdefault(making.recipe, len(numbers) + 1)
    return numbers


def recipe_blocks(numbers: Mapping[Recipe, int]) -> str:
    """Return the tables of the recipes, in the order of their numbers."""
    return "".join(map(_recipe_block, numbers))


def _recipe_block(recipe: Recipe) -> str:
    values: dict[str, SamplerValue] = {
        "model": recipe.model,
        "file": recipe.file,
        "format": recipe.format,
        "preset": recipe.preset,
    }
    for name in ("context_length", "threads", "gpu_layers", "batch"):
        if (number := getattr(recipe, name)) is not None:
            values[name] = number
    if recipe.flash_attn:
        values["flash_attn"] = True
    if recipe.prompt_lookup:
        values["prompt_lookup"] = True
    if recipe.draft_model:
        values["draft_model"] = recipe.draft_model
    for name in ("cache_type_k", "cache_type_v"):
        if (cache_type := getattr(recipe, name)) != DEFAULT_CACHE_TYPE:
            values[name] = cache_type
    settings = tomli_w.dumps(_all_values(recipe.sampler))
    return f"\n[[recipes]]\n{tomli_w.dumps(values)}\n[recipes.sampler]\n{settings}"


def _all_values(settings: SamplerSettings) -> dict[str, SamplerValue]:
    """Return every setting but the seed."""
    others = values_of(settings, _BASE)
    values: dict[str, SamplerValue] = {}
    for field in fields(SamplerSettings):
        name, value = field.name, getattr(settings, field.name)
        if name == "dry_sequence_breakers":
            values[name] = json.dumps(value, ensure_ascii=False)
        elif name in _AS_JSON | _TEXTS:
            if value is not None:
                values[name] = others[name]
        elif name != "seed":
            values[name] = OFF if value is None else value
    return values


def made_line(made: Sequence[Making], numbers: Mapping[Recipe, int]) -> str:
    """Return what a message's table says of how it was made."""
    lines = "".join(f"  {{ {_making_text(making, numbers[making.recipe])} }},\n" for making in made)
    return f"made = [\n{lines}]\n" if made else ""


def _making_text(making: Making, number: int) -> str:
    parts = [f"recipe = {number}", f"began = {_moment(making.began)}"]
    for key, name in _NUMBERS:
        value = getattr(making, name)
        if value is not None and (value or key in _NONE_IF_ABSENT):
            parts.append(f"{key} = {value!r}")
    if making.settings_changed:
        parts.append("settings_changed = true")
    return ", ".join(parts)


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ids_line(ids: Sequence[int]) -> str:
    """Return what a message's table says of its tokens: one text, as it is read many times faster."""
    return f'ids = "{" ".join(map(str, ids))}"\n' if ids else ""


def read_recipes(top: Table) -> tuple[Recipe, ...]:
    """Return the recipes of a file, in their order.

    Raises:
        SessionError: one of them makes no sense.
    """
    return tuple(
        _read_recipe(Table(values, top.source, f"recipe number {number}", "recipes", number))
        for number, values in enumerate(top.list_of_tables("recipes"), start=1)
    )


def _read_recipe(table: Table) -> Recipe:
    settings = table.table("sampler").scalars_except("seed")
    off = {name: None for name, value in settings.items() if value == OFF and name not in _TEXTS | _AS_JSON}
    kept = {name: value for name, value in settings.items() if name not in off}
    try:
        known = {field.name for field in fields(SamplerSettings)}
        sampler = settings_from_values(_BASE, kept).replace(
            **{name: value for name, value in off.items() if name in known}
        )
    except (TypeError, ValueError) as error:
        raise table.error(f"makes no sense: {error}") from None
    return Recipe(
        model=table.text("model"),
        file=table.text("file"),
        format=table.text("format"),
        preset=table.text("preset"),
        sampler=sampler,
        context_length=table.optional_number("context_length"),
        threads=table.optional_number("threads"),
        gpu_layers=table.optional_number("gpu_layers", least=-1),
        flash_attn=table.flag("flash_attn", default=False),
        batch=table.optional_number("batch"),
        cache_type_k=table.optional_text("cache_type_k") or DEFAULT_CACHE_TYPE,
        cache_type_v=table.optional_text("cache_type_v") or DEFAULT_CACHE_TYPE,
        prompt_lookup=table.flag("prompt_lookup", default=False),
        draft_model=table.optional_text("draft_model") or "",
    )


def read_made(table: Table, recipes: Sequence[Recipe]) -> tuple[Making, ...]:
    """Return how the message of a table was made.

    Raises:
        SessionError: that makes no sense.
    """
    return tuple(
        _read_making(Table(values, table.source, f"{table.place}, made", table.name, table.number), recipes)
        for values in table.list_of_tables("made")
    )


def _read_making(table: Table, recipes: Sequence[Recipe]) -> Making:
    number = table.optional_number("recipe", least=1)
    if number is None or number > len(recipes):
        raise table.error(f"has the recipe {number}, and there are {len(recipes)}", "made")
    numbers = {
        "seed": table.optional_number("seed", most=MAX_SEED),
        "reading_seconds": table.optional_seconds("reading"),
        "writing_seconds": table.optional_seconds("writing"),
    }
    counts = {name: table.optional_number(key) or 0 for key, name in _NUMBERS if key not in _NONE_IF_ABSENT}
    return Making(
        recipe=recipes[number - 1],
        began=table.moment("began"),
        settings_changed=table.flag("settings_changed", default=False),
        **numbers,  # type: ignore[arg-type]
        **counts,
    )


def read_ids(table: Table) -> tuple[int, ...]:
    """Return the token ids of the message of a table.

    Raises:
        SessionError: they are no numbers.
    """
    text = table.optional_text("ids") or ""
    try:
        ids = tuple(int(part) for part in text.split(" ")) if text else ()
    except ValueError:
        ids = (-1,)
    if ids and not 0 <= min(ids) <= max(ids) < 2**31:
        raise table.error("has ids that are no token ids, which are numbers with a space between them", "ids")
    return ids

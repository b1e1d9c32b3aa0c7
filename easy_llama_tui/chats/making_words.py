"""How a reply was made, in words for the person. Pure."""

from dataclasses import dataclass, fields
from typing import Final

from easy_llama.samplers import SamplerSettings
from easy_llama_tui.chats.making import Making, Recipe
from easy_llama_tui.chats.message import Message

UNKNOWN: Final = "not known"
_ENDINGS: Final = {
    "stop": "by the model",
    "length": "at the length limit, or where the context is full",
    "interrupted": "stopped by you",
    "error": "with an error",
    None: "not yet",
}


@dataclass(frozen=True, slots=True)
class MakingWords:
    """What is said of how a reply was made."""

    facts: tuple[tuple[str, str], ...]
    """Names and values; a heading has no value."""
    cautions: tuple[str, ...]
    """Why the same text may not come again, a sentence each."""
    seed: int | None
    """The seed, the last one where there were several."""
    can_repeat: bool
    """Whether it can be made again from what is known."""


def making_words(message: Message, now: Recipe | None) -> MakingWords:
    """Return what is to be said of a reply.

    Args:
        message: the reply.
        now: how replies are made now; None where no model is loaded.
    """
    made = message.made
    if not made:
        author = f" It is by {message.author}." if message.author else ""
        return MakingWords((), (f"How this reply was made is not known.{author}",), None, False)
    facts: list[tuple[str, str]] = []
    for number, making in enumerate(made, start=1):
        if len(made) > 1:
            facts.append((f"Written on, {number} of {len(made)}", ""))
        facts += _facts(making)
    facts.append(("ended", _ENDINGS[message.finish]))
    facts.append(("token ids", f"{len(message.ids):,} are kept" if message.ids else "none are kept"))
    has_beginning = not made[0].given_tokens or len(message.ids) >= made[0].given_tokens
    is_known = made[0].seed is not None and has_beginning
    can_repeat = len(made) == 1 and is_known and message.finish is not None
    return MakingWords(tuple(facts), tuple(_cautions(message, now)), made[-1].seed, can_repeat)


def making_text(words: MakingWords) -> str:
    """Return all of it as plain text."""
    lines = [f"{name}: {value}" if value else name for name, value in words.facts]
    return "\n".join([*lines, *words.cautions])


def _facts(making: Making) -> list[tuple[str, str]]:
    recipe = making.recipe
    facts = [
        ("model", recipe.model or UNKNOWN),
        ("file", recipe.file or UNKNOWN),
        ("prompt format", recipe.format),
        ("seed", UNKNOWN if making.seed is None else str(making.seed)),
        ("begun", f"{making.began.astimezone():%Y-%m-%d %H:%M:%S %z}"),
        ("reading", _with_seconds(_prompt(making), making.reading_seconds)),
        ("writing", _with_seconds(f"{making.written_tokens:,} tokens", making.writing_seconds)),
    ]
    if making.given_tokens:
        facts.append(("given tokens", f"{making.given_tokens:,}, the last one chosen by you"))
    elif making.start:
        facts.append(("there before", f"{making.start:,} characters"))
    facts += [
        ("context", UNKNOWN if recipe.context_length is None else f"{recipe.context_length:,} tokens"),
        ("threads", UNKNOWN if recipe.threads is None else str(recipe.threads)),
        ("layers on the GPU", _layers(recipe.gpu_layers)),
        ("Flash Attention", "on" if recipe.flash_attn else "off"),
        ("KV cache", f"keys in {recipe.cache_type_k}, values in {recipe.cache_type_v}"),
        ("prompt lookup", "on" if recipe.prompt_lookup else "off"),
        ("draft model", recipe.draft_model or "none"),
        ("read at once", UNKNOWN if recipe.batch is None else f"{recipe.batch:,} tokens"),
        ("sampler preset", recipe.preset),
    ]
    facts += [
        (field.name, _value(getattr(recipe.sampler, field.name)))
        for field in fields(SamplerSettings)
        if field.name != "seed"
    ]
    return facts


def _prompt(making: Making) -> str:
    if not making.prompt_tokens:
        return UNKNOWN
    slid = f", {making.slid_tokens:,} of these slid" if making.slid_tokens else ""
    return f"{making.prompt_tokens:,} tokens, {making.reused_tokens:,} of them were in the KV cache{slid}"


def _with_seconds(what: str, seconds: float | None) -> str:
    return what if seconds is None else f"{what}, {seconds:,.3f} s"


def _layers(layers: int | None) -> str:
    if layers is None:
        return UNKNOWN
    return "all" if layers < 0 else str(layers)


def _value(value: object) -> str:
    if value is None:
        return "off"
    if isinstance(value, tuple):
        return " ".join(map(repr, value))
    return str(value)


def _cautions(message: Message, now: Recipe | None) -> list[str]:
    made = message.made
    cautions: list[str] = []
    if message.edited:
        cautions.append("The text was changed by you afterwards.")
    if len(made) > 1:
        cautions.append("It was continued, so it was made in several goes.")
    if made[-1].seed is None:
        cautions.append("Its seed is not known.")
    if any(making.settings_changed for making in made):
        cautions.append("Sampler settings were changed while it was written: above are those at its start.")
    if made[-1].left_out:
        count = made[-1].left_out
        cautions.append(
            f"The model did not read {_messages(count)} before it: the context did not hold them."
        )
    if made[-1].reused_tokens:
        cautions.append(
            f"{made[-1].reused_tokens:,} tokens of its prompt were in the KV cache. Once they are read anew, "
            f"as after another chat or a restart, figures differ in their last digits, and the text may "
            f"take another turn."
        )
    if made[-1].slid_tokens:
        cautions.append(
            f"{made[-1].slid_tokens:,} of these tokens were read when messages still stood before them that "
            f"were left out then, and were slid in their place. Read anew, they know nothing of those "
            f"messages, and the text may well be another one."
        )
    cautions += _differences(made[-1].recipe, now)
    return cautions


def _differences(then: Recipe, now: Recipe | None) -> list[str]:
    """Return what is loaded in another way now, so that the same text cannot be promised."""
    if now is None:
        return ["No model is loaded."]
    if now.file != then.file:
        return [f"Another model is loaded now: {now.model}."]
    pairs = (
        ("threads", then.threads, now.threads),
        ("layers on the GPU", then.gpu_layers, now.gpu_layers),
        ("Flash Attention", then.flash_attn, now.flash_attn),
        ("KV cache", _cache_types(then), _cache_types(now)),
        ("prompt lookup", then.prompt_lookup, now.prompt_lookup),
        ("draft model", then.draft_model, now.draft_model),
        ("tokens read at once", then.batch, now.batch),
        ("context length", then.context_length, now.context_length),
    )
    changed = [name for name, before, after in pairs if before is not None and before != after]
    if not changed:
        return []
    return [f"The model is loaded in another way now ({', '.join(changed)}), which may change a word."]


def _cache_types(recipe: Recipe) -> tuple[str, str]:
    return recipe.cache_type_k, recipe.cache_type_v


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count:,} messages"

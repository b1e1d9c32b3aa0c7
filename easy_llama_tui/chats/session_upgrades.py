"""Session files of older schemas, brought to the present one a step at a time."""

import re
from collections.abc import Callable, Mapping
from typing import Final

_NEW_IN_2: Final = ("shown", "recipes")
_NEW_IN_2_OF_A_MESSAGE: Final = ("branch", "made", "edited", "by", "ids")

_SCHEMA: Final = re.compile(r"schema\s*=\s*([0-9]{1,9})\b")


def schema_in(text: str) -> int:
    """Return the schema that the text of a session file names; 0 where that is not plain to see."""
    match = next((match for line in text.split("\n", 50)[:50] if (match := _SCHEMA.match(line))), None)
    return int(match[1]) if match else 0


def upgraded(top: Mapping[str, object], schema: int) -> Mapping[str, object]:
    """Return the keys of a session file of `schema` as the present schema has them; damage stays damage."""
    for step in _STEPS[schema - 1 :]:
        top = step(top)
    return top


def _to_schema_2(top: Mapping[str, object]) -> Mapping[str, object]:
    """Note who wrote the replies: the chat's model, the only one that schema 1 names.

    Keys that have a meaning since then had none, so what stands there is kept under another name, or left
    out of a message, where unknown keys were left out always.
    """
    model = top.get("model")
    name = model.get("name") if isinstance(model, dict) else None
    upgraded = {f"{key}_of_schema_1" if key in _NEW_IN_2 else key: value for key, value in top.items()}
    messages = top.get("messages")
    if isinstance(messages, list):
        upgraded["messages"] = [_message_to_schema_2(message, name) for message in messages]
    return upgraded


def _message_to_schema_2(message: object, model_name: object) -> object:
    if not isinstance(message, dict):
        return message
    kept = {key: value for key, value in message.items() if key not in _NEW_IN_2_OF_A_MESSAGE}
    if kept.get("role") == "bot" and model_name:
        kept["by"] = model_name
    return kept


_STEPS: Final[tuple[Callable[[Mapping[str, object]], Mapping[str, object]], ...]] = (_to_schema_2,)
"""From schema 1 to 2, and so on."""

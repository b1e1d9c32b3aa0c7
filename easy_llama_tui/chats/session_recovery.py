"""What can be read of a damaged session file: every message that is whole, and what is left of the others.

Pure, and never fails: a file in which nothing can be read is an empty recovery.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from easy_llama import formats
from easy_llama.sampler_values import settings_from_values
from easy_llama_tui.chats.context_window import Policy
from easy_llama_tui.chats.conversation import Conversation, Message
from easy_llama_tui.chats.labels import ModelReference, title_from
from easy_llama_tui.chats.making import Recipe
from easy_llama_tui.chats.message_repair import repaired_tree
from easy_llama_tui.chats.session import SCHEMA, SamplerChoice, Session, read_message, read_policy
from easy_llama_tui.chats.session_makings import read_recipes
from easy_llama_tui.chats.session_pieces import MessagePiece, pieces_of
from easy_llama_tui.chats.session_table import SessionError, Table
from easy_llama_tui.chats.session_upgrades import upgraded

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DEFAULT_PRESET: Final = "DefaultSampling"
_NEEDED: Final = frozenset({"id", "role", "content"})
_ROLES: Final = ("system", "user", "bot")


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was read of a damaged file."""

    session: Session
    """The chat; its messages form a tree. Its id is that of the file."""
    whole: int
    """How many of its messages are as they were in the file."""
    partial: int
    """How many are not, because a part of them could not be read."""
    notes: tuple[str, ...]
    """What could not be read, or was put elsewhere, with lines; a sentence each."""

    @property
    def is_empty(self) -> bool:
        """Whether no message could be read."""
        return not self.session.messages


def recover(data: bytes, path: Path) -> Recovery:
    """Return what can be read of the bytes of a session file; `path` names it."""
    notes: list[str] = []
    text = _text_of(data, notes)
    pieces = pieces_of(text)
    notes += pieces.notes
    top = _present(pieces.top, pieces.messages)
    table = Table(top, str(path))
    created = _time(table, "created") or _EARLIEST
    recipes = [_recipe(one, str(path)) for one in _tables(top.get("recipes"))]
    messages: list[Message] = []
    partial: set[int] = set()
    read = zip(pieces.messages, _tables(top.get("messages")), strict=True)
    for place, (piece, values) in enumerate(read):
        message, lost = _message(values, created, recipes, messages)
        messages.append(message)
        if lost or not piece.is_whole:
            partial.add(place)
            what = f"only a part of a message could be read{f' ({lost} is lost)' if lost else ''}"
            notes.append(f"Line {piece.line}: {what}.")
    tree = repaired_tree(messages)
    notes += tree.notes
    partial = {place for place in partial if place not in tree.doubled}
    session = _session(table, tree.messages, path, created)
    return Recovery(session, len(tree.messages) - len(partial), len(partial), tuple(notes))


def _text_of(data: bytes, notes: list[str]) -> str:
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        notes.append(f"Line {line}: what is not UTF-8 text became “\N{REPLACEMENT CHARACTER}”.")
    return text


def _present(top: Mapping[str, object], messages: Sequence[MessagePiece]) -> dict[str, Any]:
    """Return the keys as this version has them, whatever schema the file is of."""
    values: Mapping[str, object] = {**top, "messages": [piece.values for piece in messages]}
    schema = top.get("schema")
    if type(schema) is int and 1 <= schema < SCHEMA:
        values = upgraded(values, schema)
    return dict(values)


def _tables(value: object) -> list[dict[str, object]]:
    """Return the tables of a list, an empty one in place of what is none, so that numbers hold."""
    return [one if isinstance(one, dict) else {} for one in value] if isinstance(value, list) else []


def _recipe(values: dict[str, object], source: str) -> Recipe | None:
    try:
        return read_recipes(Table({"recipes": [values]}, source))[0]
    except SessionError:
        return None


def _message(
    values: Mapping[str, object],
    created: datetime,
    recipes: Sequence[Recipe | None],
    before: Sequence[Message],
) -> tuple[Message, str]:
    """Return a message, and what of it is lost, in words."""
    good: dict[str, object] = {
        key: value for key, value in values.items() if key in _NEEDED and isinstance(value, str)
    }
    lost = [] if "content" in good else ["its text"]
    last = before[-1].role if before else ""
    if good.get("role") not in _ROLES:
        good["role"] = "bot" if last == "user" else "user"
        lost.append("who wrote it")
    if not good.get("id"):
        good["id"] = _free_id({message.id for message in before})
    good.setdefault("content", "")
    message = _read(good, created, ())
    assert message is not None
    # What else is told of it, as far as each makes sense; a finish that no bot can have makes none.
    known = [recipe for recipe in recipes if recipe is not None]
    for key, value in values.items():
        if key in good and key in _NEEDED:
            continue
        told = _made_by_known(value, recipes, known) if key == "made" else value
        more = _read({**good, key: told}, created, tuple(known))
        if more is not None:
            good[key], message = told, more
        else:
            lost.append(f"its “{key}”")
    return message, ", ".join(lost)


def _made_by_known(made: object, recipes: Sequence[Recipe | None], known: Sequence[Recipe]) -> object:
    """Return how a reply was made with the numbers of the recipes that are left."""
    if not isinstance(made, list):
        return made
    numbered = {number: recipe for number, recipe in enumerate(recipes, start=1) if recipe is not None}
    return [
        {**one, "recipe": known.index(numbered[one["recipe"]]) + 1}
        for one in made
        if isinstance(one, dict) and type(one.get("recipe")) is int and one["recipe"] in numbered
    ]


def _read(values: Mapping[str, object], created: datetime, recipes: tuple[Recipe, ...]) -> Message | None:
    try:
        return read_message(Table(values, ""), created, recipes)
    except SessionError:
        return None


def _free_id(taken: set[str]) -> str:
    number = len(taken) + 1
    while f"m{number}" in taken:
        number += 1
    return f"m{number}"


def _time(table: Table, key: str) -> datetime | None:
    try:
        return table.time(key)
    except SessionError:
        return None


def _text(table: Table, key: str) -> str:
    value = table.values.get(key)
    return value if isinstance(value, str) else ""


def _part(table: Table, key: str) -> Table:
    value = table.values.get(key)
    return Table(value if isinstance(value, dict) else {}, table.source)


def _session(table: Table, messages: tuple[Message, ...], path: Path, created: datetime) -> Session:
    began = min((message.created for message in messages), default=created)
    last = max((message.created for message in messages), default=created)
    head = table.values.get("head")
    is_there = any(message.id == head for message in messages)
    model, sampler = _part(table, "model"), _part(table, "sampler")
    question = next((message.content for message in messages if message.role == "user"), "")
    try:
        policy = read_policy(table)
    except SessionError:
        policy = Policy.DROP_OLDEST
    shown = table.values.get("shown")
    return Session(
        id=path.stem,
        title=title_from(_text(table, "title")) or title_from(question) or title_from(path.stem) or "chat",
        named=table.values.get("named") is True,
        created=created if created != _EARLIEST else began,
        updated=_time(table, "updated") or last,
        head=cast("str", head) if is_there else Conversation(messages).head,
        model=ModelReference(_text(model, "path"), _text(model, "name")),
        format=_text(_part(table, "format"), "name") or formats.TEMPLATE_NAME,
        sampler=_sampler(sampler),
        policy=policy,
        messages=messages,
        shown=tuple(one for one in shown if isinstance(one, str)) if isinstance(shown, list) else (),
    )


def _sampler(table: Table) -> SamplerChoice:
    preset = _text(table, "preset") or _DEFAULT_PRESET
    try:
        values = table.scalars_except("preset")
        settings_from_values(preset, values)
    except (SessionError, TypeError, ValueError):
        return SamplerChoice(_DEFAULT_PRESET)
    return SamplerChoice(preset, values)

"""A saved chat as a value, and as a TOML file (schema 2) that people can read and edit.

Any text comes back from the file exactly, whatever control characters it holds. Only lone surrogates,
which UTF-8 cannot hold, become U+FFFD. Keys and tables at the top of a file that this version does not
know are kept when the chat is saved again; unknown keys elsewhere, and comments, are not.

Files of older schemas are brought to this one step by step (`session_upgrades`).
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast, get_args

import tomli_w

from easy_llama.turn import Role
from easy_llama_tui.chats.context_window import Policy
from easy_llama_tui.chats.conversation import (
    Conversation,
    ConversationError,
    Finish,
    Message,
    storable_text,
    whole_second,
)
from easy_llama_tui.chats.labels import ModelReference, new_session_id, title_from
from easy_llama_tui.chats.making import Recipe
from easy_llama_tui.chats.session_lines import line_of
from easy_llama_tui.chats.session_makings import (
    ids_line,
    made_line,
    read_ids,
    read_made,
    read_recipes,
    recipe_blocks,
    recipe_numbers,
)
from easy_llama_tui.chats.session_table import (
    FILE_IS_KEPT,
    DamagedSessionError,
    SamplerValue,
    SessionError,
    Spot,
    Table,
)
from easy_llama_tui.chats.session_upgrades import upgraded

__all__ = [
    "FILE_IS_KEPT",
    "SCHEMA",
    "DamagedSessionError",
    "ModelReference",
    "SamplerChoice",
    "SamplerValue",
    "Session",
    "SessionEncoder",
    "SessionError",
    "from_toml",
    "new_session_id",
    "title_from",
    "to_toml",
]

SCHEMA: Final = 2

_OWN_KEYS: Final = frozenset(
    {"schema", "id", "title", "named", "created", "updated", "head", "model", "format", "sampler", "context"}
    | {"messages", "recipes", "shown"}
)
_LINE_IN_ERROR: Final = re.compile(r"at line ([0-9]+)")
# Escaping DEL and the C1 controls too keeps a file harmless when it is printed in a terminal.
_ESCAPES: Final = {code: f"\\u{code:04X}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    ord("\n"): "\n",
    ord("\t"): "\t",
    ord("\r"): "\\r",
    ord("\\"): "\\\\",
}


@dataclass(frozen=True, slots=True)
class SamplerChoice:
    """The sampler of a chat: the preset that it began as, and its full settings."""

    preset: str
    """The name of the preset."""
    values: Mapping[str, SamplerValue] = field(default_factory=dict)
    """Every setting that is on, by the name of its field."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))


@dataclass(frozen=True, slots=True)
class Session:
    """A chat as it is saved: an immutable snapshot that may be handed to any thread.

    Times are brought to whole seconds in UTC.

    Raises:
        ValueError: a time has no time zone.
    """

    id: str
    """The name of its file in the sessions folder, without ".toml"."""
    title: str
    """What lists call it."""
    named: bool
    """Whether the person gave it its title; until then it comes from the first message."""
    created: datetime
    """When it was begun."""
    updated: datetime
    """When it last changed."""
    head: str | None
    """The id of the message at which the shown path ends; None while there are no messages."""
    model: ModelReference
    """The model that it was last held with."""
    format: str
    """The name of its prompt format."""
    sampler: SamplerChoice
    """The sampler that it uses."""
    policy: Policy = Policy.DROP_OLDEST
    """What becomes of it when it outgrows the context."""
    messages: tuple[Message, ...] = ()
    """The whole tree, in the order of creation."""
    shown: tuple[str, ...] = ()
    """What of it was shown last beside the shown path, as `Conversation.shown_elsewhere` returns it."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Keys and tables at the top of its file that this version does not know."""
    file: Path | None = field(default=None, compare=False)
    """Its file where that lies outside the sessions folder; not saved, and not compared."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "created", whole_second(self.created))
        object.__setattr__(self, "updated", whole_second(self.updated))
        object.__setattr__(self, "extra", MappingProxyType(dict(self.extra)))


class SessionEncoder:
    """Writes sessions as TOML, and keeps the text of messages that did not change since the last time.

    A long chat is saved every few seconds while a reply streams; all but one of its messages are then
    the same objects as before. Not safe for two threads at once.
    """

    def __init__(self) -> None:
        self._blocks: dict[str, tuple[Message, tuple[int, ...], str]] = {}

    def to_toml(self, session: Session) -> str:
        """Return the text of a session's file; it has no lone surrogates, so UTF-8 can always hold it."""
        known = self._blocks
        self._blocks = {}
        recipes = recipe_numbers(session.messages)
        parts = [storable_text(_header(session) + recipe_blocks(recipes))]
        for message in session.messages:
            numbers = tuple(recipes[making.recipe] for making in message.made)
            message_before, numbers_before, block = known.get(message.id, (None, (), ""))
            if message_before is not message or numbers_before != numbers:
                block = storable_text(_message_block(message, recipes))
            self._blocks[message.id] = (message, numbers, block)
            parts.append(block)
        return "\n".join(parts)


def to_toml(session: Session) -> str:
    """Return the text of a session's file, with LF at the end of each line; store it as UTF-8."""
    return SessionEncoder().to_toml(session)


def _header(session: Session) -> str:
    head = "" if session.head is None else _line("head", session.head)
    return "".join(
        (
            _line("schema", SCHEMA),
            _line("id", session.id),
            _line("title", session.title),
            _line("named", session.named),
            _line("created", session.created),
            _line("updated", session.updated),
            head,
            f"shown = [{', '.join(map(_quoted, session.shown))}]\n" if session.shown else "",
            # Before the own tables, because a key that came after one would belong to it.
            tomli_w.dumps(session.extra),
            "\n[model]\n",
            _line("path", session.model.path),
            _line("name", session.model.name),
            "\n[format]\n",
            _line("name", session.format),
            "\n[sampler]\n",
            _line("preset", session.sampler.preset),
            tomli_w.dumps(session.sampler.values),
            "\n[context]\n",
            _line("policy", session.policy.value),
        )
    )


def _message_block(message: Message, recipes: Mapping[Recipe, int]) -> str:
    return "".join(
        (
            "[[messages]]\n",
            _line("id", message.id),
            "" if message.parent is None else _line("parent", message.parent),
            _line("role", message.role),
            _line("created", message.created),
            f"content = {_content_string(message.content)}\n",
            "" if message.finish is None else _line("finish", message.finish),
            _line("pinned", True) if message.pinned else "",
            _line("branch", message.branch) if message.branch else "",
            _line("by", message.by) if message.by else "",
            _line("edited", True) if message.edited else "",
            made_line(message.made, recipes),
            ids_line(message.ids),
        )
    )


def _line(key: str, value: str | bool | int | datetime) -> str:
    if isinstance(value, datetime):
        return f"{key} = {value.isoformat().replace('+00:00', 'Z')}\n"
    return tomli_w.dumps({key: value})


def _quoted(text: str) -> str:
    return _line("x", text).removeprefix("x = ").rstrip("\n")


def _content_string(text: str) -> str:
    """Return `text` as a basic TOML string, over several lines where it has several.

    tomli_w would turn CRLF into LF there, and escape every quote of a listing.
    Format: https://toml.io/en/v1.0.0#string
    """
    escaped = text.translate(_ESCAPES)
    if "\n" not in text:
        return '"{}"'.format(escaped.replace('"', '\\"'))
    # A quote may stand bare unless another, or the closing delimiter, comes right after it.
    escaped = re.sub(r'"(?="|\Z)', r'\\"', escaped)
    return f'"""\n{escaped}"""'


def from_toml(text: str, source: str, *, header_only: bool = False) -> Session:
    """Return the session that `text` describes.

    A time without a zone is taken as UTC. A message without a time has that of its chat.

    Args:
        text: The contents of a session file.
        source: The file's name, for errors.
        header_only: Leave out the messages and the head, which then need not be in `text`.

    Raises:
        DamagedSessionError: It is not TOML, a key is missing or of another type, the schema is newer than
            this version knows, or the messages do not form a tree.
    """
    try:
        return _session_in(text, source, header_only)
    except DamagedSessionError as error:
        if error.spot is None:
            raise
        raise error.at_line(line_of(text, error.spot), source) from None


def _session_in(text: str, source: str, header_only: bool) -> Session:
    top = Table(parse(text, source), source)
    top = Table(upgraded(top.values, _schema_of(top)), source)
    created = top.time("created")
    recipes = read_recipes(top)
    messages = () if header_only else _read_messages(top, created, recipes)
    model, sampler = top.table("model"), top.table("sampler")
    return Session(
        id=top.text("id"),
        title=top.text("title"),
        named=top.flag("named", default=False),
        created=created,
        updated=top.time("updated"),
        head=None if header_only else _read_head(top, messages),
        model=ModelReference(model.text("path"), model.text("name")),
        format=top.table("format").text("name"),
        sampler=SamplerChoice(sampler.text("preset"), sampler.scalars_except("preset")),
        policy=read_policy(top),
        messages=messages,
        shown=top.texts("shown"),
        extra={key: value for key, value in top.values.items() if key not in _OWN_KEYS},
    )


def parse(text: str, source: str) -> dict[str, object]:
    """Return the tables and keys of a TOML text.

    Raises:
        DamagedSessionError: it is none.
    """
    try:
        return tomllib.loads(text)
    except ValueError as error:  # also what is no TOMLDecodeError: a number of 5,000 digits
        said = _LINE_IN_ERROR.search(str(error))
        line = int(said[1]) if said else text.count("\n") + 1 if "end of document" in str(error) else None
        raise DamagedSessionError(f"{source} is not valid TOML: {error}.", line=line) from None
    except RecursionError:
        raise DamagedSessionError(f"{source} is nested too deeply to be read.") from None


def _schema_of(top: Table) -> int:
    schema = top.values.get("schema")
    if type(schema) is int and schema > SCHEMA:
        raise DamagedSessionError(
            f"{top.source}: it was saved by a newer version (schema {schema}; this version reads {SCHEMA}).",
            "Open it with that version; the file is left as it is.",
            spot=Spot(key="schema"),
        )
    if type(schema) is not int or schema < 1:
        raise top.error(f"has no line `schema = {SCHEMA}`, so it is not a saved chat", "schema")
    return schema


def _read_messages(top: Table, created: datetime, recipes: tuple[Recipe, ...]) -> tuple[Message, ...]:
    return tuple(
        read_message(
            Table(values, top.source, f"message number {number}", "messages", number), created, recipes
        )
        for number, values in enumerate(top.list_of_tables("messages"), start=1)
    )


def read_message(values: Table, created: datetime, recipes: tuple[Recipe, ...]) -> Message:
    """Return the message of a table.

    Args:
        values: The table.
        created: When it was begun, where the table does not tell.
        recipes: What it may have been made by, in the order of their numbers.

    Raises:
        DamagedSessionError: the table makes no sense.
    """
    message_id = values.text("id")
    table = replace(values, place=f"message {message_id!r}")
    try:
        return Message(
            id=message_id,
            parent=table.optional_text("parent"),
            role=cast("Role", table.choice("role", get_args(Role))),
            content=table.text("content"),
            created=table.time("created", default=created),
            finish=cast("Finish", table.choice("finish", get_args(Finish)))
            if "finish" in table.values
            else None,
            ids=read_ids(table),
            pinned=table.flag("pinned", default=False),
            branch=table.optional_text("branch") or "",
            made=read_made(table, recipes),
            edited=table.flag("edited", default=False),
            by=table.optional_text("by") or "",
        )
    except ConversationError as error:
        raise table.error(f"is not valid: {error}") from None


def read_policy(top: Table) -> Policy:
    """Return what becomes of the chat when it outgrows the context.

    Raises:
        DamagedSessionError: that makes no sense.
    """
    if "context" not in top.values:
        return Policy.DROP_OLDEST
    return Policy(top.table("context").choice("policy", tuple(Policy)))


def _read_head(top: Table, messages: tuple[Message, ...]) -> str | None:
    """Return the head, or that of the newest messages where none is named; checks the tree."""
    try:
        return Conversation(messages, top.optional_text("head")).head
    except ConversationError as error:
        spot = Spot("messages", error.place + 1) if error.place is not None else Spot(key="head")
        raise DamagedSessionError(f"{top.source}: {error}.", spot=spot) from None

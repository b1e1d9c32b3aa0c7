"""A saved chat as a value, and as a TOML file (schema 1) that people can read and edit.

Any text comes back from the file exactly, whatever control characters it holds. Only lone surrogates,
which UTF-8 cannot hold, become U+FFFD. Keys and tables at the top of a file that this version does not
know are kept when the chat is saved again; unknown keys elsewhere, and comments, are not.
"""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Final, cast, get_args

import tomli_w

from easy_llama.prompt import Role
from easy_llama_tui.chats.context_window import Policy
from easy_llama_tui.chats.conversation import (
    Conversation,
    ConversationError,
    Finish,
    Message,
    storable_text,
    whole_second,
)

SCHEMA: Final = 1
TITLE_LENGTH: Final = 60

SamplerValue = int | float | str | bool

FILE_IS_KEPT: Final = "The file is left as it is: correct it in an editor, or open another chat."

_OWN_KEYS: Final = frozenset(
    {"schema", "id", "title", "named", "created", "updated", "head", "model", "format", "sampler", "context"}
    | {"messages"}
)
# Escaping DEL and the C1 controls too keeps a file harmless when it is printed in a terminal.
_ESCAPES: Final = {code: f"\\u{code:04X}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    ord("\n"): "\n",
    ord("\t"): "\t",
    ord("\r"): "\\r",
    ord("\\"): "\\\\",
}
# Characters that turn the direction of all that follows, in a title that stands beside others.
_DIRECTION_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


class SessionError(Exception):
    """A chat could not be read, found or saved; `str()` says what happened and what to do next."""

    def __init__(self, what: str, next_step: str) -> None:
        """Make an error of what happened, with the file, and the person's next step."""
        super().__init__(storable_text(f"{what} {next_step}"))
        self.what = storable_text(what)
        self.next_step = next_step


@dataclass(frozen=True, slots=True)
class ModelReference:
    """The model that a chat was last held with."""

    path: str
    """Its GGUF file; empty where no model was ever chosen."""
    name: str
    """Its name as the screen shows it."""


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
    extra: Mapping[str, object] = field(default_factory=dict)
    """Keys and tables at the top of its file that this version does not know."""
    file: Path | None = field(default=None, compare=False)
    """Its file where that lies outside the sessions folder; not saved, and not compared."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "created", whole_second(self.created))
        object.__setattr__(self, "updated", whole_second(self.updated))
        object.__setattr__(self, "extra", MappingProxyType(dict(self.extra)))


def new_session_id(now: datetime, random: Random) -> str:
    """Return an id for a chat begun at `now` (aware), such as "20261122-101500-3f9c", dated in UTC."""
    return f"{whole_second(now):%Y%m%d-%H%M%S}-{random.randrange(16**4):04x}"


def title_from(text: str) -> str:
    """Return a title for a chat that begins with `text`: its first line, cut at a word to 60 characters.

    Runs of spaces become one space; characters that control a terminal or turn the direction of writing
    are left out. Empty where no line of the text has anything to show.
    """
    title = next((line for line in map(_tidy_line, text.splitlines()) if line), "")
    if len(title) <= TITLE_LENGTH:
        return title
    start = title[: TITLE_LENGTH - 1]
    if title[TITLE_LENGTH - 1] != " ":
        start = start.rpartition(" ")[0] or start
    return f"{start.rstrip()}…"


def _tidy_line(line: str) -> str:
    kept = (
        char
        for char in storable_text(line)
        if char.isspace() or (unicodedata.category(char) != "Cc" and char not in _DIRECTION_CONTROLS)
    )
    return " ".join("".join(kept).split())


class SessionEncoder:
    """Writes sessions as TOML, and keeps the text of messages that did not change since the last time.

    A long chat is saved every few seconds while a reply streams; all but one of its messages are then
    the same objects as before. Not safe for two threads at once.
    """

    def __init__(self) -> None:
        self._blocks: dict[str, tuple[Message, str]] = {}

    def to_toml(self, session: Session) -> str:
        """Return the text of a session's file; it has no lone surrogates, so UTF-8 can always hold it."""
        known = self._blocks
        self._blocks = {}
        parts = [storable_text(_header(session))]
        for message in session.messages:
            message_before, block = known.get(message.id, (None, ""))
            if message_before is not message:
                block = storable_text(_message_block(message))
            self._blocks[message.id] = (message, block)
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


def _message_block(message: Message) -> str:
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
        )
    )


def _line(key: str, value: str | bool | int | datetime) -> str:
    if isinstance(value, datetime):
        return f"{key} = {value.isoformat().replace('+00:00', 'Z')}\n"
    return tomli_w.dumps({key: value})


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
        SessionError: It is not TOML, a key is missing or of another type, the schema is newer than this
            version knows, or the messages do not form a tree.
    """
    top = _Table(_parse(text, source), source)
    _check_schema(top)
    created = top.time("created")
    messages = () if header_only else _read_messages(top, created)
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
        policy=_read_policy(top),
        messages=messages,
        extra={key: value for key, value in top.values.items() if key not in _OWN_KEYS},
    )


def _parse(text: str, source: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except ValueError as error:  # also what is no TOMLDecodeError: a number of 5,000 digits
        raise SessionError(f"{source} is not valid TOML: {error}.", FILE_IS_KEPT) from None
    except RecursionError:
        raise SessionError(f"{source} is nested too deeply to be read.", FILE_IS_KEPT) from None


def _check_schema(top: "_Table") -> None:
    schema = top.values.get("schema")
    if type(schema) is int and schema > SCHEMA:
        raise SessionError(
            f"{top.source} was saved by a newer version (schema {schema}; this version reads {SCHEMA}).",
            "Open it with that version; the file is left as it is.",
        )
    if type(schema) is not int or schema != SCHEMA:
        raise top.error(f"has no line `schema = {SCHEMA}`, so it is not a saved chat")


def _read_messages(top: "_Table", created: datetime) -> tuple[Message, ...]:
    return tuple(
        _read_message(_Table(values, top.source, f"message number {number}"), created)
        for number, values in enumerate(top.list_of_tables("messages"), start=1)
    )


def _read_message(values: "_Table", created: datetime) -> Message:
    message_id = values.text("id")
    table = _Table(values.values, values.source, f"message {message_id!r}")
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
            pinned=table.flag("pinned", default=False),
        )
    except ConversationError as error:
        raise table.error(f"is not valid: {error}") from None


def _read_policy(top: "_Table") -> Policy:
    if "context" not in top.values:
        return Policy.DROP_OLDEST
    return Policy(top.table("context").choice("policy", tuple(Policy)))


def _read_head(top: "_Table", messages: tuple[Message, ...]) -> str | None:
    """Return the head, or that of the newest messages where none is named; checks the tree."""
    try:
        return Conversation(messages, top.optional_text("head")).head
    except ConversationError as error:
        raise SessionError(f"{top.source} is damaged: {error}.", FILE_IS_KEPT) from None


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a session file, whose values are asked for by key and type."""

    values: Mapping[str, object]
    source: str
    """The file, for errors."""
    place: str = ""
    """Where in the file the table is, for errors; empty at the top."""

    def error(self, what: str) -> SessionError:
        """Return the error that this table, in its file, `what`."""
        where = f"{self.source}: {self.place}" if self.place else self.source
        return SessionError(f"{where} {what}.", FILE_IS_KEPT)

    def text(self, key: str) -> str:
        """Return a string that must be there."""
        value = self._required(key)
        if not isinstance(value, str):
            raise self._of_wrong_type(key, "text in quotes")
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a string, or None where there is none."""
        return self.text(key) if key in self.values else None

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Return a string that must be there and be one of `choices`."""
        value = self.text(key)
        if value not in choices:
            raise self.error(f"has {key} = {value!r}; it must be one of {', '.join(choices)}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self._of_wrong_type(key, "true or false")
        return value

    def time(self, key: str, *, default: datetime | None = None) -> datetime:
        """Return an aware time, which must be there unless there is a default."""
        if default is not None and key not in self.values:
            return default
        value = self._required(key)
        if not isinstance(value, datetime):
            raise self._of_wrong_type(key, "a date and time such as 2026-11-22T10:15:00Z")
        try:
            return whole_second(value if value.tzinfo else value.replace(tzinfo=UTC))
        except OverflowError:
            raise self.error(f"has {key} = {value}, which is no time in UTC") from None

    def table(self, key: str) -> "_Table":
        """Return a table that must be there."""
        value = self._required(key)
        if not isinstance(value, dict):
            raise self._of_wrong_type(key, f"a table, [{key}]")
        return _Table(value, self.source, f"[{key}]")

    def list_of_tables(self, key: str) -> list[dict[str, object]]:
        """Return the tables of a list, which is empty where the key is not there."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._of_wrong_type(key, f"a list of tables, [[{key}]]")
        return value

    def scalars_except(self, own_key: str) -> dict[str, SamplerValue]:
        """Return all numbers, strings and flags but that of `own_key`; nothing else may be there."""
        scalars: dict[str, SamplerValue] = {}
        for key, value in self.values.items():
            if not isinstance(value, SamplerValue):
                raise self._of_wrong_type(key, "a number, true, false or text in quotes")
            if key != own_key:
                scalars[key] = value
        return scalars

    def _required(self, key: str) -> object:
        if key not in self.values:
            raise self.error(f"has no {key}")
        return self.values[key]

    def _of_wrong_type(self, key: str, wanted: str) -> SessionError:
        return self.error(f"has a {key!r} of the wrong kind; it must be {wanted}")

"""What a list and a search need of a chat's file, many times faster than reading it as TOML.

Files as this app writes them have one shape, a small part of TOML that one regular expression describes
to the last character. A file of any other shape, such as one edited by hand, is read as TOML: what is
found is always what `from_toml` finds, damage included.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from easy_llama.prompt import Role
from easy_llama.samplers import MAX_SEED
from easy_llama_tui.chats.conversation import Conversation, Message
from easy_llama_tui.chats.session import Session, SessionError, from_toml

# No other escapes are in a file that the app wrote; others, such as "\uD800", may be no TOML.
_ESCAPE: Final = r'\\(?:["\\r]|u00[0-9A-F]{2})'
_PLAIN: Final = r'[^"\\\x00-\x08\x0a-\x1f\x7f]'
_TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"
_WORDS: Final = rf'"(?:{_PLAIN}++|\\["\\])*+"'
_COUNT: Final = "(?:0|[1-9][0-9]{0,12})"
_MOMENT: Final = rf"{_TIME[:-1]}\.[0-9]{{3}}Z"
# One line of `made`, its figures in the order in which they are written.
_MAKING: Final = "".join(
    (
        rf"  \{{ recipe = {_COUNT}, began = {_MOMENT}",
        *(
            rf"(?:, {name} = {kind})?+"
            for name, kind in (
                *(("seed", _COUNT), ("start", _COUNT), ("given", _COUNT)),
                *(("reading", rf"{_COUNT}\.[0-9]{{1,3}}"), ("writing", rf"{_COUNT}\.[0-9]{{1,3}}")),
                *((name, _COUNT) for name in ("prompt", "reused", "slid", "written", "left_out")),
                ("settings_changed", "true"),
            )
        ),
        r" \},\n",
    )
)
# Possessive, so that a long text costs one pass and a damaged one no second.
_START: Final = re.compile(
    rf'schema = [12]\nid = "{_PLAIN}++"\ntitle = "(?:{_PLAIN}++|\\.)*+"\nnamed = (?:true|false)\n'
    rf'created = {_TIME}\nupdated = {_TIME}\nhead = "({_PLAIN}++)"\n'
)
_MESSAGE: Final = (
    rf'\[\[messages\]\]\nid = "({_PLAIN}++)"\n(?:parent = "({_PLAIN}++)"\n)?'
    rf'role = "(system|user|bot)"\ncreated = ({_TIME})\n'
    rf'content = (?:"""\n((?:[^"\\\x00-\x08\x0b-\x1f\x7f]++|{_ESCAPE}|"(?!"))*+)"""'
    rf'|"((?:{_PLAIN}++|{_ESCAPE})*+)")\n'
    rf'(?:finish = "(stop|length|interrupted|error)"\n)?(?:pinned = (?:true|false)\n)?'
    rf"(?:branch = {_WORDS}\n)?(?:by = {_WORDS}\n)?(?:edited = true\n)?"
    rf"(?:made = \[\n((?:{_MAKING})++)\]\n)?"
    r'(?:ids = "[0-9]{1,9}+(?: [0-9]{1,9}+)*+"\n)?'
)
_BLOCK: Final = re.compile(_MESSAGE + r"(?:\n|\Z)")
WHOLE_MESSAGE: Final = re.compile(_MESSAGE)
"""The table of a message as the app writes it."""
_MADE: Final = re.compile(rf"recipe = ([0-9]+), began = ({_MOMENT})(?:, seed = ([0-9]+))?")
_MESSAGES: Final = "\n[[messages]]\n"
_ESCAPED: Final = re.compile(r"\\(u00..|.)")


@dataclass(frozen=True, slots=True)
class SkimmedMessage:
    """A message of a file; its text is made from what the file says only when it is asked for."""

    id: str
    """Its id in the chat."""
    role: Role
    """Who wrote it."""
    source: str
    """Its text, with TOML's escapes where `is_escaped`."""
    is_escaped: bool
    """Whether `source` is as in the file."""

    @property
    def content(self) -> str:
        """The text, exactly."""
        if not self.is_escaped or "\\" not in self.source:
            return self.source
        return _ESCAPED.sub(_unescaped, self.source)


@dataclass(frozen=True, slots=True)
class Skimmed:
    """A chat as far as lists and searches need it."""

    header: Session
    """The chat without its messages and head."""
    shown: tuple[SkimmedMessage, ...]
    """The shown path, from the first message to the head."""
    hidden: tuple[SkimmedMessage, ...]
    """All other messages, in the order of creation."""


def skim(text: str, source: str) -> Skimmed:
    """Return what `text`, the contents of a chat's file, holds; `source` names the file in errors.

    Raises:
        SessionError: as `from_toml` does, and for the same reasons.
    """
    return _skim_own_shape(text, source) or _skim_any(text, source)


def header_text(text: str) -> str:
    """Return what comes before the messages, as far as can be told without reading TOML."""
    end = text.find(_MESSAGES)
    return text if end < 0 else text[: end + 1]


def _skim_any(text: str, source: str) -> Skimmed:
    session = from_toml(text, source)
    shown = Conversation(session.messages, session.head).path()
    path = {message.id for message in shown}
    hidden = (message for message in session.messages if message.id not in path)
    return Skimmed(session, tuple(map(_skimmed_message, shown)), tuple(map(_skimmed_message, hidden)))


def _skimmed_message(message: Message) -> SkimmedMessage:
    return SkimmedMessage(message.id, message.role, message.content, False)


def _skim_own_shape(text: str, source: str) -> Skimmed | None:
    """Return what the file holds where it has exactly the shape that the app writes, else None."""
    start = _START.match(text)
    header = header_text(text)
    if start is None or len(header) == len(text) or "messages" in header[start.end() :]:
        return None
    if '"""' in header or "'''" in header:
        return None  # or what looks like a recipe might be a part of some text
    messages: list[SkimmedMessage] = []
    parents: dict[str, str | None] = {}
    n_recipes = header.count("\n[[recipes]]\n")
    place = len(header)
    while place < len(text):
        block = _BLOCK.match(text, place)
        if block is None:
            return None
        message_id, parent, role, created, lines, line, finish, made = block.groups()
        if message_id in parents or (parent is not None and parent not in parents):
            return None  # nor can there be a loop where each parent comes before its child
        if ((finish or made) and role != "bot") or not _is_time(created):
            return None
        if made and not _is_made(made, n_recipes):
            return None
        parents[message_id] = parent
        content = line if lines is None else lines
        messages.append(SkimmedMessage(message_id, cast("Role", role), content, True))
        place = block.end()
    if start[1] not in parents:
        return None
    try:
        # A header that is whole TOML by itself shows that its end does not lie inside a string.
        session = from_toml(header, source, header_only=True)
    except SessionError:
        return None
    path = _path(start[1], parents)
    shown = tuple(message for message in messages if message.id in path)
    return Skimmed(session, shown, tuple(message for message in messages if message.id not in path))


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_made(made: str, n_recipes: int) -> bool:
    return all(
        1 <= int(recipe) <= n_recipes and _is_time(began) and int(seed or 0) <= MAX_SEED
        for recipe, began, seed in _MADE.findall(made)
    )


def _path(head: str, parents: Mapping[str, str | None]) -> set[str]:
    path: set[str] = set()
    above: str | None = head
    while above is not None:
        path.add(above)
        above = parents[above]
    return path


def _unescaped(match: re.Match[str]) -> str:
    escape = match[1]
    if escape == "r":
        return "\r"
    return chr(int(escape[1:], 16)) if len(escape) > 1 else escape

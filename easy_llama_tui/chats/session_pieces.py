"""The tables of a damaged session file, each read by itself.

Where a file is no TOML any more, most of its tables still are. A message of the shape that the app writes
is known by that alone, whatever is around it. What is left of a broken one is read line by line.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from easy_llama_tui.chats.session_lines import line_of
from easy_llama_tui.chats.session_skim import WHOLE_MESSAGE
from easy_llama_tui.chats.session_table import Spot

_BEGINS: Final = re.compile(r"^[ \t]*\[\[[ \t]*[\"']?messages[\"']?[ \t]*\]\][ \t]*(?:#.*)?$", re.MULTILINE)
_SWALLOWED: Final = re.compile(r'^\[\[messages\]\]\nid = "', re.MULTILINE)
_TABLE: Final = re.compile(r"^[ \t]*\[", re.MULTILINE)
_KEY: Final = re.compile(r"^[ \t]*([A-Za-z_]{2,12})[ \t]*=[ \t]*(.*)$")
_CONTENT: Final = re.compile(r"^[ \t]*content[ \t]*=[ \t]*", re.MULTILINE)
_TEXTS: Final = (
    (re.compile(r'"""\n?((?:[^"\\]|\\.|"(?!""))*+)("{3})?', re.DOTALL), True),
    (re.compile(r"'''\n?((?:[^']|'(?!''))*+)('{3})?", re.DOTALL), False),
    (re.compile(r'"((?:[^"\\\n]|\\.)*+)(")?'), True),
    (re.compile(r"'([^'\n]*+)(')?"), False),
)
"""The kinds of strings: what is in one, its end where it has one, and whether it has escapes."""
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[^\n])")
_ESCAPED: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
_KEYS: Final = frozenset(
    {"id", "parent", "role", "created", "finish", "ids", "pinned", "branch", "by", "edited"}
)
_MOST_JOINED: Final = 8
"""How many headers of messages a text of a message may look as if it had."""


@dataclass(frozen=True, slots=True)
class MessagePiece:
    """The table of a message."""

    values: dict[str, object]
    """Its keys."""
    line: int
    """Where it begins, from 1."""
    is_whole: bool = True
    """Whether all of it could be read."""


@dataclass(slots=True)
class Pieces:
    """What a file is made of."""

    top: dict[str, object] = field(default_factory=dict)
    """All but the messages."""
    messages: list[MessagePiece] = field(default_factory=list)
    """The messages, in the order of the file."""
    notes: list[str] = field(default_factory=list)
    """What could not be read, a sentence each."""


def pieces_of(text: str) -> Pieces:
    """Return the tables of a text with LF at its line ends, as far as they can be read. Never raises."""
    top = _parsed(text)
    if top is None:
        return _read_piecewise(text)
    pieces = Pieces(top)
    messages = top.pop("messages", [])
    for number, values in enumerate(messages if isinstance(messages, list) else [messages], start=1):
        line = line_of(text, Spot("messages", number))
        if isinstance(values, dict):
            pieces.messages.append(MessagePiece(values, line))
        else:
            pieces.notes.append(f"Line {line}: a message is no table, so it could not be read.")
    return pieces


def _read_piecewise(text: str) -> Pieces:
    pieces = Pieces()
    begins = [match.start() for match in _BEGINS.finditer(text)]
    ends = [*begins[1:], len(text)]
    _read_top(text[: begins[0] if begins else len(text)], 1, pieces)
    place = 0
    line, counted = 1, 0
    while place < len(begins):
        start = begins[place]
        line, counted = line + text.count("\n", counted, start), start
        whole = _whole_at(text, start)
        if whole is not None:
            values, end = whole
            is_ended = text.startswith(("\n", "["), end) or end == len(text)
            if _is_doubtful(text, start, end):
                pieces.messages.append(MessagePiece(values, line, is_whole=False))
                place += 1  # what it may have swallowed is read too
                continue
            pieces.messages.append(MessagePiece(values, line, is_ended))
            while place < len(begins) and begins[place] < end:
                place += 1
            rest = begins[place] if place < len(begins) else len(text)
            if not is_ended:  # the last of its keys are damaged
                blank = text.find("\n\n", end, rest)
                stop = rest if blank < 0 else blank
                for key, value in _keys(text[end:stop]):
                    values.setdefault(key, value)
                end = stop
            _read_rest(text[end:rest], line + text.count("\n", start, end), pieces)
            continue
        joined = _joined(text, begins, place)
        if joined is not None:
            tables, count = joined
            _take_tables(tables, line, pieces)
            place += count
            continue
        _read_rest(text[start : ends[place]], line, pieces)
        place += 1
    return pieces


def _whole_at(text: str, start: int) -> tuple[dict[str, object], int] | None:
    """Return the message of the app's own shape that begins at a place, and its end."""
    match = WHOLE_MESSAGE.match(text, start)
    tables = _parsed(match[0]) if match else None
    messages = tables.get("messages") if tables else None
    if match is None or not isinstance(messages, list) or not isinstance(messages[0], dict):
        return None
    return messages[0], match.end()


def _is_doubtful(text: str, start: int, end: int) -> bool:
    """Return whether a message may have swallowed the next one because the end of its text is damaged."""
    is_followed = end + 1 >= len(text) or text.startswith('\n[[messages]]\nid = "', end)
    return not is_followed and _SWALLOWED.search(text, start + 1, end) is not None


def _joined(text: str, begins: list[int], place: int) -> tuple[dict[str, object], int] | None:
    """Return the tables of a message in another shape, whose text may hold what looks like a header.

    Beside them stands how many such headers they go over.
    """
    for count in range(1, min(_MOST_JOINED, len(begins) - place) + 1):
        after = place + count
        end = begins[after] if after < len(begins) else len(text)
        tables = _parsed(text[begins[place] : end])
        if tables is not None and isinstance(tables.get("messages"), list):
            return tables, count
        if after < len(begins) and WHOLE_MESSAGE.match(text, end):
            return None
    return None


def _take_tables(tables: dict[str, object], line: int, pieces: Pieces) -> None:
    messages = tables.pop("messages")
    assert isinstance(messages, list)
    pieces.messages += [MessagePiece(values, line) for values in messages if isinstance(values, dict)]
    _add_top(tables, pieces)


def _add_top(tables: dict[str, object], pieces: Pieces) -> None:
    for key, value in tables.items():
        there = pieces.top.get(key)
        if isinstance(there, list) and isinstance(value, list):
            there.extend(value)
        else:
            pieces.top.setdefault(key, value)


def _read_top(text: str, line: int, pieces: Pieces) -> None:
    """Read what comes before the messages, a table at a time, and a broken one line by line."""
    starts = [0, *(match.start() for match in _TABLE.finditer(text))]
    parts = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    joined: list[str] = []
    for part in parts:
        if part.startswith("[recipes.") and joined:
            joined[-1] += part  # a recipe's own table
        else:
            joined.append(part)
    for part in joined:
        tables = _parsed(part)
        if tables is not None:
            _add_top(tables, pieces)
        elif part.startswith("[[recipes]]"):
            _add_top({"recipes": [{}]}, pieces)
            pieces.notes.append(f"Line {line}: how some replies were made could not be read.")
        else:
            _read_lines(part, line, pieces)
        line += part.count("\n")


def _read_lines(part: str, line: int, pieces: Pieces) -> None:
    header, _, body = part.partition("\n") if _TABLE.match(part) else ("", "", part)
    values: dict[str, object] = {}
    for number, one in enumerate(body.split("\n"), start=line + bool(header)):
        read = _parsed(one)
        if read is None:
            pieces.notes.append(f"Line {number}: it could not be read.")
        else:
            values.update(read)
    if not header:
        _add_top(values, pieces)
    elif match := re.match(r"[ \t]*\[[ \t]*(model|format|sampler|context)\b", header):
        _add_top({match[1]: values}, pieces)
    elif not values:
        pieces.notes.append(f"Line {line}: a table could not be read.")


def _read_rest(text: str, line: int, pieces: Pieces) -> None:
    """Read what is left of one or more messages, whose tables are broken."""
    while text.strip():
        values, end = _what_is_left(text)
        if not values.keys().isdisjoint({"id", "role", "content"}):
            pieces.messages.append(MessagePiece(values, line, is_whole=False))
        elif text[:end].strip():
            pieces.notes.append(f"Line {line}: nothing could be read there.")
        line += text.count("\n", 0, end)
        text = text[end:]


def _what_is_left(text: str) -> tuple[dict[str, object], int]:
    """Return the keys of the first broken message, and where it ends in `text`."""
    content = _CONTENT.search(text)
    if content is None:
        return dict(_keys(text)), len(text)
    values = dict(_keys(text[: content.start()]))
    end = content.end()
    for kind, has_escapes in _TEXTS:
        if match := kind.match(text, content.end()):
            end = match.end()
            said = match[1]
            if match[2] is None and kind is _TEXTS[2][0]:
                end = text.find("\n", match.start()) % (len(text) + 1)
                said = text[match.start() + 1 : end]
            values["content"] = _ESCAPE.sub(_unescaped, said) if has_escapes else said
            break
    blank = text.find("\n\n", end)
    stop = len(text) if blank < 0 else blank + 2
    for key, value in _keys(text[end:stop]):
        values.setdefault(key, value)
    return values, stop


def _keys(text: str) -> Iterator[tuple[str, object]]:
    for line in text.split("\n"):
        match = _KEY.match(line)
        if match and match[1] in _KEYS and (read := _parsed(line)):
            yield match[1], read[match[1]]


def _unescaped(match: re.Match[str]) -> str:
    escape = match[1]
    if len(escape) == 1:
        return _ESCAPED.get(escape, match[0])
    code = int(escape[1:], 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\N{REPLACEMENT CHARACTER}"


def _parsed(text: str) -> dict[str, object] | None:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None

r"""Text files that a message names by `@path`, and the message with what is in them. Pure, but for reading.

A reference stands at a word's begin: `@notes.txt`, `@~/notes.txt`, or in quotes where the path has spaces,
`@"my notes.txt"`. What names no file stays text, as in "@someone"; `\@notes.txt` stays text too.
"""

import codecs
import os
import re
import stat
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from easy_llama.record import Record
from easy_llama_tui.text.display_text import printable

MAX_BYTES: Final = 4_000_000
"""How large a file may be."""

MAX_REFERENCES: Final = 256
"""How many words of one message are looked up; further ones stay text."""

Problem = Literal["missing", "folder", "too large", "unreadable", "binary"]

WORD_START: Final = r"(?<![^\s(\[{])"
"""A pattern for where a word begins: after a space or an opening bracket."""

_REFERENCE: Final = re.compile(r"""@(?:"([^"\n]+)"|'([^'\n]+)'|((?!["'])\S+))""")
_BEFORE_WORD: Final = re.compile(WORD_START)
_TRAILING: Final = ".,;:!?…)]}>\"'`*_"
"""What may stand after a path, as in "(see @notes.txt)."."""

_SNIFFED_BYTES: Final = 8192
_BYTE_ORDER_MARKS: Final = (
    # The longer ones first: that of UTF-32 begins as that of UTF-16 does.
    *((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig")),
    *((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
)


class Attachment(Record):
    """A file that a message names."""

    start: int
    """Where the reference begins in the message, at its "@"."""

    end: int
    """Where it ends."""

    name: str
    """The path as it was written, without quotes."""

    path: Path
    """The file."""

    size: int = 0
    """Its size in bytes; 0 where there is none."""

    problem: Problem | None = None
    """Why it cannot be attached; None where it can."""

    @property
    def note(self) -> str:
        """What to say of it before the message is sent: its name with its size, or with the problem."""
        match self.problem:
            case None:
                return f"{self.name} {size_in_words(self.size)}"
            case "missing":
                reason = "there is no such file"
            case "folder":
                reason = "is a folder; name a file in it"
            case "too large":
                reason = f"has {size_in_words(self.size)}; {size_in_words(MAX_BYTES)} is the most"
            case "unreadable":
                reason = "cannot be read"
            case "binary":
                reason = "is not text in UTF-8 or UTF-16"
        return f"{self.name}: {reason}" if self.problem == "missing" else f"{self.name} {reason}"


class Expansion(Record):
    """A message with what is in its files."""

    text: str
    """What to send."""

    attached: tuple[Attachment, ...]
    """The files that are in it, each once."""

    problems: tuple[Attachment, ...]
    """Those that are not, and why."""


def size_in_words(size: int) -> str:
    """Return a size in bytes as people say it, as in "2.1 KB"; a KB has 1000 bytes."""
    if size < 1000:
        return f"{size} bytes" if size != 1 else "1 byte"
    return f"{size / 1000:.1f} KB" if size < 999_950 else f"{size / 1_000_000:.1f} MB"


def find_attachments(text: str, folder: Path) -> tuple[Attachment, ...]:
    """Return the files that a message names, in their order; relative paths begin in `folder`.

    A path in quotes, or one that begins with `/`, `./`, `../` or `~/`, is there with its problem also where
    no such file exists. Of each file no more than its first bytes are read, and once as long as it does not
    change.
    """
    return tuple(attachment for attachment, is_escaped in _references(text, folder) if not is_escaped)


def expand(text: str, folder: Path) -> str:
    """Return what to send for a message: `expansion` without what it is made of."""
    return expansion(text, folder).text


def expansion(text: str, folder: Path) -> Expansion:
    """Return a message with the contents of its files after it, each in a fenced block under its name.

    In the sentence the `@path` stays, as the name. Line ends in files become newlines. A backslash that
    kept a file from being attached is taken out.
    """
    attached: dict[Path, Attachment] = {}
    problems: list[Attachment] = []
    blocks: list[str] = []
    sentence, end = [], 0
    for attachment, is_escaped in _references(text, folder):
        if is_escaped:
            sentence.append(text[end : attachment.start - 1])
            end = attachment.start
            continue
        if attachment.path in attached:
            continue
        content = _content(attachment)
        if isinstance(content, Attachment):
            problems.append(content)
        else:
            attached[attachment.path] = attachment
            blocks.append(_block(attachment, content))
    message = "".join([*sentence, text[end:]])
    return Expansion(
        "\n\n".join([message.rstrip("\n"), *blocks]) if blocks else message,
        tuple(attached.values()),
        tuple(problems),
    )


def reference(name: str) -> str | None:
    """Return how a message names the file at a path, in quotes if it needs them; None if none can.

    A folder's path ends in "/": its closing quote is left out, so that one can write on.
    """
    if not name or name.strip() != name or printable(name) != name or "\n" in name:
        return None
    if not re.search(r"\s", name) and name[0] not in "\"'" and name.rstrip(_TRAILING):
        return f"@{name}"
    quote = next((quote for quote in "\"'" if quote not in name), None)
    if quote is None:
        return None
    return f"@{quote}{name}" if name.endswith("/") else f"@{quote}{name}{quote}"


def path_of(name: str, folder: Path) -> Path:
    """Return the path that a reference's name stands for; `~` is the person's own folder."""
    try:
        return folder / os.path.expanduser(name)  # noqa: PTH111 (Path.expanduser raises for unknown people)
    except ValueError:  # no person's name, such as one with a null character
        return folder / name


def _references(text: str, folder: Path) -> Iterator[tuple[Attachment, bool]]:
    """Yield what a message names, and whether a backslash keeps it from being attached."""
    end = n_looked_up = 0
    # Searching for the sign by itself is many times quicker in a long text.
    while (start := text.find("@", end)) >= 0 and n_looked_up < MAX_REFERENCES:
        end = start + 1
        is_escaped = text[start - 1 : start] == "\\"
        match = _REFERENCE.match(text, start)
        if match is None or not _BEFORE_WORD.match(text, start - is_escaped):
            continue
        n_looked_up += 1
        if quoted := match[1] or match[2]:
            attachment: Attachment | None = _look_up(start, match.end(), quoted, folder)
        else:
            attachment = _look_up_word(start, match[3], folder)
        if attachment is not None:
            end = attachment.end
            yield attachment, is_escaped


def _look_up_word(start: int, word: str, folder: Path) -> Attachment | None:
    """Return the file that a word without quotes names, which may have punctuation after its name."""
    bare = word.rstrip(_TRAILING)
    if not bare:
        return None
    for length in range(len(word), len(bare) - 1, -1):
        found = _look_up(start, start + 1 + length, word[:length], folder)
        if found.problem != "missing":
            return found
    is_surely_path = bare.startswith(("/", "./", "../", "~/")) and len(bare) > 1
    return _look_up(start, start + 1 + len(bare), bare, folder) if is_surely_path else None


def _look_up(start: int, end: int, name: str, folder: Path) -> Attachment:
    path = path_of(name, folder)
    try:
        state = path.stat()
    except PermissionError:
        return Attachment(start, end, name, path, problem="unreadable")
    except (OSError, ValueError):  # a null character, or a name that is too long
        return Attachment(start, end, name, path, problem="missing")
    return Attachment(start, end, name, path, state.st_size, _problem(path, state))


def _problem(path: Path, state: os.stat_result) -> Problem | None:
    if stat.S_ISDIR(state.st_mode):
        return "folder"
    if not stat.S_ISREG(state.st_mode):
        return "unreadable"  # a device or a pipe, which may never end
    if state.st_size > MAX_BYTES:
        return "too large"
    return _sniff(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _sniff(path: Path, _modified_ns: int, _size: int) -> Problem | None:
    """Return what is wrong with the beginning of a file; the further arguments make it be read anew."""
    try:
        data = _read(path, _SNIFFED_BYTES)
    except OSError:
        return "unreadable"
    return "binary" if _decode(data, is_whole=len(data) < _SNIFFED_BYTES) is None else None


def _content(attachment: Attachment) -> str | Attachment:
    """Return the text of a file, or the attachment with its problem."""
    if attachment.problem is not None:
        return attachment
    try:
        state = attachment.path.stat()
        content = _read_text(attachment.path, state.st_mtime_ns, state.st_size)
    except OSError:
        content = "unreadable", ""
    problem, text = content
    if problem is None:
        return text
    return Attachment(
        attachment.start, attachment.end, attachment.name, attachment.path, attachment.size, problem
    )


@lru_cache(maxsize=8)
def _read_text(path: Path, _modified_ns: int, _size: int) -> tuple[Problem | None, str]:
    """Return the text of a file; the further arguments make it be read anew."""
    data = _read(path, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        return "too large", ""
    text = _decode(data, is_whole=True)
    if text is None:
        return "binary", ""
    return None, text.replace("\r\n", "\n").replace("\r", "\n")


def _read(path: Path, n_bytes: int) -> bytes:
    # Without waiting: a pipe may have taken the place of the file since it was looked at.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        return file.read(n_bytes) or b""


def _decode(data: bytes, *, is_whole: bool) -> str | None:
    """Return the text that bytes are; None where they are no text. A character may be cut at their end."""
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data, is_whole)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _block(attachment: Attachment, content: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    language = re.sub(r"[^A-Za-z0-9+#-]", "", attachment.path.suffix)
    ending = "" if content.endswith("\n") or not content else "\n"
    return f"{attachment.name}:\n{fence}{language}\n{content}{ending}{fence}"

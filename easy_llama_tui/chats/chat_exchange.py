"""Chats to and from files of other programs: Markdown, JSON and plain text, told apart by their suffix."""

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from easy_llama_tui.atomic_write import write_atomically, write_new
from easy_llama_tui.chats.session import SessionError
from easy_llama_tui.chats.transcript import Transcript
from easy_llama_tui.chats.transcript_formats import (
    from_json,
    from_markdown,
    from_plain_text,
    to_json,
    to_markdown,
    to_plain_text,
)

LARGEST_FILE: Final = 64 * 1024 * 1024
"""In bytes; no chat is near it, so a larger file is something else."""

_NAME_LENGTH: Final = 60
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ExchangeFormat:
    """A kind of file that chats are exported to and imported from."""

    name: str
    """What menus call it."""
    suffixes: tuple[str, ...]
    """The suffixes that mean it; exported files get the first."""
    write: Callable[[Transcript], str]
    """Returns the text of a file."""
    read: Callable[[str, str], Transcript]
    """Returns what a text holds; the file's name, for errors, comes second."""


FORMATS: Final = (
    ExchangeFormat("Markdown", (".md", ".markdown"), to_markdown, from_markdown),
    ExchangeFormat("JSON (OpenAI messages)", (".json",), to_json, from_json),
    ExchangeFormat("Plain text", (".txt", ".text"), to_plain_text, from_plain_text),
)


def format_for(path: Path) -> ExchangeFormat:
    """Return the format that a file's suffix means, in capitals or not.

    Raises:
        SessionError: it means none.
    """
    suffix = path.suffix.lower()
    for one in FORMATS:
        if suffix in one.suffixes:
            return one
    known = ", ".join(one.suffixes[0] for one in FORMATS)
    raise SessionError(f"{path} does not say what kind of file it is.", f"Use a name that ends with {known}.")


def file_name(title: str, kind: ExchangeFormat) -> str:
    """Return a name for the export of a chat, such as "Cats.md", without signs that systems refuse."""
    words = re.sub(r"[^\w\s.,()+-]|[\x00-\x1f]", " ", title).split()
    name = " ".join(words)[:_NAME_LENGTH].strip(" .,-")
    return (name or "chat") + kind.suffixes[0]


def export_chat(transcript: Transcript, path: Path, *, replace: bool = False) -> None:
    """Write a transcript to a file, in the format of its suffix, readable by its user alone.

    Args:
        transcript: What to write, such as `shown_transcript(session)`.
        path: The file.
        replace: Whether a file that is there already may be replaced.

    Raises:
        SessionError: A file is there already, it cannot be written, or its suffix is none of the formats.
    """
    data = format_for(path).write(transcript).encode("utf-8")
    try:
        if replace:
            write_atomically(path, data)
        else:
            write_new(path, data)
    except FileExistsError:
        raise SessionError(f"{path} is there already.", "Choose another name, or replace it.") from None
    except (OSError, ValueError) as error:
        raise SessionError(
            f"The chat could not be exported to {path}: {_reason(error)}.",
            "Choose a folder that you may write to.",
        ) from error


def import_chat(path: Path) -> Transcript:
    """Return the transcript that a file holds, in the format of its suffix.

    Raises:
        SessionError: It cannot be read, is larger than 64 MiB, is not UTF-8, or holds no messages in that
            format; the error names the file, and the line where there is one.
    """
    kind = format_for(path)
    transcript = kind.read(_read_bounded(path), str(path))
    if not transcript.entries:
        raise SessionError(f"{path} holds no messages.", "Choose the file of another chat.")
    return transcript


def _read_bounded(path: Path) -> str:
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise SessionError(f"{path} is not a file.", "Choose a file.")
        if state.st_size > LARGEST_FILE:
            raise _too_large(path)
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)  # it may have grown, or have no size, as in /proc
    except (OSError, ValueError) as error:
        raise SessionError(
            f"{path} could not be read: {_reason(error)}.", "Check its name, and whether you may read it."
        ) from error
    if len(data) > LARGEST_FILE:
        raise _too_large(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SessionError(f"{path}, line {line}: this is not UTF-8 text.", "Save it as UTF-8.") from None


def _too_large(path: Path) -> SessionError:
    return SessionError(
        f"{path} is larger than {LARGEST_FILE // _MIB} MiB, which no chat is.", "Choose another file."
    )


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)

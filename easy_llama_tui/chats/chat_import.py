"""The transcript that a file holds, in whatever format it is: its content says which."""

import contextlib
from pathlib import Path
from typing import Final

from easy_llama_tui.chats.chat_exchange import FORMATS, LARGEST_FILE, ExchangeFormat, format_for
from easy_llama_tui.chats.session import SessionError
from easy_llama_tui.chats.session_files import read_text
from easy_llama_tui.chats.transcript import Transcript

_MARKDOWN, _JSON, _PLAIN_TEXT = FORMATS
_MARKDOWN_BEGINS: Final = "<!-- easy-llama chat "
_MIB: Final = 1024 * 1024


def transcript_in(path: Path) -> Transcript:
    """Return the transcript in a file: exported Markdown, JSON or plain text, whatever its suffix.

    Raises:
        SessionError: It cannot be read, is larger than 64 MiB, or holds no messages; the error is that of
            the format which its suffix means, or else its beginning.
    """
    with contextlib.suppress(OSError, ValueError):  # the next line says what is wrong
        if path.stat().st_size > LARGEST_FILE:
            what = f"{path} is larger than {LARGEST_FILE // _MIB} MiB, which no chat is."
            raise SessionError(what, "Choose another file.")
    text = _text_of(path)
    kinds = _kinds(text, path)
    errors: list[SessionError] = []
    for kind in kinds:
        try:
            transcript = kind.read(text, str(path))
        except SessionError as error:
            errors.append(error)
            continue
        if not transcript.entries:
            raise SessionError(f"{path} holds no messages.", "Choose the file of another chat.")
        return transcript
    raise errors[-1]


def _text_of(path: Path) -> str:
    try:
        return read_text(path)
    except ValueError:  # a path that no file can have
        raise SessionError(f"There is no file {path!s}.", "Check the path.") from None


def _kinds(text: str, path: Path) -> tuple[ExchangeFormat, ...]:
    """Return the formats to try: the one that the content looks like, then the one of the suffix."""
    start = text[:200].lstrip()
    looks = _PLAIN_TEXT
    if start.startswith(_MARKDOWN_BEGINS):
        looks = _MARKDOWN
    elif start.startswith(("{", "[")):
        looks = _JSON
    try:
        said = format_for(path)
    except SessionError:
        said = looks
    return (looks,) if said is looks else (looks, said)

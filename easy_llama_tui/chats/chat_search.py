"""Search for words in the titles and texts of all saved chats.

Letters match in either case. Everything else matches as it is written.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from easy_llama_tui.chats.chat_index import ChatSummary
from easy_llama_tui.chats.session import SessionError
from easy_llama_tui.chats.session_files import read_text
from easy_llama_tui.chats.session_skim import skim

BEFORE: Final = 40
"""How many characters a snippet shows before the match, at most."""
AFTER: Final = 80
"""How many it shows after the match, at most."""

# What a file may hold in another way than as it is, where the app alone has written it.
_ESCAPED: Final = re.compile(r'["\\\x00-\x1f\x7f-\x9f]+')
# Escapes and joined lines of files that were edited by hand: there, any letter may be written so.
_OTHER_ESCAPE: Final = re.compile(r"\\[^\"r]")
_SPACES: Final = re.compile(r"\s+")
_LIVE: Final[Callable[[], bool]] = bool  # bool() is False


@dataclass(frozen=True, slots=True)
class Found:
    """A chat that holds what was searched for, and the first place where it does.

    Its texts are as in the file, not made safe to show.
    """

    chat: ChatSummary
    """The chat."""
    message_id: str | None
    """The message that holds it; None where the title does, or where the file is damaged."""
    before: str
    """What comes before the match, "…" at its start where it was cut."""
    match: str
    """The match, in the letters of the chat."""
    after: str
    """What comes after the match, "…" at its end where it was cut."""

    @property
    def snippet(self) -> str:
        """The match with what is around it; runs of spaces and line breaks around it are one space."""
        return self.before + self.match + self.after


def fold(text: str) -> str:
    """Return `text` in small letters, character for character, so that places in both are the same."""
    if text.isascii():
        return text.lower()
    # Of all characters, only the first becomes two; a sigma at the end of a word is a sigma.
    return text.replace("İ", "i").lower().replace("ς", "σ")


def search(
    query: str, chats: Iterable[ChatSummary], *, is_cancelled: Callable[[], bool] = _LIVE
) -> Iterator[Found]:
    """Yield the chats whose title or messages hold `query`, each once, in the order of `chats`.

    The title counts first, then the shown path from its beginning, then the other messages. The text of
    a damaged file is searched as it is. Spaces around `query` do not count, and an empty one finds nothing.

    Args:
        query: The words, in one piece.
        chats: What to search, such as `ChatIndex.chats()`; files that are gone by now are left out.
        is_cancelled: Asked before each file whether to stop; it may be called in another thread.
    """
    wanted = fold(query.strip())
    if not wanted:
        return
    pieces = [piece for piece in _ESCAPED.split(wanted) if piece]
    for chat in chats:
        if is_cancelled():
            return
        found = _in_chat(wanted, pieces, chat)
        if found is not None:
            yield found


def _in_chat(wanted: str, pieces: list[str], chat: ChatSummary) -> Found | None:
    if found := _in_text(wanted, chat, None, chat.title):
        return found
    try:
        text = read_text(chat.path)
    except SessionError:
        return None
    folded = fold(text)
    # Escaped backslashes go first, because one may stand before the letter of an escape.
    if not all(piece in folded for piece in pieces) and not _OTHER_ESCAPE.search(text.replace("\\\\", "")):
        return None
    try:
        messages = skim(text, str(chat.path))
    except SessionError:
        return _in_text(wanted, chat, None, text)
    places = (*messages.shown, *messages.hidden)
    return next(
        (found for one in places if (found := _in_text(wanted, chat, one.id, one.content))),
        None,
    )


def _in_text(wanted: str, chat: ChatSummary, message_id: str | None, text: str) -> Found | None:
    start = fold(text).find(wanted)
    if start < 0:
        return None
    end = start + len(wanted)
    before, after = text[max(0, start - BEFORE) : start], text[end : end + AFTER]
    return Found(
        chat,
        message_id,
        ("…" if start > BEFORE else "") + _SPACES.sub(" ", before),
        text[start:end],
        _SPACES.sub(" ", after) + ("…" if len(text) > end + AFTER else ""),
    )

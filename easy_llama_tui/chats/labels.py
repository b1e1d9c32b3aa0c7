"""What a chat is called: its id, its title, and its model. Light, since the first picture shows them."""

import unicodedata
from datetime import datetime
from random import Random
from typing import Final

from easy_llama.record import Record
from easy_llama_tui.chats.message import storable_text, whole_second

TITLE_LENGTH: Final = 60

# Characters that turn the direction of all that follows, in a title that stands beside others.
_DIRECTION_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


class ModelReference(Record):
    """The model that a chat was last held with."""

    path: str
    """Its GGUF file; empty where no model was ever chosen."""
    name: str
    """Its name as the screen shows it."""


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

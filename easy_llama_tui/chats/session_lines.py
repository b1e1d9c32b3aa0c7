"""Where in the text of a session file a table or a key stands, for errors."""

import re
from collections.abc import Iterator
from typing import Final

from easy_llama_tui.chats.session_table import Spot

# Strings and comments as wholes, so that what looks like a header in one is not taken for it.
_PART: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}|'
    r"'''(?:[^']|'(?!''))*+'{3,5}|"
    r'"(?:[^"\\\n]|\\.)*+"|'
    r"'[^'\n]*+'|#[^\n]*+|\n",
    re.DOTALL,
)
_HEADER: Final = re.compile(r"""[ \t]*\[\[?([^\]\n]*)\]""")
_BARE: Final = re.compile(r"""[\s"']""")


def line_of(text: str, spot: Spot) -> int:
    """Return the line, from 1, of a place in `text`, which is valid TOML.

    That is the line of the key, or else of the table's header, or else the first.
    """
    found, count, is_inside = 1, 0, spot.table == ""
    for number, start in _lines(text):
        header = _HEADER.match(text, start)
        if header is not None:
            if is_inside:
                break
            count += _BARE.sub("", header[1]) == spot.table
            if count == spot.number:
                found, is_inside = number, True
        elif is_inside and spot.key and _has_key(text, start, spot.key):
            return number
    return found


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Yield the number and the start of each line that does not begin inside a string."""
    number = 1
    yield number, 0
    for part in _PART.finditer(text):
        number += part[0].count("\n")
        if part[0] == "\n":
            yield number, part.end()


def _has_key(text: str, start: int, key: str) -> bool:
    return re.compile(rf"""[ \t]*["']?{re.escape(key)}["']?[ \t]*=""").match(text, start) is not None

"""Prints texts in a terminal: in the colour of who wrote them, and with nothing in them that drives it."""

import os
import re
from typing import TextIO

from easy_llama.line_editor import is_dumb_terminal

__all__ = ["BOT", "PLAIN", "USER", "Printer", "printable"]

USER, BOT, PLAIN = "\x1b[32m", "\x1b[36m", "\x1b[0m"
_NOTE = "\x1b[33m"

# C0 but newline and tab, DEL, C1, line separators, what turns the direction of writing, lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return `text` with nothing in it that could drive a terminal; newlines and tabs stay.

    C0 controls become their control pictures (ESC is ␛), but CR is taken out; the others become U+FFFD.
    Each character is looked at by itself, so the pieces of a stream can be cleaned one by one.
    """

    def safe(match: re.Match[str]) -> str:
        code = ord(match[0])
        if match[0] == "\r":
            return ""
        return chr(0x2400 + code) if code < 0x20 else "\ufffd"

    return _UNSAFE.sub(safe, text)


class Printer:
    """Prints to a file, in colour where that is a terminal that knows colours and NO_COLOR is not set.

    Args:
        out: where to print.
        color: False is no colour, whatever the terminal.
    """

    def __init__(self, out: TextIO, *, color: bool) -> None:
        self.out = out
        self._is_screen = out.isatty() and not is_dumb_terminal()
        self.has_color = color and self._is_screen and not os.environ.get("NO_COLOR")

    def print(self, text: str, style: str = "") -> None:
        """Print a text, made harmless, without a newline of its own; what was printed is seen at once."""
        encoding = getattr(self.out, "encoding", None) or "utf-8"
        text = printable(text).encode(encoding, "replace").decode(encoding)
        self.out.write(f"{style}{text}{PLAIN}" if style and self.has_color else text)
        self.out.flush()

    def note(self, text: str) -> None:
        """Print a line that neither the user nor the bot wrote."""
        self.print(f"{text}\n", _NOTE)

    def clear(self) -> None:
        """Clear the screen, where there is one."""
        if self._is_screen:
            self.out.write("\x1b[H\x1b[2J")
            self.out.flush()

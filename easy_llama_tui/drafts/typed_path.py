"""The path of a file as people type, paste or drop it into a field."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from easy_llama_tui.text.display_text import one_line

_SEPARATORS = "/\\" if os.sep == "\\" else "/"
_START = re.compile(r"[a-zA-Z]:[/\\]" if os.sep == "\\" else r"~|\.{0,2}/")
"""What a path begins with, and hardly a name that one searches for."""


@dataclass(frozen=True, slots=True)
class TypedPath:
    """A text that may be a path."""

    path: Path
    """Absolute; "~" is the home folder."""
    other_path: Path
    """The same as a shell reads it, without the backslashes that protect spaces."""
    shown: str
    """The text as it was typed, printable and on one line."""
    is_plainly_path: bool
    """It can hardly be meant as anything else."""

    def existing(self) -> Path | None:
        """Return the path that leads to something, looking on the disk; None where neither does."""
        for path in (self.path, self.other_path):
            try:
                if path.exists():
                    return path
            except (OSError, ValueError):
                continue
        return None


def typed_path(text: str) -> TypedPath | None:
    """Return the path that a text may be: it ends with ".gguf" or has a separator in it; else None.

    Quotes around it, which terminals add to a file that is dropped on them, are taken off, and file: URLs
    are read. Touches no disk.
    """
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    shown = one_line(text)
    if text.startswith("file:"):
        try:
            text = unquote(urlsplit(text).path)
        except ValueError:
            return None
    is_named = text.casefold().endswith(".gguf")
    if not is_named and not any(separator in text for separator in _SEPARATORS):
        return None
    return TypedPath(
        path=_absolute(text),
        other_path=_absolute(text if os.sep == "\\" else re.sub(r"\\(.)", r"\1", text)),
        shown=shown,
        is_plainly_path=is_named or bool(_START.match(text)),
    )


def _absolute(text: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(text)))  # noqa: PTH100, PTH111 (neither raises)

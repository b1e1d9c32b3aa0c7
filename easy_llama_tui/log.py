"""The log file: what llama.cpp says, and what went wrong."""

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

_MAX_BYTES = 4 * 1024 * 1024


def log_to(path: Path, *, verbose: bool) -> None:
    """Send the log of both packages to a file, and to nowhere else.

    Args:
        path: the file; a full one becomes `path` with ".1" at its end.
        verbose: log all that llama.cpp says, not only its warnings and errors.
    """
    handler: logging.Handler
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = RotatingFileHandler(path, maxBytes=_MAX_BYTES, backupCount=1, encoding="utf-8")
    except OSError:
        handler = logging.NullHandler()  # a chat without a log is better than no chat
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in ("easy_llama", "easy_llama_tui"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
        logger.propagate = False

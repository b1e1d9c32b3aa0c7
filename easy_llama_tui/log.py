"""The log file: what llama.cpp says, and what went wrong."""

import logging
from functools import cached_property
from io import TextIOWrapper
from pathlib import Path

from easy_llama_tui.private_files import make_private_folder, open_private

_MAX_BYTES = 4 * 1024 * 1024


class _LogFile(logging.Handler):
    """Opens the file with its first line: most starts have none to write before the first picture."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        self._file.handle(record)

    def close(self) -> None:
        if "_file" in self.__dict__:
            self._file.close()
        super().close()

    @cached_property
    def _file(self) -> logging.Handler:
        from logging.handlers import RotatingFileHandler

        class PrivateFile(RotatingFileHandler):
            def _open(self) -> TextIOWrapper:
                return open(self.baseFilename, "a", encoding=self.encoding, opener=open_private)

        try:
            make_private_folder(self._path.parent)
            file = PrivateFile(self._path, maxBytes=_MAX_BYTES, backupCount=1, encoding="utf-8")
        except OSError:
            return logging.NullHandler()  # a chat without a log is better than no chat
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        return file


def log_to(path: Path, *, verbose: bool) -> None:
    """Send the log of both packages to a file, and to nowhere else.

    Args:
        path: the file; a full one becomes `path` with ".1" at its end.
        verbose: log all that llama.cpp says, not only its warnings and errors.
    """
    handler = _LogFile(path)
    for name in ("easy_llama", "easy_llama_tui"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
        logger.propagate = False

"""llama.cpp's log lines go to Python's `logging`, and nowhere else.

llama.cpp writes to the process's standard error unless a callback is set, and llama-cpp-python's own
callback prints. Either would draw over a full-screen program.
"""

import ctypes
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import llama_cpp
import llama_cpp.llama as llama_module

logger = logging.getLogger("easy_llama.llama_cpp")

# ggml_log_level in ggml.h; llama-cpp-python lists an older order.
_LEVELS = {1: logging.DEBUG, 2: logging.INFO, 3: logging.WARNING, 4: logging.ERROR}
_CONTINUED = 5


class _LineJoiner:
    """Joins the parts that llama.cpp sends into lines, each at the level of its first part."""

    def __init__(self) -> None:
        self._text = ""
        self._level = logging.INFO

    def add(self, level: int, text: str) -> None:
        if level != _CONTINUED:
            self._flush()
            self._level = _LEVELS.get(level, logging.INFO)
        *lines, self._text = (self._text + text).split("\n")
        for line in lines:
            self._log(line)

    def _flush(self) -> None:
        if self._text:
            self._log(self._text)
            self._text = ""

    def _log(self, line: str) -> None:
        # A lone dot is llama.cpp's progress bar.
        if line.strip(". "):
            logger.log(self._level, "%s", line)


_joiner = _LineJoiner()


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _callback(level: int, text: bytes, user_data: object) -> None:
    _joiner.add(level, text.decode("utf-8", errors="replace"))


def _print_to_log(*values: object, **_: object) -> None:
    logger.info("%s", " ".join(str(value) for value in values))


def install() -> None:
    """Send llama.cpp's output, and what llama-cpp-python prints about it, to `logging`.

    `Llama(verbose=False)` would redirect the whole process's standard output and error while it loads,
    and blank a full-screen program; so it is loaded verbosely, and its `print` is ours.
    """
    llama_cpp.llama_log_set(_callback, ctypes.c_void_p(0))
    llama_module.print = _print_to_log


class _StandardError(logging.Handler):
    """Prints on what is standard error at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


_verbose_handler = _StandardError()


def set_verbose(verbose: bool) -> None:
    """Show the log lines on standard error, or stop showing them."""
    if verbose:
        logger.addHandler(_verbose_handler)
        logger.setLevel(logging.DEBUG)
    else:
        logger.removeHandler(_verbose_handler)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def collected_errors() -> Iterator[list[str]]:
    """Collect the error lines that are logged meanwhile, to say why something failed."""
    collector = _Collector()
    logger.addHandler(collector)
    try:
        yield collector.lines
    finally:
        logger.removeHandler(collector)

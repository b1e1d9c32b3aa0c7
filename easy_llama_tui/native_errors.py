"""What libraries write to the standard error while the screen is drawn there: it goes into the log."""

import faulthandler
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from easy_llama_tui.note import Note
from easy_llama_tui.private_files import make_private_folder


@contextmanager
def native_errors_logged(log: Path, note: Note) -> Iterator[None]:
    """Have native code write its errors into the log, and Python tell there where a crash happened.

    Python itself, and with it the screen, still writes to the terminal. Where the log cannot be written,
    nothing changes.
    """
    # On an abort ggml would have a debugger print to the terminal what is on each stack.
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    if (descriptor := _opened(log)) is None:
        yield
        return
    note.open_log(str(log), os.fstat(descriptor).st_size)
    before = sys.stderr, sys.__stderr__
    sys.stderr.flush()
    terminal = os.dup(2)
    os.dup2(descriptor, 2)
    encoding, errors = sys.stderr.encoding, sys.stderr.errors
    with os.fdopen(terminal, "w", buffering=1, encoding=encoding, errors=errors) as file:
        sys.stderr = sys.__stderr__ = file  # type: ignore[misc]
        faulthandler.enable(descriptor)
        try:
            yield
        finally:
            faulthandler.disable()
            with suppress(OSError):  # the terminal may be gone
                file.flush()
            os.dup2(terminal, 2)
            os.close(descriptor)
            sys.stderr, sys.__stderr__ = before  # type: ignore[misc]
            with suppress(OSError):
                file.close()


def _opened(log: Path) -> int | None:
    try:
        make_private_folder(log.parent)
        return os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError:
        return None

"""Writing in the person's own editor, while the screen is given to it."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from textual.app import App, SuspendNotSupported

FALLBACKS: Final = ("nano", "vim", "vi", "notepad")
"""The editors that are looked for where neither $VISUAL nor $EDITOR names one."""

_FILE_NAME: Final = "prompt.md"


class EditorError(Exception):
    """There is no editor, or it failed; the message says what to do."""


def edit_in_editor(app: App[Any], text: str) -> str | None:
    """Let the person change a text in $VISUAL or $EDITOR, and return it; None where it is as it was.

    The screen is the editor's meanwhile. What goes wrong is told in a notice, and leaves the text.
    """
    try:
        command = editor_command(os.environ)
        with app.suspend():
            # An exception in here would leave the screen with the editor.
            changed = _run_safely(command, text)
    except SuspendNotSupported:
        changed = EditorError("The screen cannot be given to an editor here")
    except EditorError as error:
        changed = error
    if isinstance(changed, EditorError):
        app.notify(f"{changed}. The prompt is as it was.", severity="warning", markup=False)
        return None
    return None if changed == text else changed


def editor_command(environment: Mapping[str, str]) -> list[str]:
    """Return the editor as a program with arguments.

    Raises:
        EditorError: none is named and none is found, or the one that is named is not there.
    """
    for variable in ("VISUAL", "EDITOR"):
        value = environment.get(variable, "").strip()
        if not value:
            continue
        try:
            command = shlex.split(value, posix=os.name == "posix")
        except ValueError as error:
            raise EditorError(f"${variable} is {value!r}, which is no command: {error}") from error
        program = shutil.which(command[0]) if command and command[0] else None
        if program is None:
            raise EditorError(f"${variable} is {value!r}, but there is no program of that name")
        return [program, *command[1:]]
    for name in FALLBACKS:
        if program := shutil.which(name):
            return [program]
    raise EditorError("There is no editor: set $EDITOR to the one that you use, as in EDITOR=nano")


def _run_safely(command: list[str], text: str) -> str | EditorError:
    try:
        return _run(command, text)
    except EditorError as error:
        return error
    except (OSError, ValueError) as error:
        return EditorError(f"{Path(command[0]).name} could not be used: {error}")


def _run(command: list[str], text: str) -> str:
    """Return what an editor makes of a text.

    Raises:
        EditorError: it failed.
        OSError: it cannot be run, or its file cannot be written or read.
        ValueError: its name holds a null character.
    """
    # In a folder of its own, so that what an editor leaves beside the file is removed with it.
    with tempfile.TemporaryDirectory(prefix="ezllama-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / _FILE_NAME
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
        with _interrupts_are_the_editors():
            # The standard error of this process is a log; some editors draw on theirs.
            code = subprocess.run([*command, str(path)], check=False, stderr=sys.__stderr__).returncode
        name = Path(command[0]).name
        if code < 0:
            raise EditorError(f"{name} was stopped ({signal.strsignal(-code) or -code})")
        if code:
            raise EditorError(f"{name} ended with the code {code}")
        if not path.is_file():
            raise EditorError(f"{name} has removed the file that it was given")
        changed = path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
    # Editors end the last line, which the person did not write.
    return changed[:-1] if changed.endswith("\n") and not text.endswith("\n") else changed


@contextlib.contextmanager
def _interrupts_are_the_editors() -> Iterator[None]:
    """Let Ctrl+C reach the editor only: it would end the app too, which has the same terminal."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread
        return
    # A handler, unlike ignoring, is not passed on to the editor.
    before = signal.signal(signal.SIGINT, lambda _signal, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)

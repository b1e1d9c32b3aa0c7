"""What is said where the app died, to the terminal that it leaves behind."""

import os
import shlex
import shutil
import signal
import sys
from pathlib import Path
from textwrap import TextWrapper

from easy_llama_tui.locations import sessions_folder
from easy_llama_tui.note import Note

_NAME = "ezllama-tui"
_MEANINGS = {
    "SIGABRT": "llama.cpp, or a library that it uses, found something wrong and gave up",
    "SIGKILL": "the system does that where memory runs out; a smaller context (--context-length) or a "
    "smaller model needs less",
    "SIGSEGV": "llama.cpp, or a library that it uses, has reached for memory that is not there",
    "SIGBUS": "a file that was in use became shorter, or memory ran out",
    "SIGFPE": "llama.cpp, or a library that it uses, has divided by zero",
    "SIGILL": "this llama.cpp was built for another processor; install llama-cpp-python anew",
    "SIGTERM": "it was asked to end, and could not in good order",
    "SIGHUP": "its terminal was closed",
    "SIGINT": "it was interrupted while it started",
}
_TRACEBACK = "Fatal Python error:"
"""With this begins what Python tells of a crash, which is long and says where, not what."""

_READ = 16 * 1024
_LINES = 8
_WIDTH = 100
_LINE_LENGTH = 240


def last_words(code: int, note: Note) -> str:
    """Return what happened, as far as that is known, and how to go on.

    Args:
        code: the app's exit code, or minus the signal that ended it.
        note: what the app noted before.
    """
    wrap = TextWrapper(min(shutil.get_terminal_size().columns, _WIDTH), break_long_words=False).wrap
    lines = wrap(f"{_NAME}: {_what_happened(code)}")
    if said := _end_of_log(note):
        lines += ["The last of its log:", *(f"  {line}" for line in said)]
    if _is_saved(note.chat):
        lines += [
            *wrap("The chat is saved, but for what came in the last two seconds. To go on with it:"),
            f"  {_command()} --resume {shlex.quote(note.chat)}",
        ]
    if said:
        lines.append(f"The whole log: {_printable(note.log)}")
    return "".join(f"{line}\n" for line in lines)


def _is_saved(chat: str) -> bool:
    """Return whether there is a file: what was to be saved in the last moment may not be."""
    if not chat or not chat.isprintable():
        return False
    return (Path(chat) if Path(chat).is_absolute() else sessions_folder() / f"{chat}.toml").is_file()


def _what_happened(code: int) -> str:
    if code >= 0:
        return f"the program ended in the middle of its work, with the code {code}."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"the program was ended by signal {-code}."
    meaning = f": {_MEANINGS[name]}" if name in _MEANINGS else ""
    return f"the program was ended by {name}{meaning}."


def _end_of_log(note: Note) -> list[str]:
    """Return the last lines of this run's log, without Python's own account of a crash."""
    if not note.log:
        return []
    path, start = Path(note.log), note.log_start
    try:
        if path.stat().st_size < start:
            # It was full, and goes on in a new file; what the libraries say stays with the old one.
            path, start = path.with_name(f"{path.name}.1"), 0
        with path.open("rb") as file:
            file.seek(max(start, os.fstat(file.fileno()).st_size - _READ))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [_printable(line) for line in text.partition(_TRACEBACK)[0].splitlines()]
    return [line if len(line) <= _LINE_LENGTH else f"{line[:_LINE_LENGTH]}…" for line in lines if line][
        -_LINES:
    ]


def _printable(text: str) -> str:
    """Return one line that cannot drive the terminal: the log quotes strangers' files."""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _command() -> str:
    """Return how the program is started, as it was."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m easy_llama_tui"
    found = shutil.which(_NAME)
    is_found = found is not None and os.path.realpath(found) == os.path.realpath(started)
    return _NAME if is_found else shlex.quote(str(started))

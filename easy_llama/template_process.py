"""Has chat templates rendered in a process of their own, which is killed where it is late or unwanted.

The process is started when the first template is used, and kept: one rendering then costs two messages over
pipes. It is a fresh interpreter, not a fork of this one with its threads and its model, and not one of
`multiprocessing`, which would run the main script of whoever imports this library. What comes back from it
is read as data: JSON, of bounded length.
"""

import atexit
import contextlib
import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any

from easy_llama.gguf import one_line
from easy_llama.template_messages import MAX_SECONDS, packed, read_message

__all__ = ["TemplateFailure", "check_template", "render_template", "unwanted_when"]

_START_SECONDS = 30.0
"""How long the process may take to start; it takes 0.2 s where the machine is idle."""
_GRACE_SECONDS = 0.25
"""How much longer than a template, which is asked to stop by itself."""
_LOOK_SECONDS = 0.05
"""How often it is asked whether a rendering is still wanted."""

_LONGEST_PROBLEM = 500
"""How much is told of what a template says, in characters."""

_STOPPED = "it was stopped"
_LATE = f"it takes longer than {MAX_SECONDS:g} seconds"

_PROGRAM = "import sys; sys.path += sys.argv[1:]; from easy_llama.template_host import serve; serve()"
_ENVIRONMENT = ("SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What Python may need to start at all."""

_is_unwanted: ContextVar[Callable[[], bool]] = ContextVar("is_unwanted", default=lambda: False)


class TemplateFailure(Exception):  # noqa: N818 (the error that people see is made of it)
    """A template does not compile, was stopped, or raised something."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        """One line of printable characters, whatever the template said."""
        self.line = line
        """The line of the template, where it is known."""


@contextlib.contextmanager
def unwanted_when(asked: Callable[[], bool]) -> Iterator[None]:
    """Have renderings in this context fail soon after `asked` returns True; it is called from a thread."""
    token = _is_unwanted.set(asked)
    try:
        yield
    finally:
        _is_unwanted.reset(token)


def check_template(source: str) -> None:
    """Compile a template, without running any of it.

    Raises:
        TemplateFailure: it does not compile.
    """
    _ask({"source": source, "variables": None, "seconds": MAX_SECONDS}, 0)


def render_template(
    source: str, variables: Mapping[str, object], *, size: int, now: datetime, seconds: float
) -> str:
    """Return what a template makes of `variables`.

    Args:
        source: the Jinja source.
        variables: what the template may read; JSON has to be able to hold it.
        size: the length of the template and of the text in `variables`, in characters.
        now: the time that `strftime_now` tells.
        seconds: how long it may take.

    Raises:
        TemplateFailure: it raised something, made too much, took too long, or was no longer wanted.
    """
    request = {
        "source": source,
        "variables": variables,
        "size": size,
        "now": now.isoformat(),
        "seconds": seconds,
    }
    return _ask(request, size)


def _ask(request: Mapping[str, Any], size: int) -> str:
    if _is_unwanted.get()():
        raise TemplateFailure(_STOPPED)
    if request["seconds"] <= 0:
        raise TemplateFailure(_LATE)
    try:
        data = packed(request)
    except (RecursionError, TypeError, ValueError) as error:
        raise TemplateFailure(f"its variables cannot be given to it: {error}") from error
    # A character of the answer takes six bytes at most, and there are at most 16 for each that goes in.
    answer = None
    while answer is None:
        answer = _host().ask(data, request["seconds"] + _GRACE_SECONDS, 1_000_000 + 100 * size)
    match answer:
        case {"text": str(text)}:
            return text
        case {"problem": str(problem), "line": int() | None as line}:
            raise TemplateFailure(one_line(problem[:_LONGEST_PROBLEM]), line)
    raise TemplateFailure("what renders it does not answer as it should")


class _Host:
    """The process, and the pipes to it."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            TemplateFailure: it cannot be started.
        """
        self._asking = threading.Lock()
        try:
            self._process = subprocess.Popen(
                _command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                cwd=os.sep,
                start_new_session=True,  # Ctrl+C and a closed terminal are not its business
            )
        except (OSError, ValueError) as error:
            raise TemplateFailure(f"the process that renders it cannot be started: {error}") from error
        if self._exchange(b"", _START_SECONDS, 100) != {"ready": True}:
            self.close()
            raise TemplateFailure("the process that renders it does not start")

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: bytes, seconds: float, most_bytes: int) -> dict[str, Any] | None:
        """Return the answer to a request, or None where another thread's had the process killed before.

        Raises:
            TemplateFailure: there is none in time, or it was no longer wanted. The process is gone then.
        """
        with self._asking:
            return self._exchange(request, seconds, most_bytes) if self.is_alive else None

    def close(self) -> None:
        """End it, whatever it is at."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _exchange(self, request: bytes, seconds: float, most_bytes: int) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        watch = _Watch(self._process, seconds, _is_unwanted.get())
        answer = None
        try:
            with watch, contextlib.suppress(OSError, ValueError, RecursionError):
                self._process.stdin.write(request)
                self._process.stdin.flush()
                answer = read_message(self._process.stdout, most_bytes)
        finally:
            # Of what was begun and not ended, nobody could tell later where it ends.
            if answer is None or watch.reason:
                self.close()
        if watch.reason or answer is None:
            raise TemplateFailure(watch.reason or "it makes the process that renders it end")
        return answer


class _Watch:
    """Kills a process, from a thread, where it is late or no longer wanted."""

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float, asked: Callable[[], bool]) -> None:
        self.reason = ""
        """Why it was killed, if it was."""
        self._process = process
        self._seconds = seconds
        self._asked = asked
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="template watch", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        deadline = time.monotonic() + self._seconds
        while not self._done.wait(max(0.0, min(_LOOK_SECONDS, deadline - time.monotonic()))):
            if self._asked():
                self.reason = _STOPPED
            elif time.monotonic() >= deadline:
                self.reason = _LATE
            if self.reason:
                self._process.kill()
                return


def _command() -> list[str]:
    if not sys.executable or getattr(sys, "frozen", False):
        raise ValueError("there is no Python beside this program")
    folders = []
    for package in ("easy_llama", "jinja2", "markupsafe"):
        spec = importlib.util.find_spec(package)
        assert spec is not None and spec.origin is not None
        folders.append(str(Path(spec.origin).parent.parent))
    return [sys.executable, "-I", "-S", "-c", _PROGRAM, *dict.fromkeys(folders)]


_current: _Host | None = None
_starting = threading.Lock()


def _host() -> _Host:
    """Return the process, started anew where there is none."""
    global _current
    with _starting:
        if _current is None or not _current.is_alive:
            _close()
            _current = _Host()
        return _current


def _close() -> None:
    global _current
    if _current is not None:
        _current.close()
        _current = None


def _forget() -> None:
    """Leave the process to whom this one was forked from."""
    global _current, _starting
    _current, _starting = None, threading.Lock()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

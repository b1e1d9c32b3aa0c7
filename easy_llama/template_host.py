"""The process in which chat templates are rendered, from inside: it answers one request after the other.

It is started with no environment and an empty path. Before the first request it gives up what it does not
need: the system allows it no further file descriptor or child, and only so much memory; an audit hook of
Python refuses whatever would reach out. (On Windows there is the hook alone.) A template that gets out of
Jinja's sandbox is then in a place with nothing in it but the conversation.
"""

import contextlib
import importlib
import math
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2

from easy_llama.template_messages import packed, read_message
from easy_llama.template_sandbox import compile_template, render_template

__all__ = ["serve"]

_MAX_MEMORY = 512 * 1024 * 1024
"""The most memory of this process, in bytes of address space."""

_WITHIN = frozenset(
    {"builtins", "code", "compile", "cpython", "exec", "function", "gc", "object", "resource", "sys"}
)
"""What stays inside the interpreter, as the first word of Python's audit events. No limit can be raised."""


def serve() -> None:
    """Answer requests on the standard input until there are no more."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    _render_once()
    _give_up_rights()
    answer: dict[str, object] = {"ready": True}
    while True:
        answers.write(packed(answer))
        answers.flush()
        request = read_message(requests)
        if request is None:
            return
        _limit_processor_time(request["seconds"])
        answer = _answer(request)


_compiled = lru_cache(maxsize=16)(compile_template)


def _answer(request: Mapping[str, Any]) -> dict[str, object]:
    """Return the text that a template makes, or why it makes none; "" where it is compiled only."""
    deadline = time.monotonic() + request["seconds"]
    try:
        template = _compiled(request["source"])
        if request["variables"] is None:
            return {"text": ""}
        now = datetime.fromisoformat(request["now"])
        variables = {"strftime_now": now.strftime, **request["variables"]}
        return {"text": render_template(template, variables, request["size"], deadline)}
    except MemoryError:
        return {"problem": "it wants too much memory", "line": None}
    except Exception as error:
        problem = getattr(error, "message", None) or str(error) or type(error).__name__
        line = getattr(error, "lineno", None)
        return {"problem": str(problem)[:1000], "line": line if isinstance(line, int) else None}


def _render_once() -> None:
    """Load what Jinja and Python load only when they first render and first fail."""
    for module in ("encodings.ascii", "encodings.latin_1", "jinja2.debug", "pprint", "traceback"):
        importlib.import_module(module)
    for source in ("{% for x in 'ab' %}{{ [x, loop.index]|tojson }}{% endfor %}", "{{ a.b }}", "{% if"):
        with contextlib.suppress(jinja2.TemplateError):
            render_template(compile_template(source), {}, 0, math.inf)
    datetime.now().strftime("%c")


def _give_up_rights() -> None:
    with contextlib.suppress(ImportError):  # Windows has none of this
        import resource

        limits = {"AS": _MAX_MEMORY, "CORE": 0, "FSIZE": 0, "NOFILE": 0, "NPROC": 0}
        for name, limit in limits.items():
            # Not every system knows each of them, and macOS does not set all that it knows.
            with contextlib.suppress(AttributeError, OSError, ValueError):
                resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    sys.addaudithook(_refuse)


def _refuse(event: str, _arguments: object) -> None:
    if event.partition(".")[0] not in _WITHIN:
        raise PermissionError(f"chat templates have no right to {event}")


def _limit_processor_time(seconds: float) -> None:
    """Have the system end this process soon, should the program that asks die meanwhile."""
    resource = sys.modules.get("resource")
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds) + 1, hard))

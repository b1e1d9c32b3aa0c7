"""Saves a thread as a session file (TOML, schema 1), which the program `ezllama-tui` opens."""

import os
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from easy_llama import formats
from easy_llama.chat_template import ChatTemplate
from easy_llama.model_file import split_file_name
from easy_llama.sampler_values import values_of
from easy_llama.samplers import preset_name

if TYPE_CHECKING:
    from easy_llama.thread import Thread

__all__ = ["format_name", "save_session"]

_SUFFIX = ".toml"


def save_session(thread: "Thread", path: Path | None = None, interrupted: bool = False) -> Path:
    """Save a thread as a new file that only its user may read, and return its absolute path.

    Token ids are not saved, nor a format of the caller's own (see `format_name`): the file then names the
    model's.

    Args:
        thread: what to save.
        path: the new file, which gets the suffix ".toml" where it has another; of a folder, or for `None`
            the current one, a file in it that is named after the date and the time.
        interrupted: the last reply was ended by the person.

    Raises:
        OSError: the file cannot be written, or there is one of that name.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    name = f"{now:%Y%m%d-%H%M%S}-{random.randrange(16**4):04x}"
    path = (path or Path()).absolute()
    if path.is_dir():
        path /= name
    if path.suffix != _SUFFIX:
        path = path.with_name(path.name + _SUFFIX)
    data = tomli_w.dumps(_session(thread, name, now, interrupted)).encode("utf-8", "replace")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        try:
            file.write(data)
            file.flush()
        except OSError:
            path.unlink()  # half a session opens nowhere
            raise
    return path


def format_name(thread: "Thread") -> str | None:
    """Return the name that a session file has for the thread's format, or None for one of its caller's own.

    That is the name of the built-in format that it equals, or "template" for the model's chat template.
    """
    if hasattr(thread.format, "render"):
        return formats.TEMPLATE_NAME if _is_models_own(thread) else None
    return next((name for name in formats.names() if formats.get(name) == thread.format), None)


def _session(thread: "Thread", name: str, now: datetime, interrupted: bool) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for number, message in enumerate(thread.messages, start=1):
        entry = {"id": f"m{number}", "role": message["role"], "created": now, "content": message["content"]}
        if number > 1:
            entry["parent"] = f"m{number - 1}"
        if message["role"] == "bot":
            is_last = number == len(thread.messages)
            entry["finish"] = "interrupted" if interrupted and is_last else "stop"
        messages.append(entry)
    session: dict[str, Any] = {
        "schema": 1,
        "id": name,
        "title": _title(thread),
        "named": False,
        "created": now,
        "updated": now,
    }
    if messages:
        session["head"] = messages[-1]["id"]
    file = Path(thread.model.filename)
    preset = preset_name(thread.sampler) or "DefaultSampling"
    return session | {
        "model": {"path": str(file.absolute()), "name": split_file_name(file.name).display_name},
        "format": {"name": format_name(thread) or formats.TEMPLATE_NAME},
        "sampler": {"preset": preset, **values_of(thread.sampler, preset)},
        "messages": messages,
    }


def _title(thread: "Thread") -> str:
    """Return the first line of what the user said first, cut to 60 characters."""
    said = next((message["content"] for message in thread.messages if message["role"] == "user"), "")
    line = next((line for line in said.splitlines() if line.strip()), "")
    line = " ".join("".join(char for char in line if char.isprintable() or char.isspace()).split())
    return line if len(line) <= 60 else f"{line[:59].rstrip()}…"


def _is_models_own(thread: "Thread") -> bool:
    """Return whether the thread's format is the chat template of its model, as it came."""
    ours = thread.format
    if not isinstance(ours, ChatTemplate) or ours.variables:
        return False
    unchanged = formats.from_chat_template(
        ours.source, ours.bos_token, ours.eos_token, control_tokens=ours.control_tokens
    )
    return ours == unchanged and ours.source == thread.model.metadata.get("tokenizer.chat_template")

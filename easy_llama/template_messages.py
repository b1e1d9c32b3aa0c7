"""What `template_process` and `template_host` say to each other: JSON objects, each behind its length."""

import json
from collections.abc import Mapping
from typing import IO, Any

__all__ = ["MAX_SECONDS", "packed", "read_message"]

MAX_SECONDS = 3.0
"""The longest time that all renderings for one prompt may take together."""

_LENGTH_BYTES = 8


def packed(message: Mapping[str, object]) -> bytes:
    """Return a message as the bytes to write.

    Raises:
        RecursionError, TypeError, ValueError: JSON cannot hold it.
    """
    # Lone surrogates are in what a person may type, and in what a template may write.
    data = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


def read_message(stream: IO[bytes], most_bytes: int | None = None) -> dict[str, Any] | None:
    """Return the next message, or None where the stream ends before it does.

    Raises:
        ValueError: it is longer than `most_bytes`, or is no JSON object.
    """
    start = stream.read(_LENGTH_BYTES)
    if len(start) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(start, "big")
    if most_bytes is not None and length > most_bytes:
        raise ValueError(f"a message of {length:,} bytes")
    data = stream.read(length)
    if len(data) < length:
        return None
    message = json.loads(data.decode("utf-8", "surrogatepass"))
    if not isinstance(message, dict):
        raise ValueError("a message that is no object")
    return message

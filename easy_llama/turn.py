"""A message of a conversation, as prompt formats see it."""

from typing import Literal

from easy_llama.record import Record

Role = Literal["system", "user", "bot"]


class Turn(Record):
    """One message of a conversation, as a prompt format sees it."""

    role: Role
    content: str
    ids: tuple[int, ...] = ()
    """The exact token ids of `content` where the model generated it, else empty."""

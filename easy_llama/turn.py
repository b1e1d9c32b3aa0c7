"""A message of a conversation, as prompt formats see it."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "bot"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, as a prompt format sees it."""

    role: Role
    content: str
    ids: tuple[int, ...] = ()
    """The exact token ids of `content` where the model generated it, else empty."""

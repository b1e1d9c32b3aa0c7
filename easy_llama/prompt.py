"""A prompt as pieces whose origin is known, and their token ids.

What the format wrote and what a person or the model wrote are never mixed into one string: only the
former may hold control tokens. Text that the model generated keeps the ids that it was generated with,
because tokenizing it again may split it otherwise, and the KV cache would no longer match.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["system", "user", "bot"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, as a prompt format sees it."""

    role: Role
    content: str
    ids: tuple[int, ...] = ()
    """The exact token ids of `content` where the model generated it, else empty."""


@dataclass(frozen=True, slots=True)
class Control:
    """Text that the format writes; the names of control tokens in it become those tokens."""

    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """Text that a person or the model wrote; it is only ever plain text to the tokenizer."""

    text: str


@dataclass(frozen=True, slots=True)
class Generated:
    """Text whose exact token ids are known, because the model generated it."""

    text: str
    ids: tuple[int, ...]


Piece = Control | Written | Generated


class TurnRenderer(Protocol):
    """A format that renders a whole conversation itself, as a chat template does."""

    def render(self, turns: Sequence[Turn]) -> tuple[Piece, ...]:
        """Return the prompt for the bot's next message after `turns`."""
        ...


def prompt_text(pieces: Sequence[Piece]) -> str:
    """Return the text of a prompt, as its reader would see it."""
    return "".join(piece.text for piece in pieces)

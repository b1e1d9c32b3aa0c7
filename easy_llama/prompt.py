"""A prompt as pieces whose origin is known, and their token ids.

What the format wrote and what a person or the model wrote are never mixed into one string: only the
former may hold control tokens. Text that the model generated keeps the ids that it was generated with,
because tokenizing it again may split it otherwise, and the KV cache would no longer match.
"""

from collections.abc import Iterable, Sequence
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


class PieceTokenizer(Protocol):
    """What `encode_prompt` asks of a vocabulary; `easy_llama.tokenizer.Tokenizer` is one."""

    bos: int
    adds_bos: bool

    def encode_plain(self, text: str, *, continues: bool) -> list[int]:
        """Return the ids of text in which no control token is read."""
        ...

    def split_control(self, text: str) -> Iterable[int | str]:
        """Split text that a format wrote into control token ids and plain text."""
        ...


def encode_prompt(pieces: Sequence[Piece], tokenizer: PieceTokenizer) -> tuple[int, ...]:
    """Return the token ids of a prompt.

    Plain text between two control tokens is tokenized as one, whoever wrote it, as the model saw it in
    training. Generated text keeps its ids. The prompt begins with exactly one BOS where the model wants
    one, also when the format wrote it too.
    """
    ids: list[int] = []
    plain: list[str] = []
    after_text = False

    def flush() -> None:
        nonlocal after_text
        if text := "".join(plain):
            ids.extend(tokenizer.encode_plain(text, continues=after_text))
            after_text = True
        plain.clear()

    for piece in pieces:
        match piece:
            case Written(text):
                plain.append(text)
            case Generated(ids=known):
                flush()
                ids.extend(known)
                after_text = True
            case Control(text):
                for part in tokenizer.split_control(text):
                    if isinstance(part, str):
                        plain.append(part)
                    else:
                        flush()
                        ids.append(part)
                        after_text = False
    flush()
    if tokenizer.adds_bos and ids[:1] != [tokenizer.bos]:
        ids.insert(0, tokenizer.bos)
    elif tokenizer.adds_bos and ids[:2] == [tokenizer.bos, tokenizer.bos]:
        del ids[0]
    return tuple(ids)

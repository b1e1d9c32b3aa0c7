"""A prompt as pieces whose origin is known, and their token ids.

What the format wrote and what a person or the model wrote are never mixed into one string: only the
former may hold control tokens. Text that the model generated keeps the ids that it was generated with,
because tokenizing it again may split it otherwise, and the KV cache would no longer match.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from easy_llama.turn import Role, Turn

__all__ = [
    "Control",
    "Generated",
    "Piece",
    "Role",
    "Turn",
    "TurnRenderer",
    "Written",
    "encode_prompt",
    "piece_of_each_token",
    "prompt_text",
]


@dataclass(frozen=True, slots=True)
class Control:
    """Text that the format writes; the names of control tokens in it become those tokens."""

    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """Text that a person or the model wrote; it is only ever plain text to the tokenizer."""

    text: str
    turn: int | None = field(default=None, compare=False)
    """Which of the turns it is from, where that is known."""


@dataclass(frozen=True, slots=True)
class Generated:
    """Text whose exact token ids are known, because the model generated it."""

    text: str
    ids: tuple[int, ...]
    turn: int | None = field(default=None, compare=False)
    """Which of the turns it is from, where that is known."""


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
    """What encoding a prompt asks of a vocabulary; `easy_llama.tokenizer.Tokenizer` is one."""

    bos: int
    adds_bos: bool

    def encode_plain(self, text: str, *, continues: bool) -> list[int]:
        """Return the ids of text in which no control token is read."""
        ...

    def split_control(self, text: str) -> Iterable[int | str]:
        """Split text that a format wrote into control token ids and plain text."""
        ...

    def bytes_of(self, token: int) -> bytes:
        """Return the bytes that a token adds to a text."""
        ...


def encode_prompt(pieces: Sequence[Piece], tokenizer: PieceTokenizer) -> tuple[int, ...]:
    """Return the token ids of a prompt.

    Plain text between two control tokens is tokenized as one, whoever wrote it, as the model saw it in
    training. Generated text keeps its ids. The prompt begins with exactly one BOS where the model wants
    one, also when the format wrote it too.
    """
    return tuple(token for run in _runs(pieces, tokenizer) for token in run.ids)


def piece_of_each_token(pieces: Sequence[Piece], tokenizer: PieceTokenizer) -> tuple[int, ...]:
    """Return the index of the piece in which each token of a prompt begins.

    The order is that of `encode_prompt`. A token that reaches over the end of a piece counts to the piece
    in which it begins.
    """
    places: list[int] = []
    for run in _runs(pieces, tokenizer):
        if len(run.parts) == 1:
            places += [run.parts[0][0]] * len(run.ids)
            continue
        ends = list(itertools.accumulate(len(text.encode("utf-8", "replace")) for _, text in run.parts))
        position = part = 0
        for token in run.ids:
            while part < len(ends) - 1 and position >= ends[part]:
                part += 1
            places.append(run.parts[part][0])
            position += len(tokenizer.bytes_of(token))
    return tuple(places)


@dataclass(slots=True)
class _Run:
    """Tokens that were made at once."""

    ids: list[int]
    parts: list[tuple[int, str]]
    """The text that they were made from: pieces by their index, each with its share."""


def _runs(pieces: Sequence[Piece], tokenizer: PieceTokenizer) -> list[_Run]:
    runs: list[_Run] = []
    plain: list[tuple[int, str]] = []
    after_text = False

    def flush() -> None:
        nonlocal after_text
        if text := "".join(part for _, part in plain):
            runs.append(_Run(tokenizer.encode_plain(text, continues=after_text), plain.copy()))
            after_text = True
        plain.clear()

    for index, piece in enumerate(pieces):
        match piece:
            case Written(text):
                plain.append((index, text))
            case Generated(text, known):
                flush()
                runs.append(_Run(list(known), [(index, text)]))
                after_text = True
            case Control(text):
                for part in tokenizer.split_control(text):
                    if isinstance(part, str):
                        plain.append((index, part))
                    else:
                        flush()
                        runs.append(_Run([part], [(index, "")]))
                        after_text = False
    flush()
    if tokenizer.adds_bos:
        first = [run.ids[0] for run in runs[:2] if len(run.ids) == 1]
        if not runs or runs[0].ids[:1] != [tokenizer.bos]:
            runs.insert(0, _Run([tokenizer.bos], [(0, "")]))
        elif first == [tokenizer.bos, tokenizer.bos]:
            del runs[0]
    return runs

"""What is known of each token of a text: how likely it was, and how sure the model was. Pure."""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Final, Literal, NamedTuple

Origin = Literal["sampled", "chosen", "written", "format"]
"""Who put a token there: the sampler, the person in place of another, whoever wrote the text, the format."""

Confidence = Literal["sure", "likely", "maybe", "unlikely"]
"""How likely a token was, in four classes."""

CONFIDENCE_FROM: Final[tuple[tuple[Confidence, float], ...]] = (
    ("sure", 0.9),
    ("likely", 0.5),
    ("maybe", 0.1),
    ("unlikely", 0.0),
)
"""The classes with the least probability of each, 0 to 1.

From 0.5 on no other token was as likely. Nine draws of ten from the model's own distribution give a token
that was sure, and fewer than one of ten gives one that was unlikely.
"""

_LEAST: Final = tuple((name, log(share) if share else float("-inf")) for name, share in CONFIDENCE_FROM)
_SURPRISING_SHARE: Final = 0.05
_FEWEST_SURPRISES: Final = 3


@dataclass(frozen=True, slots=True)
class TokenFigure:
    """One token of a text. What is not known, or not computed yet, is None."""

    id: int
    data: bytes
    """The bytes that it adds to the text, which may be a part of a character; for a control token, its name
    in UTF-8."""

    log_probability: float | None = None
    """The natural logarithm of its probability in the model's own distribution, before the samplers."""

    rank: int | None = None
    """Its place among all tokens of the vocabulary: 1 where none was likelier."""

    entropy: float | None = None
    """The entropy of that distribution, in nats."""

    origin: Origin = "sampled"
    is_control: bool = False
    """Whether it stands for no text, such as the end of a turn."""

    @property
    def probability(self) -> float | None:
        """Its probability in the model's own distribution, 0 to 1."""
        return None if self.log_probability is None else exp(min(self.log_probability, 0.0))

    @property
    def confidence(self) -> Confidence | None:
        """How likely it was."""
        if self.log_probability is None:
            return None
        for name, least in _LEAST:
            if self.log_probability >= least:
                return name
        return None  # not a number

    @property
    def text(self) -> str:
        r"""Its text; bytes that are no whole character are written like `\xf0`."""
        return self.data.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a computation is, in tokens."""

    done: int
    total: int
    """0 while it is not known."""


@dataclass(frozen=True, slots=True)
class Overall:
    """The figures of a whole text."""

    counted: int
    """The tokens that have a log-probability."""

    mean_log_probability: float
    """Per token, in nats."""

    @property
    def perplexity(self) -> float:
        """Among how many equally likely tokens the model chose, on average.

        It is the exponential of the negative mean log-probability.
        """
        return exp(min(-self.mean_log_probability, 700.0))


def overall(figures: Sequence[TokenFigure]) -> Overall | None:
    """Return the figures of a whole text; None where nothing of it is known."""
    known = [one.log_probability for one in figures if one.log_probability is not None]
    return Overall(len(known), sum(known) / len(known)) if known else None


def surprises(figures: Sequence[TokenFigure]) -> tuple[int, ...]:
    """Return the indices of the least sure tokens, the least sure of all first.

    These are the 5 % that were least likely, and three at least; a text that has fewer has all of them.
    """
    known = sorted(
        (one.log_probability, index) for index, one in enumerate(figures) if one.log_probability is not None
    )
    count = max(round(len(known) * _SURPRISING_SHARE), _FEWEST_SURPRISES)
    return tuple(index for _, index in known[:count])


class Span(NamedTuple):
    """A piece of text that belongs to the same tokens."""

    text: str
    first: int
    """The token that it begins in."""
    last: int
    """The token that completes it: another one where a character is made of several."""


def spans(figures: Sequence[TokenFigure]) -> list[Span]:
    r"""Return the text of tokens, in its order; each token that has bytes is in one span at least.

    A character whose bytes are in several tokens is one span. Bytes that make no character are written like
    `\xf0`.
    """
    found: list[Span] = []
    waiting: list[int] = []
    for index, figure in enumerate(figures):
        if not waiting and not _is_unfinished(figure.data):
            found.append(Span(figure.text, index, index))
            continue
        waiting.append(index)
        if not _is_unfinished(b"".join([figures[at].data for at in waiting])):
            found += _joined(figures, waiting)
            waiting = []
    return [*found, *_joined(figures, waiting)]


def _is_unfinished(data: bytes) -> bool:
    """Return whether the bytes end within a character that more bytes could complete."""
    if not data or data[-1] < 0x80:
        return False
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data)
    return bool(decoder.getstate()[0])


def _joined(figures: Sequence[TokenFigure], indices: Sequence[int]) -> Iterator[Span]:
    """Yield the text of tokens that follow each other, some of whose characters are in several of them."""
    owners = [index for index in indices for _ in figures[index].data]
    text, first, last, at = "", -1, -1, 0
    for character, size in _characters(b"".join([figures[index].data for index in indices])):
        begins, ends = owners[at], owners[at + size - 1]
        at += size
        if (begins, ends) == (first, last):
            text += character
            continue
        if text:
            yield Span(text, first, last)
        text, first, last = character, begins, ends
    if text:
        yield Span(text, first, last)


def _characters(data: bytes) -> Iterator[tuple[str, int]]:
    """Yield each character with how many bytes it has; bytes that make none, one by one."""
    start = 0
    while start < len(data):
        for size in range(1, 5):
            try:
                yield data[start : start + size].decode("utf-8"), size
            except UnicodeDecodeError:
                continue
            start += size
            break
        else:
            yield f"\\x{data[start]:02x}", 1
            start += 1

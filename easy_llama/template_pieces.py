"""Tells the messages in the output of a chat template from what the template wrote.

The output is one string, in which a message's text could pass for the template's: `<|im_end|>`, typed by a
person, would end the message. So each message is found in the output again, and only what is left is
allowed to name control tokens.
"""

import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from easy_llama.errors import ChatTemplateError
from easy_llama.prompt import Control, Generated, Piece, Role, Turn, Written

__all__ = ["PieceFinder"]

_Span = tuple[int, int]
_UNMARKED = (0, 0)


@dataclass(frozen=True, slots=True)
class _Marks:
    """Three characters that no text of a rendering holds, to find its messages in the output again."""

    start: str
    end: str
    cut: str
    """Stands after a character of a message at which a control token's name could begin."""

    @classmethod
    def missing_in(cls, texts: Iterable[str]) -> "_Marks":
        """Return three characters, noncharacters or private ones, that occur in none of `texts`."""
        used = set().union(*texts)
        codes = itertools.chain(range(0xFDD0, 0xFDF0), range(0xE000, 0xF900), range(0xF0000, 0x10FFFE))
        unused = (chr(code) for code in codes if chr(code) not in used)
        return cls(next(unused), next(unused), next(unused))

    def around(self, index: int, text: str) -> str:
        """Return `text` between the marks of message `index`; an empty text gets none."""
        return f"{self.start}{index}{self.start}{text}{self.end}{index}{self.end}" if text else ""

    @property
    def pattern(self) -> str:
        """A regular expression for a mark: group 1 is the message that starts, group 2 the one that ends."""
        return rf"{self.start}(\d{{1,9}}){self.start}|{self.end}(\d{{1,9}}){self.end}|{self.cut}"


class PieceFinder:
    """Tells whose text is whose in what a template makes of a conversation.

    The template is run again on messages with marks in them. Where the same text comes out, the marks show
    what is a message's. Templates that look into messages (to trim them, to drop a reply's reasoning) can
    make something else of marked ones; then fewer marks, or marks elsewhere, are tried. Whatever helps, the
    pieces make up the plain text, and no message puts the name of a control token into a `Control` piece.

    Args:
        turns: the conversation.
        render: what the template makes of it with these contents in place of its own.
        source: the template's source, in which marks are not to occur.
        control_tokens: the names of all control tokens.
    """

    def __init__(
        self,
        turns: Sequence[Turn],
        render: Callable[[Sequence[str]], str],
        source: str,
        control_tokens: Collection[str],
    ) -> None:
        contents = [turn.content for turn in turns]
        self._turns = turns
        self._render = render
        self._plain = render(contents)
        self._marks = _Marks.missing_in([self._plain, source, *contents])
        self._control_tokens = control_tokens

    def find(self) -> list[Piece]:
        """Return the pieces of the plain text, some of them empty."""
        for spans in self._possible_spans():
            for names in self._possible_cuts():
                contents = [self._marked(index, span, names) for index, span in enumerate(spans)]
                if pieces := self._try(contents):
                    return pieces if names is not self._quoted else self._guarded(pieces)
                if not any(self._marks.cut in content for content in contents):
                    break  # other cuts make no difference
        # No marks survive: quoted names are then nobody's control tokens, not even the template's own.
        pieces = self._read(self._cut(self._plain, self._quoted))
        return self._guarded(pieces) if pieces else [Written(self._plain)]

    def _guarded(self, pieces: list[Piece]) -> list[Piece]:
        """Return the pieces without control tokens that the template may have put together from messages.

        Where names are not cut, a template that deletes a word from a message can join the two halves of
        one. Then there are more of that name than in a conversation of the same shape that says nothing.
        """
        everything = "".join(turn.content for turn in self._turns)
        names = [name for name in self._control_tokens if name and _is_scattered(name, everything)]
        if not names:
            return pieces
        silent = self._rendered(["x" if turn.content.strip() else turn.content for turn in self._turns])
        written = "\0".join(piece.text for piece in pieces if isinstance(piece, Control))
        joined = [name for name in names if written.count(name) > silent.count(name)]
        guarded: list[Piece] = []
        for piece in pieces:
            cut = self._read(self._cut(piece.text, joined)) if isinstance(piece, Control) else None
            guarded += cut or [piece]
        return guarded

    def _try(self, contents: Sequence[str]) -> list[Piece] | None:
        """Return the pieces that marked contents show, or None where they change the text."""
        output = self._rendered(contents)
        same = re.sub(self._marks.pattern, "", output) == self._plain
        return self._read(output) if same else None

    def _possible_spans(self) -> Iterator[list[_Span]]:
        """Yield which part of each message to mark, the most telling first."""
        padded = {turn.role for turn in self._turns if turn.content != turn.content.strip()}
        for trimmed in _subsets(padded):  # templates trim the messages of some roles
            yield [_inner(turn) if turn.role in trimmed else _outer(turn) for turn in self._turns]
        inner = [_inner(turn) for turn in self._turns]
        surviving = self._surviving(inner)
        yield surviving
        intact = [span if span == kept else _UNMARKED for span, kept in zip(inner, surviving, strict=True)]
        for unmarked in _subsets({turn.role for turn in self._turns}):
            pairs = zip(self._turns, intact, strict=True)
            yield [_UNMARKED if turn.role in unmarked else span for turn, span in pairs]

    def _possible_cuts(self) -> Iterator[Sequence[str]]:
        """Yield what to cut in the unmarked parts of messages: the beginning of which words."""
        yield sorted({name[0] for name in self._control_tokens if name})
        # A template that looks for "</think>" in a message does not find it cut in two.
        yield self._quoted

    @cached_property
    def _quoted(self) -> list[str]:
        """The names of control tokens that occur in messages."""
        text = "\n".join(turn.content for turn in self._turns)
        return [name for name in self._control_tokens if name and name in text]

    def _surviving(self, spans: list[_Span]) -> list[_Span]:
        """Return the spans without what the template drops, as it does with a reply's reasoning."""
        output = self._rendered([self._marked(index, span, ()) for index, span in enumerate(spans)])
        before: dict[int, str] = {}  # what stands before the end of a message since the last mark
        whole: set[int] = set()
        position, last_start = 0, None
        for mark in re.finditer(self._marks.pattern, output):
            if mark[2]:
                before[int(mark[2])] = output[position : mark.start()]
                whole |= {int(mark[2])} if mark[2] == last_start else set()
            position, last_start = mark.end(), mark[1]
        surviving = []
        for index, (start, end) in enumerate(spans):
            if index not in whole:
                kept = _common_suffix(before.get(index, ""), self._turns[index].content[start:end])
                start = end - len(re.sub(r"^\W+", "", kept))  # the template may end with the same signs
            surviving.append((start, end))
        return surviving

    def _marked(self, index: int, span: _Span, names: Sequence[str]) -> str:
        content, (start, end) = self._turns[index].content, span
        inside = self._marks.around(index, content[start:end])
        return self._cut(content[:start], names) + inside + self._cut(content[end:], names)

    def _cut(self, text: str, names: Sequence[str]) -> str:
        """Return `text` with a cut after each character at which one of `names` begins."""
        if not names:
            return text
        begins = f"(?s)(?={'|'.join(map(re.escape, names))})."
        return re.sub(begins, rf"\g<0>{self._marks.cut}", text)

    def _rendered(self, contents: Sequence[str]) -> str:
        try:
            return self._render(contents)
        except ChatTemplateError:  # marked messages can be ones that a template refuses
            return ""

    def _read(self, output: str) -> list[Piece] | None:
        """Return the pieces of a marked output, or None where marks are lost."""
        pieces: list[Piece] = []
        position, inside = 0, None
        for mark in re.finditer(self._marks.pattern, output):
            text = output[position : mark.start()]
            position = mark.end()
            starts, ends = mark.groups()
            if starts is None and ends is None and inside is None:
                pieces += [Control(text[:-1]), Written(text[-1:])]
            elif starts is not None and inside is None:
                pieces.append(Control(text))
                inside = starts
            elif ends is not None and ends == inside and int(ends) < len(self._turns):
                pieces.append(self._piece(int(ends), text))
                inside = None
            else:
                return None
        return [*pieces, Control(output[position:])] if inside is None else None

    def _piece(self, index: int, text: str) -> Piece:
        turn = self._turns[index]
        if turn.ids and text == turn.content:
            return Generated(text, turn.ids, index)
        return Written(text, index)


def _subsets(roles: Collection[Role]) -> Iterator[tuple[Role, ...]]:
    """Yield all subsets, from none of the roles to all of them."""
    for count in range(len(roles) + 1):
        yield from itertools.combinations(sorted(roles), count)


def _outer(turn: Turn) -> _Span:
    return (0, len(turn.content)) if turn.content.strip() else _UNMARKED


def _inner(turn: Turn) -> _Span:
    start = len(turn.content) - len(turn.content.lstrip())
    return (start, start + len(turn.content.strip()))


def _is_scattered(name: str, text: str) -> bool:
    """Return whether a name is left of a text when the right characters are deleted."""
    characters = iter(text)
    return all(character in characters for character in name)


def _common_suffix(one: str, other: str) -> str:
    """Return what both texts end with."""
    length = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        length += 1
    return one[len(one) - length :]

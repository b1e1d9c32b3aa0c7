"""A bot's text in parts: what it reasons, and what it answers. Pure.

Models write their reasoning between two tags (`TAGS`). What counts as a tag:

- An opening tag is at the start of a line, so that prose may speak of "a <think> tag". Those that nobody
  writes by chance, being control tokens of their models, may be anywhere.
- No tag is one inside inline code or a fenced code block. In reasoning, where fences are often left open, a
  closing tag that begins a line ends it nevertheless, unless the same fence had an opening one.
- A closing tag without an opening one, at the start or the end of its line, says that the text began inside
  the reasoning, as with templates that open it in the prompt.

Only the last line is read again when text arrives.
"""

import re
from typing import Final, Literal, NamedTuple

from easy_llama.record import Record

__all__ = ["Part", "ReasoningSplitter", "may_have_reasoning", "prompt_opens_reasoning", "split_reasoning"]

Kind = Literal["reasoning", "answer"]


class _Tag(NamedTuple):
    opening: str
    closing: str
    anywhere: bool = True
    """Whether the opening tag counts in the middle of a line."""


TAGS: Final = (
    # Qwen 3, QwQ, DeepSeek R1, GLM, SmolLM 3, Granite, Nemotron and most others.
    _Tag("<think>", "</think>", anywhere=False),
    # Apriel, and models that were told to.
    _Tag("<thinking>", "</thinking>", anywhere=False),
    _Tag("<reasoning>", "</reasoning>", anywhere=False),
    # EXAONE Deep.
    _Tag("<thought>", "</thought>", anywhere=False),
    # Seed-OSS.
    _Tag("<seed:think>", "</seed:think>"),
    # MiniMax M3.
    _Tag("<mm:think>", "</mm:think>"),
    # Magistral, Ministral Reasoning.
    _Tag("[THINK]", "[/THINK]", anywhere=False),
    # Command R7B, Command A.
    _Tag("<|START_THINKING|>", "<|END_THINKING|>"),
    # DeepSeek's own words for it.
    _Tag("<｜begin▁of▁thinking｜>", "<｜end▁of▁thinking｜>"),
    # OpenThinker, Sky-T1.
    _Tag("<|begin_of_thought|>", "<|end_of_thought|>"),
    # Kimi-VL.
    _Tag("◁think▷", "◁/think▷"),
    # Apertus.
    _Tag("<|inner_prefix|>", "<|inner_suffix|>"),
    # Gemma 4.
    _Tag("<|channel>thought", "<channel|>"),
    # gpt-oss.
    _Tag("<|channel|>analysis<|message|>", "<|end|>"),
    # Solar Open.
    _Tag("<|think|>", "<|end|>"),
)
"""The tags around reasoning, with a model that has them; compared with the models' chat templates."""

_FRAMES: Final = (
    *("<|start|>assistant<|channel|>final<|message|>", "<|channel|>final<|message|>"),
    *("<|begin|>assistant<|content|>", "<|begin_of_solution|>", "<|end_of_solution|>"),
    *("<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|start|>assistant"),
)
"""Marks around the answer that are not part of it, longest first where one begins another."""

_OPENINGS: Final = frozenset(tag.opening for tag in TAGS)
_CLOSINGS: Final = frozenset(tag.closing for tag in TAGS)
_ONLY_CLOSINGS: Final = _CLOSINGS - {"<|end|>", "<channel|>"}
"""Those that mean nothing else, so that one may stand for an opening tag that was not seen."""

_UNSEEN: Final = _Tag("", "")
"""Stands for the tag in the prompt, whichever that was."""

_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})(.*)")
_INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_ALL: Final = sorted({*_FRAMES, *_OPENINGS, *_CLOSINGS}, key=len, reverse=True)
# `re` compiles this and `_WORD` at their first use: for the first picture, that would take too long.
_ANY: Final = "|".join(map(re.escape, _ALL))
_LONGEST = len(_ALL[0])
_STARTS = frozenset(text[:length] for text in _ALL for length in range(1, len(text)))
"""All beginnings of a tag that is not complete."""

_KANA_AND_HAN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD: Final = f"[{_KANA_AND_HAN}]|\\w[^\\s{_KANA_AND_HAN}]*"


class Part(Record):
    """A piece of a bot's text, without its tags and the blank lines at its start."""

    kind: Kind
    text: str
    words: int
    """How many words it has; a Chinese or Japanese character counts as one."""
    closed: bool
    """Whether it has come to its end."""


class _Part:
    """A part that is being read: complete lines, and what there is of the last one."""

    def __init__(self, kind: Kind, tag: _Tag | None = None) -> None:
        self.kind = kind
        self.tag = tag
        self.words = 0
        self.closed = False
        self.pieces: list[str] = []

    def add(self, text: str) -> None:
        if not any(self.pieces):
            text = _without_blank_lines(text)
        if text:
            self.pieces.append(text)
            self.words += _count_words(text)

    def copy(self) -> "_Part":
        part = _Part(self.kind, self.tag)
        self.pieces = ["".join(self.pieces)]
        part.pieces = self.pieces.copy()
        part.words, part.closed = self.words, self.closed
        return part

    def frozen(self) -> Part:
        return Part(self.kind, "".join(self.pieces), self.words, self.closed)


class _State:
    """Where in the text one is after a line, or in the middle of one."""

    def __init__(self, part: _Part) -> None:
        self.part = part
        self.fence = ""
        """The characters that opened the fenced code block one is in."""
        self.nested = 0
        """How many opening tags of the present kind the fence has that were not closed."""
        self.opened = part.kind == "reasoning"
        """Whether there was reasoning so far."""

    def copy(self) -> "_State":
        state = _State(self.part.copy())
        state.fence, state.nested, state.opened = self.fence, self.nested, self.opened
        return state


class ReasoningSplitter:
    """Splits text that may still grow. Give it printable text: control characters could hide in a tag."""

    def __init__(self, *, begins_inside: bool = False) -> None:
        """Begin.

        Args:
            begins_inside: Whether the prompt opened the reasoning, so that the text begins in it.
        """
        self._begins_inside = begins_inside
        self._begin()

    def _begin(self) -> None:
        first = _Part("reasoning", _UNSEEN) if self._begins_inside else _Part("answer")
        self._done: list[Part] = []
        self._state = _State(first)
        self._read: list[str] = []
        """The complete lines, until it is known that no closing tag makes them reasoning."""
        self._line = ""
        """What there is of the last line."""
        self._shown: list[Part] = []

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts so far, none of them blank. Of reasoning and answer, either may come first."""
        return tuple(part for part in self._shown if part.text)

    def extend(self, text: str, *, complete: bool) -> None:
        """Add text to the end.

        Args:
            text: What comes next.
            complete: Whether nothing more is expected; until then, what could become a tag is held back.
                More may follow nevertheless.
        """
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._read_line(line + "\n")
        self._read_unfinished(complete)

    def _read_line(self, line: str) -> None:
        done: list[Part] = []
        if _scan(line, self._state, done, complete=True):
            self._begin_inside([*self._read, line])
            return
        self._done += done
        if self._state.opened:
            self._read.clear()
        else:
            self._read.append(line)

    def _begin_inside(self, lines: list[str]) -> None:
        """Read the complete lines again: the first one was in the reasoning."""
        unfinished, self._begins_inside = self._line, True
        self._begin()
        self._line = unfinished
        for line in lines:
            self._read_line(line)

    def _read_unfinished(self, complete: bool) -> None:
        state = self._state.copy()
        done: list[Part] = []
        held = "" if complete else _beginning_of_tag(self._line)
        if _scan(self._line[: len(self._line) - len(held)], state, done, complete=complete):
            self._begin_inside(self._read)
            self._read_unfinished(complete)
        else:
            self._shown = [*self._done, *done, state.part.frozen()]


def split_reasoning(text: str, *, begins_inside: bool = False, complete: bool = True) -> tuple[Part, ...]:
    """Return the parts of printable `text`; see `ReasoningSplitter`."""
    splitter = ReasoningSplitter(begins_inside=begins_inside)
    splitter.extend(text, complete=complete)
    return splitter.parts


def prompt_opens_reasoning(prompt_end: str) -> bool:
    """Tell whether a prompt ends inside reasoning, so that what the model writes begins there.

    Args:
        prompt_end: The end of the prompt as text; what comes before the bot's message is enough.
    """
    return prompt_end.rstrip().endswith(tuple(_OPENINGS))


def may_have_reasoning(text: str) -> bool:
    """Tell, quickly, whether there is a tag in `text` at all."""
    return re.search(_ANY, text) is not None


def _scan(line: str, state: _State, done: list[Part], *, complete: bool) -> bool:
    """Read a line, or the rest of one, into `state`; parts that end in it go to `done`.

    Returns whether a closing tag says that the text began inside the reasoning.
    """
    fence = _FENCE.match(line)
    if fence and not re.search(_ANY, line):
        _scan_fence(fence, state)
        state.part.add(line)
        return False
    code = [] if state.fence else _code_spans(line, complete)
    any_tag = re.compile(_ANY)
    position = begin = 0
    while match := any_tag.search(line, position):
        position = match.end()
        if any(start <= match.start() < end for start, end in code):
            continue
        found = match[0]
        before = line[: match.start()].strip(" \t`~" if state.fence else " \t")
        at_start = not before or begin == match.start()
        rest = line[match.end() :]
        at_end = not rest.strip() and (complete or rest.endswith("\n"))
        action = _meaning(found, state, at_start, at_end)
        if action == "implied":
            return True
        if action:
            state.part.add(line[begin : match.start()])
            begin = match.end()
        if isinstance(action, _Tag):
            _turn(state, done, _Part("reasoning", action))
        elif action == "close":
            _turn(state, done, _Part("answer"))
    state.part.add(line[begin:])
    return False


def _scan_fence(fence: "re.Match[str]", state: _State) -> None:
    marks, info = fence[1], fence[2]
    if not state.fence:
        if marks[0] == "~" or "`" not in info:
            state.fence, state.nested = marks, 0
    elif marks.startswith(state.fence) and not info.strip():
        state.fence = ""


def _meaning(
    found: str, state: _State, at_start: bool, at_end: bool
) -> "_Tag | Literal['close', 'implied', 'frame', '']":
    """Return what a tag means where it stands; "" for nothing."""
    tag = state.part.tag
    if tag is not None:
        return _meaning_in_reasoning(found, tag, state, at_start)
    if state.fence:
        return ""
    for opened in TAGS:
        if found == opened.opening and (opened.anywhere or at_start):
            return opened
    if found in _FRAMES:
        return "frame"
    if found in _ONLY_CLOSINGS and not state.opened and (at_start or at_end):
        return "implied"
    return ""


def _meaning_in_reasoning(
    found: str, tag: _Tag, state: _State, at_start: bool
) -> "Literal['close', 'frame', '']":
    opens = found == tag.opening or (tag is _UNSEEN and found in _OPENINGS)
    closes = found == tag.closing or (tag is _UNSEEN and found in _CLOSINGS)
    if not state.fence:
        # What the prompt opened, some models open once more.
        repeated = opens and tag is _UNSEEN and not any(state.part.pieces)
        return "close" if closes else "frame" if repeated else ""
    if opens:
        state.nested += 1
    elif closes and state.nested:
        state.nested -= 1
    elif closes and at_start:
        return "close"
    return ""


def _turn(state: _State, done: list[Part], part: _Part) -> None:
    """End the present part, and begin another."""
    state.part.closed = True
    done.append(state.part.frozen())
    state.part, state.fence, state.nested = part, "", 0
    state.opened = True


def _code_spans(line: str, complete: bool) -> list[tuple[int, int]]:
    """Return where in a line inline code is; in one that may grow, backticks without an end count too."""
    if "`" not in line:
        return []
    spans = [match.span() for match in _INLINE_CODE.finditer(line)]
    if not complete:
        last = spans[-1][1] if spans else 0
        if (start := line.find("`", last)) >= 0:
            spans.append((start, len(line)))
    return spans


def _beginning_of_tag(line: str) -> str:
    """Return the end of an unfinished line where that may become a tag, else ""."""
    tail = line[-_LONGEST:]
    for start in range(len(tail)):
        if tail[start:] in _STARTS:
            return tail[start:]
    return ""


def _without_blank_lines(text: str) -> str:
    stripped = text.lstrip()
    if not stripped:
        return ""
    return text[text.rfind("\n", 0, len(text) - len(stripped)) + 1 :]


def _count_words(text: str) -> int:
    return len(re.findall(_WORD, text))

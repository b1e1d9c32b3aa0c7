"""A model's own chat template, Jinja source from its GGUF file, as a prompt format."""

import copy
import itertools
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from easy_llama.errors import ChatTemplateError
from easy_llama.prompt import Control, Piece, Turn
from easy_llama.template_messages import MAX_SECONDS
from easy_llama.template_pieces import PieceFinder
from easy_llama.template_process import TemplateFailure, check_template, render_template

__all__ = ["ChatTemplate"]

_ROLES = {"system": "system", "user": "user", "bot": "assistant"}
_AFFIXES = (
    "system_prefix",
    "system_prompt",
    "system_suffix",
    "user_prefix",
    "user_suffix",
    "bot_prefix",
    "bot_suffix",
)
_ADVICE = "Choose another prompt format, for example formats.chatml (--format chatml)."

# Messages to find out with what a template does.
_SYSTEM = Turn("system", "qsystemq")
_LATER_SYSTEM = Turn("system", "qlaterq")
_USER = Turn("user", "quserq")
_BOT = Turn("bot", "qbotq")
_AGAIN = Turn("user", "qagainq")


class _Clock:
    """The time that all renderings for one prompt share."""

    def __init__(self) -> None:
        self.now = datetime.now()
        self._deadline = time.monotonic() + MAX_SECONDS

    @property
    def seconds_left(self) -> float:
        return self._deadline - time.monotonic()


class ChatTemplate(dict[str, str | list[str]]):
    """A prompt format that a Jinja chat template makes.

    As a dict it holds the texts that the template puts around messages, as far as they can be told, so
    that a single message can be shown in its format; `render` is what makes prompts.

    Args:
        source: the Jinja source.
        bos_token: the text of the beginning-of-sequence token.
        eos_token: the text of the end-of-sequence token.
        control_tokens: the names of all control tokens; text of a message is never read as one of them.
        name: how errors call the template.
        variables: more variables for the template; JSON has to be able to hold them.

    Raises:
        ChatTemplateError: the template does not compile, or cannot render a single message.
    """

    def __init__(
        self,
        source: str,
        *,
        bos_token: str = "",
        eos_token: str = "",
        control_tokens: Collection[str] = (),
        name: str = "template",
        variables: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        self.source = source
        self.name = name
        self.bos_token = bos_token
        self.eos_token = eos_token
        self.control_tokens = frozenset(control_tokens)
        self.variables = dict(variables or {})
        try:
            check_template(source)
        except TemplateFailure as error:
            raise self._error("does not compile", error) from error
        clock = _Clock()
        self._wants_parts = False
        self._wants_parts = self._shows_only_parts(clock)
        self.system_role = self._shows(clock, _SYSTEM, _USER)
        """Whether the template knows a system message at the start."""
        self.later_system_role = self._shows(clock, _SYSTEM, _USER, _BOT, _LATER_SYSTEM, _AGAIN)
        """Whether it knows one in the middle of a conversation."""
        self.notices: tuple[str, ...] = ()
        """What the person should know about the template."""
        if not self.system_role:
            self.notices = ("The chat template has no system role; system text opens the user's message.",)
        self.update(self._affixes(clock))

    def __repr__(self) -> str:
        return f"<ChatTemplate {self.name!r}>"

    def __reduce__(self) -> tuple[object, ...]:
        options = (self.bos_token, self.eos_token, self.control_tokens, self.name, self.variables)
        return _rebuilt, (self.source, *options), None, None, iter(self.items())

    def copy(self) -> "ChatTemplate":
        """Return a copy that shares nothing that can be changed."""
        return copy.deepcopy(self)

    def render(self, turns: Sequence[Turn]) -> tuple[Piece, ...]:
        """Return the prompt for the bot's next message after `turns`.

        Its text is what the template makes of them. System text that the template has no role for opens
        the next message of the user.

        Raises:
            ChatTemplateError: the template refuses these messages, or takes too long.
        """
        known, numbers = self._with_known_roles(turns)
        clock = _Clock()

        def render(contents: Sequence[str]) -> str:
            changed = [replace(turn, content=text) for turn, text in zip(known, contents, strict=True)]
            return self._text(changed, clock)

        pieces = PieceFinder(known, render, self.source, self.control_tokens).find()
        return tuple(
            piece
            if isinstance(piece, Control) or piece.turn is None
            # What the template sees as one message may be made of several; the last of them names it.
            else replace(piece, turn=numbers[piece.turn])
            for piece in pieces
        )

    def _text(self, turns: Sequence[Turn], clock: _Clock, *, reply: bool = True) -> str:
        size = len(self.source) + sum(len(turn.content) for turn in turns)
        variables: dict[str, object] = {
            "tools": None,
            "documents": None,
            "bos_token": self.bos_token,
            "eos_token": self.eos_token,
            **self.variables,
            "messages": [{"role": _ROLES[turn.role], "content": self._content(turn)} for turn in turns],
            "add_generation_prompt": reply,
        }
        try:
            return render_template(
                self.source, variables, size=size, now=clock.now, seconds=clock.seconds_left
            )
        except TemplateFailure as error:
            raise self._error("cannot render this conversation", error, _alternation_hint(turns)) from error

    def _content(self, turn: Turn) -> object:
        return [{"type": "text", "text": turn.content}] if self._wants_parts else turn.content

    def _error(self, what: str, error: TemplateFailure, hint: str = "") -> ChatTemplateError:
        reason = error.message.rstrip(".")
        place = f" in line {error.line}" if error.line else ""
        return ChatTemplateError(f"The chat template {self.name!r} {what}: {reason}{place}.{hint} {_ADVICE}")

    def _with_known_roles(self, turns: Sequence[Turn]) -> tuple[list[Turn], list[int]]:
        """Return the turns with system text moved into the user's where the template has no role for it.

        Beside each stands which of `turns` it is, or is the last of.
        """
        known: list[Turn] = []
        numbers: list[int] = []
        waiting: list[str] = []
        for number, turn in enumerate(turns):
            if turn.role == "system" and not (self.later_system_role if number else self.system_role):
                waiting.append(turn.content)
                continue
            if turn.role == "user" and waiting:
                turn = Turn("user", _paragraphs(*waiting, turn.content))
                waiting = []
            known.append(turn)
            numbers.append(number)
        if waiting and known and known[-1].role == "user":
            known[-1] = Turn("user", _paragraphs(known[-1].content, *waiting))
        elif waiting:
            known.append(Turn("user", _paragraphs(*waiting)))
            numbers.append(len(turns) - 1)
        return known, numbers

    def _shows_only_parts(self, clock: _Clock) -> bool:
        """Return whether messages must be lists of parts, as templates for images want them."""
        if _USER.content in self._text([_USER], clock):
            return False
        self._wants_parts = True
        if _USER.content in self._text([_USER], clock):
            return True
        problem = TemplateFailure("it leaves out the user's message")
        raise self._error("does not work", problem) from problem

    def _shows(self, clock: _Clock, *turns: Turn) -> bool:
        """Return whether all these messages are in what the template makes of them."""
        try:
            text = self._text(turns, clock)
        except ChatTemplateError:
            return False
        return all(turn.content in text for turn in turns)

    def _affixes(self, clock: _Clock) -> dict[str, str | list[str]]:
        """Return the texts around messages, found in what the template makes of a few; "" where unknown."""
        affixes = dict.fromkeys(_AFFIXES, "")
        try:
            closed = _between(self._text([_USER, _BOT], clock, reply=False), _BOT)
            asked = _between(self._text([_USER, _BOT, _AGAIN], clock, reply=False), _AGAIN)
            talk = self._text([_USER, _BOT, _AGAIN], clock)
            affixes["bot_suffix"], affixes["user_prefix"] = self._split(_between(talk, _BOT, _AGAIN), closed)
            affixes["user_suffix"], affixes["bot_prefix"] = self._split(_between(talk, _AGAIN), asked)
            if self.system_role:
                text = self._text([_SYSTEM, _USER], clock)
                if "bos_token" in self.source:  # SmolLM2's BOS begins each message, and is no BOS there
                    text = text.removeprefix(self.bos_token)
                affixes["system_prefix"] = text.partition(_SYSTEM.content)[0]
                affixes["system_suffix"] = _between(text, _SYSTEM, _USER).removesuffix(affixes["user_prefix"])
        except ChatTemplateError:
            pass  # a template for single messages
        return {**affixes, "stops": self._stops(affixes)}

    def _split(self, text: str, end: str) -> tuple[str, str]:
        """Split the text between two messages into the end of the first and the rest.

        Args:
            text: what stands between them.
            end: what stands after the first where it is the last; some templates then close the prompt.
        """
        for suffix in (end, end.removesuffix(self.eos_token)):
            if text.startswith(suffix):
                return suffix, text.removeprefix(suffix)
        return "", text

    def _stops(self, affixes: Mapping[str, str]) -> list[str]:
        """Return what ends a reply where no control token does: the text that follows it."""
        text = affixes["bot_suffix"]
        if not text.strip():
            text += affixes["user_prefix"]
        for name in filter(None, (*self.control_tokens, self.bos_token, self.eos_token)):
            text = text.partition(name)[0]
        return [text.rstrip()] if text.strip() else []


def _rebuilt(
    source: str,
    bos_token: str,
    eos_token: str,
    control_tokens: Collection[str],
    name: str,
    variables: Mapping[str, object],
) -> ChatTemplate:
    """Return a template anew, for copies and pickles: compiled ones can be neither."""
    return ChatTemplate(
        source,
        bos_token=bos_token,
        eos_token=eos_token,
        control_tokens=control_tokens,
        name=name,
        variables=variables,
    )


def _between(text: str, first: Turn, last: Turn | None = None) -> str:
    """Return what stands in `text` between two messages, or after the first; "" where one is missing."""
    _, found, after = text.partition(first.content)
    between, found_last, _ = after.partition(last.content) if last else (after, found, "")
    return between if found and found_last else ""


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text.strip())


def _alternation_hint(turns: Sequence[Turn]) -> str:
    """Return a sentence where the user and the bot do not take turns, which many templates insist on."""
    roles = [turn.role for turn in turns if turn.role != "system"]
    if not roles:
        return " There is no message of the user."
    if roles[0] == "bot":
        return " The bot's message comes before any of the user."
    for one, other in itertools.pairwise(roles):
        if one == other:
            return f" Two messages of the {one} follow each other."
    return ""

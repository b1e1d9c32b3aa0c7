"""A conversation with a model, in its prompt format."""

import sys
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from easy_llama.errors import DroppedMessagesWarning, ExceededContextLengthException
from easy_llama.events import CancelFlag, Finished, LeftOut, Token
from easy_llama.formats import build_prompt, for_model, stops_of
from easy_llama.left_out import TurnTokens, find_left_out
from easy_llama.message import Message
from easy_llama.model import Model
from easy_llama.prompt import Piece, Written, encode_prompt, piece_of_each_token, prompt_text
from easy_llama.samplers import MAX_SEED, DefaultSampling, SamplerSettings

__all__ = ["Message", "Thread"]

OnText = Callable[[str], object]
"""Is told a reply's text piece by piece, as it is written."""

_SUMMARIZE = "Summarize our conversation so far in a few sentences. Write nothing but the summary."


class _SupportsWrite(Protocol):
    def write(self, text: str, /) -> object: ...


@dataclass(frozen=True, slots=True)
class _Prompt:
    """What the model reads before it writes."""

    pieces: tuple[Piece, ...]
    left_out: tuple[LeftOut, ...]


class Thread:
    """A conversation with a model.

    A thread may grow longer than the context. The model then reads the system messages at its start and
    the newest turns that leave room for a reply, a quarter of the context or the sampler's
    `max_len_tokens` where that is less; a `DroppedMessagesWarning` says what was left out. The messages
    themselves stay in the thread.

    Args:
        model: answers the messages.
        format: the prompt format; `None` is the model's own (see `formats.for_model`).
        sampler: how replies are sampled; `None` is `DefaultSampling`.
        messages: the conversation so far, which is copied.
    """

    def __init__(
        self,
        model: Model,
        format: Mapping[str, Any] | None = None,  # noqa: A002 (the documented name)
        sampler: SamplerSettings | None = None,
        messages: Iterable[Message] | None = None,
    ) -> None:
        self.model = model
        self.format: Mapping[str, Any] = for_model(model) if format is None else format
        self.sampler = DefaultSampling if sampler is None else sampler
        self._first_messages = [message.copy() for message in messages or ()]
        self.messages: list[Message] = [message.copy() for message in self._first_messages]

    def create_message(self, role: str, content: str) -> Message:
        """Return a message in this thread's format, without adding it.

        Args:
            role: "system", "user" or "bot", in any case.
            content: what it says.

        Raises:
            ValueError: the role is another one.
        """
        name = role.lower()
        if name not in ("system", "user", "bot"):
            raise ValueError(f"a message's role is 'system', 'user' or 'bot', not {role!r}")
        return Message(
            role=name,
            prefix=str(self.format.get(f"{name}_prefix", "")),
            content=content,
            postfix=str(self.format.get(f"{name}_suffix", "")),
        )

    def add_message(self, role: str, content: str) -> None:
        """Add a message to the end of the thread; the arguments are those of `create_message`."""
        self.messages.append(self.create_message(role, content))

    def send(
        self,
        prompt: str,
        *,
        reply_start: str = "",
        on_text: OnText | None = None,
        cancel: CancelFlag | None = None,
    ) -> str:
        """Send a message and return the reply; both are added to the thread.

        Args:
            prompt: the content of the message.
            reply_start: text that the reply begins with; it is part of it.
            on_text: is told the reply as it is written, `reply_start` included.
            cancel: ends the reply early; what was written of it is kept.

        Raises:
            ExceededContextLengthException: the message alone does not fit the context. Then, as after
                any error, the thread is as it was.
        """
        question = self.create_message("user", prompt)
        before_reply = self._prompt([*self.messages, question], reply_start)
        reply = self._write(before_reply, reply_start, on_text, cancel)
        self.messages += [question, reply]
        return reply["content"]

    def reroll(
        self, *, reply_start: str = "", on_text: OnText | None = None, cancel: CancelFlag | None = None
    ) -> str:
        """Replace the last message, which must be the bot's, by a new reply, and return that.

        Under a seed of the sampler, each reply in one place adds one to it: it is another reply, and the
        same one whenever all is repeated. The arguments and errors are those of `send`; after an error the
        old reply is still there.

        Raises:
            ValueError: the last message is not the bot's.
        """
        if not self.messages or self.messages[-1]["role"] != "bot":
            raise ValueError("the last message is not the bot's, so there is no reply to write anew")
        prompt = self._prompt(self.messages[:-1], reply_start)
        attempt = self.messages[-1].attempt + 1
        self.messages[-1] = self._write(prompt, reply_start, on_text, cancel, attempt)
        return self.messages[-1]["content"]

    def summarize(self, *, on_text: OnText | None = None, cancel: CancelFlag | None = None) -> str:
        """Return a summary of the thread that the model writes; the thread stays as it is.

        The arguments and errors are those of `send`. An empty thread has the summary "".
        """
        if not self.messages:
            return ""
        request = self._prompt([*self.messages, self.create_message("user", _SUMMARIZE)])
        return self._write(request, "", on_text, cancel)["content"]

    def warmup(self) -> None:
        """Read the thread into the model's cache, so that the next reply begins sooner."""
        if self.messages:
            prompt = self._prompt(self.messages)
            self.model.engine.read(self._encode(prompt.pieces), left_out=prompt.left_out)

    def inference_str_from_messages(self) -> str:
        """Return the text that the model reads before it writes the next message.

        Raises:
            ExceededContextLengthException: the newest turn alone does not fit the context.
        """
        return prompt_text(self._prompt(self.messages).pieces)

    def len_messages(self) -> int:
        """Return the length of all messages in tokens, in their format, also where they do not fit."""
        return len(self._encode(self._pieces(self.messages))) if self.messages else 0

    def __len__(self) -> int:
        return self.len_messages()

    def __bool__(self) -> bool:
        # A thread without messages is a thread all the same: `thread or other` must not count tokens.
        return True

    def as_string(self) -> str:
        """Return all messages as one text."""
        return "".join(message.as_string() for message in self.messages)

    def reset(self) -> None:
        """Return to the messages that the thread began with."""
        self.messages = [message.copy() for message in self._first_messages]

    def print_stats(self, file: _SupportsWrite | None = None) -> None:
        """Print how much of the context is used.

        Args:
            file: where to print; standard output by default.
        """
        used, length = self.len_messages(), self.model.context_length
        print(f"{used} / {length} tokens", file=file or sys.stdout)
        print(f"{used / length:.0%} of context used", file=file or sys.stdout)
        print(f"{len(self.messages)} messages", file=file or sys.stdout)

    def interact(self, color: bool = True, header: str | None = None, stream: bool = True) -> None:
        """Chat in the terminal until ^C at the prompt.

        ^C while the bot writes stops it; then Enter alone has the reply written anew. A backslash at the
        end of a line continues the message on the next. `!` opens commands (`help` lists them), `<` asks
        for the words that the bot's next message begins with, and `!!` for a system message.

        Args:
            color: tell user and bot apart by colour, where the output is a terminal.
            header: printed first.
            stream: print replies as they are written, not when they are whole.
        """
        from easy_llama.interact import Interaction

        Interaction(self, color=color, stream=stream).run(header)

    def _write(
        self,
        prompt: _Prompt,
        reply_start: str,
        on_text: OnText | None,
        cancel: CancelFlag | None,
        attempt: int = 0,
    ) -> Message:
        """Return the bot's message after a prompt that ends with `reply_start`."""
        text: list[str] = []
        ids: tuple[int, ...] = ()

        def add(part: str) -> None:
            text.append(part)
            if on_text and part:
                on_text(part)

        add(reply_start)
        sampler = _for_attempt(self.sampler, attempt)
        events = self.model.events(
            prompt.pieces,
            stops_of(self.format),
            sampler,
            cancel or CancelFlag(),
            left_out=prompt.left_out,
        )
        # Closed at once also where `on_text` raises: the model may be unloaded before Python would do so.
        with closing(events):  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Token | Finished):
                    add(event.text)
                if isinstance(event, Finished):
                    ids = event.ids
        reply = self.create_message("bot", "".join(text))
        reply.attempt = attempt
        start_ids = self._start_ids(prompt.pieces, reply_start)
        if start_ids is not None and (ids or reply["content"] == reply_start):
            reply.remember_ids(start_ids + ids)
        return reply

    def _start_ids(self, pieces: Sequence[Piece], reply_start: str) -> tuple[int, ...] | None:
        """Return the ids of `reply_start` at the end of a prompt; None where they are not its alone.

        There its first token holds text of the format too, or a space that the vocabulary puts in.
        """
        if not reply_start:
            return ()
        before, whole = self._encode(pieces[:-1]), self._encode(pieces)
        ids = whole[len(before) :]
        is_its_own = whole[: len(before)] == before and self.model.tokenizer.decode(ids) == reply_start
        return ids if is_its_own else None

    def _prompt(self, messages: Sequence[Message], reply_start: str = "") -> _Prompt:
        """Return what the model reads before it writes, shortened to leave room in the context."""
        kept = self._fitting(messages, reply_start)
        pieces = self._pieces(kept, reply_start)
        left_out: tuple[LeftOut, ...] = ()
        if dropped := len(messages) - len(kept):
            count = "The oldest message was" if dropped == 1 else f"The {dropped:,} oldest messages were"
            warnings.warn(
                f"{count} not read by the model: with room for a reply, the context of "
                f"{self.model.context_length:,} tokens does not hold them.",
                DroppedMessagesWarning,
                stacklevel=3,
            )
            head, _ = _turns(messages)
            numbers = [*range(head), *range(head + dropped, len(messages))]
            whole = self._turn_tokens(self._pieces(messages, reply_start))
            left_out = find_left_out(whole, self._turn_tokens(pieces), numbers)
        return _Prompt(pieces, left_out)

    def _turn_tokens(self, pieces: Sequence[Piece]) -> TurnTokens:
        return TurnTokens.of(pieces, self._encode(pieces), piece_of_each_token(pieces, self.model.tokenizer))

    def _fitting(self, messages: Sequence[Message], reply_start: str) -> Sequence[Message]:
        """Return the system messages at the start, and the newest whole turns that leave room."""
        head, starts = _turns(messages)
        context = self.model.context_length

        def without(count: int) -> list[Message]:
            return [*messages[:head], *messages[starts[count] :]]

        def length(count: int) -> int:
            return len(self._encode(self._pieces(without(count), reply_start)))

        if not starts:
            return messages
        room = self._room_for_reply()
        count = bisect_left(range(len(starts)), True, key=lambda count: length(count) + room <= context)
        if count == len(starts):  # not even the newest turn leaves that much room: it may have all of it
            count -= 1
            if (needed := length(count) + 1) > context:
                raise ExceededContextLengthException(
                    f"the newest message needs {needed:,} tokens with what always stands before it, and the "
                    f"context holds {context:,}; shorten it, or load the model with a larger context length"
                )
        return without(count)

    def _room_for_reply(self) -> int:
        """Return how many tokens of the context a prompt leaves free."""
        room = max(self.model.context_length // 4, 1)
        longest = self.sampler.max_len_tokens
        return min(room, longest) if longest is not None and longest > 0 else room

    def _pieces(self, messages: Sequence[Message], reply_start: str = "") -> tuple[Piece, ...]:
        start = (Written(reply_start),) if reply_start else ()
        return build_prompt(self.format, [message.as_turn() for message in messages], start)

    def _encode(self, pieces: Sequence[Piece]) -> tuple[int, ...]:
        return encode_prompt(pieces, self.model.tokenizer)


def _for_attempt(sampler: SamplerSettings, attempt: int) -> SamplerSettings:
    """Return the settings for a reply that is written in place of `attempt` earlier ones."""
    if sampler.seed is None or not attempt:
        return sampler
    return sampler.replace(seed=(sampler.seed + attempt) % (MAX_SEED + 1))


def _turns(messages: Sequence[Message]) -> tuple[int, list[int]]:
    """Return how many system messages come first, and the places at which the turns after them begin.

    A turn is a message of the user, with system messages right before it and all replies after it.
    """
    roles = [message["role"] for message in messages]
    head = next((place for place, role in enumerate(roles) if role != "system"), len(roles))
    starts = [
        place
        for place in range(head, len(roles))
        if place == head or (roles[place] != "bot" and roles[place - 1] != "system")
    ]
    return head, starts

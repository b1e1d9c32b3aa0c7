"""A conversation with a model, in its prompt format."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, cast

from easy_llama.events import CancelFlag, Finished, Token
from easy_llama.formats import build_prompt, for_model, stops_of
from easy_llama.model import Model
from easy_llama.prompt import Piece, Role, Turn, encode_prompt, prompt_text
from easy_llama.samplers import DefaultSampling, SamplerSettings

__all__ = ["Message", "Thread"]


class _SupportsWrite(Protocol):
    def write(self, text: str, /) -> object: ...


class Message(dict[str, str]):
    """One message of a thread: a dict with `role`, `prefix`, `content` and `postfix`.

    `message["suffix"]` reads the postfix, since formats call it so.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._generated: tuple[str, tuple[int, ...]] = ("", ())

    def __missing__(self, key: str) -> str:
        if key == "suffix":
            return self["postfix"]
        raise KeyError(key)

    def as_string(self) -> str:
        """Return the whole text of the message: prefix, content and postfix."""
        return self["prefix"] + self["content"] + self["postfix"]

    def remember_ids(self, ids: tuple[int, ...]) -> None:
        """Keep the token ids that the content was generated with, for as long as it stays as it is."""
        self._generated = (self["content"], ids)

    def as_turn(self) -> Turn:
        """Return the message as a prompt format sees it."""
        content, ids = self._generated
        return Turn(cast("Role", self["role"]), self["content"], ids if content == self["content"] else ())


class Thread:
    """A conversation with a model.

    Args:
        model: answers the messages.
        format: the prompt format; `None` is the model's own (see `formats.for_model`).
        sampler: how replies are sampled.
        messages: the conversation so far.
    """

    def __init__(
        self,
        model: Model,
        format: Mapping[str, Any] | None = None,  # noqa: A002 (the documented name)
        sampler: SamplerSettings = DefaultSampling,
        messages: Iterable[Message] | None = None,
    ) -> None:
        self.model = model
        self.format: Mapping[str, Any] = for_model(model) if format is None else format
        self.sampler = sampler
        self._first_messages = [_copy(message) for message in messages or ()]
        self.messages: list[Message] = [_copy(message) for message in self._first_messages]

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

    def send(self, prompt: str) -> str:
        """Send a message and return the reply; both are added to the thread.

        Raises:
            ExceededContextLengthException: the thread does not fit the context any more. Then, as after
                any error, the thread is as it was.
        """
        question = self.create_message("user", prompt)
        pieces = self._prompt([*self.messages, question])
        text: list[str] = []
        ids: tuple[int, ...] = ()
        for event in self.model.events(pieces, stops_of(self.format), self.sampler, CancelFlag()):
            if isinstance(event, Token):
                text.append(event.text)
            elif isinstance(event, Finished):
                text.append(event.text)
                ids = event.ids
        reply = self.create_message("bot", "".join(text))
        reply.remember_ids(ids)
        self.messages += [question, reply]
        return reply["content"]

    def inference_str_from_messages(self) -> str:
        """Return the text that the model reads before it writes the next message."""
        return prompt_text(self._prompt(self.messages))

    def len_messages(self) -> int:
        """Return the length of all messages in tokens, as the model reads them."""
        return len(encode_prompt(self._prompt(self.messages), self.model.tokenizer))

    def __len__(self) -> int:
        return self.len_messages()

    def as_string(self) -> str:
        """Return all messages as one text."""
        return "".join(message.as_string() for message in self.messages)

    def reset(self) -> None:
        """Return to the messages that the thread began with."""
        self.messages = [_copy(message) for message in self._first_messages]

    def print_stats(self, file: _SupportsWrite | None = None) -> None:
        """Print how much of the context is used.

        Args:
            file: where to print; standard output by default.
        """
        used, length = self.len_messages(), self.model.context_length
        print(f"{used} / {length} tokens", file=file or sys.stdout)
        print(f"{used / length:.0%} of context used", file=file or sys.stdout)
        print(f"{len(self.messages)} messages", file=file or sys.stdout)

    def _prompt(self, messages: list[Message]) -> tuple[Piece, ...]:
        return build_prompt(self.format, [message.as_turn() for message in messages])


def _copy(message: Message) -> Message:
    copied = Message(message)
    copied.remember_ids(message.as_turn().ids)
    return copied

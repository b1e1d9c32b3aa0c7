"""The open chat: its conversation, and what is saved beside it. Changed on the UI thread only."""

import json
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from random import SystemRandom

from easy_llama.samplers import MAX_SEED, SamplerSettings, preset
from easy_llama_tui.conversation import Conversation, Message, utc_now
from easy_llama_tui.session import (
    ModelReference,
    SamplerChoice,
    SamplerValue,
    Session,
    SessionError,
    new_session_id,
    title_from,
)

_OFF: dict[str, SamplerValue] = {
    "max_len_tokens": -1,
    "temp": 1.0,
    "top_p": 1.0,
    "min_p": 0.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "repeat_penalty": 1.0,
    "top_k": -1,
    "penalty_last_n": 0,
    "typical_p": 1.0,
    "top_n_sigma": -1.0,
    "xtc_probability": 0.0,
    "dry_multiplier": 0.0,
    "mirostat": 0,
}
"""The value at which each sampler does nothing: TOML has no None."""

_AS_JSON = frozenset({"dry_sequence_breakers", "logit_bias"})
"""The settings of several values, which a file has as JSON text: a sampler's values there are plain."""

_FIELDS = tuple(field.name for field in fields(SamplerSettings))


class Chat:
    """One chat, from its first message to the snapshots that are saved.

    `model`, `format`, `preset` and `sampler` may be replaced; they take effect with the next reply.
    """

    def __init__(
        self,
        *,
        model: ModelReference,
        format: str,  # noqa: A002 (the field's name, here and in the file)
        preset_name: str,
        sampler: SamplerSettings,
        system: str = "",
    ) -> None:
        """Begin a chat, with a system message where `system` is not empty."""
        self.model = model
        self.format = format
        self.preset_name = preset_name
        self.sampler = sampler
        self.conversation = Conversation()
        self._created: datetime = utc_now()
        self._id = new_session_id(self._created, SystemRandom())
        self._title = ""
        self._extra: dict[str, object] = {}
        self._file: Path | None = None
        if system:
            self.conversation.add("system", system)

    @classmethod
    def from_session(cls, session: Session) -> "Chat":
        """Open a saved chat.

        Raises:
            SessionError: its sampler's values make no sense.
        """
        chat = cls(
            model=session.model,
            format=session.format,
            preset_name=session.sampler.preset,
            sampler=_sampler_from(session),
        )
        chat.conversation = Conversation(session.messages, session.head)
        chat._created = session.created
        chat._id = session.id
        chat._title = session.title if session.named else ""
        chat._extra = dict(session.extra)
        chat._file = session.file
        return chat

    @property
    def id(self) -> str:
        """What names its file and resumes it."""
        return self._id

    @property
    def has_messages(self) -> bool:
        """Whether there is anything to save: a system message alone is not."""
        return any(message.role != "system" for message in self.conversation.messages)

    @property
    def title(self) -> str:
        """The title that the person gave, else the first words that they wrote."""
        if self._title:
            return self._title
        first = next((one for one in self.conversation.messages if one.role == "user"), None)
        return (title_from(first.content) if first else "") or "New chat"

    def ask(self, text: str) -> Message:
        """Add what a person wrote, and the empty reply to it; return the reply."""
        self.conversation.add("user", text)
        return self.conversation.add("bot", "")

    def begin_alternative(self) -> Message | None:
        """Add an empty alternative to the reply that the shown path ends with, and return it.

        Where the path ends with a person's message, that is answered. None where nothing was said yet.
        """
        path = self.conversation.path()
        if not path or path[-1].role == "system":
            return None
        if path[-1].role == "bot":
            return self.conversation.add_alternative(path[-1].id)
        return self.conversation.add("bot", "")

    def sampler_for(self, reply: Message) -> SamplerSettings:
        """Return the settings that a reply is made with.

        Under a fixed seed each alternative adds one to it: a re-roll is another reply, and the same one
        whenever it is repeated.
        """
        if self.sampler.seed is None:
            return self.sampler
        place = self.conversation.siblings(reply.id).index(self.conversation.get(reply.id))
        return self.sampler.replace(seed=(self.sampler.seed + place) % (MAX_SEED + 1))

    def snapshot(self) -> Session:
        """Return the chat as it is to be saved."""
        return Session(
            id=self._id,
            title=self.title,
            named=bool(self._title),
            created=self._created,
            updated=utc_now(),
            head=self.conversation.head,
            model=self.model,
            format=self.format,
            sampler=SamplerChoice(self.preset_name, _sampler_values(self.sampler)),
            messages=self.conversation.messages,
            extra=self._extra,
            file=self._file,
        )


def _sampler_values(settings: SamplerSettings) -> dict[str, SamplerValue]:
    values = {name: getattr(settings, name) for name in _FIELDS}
    values["dry_sequence_breakers"] = json.dumps(settings.dry_sequence_breakers, ensure_ascii=False)
    if settings.logit_bias is not None:
        values["logit_bias"] = json.dumps(dict(settings.logit_bias))
    return {
        name: _OFF[name] if value is None else value
        for name, value in values.items()
        if value is not None or name in _OFF
    }


def _sampler_from(session: Session) -> SamplerSettings:
    """Return the saved settings; what the file leaves out is as in its preset."""
    known: dict[str, object] = {
        name: value for name, value in session.sampler.values.items() if name in _FIELDS
    }
    try:
        for name in known.keys() & _AS_JSON:
            known[name] = _from_json(name, known[name])
        return preset(session.sampler.preset).replace(**known)
    except (TypeError, ValueError) as error:
        raise SessionError(
            f"The sampler of the chat {session.id} makes no sense: {error}.",
            "Correct [sampler] in its file, or choose one with --sampler.",
        ) from error


def _from_json(name: str, text: object) -> object:
    """Return what a setting of several values has as JSON; the keys of a logit bias are token ids."""
    try:
        value = json.loads(str(text))
        return {int(token): bias for token, bias in value.items()} if name == "logit_bias" else value
    except (AttributeError, RecursionError, ValueError) as error:
        raise ValueError(f"{name} must be JSON as this program writes it, not {text!r}") from error

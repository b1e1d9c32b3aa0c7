"""The open chat: its conversation, and what is saved beside it. Changed on the UI thread only."""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING

from easy_llama.samplers import MAX_SEED, SamplerSettings
from easy_llama_tui.chats.context_window import Policy
from easy_llama_tui.chats.conversation import Conversation, Message, utc_now
from easy_llama_tui.chats.labels import ModelReference, new_session_id, title_from

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from easy_llama_tui.chats.making import Recipe
    from easy_llama_tui.chats.session import Session


class Chat:
    """One chat, from its first message to the snapshots that are saved.

    `model`, `format`, `preset_name`, `sampler` and `policy` may be replaced; they take effect with the next
    reply.
    """

    def __init__(
        self,
        *,
        model: ModelReference,
        format: str,  # noqa: A002 (the field's name, here and in the file)
        preset_name: str,
        sampler: SamplerSettings,
        system: str = "",
        policy: Policy = Policy.DROP_OLDEST,
    ) -> None:
        """Begin a chat, with a system message where `system` is not empty."""
        self.model = model
        self.format = format
        self.preset_name = preset_name
        self.sampler = sampler
        self.policy = policy
        self.conversation = Conversation()
        self._created: datetime = utc_now()
        self._id = new_session_id(self._created, SystemRandom())
        self._title = ""
        self._extra: dict[str, object] = {}
        self._file: Path | None = None
        self.held_by = ""
        """Who has the chat open already, so that it is only to be read here; empty where nobody has."""
        self.was_saved = False
        """Whether there is a file of it, or soon will be."""
        if system:
            self.conversation.add("system", system)

    @classmethod
    def from_session(cls, session: Session) -> Chat:
        """Open a saved chat.

        Raises:
            SessionError: its sampler's values make no sense.
        """
        chat = cls(
            model=session.model,
            format=session.format,
            preset_name=session.sampler.preset,
            sampler=_sampler_from(session),
            policy=session.policy,
        )
        chat.conversation = Conversation(session.messages, session.head, shown=session.shown)
        chat._created = session.created
        chat._id = session.id
        chat._title = session.title if session.named else ""
        chat._extra = dict(session.extra)
        chat._file = session.file
        chat.was_saved = True
        return chat

    @property
    def id(self) -> str:
        """What names its file and resumes it."""
        return self._id

    @property
    def resumed_by(self) -> str:
        """What `--resume` takes: its id, or its file where that lies elsewhere; "" where it is not saved."""
        if not self.was_saved:
            return ""
        return self._id if self._file is None else str(self._file)

    @property
    def place(self) -> str:
        """What tells it from all other chats: its id, or the path of its file outside the folder of chats."""
        return str(self._file or self._id)

    @property
    def has_messages(self) -> bool:
        """Whether there is anything to save: a system message alone is not."""
        return any(message.role != "system" for message in self.conversation.messages)

    @property
    def is_worth_saving(self) -> bool:
        """Whether there is anything to save, or was: what was deleted must not come back."""
        return self.has_messages or self.was_saved

    @property
    def title(self) -> str:
        """The title that the person gave, else the first words that they wrote."""
        if self._title:
            return self._title
        first = next((one for one in self.conversation.messages if one.role == "user"), None)
        return (title_from(first.content) if first else "") or "New chat"

    def rename(self, title: str) -> None:
        """Give the chat a title; an empty one lets it be called by its first words again."""
        self._title = title_from(title)

    def duplicate(self) -> Chat:
        """Return a copy with all alternatives, as a new chat that is free to be changed."""
        from dataclasses import replace

        now = utc_now()
        session = self.snapshot()
        copy = replace(
            session,
            id=new_session_id(now, SystemRandom()),
            title=title_from(f"copy of {session.title}"),
            named=True,
            created=now,
            file=None,
        )
        return Chat.from_session(copy)

    def ask(self, text: str, opening: str = "") -> Message:
        """Add what a person wrote, and the reply to it, which begins with `opening`; return the reply."""
        self.conversation.add("user", text)
        return self.conversation.add("bot", opening)

    def sampler_for(self, reply: Message) -> SamplerSettings:
        """Return the settings that a reply is made with, which always have a seed.

        Under a fixed seed each alternative adds one to it: a re-roll is another reply, and the same one
        whenever it is repeated. Else one is drawn here, so that it is known however the reply ends.
        """
        if self.sampler.seed is None:
            return self.sampler.replace(seed=SystemRandom().randrange(MAX_SEED + 1))
        place = self.conversation.siblings(reply.id).index(self.conversation.get(reply.id))
        return self.sampler.replace(seed=(self.sampler.seed + place) % (MAX_SEED + 1))

    def recipe(self, sampler: SamplerSettings) -> Recipe:
        """Return how replies are made now, with these settings; how the model is loaded is left open."""
        from easy_llama_tui.chats.making import Recipe

        return Recipe(self.model.name, self.model.path, self.format, self.preset_name, sampler)

    # A new chat needs nothing of what follows for its first picture: it is loaded when it is used.

    def snapshot(self) -> Session:
        """Return the chat as it is to be saved."""
        from easy_llama.sampler_values import values_of
        from easy_llama_tui.chats.session import SamplerChoice, Session

        return Session(
            id=self._id,
            title=self.title,
            named=bool(self._title),
            created=self._created,
            updated=utc_now(),
            head=self.conversation.head,
            model=self.model,
            format=self.format,
            sampler=SamplerChoice(self.preset_name, values_of(self.sampler, self.preset_name)),
            policy=self.policy,
            messages=self.conversation.messages,
            shown=self.conversation.shown_elsewhere(),
            extra=self._extra,
            file=self._file,
        )


def _sampler_from(session: Session) -> SamplerSettings:
    """Return the saved settings; what the file leaves out is as in its preset."""
    from easy_llama.sampler_values import settings_from_values
    from easy_llama_tui.chats.session import SessionError

    try:
        return settings_from_values(session.sampler.preset, session.sampler.values)
    except (TypeError, ValueError) as error:
        raise SessionError(
            f"The sampler of the chat {session.id} makes no sense: {error}.",
            "Correct [sampler] in its file, or choose one with --sampler.",
        ) from error

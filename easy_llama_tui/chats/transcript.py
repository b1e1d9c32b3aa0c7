"""A chat as other programs know it: a title, a model's name, and messages in one row."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random, SystemRandom

from easy_llama.prompt import Role
from easy_llama_tui.chats.conversation import Conversation, storable_text, utc_now
from easy_llama_tui.chats.session import ModelReference, SamplerChoice, Session, new_session_id, title_from


@dataclass(frozen=True, slots=True)
class Entry:
    """One message. Lone surrogates in its text become U+FFFD."""

    role: Role
    """Who wrote it."""
    content: str
    """The text, exactly; the names of control tokens in it are text like any other."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", storable_text(self.content))


@dataclass(frozen=True, slots=True)
class Transcript:
    """The messages of a chat from its beginning to its end, without alternatives."""

    title: str
    """What the chat is called; empty where that is unknown."""
    model_name: str
    """The model that wrote the replies; empty where that is unknown."""
    entries: tuple[Entry, ...]
    """The messages, in order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", storable_text(self.title))
        object.__setattr__(self, "model_name", storable_text(self.model_name))


def shown_transcript(session: Session) -> Transcript:
    """Return the shown path of a chat."""
    path = Conversation(session.messages, session.head).path()
    entries = tuple(Entry(message.role, message.content) for message in path)
    return Transcript(session.title, session.model.name, entries)


def session_from(
    transcript: Transcript,
    *,
    model: ModelReference,
    format: str,  # noqa: A002 (the field's name, here and in the file)
    sampler: SamplerChoice,
    now: Callable[[], datetime] = utc_now,
    random: Random | None = None,
) -> Session:
    """Return a new chat that says what `transcript` says, to be saved and opened.

    Args:
        transcript: The messages, and a title where they have one; else it comes from the first question.
        model: What the chat goes on with; nothing is known of the model that wrote it but its name.
        format: The name of its prompt format.
        sampler: Its sampler.
        now: The clock that dates the chat and its messages.
        random: What its id is drawn from.
    """
    began = now()
    conversation = Conversation(now=lambda: began)
    for entry in transcript.entries:
        conversation.add(entry.role, entry.content, finish="stop" if entry.role == "bot" else None)
    title = title_from(transcript.title)
    question = next((entry.content for entry in transcript.entries if entry.role == "user"), "")
    return Session(
        id=new_session_id(began, random or SystemRandom()),
        title=title or title_from(question) or "Imported chat",
        named=bool(title),
        created=began,
        updated=began,
        head=conversation.head,
        model=model,
        format=format,
        sampler=sampler,
        messages=tuple(
            replace(message, by=transcript.model_name) if message.role == "bot" else message
            for message in conversation.messages
        ),
    )

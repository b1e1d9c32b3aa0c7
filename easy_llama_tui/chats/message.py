"""One message of a chat, as an immutable value."""

from __future__ import annotations

from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from easy_llama.record import Record

if TYPE_CHECKING:
    from easy_llama.turn import Role
    from easy_llama_tui.chats.making import Making

Finish = Literal["stop", "length", "interrupted", "error"]


class ConversationError(ValueError):
    """Messages do not form a tree, or a message was asked for that is not in it."""

    def __init__(self, what: str, place: int | None = None) -> None:
        """Make an error of what is wrong, and of which of the messages it is wrong with, from 0."""
        super().__init__(what)
        self.place = place


def storable_text(text: str) -> str:
    """Return `text` with every lone surrogate replaced by U+FFFD, and a pair joined to its character.

    Surrogates have no place in UTF-8, so text that holds one could be neither saved nor shown.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def whole_second(moment: datetime) -> datetime:
    """Return an aware `moment` in UTC, cut to the whole second.

    Raises:
        ValueError: `moment` has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"the time {moment} has no time zone")
    return moment.astimezone(UTC).replace(microsecond=0)


def utc_now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


class Message(Record):
    """One message of a conversation; a changed message is a new value with the same id.

    Lone surrogates in `content` become U+FFFD. `created` is brought to whole seconds in UTC.

    Raises:
        ConversationError: the id is empty, or a message that no bot wrote has a `finish` or was made.
        ValueError: `created` has no time zone.
    """

    id: str
    """Unique in its conversation: "m1", "m2" and so on."""
    parent: str | None
    """The id of the message that this one follows; None where a conversation begins."""
    role: Role
    """Who wrote it."""
    content: str
    """The text, exactly."""
    created: datetime
    """When it was begun."""
    finish: Finish | None = None
    """Why a reply ended; None while it is being written, and for what no bot wrote."""
    ids: tuple[int, ...] = field(default=(), repr=False)
    """The exact token ids of a reply as its model wrote it; empty where they are unknown.

    Where a person changed the text, those of what it was: it begins with some of them still.
    """
    pinned: bool = False
    """Whether the model reads it however long the chat becomes."""
    branch: str = ""
    """What the person calls the branch that begins here; empty where it has no name."""
    made: tuple[Making, ...] = ()
    """How a reply was made, a value for each time that it was written on; empty where that is unknown."""
    edited: bool = False
    """Whether a person changed what the bot wrote."""
    by: str = ""
    """Who wrote a reply of which no more is known; what a person or another program told."""

    def __post_init__(self) -> None:
        if not self.id:
            raise ConversationError("a message has an empty id")
        if self.finish is not None and self.role != "bot":
            raise ConversationError(f"message {self.id!r} is of the {self.role}, so it cannot have a finish")
        if self.made and self.role != "bot":
            raise ConversationError(f"message {self.id!r} is of the {self.role}, so no model made it")
        object.__setattr__(self, "content", storable_text(self.content))
        object.__setattr__(self, "created", whole_second(self.created))

    @property
    def author(self) -> str:
        """The name of the model that wrote a reply, the last one where there were several; "" if unknown."""
        return self.made[-1].recipe.model if self.made else self.by

"""The messages of a chat as a tree, and the one path through it that is shown.

Alternatives are messages with the same parent: replies to the same question, or the question asked in
other words. The shown path runs from a message without a parent down to the head. A `Conversation` is
changed on the UI thread only; the messages in it are immutable and may be handed to any thread.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Literal

from easy_llama.record import Record
from easy_llama.turn import Role, Turn
from easy_llama_tui.chats.context_window import PathTurn
from easy_llama_tui.chats.message import (
    ConversationError,
    Finish,
    Message,
    storable_text,
    utc_now,
    whole_second,
)

if TYPE_CHECKING:
    from easy_llama_tui.chats.making import Making

__all__ = [
    "HEAD",
    "Conversation",
    "ConversationError",
    "Finish",
    "Message",
    "Removed",
    "storable_text",
    "utc_now",
    "whole_second",
]


class _Head(Enum):
    HEAD = auto()


HEAD: Final = _Head.HEAD
"""The parent of a new message that continues the shown path."""

_NUMBERED_ID = re.compile(r"m([0-9]{1,15})")


class Removed(Record):
    """Messages that were taken out of a conversation."""

    messages: tuple[Message, ...]
    """The topmost first, the others in the order of their creation."""
    place: int
    """Which of its siblings the topmost was."""
    order: tuple[str, ...]
    """The ids of all messages before, in the order of their creation."""
    head: str | None
    """Where the shown path ended."""
    last_shown: Mapping[str | None, str]
    """What was last shown below the removed messages, and above them where that was the topmost."""


class Conversation:
    """A tree of messages and the path through it that is shown.

    The shown path ends at the head, mostly a message without children. Each alternative remembers what
    was last shown below it.
    """

    def __init__(
        self,
        messages: Iterable[Message] = (),
        head: str | None = None,
        *,
        shown: Iterable[str] = (),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        """Build a conversation from `messages` in the order of their creation.

        Args:
            messages: The whole tree. A parent may come after its child.
            head: The id at which the shown path ends; None shows the newest messages.
            shown: What `shown_elsewhere` returned; ids that are not there are ignored.
            now: The clock that dates new messages; it returns aware times.

        Raises:
            ConversationError: An id occurs twice, a parent or the head is unknown, or messages form a loop.
        """
        self._now = now
        self._messages: dict[str, Message] = {}
        self._children: dict[str | None, list[str]] = {None: []}
        self._last_shown: dict[str | None, str] = {}
        self._head: str | None = None
        self._next_number = 1
        for message in messages:
            if message.id in self._messages:
                raise ConversationError(
                    f"the id {message.id!r} is given to two messages", len(self._messages)
                )
            self._insert(message)
        self._check_parents()
        self._check_loops()
        if head is not None and head not in self._messages:
            raise ConversationError(f"the head {head!r} is not one of the messages")
        known = (self._messages[one] for one in shown if one in self._messages)
        self._last_shown = {message.parent: message.id for message in known}
        self._move_head(self._lowest_shown(None) if head is None else head)

    @property
    def head(self) -> str | None:
        """The id of the message at which the shown path ends; None only while there are no messages."""
        return self._head

    @property
    def messages(self) -> tuple[Message, ...]:
        """All messages, shown or not, in the order of their creation."""
        return tuple(self._messages.values())

    def shown_elsewhere(self) -> tuple[str, ...]:
        """Return the messages that were shown last among their alternatives, beside the shown path.

        Those that would be shown anyway, because they are the newest, are left out.
        """
        path = {message.parent for message in self._upwards(self._head)}
        return tuple(
            shown
            for above, shown in self._last_shown.items()
            if above not in path and shown != self._children[above][-1]
        )

    def get(self, message_id: str) -> Message:
        """Return the message with this id.

        Raises:
            ConversationError: There is none.
        """
        try:
            return self._messages[message_id]
        except KeyError:
            raise ConversationError(f"there is no message {message_id!r}") from None

    def path(self) -> tuple[Message, ...]:
        """Return the shown messages, from the first to the head."""
        return self._path_to(self._head)

    def children(self, message_id: str | None) -> tuple[Message, ...]:
        """Return the messages that follow one, or those that begin the conversation (None), oldest first.

        Raises:
            ConversationError: There is no such message.
        """
        if message_id is not None:
            self.get(message_id)
        return tuple(self._messages[child] for child in self._children[message_id])

    def siblings(self, message_id: str) -> tuple[Message, ...]:
        """Return all alternatives of a message, itself among them, oldest first.

        Raises:
            ConversationError: There is no such message.
        """
        return self.children(self.get(message_id).parent)

    def last_reply(self) -> Message | None:
        """Return the bot's last message on the shown path, or None where it wrote nothing."""
        return next((message for message in self._upwards(self._head) if message.role == "bot"), None)

    def turns(self, *, before: str | None = None, through: str | None = None) -> tuple[PathTurn, ...]:
        """Return the shown path as a prompt format sees it, each turn with its messages.

        A reply that was stopped before its first word is left out, and messages of one role that then
        meet are joined by a blank line: most templates want roles to alternate.

        Args:
            before: Only what leads up to this message, shown or not, without itself: the prompt that
                this reply answers.
            through: Only what leads up to this message, and itself.

        Raises:
            ConversationError: There is no such message.
        """
        end = through or (self._head if before is None else self.get(before).parent)
        turns: list[PathTurn] = []
        for message in self._path_to(end):
            if message.role == "bot" and not message.content:
                continue
            if turns and turns[-1].turn.role == message.role:
                turns[-1] = turns[-1].with_message(message.id, message.content, pinned=message.pinned)
            else:
                turn = Turn(message.role, message.content, message.ids)
                turns.append(PathTurn(turn, (message.id,), message.pinned))
        return tuple(turns)

    def add(
        self,
        role: Role,
        content: str,
        *,
        parent: str | Literal[_Head.HEAD] | None = HEAD,
        finish: Finish | None = None,
        ids: tuple[int, ...] = (),
    ) -> Message:
        """Add a message below `parent` and make it the head.

        Args:
            role: Who wrote it.
            content: Its text; empty for a reply that is about to be written.
            parent: The id of the message that it follows, or None to begin the conversation anew.
            finish: Why a reply ended.
            ids: The exact token ids of a generated reply.

        Raises:
            ConversationError: There is no such parent, or a message that no bot wrote has a finish.
        """
        above = self._head if parent is HEAD else parent
        if above is not None:
            self.get(above)
        message = Message(f"m{self._next_number}", above, role, content, self._now(), finish, ids)
        self._insert(message)
        self._move_head(message.id)
        return message

    def add_alternative(self, of_id: str, content: str = "") -> Message:
        """Add a message beside another, with its role, and make it the head.

        Raises:
            ConversationError: There is no such message.
        """
        message = self.get(of_id)
        return self.add(message.role, content, parent=message.parent)

    def update(
        self,
        message_id: str,
        *,
        content: str,
        finish: Finish | None = None,
        ids: tuple[int, ...] = (),
        made: "tuple[Making, ...] | None" = None,
        edited: bool | None = None,
    ) -> Message:
        """Replace what a message says, and return it as it is now.

        `finish` and `ids` belong to the content, so they are replaced with it.
        `made` and `edited` stay as they were where they are None.

        Raises:
            ConversationError: There is no such message, or one that no bot wrote is given a finish.
        """
        before = self.get(message_id)
        message = replace(
            before,
            content=content,
            finish=finish,
            ids=ids,
            made=before.made if made is None else made,
            edited=before.edited if edited is None else edited,
        )
        self._messages[message_id] = message
        return message

    def restore(self, message: Message) -> Message:
        """Let a message say again what it said before, as whatever else it is now, and return it.

        Raises:
            ConversationError: There is no such message.
        """
        now = self.get(message.id)
        restored = replace(message, pinned=now.pinned, branch=now.branch)
        self._messages[message.id] = restored
        return restored

    def set_pinned(self, message_id: str, pinned: bool) -> Message:
        """Pin a message, or let it go again, and return it as it is now.

        Raises:
            ConversationError: There is no such message.
        """
        message = self._messages[message_id] = replace(self.get(message_id), pinned=pinned)
        return message

    def name_branch(self, message_id: str, name: str) -> Message:
        """Name the branch that begins at a message, or take its name away (""); return it as it is now.

        Raises:
            ConversationError: There is no such message.
        """
        message = self._messages[message_id] = replace(self.get(message_id), branch=name)
        return message

    def show(self, message_id: str) -> None:
        """Show a message, and below it what was last shown there, or else the newest.

        Raises:
            ConversationError: There is no such message.
        """
        self.get(message_id)
        self._move_head(self._lowest_shown(message_id))

    def end_at(self, message_id: str) -> None:
        """End the shown path at a message, so that what is added next becomes a branch there.

        Raises:
            ConversationError: There is no such message.
        """
        self.get(message_id)
        self._move_head(message_id)

    def remove(self, message_id: str) -> "Removed":
        """Remove a message and all below it, and return what was removed, for `put_back`.

        Where the head was among them, the alternative before it (or else after it) is shown instead, and
        where there is none the path ends at its parent. Ids are not given out again.

        Raises:
            ConversationError: There is no such message.
        """
        message = self.get(message_id)
        head, order = self._head, tuple(self._messages)
        siblings = self._children[message.parent]
        place = siblings.index(message_id)
        siblings.remove(message_id)
        gone = set(self._downwards(message_id))
        last_shown = {above: shown for above, shown in self._last_shown.items() if shown in gone}
        below = (one for one in self._messages.values() if one.id in gone and one is not message)
        removed = (message, *below)
        for one in gone:
            del self._messages[one], self._children[one]
        for above in last_shown:
            del self._last_shown[above]
        if self._head in gone:
            self._move_head(self._lowest_shown(siblings[max(place - 1, 0)]) if siblings else message.parent)
        return Removed(removed, place, order, head, last_shown)

    def put_back(self, removed: "Removed") -> None:
        """Bring back what was removed, in its place, and show it where it was shown.

        Raises:
            ConversationError: What it followed is not there any more, or it is back already.
        """
        top = removed.messages[0]
        if top.parent is not None:
            self.get(top.parent)
        back = next((message.id for message in removed.messages if message.id in self._messages), None)
        if back is not None:
            raise ConversationError(f"the message {back!r} is there already")
        for message in removed.messages:
            self._insert(message)
        siblings = self._children[top.parent]
        siblings.insert(removed.place, siblings.pop())
        known = [one for one in removed.order if one in self._messages]
        self._messages = {one: self._messages[one] for one in [*known, *self._messages]}
        self._last_shown.update(removed.last_shown)
        # What is shown elsewhere stays shown, however far it has come since.
        was_shown = any(message.id == removed.head for message in removed.messages)
        self._move_head(removed.head if was_shown else self._head)

    def _insert(self, message: Message) -> None:
        self._messages[message.id] = message
        self._children.setdefault(message.id, [])
        self._children.setdefault(message.parent, []).append(message.id)
        if numbered := _NUMBERED_ID.fullmatch(message.id):
            self._next_number = max(self._next_number, int(numbered[1]) + 1)

    def _move_head(self, message_id: str | None) -> None:
        self._head = message_id
        for message in self._upwards(message_id):
            self._last_shown[message.parent] = message.id

    def _lowest_shown(self, message_id: str | None) -> str | None:
        while children := self._children[message_id]:
            message_id = self._last_shown.get(message_id, children[-1])
        return message_id

    def _path_to(self, message_id: str | None) -> tuple[Message, ...]:
        return tuple(self._upwards(message_id))[::-1]

    def _upwards(self, message_id: str | None) -> Iterator[Message]:
        while message_id is not None:
            message = self._messages[message_id]
            yield message
            message_id = message.parent

    def _downwards(self, message_id: str | None) -> Iterator[str]:
        waiting = [message_id] if message_id is not None else list(self._children[None])
        while waiting:
            yield (one := waiting.pop())
            waiting.extend(self._children[one])

    def _check_parents(self) -> None:
        for place, message in enumerate(self._messages.values()):
            if message.parent is not None and message.parent not in self._messages:
                raise ConversationError(
                    f"message {message.id!r} follows {message.parent!r}, which is not one of the messages",
                    place,
                )

    def _check_loops(self) -> None:
        reached = set(self._downwards(None))
        unreached = next((one for one in self._messages if one not in reached), None)
        if unreached is None:
            return
        # What cannot be reached from a beginning lies in a loop or hangs below one: walk up to the loop.
        seen: set[str | None] = set()
        above: str | None = unreached
        while above is not None and above not in seen:
            seen.add(above)
            above = self._messages[above].parent
        assert above is not None
        raise ConversationError(
            f"message {above!r} follows itself, by way of its parents", list(self._messages).index(above)
        )

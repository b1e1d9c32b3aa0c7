"""What the person wrote and has not sent, as an immutable value and as the text of its file."""

import json
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any, Final

from easy_llama.record import Record

SCHEMA: Final = 1

_MODES: Final = frozenset({"message", "opening", "system"})


class SentText(Record):
    """What was sent, and is not yet known to be on disk with its chat."""

    message_id: str
    """The message that it became."""

    text: str
    """What the message begins with."""

    mode: str = "message"
    """What it was written as."""


class Draft(Record):
    """The unsent words of one chat."""

    text: str = ""
    """What stands in the prompt."""

    mode: str = "message"
    """What that is: a "message", the "opening" of the bot's next message, or a "system" message."""

    cursor: tuple[int, int] = (0, 0)
    """The row and the column of the cursor."""

    aside: str = ""
    """What stood in the prompt before an earlier message was brought back and changed there."""

    opening: str = ""
    """How the bot's next message is to begin."""

    edits: Mapping[str, str] = field(default_factory=dict)
    """The texts of messages that are being edited, by the ids of the messages."""

    sent: tuple[SentText, ...] = ()
    """What was sent, and may not be on disk."""

    chat: str = ""
    """The chat that it was written in: its id, or the path of its file."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to come back to."""
        return not (
            self.text or self.mode != "message" or self.aside or self.opening or self.edits or self.sent
        )

    def without_saved(self, is_saved: Callable[[SentText], bool]) -> "Draft":
        """Return the draft with what was sent and is not saved before what was written since."""
        text, mode, opening = self.text, self.mode, self.opening
        for sent in reversed(self.sent):
            if is_saved(sent):
                continue
            if sent.mode == "opening":
                opening = opening or sent.text
            elif text:
                text = f"{sent.text}\n{text}"
            else:
                text, mode = sent.text, sent.mode
        return replace(self, text=text, mode=mode, opening=opening, sent=())

    def with_lost_edits(self, has_message: Callable[[str], bool]) -> "Draft":
        """Return the draft with the edits of messages that are gone after the text."""
        lost = [text for message_id, text in self.edits.items() if not has_message(message_id)]
        kept = {message_id: text for message_id, text in self.edits.items() if has_message(message_id)}
        return replace(self, text="\n".join(filter(None, [self.text, *lost])), edits=kept)


def to_json(draft: Draft) -> bytes:
    """Return a draft as its file holds it."""
    values: dict[str, Any] = {
        "schema": SCHEMA,
        "chat": draft.chat,
        "mode": draft.mode,
        "text": draft.text,
        "cursor": list(draft.cursor),
        "aside": draft.aside,
        "opening": draft.opening,
        "edits": dict(draft.edits),
        "sent": [{"message": one.message_id, "mode": one.mode, "text": one.text} for one in draft.sent],
    }
    return json.dumps(values, indent=1).encode("ascii") + b"\n"


def from_json(data: bytes) -> Draft:
    """Return the draft that a file holds.

    Raises:
        ValueError: it holds none.
    """
    try:
        values = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise ValueError("it is not of this version")
    match values:
        case {
            "text": str(text),
            "mode": str(mode),
            "cursor": [int(row), int(column)],
            "aside": str(aside),
            "opening": str(opening),
            "edits": dict(edits),
            "sent": list(sent),
            "chat": str(chat),
        } if mode in _MODES and all(isinstance(one, str) for one in edits.values()):
            return Draft(
                text, mode, (row, column), aside, opening, dict(edits), tuple(map(_sent_from, sent)), chat
            )
    raise ValueError("its values make no sense")


def _sent_from(values: object) -> SentText:
    match values:
        case {"message": str(message_id), "text": str(text), "mode": str(mode)} if mode in _MODES:
            return SentText(message_id, text, mode)
    raise ValueError("its values make no sense")

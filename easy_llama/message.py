"""One message of a thread."""

from typing import Any, cast

from easy_llama.prompt import Role, Turn

__all__ = ["Message"]


class Message(dict[str, str]):
    """One message of a thread: a dict with `role`, `prefix`, `content` and `postfix`.

    `message["suffix"]` reads the postfix, since formats call it so.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._generated: tuple[str, tuple[int, ...]] = ("", ())
        self.attempt = 0
        """How many replies were written in this place before this one."""

    def __missing__(self, key: str) -> str:
        if key == "suffix":
            return self["postfix"]
        raise KeyError(key)

    def as_string(self) -> str:
        """Return the whole text of the message: prefix, content and postfix."""
        return self["prefix"] + self["content"] + self["postfix"]

    def copy(self) -> "Message":
        """Return a message that says the same and is changed by itself."""
        copied = Message(self)
        copied.remember_ids(self.as_turn().ids)
        copied.attempt = self.attempt
        return copied

    def remember_ids(self, ids: tuple[int, ...]) -> None:
        """Keep the token ids that the content was read and generated with, while it stays as it is."""
        self._generated = (self["content"], ids)

    def as_turn(self) -> Turn:
        """Return the message as a prompt format sees it."""
        content, ids = self._generated
        return Turn(cast("Role", self["role"]), self["content"], ids if content == self["content"] else ())

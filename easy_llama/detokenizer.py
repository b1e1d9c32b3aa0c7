"""Token bytes to text, as a stream: whole characters only, and nothing of a stop string. Pure."""

import codecs
from collections.abc import Sequence


class StopStrings:
    """Finds stop strings in text that arrives in parts, holding back exactly what could become one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.found: str | None = None
        """The stop string that was met, if any."""

    def feed(self, text: str) -> str:
        """Take more text; return what is now certain to be no part of a stop string."""
        if not self._stops:
            return text
        if self.found is not None:
            return ""
        text = self._held + text
        # The stop string that is complete first, so that it does not matter how the text was divided.
        complete = min(
            ((start + len(stop), start, stop) for stop in self._stops if (start := text.find(stop)) >= 0),
            default=None,
        )
        if complete is not None:
            _, start, self.found = complete
            self._held = ""
            return text[:start]
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """Return the text held back: no more will come, so it is no stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that begins `stop`, without being all of it."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0


class TextStream:
    """The text of a reply, token by token.

    UTF-8 is decoded incrementally, so that a character split over tokens appears when it is whole;
    bytes that can never become one appear as U+FFFD. A character that is still incomplete at the end is
    dropped.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._pending = b""  # the beginning of a character
        self._stops = StopStrings(stops)
        self._ids: list[int] = []
        self._whole: list[int] = []  # after each token: characters decoded, or -1 within a character
        self._decoded = 0
        self._emitted = 0

    @property
    def stopped(self) -> bool:
        """Whether a stop string was met."""
        return self._stops.found is not None

    def push(self, token: int, data: bytes) -> str:
        """Take the next token and its bytes; return the text that is certain now."""
        data = self._pending + data
        # An incremental decoder does the same, in a dozen calls.
        text, size = codecs.utf_8_decode(data, "replace", False)
        self._pending = data[size:]
        self._decoded += len(text)
        self._ids.append(token)
        self._whole.append(-1 if self._pending else self._decoded)
        return self._emit(self._stops.feed(text))

    def finish(self) -> str:
        """Return the text held back; call once, when no more tokens come."""
        return self._emit(self._stops.flush())

    def ids(self) -> tuple[int, ...]:
        """Return the ids whose text is exactly what was returned, or none if it ends within a token."""
        for count in range(len(self._ids), 0, -1):
            if self._whole[count - 1] == self._emitted:
                return tuple(self._ids[:count])
            if 0 <= self._whole[count - 1] < self._emitted:
                break
        return ()

    def _emit(self, text: str) -> str:
        self._emitted += len(text)
        return text

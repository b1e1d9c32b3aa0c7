"""The program with an engine that talks by itself, and writes down beforehand what it says and when.

Run as a program, with the arguments of `ezllama-tui`; the file $TALK_LOG takes what is said.
"""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from easy_llama.events import CancelFlag
from support.scripted_engine import END, ScriptedEngine

PACE_SECONDS = 0.01
LONG = "long"
"""What a message begins with whose reply does not end by itself."""
SLOW = "slow"
"""What a message begins with that takes a while to read."""
READING_SECONDS = 0.5
SHORT_WORDS = 5
MAX_WORDS = 5000


@dataclass(frozen=True)
class SaidWord:
    """A word of a reply, and when it was handed to the app, by the clock that all processes share."""

    at: float
    reply: str
    word: str


class TalkingEngine(ScriptedEngine):
    """Answers each message at once: with a few words, or with words without end."""

    def _words(self, cancel: CancelFlag) -> Iterator[str | None]:
        asked = self._turns[-1].content if self._turns else ""
        tag = os.urandom(4).hex()
        log = os.open(os.environ["TALK_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if asked.startswith(SLOW):
                time.sleep(READING_SECONDS)
            for number in range(MAX_WORDS if asked.startswith(LONG) else SHORT_WORDS):
                if cancel.is_set:
                    yield None
                word = f"{tag}w{number} "
                os.write(log, f"{time.monotonic()} {tag} {word}\n".encode())
                yield word
                time.sleep(PACE_SECONDS)
            yield END
        finally:
            os.close(log)


def said(log: Path) -> list[SaidWord]:
    """All that the engine said; a line that was cut by the end of the process is left out."""
    if not log.exists():
        return []
    words = []
    for line in log.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            at, reply, word = line[:-1].split(" ", 2)
            words.append(SaidWord(float(at), reply, word))
    return words


def main() -> int:
    """Run the program."""
    from easy_llama_tui import program

    program._engine = lambda catalog: TalkingEngine()  # type: ignore[assignment]
    return program.run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

"""The program with an engine that talks by itself, and writes down beforehand what it says and when.

Run as a program, with the arguments of `ezllama-tui`; the file $TALK_LOG takes what is said.
"""

import fcntl
import json
import os
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
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


def take_engine() -> None:
    """Have the program take the engine that talks by itself."""
    from easy_llama_tui import program

    program._engine = lambda catalog: TalkingEngine()  # type: ignore[assignment]


class TalkingServer:
    """Starts the program again and again, each time in a process that has loaded it already."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(environment),
        )

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], terminal: str) -> int:
        """Start the program in the terminal of this name, and return its process."""
        return self._ask({"arguments": list(arguments), "environment": environment, "terminal": terminal})

    def wait(self, process: int) -> int:
        """Wait for the end of a program, and return its exit code, or minus the signal that killed it."""
        return self._ask({"wait": process})

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _ask(self, request: Mapping[str, object]) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def serve() -> None:
    """Do what a `TalkingServer` asks for on the standard input, until that ends."""
    import easy_llama_tui.app
    import easy_llama_tui.chats.session_store
    import easy_llama_tui.replies.engine_worker
    import easy_llama_tui.screens.chat_switch
    import easy_llama_tui.screens.panel_desk  # noqa: F401
    from easy_llama_tui import program
    from easy_llama_tui.note import Note

    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        else:
            terminal = os.open(request["terminal"], os.O_RDWR | os.O_NOCTTY)
            answer = os.fork()
            if not answer:
                _become(terminal, request["environment"])
                take_engine()
                os._exit(program.run(request["arguments"], Note()))
            os.close(terminal)
        print(answer, flush=True)


def _become(terminal: int, environment: Mapping[str, str]) -> None:
    """Lead a session at a terminal, as a program does that a terminal has started."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for descriptor in range(3):
        os.dup2(terminal, descriptor)
    os.environ.clear()
    os.environ.update(environment)


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        from easy_llama_tui.__main__ import main

        take_engine()
        sys.exit(main(sys.argv[1:]))

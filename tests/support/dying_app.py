"""The program, which dies in the middle of a reply.

    python -m support.dying_app HOW ENGINE [ARGUMENTS …]

The engine is `scripted`, without llama.cpp, or `real`. HOW is a signal, as "SIGSEGV", which the process gets;
"abort", for llama.cpp's own end where one of its checks fails; "exit", where native code ends the process; or
"none". It happens in the engine's thread, at the third token of a reply to `FATAL_WORD`, once there is a file
of the chat.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from easy_llama.events import Event, Token
from easy_llama_tui import locations, program
from easy_llama_tui.__main__ import main
from easy_llama_tui.replies.engine import ChatEngine
from easy_llama_tui.replies.format_catalog import FormatCatalog
from easy_llama_tui.replies.local_engine import LocalEngine
from support.scripted_engine import ScriptedEngine

FATAL_WORD = "die"
"""A message that holds it is answered with death."""


def die(how: str) -> None:
    if how == "exit":
        ctypes.CDLL(None).exit(0)
    elif how == "abort":
        import llama_cpp

        library = next(Path(llama_cpp.__file__).parent.glob("lib/*ggml-base.*"))
        ctypes.CDLL(str(library)).ggml_abort(b"ggml.c", 1234, b"GGML_ASSERT(%s) failed", b"n_tokens > 0")
    elif how == "SIGSEGV":
        ctypes.string_at(0)
    elif how != "none":
        os.kill(os.getpid(), signal.Signals[how])


class Dying:
    """What an engine generates, as far as it comes."""

    how = "none"

    def generate(self, *request: object) -> Iterator[Event]:
        n_tokens = 0
        for event in super().generate(*request):  # type: ignore[misc]
            yield event
            n_tokens += isinstance(event, Token)
            if n_tokens == 3 and FATAL_WORD in self.asked(request[0]):
                while not [*locations.sessions_folder().glob("[!.]*.toml")]:
                    time.sleep(0.01)
                die(self.how)

    def asked(self, prompt: object) -> str:
        pieces = [piece.text for piece in prompt.pieces if piece.text.strip()]  # type: ignore[attr-defined]
        return " ".join(pieces[-3:])


class DyingLocalEngine(Dying, LocalEngine):
    """Over the real model."""


class DyingScriptedEngine(Dying, ScriptedEngine):
    """Answers with a few words."""

    def generate(self, *request: object) -> Iterator[Event]:
        self.reply_with("one", " two", " three", " four")
        return super().generate(*request)


def make_engine(catalog: FormatCatalog) -> ChatEngine:
    return DyingScriptedEngine() if sys.argv[2] == "scripted" else DyingLocalEngine(catalog)


if __name__ == "__main__":
    Dying.how = sys.argv[1]
    program._engine = make_engine
    sys.exit(main(sys.argv[3:]))

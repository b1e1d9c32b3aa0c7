"""The plain terminal chat of a thread: `Thread.interact()`, and `python -m easy_llama`."""

import difflib
import os
import re
import shlex
import signal
import sys
import threading
import tomllib
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol, TextIO

from easy_llama.errors import DroppedMessagesWarning, EasyLlamaError
from easy_llama.events import CancelFlag
from easy_llama.samplers import preset
from easy_llama.session_file import save_session

if TYPE_CHECKING:
    from easy_llama.thread import OnText, Thread

__all__ = ["Interaction", "printable"]

_USER, _BOT, _NOTE, _PLAIN = "\x1b[32m", "\x1b[36m", "\x1b[33m", "\x1b[0m"

# C0 but newline and tab, DEL, C1, line separators, what turns the direction of writing, lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return `text` with nothing in it that could drive a terminal; newlines and tabs stay.

    C0 controls become their control pictures (ESC is ␛), but CR is taken out; the others become U+FFFD.
    Each character is looked at by itself, so the pieces of a stream can be cleaned one by one.
    """

    def safe(match: re.Match[str]) -> str:
        code = ord(match[0])
        if match[0] == "\r":
            return ""
        return chr(0x2400 + code) if code < 0x20 else "\ufffd"

    return _UNSAFE.sub(safe, text)


class _Write(Protocol):
    """Has the model write something, as `Thread.reroll` does."""

    def __call__(self, *, on_text: "OnText | None", cancel: CancelFlag | None) -> str: ...


class Interaction:
    """A chat in the terminal.

    Args:
        thread: the conversation that goes on.
        color: tell user and bot apart by colour, where the output is a terminal and NO_COLOR is not set.
        stream: print replies as they are written, not when they are whole.
        read: shows a prompt and returns a line, as `input` does.
        out: where to print; standard output by default.
    """

    def __init__(
        self,
        thread: "Thread",
        *,
        color: bool = True,
        stream: bool = True,
        read: Callable[[str], str] = input,
        out: TextIO | None = None,
    ) -> None:
        self.thread = thread
        self._stream = stream
        self._read = read
        self._out = out or sys.stdout
        self._color = color and self._out.isatty() and not os.environ.get("NO_COLOR")
        self._edits_lines = False
        self._over = False
        self._stopped = False  # the last reply was ended by ^C
        self._reply_start = ""  # of the next reply
        self._used_start = ""  # of the last one

    def run(self, header: str | None = None) -> None:
        """Chat until ^C or the end of input at the prompt.

        Args:
            header: printed first.
        """
        self._edits_lines = self._read is input and _load_readline()
        if header:
            self._note(header)
        try:
            while not self._over:
                self._turn()
        except (KeyboardInterrupt, EOFError):
            self._print("\n")

    def _turn(self) -> None:
        text = self._ask("  > ")
        if text == "!":
            self._command_prompt()
        elif text == "<":
            self._reply_start = self._ask_aside("  < ") or ""
        elif text == "!!":
            if message := self._ask_aside(" !! "):
                self.thread.add_message("system", message)
                self._stopped = False
        elif text.strip():
            start = self._reply_start
            if self._generate(partial(self.thread.send, text, reply_start=start)):
                self._reply_start, self._used_start = "", start
        elif self._stopped:
            self._reroll("")

    # In and out

    def _ask(self, prompt: str) -> str:
        """Return what the person enters: a line, or several where all but the last end in a backslash."""
        lines = [self._ask_line(prompt)]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            lines.append(self._ask_line("  . "))
        return "\n".join(lines)

    def _ask_aside(self, prompt: str) -> str | None:
        """Return what the person enters, or None where ^C takes the question back."""
        try:
            return self._ask(prompt)
        except KeyboardInterrupt:
            self._print("\n")
            return None

    def _ask_line(self, prompt: str) -> str:
        try:
            # The typed text has the prompt's colour.
            return self._read(self._invisible(_USER) + prompt)
        finally:
            self._print("", _PLAIN)

    def _invisible(self, code: str) -> str:
        """Return a colour code as a prompt needs it: readline counts what is not between marks."""
        if not self._color:
            return ""
        return f"\x01{code}\x02" if self._edits_lines else code

    def _print(self, text: str, style: str = "") -> None:
        """Print a text, made harmless, without a newline of its own."""
        encoding = getattr(self._out, "encoding", None) or "utf-8"
        text = printable(text).encode(encoding, "replace").decode(encoding)
        self._out.write(f"{style}{text}{_PLAIN}" if style and self._color else text)
        self._out.flush()

    def _note(self, text: str) -> None:
        self._print(f"{text}\n", _NOTE)

    # The bot's turn

    def _generate(self, write: _Write) -> bool:
        """Print what the model writes, which ^C ends; return whether it wrote."""
        cancel = CancelFlag()
        self._print("\n")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", DroppedMessagesWarning)
                with _stopped_by_interrupt(cancel):
                    text, self._stopped = self._written(write, cancel)
        except (EasyLlamaError, ValueError) as error:
            self._stopped = False
            self._note(f"\n{error}\n")
            return False
        self._print("\n\n" if self._stream else f"{text}\n\n", _BOT)
        for warning in caught:
            self._note(str(warning.message))
        if self._stopped:
            self._note("Stopped. Enter alone writes it anew, or type another message.")
        return True

    def _written(self, write: _Write, cancel: CancelFlag) -> tuple[str, bool]:
        """Return what the model writes, streamed meanwhile, and whether it was stopped.

        It works in a thread of its own: Python hears of ^C only between two calls of llama.cpp, and
        reading a long prompt is one call.
        """
        texts: SimpleQueue[str | None] = SimpleQueue()
        with ThreadPoolExecutor(1, "easy-llama-writes") as executor:
            try:
                future = executor.submit(write, on_text=texts.put, cancel=cancel)
                future.add_done_callback(lambda _: texts.put(None))
                for text in iter(texts.get, None):
                    if self._stream:
                        self._print(text, _BOT)
                return future.result(), cancel.is_set
            finally:
                cancel.cancel()  # where printing failed, the model must not write on

    # Commands

    def _command_prompt(self) -> None:
        """Ask for a command until one is run, or none is wanted."""
        while line := (self._ask_aside("  ! ") or "").strip():
            name, _, argument = line.partition(" ")
            command, _ = _COMMANDS.get(name.lower(), (None, ""))
            if command is None:
                near = difflib.get_close_matches(name, _COMMANDS, n=1)
                hint = f"did you mean {near[0]}?" if near else "help lists all."
                self._note(f"There is no command {name}; {hint}")
                continue
            try:
                command(self, argument.strip())
            except (EasyLlamaError, OSError, TypeError, ValueError) as error:
                self._note(f"{name}: {error}")
            return

    def _help(self, argument: str) -> None:
        for name, (_, what) in _COMMANDS.items():
            self._note(f"  {name:<10} {what}")

    def _reset(self, argument: str) -> None:
        self.thread.reset()
        self._forget_reply()
        self._note("The thread is as it began.")

    def _clear(self, argument: str) -> None:
        if self._out.isatty():
            self._out.write("\x1b[H\x1b[2J")
            self._out.flush()

    def _context(self, argument: str) -> None:
        self._note(f"{len(self.thread)} / {self.thread.model.context_length} tokens")

    def _stats(self, argument: str) -> None:
        self.thread.print_stats(file=self._out)

    def _sampler(self, argument: str) -> None:
        name, _, value = argument.partition(" ")
        known = [field.name for field in fields(self.thread.sampler)]
        if name in known and value:
            self.thread.sampler = self.thread.sampler.replace(**{name: _setting(value.strip())})
        elif name and name not in known:
            self.thread.sampler = preset(name)
        for field in [name] if name in known else known:
            self._note(f"  {field} = {getattr(self.thread.sampler, field)!r}")

    def _string(self, argument: str) -> None:
        self._print(f"{self.thread.as_string()}\n")

    def _save(self, argument: str) -> None:
        path = save_session(self.thread, Path(argument).expanduser() if argument else None, self._stopped)
        self._note(f"Saved to {path}; it goes on with: ezllama-tui --resume {shlex.quote(str(path))}")

    def _remove(self, argument: str) -> None:
        if not self.thread.messages:
            raise ValueError("there is no message")
        removed = self.thread.messages.pop()
        self._forget_reply()
        self._note(f"Removed the last message, of the {removed['role']}.")

    def _last(self, argument: str) -> None:
        if not self.thread.messages:
            raise ValueError("there is no message")
        self._show(-1)

    def _reprint(self, argument: str) -> None:
        for index in range(len(self.thread.messages)):
            self._show(index)

    def _inference(self, argument: str) -> None:
        self._print(f"{self.thread.inference_str_from_messages()}\n")

    def _reroll(self, argument: str) -> None:
        messages = self.thread.messages
        if not messages or messages[-1]["role"] != "bot":
            raise ValueError("the last message is not the bot's")
        self._generate(partial(self.thread.reroll, reply_start=self._used_start))

    def _summarize(self, argument: str) -> None:
        stopped = self._stopped
        self._generate(self.thread.summarize)
        self._stopped = stopped

    def _messages(self, argument: str) -> None:
        for number, message in enumerate(self.thread.messages, start=1):
            line = " ".join(message["content"].split())
            self._note(f"  {number}. {message['role']}: {line if len(line) <= 70 else line[:69] + '…'}")

    def _exit(self, argument: str) -> None:
        self._over = True

    def _show(self, index: int) -> None:
        """Print a message as it looked when it came in."""
        message = self.thread.messages[index]
        if message["role"] == "bot":
            self._print(f"\n{message['content']}\n\n", _BOT)
        else:
            self._print(f"{'  > ' if message['role'] == 'user' else ' !! '}{message['content']}\n", _USER)

    def _forget_reply(self) -> None:
        self._stopped, self._reply_start, self._used_start = False, "", ""


_COMMANDS: dict[str, tuple[Callable[[Interaction, str], None], str]] = {
    "help": (Interaction._help, "list the commands"),
    "reset": (Interaction._reset, "return to the messages that the thread began with"),
    "clear": (Interaction._clear, "clear the screen"),
    "context": (Interaction._context, "show how much of the context is used"),
    "stats": (Interaction._stats, "show that in numbers, and count the messages"),
    "sampler": (
        Interaction._sampler,
        "show the sampler, or change it: sampler temp 0.7; sampler MinPSampling",
    ),
    "string": (Interaction._string, "show all messages as text, with their prefixes"),
    "save": (Interaction._save, "save a session that ezllama-tui opens: save [FILE]"),
    "remove": (Interaction._remove, "remove the last message"),
    "last": (Interaction._last, "show the last message again"),
    "reprint": (Interaction._reprint, "show all messages again"),
    "inference": (Interaction._inference, "show what the model would read next"),
    "reroll": (Interaction._reroll, "have the last reply written anew"),
    "summarize": (Interaction._summarize, "have the model sum the thread up; it stays as it is"),
    "messages": (Interaction._messages, "list the messages"),
    "exit": (Interaction._exit, "end the chat"),
}


def _setting(text: str) -> object:
    """Return a sampler's value as it was typed: `none`, a TOML value, or else plain text."""
    if text.lower() == "none":
        return None
    try:
        value: object = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return tuple(value) if isinstance(value, list) else value


def _load_readline() -> bool:
    """Give `input` its line editing and history; return whether there is any."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    try:
        import readline  # noqa: F401 (importing it is all that it takes)
    except ImportError:  # as on Windows, whose console edits lines itself
        return False
    return True


@contextmanager
def _stopped_by_interrupt(cancel: CancelFlag) -> Iterator[None]:
    """Have ^C set `cancel` instead of raising, where this thread may say what ^C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: cancel.cancel())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

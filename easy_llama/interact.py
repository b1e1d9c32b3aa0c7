"""The plain terminal chat of a thread: `Thread.interact()`, and `python -m easy_llama`."""

import difflib
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
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol, TextIO

from easy_llama.errors import DroppedMessagesWarning, EasyLlamaError
from easy_llama.events import CancelFlag
from easy_llama.line_editor import LineEditor
from easy_llama.printer import BOT, PLAIN, USER, Printer, printable
from easy_llama.sampler_values import settings_from_values
from easy_llama.samplers import preset
from easy_llama.session_file import format_name, save_session

if TYPE_CHECKING:
    from easy_llama.thread import OnText, Thread

__all__ = ["Interaction", "printable"]


_SIGNS = frozenset({"!", "<", "!!"})
"""What is entered in place of a message to be asked for something else."""


class _Write(Protocol):
    """Has the model write something, as `Thread.reroll` does."""

    def __call__(self, *, on_text: "OnText | None", cancel: CancelFlag | None) -> str: ...


class Interaction:
    """A chat in the terminal.

    Args:
        thread: the conversation that goes on.
        color: tell user and bot apart by colour, where the output is a terminal that knows colours and
            NO_COLOR is not set.
        stream: print replies as they are written, not when they are whole.
        read: shows a prompt and returns a line, as `input` does; by default a person types it.
        out: where to print; standard output by default.
    """

    def __init__(
        self,
        thread: "Thread",
        *,
        color: bool = True,
        stream: bool = True,
        read: Callable[[str], str] | None = None,
        out: TextIO | None = None,
    ) -> None:
        self.thread = thread
        self._stream = stream
        self._editor = LineEditor()
        self._read = read or self._editor.read
        self._printer = Printer(out or sys.stdout, color=color)
        self._print, self._note = self._printer.print, self._printer.note
        self._over = False
        self._stopped = False  # the last reply was ended by ^C
        self._reply_start = ""  # of the next reply
        self._used_start = ""  # of the last one

    def run(self, header: str | None = None) -> None:
        """Chat until ^C or the end of input at the prompt.

        Args:
            header: printed first.
        """
        if header:
            self._note(header)
        with self._editor.opened():
            try:
                while not self._over:
                    self._turn()
            except (KeyboardInterrupt, EOFError):
                self._print("\n")

    def _turn(self) -> None:
        if (text := self._ask("  > ")) is None:
            return
        match text.strip():
            case "!":
                self._command_prompt()
            case "<":
                self._reply_start = self._ask_aside("  < ") or ""
            case "!!":
                if message := self._ask_aside(" !! "):
                    self.thread.add_message("system", message)
                    self._stopped = False
            case "":
                if self._stopped:
                    self._reroll("")
            case _:
                self._reply(partial(self.thread.send, text), self._reply_start)

    # In and out

    def _ask(self, prompt: str) -> str | None:
        """Return what the person enters: a line, or several where all but the last end in a backslash.

        The end of input ends several lines too; ^C in the middle of them takes them back, which is None.
        """
        self._editor.show_history(prompt)
        lines = [self._ask_line(prompt)]
        taken_back = False
        try:
            while lines[-1].endswith("\\"):
                lines[-1] = lines[-1][:-1]
                lines.append(self._ask_line("  . "))
        except (KeyboardInterrupt, EOFError) as end:
            self._print("\n")
            taken_back = isinstance(end, KeyboardInterrupt)
        text = "\n".join(lines)
        if text.strip() not in _SIGNS:
            self._editor.remember(prompt, text)
        return None if taken_back else text

    def _ask_aside(self, prompt: str) -> str | None:
        """Return what the person enters, or None where ^C or the end of input takes the question back."""
        try:
            return self._ask(prompt)
        except (KeyboardInterrupt, EOFError):
            self._print("\n")
            return None

    def _ask_line(self, prompt: str) -> str:
        while True:
            try:
                # The typed text has the prompt's colour.
                return self._read(self._invisible(USER) + prompt)
            except UnicodeDecodeError:
                self._note("That line is not text in the terminal's encoding; enter it again.")
            except RuntimeError as error:  # as `input` says that standard input is closed
                raise EOFError from error
            finally:
                self._print("", PLAIN)

    def _invisible(self, code: str) -> str:
        """Return a colour code as a prompt needs it: readline counts what is not between marks."""
        if not self._printer.has_color:
            return ""
        return f"\x01{code}\x02" if self._editor.is_open else code

    # The bot's turn

    def _reply(self, write: Callable[..., str], start: str) -> None:
        """Have the bot's message written, with `start` as its beginning."""
        stopped = self._generate(partial(write, reply_start=start))
        self._stopped = bool(stopped)
        if stopped is not None:
            self._reply_start, self._used_start = "", start
        if stopped:
            self._note("Stopped. Enter alone writes it anew, or type another message.")

    def _generate(self, write: _Write) -> bool | None:
        """Print what the model writes; return whether ^C ended it, or None where it failed."""
        cancel = CancelFlag()
        self._print("\n")
        try:
            with self._warnings_told(), _stopped_by_interrupt(cancel):
                text, stopped = self._written(write, cancel)
                self._print("\n\n" if self._stream else f"{text}\n\n", BOT)
        except (EasyLlamaError, ValueError) as error:
            self._note(f"\n{error}\n")
            return None
        return stopped

    @contextmanager
    def _warnings_told(self) -> Iterator[None]:
        """Print afterwards what Python would warn of, such as messages that were left out."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DroppedMessagesWarning)
            yield
        for warning in caught:
            self._note(str(warning.message))

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
                        self._print(text, BOT)
                return future.result(), cancel.is_set
            finally:
                cancel.cancel()  # where printing failed, the model must not write on

    # Commands

    def _command_prompt(self) -> None:
        """Ask for a command until one is run, or none is wanted."""
        while line := (self._ask_aside("  ! ") or "").strip():
            name, *rest = line.split(maxsplit=1)
            argument = "".join(rest)
            command = _COMMANDS.get(name.lower())
            if command is None:
                near = difflib.get_close_matches(name, _COMMANDS, n=1)
                hint = f"did you mean {near[0]}?" if near else "help lists all."
                self._note(f"There is no command {name}; {hint}")
            elif argument and not command.takes_argument:
                self._note(f"{name} takes nothing after it.")
            else:
                self._run(name, partial(command.run, self, argument))
                return

    def _run(self, name: str, command: Callable[[], None]) -> None:
        try:
            with self._warnings_told():
                command()
        except KeyboardInterrupt:
            self._print("\n")
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            self._note(f"{name}: {_told(error)}")
        except (EasyLlamaError, RuntimeError, TypeError, ValueError) as error:
            self._note(f"{name}: {error}")

    def _help(self, argument: str) -> None:
        for name, command in _COMMANDS.items():
            self._note(f"  {name:<10} {command.what}")
        self._note(_HELP)

    def _reset(self, argument: str) -> None:
        self.thread.reset()
        self._stopped, self._reply_start, self._used_start = False, "", ""
        self._note("The thread is as it began.")

    def _clear(self, argument: str) -> None:
        self._printer.clear()

    def _context(self, argument: str) -> None:
        self._note(f"{len(self.thread)} / {self.thread.model.context_length} tokens")

    def _stats(self, argument: str) -> None:
        self.thread.print_stats(file=self._printer.out)

    def _sampler(self, argument: str) -> None:
        name, *rest = re.split(r"\s*=\s*|\s+", argument, maxsplit=1)
        value = "".join(rest)
        known = [field.name for field in fields(self.thread.sampler)]
        if name in known and value:
            self.thread.sampler = self.thread.sampler.replace(**{name: _setting(name, value)})
        elif name not in known and value:
            near = difflib.get_close_matches(name, known, n=1)
            raise ValueError(f"there is no setting {name}" + (f"; did you mean {near[0]}?" if near else ""))
        elif name and name not in known:
            self.thread.sampler = preset(name)
        for field in [name] if name in known else known:
            self._note(f"  {field} = {getattr(self.thread.sampler, field)!r}")

    def _string(self, argument: str) -> None:
        self._print(f"{self.thread.as_string()}\n")

    def _save(self, argument: str) -> None:
        path = Path(_unquoted(argument)).expanduser() if argument else None
        path = save_session(self.thread, path, self._stopped)
        self._note(f"Saved to {path}; it goes on with: ezllama-tui --resume {shlex.quote(str(path))}")
        if format_name(self.thread) is None:
            self._note("The format is your own and is not saved; the chat will open with the model's.")

    def _remove(self, argument: str) -> None:
        if not self.thread.messages:
            raise ValueError("there is no message")
        removed = self.thread.messages.pop()
        if removed["role"] == "bot":
            self._stopped, self._used_start = False, ""
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
        self._reply(self.thread.reroll, self._reply_start or self._used_start)

    def _summarize(self, argument: str) -> None:
        if not self.thread.messages:
            raise ValueError("there is no message")
        self._generate(self.thread.summarize)

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
            self._print(f"\n{message['content']}\n\n", BOT)
        else:
            self._print(f"{'  > ' if message['role'] == 'user' else ' !! '}{message['content']}\n", USER)


@dataclass(frozen=True, slots=True)
class _Command:
    """What may be entered after `!`."""

    run: Callable[[Interaction, str], None]
    what: str
    """What it does, for the help."""
    takes_argument: bool = False


_COMMANDS = {
    "help": _Command(Interaction._help, "list the commands"),
    "reset": _Command(Interaction._reset, "return to the messages that the thread began with"),
    "clear": _Command(Interaction._clear, "clear the screen"),
    "context": _Command(Interaction._context, "show how much of the context is used"),
    "stats": _Command(Interaction._stats, "show that in numbers, and count the messages"),
    "sampler": _Command(
        Interaction._sampler,
        "show the sampler, or change it: sampler temp 0.7; sampler MinPSampling",
        takes_argument=True,
    ),
    "string": _Command(Interaction._string, "show all messages as text, with their prefixes"),
    "save": _Command(
        Interaction._save, "save a session that ezllama-tui opens: save [FILE]", takes_argument=True
    ),
    "remove": _Command(Interaction._remove, "remove the last message"),
    "last": _Command(Interaction._last, "show the last message again"),
    "reprint": _Command(Interaction._reprint, "show all messages again"),
    "inference": _Command(Interaction._inference, "show what the model would read next"),
    "reroll": _Command(Interaction._reroll, "have the last reply written anew"),
    "summarize": _Command(Interaction._summarize, "have the model sum the thread up; it stays as it is"),
    "messages": _Command(Interaction._messages, "list the messages"),
    "exit": _Command(Interaction._exit, "end the chat"),
}

_HELP = r"""At the prompt for messages:
  !          asks for a command
  <          asks for the words that the next reply begins with
  !!         asks for a system message
  \          at the end of a line goes on with the message on the next line
  ^C         stops a reply, which Enter then writes anew; at the prompt it ends the chat"""


def _setting(name: str, text: str) -> object:
    """Return a sampler's value as it was typed: `none`, a TOML value, or else plain text."""
    if text.lower() == "none":
        return None
    if name == "logit_bias":
        return settings_from_values("DefaultSampling", {name: text}).logit_bias
    try:
        value: object = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return tuple(value) if isinstance(value, list) else value


def _unquoted(text: str) -> str:
    """Return a file's name without the quotes that a shell would want around it."""
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _told(error: OSError) -> str:
    """Return what went wrong with a file, in words."""
    if not (error.strerror and error.filename):
        return str(error)
    hint = "; give another name" if isinstance(error, FileExistsError) else ""
    return f"{error.filename}: {error.strerror}{hint}"


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

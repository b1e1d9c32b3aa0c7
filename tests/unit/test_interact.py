"""The plain terminal chat, with a model and a person that follow a script."""

import io
import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from easy_llama import __main__ as program
from easy_llama import formats
from easy_llama.errors import GenerationError
from easy_llama.events import CancelFlag, Event, Finished, Token
from easy_llama.interact import Interaction, printable
from easy_llama.prompt import Piece, prompt_text
from easy_llama.samplers import DefaultSampling, GreedyDecoding, SamplerSettings
from easy_llama.thread import Thread
from easy_llama_tui.chat import Chat
from easy_llama_tui.session import from_toml

INTERRUPT = object()
"""What a person types: ^C."""


class ScriptedModel:
    """Writes the replies that it is given, word by word; "^C" in one interrupts the program."""

    def __init__(self, *replies: str | Exception) -> None:
        self.replies = list(replies)
        self.prompts: list[str] = []
        self.samplers: list[SamplerSettings] = []
        self.ended = 0
        self.context_length = 1000
        self.filename = "/models/Tiny-Q4_0.gguf"
        self.tokenizer = SimpleNamespace(
            bos=-1,
            adds_bos=False,
            encode_plain=lambda text, continues: [ord(char) for char in text],
            split_control=lambda text: [text],
        )
        self.read: list[Sequence[int]] = []
        self.engine = SimpleNamespace(read=self.read.append)

    def events(
        self, pieces: Sequence[Piece], stops: object, sampler: SamplerSettings, cancel: CancelFlag
    ) -> Iterator[Event]:
        try:
            yield from self._events(pieces, sampler, cancel)
        finally:
            self.ended += 1

    def _events(
        self, pieces: Sequence[Piece], sampler: SamplerSettings, cancel: CancelFlag
    ) -> Iterator[Event]:
        self.prompts.append(prompt_text(pieces))
        self.samplers.append(sampler)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        for number, part in enumerate(re.findall(r"\S+\s*|\s+", reply)):
            if part.strip() == "^C":
                os.kill(os.getpid(), signal.SIGINT)
                deadline = time.monotonic() + 10
                while not cancel.is_set:
                    assert time.monotonic() < deadline, "^C did not stop the reply"
                break
            yield Token(number, part)
        yield Finished("interrupted" if cancel.is_set else "stop", "", (), 0, 1, 0, 1, 0.0, 0.0)


class Screen(io.StringIO):
    """A terminal that keeps what is printed."""

    def __init__(self, *, tty: bool = False) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


class Talk:
    """A chat that was held: what it printed, and its thread."""

    def __init__(self, thread: Thread, typed: Sequence[object], screen: Screen, **options: Any) -> None:
        self.thread = thread
        self.asked: list[str] = []
        lines = iter(typed)

        def read(prompt: str) -> str:
            self.asked.append(prompt)
            line = next(lines, INTERRUPT)
            if line is INTERRUPT:
                raise KeyboardInterrupt
            if isinstance(line, Exception):
                raise line
            return str(line)

        header = options.pop("header", None)
        Interaction(thread, read=read, out=screen, **options).run(header)
        self.text = screen.getvalue()
        assert next(lines, None) is None, "the chat ended before all was typed"

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(message["role"], message["content"]) for message in self.thread.messages]


def thread_of(model: ScriptedModel, **options: Any) -> Thread:
    return Thread(model, formats.get("chatml"), **options)  # type: ignore[arg-type]


def talk(*typed: object, replies: Sequence[str | Exception] = (), tty: bool = False, **options: Any) -> Talk:
    return Talk(thread_of(ScriptedModel(*replies)), typed, Screen(tty=tty), **options)


def command(thread: Thread, *lines: str) -> str:
    """Return what commands print, each typed at the command prompt."""
    return Talk(thread, [part for line in lines for part in ("!", line)], Screen()).text


@pytest.fixture
def thread() -> Thread:
    thread = thread_of(ScriptedModel())
    thread.add_message("user", "Who are you?")
    thread.add_message("bot", "A model.")
    return thread


def test_a_message_is_answered_until_interrupted_at_the_prompt() -> None:
    held = talk("Hello", "Bye", replies=["Hi there.", "See you."], header="Welcome")
    assert held.said == [("user", "Hello"), ("bot", "Hi there."), ("user", "Bye"), ("bot", "See you.")]
    assert held.text == "Welcome\n\nHi there.\n\n\nSee you.\n\n\n"
    assert held.asked == ["  > "] * 3


def test_the_end_of_input_ends_the_chat() -> None:
    assert talk("Hello", EOFError(), replies=["Hi."]).text == "\nHi.\n\n\n"


@pytest.mark.parametrize("stream", [True, False])
def test_streamed_or_not_the_same_is_printed(stream: bool) -> None:
    assert talk("Hello", replies=["Hi there."], stream=stream).text == "\nHi there.\n\n\n"


def test_colours_differ_and_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    held = talk("Hello", replies=["Hi."], tty=True)
    assert held.asked[0] == "\x1b[32m  > "
    assert "\x1b[36mHi.\x1b[0m" in held.text
    assert held.text.endswith("\x1b[0m\n")
    assert "\x1b" not in talk("Hello", replies=["Hi."], tty=True, color=False).text
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in talk("Hello", replies=["Hi."], tty=True).text


@pytest.mark.parametrize("stream", [True, False])
def test_what_a_model_writes_cannot_drive_the_terminal(stream: bool) -> None:
    held = talk("Hello", replies=["\x1b]0;owned\x07 \x9b2J\u202e\r\nline\ttab \udc9b"], stream=stream)
    assert "␛]0;owned␇ �2J�\nline\ttab �" in held.text
    assert held.said[1][1].startswith("\x1b]0;owned")
    assert printable("".join(map(chr, range(0x110000)))).isprintable() is False
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", printable("".join(map(chr, range(0x110000))))
    )


def test_a_backslash_continues_a_message() -> None:
    held = talk("one\\", "two\\", "", replies=["Ok."])
    assert held.said[0] == ("user", "one\ntwo\n")
    assert held.asked[:3] == ["  > ", "  . ", "  . "]


def test_an_interrupted_reply_is_kept_and_enter_writes_it_anew() -> None:
    held = talk("Hello", "", "", replies=["One two ^C three", "Whole."])
    assert "Stopped. Enter alone" in held.text
    assert held.said == [("user", "Hello"), ("bot", "Whole.")]
    kept = talk("Hello", "Go on", replies=["One two ^C three", "Three."])
    assert kept.said[1:] == [("bot", "One two "), ("user", "Go on"), ("bot", "Three.")]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_enter_alone_leaves_a_whole_reply() -> None:
    held = talk("Hello", "", " ", replies=["Hi."])
    assert held.said == [("user", "Hello"), ("bot", "Hi.")]


def test_a_failed_reply_is_told_and_the_chat_goes_on() -> None:
    held = talk("Hello", "Again", replies=[GenerationError("llama.cpp \x1b failed"), "Hi."])
    assert "llama.cpp ␛ failed" in held.text
    assert held.said == [("user", "Again"), ("bot", "Hi.")]


def test_a_prefix_begins_the_next_reply_only() -> None:
    held = talk("<", "Sure!", "Hello", "Again", replies=[" Hi.", "No."])
    assert held.said[1] == ("bot", "Sure! Hi.")
    assert held.said[3] == ("bot", "No.")
    assert "Sure! Hi." in held.text
    model: Any = held.thread.model
    assert model.prompts[0].endswith("<|im_start|>assistant\nSure!")
    failed = talk("<", "Sure!", "Hello", "Hello", replies=[GenerationError("failed"), " Hi."])
    assert failed.said == [("user", "Hello"), ("bot", "Sure! Hi.")]
    assert talk("<", INTERRUPT, "Hello", replies=["Hi."]).said[1] == ("bot", "Hi.")


def test_a_reply_with_a_prefix_is_written_anew_with_it() -> None:
    held = talk("<", "Sure!", "Hello", "!", "reroll", replies=[" Hi.", " Ho."])
    assert held.said == [("user", "Hello"), ("bot", "Sure! Ho.")]


def test_a_system_message_is_inserted() -> None:
    held = talk("!!", "Be \\", "brief.", "!!", "", "Hello", replies=["Hi."])
    assert held.said[0] == ("system", "Be \nbrief.")
    assert len(held.said) == 3
    stopped = talk("Hello", "!!", "Be brief.", "", replies=["One ^C two"])
    assert stopped.said[-1] == ("system", "Be brief.")


def test_dropped_messages_are_told(thread: Thread) -> None:
    model: Any = thread.model
    model.replies = ["Ok."]
    thread.messages[0]["content"] = "x" * 900
    held = Talk(thread, ["Hello"], Screen())
    assert "The 2 oldest messages were not read" in held.text
    assert "xxx" not in model.prompts[0]


def test_a_reader_that_has_gone_ends_the_reply() -> None:
    class Gone(Screen):
        def write(self, text: str) -> int:
            if "two" in text:
                raise BrokenPipeError
            return super().write(text)

    model = ScriptedModel("One two three")
    with pytest.raises(BrokenPipeError):
        Talk(thread_of(model), ["Hello"], Gone())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_in_the_middle_closes_the_models_events_at_once() -> None:
    model = ScriptedModel("One two three")
    with pytest.raises(ZeroDivisionError) as caught:
        thread_of(model).send("Hello", on_text=lambda text: 1 // 0)
    assert caught.value.__traceback__  # which keeps the frames alive
    assert model.ended == 1


def test_help_lists_every_command() -> None:
    text = command(thread_of(ScriptedModel()), "help")
    names = (
        "help reset clear context stats sampler string save remove last reprint inference reroll summarize "
        "messages exit"
    )
    assert re.findall(r"^  (\w+) ", text, re.MULTILINE) == names.split()


def test_a_wrong_command_is_asked_for_again(thread: Thread) -> None:
    held = Talk(thread, ["!", "remov", "nonsense", "remove", "!", "", "!", INTERRUPT], Screen())
    assert "did you mean remove?" in held.text
    assert "There is no command nonsense; help lists all." in held.text
    assert held.said == [("user", "Who are you?")]


def test_exit_ends_the_chat(thread: Thread) -> None:
    Talk(thread, ["!", "exit"], Screen())


def test_commands_that_show_the_thread(thread: Thread) -> None:
    used = len(thread)
    assert f"{used} / 1000 tokens\n" in command(thread, "context")
    assert f"{used} / 1000 tokens\n{used / 10:.0f}% of context used\n2 messages\n" in command(thread, "stats")
    assert thread.as_string() in command(thread, "string")
    assert thread.inference_str_from_messages() in command(thread, "inference")
    assert "  1. user: Who are you?\n  2. bot: A model.\n" in command(thread, "messages")
    assert "A model." in (last := command(thread, "last")) and "Who are you?" not in last
    assert "  > Who are you?\n\nA model.\n" in command(thread, "reprint")
    thread.messages[1]["content"] = "\x1b[2J"
    assert "\x1b" not in command(thread, "string", "inference", "messages", "last", "reprint")


def test_clear_clears_a_terminal_only(thread: Thread) -> None:
    assert "\x1b[2J" in Talk(thread, ["!", "clear"], Screen(tty=True)).text
    assert "\x1b" not in command(thread, "clear")


def test_commands_that_change_the_thread(thread: Thread) -> None:
    model: Any = thread.model
    model.replies = ["A language model."]
    command(thread, "reroll")
    assert [message["content"] for message in thread.messages] == ["Who are you?", "A language model."]
    command(thread, "remove")
    assert "reroll: the last message is not the bot's" in command(thread, "reroll")
    assert [message["content"] for message in thread.messages] == ["Who are you?"]
    command(thread, "reset")
    assert thread.messages == []
    assert "remove: there is no message" in command(thread, "remove")


def test_a_summary_is_shown_and_not_kept(thread: Thread) -> None:
    model: Any = thread.model
    model.replies = ["They met."]
    assert "\nThey met.\n" in command(thread, "summarize")
    assert len(thread.messages) == 2


def test_the_sampler_of_the_thread_alone_is_changed(thread: Thread) -> None:
    assert "temp = 0.8\n" in command(thread, "sampler")
    assert command(thread, "sampler temp 0.25").splitlines()[0] == "  temp = 0.25"
    assert (thread.sampler.temp, DefaultSampling.temp) == (0.25, 0.8)
    command(thread, "sampler top_k none", "sampler max_len_tokens 5")
    assert (thread.sampler.top_k, thread.sampler.max_len_tokens) == (None, 5)
    before = thread.sampler
    assert "sampler: top_p must be from 0 to 1" in command(thread, "sampler top_p 3")
    assert "sampler: temp must be float" in command(thread, "sampler temp warm")
    assert "did you mean" in command(thread, "sampler tmp 3")
    assert thread.sampler == before
    command(thread, "sampler greedydecoding")
    assert thread.sampler == GreedyDecoding


def test_a_saved_session_is_one_that_the_app_opens(thread: Thread, tmp_path: Path) -> None:
    nasty = "\x1b[2J \x7f\x9b\r\n'''\"\"\"\\ \u2028é🦙\t"
    thread.add_message("user", nasty)
    thread.add_message("bot", "\ud800!")
    thread.sampler = GreedyDecoding.replace(top_k=None, seed=7)
    file = tmp_path / "chat.toml"
    assert str(file) in command(thread, f"save {file}")
    session = from_toml(file.read_bytes().decode(), str(file))
    assert [(message.role, message.content) for message in session.messages] == [
        ("user", "Who are you?"),
        ("bot", "A model."),
        ("user", nasty),
        ("bot", "?!"),
    ]
    assert session.head == "m4"
    assert session.title == "Who are you?"
    assert (session.model.path, session.model.name) == ("/models/Tiny-Q4_0.gguf", "Tiny")
    assert (session.format, session.sampler.preset) == ("chatml", "DefaultSampling")
    chat = Chat.from_session(session)
    assert chat.sampler == thread.sampler.replace(top_k=-1)
    assert b"\x1b" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600


def test_saving_replaces_no_file(thread: Thread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "chat.toml"
    file.write_text("mine")
    assert "save: " in command(thread, f"save {file}")
    assert file.read_text() == "mine"
    monkeypatch.chdir(tmp_path)
    command(thread, "save")
    saved = [path for path in tmp_path.iterdir() if path != file]
    assert len(saved) == 1 and from_toml(saved[0].read_text(), "it").id == saved[0].stem


def test_a_stopped_reply_is_saved_as_such(tmp_path: Path) -> None:
    talk("Hello", "!", f"save {tmp_path / 'chat.toml'}", replies=["One ^C two"])
    session = from_toml((tmp_path / "chat.toml").read_text(), "it")
    assert [message.finish for message in session.messages] == [None, "interrupted"]


def test_an_empty_thread_is_saved_and_shown(tmp_path: Path) -> None:
    thread = thread_of(ScriptedModel())
    text = command(
        thread, f"save {tmp_path / 'chat.toml'}", "stats", "messages", "summarize", "last", "string"
    )
    assert "0 messages" in text
    assert from_toml((tmp_path / "chat.toml").read_text(), "it").messages == ()


def test_interact_reads_from_the_terminal(thread: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def leave(self: Interaction, header: str | None) -> None:
        asked.append(f"{header} {self._read is input} {self._stream}")

    monkeypatch.setattr(Interaction, "run", leave)
    thread.interact(color=False, header="Welcome", stream=False)
    assert asked == ["Welcome True False"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["no.gguf", "-p", "x"], "no.gguf"),
        (["no.gguf", "--sampler", "Greedy"], "did you mean GreedyDecoding?"),
        (["no.gguf", "--format", "chatm"], "did you mean 'chatml'?"),
        (["no\x1b.gguf", "-p", "x"], ".gguf"),
    ],
)
def test_the_program_refuses_in_one_line(
    arguments: list[str],
    reason: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", None)
    assert program.main(arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("python -m easy_llama: ") and err.count("\n") == 1 and "\x1b" not in err
    assert reason in err

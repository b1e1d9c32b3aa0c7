"""The plain terminal chat, with a model and a person that follow a script."""

import argparse
import io
import math
import os
import re
import signal
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from easy_llama import __main__ as program
from easy_llama import formats, line_editor
from easy_llama.errors import GenerationError
from easy_llama.events import CancelFlag, Event, Finished, LeftOut, Token
from easy_llama.interact import Interaction, printable
from easy_llama.prompt import Piece, prompt_text
from easy_llama.samplers import DefaultSampling, GreedyDecoding, SamplerSettings
from easy_llama.thread import Thread
from easy_llama_tui.arguments import build_parser
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.session import from_toml

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
            decode=lambda ids: "".join(map(chr, ids)),
            bytes_of=lambda token: chr(token).encode(),
        )
        self.metadata: dict[str, object] = {}
        self.read: list[Sequence[int]] = []
        self.engine = SimpleNamespace(read=lambda prompt, left_out=(): self.read.append(prompt))

    def events(
        self,
        pieces: Sequence[Piece],
        stops: object,
        sampler: SamplerSettings,
        cancel: CancelFlag,
        left_out: Sequence[LeftOut] = (),
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
        Interaction(thread, **{"read": read, "out": screen} | options).run(header)
        self.text = screen.getvalue()
        assert next(lines, None) is None, "the chat ended before all was typed"

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(message["role"], message["content"]) for message in self.thread.messages]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal of the person who runs the tests makes no difference."""
    monkeypatch.setenv("TERM", "xterm-256color")


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


def test_a_terminal_that_knows_no_codes_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "dumb")
    held = talk("Hello", "!", "clear", replies=["Hi."], tty=True)
    assert "\x1b" not in held.text + "".join(held.asked)


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


def test_a_message_of_several_lines_is_taken_back_or_ended() -> None:
    held = talk("one\\", INTERRUPT, "Hello", replies=["Hi."])
    assert held.said == [("user", "Hello"), ("bot", "Hi.")]
    stopped = talk("Hello", "one\\", INTERRUPT, replies=["One ^C two"])
    assert stopped.said[1:] == [("bot", "One ")]
    ended = talk("one\\", EOFError(), replies=["Hi."])
    assert ended.said == [("user", "one"), ("bot", "Hi.")]


@pytest.mark.parametrize("sign", ["!", "<", "!!", " ! "])
@pytest.mark.parametrize("end", [INTERRUPT, EOFError()])
def test_a_question_is_taken_back(sign: str, end: object) -> None:
    held = talk(sign, end, "Hello", replies=["Hi."])
    assert held.said == [("user", "Hello"), ("bot", "Hi.")]


def test_a_line_that_is_no_text_is_asked_for_again() -> None:
    held = talk(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "Hello", replies=["Hi."])
    assert "enter it again" in held.text
    assert held.said[0] == ("user", "Hello")


def test_a_closed_standard_input_ends_the_chat() -> None:
    assert talk(RuntimeError("input(): lost sys.stdin")).text == "\n"


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


def test_a_prefix_outlives_the_removal_of_what_came_after_its_reply() -> None:
    typed = ["<", "Sure!", "Hello", "!!", "Be brief.", "!", "remove", "!", "reroll"]
    assert talk(*typed, replies=[" Hi.", " Ho."]).said == [("user", "Hello"), ("bot", "Sure! Ho.")]
    typed = ["<", "Sure!", "Hello", "!", "remove", "!", "remove", "Hello", "!", "reroll"]
    assert talk(*typed, replies=[" Hi.", "Ho.", "Hey."]).said[1] == ("bot", "Hey.")


def test_a_stopped_reply_is_written_anew_with_a_new_prefix() -> None:
    held = talk("<", "Sure!", "Hello", "<", "No,", "", replies=[" One ^C two", " never."])
    assert held.said == [("user", "Hello"), ("bot", "No, never.")]


def test_a_reply_under_a_seed_is_written_anew_under_the_next_one() -> None:
    model = ScriptedModel("One ^C", "Two ^C", "Three.", "Four.")
    sampler = DefaultSampling.replace(seed=2**32 - 3)
    Talk(thread_of(model, sampler=sampler), ["Hello", "", "", "Again"], Screen())
    assert [sampler.seed for sampler in model.samplers] == [2**32 - 3, 2**32 - 2, 0, 2**32 - 3]


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


def test_dropped_messages_are_told_where_a_command_meets_them(thread: Thread) -> None:
    thread.messages[0]["content"] = "x" * 900
    thread.add_message("user", "Hello")
    assert "The 2 oldest messages were not read" in command(thread, "inference")


def test_a_message_that_does_not_fit_is_told_and_left_out() -> None:
    held = talk("<", "Sure!", "x" * 2000, "Hello", replies=[" Hi."])
    assert "the context holds 1,000" in held.text
    assert held.said == [("user", "Hello"), ("bot", "Sure! Hi.")]


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


def test_a_command_with_more_than_it_takes_is_not_run(thread: Thread) -> None:
    held = Talk(thread, ["!", "remove 1", ""], Screen())
    assert "remove takes nothing after it." in held.text
    assert len(held.said) == 2


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


def test_a_stopped_summary_is_not_what_enter_writes_anew() -> None:
    held = talk("Hello", "!", "summarize", "", replies=["Hi.", "They ^C met."])
    assert "Stopped." not in held.text
    assert held.said[1] == ("bot", "Hi.")
    assert "summarize: there is no message" in talk("!", "summarize").text


def test_the_sampler_of_the_thread_alone_is_changed(thread: Thread) -> None:
    assert "temp = 0.8\n" in command(thread, "sampler")
    assert command(thread, "sampler temp 0.25").splitlines()[0] == "  temp = 0.25"
    assert (thread.sampler.temp, DefaultSampling.temp) == (0.25, 0.8)
    command(thread, "sampler top_k none", "sampler max_len_tokens 5")
    assert (thread.sampler.top_k, thread.sampler.max_len_tokens) == (None, 5)
    before = thread.sampler
    assert "sampler: top_p must be from 0 to 1" in command(thread, "sampler top_p 3")
    assert "sampler: temp must be float" in command(thread, "sampler temp warm")
    assert "there is no setting tmp; did you mean temp?" in command(thread, "sampler tmp 3")
    assert "did you mean GreedyDecoding?" in command(thread, "sampler greedy")
    assert "sampler: logit_bias must" in command(thread, "sampler logit_bias much")
    assert thread.sampler == before
    command(thread, "sampler temp = 0.5", "sampler top_p=0.7", 'sampler logit_bias {"5": -1.5}')
    assert (thread.sampler.temp, thread.sampler.top_p, thread.sampler.logit_bias) == (0.5, 0.7, {5: -1.5})
    command(thread, 'sampler json_schema {"type": "object"}')
    assert thread.sampler.json_schema == '{"type": "object"}'
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


@pytest.mark.parametrize(
    "changes",
    [
        {"grammar": 'root ::= "ja" | "nein"\n# "\x1b\\ \'\'\''},
        {"json_schema": {"type": "object", "properties": {"ü": {"type": "string"}}}},
        {"logit_bias": {3: -math.inf, 7: 1.5}, "dry_sequence_breakers": ('"', "\n")},
    ],
)
def test_what_a_reply_has_to_follow_is_saved_and_opened(
    thread: Thread, tmp_path: Path, changes: dict[str, Any]
) -> None:
    thread.sampler = GreedyDecoding.replace(**changes)
    command(thread, f"save {tmp_path / 'chat.toml'}")
    text = (tmp_path / "chat.toml").read_bytes().decode()
    assert Chat.from_session(from_toml(text, "it")).sampler == thread.sampler


def test_a_format_of_ones_own_is_not_saved_and_that_is_told(tmp_path: Path) -> None:
    model = ScriptedModel()
    source = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    model.metadata["tokenizer.chat_template"] = source
    own = formats.from_chat_template(source)
    prompted = formats.from_chat_template(source)
    prompted["system_prompt"] = "Be brief."
    cases: list[tuple[Any, str | None]] = [
        (formats.get("alpaca"), "alpaca"),
        (own, "template"),
        (prompted, None),
        (formats.from_chat_template(source, variables={"x": 1}), None),
        (formats.from_chat_template(source + " "), None),
        (formats.get("alpaca") | {"user_prefix": "You: "}, None),
    ]
    for number, (format, name) in enumerate(cases):  # noqa: A001 (the documented name)
        thread = Thread(model, format)  # type: ignore[arg-type]
        thread.add_message("user", "Hello")
        text = command(thread, f"save {tmp_path / str(number)}")
        assert from_toml((tmp_path / f"{number}.toml").read_text(), "it").format == (name or "template")
        assert ("The format is your own and is not saved" in text) is (name is None)


def test_where_a_session_is_saved(thread: Thread, tmp_path: Path) -> None:
    folder = tmp_path / "my chats"
    folder.mkdir()
    command(thread, f'save "{folder}"', f"save {folder / 'v1.2'}", "save ~/home.toml")
    assert sorted(path.suffix for path in folder.iterdir()) == [".toml", ".toml"]
    assert (folder / "v1.2.toml").is_file()
    assert Path("~/home.toml").expanduser().is_file()
    assert "nowhere/x.toml: No such file" in command(thread, f"save {folder}/nowhere/x")
    assert "File exists; give another name" in command(thread, f"save {folder}/v1.2")
    assert "save: " in command(thread, "save ~nobody-of-this-name/x")
    assert "save: " in command(thread, "save a\0b")


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

    def leave(prompt: str) -> str:
        asked.append(prompt)
        raise EOFError

    monkeypatch.setattr("builtins.input", leave)
    monkeypatch.setattr("sys.stdout", screen := Screen())
    thread.interact(color=False, header="Welcome", stream=False)
    assert asked == ["  > "]
    assert screen.getvalue() == "Welcome\n\n"


def test_each_kind_of_line_has_its_own_history(thread: Thread, monkeypatch: pytest.MonkeyPatch) -> None:
    readline = pytest.importorskip("readline")
    monkeypatch.setattr(line_editor, "_load_readline", lambda: readline)
    lines = iter(["Hello", "!", "stats", "one\\", "two", "!", "context", "Hello", "Hello"])
    seen: list[list[str]] = []

    def read(prompt: str) -> str:
        count = readline.get_current_history_length()
        seen.append([readline.get_history_item(number) for number in range(1, count + 1)])
        if (line := next(lines, None)) is None:
            raise EOFError
        return line

    monkeypatch.setattr("builtins.input", read)
    model: Any = thread.model
    model.replies = ["Hi."] * 4
    readline.clear_history()
    readline.add_history("import os")
    Interaction(thread, out=Screen()).run()
    assert seen[-1] == ["Hello", "one\ntwo", "Hello"]
    assert seen[6] == ["stats"]
    assert [readline.get_history_item(1), readline.get_current_history_length()] == ["import os", 1]


def options_of(parser: argparse.ArgumentParser) -> dict[str, str | None]:
    return {
        action.option_strings[-1]: action.metavar  # type: ignore[misc]
        for action in parser._actions
        if action.option_strings
    }


def test_both_programs_have_the_same_options() -> None:
    ours, theirs = options_of(program._parser()), options_of(build_parser())
    assert ours.pop("--prompt") and theirs.pop("--resume")
    assert [theirs.pop(own) for own in ("--print-config", "--bench", "--recover")] == [None] * 3
    assert ours == theirs
    given = ["x.gguf", "--threads", "2", "--n-gpu-layers", "-1", "--seed", "3", "--system", "a\udcffb"]
    for parser in (program._parser(), build_parser()):
        arguments = parser.parse_args(given)
        assert (arguments.threads, arguments.n_gpu_layers, arguments.seed) == (2, -1, 3)
        assert arguments.system == "a\ufffdb"
    layers = [parser.parse_args(["x"]).n_gpu_layers for parser in (program._parser(), build_parser())]
    assert layers == [0, None]


@pytest.mark.parametrize("parser", [program._parser(), build_parser()])
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (["--threads", "0"], "argument --threads: must be at least 1, not 0"),
        (["--context-length", "many"], "argument --context-length: invalid number value: 'many'"),
        (["--nonsense\x1b[2J\n"], "unrecognized arguments: --nonsense [2J"),
        (["--format"], "argument --format: expected one argument"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(
    parser: argparse.ArgumentParser, wrong: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parser.parse_args(["x.gguf", *wrong])
    assert end.value.code == 2
    assert capsys.readouterr().err == f"{parser.prog}: {reason}; --help lists the options\n"


def test_what_loading_warns_of_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(path: str, **options: object) -> str:
        warnings.warn("the context is long\nfor this model", UserWarning, stacklevel=2)
        return path

    monkeypatch.setattr("easy_llama.model.Model", load)
    assert str(program._load(program._parser().parse_args(["x.gguf"]))) == "x.gguf"
    assert capsys.readouterr().err == "python -m easy_llama: the context is long for this model\n"


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

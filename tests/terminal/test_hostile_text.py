"""Text from strangers is shown as text: it drives no terminal, and is no markup."""

import codecs
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support import gguf_bytes as gguf
from support.hostile import HOSTILE, MARKUP, NAME
from support.terminal import Start, Terminal

from easy_llama.prompt import Role
from easy_llama_tui import locations
from easy_llama_tui.chats.conversation import Finish, Message
from easy_llama_tui.chats.session import ModelReference, SamplerChoice, Session
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.drafts.prompt_history import PromptHistory

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FORBIDDEN = re.compile(
    rb"\x1b[\]PX^_c]"  # operating system commands, device control, application programs, a reset
    rb"|[\x00-\x07\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]"
    rb"|\xc2[\x80-\x9f]"  # C1
    rb"|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]"  # line separators, and what turns the direction of writing
    rb"|\x1b\[(?:5;31;104m|6n|c|\?1007h|2J)"  # of the corpus; Textual sends none of these
)
TEXTUALS_OWN = re.compile(rb"\x1b\]22;[a-z]*\x07")
"""The shape of the mouse pointer."""


def assert_harmless(terminal: Terminal) -> None:
    written = TEXTUALS_OWN.sub(b"", terminal.raw)
    assert FORBIDDEN.findall(written) == []
    assert b"http://evil.example\x1b\\" not in written
    # What is read last may end within a character.
    codecs.getincrementaldecoder("utf-8")().decode(written)


def message(number: int, role: Role, finish: Finish | None = None) -> Message:
    parent = f"m{number - 1}" if number > 1 else None
    return Message(
        f"m{number}", parent, role, f"{HOSTILE} [bold]loud[/bold] [@click=app.quit]x[/] {role}", NOW, finish
    )


@pytest.fixture
def strangers_chat(tmp_path: Path) -> Path:
    session = Session(
        id="\x1b[5;31;104m",
        title=HOSTILE,
        named=True,
        created=NOW,
        updated=NOW,
        head="m3",
        model=ModelReference("/nowhere.gguf", HOSTILE),
        format="template",
        sampler=SamplerChoice("DefaultSampling"),
        messages=(message(1, "system"), message(2, "user"), message(3, "bot", "stop")),
        file=tmp_path / "stranger.toml",
    )
    return SessionStore(tmp_path).save(session)


def test_a_strangers_chat_is_shown_as_text(open_chat: Start, strangers_chat: Path) -> None:
    terminal = open_chat("--resume", strangers_chat)
    terminal.until("x[/] bot")
    assert "[bold]loud[/bold] [@click=app.quit]x[/] bot" in terminal.chat
    assert "␛]52;c;aGk=␇" in terminal.chat
    assert_harmless(terminal)


def test_a_strangers_message_brought_back_to_the_prompt_is_text(
    open_chat: Start, strangers_chat: Path
) -> None:
    PromptHistory(locations.history_file()).add(HOSTILE)
    terminal = open_chat("--resume", strangers_chat)
    terminal.keys("ctrl+up")
    terminal.until(lambda: "clip" in terminal.prompt)
    assert_harmless(terminal)


def test_a_pasted_text_is_text(open_chat: Start) -> None:
    terminal = open_chat()
    # Terminals take ESC out of what is pasted, but not all take these.
    terminal.paste("wide \x9b5;31m shift \x0e bell \x07 markup [bold]loud[/bold] end")
    terminal.until(lambda: terminal.prompt.endswith("end"))
    assert "[bold]loud[/bold]" in terminal.prompt
    assert_harmless(terminal)


PANELS = {
    "\x1bOQ": "Find a format",
    "\x1bOS": "top_k",
    "\x1b[20~": "Used",
}
SCREENS = {
    "\x1bOP": "Writing",
    "\x1bOR": "Type to find one",
    "\x0f": "Type to search",
    "\x1b[18~": "3 messages, 1 branch",
}
"""Keys as xterm sends them, and what is then seen."""


def test_every_screen_shows_text(open_chat: Start, strangers_chat: Path, tmp_path: Path) -> None:
    """The chat of a stranger, in a folder with a model and a text of strangers."""
    entries = [
        gguf.entry("general.architecture", gguf.STR, "\x1b]2;owned\x07"),
        gguf.entry("general.name", gguf.STR, HOSTILE.encode("utf-8", "replace")),
        gguf.entry("general.size_label", gguf.STR, MARKUP),
    ]
    models = tmp_path / "models"
    models.mkdir()
    (models / f"{NAME}.gguf").write_bytes(gguf.padded(gguf.header(entries, gguf.TENSORS)) + b"\x11" * 416)
    config = locations.config_file()
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(f"[model]\nfolders = ['{models}']\n[nonsense]\n'\\u001b' = 1\n")
    presets = locations.presets_folder()
    presets.mkdir(parents=True, exist_ok=True)
    (presets / f"{NAME}.toml").write_text("temp = 'x'")
    locations.formats_folder().mkdir(exist_ok=True)
    prompt_format = "user_prefix = '\\\\u009b'\nbot_prefix = ']52'"
    (locations.formats_folder() / f"{NAME}.toml").write_text(prompt_format)
    store = SessionStore(locations.sessions_folder())
    store.save(SessionStore(tmp_path).load(str(strangers_chat)))
    terminal = open_chat("--resume", strangers_chat)
    terminal.until("ready")
    for key, words in (PANELS | SCREENS).items():
        terminal.type(key)
        terminal.until(words)
        terminal.type(key if key in PANELS else "\x1b")
        terminal.until(lambda words=words: words not in terminal.text)
    assert_harmless(terminal)
    assert b"evil" in terminal.raw
    assert "[@click=app.quit]x" in terminal.raw.decode()

"""Text from strangers is shown as text: it drives no terminal, and is no markup."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.terminal import Start, Terminal

from easy_llama.prompt import Role
from easy_llama_tui import locations
from easy_llama_tui.chats.conversation import Finish, Message
from easy_llama_tui.chats.session import ModelReference, SamplerChoice, Session
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.drafts.prompt_history import PromptHistory

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HOSTILE = (
    "clip \x1b]52;c;aGk=\x07 link \x1b]8;;http://evil.example\x1b\\evil\x1b]8;;\x1b\\ "
    "style \x1b[5;31;104m ask \x1b[6n mode \x1b[?1007h title \x1b]2;owned\x07 wide \x9b5;31m shift \x0e "
    "[bold]loud[/bold] [@click=app.quit]x[/]"
)
FORBIDDEN = (
    *(b"\x1b]", b"\x07"),  # of which come the clipboard, links and titles
    *(b"\x1b[5;31;104m", b"\x1b[6n", b"\x1b[?1007h", "\x9b".encode(), b"\x0e"),
)
TEXTUAL_SETS_THE_POINTER = re.compile(rb"\x1b\]22;[a-z]*\x07")


def assert_harmless(terminal: Terminal) -> None:
    written = TEXTUAL_SETS_THE_POINTER.sub(b"", terminal.raw)
    assert [sequence for sequence in FORBIDDEN if sequence in written] == []


def message(number: int, role: Role, finish: Finish | None = None) -> Message:
    parent = f"m{number - 1}" if number > 1 else None
    return Message(f"m{number}", parent, role, f"{HOSTILE} {role}", NOW, finish)


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
    for role in ("system", "user", "bot"):
        assert f"[bold]loud[/bold] [@click=app.quit]x[/] {role}" in terminal.chat
    assert terminal.chat.count("␛]52;c;aGk=␇") == 3
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

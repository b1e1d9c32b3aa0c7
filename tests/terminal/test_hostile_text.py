"""Text from strangers is shown as text: it drives no terminal, and is no markup."""

from datetime import UTC, datetime
from pathlib import Path

from support.terminal import Start, Terminal

from easy_llama.prompt import Role
from easy_llama_tui.conversation import Finish, Message
from easy_llama_tui.session import ModelReference, SamplerChoice, Session
from easy_llama_tui.session_store import SessionStore

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HOSTILE = (
    "clip \x1b]52;c;aGk=\x07 link \x1b]8;;http://evil.example\x1b\\evil\x1b]8;;\x1b\\ "
    "style \x1b[5;31;104m ask \x1b[6n mode \x1b[?1007h title \x1b]2;owned\x07 wide \x9b5;31m "
    "[bold]loud[/bold] [@click=app.quit]x[/]"
)
FORBIDDEN = (b"\x1b]52", b"\x1b]8", b"\x1b]2;", b"\x1b[5;31;104m", b"\x1b[6n", b"\x1b[?1007h", b"\x9b5;31m")


def assert_harmless(terminal: Terminal) -> None:
    assert [sequence for sequence in FORBIDDEN if sequence in terminal.raw.replace(b"\xc2\x9b", b"\x9b")] == []


def message(number: int, role: Role, finish: Finish | None = None) -> Message:
    parent = f"m{number - 1}" if number > 1 else None
    return Message(f"m{number}", parent, role, f"{HOSTILE} {role}", NOW, finish)


def test_a_strangers_chat_is_shown_as_text(open_chat: Start, tmp_path: Path) -> None:
    messages = (message(1, "system"), message(2, "user"), message(3, "bot", "stop"))
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
        messages=messages,
        file=tmp_path / "stranger.toml",
    )
    terminal = open_chat("--resume", SessionStore(tmp_path).save(session))
    for role in ("system", "user", "bot"):
        terminal.until(lambda role=role: f"[bold]loud[/bold] [@click=app.quit]x[/] {role}" in terminal.chat)
    assert terminal.chat.count("␛]52;c;aGk=␇") == 3

    assert_harmless(terminal)

    # The prompt's history brings the person's message back, to be edited.
    terminal.keys("ctrl+up")
    terminal.until(lambda: "clip" in terminal.prompt)
    assert_harmless(terminal)


def test_a_paste_cannot_drive_the_terminal(open_chat: Start) -> None:
    terminal = open_chat()
    terminal.paste(HOSTILE)
    terminal.until(lambda: "[bold]loud[/bold]" in terminal.prompt)
    assert_harmless(terminal)

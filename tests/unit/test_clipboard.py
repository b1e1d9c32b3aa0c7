"""Copying: which way it takes, and that the notice says what happened."""

import base64
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from easy_llama_tui import clipboard
from easy_llama_tui.clipboard import CopyResult, copy_text, osc52

VARIABLES = (
    *("SSH_CONNECTION", "SSH_TTY", "TMUX", "WSL_DISTRO_NAME", "WSL_INTEROP"),
    *("WAYLAND_DISPLAY", "DISPLAY"),
)


class Desktop:
    """A machine with some tools, and a terminal that keeps what is written to it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.written: list[str] = []
        self.app: Any = SimpleNamespace(
            _driver=SimpleNamespace(write=self.written.append), is_running=True, _clipboard=""
        )
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(clipboard.sys, "platform", "linux")  # type: ignore[attr-defined]
        monkeypatch.setenv("PATH", str(folder))

    def has(self, tool: str, script: str = '/bin/cat > "$0.in"; echo "$@" > "$0.arguments"') -> None:
        path = self.folder / tool
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def got(self, tool: str) -> bytes | None:
        path = self.folder / f"{tool}.in"
        return path.read_bytes() if path.exists() else None

    async def copy(self, text: str) -> CopyResult:
        return await copy_text(text, self.app)


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desktop:
    return Desktop(tmp_path, monkeypatch)


TEXT = "héllo 漢 $(touch x) `touch y`\n'\""


@pytest.mark.parametrize(
    ("tool", "variable", "arguments"),
    [
        ("wl-copy", "WAYLAND_DISPLAY", "--type text/plain;charset=utf-8"),
        ("xclip", "DISPLAY", "-selection clipboard -in"),
        ("xsel", "DISPLAY", "--clipboard --input"),
    ],
)
async def test_a_tool_gets_the_text_and_the_notice_names_it(
    desktop: Desktop, tool: str, variable: str, arguments: str
) -> None:
    desktop.has(tool)
    desktop.set(**{variable: ":0"})
    assert await desktop.copy(TEXT) == CopyResult(f"Copied {len(TEXT)} characters with {tool}.", tool=tool)
    assert desktop.got(tool) == TEXT.encode()
    assert (desktop.folder / f"{tool}.arguments").read_text().strip() == arguments
    assert desktop.written == []
    assert desktop.app._clipboard == TEXT
    assert sorted(path.name for path in desktop.folder.iterdir()) == [tool, f"{tool}.arguments", f"{tool}.in"]


async def test_windows_and_macos_have_theirs(desktop: Desktop) -> None:
    desktop.has("clip.exe")
    desktop.set(WSL_DISTRO_NAME="Debian", WAYLAND_DISPLAY="wayland-0")
    desktop.has("wl-copy")
    assert (await desktop.copy(TEXT)).tool == "clip.exe"
    assert desktop.got("clip.exe") == TEXT.encode("utf-16-le")
    desktop.monkeypatch.setattr(clipboard.sys, "platform", "darwin")  # type: ignore[attr-defined]
    desktop.has("pbcopy", '/bin/cat > "$0.in"; echo $LC_ALL > "$0.arguments"')
    assert (await desktop.copy(TEXT)).tool == "pbcopy"
    assert (desktop.folder / "pbcopy.arguments").read_text() == "en_US.UTF-8\n"


async def test_without_a_tool_it_goes_through_the_terminal(desktop: Desktop) -> None:
    desktop.has("xclip")
    desktop.has("wl-copy")
    result = await desktop.copy(TEXT)
    assert result.notice == (
        f"Sent {len(TEXT)} characters to the terminal's clipboard (OSC 52); "
        "if it does not arrive, your terminal blocks it."
    )
    assert (result.tool, result.sent, result.failed) == ("", True, False)
    assert desktop.written == [f"\x1b]52;c;{base64.b64encode(TEXT.encode()).decode()}\a"]
    assert desktop.got("xclip") is desktop.got("wl-copy") is None


async def test_over_ssh_the_tools_of_the_other_machine_are_left_alone(desktop: Desktop) -> None:
    desktop.has("xclip")
    desktop.set(DISPLAY="localhost:10.0", SSH_CONNECTION="1.2.3.4 5 6.7.8.9 22")
    assert (await desktop.copy(TEXT)).sent
    assert desktop.got("xclip") is None


async def test_a_tool_that_fails_is_told_and_the_next_one_tried(desktop: Desktop) -> None:
    desktop.has("wl-copy", "exit 3")
    desktop.set(WAYLAND_DISPLAY="wayland-0")
    result = await desktop.copy("a")
    assert result.notice.startswith(
        "Sent 1 character to the terminal's clipboard (OSC 52) (wl-copy failed (exit code 3)); "
    )
    desktop.has("xclip")
    desktop.set(DISPLAY=":0")
    assert (await desktop.copy("a")).tool == "xclip"


async def test_a_tool_that_is_stuck_is_ended(desktop: Desktop) -> None:
    desktop.monkeypatch.setattr(clipboard, "_TOOL_SECONDS", 0.2)
    desktop.has("wl-copy", "exec /bin/sleep 60")
    desktop.set(WAYLAND_DISPLAY="wayland-0")
    result = await desktop.copy(TEXT)
    assert result.sent
    assert "wl-copy did not answer" in result.notice


async def test_a_tool_that_stays_behind_is_not_waited_for(desktop: Desktop) -> None:
    desktop.has("xclip", '/bin/cat > "$0.in"; /bin/sleep 30 &')
    desktop.set(DISPLAY=":0")
    assert (await desktop.copy(TEXT)).tool == "xclip"


async def test_a_program_that_cannot_be_run_is_told(desktop: Desktop) -> None:
    desktop.has("xclip")
    (desktop.folder / "xclip").write_bytes(b"\x7fELF")
    desktop.set(DISPLAY=":0")
    assert "xclip could not be run: " in (await desktop.copy(TEXT)).notice


class TestTmux:
    async def test_the_sequence_is_for_tmux_and_wrapped_for_the_terminal(self, desktop: Desktop) -> None:
        desktop.set(TMUX="/tmp/tmux-0/default,1,0")
        result = await desktop.copy("a")
        plain = "\x1b]52;c;YQ==\a"
        assert desktop.written == [f"{plain}\x1bPtmux;\x1b{plain}\x1b\\"]
        assert result.notice.endswith("your terminal or tmux blocks it (set -g allow-passthrough on).")

    async def test_its_buffer_gets_it_too(self, desktop: Desktop) -> None:
        desktop.has("tmux")
        desktop.set(TMUX="/tmp/tmux-0/default,1,0", SSH_CONNECTION="1.2.3.4 5 6.7.8.9 22")
        result = await desktop.copy(TEXT)
        assert desktop.got("tmux") == TEXT.encode()
        assert (desktop.folder / "tmux.arguments").read_text() == "load-buffer -w -\n"
        assert (result.tool, result.sent) == ("tmux", True)
        assert "tmux's buffer" in result.notice
        assert "your terminal blocks it" in result.notice


class TestLimits:
    async def test_what_may_be_cut_off_is_told(self, desktop: Desktop) -> None:
        assert "cut off" not in (await desktop.copy("x" * 74_994)).notice
        result = await desktop.copy("漢" * 25_000)
        assert result.sent
        assert "75 KB, and many terminals cut off at 74 KB" in result.notice
        assert len(desktop.written) == 2

    async def test_what_no_terminal_takes_is_not_sent(self, desktop: Desktop) -> None:
        result = await desktop.copy("x" * 800_000)
        assert result.failed
        assert result.notice.startswith("Not copied: 800 KB is more than a terminal takes.")
        assert desktop.written == []

    async def test_a_tool_takes_it_all(self, desktop: Desktop) -> None:
        desktop.has("xclip")
        desktop.set(DISPLAY=":0")
        assert (await desktop.copy("x" * 800_000)).tool == "xclip"
        assert len(desktop.got("xclip") or b"") == 800_000

    async def test_nothing_is_not_copied(self, desktop: Desktop) -> None:
        assert await desktop.copy("") == CopyResult("There is nothing to copy.")
        assert desktop.written == []

    async def test_broken_characters_are_replaced(self, desktop: Desktop) -> None:
        assert (await desktop.copy("a\ud83d")).sent
        assert osc52(b"a?") == desktop.written[0]

    async def test_an_app_that_has_ended_is_not_written_to(self, desktop: Desktop) -> None:
        desktop.app.is_running = False
        assert (await desktop.copy("a")).failed
        desktop.app._driver = None
        assert (await desktop.copy("a")).notice.startswith("Not copied: there is no terminal")

"""What a stranger's file may lead to: no shell, and no file that never ends."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import easy_llama
import easy_llama_tui
from easy_llama.errors import GGUFError
from easy_llama.gguf import open_gguf
from easy_llama_tui.chats.chat_import import transcript_in
from easy_llama_tui.chats.session import SessionError
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.drafts.attachments import expansion
from easy_llama_tui.preferences.config import load_config
from easy_llama_tui.preferences.remembered import Remembered, load
from easy_llama_tui.preferences.themes import load_themes
from easy_llama_tui.replies.format_catalog import load_formats
from easy_llama_tui.samplers.sampler_presets import load_presets

SOURCES = [
    path
    for package in (easy_llama, easy_llama_tui)
    for path in Path(str(package.__file__)).parent.rglob("*.py")
]


SHELL = re.compile(r"\bshell\s*=|\bos\.(?:system|popen|spawn\w*)\b|\bgetoutput\b|\bgetstatusoutput\b")


def test_no_program_is_started_through_a_shell() -> None:
    assert len(SOURCES) > 100
    assert SHELL.search("subprocess.run('x', shell=True)") and SHELL.search("os.system('x')")
    found = {str(path): SHELL.findall(path.read_text("utf-8")) for path in SOURCES}
    assert {path: calls for path, calls in found.items() if calls} == {}


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("make", [pipe, endless])
def test_what_never_ends_is_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    for name in ("a.toml", "a.json", "a.md", "a.gguf"):
        make(tmp_path / name)
    toml = tmp_path / "a.toml"
    assert any("no file" in problem for problem in load_formats(tmp_path).problems)
    assert any("no file" in problem for problem in load_presets(tmp_path)[1])
    assert any("no file" in str(problem) for problem in load_themes([tmp_path])[1])
    assert any("no file" in str(problem) for problem in load_config(toml).problems)
    assert load(toml) == Remembered()
    assert SessionStore(tmp_path).summaries() == ()
    with pytest.raises(SessionError):
        SessionStore(tmp_path).load(str(toml))
    for name in ("a.json", "a.md"):
        with pytest.raises(SessionError):
            transcript_in(tmp_path / name)
        sent = expansion(f"@{name}", tmp_path)
        assert sent.attached == () and len(sent.problems) == 1
    with pytest.raises(GGUFError, match="not a regular file"):
        open_gguf(tmp_path / "a.gguf")

"""What was sent in all chats, kept in a file."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from easy_llama_tui.atomic_write import write_atomically
from easy_llama_tui.drafts import prompt_history
from easy_llama_tui.drafts.prompt_history import MAX_BYTES, MAX_ENTRIES, MAX_ENTRY_BYTES, PromptHistory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.jsonl"


def test_what_was_sent_is_there_the_next_time(path: Path) -> None:
    history = PromptHistory(path)
    assert history.texts == ()
    texts = ("one", "two\nlines\r\n", "Grüße 😀", '{"text": "x"}', "\x1b[1m\u2028")
    for text in texts:
        history.add(text)
    assert history.texts == texts
    assert PromptHistory(path).texts == texts


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=5)))
def test_any_text_is_kept(path: Path, texts: list[str]) -> None:
    path.unlink(missing_ok=True)
    history = PromptHistory(path)
    for text in texts:
        history.add(text)
    assert PromptHistory(path).texts == history.texts
    assert set(history.texts) == {text for text in texts if text.strip()}


def test_repetition_is_kept_once(path: Path) -> None:
    for history in (PromptHistory(path), PromptHistory(path)):
        for text in ("a", "a", "b", "a", " ", ""):
            history.add(text)
    assert PromptHistory(path).texts == ("a", "b", "a", "b", "a")


def test_without_a_file_it_forgets() -> None:
    history = PromptHistory()
    history.add("one")
    assert history.texts == ("one",)
    assert PromptHistory().texts == ()


def test_the_file_is_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_text("")
    path.chmod(0o644)
    PromptHistory(path).add("one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    other = path.parent / "new" / "history.jsonl"
    PromptHistory(other).add("one")
    assert stat.S_IMODE(other.stat().st_mode) == 0o600
    assert stat.S_IMODE(other.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "damage",
    [b"\xff\xfe", b"{", b'{"text": 1}', b"[]", b"null", b'{"other": "x"}', b"[" * 100_000, b"\0" * 50, b""],
)
def test_damaged_lines_are_skipped(path: Path, damage: bytes) -> None:
    PromptHistory(path).add("one")
    with path.open("ab") as file:
        file.write(damage + b"\n")
    PromptHistory(path).add("two")
    assert PromptHistory(path).texts == ("one", "two")


def test_a_line_that_was_cut_takes_no_other_with_it(path: Path) -> None:
    PromptHistory(path).add("one")
    with path.open("ab") as file:
        file.write(b'{"text": "tw')
    PromptHistory(path).add("three")
    assert PromptHistory(path).texts == ("one", "three")


def test_it_is_bounded_by_its_entries(path: Path) -> None:
    history = PromptHistory(path)
    for number in range(2 * MAX_ENTRIES + 10):
        history.add(str(number))
    assert len(history.texts) == MAX_ENTRIES
    last = tuple(map(str, range(MAX_ENTRIES + 10, 2 * MAX_ENTRIES + 10)))
    assert PromptHistory(path).texts == last
    assert path.read_bytes().count(b"\n") == MAX_ENTRIES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_bounded_by_its_size(path: Path) -> None:
    history = PromptHistory(path)
    for number in range(40):
        history.add(f"{number} {'x' * (MAX_ENTRY_BYTES - 100)}")
    again = PromptHistory(path)
    assert path.stat().st_size <= MAX_BYTES
    assert again.texts == history.texts[-len(again.texts) :]
    assert len(again.texts) >= 9


def test_a_very_long_message_is_remembered_until_the_end_only(path: Path) -> None:
    history = PromptHistory(path)
    history.add("one")
    history.add("x" * MAX_ENTRY_BYTES)
    assert len(history.texts) == 2
    assert PromptHistory(path).texts == ("one",)


def test_what_cannot_be_used_is_no_obstacle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "file" / "history.jsonl", tmp_path / "pipe"):
        history = PromptHistory(path)
        history.add("one")
        assert history.texts == ("one",)
    assert "could not be written" in caplog.text


def test_what_is_added_while_the_file_is_replaced_is_not_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = PromptHistory(path)
    history.add("one")
    lock = prompt_history._lock

    def lock_late(descriptor: int) -> bool:
        monkeypatch.setattr(prompt_history, "_lock", lock)
        write_atomically(path, path.read_bytes())
        return lock(descriptor)

    monkeypatch.setattr(prompt_history, "_lock", lock_late)
    history.add("two")
    assert PromptHistory(path).texts == ("one", "two")


_APPEND = """
import sys
from pathlib import Path
from easy_llama_tui.drafts.prompt_history import PromptHistory
sys.stdin.read(1)
for number in range(150):
    PromptHistory(Path(sys.argv[1])).add(f"{sys.argv[2]} {number} " + "x" * 500)
"""


def test_two_programs_append_at_once_while_it_is_shortened(path: Path) -> None:
    path.parent.mkdir()
    # So long that whoever reads it first makes it shorter.
    path.write_bytes(b'{"text": "old"}\n{"text": "older"}\n' * (MAX_ENTRIES + 1))
    programs = [
        subprocess.Popen([sys.executable, "-c", _APPEND, str(path), name], stdin=subprocess.PIPE)
        for name in ("a", "b")
    ]
    for program in programs:
        assert program.stdin is not None
        program.stdin.write(b".")
        program.stdin.close()
    assert [program.wait(60) for program in programs] == [0, 0]
    texts = PromptHistory(path).texts
    for name in ("a", "b"):
        mine = [int(text.split()[1]) for text in texts if text.startswith(f"{name} ")]
        assert mine == list(range(150))

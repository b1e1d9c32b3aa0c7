"""The prompt in the person's own editor, which is a script here."""

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.app import SuspendNotSupported

from easy_llama_tui.drafts.external_editor import EditorError, edit_in_editor, editor_command

Install = Callable[..., Path]


class Screen:
    """What the editor needs of an app."""

    def __init__(self, *, can_suspend: bool = True) -> None:
        self.notices: list[str] = []
        self.suspended = 0
        self.resumed = 0
        self._can_suspend = can_suspend

    def suspend(self) -> AbstractContextManager[None]:
        @contextmanager
        def suspended() -> Iterator[None]:
            if not self._can_suspend:
                raise SuspendNotSupported("no")
            self.suspended += 1
            yield
            # As with Textual, an exception would get past this.
            self.resumed += 1

        return suspended()

    def notify(self, message: str, **options: Any) -> None:
        assert options["markup"] is False
        self.notices.append(message)


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install an editor that runs Python code with the file's `path`."""

    def install(code: str, name: str = "my editor", variable: str = "VISUAL", arguments: str = "") -> Path:
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        head = f"#!{sys.executable}\nimport os, sys\nfrom pathlib import Path\npath = Path(sys.argv[-1])\n"
        script.write_text(head + code)
        script.chmod(0o755)
        monkeypatch.setenv(variable, f'"{script}" {arguments}')
        return script

    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    return install


def edit(screen: Screen, text: str) -> str | None:
    changed = edit_in_editor(screen, text)  # type: ignore[arg-type]
    assert screen.suspended == screen.resumed
    return changed


def test_what_was_written_comes_back(install: Install, screen: Screen, tmp_path: Path) -> None:
    install(
        "assert sys.argv[1:-1] == ['--wait', 'a b']\n"
        f"Path({str(tmp_path / 'seen')!r}).write_text(f'{{path}}\\n{{path.stat().st_mode}}')\n"
        "path.write_text(path.read_text() + ' more\\n')\n"
        "path.with_suffix('.md~').write_text('a copy')",
        arguments="--wait 'a b'",
    )
    assert edit(screen, "Grüße\nzwei") == "Grüße\nzwei more"
    assert screen.suspended == 1
    assert screen.notices == []
    path, mode = (tmp_path / "seen").read_text().splitlines()
    assert path.endswith(".md")
    assert stat.S_IMODE(int(mode)) == 0o600
    assert not Path(path).parent.exists()


@pytest.mark.parametrize(
    ("text", "written", "result"),
    [
        ("a", "a", None),
        ("a", "a\n", None),
        ("a\n", "a\n", None),
        ("a", "a\n\n", "a\n"),
        ("a\n", "a", "a"),
        ("a", "", ""),
        ("", "b\n", "b"),
        ("a", "b\r\nc\r\n", "b\nc"),
    ],
)
def test_only_a_change_counts(
    install: Install, screen: Screen, text: str, written: str, result: str | None
) -> None:
    install(f"path.write_bytes({written.encode()!r})")
    assert edit(screen, text) == result


def test_what_is_no_text_does_no_harm(install: Install, screen: Screen) -> None:
    install("path.write_bytes(b'\\xff ok')")
    assert edit(screen, "a") == "\ufffd ok"


@pytest.mark.parametrize(
    ("code", "notice"),
    [
        ("path.write_text('lost'); sys.exit(3)", "my editor ended with the code 3"),
        ("os.kill(os.getpid(), 15)", "my editor was stopped (Terminated)"),
        ("path.unlink()", "my editor has removed the file"),
        ("path.unlink(); path.mkdir()", "my editor has removed the file"),
    ],
)
def test_an_editor_that_fails_leaves_the_text(
    install: Install, screen: Screen, code: str, notice: str
) -> None:
    install(code)
    assert edit(screen, "a") is None
    (said,) = screen.notices
    assert said.startswith(notice)
    assert said.endswith("The prompt is as it was.")


def test_a_program_that_cannot_run_leaves_the_text(install: Install, screen: Screen) -> None:
    install("").write_text("#!/no/such/interpreter\n")
    assert edit(screen, "a") is None
    assert "my editor could not be used" in screen.notices[0]


def test_where_nothing_can_be_written_the_text_stays(
    install: Install, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    install("")
    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    assert edit(screen, "a") is None
    assert "No space left on device" in screen.notices[0]


def test_a_missing_editor_is_named(install: Install, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "no-such-editor --wait")
    assert edit(screen, "a") is None
    assert screen.suspended == 0
    assert screen.notices == [
        "$EDITOR is 'no-such-editor --wait', but there is no program of that name. The prompt is as it was."
    ]


def test_no_shell_reads_the_command(install: Install, screen: Screen, tmp_path: Path) -> None:
    words = "$(touch one) `touch two` ; touch three && touch four | tee five > six & $HOME *"
    install(
        f"Path({str(tmp_path / 'seen')!r}).write_text(' '.join(sys.argv[1:-1]))\npath.write_text('b')",
        arguments=words,
    )
    before = {path.name for path in Path.cwd().iterdir()}
    assert edit(screen, "$(touch seven)") == "b"
    assert (tmp_path / "seen").read_text() == words
    assert {path.name for path in Path.cwd().iterdir()} == before


def test_a_screen_that_cannot_be_given_away_stays(install: Install) -> None:
    install("path.write_text('x')")
    screen = Screen(can_suspend=False)
    assert edit(screen, "a") is None
    assert "cannot be given" in screen.notices[0]


def test_interrupting_the_editor_does_not_reach_the_app(install: Install, screen: Screen) -> None:
    before = signal.getsignal(signal.SIGINT)
    install(
        "import signal\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "path.write_text('b')"
    )
    assert edit(screen, "a") == "b"
    assert signal.getsignal(signal.SIGINT) is before


class TestWhichEditor:
    def test_visual_comes_before_editor(self, install: Install) -> None:
        visual = install("", name="visual")
        editor = install("", name="editor", variable="EDITOR")
        assert editor_command(os.environ) == [str(visual)]
        assert editor_command({"EDITOR": f"'{editor}' -f"}) == [str(editor), "-f"]
        assert editor_command({"VISUAL": " ", "EDITOR": f"'{editor}'"}) == [str(editor)]

    def test_common_ones_are_found(self, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
        vi = install("", name="vi", variable="UNUSED")
        monkeypatch.setenv("PATH", str(vi.parent))
        assert editor_command({}) == [str(vi)]
        nano = install("", name="nano", variable="UNUSED")
        assert editor_command({}) == [str(nano)]

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("'nano", r"\$VISUAL is \"'nano\", which is no command"),
            ('""', "no program"),
            ("/tmp", "no program"),
        ],
    )
    def test_what_is_no_command_is_said(self, value: str, message: str) -> None:
        with pytest.raises(EditorError, match=message):
            editor_command({"VISUAL": value})

    def test_none_at_all_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(EditorError, match="set \\$EDITOR"):
            editor_command({})

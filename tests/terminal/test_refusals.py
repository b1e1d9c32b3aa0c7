"""What cannot be opened is refused in one line, with the terminal as it was."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support import gguf_bytes as gguf
from support.terminal import UNTOUCHED_MODES, Start, Terminal, program, untouched_attributes


def missing(folder: Path, _model: Path) -> Path:
    return folder / "missing.gguf"


def a_folder(folder: Path, _model: Path) -> Path:
    return folder


def no_gguf(folder: Path, _model: Path) -> Path:
    path = folder / "letter.gguf"
    path.write_text("Dear Sir or Madam,\n" * 100)
    return path


def truncated(folder: Path, model: Path) -> Path:
    path = folder / "truncated.gguf"
    with model.open("rb") as file:
        path.write_bytes(file.read(4_000_000))
    return path


def of_an_unknown_architecture(folder: Path, _model: Path, name: str = "nonesuch") -> Path:
    entries = [
        gguf.entry("general.architecture", gguf.STR, name),
        gguf.entry(f"{name}.context_length", gguf.U32, 2048),
        gguf.entry(f"{name}.embedding_length", gguf.U32, 64),
        gguf.entry(f"{name}.block_count", gguf.U32, 2),
        gguf.entry(f"{name}.attention.head_count", gguf.U32, 4),
    ]
    path = folder / "nonesuch.gguf"
    path.write_bytes(gguf.padded(gguf.header(entries, gguf.TENSORS)) + b"\x11" * (160 + 256))
    return path


def assert_refused(terminal: Terminal) -> str:
    """Return the one line that the program ends with."""
    assert terminal.wait() == 2
    assert terminal.modes == UNTOUCHED_MODES
    assert terminal.style == b""
    assert terminal.attributes == untouched_attributes()
    assert b"Traceback" not in terminal.raw
    lines = [line for line in terminal.last_words if line]
    assert len(lines) == 1
    assert lines[0].startswith("ezllama-tui: ")
    return lines[0]


@pytest.mark.parametrize(
    ("make", "what", "next_step"),
    [
        (missing, "does not exist", "check the path"),
        (a_folder, "is a folder", "give"),
        (no_gguf, "not a GGUF file", "give the path of a .gguf file"),
        (truncated, "truncated", "download it again"),
        (of_an_unknown_architecture, "unknown model architecture: 'nonesuch'", "try a newer"),
    ],
)
def test_a_file_that_is_no_model_is_refused(
    start: Start,
    tmp_path: Path,
    model_path: Path,
    make: Callable[[Path, Path], Path],
    what: str,
    next_step: str,
) -> None:
    path = make(tmp_path, model_path)
    terminal = start(path)
    line = assert_refused(terminal)
    assert terminal.raw.decode().count("llama_model_load") == line.count("llama_model_load")
    assert str(path) in line
    assert what in line
    assert next_step in line


@pytest.mark.parametrize(("option", "suffix"), [([], "gguf"), (["--resume"], "toml")])
def test_a_file_name_cannot_drive_the_terminal(
    start: Start, tmp_path: Path, option: list[str], suffix: str
) -> None:
    terminal = start(*option, tmp_path / f"\x1b]52;c;aGk=\x07\x1b[2J.{suffix}")
    assert_refused(terminal)
    assert b"\x1b" not in terminal.raw
    assert b"\x07" not in terminal.raw
    assert b"52;c;aGk=" in terminal.raw


def test_what_a_header_says_cannot_drive_the_terminal(start: Start, tmp_path: Path, model_path: Path) -> None:
    name = "\x1b]52;c;aGk=\x07\x9b31m[@click=app.quit]x[/]\u202eevil"
    terminal = start(of_an_unknown_architecture(tmp_path, model_path, name))
    line = assert_refused(terminal)
    assert "evil" in line
    assert line.isprintable()
    assert b"\x1b]52" not in terminal.raw
    assert "\x9b".encode() not in terminal.raw


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--resume", "20000101"], "There is no chat '20000101'"),
        (["--resume", "/no/such/file.toml"], "There is no file /no/such/file.toml"),
        (["--resume"], "there is no chat to resume yet"),
        (["--sampler", "GreedyDecodin"], "did you mean GreedyDecoding?"),
        (["--format", "chatmll"], "chatml"),
        (["--cache-type-v", "q8_0"], "with Flash Attention only"),
        (["--cache-type-k", "bf16"], "invalid choice: 'bf16'"),
        (["--bench", "--sampler", "nonesuch"], "no sampler preset"),
    ],
)
def test_an_option_that_cannot_be_met_is_refused_on_standard_error(
    model_path: Path, options: list[str], what: str
) -> None:
    done = subprocess.run(
        [*program(), model_path, *options], env=os.environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("ezllama-tui: ")
    assert done.stderr.count("\n") == 1
    assert what in done.stderr

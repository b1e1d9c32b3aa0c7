"""docs/library.md: its examples run as they stand there, and it leaves nothing of the library out."""

import dataclasses
import doctest
import inspect
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import easy_llama as ez
from easy_llama import __main__, errors, events, formats, interact, samplers, scores
from easy_llama.model import Model

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPTS = ("  > ", "  ! ", "  < ", " !! ", "  . ")
FLAGS = doctest.ELLIPSIS | doctest.REPORT_NDIFF
PATIENCE = 60


@dataclass(frozen=True)
class Block:
    """A fenced block of the page; a `text` block is what the block before it prints."""

    language: str
    text: str
    line: int


def blocks() -> list[Block]:
    found = re.finditer(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [Block(match[1], match[2], PAGE.count("\n", 0, match.start(2)) + 1) for match in found]


def headings() -> list[tuple[int, str, str]]:
    """Return level, title and section of each heading, up to the next heading of any level."""
    outside = re.sub(r"^```.*?^```$", lambda m: re.sub(r"(?m)^#", " ", m[0]), PAGE, flags=re.M | re.S)
    found = list(re.finditer(r"^(#+) (.+)$", outside, re.MULTILINE))
    ends = [match.start() for match in found[1:]] + [len(outside)]
    return [(len(m[1]), m[2], outside[m.end() : end]) for m, end in zip(found, ends, strict=True)]


class Person(io.StringIO):
    """Standard input that echoes what is typed, as a terminal does; ^C is pressed where it is typed."""

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
        line = super().readline()
        if line == "^C\n":
            sys.stdout.write("^C")
            raise KeyboardInterrupt
        sys.stdout.write(line)
        return line


def typed(transcript: str) -> str:
    """Return what a person types in a transcript; what `reprint` shows looks the same, and is not typed."""
    transcript = re.sub(r"^(  ! reprint\n).*?(?=^  > !$)", r"\1", transcript, flags=re.MULTILINE | re.DOTALL)
    lines = transcript.splitlines(keepends=True)
    return "".join(line[len(PROMPTS[0]) :] for line in lines if line.startswith(PROMPTS))


def example(block: Block, namespace: dict[str, Any]) -> str:
    """Run a doctest block in the page's namespace, and return what went wrong."""
    test = doctest.DocTestParser().get_doctest(block.text, {}, "library.md", "library.md", block.line - 1)
    assert test.examples, f"line {block.line}: no example"
    test.globs = namespace
    report: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append, clear_globs=False)
    return "".join(report)


def printed(block: Block, transcript: str, namespace: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a block of Python or shell, and return what it prints."""
    if block.language == "sh":
        command = ["bash", "-euo", "pipefail", "-c", block.text]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
        return (
            done.stdout.decode() if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr!r}"
        )
    with monkeypatch.context() as patch, redirect_stdout(io.StringIO()) as out:
        patch.setattr(sys, "stdin", Person(typed(transcript)))
        exec(compile(block.text, f"library.md, line {block.line}", "exec"), namespace)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path, model_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the page's commands run in, with the model in it."""
    (tmp_path / MODEL_FILE).symlink_to(model_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    paths = (str(ROOT), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
    return tmp_path


def test_every_example_of_the_page_runs_as_it_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict[str, Any] = {"__name__": "page"}
    checker, wrong = doctest.OutputChecker(), []
    page = blocks()
    for place, block in enumerate(page):
        if block.language == "text":
            continue
        following = page[place + 1] if place + 1 < len(page) else None
        expected = following.text if following and following.language == "text" else None
        if block.language == "pycon":
            wrong.append(example(block, namespace))
            continue
        found = printed(block, expected or "", namespace, monkeypatch)
        if expected is not None and not checker.check_output(expected, found, FLAGS):
            wrong.append(f"line {block.line} printed:\n{found}")
        elif found.startswith("exit code") and expected is None:
            wrong.append(f"line {block.line}: {found}")
    for value in namespace.values():
        if isinstance(value, Model):
            value.unload()
    assert not any(wrong), "\n".join(filter(None, wrong))
    assert (folder / "capitals.toml").exists()


def test_every_block_is_of_a_kind_that_is_run() -> None:
    assert {block.language for block in blocks()} == {"python", "pycon", "sh", "text"}
    assert PAGE.count("```") == 2 * len(blocks())


def test_every_entry_has_an_example() -> None:
    entries = [(title, level) for level, title, _ in headings() if "`" in title]
    without = []
    title, has_example = "", True
    for _, heading, section in headings():
        if "`" in heading:
            without += [] if has_example else [title]
            title, has_example = heading, False
        has_example = has_example or bool(re.search(r"^```(python|pycon|sh)$", section, re.MULTILINE))
    assert not without and has_example
    assert len(entries) > 80


def public(names: Any) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def in_code(name: str, text: str) -> bool:
    """Whether a name stands in the text as code."""
    return re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", text) is not None


def code_of_chapters() -> dict[str, str]:
    """Return what each chapter sets as code outside of blocks, headings included."""
    text = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    chapters = (chapter.partition("\n") for chapter in re.split(r"^## ", text, flags=re.MULTILINE)[1:])
    return {title: "\n".join(re.findall(r"`+([^`]+)`+", f"{title} {rest}")) for title, _, rest in chapters}


def api(model: Model) -> dict[str, set[str]]:
    """Return every public name of the library by the chapter that it belongs to."""
    own_of_events = {
        name for name, value in vars(events).items() if getattr(value, "__module__", "") == events.__name__
    }
    event_classes = [vars(events)[name] for name in own_of_events]
    scored = (scores.Score, scores.ScoredToken, scores.ScoreRequest)
    of_events = {name for value in event_classes if inspect.isclass(value) for name in public(vars(value))}
    return {
        "`ez.Model`": public(dir(model)) | {"supports_gpu_offload"},
        "Scores": set(scores.__all__) | {name for kind in scored for name in public(vars(kind))},
        "Events": own_of_events | (of_events - {"memory"}),
        "`ez.Thread`": public(dir(ez.Thread(model))) | set(interact._COMMANDS),
        "`ez.Message`": public(dir(ez.Message())) - set(dir(dict)) | {"copy"},
        "`ez.SamplerSettings`": public(dir(ez.SamplerSettings())) | public(vars(samplers)) - IMPORTED,
        "`ez.formats`": set(formats.__all__),
        "Exceptions and warnings": set(errors.__all__),
    }


IMPORTED = {
    *("Any", "Iterable", "Iterator", "Mapping", "Record", "dataclasses"),
    *("difflib", "json", "math"),
}
"""What `easy_llama.samplers` itself imports."""


def test_nothing_of_the_library_is_left_out(model: Model) -> None:
    code = code_of_chapters()
    missing = [
        f"{chapter}: {name}"
        for chapter, names in api(model).items()
        for name in sorted(names)
        if not in_code(name, code[chapter])
    ]
    missing += [name for name in ez.__all__ if not in_code(name, "\n".join(code.values()))]
    assert missing == []


def test_every_method_and_setting_has_an_entry_of_its_own(model: Model) -> None:
    titles = {title for _, title, _ in headings()}
    methods = {
        f"`{kind.__name__}.{name}`"
        for kind in (Model, ez.Thread)
        for name in public(vars(kind))
        if inspect.isfunction(vars(kind)[name])
    }
    settings = {f"`{field.name}`" for field in dataclasses.fields(ez.SamplerSettings)}
    exceptions = {f"`ez.{name}`" for name in errors.__all__}
    assert (methods | settings | exceptions) - titles == set()


@pytest.mark.parametrize("kind", [Model, ez.Thread])
def test_signatures_are_as_written(kind: type) -> None:
    """Each method's entry begins with its parameters, in their order and with their defaults."""
    sections = {title: section for _, title, section in headings()}
    for name, method in vars(kind).items():
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        shown = " ".join(sections[f"`{kind.__name__}.{name}`"].split("`")[1].split())
        expected = ", ".join(_parameters(method))
        assert shown.startswith(f"{name}({expected}) -> "), (name, shown, expected)


def _parameters(method: Any) -> Iterator[str]:
    """Yield a method's parameters as the page writes them."""
    marked = False
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and not marked:
            marked = True
            yield "*"
        if parameter.kind is parameter.VAR_KEYWORD:
            yield f"**{parameter.name}"
        elif parameter.default is parameter.empty:
            yield parameter.name
        elif isinstance(parameter.default, ez.SamplerSettings):
            yield f"{parameter.name}={samplers.preset_name(parameter.default)}"
        else:
            yield f"{parameter.name}=" + repr(parameter.default).replace("'", '"')


def test_the_defaults_of_settings_are_as_written() -> None:
    sections = {title: section for _, title, section in headings()}
    for field in dataclasses.fields(ez.SamplerSettings):
        shown = re.match(r"\s*Default (?:`(.+?)`|(-?[\d.]+\d|-?\d+))[,.] ", sections[f"`{field.name}`"])
        assert shown, field.name
        namespace: dict[str, Any] = {}
        assert eval(shown[1] or shown[2], namespace) == field.default, field.name


def test_every_command_of_the_chat_is_tried() -> None:
    tried = {line[4:].split()[0] for line in PAGE.splitlines() if line.startswith("  ! ")}
    assert tried == set(interact._COMMANDS)


def test_every_option_of_the_command_line_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["--help"])
    shown = capsys.readouterr().out.replace("python -m", "")
    options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", shown))
    *_, (_, _, section) = headings()
    table = "\n".join(line for line in section.splitlines() if line.startswith("| `"))
    listed = set(re.findall(r"(?<=`)--?[a-z][a-z-]*", table))
    assert len(options) > 10 and listed == options


def test_every_link_within_the_page_leads_somewhere() -> None:
    titles = [title for _, title, _ in headings()]
    anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
    assert len(set(anchors)) == len(anchors), "two headings have one anchor"
    links = set(re.findall(r"\]\(#([^)]*)\)", PAGE))
    assert links and links <= set(anchors)


def test_lines_are_short() -> None:
    wide = [number for number, line in enumerate(PAGE.splitlines(), 1) if len(line) > 110 and line[0] != "|"]
    assert wide == []

"""Seconds from starting `ezllama-tui` to its first full picture, beside importing Textual alone.

Three programs start in turn in a pseudo-terminal of 120 by 40, in an order that rotates: the app with the
demo model; Python that imports `textual.app` and `textual.widgets`, and prints a word; and a Textual app of
one label, for what Textual itself takes to a picture. The clock runs from the start of the process to the
first output that completes the picture: the model's name at the top, the prompt, and the keys at the bottom.
Modules are read as bytecode, as they are where a package was installed. The first two rounds write that and
do not count. The ratio is taken within a round; the median, smallest and largest are shown.
"""

import argparse
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pseudo_terminal import PseudoTerminal
from report import SPREAD_WIDTH, add_model, line, parse, spread

WARM_UP_ROUNDS = 2
PATIENCE = 60.0

_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_IMPORT = "import textual.app, textual.widgets; print('imported')"
_ONE_LABEL = """
from textual.app import App
from textual.widgets import Label

class OneLabel(App):
    def compose(self):
        yield Label("a label")

OneLabel().run()
"""


@dataclass(frozen=True, slots=True)
class Program:
    """A program, and what its first full picture holds, from top to bottom."""

    command: Sequence[str]
    picture: Sequence[bytes]


class NotDrawnError(Exception):
    """A program never drew what was waited for."""


def programs(model: Path) -> dict[str, Program]:
    python = sys.executable
    return {
        "ezllama-tui": Program(
            [python, "-m", "easy_llama_tui", str(model), "--n-gpu-layers", "0"],
            (b"DefaultSampling", b"Write a message", b"quit"),
        ),
        "import textual": Program([python, "-c", _IMPORT], (b"imported",)),
        "a label": Program([python, "-c", _ONE_LABEL], (b"a label",)),
    }


def seconds_to_picture(program: Program, environment: Mapping[str, str]) -> float:
    """Start a program, and return how long it took to its picture.

    Raises:
        NotDrawnError: it ended, or nothing more came, before that.
    """
    with PseudoTerminal(program.command, environment) as terminal:
        deadline = time.perf_counter() + PATIENCE
        while (drawn := picture_at(terminal, program.picture)) is None:
            if time.perf_counter() > deadline or terminal.process.poll() is not None:
                drawn = picture_at(terminal, program.picture)
                break
            time.sleep(0.02)
    if drawn is None:
        raise NotDrawnError(f"{' '.join(program.command)}: {_ESCAPE.sub(b'', terminal.output)[-500:]!r}")
    return drawn - terminal.started


def picture_at(terminal: PseudoTerminal, picture: Sequence[bytes]) -> float | None:
    """Return when the last part of the picture came, or None where it has not."""
    text = b""
    for moment, piece in tuple(terminal.drawn):
        text += piece
        if all(part in _ESCAPE.sub(b"", text) for part in picture):
            return moment
    return None


def measure(model: Path, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every program in every round, the warm-up left out."""
    chosen = programs(model)
    names = list(chosen)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as name:
        environment = own_environment(Path(name))
        for number in range(rounds + WARM_UP_ROUNDS):
            turn = number % len(names)
            for one in names[turn:] + names[:turn]:
                taken = seconds_to_picture(chosen[one], environment)
                if number >= WARM_UP_ROUNDS:
                    seconds[one].append(taken)
    return seconds


def own_environment(folder: Path) -> dict[str, str]:
    """Return an environment with bytecode, and with nothing of the person's own."""
    names = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
    environment = dict(os.environ) | {"HOME": str(folder)} | {name: str(folder / name) for name in names}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def table(seconds: dict[str, list[float]]) -> Iterator[str]:
    """Yield the lines of the result."""
    peer = seconds["import textual"]
    yield line("seconds", ["median", "/ import textual"], [8, SPREAD_WIDTH + 3])
    for name, taken in seconds.items():
        yield line(name, [f"{statistics.median(taken):.3f}", spread(taken, peer, 2)], [8, SPREAD_WIDTH + 3])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser, has_layers=False)
    parser.add_argument("--rounds", metavar="N", type=int, default=15, help="counted rounds (15)")
    arguments = parse(parser)
    if arguments.rounds < 1:
        parser.error("give at least 1 round")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    try:
        seconds = measure(arguments.model, arguments.rounds)
    except NotDrawnError as error:
        sys.exit(f"not measured: {error}")
    print(*table(seconds), f"{os.cpu_count()} cores, Python {platform.python_version()}", sep="\n")


if __name__ == "__main__":
    main()

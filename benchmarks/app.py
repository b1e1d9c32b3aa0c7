"""Tokens per second inside the app, beside `Model.stream` in a process that knows no screen.

The app is `ezllama-tui` itself in a pseudo-terminal of 120 by 40, driven by keys, its output read away by a
thread. Beside it a second process calls `Model.stream` with the very prompt that the app's engine was given:
the same model, context length, threads, sampler and seed, from an empty cache. Both have to write the very
same tokens, or nothing is reported. They run in turn, in an order that alternates; while one writes the other
waits. The first round warms up and does not count.

Rates are taken from the first token to the end. The machine may be shared and its speed may drift, so only
the ratio matters: it is taken within a round, and the median, smallest and largest are shown. The last
column is the processor time of the thread that draws, per second of writing.
"""

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pseudo_terminal import PseudoTerminal
from report import SPREAD_WIDTH, Row, UnequalWorkError, add_model, line, most_row, parse, ratio_row, spread

PROGRAMS = Path(__file__).with_name("timed_programs.py")
QUESTION = "Tell me a long story about a fox, with headings, lists and some **bold** words."
ENTER, REROLL, QUIT = "\r", "\x12", "\x11"
SETTLE_SECONDS = 1.0
"""After a reply the app saves, and looks at the next prompt: the other waits so long."""

PATIENCE = 120.0
WIDTHS = (8, 8, 14, SPREAD_WIDTH + 3, 17)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is on the screen while the model writes."""

    name: str
    panel: str = ""
    n_messages: int = 0


SCENES = {
    "closed": Scene("panels closed"),
    "candidates": Scene("candidates open", panel="candidates"),
    "long": Scene("1,000 messages", n_messages=1000),
    "long-candidates": Scene("the same, candidates", panel="candidates", n_messages=1000),
}


@dataclass(frozen=True, slots=True)
class Work:
    """What both do."""

    model: Path
    n_tokens: int
    n_threads: int | None
    """None where it is as the model is usually loaded."""

    @property
    def arguments(self) -> tuple[object, ...]:
        """The arguments of both programs."""
        return self.model, self.n_tokens, self.n_threads or 0


@dataclass(frozen=True, slots=True)
class Round:
    """One reply of each."""

    app: float
    """Tokens per second."""
    plain: float
    screen: float
    """Seconds of the drawing thread's processor time, per second."""


class Answers:
    """What a program tells through a pipe."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        self._lines = os.fdopen(self._read_end, "rb")

    def next(self) -> dict[str, Any]:
        """Return the next answer.

        Raises:
            UnequalWorkError: the program ended before.
        """
        text = self._lines.readline()
        if not text:
            raise UnequalWorkError("a program ended before it had answered")
        return dict(json.loads(text))

    @property
    def has_next(self) -> bool:
        """Whether there is an answer that was not read yet. Those that are told at once count as one."""
        return bool(select.select([self._read_end], [], [], 0)[0])

    def handed_over(self) -> None:
        """Close this process's own writing end, so that the program's end is seen."""
        os.close(self.write_end)


class App:
    """The app in its terminal."""

    def __init__(self, work: Work, scene: Scene, environment: Mapping[str, str], mode: str = "timed") -> None:
        """Start it; `mode` is one of `timed_programs.MODES`."""
        self._answers = Answers()
        command = [sys.executable, PROGRAMS, "app", self._answers.write_end, *work.arguments]
        command += [scene.panel, scene.n_messages, mode]
        self.terminal = PseudoTerminal([*map(str, command)], environment, [self._answers.write_end])
        self._answers.handed_over()
        self._answers.next()
        time.sleep(SETTLE_SECONDS)
        self._key = QUESTION + ENTER

    def write(self) -> dict[str, Any]:
        """Have the question answered; from the second time on, once more."""
        self.begin()
        answer = self.answer()
        time.sleep(SETTLE_SECONDS)
        return answer

    def begin(self, question: str = "") -> None:
        """Ask a question; where none is given the usual one, and from the second time on, once more."""
        self.terminal.drawn.clear()
        self.terminal.type(question + ENTER if question else self._key)
        self._key = REROLL

    def answer(self) -> dict[str, Any]:
        """Return what the program tells next."""
        return self._answers.next()

    @property
    def has_answered(self) -> bool:
        """Whether it told something that was not heard yet."""
        return self._answers.has_next

    def close(self) -> None:
        """Leave it as a person does."""
        self.terminal.type(QUIT)
        self.terminal.process.wait(PATIENCE)


class Plain:
    """`Model.stream` in a process of its own."""

    def __init__(self, work: Work, environment: Mapping[str, str]) -> None:
        self._answers = Answers()
        command = [sys.executable, PROGRAMS, "plain", self._answers.write_end, *work.arguments]
        self.process = subprocess.Popen(
            [*map(str, command)],
            stdin=subprocess.PIPE,
            env=environment,
            pass_fds=[self._answers.write_end],
            text=True,
        )
        self._answers.handed_over()
        self.conditions = str(self._answers.next()["conditions"])

    def write(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have the prompt of the app's answer answered."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._answers.next()

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(app: App, plain: Plain, n_tokens: int, rounds: int) -> Iterator[Round]:
    """Yield what was measured in each round, the warm-up left out."""
    request: dict[str, Any] = {}
    for number in range(rounds + 1):
        print(f"  round {number} of {rounds}", file=sys.stderr, flush=True)
        ours: dict[str, Any] = {}
        theirs: dict[str, Any] = {}
        for turn in ("app", "plain") if number % 2 == 0 else ("plain", "app"):
            if turn == "app":
                ours = app.write()
                request = {name: ours[name] for name in ("prompt", "prompt_ids", "stops")}
            else:
                theirs = plain.write(request)
        if theirs["prompt_ids"] != ours["prompt_ids"]:
            # Of a long chat the app has left out other messages than in the round before.
            theirs = plain.write(request)
        check_same_work(ours, theirs, n_tokens)
        if number:
            yield Round(
                app=(n_tokens - 1) / ours["seconds"],
                plain=(n_tokens - 1) / theirs["seconds"],
                screen=ours["screen_seconds"] / ours["seconds"],
            )


def check_same_work(ours: dict[str, Any], theirs: dict[str, Any], n_tokens: int) -> None:
    """Check that both read the same prompt and wrote the same tokens.

    Raises:
        UnequalWorkError: they did not; the message says what differs.
    """
    if ours["prompt_ids"] != theirs["prompt_ids"]:
        raise UnequalWorkError("the app and Model.stream read different prompts")
    if len(ours["ids"]) != n_tokens:
        raise UnequalWorkError(f"the app wrote {len(ours['ids']):,} tokens and not {n_tokens:,}")
    # The last token drawn is never decoded, so it is not in the cache.
    if ours["ids"][:-1] != theirs["ids"]:
        raise UnequalWorkError("the app and Model.stream wrote different tokens")


def run(work: Work, scene: Scene, rounds: int) -> tuple[list[Round], str]:
    """Return the rounds of one scene, and what they were measured under."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Plain(work, os.environ)
        try:
            app = App(work, scene, own_folders(Path(folder)))
            with app.terminal:
                results = list(measure(app, plain, work.n_tokens, rounds))
                app.close()
        finally:
            plain.close()
    return results, plain.conditions


def own_folders(folder: Path) -> dict[str, str]:
    """Return an environment in which the app finds nothing of the person's own."""
    names = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")
    return dict(os.environ) | {"HOME": str(folder)} | {name: str(folder / name) for name in names}


def heading() -> str:
    """Return the first line of the result."""
    return line(
        "tokens/s", ["tokens", "app", "Model.stream", "app / Model.stream", "screen's thread"], WIDTHS
    )


def row(scene: Scene, n_tokens: int, rounds: list[Round]) -> str:
    """Return the line of one scene: medians, and the ratio with its spread."""
    app, plain = [one.app for one in rounds], [one.plain for one in rounds]
    cells = [
        f"{n_tokens:,}",
        f"{statistics.median(app):.1f}",
        f"{statistics.median(plain):.1f}",
        spread(app, plain),
        f"{statistics.median(one.screen for one in rounds):.1%}",
    ]
    return line(scene.name, cells, WIDTHS)


def rows(model: Path, *, quick: bool) -> list[Row]:
    """Return what `all.py` writes of it."""
    n_tokens, rounds = (32, 1) if quick else (256, 6)
    results = []
    for name, least, panel in (("long", 0.95, "panels closed"), ("long-candidates", 0.90, "candidates open")):
        measured, _ = run(Work(model, n_tokens, None), SCENES[name], rounds)
        how = f"`app.py`, {rounds} rounds of {n_tokens} tokens"
        title = (
            f"in the app, 120 by 40, Markdown into a chat of 1,000 messages, {panel}, against `Model.stream`"
        )
        rates = [one.app for one in measured], [one.plain for one in measured]
        results.append(ratio_row(title, least, *rates, how))
        title = f"processor time of the screen's thread per second of streaming, {panel}"
        results.append(most_row(title, 0.15, [one.screen for one in measured], how, " s", 3))
    return results


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument(
        "--tokens", metavar="N", nargs="+", type=int, default=[256, 512], help="reply lengths"
    )
    parser.add_argument("--rounds", metavar="N", type=int, default=7, help="counted rounds (7)")
    parser.add_argument("--threads", metavar="N", type=int, help="threads that compute (the model's usual)")
    parser.add_argument(
        "--scenes", nargs="+", choices=SCENES, default=[*SCENES], help="what is on the screen"
    )
    arguments = parse(parser)
    if min(arguments.tokens) < 32 or arguments.rounds < 1:
        parser.error("give at least 32 tokens and 1 round")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    conditions = ""
    print(heading(), flush=True)
    for scene in (SCENES[name] for name in arguments.scenes):
        for n_tokens in arguments.tokens:
            print(f"{scene.name}, {n_tokens:,} tokens", file=sys.stderr, flush=True)
            work = Work(arguments.model, n_tokens, arguments.threads)
            try:
                rounds, conditions = run(work, scene, arguments.rounds)
            except UnequalWorkError as error:
                sys.exit(f"not measured: {error}")
            print(row(scene, n_tokens, rounds), flush=True)
    print(conditions)


if __name__ == "__main__":
    main()

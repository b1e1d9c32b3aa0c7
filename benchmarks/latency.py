"""How soon the screen follows: text that was written, keys that were typed, and Esc while a prompt is read.

The app runs in a pseudo-terminal of 120 by 40, in a chat of 1,000 messages. Each token's text ends in
a character that stands nowhere else, and the app's engine notes when it hands it on: from there to the first
output that holds the character is how late the text was drawn. Keys are typed meanwhile, each a letter of its
own as well, and found in the same way. Frames are told apart by the sequences that begin them (synchronized
output). Both programs read the same clock.

For Esc a message of 4,000 tokens is pasted and sent. Once the model has read for a while Esc is typed; the
time runs until the engine has stopped, and to the first frame after that.
"""

import argparse
import bisect
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from app import PATIENCE, SCENES, App, Work, own_folders
from report import NO_TARGET, Row, UnequalWorkError, add_model, most_row, parse, percentile
from timed_programs import CONTEXT_PER_TOKEN, FIRST_MARK

FRAME = b"\x1b[?2026h"
"""What begins a frame."""

ESCAPE, CLEAR = "\x1b", "\x03"
PASTE, PASTED = "\x1b[200~", "\x1b[201~"
LETTERS = "".join(map(chr, (*range(0x0410, 0x0450), *range(0x0531, 0x0557), *range(0x0561, 0x0587))))
"""What is typed: Cyrillic and Armenian letters, each once a reply."""

PAUSE = (0.05, 0.11)
"""Seconds between two keys, drawn at random, so that they do not keep step with the frames."""

READING = (0.6, 1.4)
"""Seconds that the model has read for when Esc is typed, drawn at random."""

WORDS_READ = 3900
"""Of one token each; with the template's and the chat's, some 4,000."""


@dataclass(slots=True)
class Delays:
    """What was measured, in seconds."""

    text: list[float] = field(default_factory=list)
    """From a text's being handed on to its being drawn."""
    keys: list[float] = field(default_factory=list)
    """From a key to its letter."""
    frames: list[float] = field(default_factory=list)
    """How long a frame took, from the beginning of its drawing until it was handed to the terminal."""
    intervals: list[float] = field(default_factory=list)
    """Between the beginnings of two frames, while text was drawn."""
    n_missing: int = 0
    """Texts that were never drawn, as the address of a link."""


class Output:
    """What a terminal was sent, and when each part of it came."""

    def __init__(self, drawn: Sequence[tuple[float, bytes]]) -> None:
        self._moments = [moment for moment, _ in drawn]
        self._data = b"".join(piece for _, piece in drawn)
        self._ends = list(itertools.accumulate(len(piece) for _, piece in drawn))

    def came(self, text: str) -> float | None:
        """Return when the whole of a text had come for the first time; None where it has not."""
        data = text.encode()
        place = self._data.find(data)
        return None if place < 0 else self._moment(place + len(data) - 1)

    def frames(self) -> list[float]:
        """Return when each frame began."""
        moments = []
        place = self._data.find(FRAME)
        while place >= 0:
            moments.append(self._moment(place))
            place = self._data.find(FRAME, place + 1)
        return moments

    def _moment(self, place: int) -> float:
        return self._moments[bisect.bisect_right(self._ends, place)]


def measure(model: Path, n_tokens: int, rounds: int) -> Delays:
    """Have so many replies written, the warm-up left out, and type meanwhile."""
    delays = Delays()
    draw = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        work = Work(model, n_tokens, None)
        app = App(work, SCENES["long"], own_folders(Path(folder)), "marked")
        with app.terminal:
            for number in range(rounds + 1):
                print(f"  reply {number} of {rounds}", file=sys.stderr, flush=True)
                app.begin()
                _wait(lambda: Output(tuple(app.terminal.drawn)).came(chr(FIRST_MARK)) or app.has_answered)
                typed = list(_type(app, draw))
                answer = app.answer()
                time.sleep(1.0)
                if number:
                    collect(delays, Output(tuple(app.terminal.drawn)), answer["marks"], typed)
                    delays.frames += answer["frames"]
                app.terminal.type(CLEAR)
                time.sleep(0.5)
            app.close()
    return delays


def collect(
    delays: Delays, output: Output, marks: Sequence[float], typed: Sequence[tuple[str, float]]
) -> None:
    """Add what one reply shows.

    Raises:
        UnequalWorkError: a letter never came, or hardly any text did.
    """
    came = [output.came(chr(FIRST_MARK + number)) for number in range(len(marks))]
    drawn = [moment for moment in came if moment is not None]
    if len(drawn) < len(marks) / 2:
        raise UnequalWorkError(f"of {len(marks)} texts {len(drawn)} were drawn")
    delays.text += [moment - mark for moment, mark in zip(came, marks, strict=True) if moment is not None]
    delays.n_missing += len(marks) - len(drawn)
    for letter, moment in typed:
        seen = output.came(letter)
        if seen is None:
            raise UnequalWorkError(f"the key {letter} was never shown")
        delays.keys.append(seen - moment)
    frames = [moment for moment in output.frames() if min(drawn) <= moment <= max(drawn)]
    delays.intervals += [later - earlier for earlier, later in itertools.pairwise(frames)]


def _type(app: App, draw: random.Random) -> Iterator[tuple[str, float]]:
    for letter in LETTERS:
        time.sleep(draw.uniform(*PAUSE))
        if app.has_answered:
            return
        yield letter, time.perf_counter()
        app.terminal.type(letter)


def escapes(model: Path, rounds: int, n_words: int = WORDS_READ) -> list[tuple[float, float]]:
    """Return how long each Esc took to stop the engine, and until the next frame after that."""
    results = []
    draw = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        work = Work(model, n_words * 5 // 4 // CONTEXT_PER_TOKEN + 64, None)
        app = App(work, SCENES["closed"], own_folders(Path(folder)), "read")
        with app.terminal:
            for number in range(rounds):
                print(f"  Esc {number + 1} of {rounds}", file=sys.stderr, flush=True)
                if number:
                    app.begin()  # once more
                else:
                    app.begin(f"{PASTE}{'the ' * n_words}{PASTED}")
                if (n_prompt := app.answer()["n_prompt"]) < n_words:
                    raise UnequalWorkError(f"the prompt has {n_prompt:,} tokens, fewer than {n_words:,}")
                time.sleep(draw.uniform(*READING))
                typed = time.perf_counter()
                app.terminal.type(ESCAPE)
                answer = app.answer()
                if answer["reason"] != "interrupted" or answer["ids"]:
                    raise UnequalWorkError("the prompt was read before Esc was typed; give a longer one")
                stopped = answer["ended"]
                _wait(lambda: any(one > stopped for one in Output(tuple(app.terminal.drawn)).frames()))  # noqa: B023
                frame = next(one for one in Output(tuple(app.terminal.drawn)).frames() if one > stopped)
                results.append((stopped - typed, frame - typed))
                time.sleep(1.0)
            app.close()
    return results


def _wait(condition: Callable[[], object]) -> None:
    deadline = time.perf_counter() + PATIENCE
    while not condition():
        if time.perf_counter() > deadline:
            raise UnequalWorkError("what was waited for never came")
        time.sleep(0.01)


def rows(model: Path, *, quick: bool) -> list[Row]:
    """Return what `all.py` writes of it."""
    n_tokens, rounds, n_escapes = (48, 1, 1) if quick else (384, 3, 5)
    delays = measure(model, n_tokens, rounds)
    stops = escapes(model, n_escapes)
    how = f"`latency.py`, {rounds} replies of {n_tokens} tokens"
    return [
        share_row("while streaming, a frame's drawing, 99th percentile", delays.frames, how),
        share_row("keys typed meanwhile, until they are shown, 99th percentile", delays.keys, how),
        told_row("while streaming, text drawn after it was written, 99th percentile", delays.text, how),
        told_row("while streaming, from one frame to the next, 99th percentile", delays.intervals, how),
        most_row(
            "Esc to idle, while a prompt of 4,000 tokens is read",
            *(0.2, [frame for _, frame in stops], f"`latency.py`, {n_escapes} times", " s", 3),
        ),
    ]


def share_row(what: str, seconds: Sequence[float], how: str) -> Row:
    """Return the row of times of which 99 of 100 are to be within 50 ms."""
    row = told_row(what, seconds, how)
    return replace(row, target="≤ 50 ms", reached=percentile(seconds, 0.99) <= 0.05)


def told_row(what: str, seconds: Sequence[float], how: str) -> Row:
    """Return the row of times that need not be anything."""
    milliseconds = [one * 1000 for one in seconds]
    share = percentile(milliseconds, 0.99)
    figure = f"{share:.0f} ms (median {statistics.median(milliseconds):.0f}, longest {max(milliseconds):.0f})"
    return Row(what, NO_TARGET, figure, True, f"{how}, {len(seconds):,} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument("--quick", action="store_true", help="a short run, which shows that it works")
    arguments = parse(parser)
    try:
        for row in rows(arguments.model, quick=arguments.quick):
            print(f"{row.what}: {row.figure}, wanted {row.target}; {row.how}")
    except UnequalWorkError as error:
        sys.exit(f"not measured: {error}")


if __name__ == "__main__":
    main()

"""What it costs to tell how likely each token was, beside generating without.

Likelihoods are switched on and off within one reply, every 8 tokens, in the order with, without, without,
with: so drift of the machine, and the reply's growing length, count for both alike. Beside each such
reply stands one that never has them on and is divided the same way, which shows how far apart equal work is.
All replies are the same tokens, the likeliest ones, on one model and from an empty cache; the first round
warms up and does not count.

The machine may be shared, so only ratios matter: of the medians of a reply's parts with and without, and of
those their median, smallest and largest over the rounds, by the clock and in processor time. Where other
programs compute too, `--threads 1` makes them steadier: then no thread of llama.cpp waits for another.
What is computed beside llama.cpp does not grow with the model, so the ratio is highest for a small one; the
demo model is about as small as they come.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from report import SPREAD_WIDTH, UnequalWorkError, add_model, conditions, line, load, parse, spread

from easy_llama.errors import EasyLlamaError
from easy_llama.events import LiveSettings, Token
from easy_llama.model import Model
from easy_llama.samplers import GreedyDecoding

PROMPT = "The numbers from 1 to 1000: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,"
"""A model goes on from it for as long as it is let."""

ROOM_FOR_PROMPT = 128
PART = 8
"""How many tokens are written with or without."""

IS_WITH = (True, False, False, True)
"""The order of the parts, again and again."""


@dataclass(frozen=True, slots=True)
class Run:
    """One reply: the median time of its parts, in seconds."""

    ids: tuple[int, ...]
    seconds_with: float
    seconds_without: float
    processor_with: float
    processor_without: float


def write(model: Model, n_tokens: int, *, switched: bool) -> Run:
    """Write a reply, in which likelihoods are switched on in half of the parts or never.

    Raises:
        UnequalWorkError: the model ended its text early, or did not tell what was asked for.
    """
    gc.collect()
    model.engine.forget()
    live = LiveSettings()
    ids: list[int] = []
    marks: list[tuple[float, float]] = []
    n_told = 0
    for event in model.events(PROMPT, sampler=GreedyDecoding.replace(max_len_tokens=n_tokens + 1), live=live):
        if isinstance(event, Token):
            if len(ids) % PART == 0:
                marks.append((time.perf_counter(), time.process_time()))
                live.likelihoods = switched and IS_WITH[len(ids) // PART % len(IS_WITH)]
            ids.append(event.id)
            n_told += event.likelihood is not None
    if len(ids) != n_tokens + 1:
        raise UnequalWorkError(
            f"the model ended its text before {n_tokens:,} tokens; give fewer with --tokens"
        )
    if n_told != (n_tokens // 2 if switched else 0):
        raise UnequalWorkError(f"{n_told:,} of {n_tokens:,} tokens came with a likelihood")
    return _run(tuple(ids), marks)


def _run(ids: tuple[int, ...], marks: Sequence[tuple[float, float]]) -> Run:
    medians = []
    for clock in (0, 1):
        for wanted in (True, False):
            parts = [
                after[clock] - before[clock]
                for number, (before, after) in enumerate(pairwise(marks))
                if IS_WITH[number % len(IS_WITH)] == wanted
            ]
            medians.append(statistics.median(parts))
    return Run(ids, *medians)


def measure(model: Model, n_tokens: int, rounds: int) -> list[tuple[Run, Run]]:
    """Return the two replies of each round, the switched one first, the warm-up left out."""
    results = []
    for number in range(rounds + 1):
        print(f"{n_tokens:,} tokens: round {number} of {rounds}", file=sys.stderr, flush=True)
        both = {
            switched: write(model, n_tokens, switched=switched)
            for switched in (number % 2 == 0, number % 2 == 1)
        }
        if both[True].ids != both[False].ids:
            raise UnequalWorkError("not all wrote the same tokens")
        results.append((both[True], both[False]))
    return results[1:]


def table(rounds: Sequence[tuple[Run, Run]], n_tokens: int) -> Iterator[str]:
    """Yield the lines of the result."""
    widths = [14, SPREAD_WIDTH + 3, SPREAD_WIDTH + 3]
    yield line(f"{n_tokens:,} tokens", ["µs a token", "with / without", "without / without"], widths)
    switched, plain = [one for one, _ in rounds], [other for _, other in rounds]
    for label, field in (("by the clock", "seconds"), ("processor time", "processor")):
        each = statistics.median(getattr(run, f"{field}_without") for run in switched) / PART * 1e6
        ratios = [
            spread(
                [getattr(run, f"{field}_with") for run in runs],
                [getattr(run, f"{field}_without") for run in runs],
            )
            for runs in (switched, plain)
        ]
        yield line(label, [f"{each:,.0f}", *ratios], widths)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument("--tokens", metavar="N", type=int, default=256, help="the length of the reply (256)")
    parser.add_argument("--rounds", metavar="N", type=int, default=9, help="counted rounds (9)")
    parser.add_argument("--threads", metavar="N", type=int, help="threads that compute (by the machine)")
    arguments = parse(parser)
    block = PART * len(IS_WITH)
    if arguments.tokens < block or arguments.tokens % block or arguments.rounds < 1:
        parser.error(f"give a multiple of {block} tokens, and at least 1 round")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    try:
        length = arguments.tokens + ROOM_FOR_PROMPT
        n_threads = arguments.threads
        model = load(arguments.model, length, n_threads=n_threads, prompt_lookup=False)
        measured = measure(model, arguments.tokens, arguments.rounds)
    except (EasyLlamaError, UnequalWorkError) as error:
        sys.exit(f"not measured: {error}")
    print(*table(measured, arguments.tokens), sep="\n")
    print(f"{conditions(model)}; {model.n_vocab:,} tokens in the vocabulary")
    model.unload()


if __name__ == "__main__":
    main()

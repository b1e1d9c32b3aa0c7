"""Which number of threads is best on this machine: how fast a model reads and writes with each.

The number is changed in one loaded model, so that memory and weights stay where they are, and the rounds take
each number in turn, there and back. It is measured twice: alone, and beside a thread that works as the screen
of `ezllama-tui` does while a reply streams, in short bursts. The best number is the smallest one that writes
nearly as fast as the fastest, with the screen: what a thread more gives must be worth its core.
"""

import argparse
import gc
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from report import UnequalWorkError, add_model, line, machine, parse

from easy_llama.bare_loop import bare_loop
from easy_llama.cores import physical_cores, usable_cores
from easy_llama.errors import EasyLlamaError
from easy_llama.loading import default_threads
from easy_llama.model import Model

TEXT = "The numbers from 1 on are: "
NEARLY = 0.97
"""The share of the highest speed that is near enough."""

BURST, PAUSE = 0.004, 0.046
"""Seconds that the screen computes and rests: 8 % of a core, 20 pictures a second."""

WIDTHS = (20, 20, 20, 20)


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second."""

    reading: float
    writing: float


Speeds = dict[int, list[Speed]]


def counts_to_try(physical: int | None, logical: int) -> list[int]:
    """Return the numbers of threads that are tried: all of few, and of many those about the cores."""
    if logical <= 8:
        return list(range(1, logical + 1))
    cores = physical or logical // 2
    wanted = {1, 2, 4, cores // 2, cores - 2, cores - 1, cores, (cores + logical) // 2, logical}
    return sorted(count for count in wanted if 1 <= count <= logical)


def best(speeds: Speeds) -> int:
    """Return the smallest number of threads that writes nearly as fast as the fastest one."""
    rates = {count: statistics.median(one.writing for one in each) for count, each in speeds.items()}
    return min(count for count, rate in rates.items() if rate >= NEARLY * max(rates.values()))


def best_reading(speeds: Speeds) -> int:
    """Return the same for reading prompts."""
    rates = {count: statistics.median(one.reading for one in each) for count, each in speeds.items()}
    return min(count for count, rate in rates.items() if rate >= NEARLY * max(rates.values()))


def measure(
    model: Model, counts: Sequence[int], n_prompt: int, n_reply: int, rounds: int
) -> tuple[Speeds, Speeds]:
    """Return the speeds alone and beside the screen, in every round but the first, which warms up."""
    # Not sooner: what `easy_llama` sets for its libraries has to be there before them.
    from llama_cpp import llama_cpp as lib

    prompt = model.tokenize(TEXT + ", ".join(map(str, range(1, n_prompt))))[:n_prompt]
    alone: Speeds = {count: [] for count in counts}
    beside: Speeds = {count: [] for count in counts}
    for number in range(rounds + 1):
        print(f"  round {number} of {rounds}", file=sys.stderr, flush=True)
        for count in counts if number % 2 else reversed(counts):
            for speeds in (alone, beside):
                lib.llama_set_n_threads(model.llama.ctx, count, count)
                model.engine.forget()
                gc.collect()
                with drawing(speeds is beside):
                    run = bare_loop(model.llama, prompt, n_reply)
                if number:
                    speeds[count].append(Speed(len(prompt) / run.reading, (n_reply - 1) / run.writing))
    return alone, beside


@contextmanager
def drawing(is_wanted: bool) -> Iterator[None]:
    """Compute in bursts in another thread, as a screen does."""
    done = threading.Event()

    def draw() -> None:
        while not done.wait(PAUSE):
            until = time.perf_counter() + BURST
            while time.perf_counter() < until:
                pass

    thread = threading.Thread(target=draw, daemon=True)
    if is_wanted:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if is_wanted:
            thread.join()


def table(alone: Speeds, beside: Speeds) -> Iterator[str]:
    """Yield the lines of the result: medians, with the smallest and the largest."""
    heads = ["reading", "writing", "reading, screen on", "writing, screen on"]
    yield line("threads, tokens/s", heads, WIDTHS)
    for count in alone:
        cells = [
            _spread([getattr(one, name) for one in speeds[count]])
            for speeds in (alone, beside)
            for name in ("reading", "writing")
        ]
        yield line(f"{count:>6}", cells, WIDTHS)


def _spread(rates: Sequence[float]) -> str:
    return f"{statistics.median(rates):.0f} ({min(rates):.0f}–{max(rates):.0f})"


def advice(alone: Speeds, beside: Speeds, physical: int | None, logical: int) -> str:
    """Return what to do with the figures."""
    usual, wanted = default_threads(physical, logical), best(beside)
    kept = (
        f"that is what is used without it ({physical or 'an unknown number of'} cores, "
        f"{logical} hyper-threads), so nothing needs to be set"
    )
    changed = f'without it {usual} would be used; in config.toml: [model] threads = {wanted}, or "auto"'
    return (
        f"best here: --threads {wanted}; {kept if wanted == usual else changed}. "
        f"Reading prompts is fastest with {best_reading(alone)}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser, has_layers=False)
    parser.add_argument("--prompt", metavar="N", type=int, default=256, help="tokens read (256)")
    parser.add_argument("--tokens", metavar="N", type=int, default=64, help="tokens written (64)")
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="counted rounds (5)")
    parser.add_argument("--threads", metavar="N", nargs="+", type=int, help="the numbers to try")
    arguments = parse(parser)
    if min(arguments.prompt, arguments.tokens - 1, arguments.rounds, *(arguments.threads or [1])) < 1:
        parser.error("give at least 1 token to read, 2 to write, 1 round and 1 thread")
    physical, logical = physical_cores(), usable_cores()
    counts = arguments.threads or counts_to_try(physical, logical)
    try:
        model = Model(arguments.model, context_length=arguments.prompt + arguments.tokens)
        alone, beside = measure(model, counts, arguments.prompt, arguments.tokens, arguments.rounds)
    except (EasyLlamaError, UnequalWorkError) as error:
        sys.exit(f"not measured: {error}")
    print(*table(alone, beside), advice(alone, beside, physical, logical), sep="\n")
    print(f"{Path(arguments.model).name}; {machine()}")
    model.unload()


if __name__ == "__main__":
    main()

"""Time to the first text of `Model.stream`: after `Model.ingest` of a long beginning, beside an empty cache.

Both run in turn in one process, on one model and in one context, which is emptied before each. What is read
ahead is the beginning that many prompts share, a system prompt or a document; the prompt is that beginning
and a short question. The first token has to be the very same, or nothing is reported.

A round runs each of the two once, in an order that alternates; the first round warms up and does not count.
The time is that of the call of `stream` up to its first text. The machine may be shared and its speed may
drift, so only the ratio matters: it is taken within a round, and the median, smallest and largest are shown.
The time that `ingest` itself takes is shown too: it is not saved, but spent while nobody waits.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from report import SPREAD_WIDTH, UnequalWorkError, add_model, conditions, line, load, parse, spread

from easy_llama.errors import EasyLlamaError
from easy_llama.model import Model
from easy_llama.samplers import GreedyDecoding

QUESTION = "\nThe number of the last note is"
ROOM = 64
"""In tokens, for the question and the first words of the answer."""

_GREEDY = GreedyDecoding.replace(max_len_tokens=2)  # the first token drawn is then in the cache at the end


@dataclass(frozen=True, slots=True)
class Run:
    """How soon a reply began."""

    to_first_text: float
    """Seconds from the call of `stream` to its first text."""
    first_id: int
    """The first token that was drawn."""
    ingesting: float = 0.0
    """Seconds that `ingest` took before."""


Round = dict[str, Run]


def empty_cache(model: Model, shared: str) -> Run:
    prompt = shared + QUESTION
    started = time.perf_counter()
    chunks = model.stream(prompt, sampler=_GREEDY)
    next(chunks)
    first = time.perf_counter()
    for _ in chunks:
        pass
    return Run(first - started, model.engine.cached_tokens[model.get_length(prompt)])


def after_ingest(model: Model, shared: str) -> Run:
    started = time.perf_counter()
    model.ingest(shared)
    ingesting = time.perf_counter() - started
    run = empty_cache(model, shared)
    return Run(run.to_first_text, run.first_id, ingesting)


CASES: dict[str, Callable[[Model, str], Run]] = {"empty cache": empty_cache, "after ingest": after_ingest}


def notes(model: Model, n_tokens: int) -> str:
    """Return a text of about that many tokens, and not fewer."""
    lines: list[str] = []
    while model.get_length("\n".join(lines)) < n_tokens:
        number = len(lines) + 1
        lines.append(
            f"Note {number}: the ship number {number * 7} left the harbour with {number * 3} crates."
        )
    return "\n".join(lines)


def measure(model: Model, shared: str, rounds: int) -> list[Round]:
    """Return what was measured in each round, the warm-up left out.

    Raises:
        UnequalWorkError: the two began with different tokens.
    """
    names = list(CASES)
    results = []
    for number in range(rounds + 1):
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        result: Round = {}
        for name in names if number % 2 else reversed(names):
            model.engine.forget()
            gc.collect()
            result[name] = CASES[name](model, shared)
        if result["empty cache"].first_id != result["after ingest"].first_id:
            raise UnequalWorkError("the reply began with another token after ingest than in an empty cache")
        results.append(result)
    return results[1:]


def table(n_tokens: int, rounds: list[Round]) -> Iterator[str]:
    """Yield the lines of the result: medians of the times, and the ratio with its spread."""
    ratio = "empty / ingested"
    heads = [*CASES, ratio, "ingest itself"]
    widths = [max(len(head), SPREAD_WIDTH if head == ratio else 0) + 3 for head in heads]
    times = {name: [result[name].to_first_text for result in rounds] for name in CASES}
    cells = [f"{statistics.median(times[name]):.3f}" for name in CASES]
    cells.append(spread(times["empty cache"], times["after ingest"], digits=1))
    cells.append(f"{statistics.median(result['after ingest'].ingesting for result in rounds):.3f}")
    yield line("seconds", heads, widths)
    yield line(f"{n_tokens:>6,} tokens", cells, widths)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument("--tokens", metavar="N", type=int, default=1000, help="length of what is read ahead")
    parser.add_argument("--rounds", metavar="N", type=int, default=9, help="counted rounds")
    arguments = parse(parser)
    if arguments.tokens < 1 or arguments.rounds < 1:
        parser.error("give at least 1 token and 1 round")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    try:
        # A line of the notes may go beyond the length that is asked for.
        model = load(arguments.model, arguments.tokens + 2 * ROOM)
        shared = notes(model, arguments.tokens)
        rounds = measure(model, shared, arguments.rounds)
    except (EasyLlamaError, UnequalWorkError) as error:
        sys.exit(f"not measured: {error}")
    print(*table(model.get_length(shared), rounds), conditions(model), sep="\n")
    model.unload()


if __name__ == "__main__":
    main()

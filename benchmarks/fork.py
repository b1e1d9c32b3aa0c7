"""How soon a fork begins: the first new token of `Model.events(..., reply_start=...)`, in single tokens.

A reply was written after a prompt. Then another token is put in the place of one in its middle, and the time
is taken from the call to the first token that the model draws after it. Beside it stands the time of
a single token in the same place: the mean of those that the fork goes on with, each decoded and drawn alone.
Two of them are the most that a fork may take.

For each length of prompt, forks at places all over the reply alternate with a whole reply, so that the cache
holds what comes after the place as well, as it does in a chat. The first round warms up and does not count.
The machine may be shared and its speed may drift, so only the ratios matter: each is taken within a fork, and
their median, smallest and largest are shown.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from report import SPREAD_WIDTH, UnequalWorkError, add_model, conditions, line, load, parse, spread

from easy_llama.errors import EasyLlamaError
from easy_llama.events import Finished, Token
from easy_llama.model import Model
from easy_llama.samplers import GreedyDecoding

TEXT = "The numbers from 1 on are: "
OTHER = " but"
"""The token that is put in the place of another."""

REPLY = 64
FOLLOWING = 16
"""How many tokens a fork draws: the first, and those that it is compared with."""


@dataclass(frozen=True, slots=True)
class Fork:
    """One fork, in seconds."""

    first: float
    """From the call to the first token drawn."""
    single: float
    """Between two of those that follow."""


def prompt_of(model: Model, length: int) -> tuple[int, ...]:
    """Return a prompt of so many tokens."""
    text = TEXT + ", ".join(str(number) for number in range(1, length))
    return tuple(model.tokenize(text)[:length])


def reply_of(model: Model, prompt: tuple[int, ...]) -> tuple[int, ...]:
    """Write the reply, which the cache holds then."""
    sampler = GreedyDecoding.replace(max_len_tokens=REPLY)
    ids = tuple(event.id for event in model.events(prompt, sampler=sampler) if isinstance(event, Token))
    if len(ids) < REPLY:
        raise UnequalWorkError(f"the model ended its text before {REPLY} tokens")
    return ids


def fork(model: Model, prompt: tuple[int, ...], start: tuple[int, ...]) -> Fork:
    """Put the last of `start` where another token is.

    Raises:
        UnequalWorkError: more than that token was read, or the model ended its text early.
    """
    gc.collect()
    times = []
    sampler = GreedyDecoding.replace(max_len_tokens=FOLLOWING)
    began = time.perf_counter()
    for event in model.events(prompt, sampler=sampler, reply_start=start):
        if isinstance(event, Token):
            times.append(time.perf_counter())
        elif isinstance(event, Finished):
            read = event.prompt_tokens - event.reused_tokens
            drawn = event.generated_tokens
    if read != 1 or drawn != FOLLOWING:
        raise UnequalWorkError(f"a fork read {read:,} tokens and drew {drawn}, not 1 and {FOLLOWING}")
    drawn_at = times[len(start) :]
    return Fork(drawn_at[0] - began, (drawn_at[-1] - drawn_at[0]) / (FOLLOWING - 1))


def measure(model: Model, length: int, rounds: int) -> list[Fork]:
    """Return what was measured in each round, the warm-up left out."""
    prompt = prompt_of(model, length)
    (other,) = model.tokenizer.encode(OTHER, add_special=False, parse_special=False)
    forks = []
    for number in range(rounds + 1):
        print(f"{length:,} tokens: round {number} of {rounds}", file=sys.stderr, flush=True)
        reply = reply_of(model, prompt)
        place = 1 + number * (REPLY - 2) // rounds
        forks.append(fork(model, prompt, (*reply[:place], other)))
    return forks[1:]


def table(measured: dict[int, list[Fork]]) -> Iterator[str]:
    """Yield the lines of the result."""
    widths = [14, 14, SPREAD_WIDTH + 6]
    yield line("tokens of prompt", ["first, ms", "single, ms", "first / single"], widths)
    for length, forks in measured.items():
        first, single = [one.first for one in forks], [one.single for one in forks]
        middle = [f"{statistics.median(times) * 1000:.2f}" for times in (first, single)]
        yield line(f"{length:>6,}", [*middle, spread(first, single)], widths)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument(
        "--tokens", metavar="N", nargs="+", type=int, default=[200, 1500], help="prompt lengths"
    )
    parser.add_argument("--rounds", metavar="N", type=int, default=12, help="counted forks (12)")
    arguments = parse(parser)
    if min(arguments.tokens) < 8 or arguments.rounds < 1:
        parser.error("give at least 8 tokens and 1 round")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    try:
        model = load(arguments.model, max(arguments.tokens) + REPLY + FOLLOWING)
        measured = {length: measure(model, length, arguments.rounds) for length in arguments.tokens}
    except (EasyLlamaError, UnequalWorkError) as error:
        sys.exit(f"not measured: {error}")
    print(*table(measured), conditions(model), sep="\n")
    model.unload()


if __name__ == "__main__":
    main()

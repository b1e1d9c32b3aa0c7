"""Tokens per second: `Model.stream` beside a bare loop and `Llama.create_completion(stream=True)`.

All three run in turn in one process, on one model and in one context, which is emptied before each: weights,
memory, threads, context length and attention are the same by construction, and there is no second context
that could disturb. The bare loop is llama.cpp's decode, sample and token-to-piece, and nothing else. All
take the likeliest token, of one prompt, and have to write the very same tokens, or nothing is reported.

A round runs each of them once, in an order that rotates from round to round; the first round warms up and
does not count. Rates are taken from the first text to the end of the stream, and over the whole call with
its prompt. The machine may be shared and its speed may drift, so only the ratios matter: each is taken
within a round, and their median, smallest and largest are shown.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from report import SPREAD_WIDTH, UnequalWorkError, add_model, conditions, line, parse, spread

from easy_llama.bare_loop import bare_loop
from easy_llama.errors import EasyLlamaError
from easy_llama.model import Model
from easy_llama.samplers import GreedyDecoding

PROMPT = "The numbers from 1 to 1000: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,"
"""A model goes on from it for as long as it is let."""

ROOM_FOR_PROMPT = 128


@dataclass(frozen=True, slots=True)
class Run:
    """What one of the three wrote, and how fast."""

    ids: tuple[int, ...]
    """The tokens that it decoded; the last one drawn never is."""
    text: str
    generating: float
    """Tokens per second after the first."""
    whole_call: float
    """Tokens per second, with the reading of the prompt."""


Round = dict[str, Run]


def bare(model: Model, prompt: Sequence[int], n_tokens: int) -> Run:
    run = bare_loop(model.llama, prompt, n_tokens)
    if any(model.tokenizer.is_end(drawn) for drawn in run.ids):
        raise UnequalWorkError(
            f"the model ended its text before {n_tokens:,} tokens; give fewer with --tokens"
        )
    return _run(run.ids[:-1], run.text, run.reading, run.writing)


def stream(model: Model, prompt: Sequence[int], n_tokens: int) -> Run:
    started = time.perf_counter()
    chunks = model.stream(PROMPT, sampler=GreedyDecoding.replace(max_len_tokens=n_tokens))
    text, first, ended = _consume(chunk["choices"][0]["text"] for chunk in chunks)
    return _run(model.engine.cached_tokens[len(prompt) :], text, first - started, ended - first)


def create_completion(model: Model, prompt: Sequence[int], n_tokens: int) -> Run:
    llama = model.llama
    started = time.perf_counter()
    chunks = llama.create_completion(list(prompt), max_tokens=n_tokens, temperature=0.0, stream=True)
    text, first, ended = _consume(chunk["choices"][0]["text"] for chunk in chunks)
    ids = llama.input_ids[len(prompt) : llama.n_tokens].tolist()
    return _run(ids, text, first - started, ended - first)


PATHS: dict[str, Callable[[Model, Sequence[int], int], Run]] = {
    "bare loop": bare,
    "stream": stream,
    "create_completion": create_completion,
}


def _consume(texts: Iterator[str]) -> tuple[str, float, float]:
    """Return all text, and when the first of it and the end came."""
    parts = [next(texts)]
    first = time.perf_counter()
    parts.extend(texts)
    return "".join(parts), first, time.perf_counter()


def _run(ids: Sequence[int], text: str, reading: float, writing: float) -> Run:
    return Run(tuple(ids), text, len(ids) / writing, (len(ids) + 1) / (reading + writing))


def measure(model: Model, n_tokens: int, rounds: int) -> list[Round]:
    """Return what was measured in each round, the warm-up left out."""
    prompt = model.tokenizer.encode(PROMPT, add_special=True, parse_special=True)
    names = list(PATHS)
    results = []
    for number in range(rounds + 1):
        print(f"{n_tokens:,} tokens: round {number} of {rounds}", file=sys.stderr, flush=True)
        turn = number % len(names)
        result: Round = {}
        for name in names[turn:] + names[:turn]:
            model.engine.forget()
            model.llama.reset()
            gc.collect()
            result[name] = PATHS[name](model, prompt, n_tokens)
        check_same_work(result, n_tokens)
        results.append(result)
    return results[1:]


def check_same_work(result: Round, n_tokens: int) -> None:
    """Check that all wrote the same tokens and the same text.

    Raises:
        UnequalWorkError: they did not; the message names what differs.
    """
    wanted = result["bare loop"]
    for name, run in result.items():
        if len(run.ids) != n_tokens - 1:
            raise UnequalWorkError(f"{name} decoded {len(run.ids):,} tokens and not {n_tokens - 1:,}")
        if run.ids != wanted.ids or run.text != wanted.text:
            raise UnequalWorkError(f"{name} wrote other tokens than the bare loop")


def table(measured: dict[int, list[Round]]) -> Iterator[str]:
    """Yield the lines of the result: medians of the rates, and the ratios with their spread."""
    peers = [name for name in PATHS if name != "stream"]
    heads = [*PATHS, *(f"stream / {peer}" for peer in peers)]
    widths = [max(len(head), SPREAD_WIDTH if "/" in head else 0) + 3 for head in heads]
    yield line("tokens/s", heads, widths)
    for n_tokens, rounds in measured.items():
        for field in ("generating", "whole_call"):
            rates = {name: [getattr(result[name], field) for result in rounds] for name in PATHS}
            cells = [f"{statistics.median(rates[name]):.1f}" for name in PATHS]
            cells += [spread(rates["stream"], rates[peer]) for peer in peers]
            yield line(f"{n_tokens:>6,}  {field.replace('_', ' ')}", cells, widths)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument(
        "--tokens", metavar="N", nargs="+", type=int, default=[256, 1500], help="reply lengths"
    )
    parser.add_argument("--rounds", metavar="N", type=int, help="counted rounds (9, or 6 from 1,000 tokens)")
    arguments = parse(parser)
    if min(arguments.tokens) < 2 or (arguments.rounds is not None and arguments.rounds < 1):
        parser.error("give at least 2 tokens and 1 round")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    try:
        model = Model(str(arguments.model), context_length=max(arguments.tokens) + ROOM_FOR_PROMPT)
        measured = {
            n_tokens: measure(model, n_tokens, arguments.rounds or (9 if n_tokens < 1000 else 6))
            for n_tokens in arguments.tokens
        }
    except (EasyLlamaError, UnequalWorkError) as error:
        sys.exit(f"not measured: {error}")
    print(*table(measured), conditions(model), sep="\n")
    model.unload()


if __name__ == "__main__":
    main()

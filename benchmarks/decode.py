"""Tokens per second: `Model.stream` beside a bare loop and `Llama.create_completion(stream=True)`.

All three run in turn in one process, on one model and in one context, which is emptied before each: weights,
memory, threads, context length and attention are the same by construction, and there is no second context
that could disturb. The bare loop is llama.cpp's decode, sample and token-to-piece, and nothing else. All
take the likeliest token, of one prompt, and have to write the very same tokens, or nothing is reported.
Nothing is guessed from the prompt (`lookup.py` measures that): each token is computed by itself.

A round runs each of them once, in an order that rotates from round to round; the first round warms up and
does not count. Rates are taken from the first text to the end of the stream, and over the whole call with
its prompt. The machine may be shared and its speed may drift, so only the ratios matter: each is taken
within a round, and their median, smallest and largest are shown.
"""

import argparse
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from report import (
    NO_TARGET,
    SPREAD_WIDTH,
    Row,
    UnequalWorkError,
    add_model,
    conditions,
    line,
    load,
    parse,
    ratio_row,
    spread,
)

from easy_llama.bare_loop import bare_loop
from easy_llama.errors import EasyLlamaError
from easy_llama.events import LiveSettings, Token
from easy_llama.model import Model
from easy_llama.samplers import DefaultSampling, GreedyDecoding, SamplerSettings

EVERY_SAMPLER = DefaultSampling.replace(
    top_n_sigma=3.0, typical_p=0.95, xtc_probability=0.1, repeat_penalty=1.1, dry_multiplier=0.8
)
"""Every sampler of the chain takes part."""
STOPS = ("</s>", "\n\nUser:", "<|never|>")

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


def default_chain(model: Model, prompt: Sequence[int], n_tokens: int) -> Run:
    return _drawn(model, prompt, n_tokens, DefaultSampling)


def every_sampler(model: Model, prompt: Sequence[int], n_tokens: int) -> Run:
    return _drawn(model, prompt, n_tokens, EVERY_SAMPLER)


def _drawn(model: Model, prompt: Sequence[int], n_tokens: int, sampler: SamplerSettings) -> Run:
    """Write as `Model.stream` does, with stop strings and log-probabilities; the tokens are others."""
    forbidden = {token: float("-inf") for token in range(model.n_vocab) if model.tokenizer.is_end(token)}
    sampler = sampler.replace(max_len_tokens=n_tokens, seed=7, logit_bias=forbidden)
    live = LiveSettings(likelihoods=True)
    times = []
    started = time.perf_counter()
    for event in model.events(tuple(prompt), STOPS, sampler, live=live):
        if isinstance(event, Token):
            times.append(time.perf_counter())
    return _run(model.engine.cached_tokens[len(prompt) :], "", times[0] - started, times[-1] - times[0])


Path = Callable[[Model, Sequence[int], int], Run]

PATHS: dict[str, Path] = {
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


def measure(
    model: Model, n_tokens: int, rounds: int, paths: Mapping[str, Path] = PATHS, others: Sequence[str] = ()
) -> list[Round]:
    """Return what was measured in each round, the warm-up left out.

    Args:
        model: the model that all of them use.
        n_tokens: how many tokens each writes.
        rounds: how often each does.
        paths: what is measured.
        others: the names of those that write other tokens, as many.
    """
    prompt = model.tokenizer.encode(PROMPT, add_special=True, parse_special=True)
    names = list(paths)
    results = []
    for number in range(rounds + 1):
        print(f"{n_tokens:,} tokens: round {number} of {rounds}", file=sys.stderr, flush=True)
        turn = number % len(names)
        result: Round = {}
        for name in names[turn:] + names[:turn]:
            model.engine.forget()
            model.llama.reset()
            gc.collect()
            result[name] = paths[name](model, prompt, n_tokens)
        check_same_work(result, n_tokens, others)
        results.append(result)
    return results[1:]


def check_same_work(result: Round, n_tokens: int, others: Sequence[str] = ()) -> None:
    """Check that all wrote as many tokens, and all but `others` the same ones.

    Raises:
        UnequalWorkError: they did not; the message names what differs.
    """
    first = next(name for name in result if name not in others)
    wanted = result[first]
    for name, run in result.items():
        if len(run.ids) != n_tokens - 1:
            raise UnequalWorkError(f"{name} decoded {len(run.ids):,} tokens and not {n_tokens - 1:,}")
        if name not in others and (run.ids != wanted.ids or run.text != wanted.text):
            raise UnequalWorkError(f"{name} wrote other tokens than {first}")


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


def rows(path: os.PathLike[str], *, quick: bool) -> list[Row]:
    """Return what `all.py` writes of it."""
    few, many = (24, 32) if quick else (512, 1500)
    rounds = (1, 1) if quick else (5, 3)
    with load(path, many + ROOM_FOR_PROMPT, prompt_lookup=False) as model:
        drawing = {"default chain": default_chain, "every sampler": every_sampler}
        paths = {"bare loop": bare, "stream": stream, **drawing}
        short = measure(model, few, rounds[0], paths, others=tuple(drawing))
        paths = {"stream": stream, "create_completion": create_completion}
        long = measure(model, many, rounds[1], paths)
    rates = {name: [result[name].generating for result in short] for name in short[0]}
    completion = {name: [result[name].generating for result in long] for name in long[0]}
    how = f"`decode.py`, {rounds[0]} rounds"
    return [
        ratio_row(
            f"`Model.stream`, greedy, {few:,} tokens, against a bare `llama_decode` loop",
            *(0.98, rates["stream"], rates["bare loop"], how),
        ),
        ratio_row(
            "the same with the default sampler chain, stop strings and log-probabilities",
            *(0.95, rates["default chain"], rates["bare loop"], how),
        ),
        Row(
            "the same with every sampler there is",
            *(NO_TARGET, spread(rates["every sampler"], rates["bare loop"]), True, how),
        ),
        ratio_row(
            f"`Model.stream` against `Llama.create_completion(stream=True)`, {many:,} tokens",
            *(1.10, completion["stream"], completion["create_completion"]),
            f"`decode.py`, {rounds[1]} rounds",
        ),
    ]


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
        length = max(arguments.tokens) + ROOM_FOR_PROMPT
        model = load(arguments.model, length, prompt_lookup=False)
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

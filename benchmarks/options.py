"""What the options of loading cost and gain: Flash Attention, the KV cache's types, and the batch size.

The model is loaded once for each set of options; all of them are in memory together and take turns, in an
order that is reversed from round to round. Each reads a prompt into an empty cache, and then writes a few
tokens after it: there the cache's type and Flash Attention count. Rates are divided by those of the defaults
in the same round. Beside them stands what the cache takes in memory, and how far the distribution of the next
token is from that of an F32 cache without Flash Attention (Kullback-Leibler divergence in nats, the mean over
the last places of the prompt).

`--processor-time` takes the processor time of one thread in place of the clock, which serves where other
programs compute too.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from report import SPREAD_WIDTH, add_model, line, load, machine, parse, spread

from easy_llama.cache_types import bytes_of
from easy_llama.errors import EasyLlamaError
from easy_llama.loading import kv_cache_bytes
from easy_llama.model import Model

TEXT = (
    "A fox lived at the edge of a wood, where the road from the village crosses the brook. Every morning it "
    "went down to the water, looked at the mill on the other side, and thought of the geese behind it. "
)
CHECKED = 48
"""At how many places the distributions are compared."""

SETS: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "flash_attn": {"flash_attn": True},
    "keys q8_0": {"cache_type_k": "q8_0"},
    "flash_attn, both q8_0": {"flash_attn": True, "cache_type_k": "q8_0", "cache_type_v": "q8_0"},
    "flash_attn, both q4_0": {"flash_attn": True, "cache_type_k": "q4_0", "cache_type_v": "q4_0"},
    "n_batch 64": {"n_batch": 64},
    "n_batch 128": {"n_batch": 128},
    "n_batch 256": {"n_batch": 256},
    "n_batch 1024": {"n_batch": 1024},
    "n_batch 2048": {"n_batch": 2048},
}
EXACT: dict[str, Any] = {"cache_type_k": "f32", "cache_type_v": "f32"}
WIDTHS = (12, SPREAD_WIDTH + 3, SPREAD_WIDTH + 3, 12)


@dataclass(slots=True)
class Measured:
    """What one set of options showed."""

    reading: list[float] = field(default_factory=list)
    """Tokens per second."""
    writing: list[float] = field(default_factory=list)


def run(model: Model, prompt: Sequence[int], n_reply: int, *, by_processor: bool) -> tuple[float, float]:
    """Return the tokens per second of reading a prompt, and of writing after it."""
    from llama_cpp import llama_cpp as lib

    clock = time.process_time if by_processor else time.perf_counter
    model.engine.forget()
    gc.collect()
    context, n_batch = model.llama.ctx, model.llama.n_batch
    started = clock()
    for begin in range(0, len(prompt), n_batch):
        chunk = prompt[begin : begin + n_batch]
        buffer = (lib.llama_token * len(chunk))(*chunk)
        _check(lib.llama_decode(context, lib.llama_batch_get_one(buffer, len(chunk))))
    read = clock()
    one = (lib.llama_token * 1)(prompt[-1])
    batch = lib.llama_batch_get_one(one, 1)
    for _ in range(n_reply):
        _check(lib.llama_decode(context, batch))
    return len(prompt) / (read - started), n_reply / (clock() - read)


def _check(code: int) -> None:
    if code:
        raise RuntimeError(f"llama_decode returned {code}")


def distributions(model: Model, prompt: Sequence[int]) -> np.ndarray[Any, Any]:
    """Return the log-probabilities of every token after the last few tokens of a prompt."""
    rows = []
    model.engine.forget()
    for end in range(len(prompt) - CHECKED, len(prompt)):
        logits = model.engine.logits(prompt[:end]).astype(np.float64)
        logits -= logits.max()
        rows.append(logits - np.log(np.exp(logits).sum()))
    return np.array(rows)


def divergence(exact: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Return the mean Kullback-Leibler divergence, in nats."""
    return float((np.exp(exact) * (exact - other)).sum(axis=1).mean())


def cache_megabytes(model: Model, options: Mapping[str, Any]) -> float:
    """Return what the KV cache takes of memory, per 1,000 tokens."""
    sizes = [bytes_of(options.get(name, "f16")) for name in ("cache_type_k", "cache_type_v")]
    return kv_cache_bytes(model.metadata, 1000, bytes_per_k=sizes[0], bytes_per_v=sizes[1]) / 1e6


def table(
    models: Mapping[str, Model], measured: Mapping[str, Measured], far: Mapping[str, float]
) -> Iterator[str]:
    """Yield the lines of the result."""
    heads = ["MB / 1,000", "reading", "writing", "KL, nats"]
    yield "  " + line("", heads, WIDTHS)
    first = measured[next(iter(SETS))]
    for name, one in measured.items():
        cells = [
            f"{cache_megabytes(models[name], SETS[name]):.1f}",
            spread(one.reading, first.reading),
            spread(one.writing, first.writing),
            f"{far[name]:.5f}",
        ]
        yield f"{name:<22}" + line("", cells, WIDTHS)[20:]
    rates = [f"{statistics.median(values):.0f}" for values in (first.reading, first.writing)]
    yield f"the defaults read {rates[0]} and write {rates[1]} tokens a second"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument("--prompt", metavar="N", type=int, default=1500, help="tokens read (1,500)")
    parser.add_argument("--tokens", metavar="N", type=int, default=32, help="tokens written (32)")
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="counted rounds (5)")
    parser.add_argument("--threads", metavar="N", type=int, help="threads that compute (by the machine)")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=[*SETS], help="which options")
    parser.add_argument("--processor-time", action="store_true", help="of one thread, in place of the clock")
    arguments = parse(parser)
    if min(arguments.prompt - CHECKED, arguments.tokens, arguments.rounds) < 1:
        parser.error(f"give more than {CHECKED} tokens to read, and at least 1 token and 1 round")
    by_processor = arguments.processor_time
    n_threads = 1 if by_processor else arguments.threads
    length = arguments.prompt + arguments.tokens
    names = [next(iter(SETS)), *(name for name in arguments.sets if name != next(iter(SETS)))]
    try:
        models = {
            name: load(arguments.model, length, n_threads=n_threads, prompt_lookup=False, **SETS[name])
            for name in names
        }
        with load(arguments.model, length, n_threads=n_threads, **EXACT) as exact:
            prompt = exact.tokenize(TEXT * (arguments.prompt // 40 + 1))[: arguments.prompt]
            wanted = distributions(exact, prompt)
    except (EasyLlamaError, ValueError) as error:
        sys.exit(f"not measured: {error}")
    far = {name: divergence(wanted, distributions(model, prompt)) for name, model in models.items()}
    measured = {name: Measured() for name in names}
    for number in range(arguments.rounds + 1):
        print(f"  round {number} of {arguments.rounds}", file=sys.stderr, flush=True)
        for name in names if number % 2 else reversed(names):
            reading, writing = run(models[name], prompt, arguments.tokens, by_processor=by_processor)
            if number:
                measured[name].reading.append(reading)
                measured[name].writing.append(writing)
    print(f"{arguments.prompt:,} tokens read, {arguments.tokens} written; rates by those of the defaults")
    print(*table(models, measured, far), sep="\n")
    print(f"{Path(arguments.model).name}; {machine()}")
    for model in models.values():
        model.unload()


if __name__ == "__main__":
    main()

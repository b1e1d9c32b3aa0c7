"""`ezllama-tui --bench MODEL`: how fast a model reads and writes here, beside llama.cpp's own loop."""

import gc
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from easy_llama.arguments import one_line
from easy_llama.errors import EasyLlamaError
from easy_llama.samplers import GreedyDecoding
from easy_llama_tui.replies.engine import LoadOptions

if TYPE_CHECKING:
    from easy_llama.model import Model

_TEXT = "The numbers from 1 on are: "
"""With numbers after it, a prompt of any length; a model goes on from it for as long as it is let."""

_PROMPT_TOKENS = 512
_REPLY_TOKENS = 128
_LEAST_PROMPT, _LEAST_REPLY = 32, 16
_PART_SECONDS = 2.0
"""What reading and writing take at most each time, so that a slow model reads and writes less."""

_LEAST_ROUNDS, _MOST_ROUNDS = 3, 9
_SECONDS = 40.0
"""After which no new round begins, unless there were too few."""

_INTERRUPTED = 130  # as shells say that ^C ended a program
_LABEL, _CELL = 22, 26


class BenchError(Exception):
    """There is nothing to be measured; the message says why."""


@dataclass(slots=True)
class Figures:
    """Tokens per second of each round; what stands at one place was measured in turn."""

    reading: list[tuple[float, float]] = field(default_factory=list)
    """Of the prompt: this program's, and the bare loop's."""
    writing: list[tuple[float, float]] = field(default_factory=list)
    """Of the reply."""


def run_bench(options: LoadOptions) -> int:
    """Measure a model and print what it does; return the exit code.

    It is measured in a thread, so that Ctrl+C is heard while llama.cpp computes: the process ends at once.
    """
    failures: list[BaseException] = []
    ended = threading.Event()

    def work() -> None:
        try:
            _bench(options)
        except BaseException as error:
            failures.append(error)
        finally:
            ended.set()

    threading.Thread(target=work, name="bench", daemon=True).start()
    try:
        while not ended.wait(0.1):
            pass
    except KeyboardInterrupt:
        print("\nezllama-tui: stopped; nothing was kept", file=sys.stderr, flush=True)
        sys.stdout.flush()
        # llama.cpp still computes, and would crash when its memory is freed under it.
        os._exit(_INTERRUPTED)
    for error in failures:
        if not isinstance(error, (BenchError, EasyLlamaError, ValueError, OSError)):
            raise error
        print(f"ezllama-tui: {one_line(str(error))}", file=sys.stderr)
    return 2 if failures else 0


def measure(model: "Model", n_prompt: int, n_reply: int, more: Callable[[int], bool]) -> Figures:
    """Measure round after round, for as long as `more` says of their number that another is wanted.

    The first round warms up and does not count. The two take turns in being the first.

    Raises:
        BenchError: the model writes too little to be measured.
    """
    from easy_llama.bare_loop import bare_loop

    prompt = _prompt(model, n_prompt)
    sampler = GreedyDecoding.replace(max_len_tokens=n_reply)
    written = len(_stream(model, prompt, sampler)[0])
    if written < min(n_reply, 8):
        raise BenchError(f"the model ends its text after {written} tokens, too few to be measured")
    sampler = sampler.replace(max_len_tokens=written)
    figures = Figures()
    number = 0
    while number == 0 or more(number):
        rates: dict[str, tuple[float, float]] = {}
        for name in ("ours", "bare") if number % 2 else ("bare", "ours"):
            model.engine.forget()
            gc.collect()
            if name == "ours":
                ids, reading, writing = _stream(model, prompt, sampler)
            else:
                bare = bare_loop(model.llama, prompt, written)
                ids, reading, writing = bare.ids, bare.reading, bare.writing
            rates[name] = len(prompt) / reading, (len(ids) - 1) / writing
        if number:
            figures.reading.append((rates["ours"][0], rates["bare"][0]))
            figures.writing.append((rates["ours"][1], rates["bare"][1]))
        number += 1
    return figures


def sizes(model: "Model") -> tuple[int, int]:
    """Return how many tokens to read and to write a time, by a short try of both."""
    prompt = _prompt(model, _LEAST_PROMPT)
    ids, reading, writing = _stream(model, prompt, GreedyDecoding.replace(max_len_tokens=_LEAST_REPLY))
    n_prompt = int(_PART_SECONDS * len(prompt) / reading)
    n_reply = int(_PART_SECONDS * len(ids) / max(writing, 1e-6))
    return (
        min(max(n_prompt, _LEAST_PROMPT), _PROMPT_TOKENS),
        min(max(n_reply, _LEAST_REPLY), _REPLY_TOKENS),
    )


def table(figures: Figures, n_prompt: int, n_reply: int) -> list[str]:
    """Return the lines of the result: medians, and the ratio with its spread."""
    heads = ("ezllama", "bare loop", "ratio (lowest–highest)")
    lines = [f"{'tokens/s':<{_LABEL}}" + "".join(f"{head:>{_CELL}}" for head in heads)]
    for label, pairs in (
        (f"reading {n_prompt:,} tokens", figures.reading),
        (f"writing {n_reply:,} tokens", figures.writing),
    ):
        ours, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratios = [one / other for one, other in pairs]
        ratio = f"{statistics.median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f})"
        cells = (f"{ours:.1f}", f"{bare:.1f}", ratio)
        lines.append(f"{label:<{_LABEL}}" + "".join(f"{cell:>{_CELL}}" for cell in cells))
    return lines


def _bench(options: LoadOptions) -> None:
    from easy_llama.model import Model, supports_gpu_offload

    layers = options.n_gpu_layers
    length = _PROMPT_TOKENS + _REPLY_TOKENS
    _tell(f"loading {one_line(options.path.name)}")
    model = Model(
        options.path,
        context_length=length,
        n_gpu_layers=(-1 if supports_gpu_offload() else 0) if layers is None else layers,
        offload_kqv=options.offload_kqv,
        flash_attn=options.flash_attn,
        n_threads=options.n_threads,
        n_batch=options.n_batch,
        cache_type_k=options.cache_type_k,
        cache_type_v=options.cache_type_v,
        # The bare loop computes each token by itself, and the text that is measured repeats itself.
        prompt_lookup=False,
    )
    begun = time.monotonic()

    def more(number: int) -> bool:
        is_wanted = number <= _LEAST_ROUNDS or time.monotonic() - begun < _SECONDS
        if is_wanted and number <= _MOST_ROUNDS:
            _tell(f"round {number}")
            return True
        return False

    _tell("warming up")
    n_prompt, n_reply = sizes(model)
    figures = measure(model, n_prompt, n_reply, more)
    _tell("")
    n_threads, n_reading = int(model.llama.n_threads), int(model.llama.n_threads_batch)
    print(*table(figures, n_prompt, n_reply), sep="\n")
    print(
        f"{one_line(options.path.name)}: {n_threads} threads write, {n_reading} read; "
        f"Flash Attention {'on' if model.flash_attn else 'off'}, "
        f"KV cache in {options.cache_type_k} and {options.cache_type_v}; "
        f"medians of {len(figures.writing)} rounds. The bare loop is llama.cpp's own decoding alone."
    )
    model.unload()


def _prompt(model: "Model", n_prompt: int) -> Sequence[int]:
    text = _TEXT + ", ".join(map(str, range(1, n_prompt)))
    return model.tokenize(text)[:n_prompt]


def _stream(model: "Model", prompt: Sequence[int], sampler: object) -> tuple[tuple[int, ...], float, float]:
    """Return what was written, and the seconds to the first token and from there to the last."""
    from easy_llama.events import Token

    ids: list[int] = []
    started = time.perf_counter()
    first = last = started
    for event in model.events(tuple(prompt), sampler=sampler):  # type: ignore[arg-type]
        if isinstance(event, Token):
            last = time.perf_counter()
            first = first if ids else last
            ids.append(event.id)
    return tuple(ids), first - started, last - first


def _tell(what: str) -> None:
    """Show what is done, on a line that the next one takes the place of."""
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{what}", end="", file=sys.stderr, flush=True)

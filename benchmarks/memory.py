"""How soon a reply begins where most of its prompt was read before, beside reading all of it anew.

Four situations, each as the app meets it, with the first token drawn greedily:

- `after an overflow`: the oldest eighth of a prompt that filled the context is left out, and what follows
  slides in the KV cache;
- `reopened`: a chat's state is read from the disk, verified and put back, and a question is sent;
- `another branch`: between two long replies to one question, the one that was left is gone on with;
- `re-roll`: another reply to the prompt that was read last; beside it, in the last line, single tokens.

Each is measured in turn with its reference, over the same ids, in rounds of which the first warms up and does
not count. The machine may be shared and its speed may drift, so only the ratios matter: each is taken within
a round, and their median, smallest and largest are shown. The last line tells how far the next token's
distribution is after an overflow from that of a full reading: the Kullback-Leibler divergence, in nats.
"""

import argparse
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from report import (
    NO_TARGET,
    SPREAD_WIDTH,
    Row,
    UnequalWorkError,
    add_model,
    conditions,
    line,
    load,
    most_row,
    parse,
    spread,
)

from easy_llama.errors import EasyLlamaError
from easy_llama.events import Finished, LeftOut, Token
from easy_llama.model import Model
from easy_llama.samplers import GreedyDecoding
from easy_llama.state_file import state_binding
from easy_llama_tui.replies.chat_states import ChatStates

SENTENCE = "In year {} the village by the river had {} houses, and its people built {} boats. "
QUESTION = "How many boats did they build in the last year?"
REPLY = 160
"""Tokens of the reply before another: so many are copied before they are dropped, as in the app."""

SINGLES = 16
ROOM = 192
"""Tokens that are left free for what is written."""

Ids = tuple[int, ...]


def encoded(model: Model, text: str) -> Ids:
    return tuple(model.tokenizer.encode(text, add_special=False, parse_special=True))


def passage(model: Model, start: int, length: int) -> Ids:
    """Return so many tokens of a text that is nowhere the same."""
    text = "".join(SENTENCE.format(n, n * 7 % 93, n * 5 % 17) for n in range(start, start + length // 12))
    return encoded(model, text)[:length]


def turn(model: Model, role: str, content: Ids) -> Ids:
    return (*encoded(model, f"<|im_start|>{role}\n"), *content, *encoded(model, "<|im_end|>\n"))


def first_token(model: Model, prompt: Ids, left_out: tuple[LeftOut, ...] = ()) -> tuple[float, Finished]:
    """Return the seconds from the call to the first token, and how it ended."""
    gc.collect()
    sampler = GreedyDecoding.replace(max_len_tokens=1)
    began, drawn = time.perf_counter(), 0.0
    for event in model.events(prompt, sampler=sampler, left_out=left_out):
        if isinstance(event, Token):
            drawn = time.perf_counter() - began
        elif isinstance(event, Finished):
            last = event
    if not drawn:
        raise UnequalWorkError("the model ended its text at once")
    return drawn, last


def anew(model: Model, prompt: Ids) -> float:
    model.engine.forget()
    return first_token(model, prompt)[0]


def overflow(model: Model, length: int, divergences: list[float]) -> Callable[[], tuple[float, float]]:
    system, ask = turn(model, "system", passage(model, 0, 40)), turn(model, "user", encoded(model, QUESTION))
    dropped = turn(model, "user", passage(model, 100, length // 8))
    kept = turn(model, "user", passage(model, 500, length - length // 8 - 60))
    prompt = (*system, *kept, *ask)

    def once() -> tuple[float, float]:
        theirs = anew(model, prompt)
        wanted = probabilities(model, prompt)
        model.engine.forget()
        model.engine.read((*system, *dropped, *kept))
        ours, last = first_token(model, prompt, (LeftOut(len(system), (dropped,)),))
        if last.prompt_tokens - last.reused_tokens > len(ask) or last.slid_tokens < len(kept) - 8:
            raise UnequalWorkError(f"{last.slid_tokens} tokens were slid, not {len(kept)}")
        divergences.append(float((wanted * np.log(wanted / probabilities(model, prompt))).sum()))
        return ours, theirs

    return once


def probabilities(model: Model, prompt: Ids) -> np.ndarray:
    logits = model.engine.logits(prompt).astype(np.float64)
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def reopened(model: Model, length: int, states: ChatStates) -> Callable[[], tuple[float, float]]:
    binding = state_binding(model)
    chat = turn(model, "user", passage(model, 0, length))
    prompt = (*chat, *turn(model, "user", encoded(model, QUESTION)))

    def once() -> tuple[float, float]:
        theirs = anew(model, prompt)
        model.engine.forget()
        model.engine.read(chat)
        state = model.engine.state()
        if state is None or not states.save("chat", state, binding, 60):
            raise UnequalWorkError("the state was not kept")
        model.engine.forget()
        began = time.perf_counter()
        found = states.load("chat", state_binding(model))
        if found is None:
            raise UnequalWorkError("the state was not found again")
        model.engine.restore(found)
        loading = time.perf_counter() - began
        drawn, last = first_token(model, prompt)
        if last.reused_tokens != len(chat):
            raise UnequalWorkError(f"{last.reused_tokens} tokens were used again, not {len(chat)}")
        return loading + drawn, theirs

    return once


def branch(model: Model, length: int) -> Callable[[], tuple[float, float]]:
    shared = turn(model, "user", passage(model, 0, length // 3))
    one, other = (
        (*shared, *turn(model, "assistant", passage(model, start, length * 2 // 3))) for start in (300, 900)
    )
    ask = turn(model, "user", encoded(model, QUESTION))

    def once() -> tuple[float, float]:
        theirs = anew(model, (*one, *ask))
        model.engine.forget()
        model.engine.read(one)
        model.engine.read(other)
        ours, last = first_token(model, (*one, *ask))
        if last.reused_tokens != len(one):
            raise UnequalWorkError(f"{last.reused_tokens} tokens were used again, not {len(one)}")
        return ours, theirs

    return once


def reroll(model: Model, length: int, singles: list[float]) -> Callable[[], tuple[float, float]]:
    prompt = turn(model, "user", passage(model, 0, length))

    def once() -> tuple[float, float]:
        theirs = anew(model, prompt)
        times = []
        for event in model.events(prompt, sampler=GreedyDecoding.replace(max_len_tokens=REPLY)):
            if isinstance(event, Token):
                times.append(time.perf_counter())
        if len(times) < REPLY:
            raise UnequalWorkError(f"the model ended its text before {REPLY} tokens")
        ours, _ = first_token(model, prompt)
        singles.append(ours / ((times[-1] - times[-1 - SINGLES]) / SINGLES))
        return ours, theirs

    return once


def measure(once: Callable[[], tuple[float, float]], rounds: int) -> list[tuple[float, float]]:
    return [once() for _ in range(rounds + 1)][1:]


def table(measured: dict[str, list[tuple[float, float]]]) -> Iterator[str]:
    widths = [12, 12, SPREAD_WIDTH + 6]
    yield line("first token", ["ours, ms", "anew, ms", "ours / anew"], widths)
    for name, pairs in measured.items():
        ours, theirs = zip(*pairs, strict=True)
        middle = [f"{statistics.median(times) * 1000:.1f}" for times in (ours, theirs)]
        yield line(name, [*middle, spread(ours, theirs)], widths)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument("--tokens", metavar="N", type=int, default=1500, help="length of the prompts (1,500)")
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="counted rounds (5)")
    arguments = parse(parser)
    if arguments.tokens < 400 or arguments.rounds < 1:
        parser.error("give at least 400 tokens and 1 round")
    return arguments


def measure_all(
    path: Path, length: int, rounds: int
) -> tuple[dict[str, list[tuple[float, float]]], list[float], list[float], str]:
    """Return the pairs of each situation, re-rolls in single tokens, divergences, and the conditions."""
    divergences: list[float] = []
    singles: list[float] = []
    model = load(path, length + ROOM)
    model.engine.shelf.budget = 1 << 30
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        situations = {
            "after an overflow": overflow(model, length, divergences),
            "reopened": reopened(model, length, ChatStates(Path(folder), 1 << 32)),
            "another branch": branch(model, length),
            "re-roll": reroll(model, length, singles),
        }
        for name, once in situations.items():
            print(name, file=sys.stderr, flush=True)
            measured[name] = measure(once, rounds)
    told = conditions(model)
    model.unload()
    return measured, singles[1:], divergences, told


def rows(model: Path, *, quick: bool) -> list[Row]:
    """Return what `all.py` writes of it."""
    length, rounds = (400, 1) if quick else (1500, 5)
    measured, _, divergences, _ = measure_all(model, length, rounds)
    shares = {name: [ours / theirs for ours, theirs in pairs] for name, pairs in measured.items()}
    how = f"`memory.py`, {rounds} rounds"
    return [
        most_row(
            "a turn after the context overflowed: first token, beside reading the kept prompt anew",
            *(0.05, shares["after an overflow"], how),
            digits=3,
        ),
        Row(
            "divergence of the next token's distribution after that from a full reading, nats",
            *(NO_TARGET, f"{statistics.median(divergences):.5f}", True, how),
        ),
        most_row(
            f"reopening a chat of {length:,} tokens and sending: first token, beside reading it anew",
            *(0.1, shares["reopened"], how),
            digits=3,
        ),
        Row(
            f"going to another branch of {length:,} tokens: first token, beside reading it anew",
            *(NO_TARGET, spread(*zip(*measured["another branch"], strict=True)), True, how),
        ),
    ]


def main() -> None:
    arguments = parse_arguments()
    try:
        measured, singles, divergences, told = measure_all(
            arguments.model, arguments.tokens, arguments.rounds
        )
    except (EasyLlamaError, UnequalWorkError) as error:
        sys.exit(f"not measured: {error}")
    print(*table(measured), sep="\n")
    print(f"a re-roll's first token, in single tokens: {spread(singles, [1.0] * arguments.rounds)}")
    print(f"divergence after an overflow: {statistics.median(divergences):.5f} nats")
    print(f"prompts of about {arguments.tokens:,} tokens; {told}")


if __name__ == "__main__":
    main()

"""What guessing from the text so far gains: the same replies with it, and by the bare loop.

Two kinds of replies: those that repeat some of their prompt (a text that is said again, corrected or quoted,
code that is changed), of the likeliest tokens; and free prose, drawn with `DefaultSampling`, which says
nothing twice if it can help it. The bare loop (see `easy_llama.bare_loop`) computes one token at a time, and
draws it in the same way.

In a round each reply is written once with guesses, and beside it the bare loop writes as many tokens from the
same prompt; they take turns in being the first, both from an empty cache. Rates are taken from the first
token to the last. The machine may be shared, so only the ratios matter: of each reply the median over the
rounds, and of these the median, the smallest and the largest.

What a reply says decides about its gain. The demo model is a small one, which repeats badly: a better one
that repeats word for word gains more.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from report import SPREAD_WIDTH, Row, UnequalWorkError, add_model, conditions, line, load, parse

from easy_llama import formats
from easy_llama.bare_loop import bare_loop
from easy_llama.errors import EasyLlamaError
from easy_llama.events import Finished, Token
from easy_llama.model import Model
from easy_llama.samplers import DefaultSampling, GreedyDecoding, SamplerSettings

TEXT = (
    "The lighthouse keeper climbed the stairs every evening before the sun went down. He carried a lamp in "
    "one hand and a can of oil in the other. From the gallery he could see the whole bay, the fishing boats "
    "that came home, and the long line of the reef where so many ships had been lost. In winter the wind "
    "shook the tower, and he sat awake until the morning, reading old letters from his sister, who lived in "
    "a town far from the sea."
)
CODE = """```python
def count_words(lines):
    counts = {}
    for line in lines:
        line = line.strip()
        if not line:
            continue
        for word in line.split():
            counts[word] = counts.get(word, 0) + 1
    return counts


def print_counts(counts):
    for word, count in sorted(counts.items()):
        print(word, count)
```"""
REPEATING = (
    f"Repeat this text word for word:\n\n{TEXT}",
    f"Correct the spelling of this text, and write it again:\n\n{TEXT}",
    f"Quote the second sentence and then the whole text:\n\n{TEXT}",
    f"Write this code again, with comments:\n\n{CODE}",
    f"Rename `counts` to `totals` in this code and write all of it:\n\n{CODE}",
)
PROSE = (
    "Tell me a story about a fox and a river.",
    "Why is the sky blue?",
    "Explain how a steam engine works.",
    "Write a short essay on friendship.",
    "Describe a city at night.",
    "Give me advice for learning the piano.",
)
LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What one prompt gave."""

    question: str
    n_tokens: int
    guessed: float
    """The share of the tokens that were guessed."""
    ratios: tuple[float, ...]
    """Its rate by that of the bare loop, of each round."""

    @property
    def ratio(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.ratios)


def prompt_of(model: Model, question: str) -> tuple[int, ...]:
    return tuple(model.tokenize(formats.wrap(question, formats.chatml)))


def write(model: Model, prompt: Sequence[int], sampler: SamplerSettings) -> tuple[int, float, Finished]:
    """Return how many tokens were written, the seconds from the first to the last, and the end."""
    times: list[float] = []
    end = None
    for event in model.events(prompt, sampler=sampler):
        if isinstance(event, Token):
            times.append(time.perf_counter())
        end = event
    assert isinstance(end, Finished)
    return len(times), times[-1] - times[0], end


def measure(model: Model, question: str, sampler: SamplerSettings, rounds: int) -> Reply:
    """Measure one reply; the first round warms up and does not count.

    Raises:
        UnequalWorkError: the reply is too short to be measured.
    """
    prompt = prompt_of(model, question)
    ratios = []
    n_tokens, guessed = 0, 0.0
    for number in range(rounds + 1):
        rates: dict[str, float] = {}
        for name in ("ours", "bare") if number % 2 and n_tokens else ("bare", "ours"):
            model.engine.forget()
            gc.collect()
            if name == "ours":
                n_tokens, seconds, end = write(model, prompt, sampler)
                if n_tokens < 8:
                    raise UnequalWorkError(f"the model wrote {n_tokens} tokens to: {question}")
                guessed = end.guessed_tokens / n_tokens
                rates[name] = (n_tokens - 1) / seconds
            else:
                run = bare_loop(model.llama, prompt, n_tokens or 8, sampler)
                rates[name] = (len(run.ids) - 1) / run.writing
        ratios.append(rates["ours"] / rates["bare"])
    return Reply(question, n_tokens, guessed, tuple(ratios[1:]))


def measure_all(model: Model, n_tokens: int, rounds: int, *, few: bool = False) -> dict[str, list[Reply]]:
    """Return the replies that repeat something, and those of free prose."""
    found: dict[str, list[Reply]] = {}
    for kind, questions, sampler in (
        ("repeating", REPEATING, GreedyDecoding),
        ("prose", PROSE, DefaultSampling.replace(seed=7)),
    ):
        for question in questions[:1] if few else questions:
            print(f"{kind}: {question[:40]!r}", file=sys.stderr, flush=True)
            found.setdefault(kind, []).append(
                measure(model, question, sampler.replace(max_len_tokens=n_tokens), rounds)
            )
    return found


def spread_of(replies: Sequence[Reply]) -> str:
    ratios = [reply.ratio for reply in replies]
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f})"


def table(found: dict[str, list[Reply]]) -> Iterator[str]:
    """Yield the lines of the result."""
    widths = [8, 10, SPREAD_WIDTH + 3]
    for kind, replies in found.items():
        yield line(kind, ["tokens", "guessed", "rate / bare loop"], widths)
        for reply in replies:
            ratios = f"{reply.ratio:.3f} ({min(reply.ratios):.3f}–{max(reply.ratios):.3f})"
            cells = [f"{reply.n_tokens}", f"{reply.guessed:.0%}", ratios]
            yield line(reply.question.partition("\n")[0][:19], cells, widths)
        yield line("of these", ["", "", spread_of(replies)], widths)


def rows(path: Path, *, quick: bool) -> list[Row]:
    """Return what `all.py` writes of it."""
    rounds = 1 if quick else 3
    with load(path, LONGEST, prompt_lookup=True) as model:
        found = measure_all(model, 16 if quick else 300, rounds, few=quick)
    repeating, prose = found["repeating"], found["prose"]
    how = f"`lookup.py`, {rounds} rounds"
    return [
        Row(
            f"prompt lookup, {len(repeating)} replies that repeat their prompt, against the bare loop",
            *("≥ 1.50", spread_of(repeating)),
            reached=statistics.median(reply.ratio for reply in repeating) >= 1.5,
            how=how,
        ),
        Row(
            f"the same, {len(prose)} replies in free prose: the least of them",
            *("≥ 0.97", spread_of(prose)),
            reached=min(reply.ratio for reply in prose) >= 0.97,
            how=how,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument("--tokens", metavar="N", type=int, default=300, help="of a reply at most (300)")
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="counted rounds (5)")
    arguments = parse(parser)
    if not 8 <= arguments.tokens <= LONGEST // 2 or arguments.rounds < 1:
        parser.error(f"give 8 to {LONGEST // 2} tokens, and at least 1 round")
    try:
        with load(arguments.model, LONGEST, prompt_lookup=True) as model:
            print(*table(measure_all(model, arguments.tokens, arguments.rounds)), sep="\n")
            print(conditions(model))
    except (EasyLlamaError, UnequalWorkError) as error:
        sys.exit(f"not measured: {error}")


if __name__ == "__main__":
    main()

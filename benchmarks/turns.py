"""What is read again: the last reply re-rolled, and the next turn of a chat of 1,500 tokens.

The chat is built by the app's own engine, without a screen: a prompt of some 1,500 tokens in the model's own
format, and a reply. It is re-rolled time after time; what is told is the time from the call to the first new
token, in single tokens: the mean of those that follow in the same reply. Then comes the next turn, with
another message after the reply, whose ids are known: how many of the tokens that it read were in the cache.
"""

import argparse
import gc
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from report import Row, UnequalWorkError, add_model, most_row, n_gpu_layers, parse

from easy_llama.events import CancelFlag, Finished, LiveSettings, Token
from easy_llama.prompt import Turn
from easy_llama.samplers import DefaultSampling
from easy_llama_tui.replies.engine import OWN_FORMAT, LoadOptions
from easy_llama_tui.replies.format_catalog import FormatCatalog
from easy_llama_tui.replies.local_engine import LocalEngine

CHAT = 1500
REPLY = 24
ROOM = 512


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, and what it took."""

    text: str
    ids: tuple[int, ...]
    first: float
    """Seconds from the call to the first token."""
    single: float
    """Seconds from one token to the next."""
    n_prompt: int
    n_reused: int


def write(engine: LocalEngine, turns: Sequence[Turn], seed: int) -> Reply:
    """Have the next message written."""
    prompt = engine.render(turns, OWN_FORMAT)
    sampler = DefaultSampling.replace(max_len_tokens=REPLY, seed=seed)
    gc.collect()
    texts, times = [], []
    started = time.perf_counter()
    for event in engine.generate(prompt, OWN_FORMAT, sampler, CancelFlag(), LiveSettings()):
        if isinstance(event, Token):
            times.append(time.perf_counter())
            texts.append(event.text)
        elif isinstance(event, Finished):
            texts.append(event.text)
            end = event
    if len(times) < REPLY // 2:
        raise UnequalWorkError(f"the model ended its reply after {len(times)} tokens")
    single = (times[-1] - times[0]) / (len(times) - 1)
    return Reply(
        *("".join(texts), end.ids, times[0] - started, single, end.prompt_tokens, end.reused_tokens),
    )


def measure(model: Path, rounds: int, n_chat: int = CHAT) -> tuple[list[Reply], int, int]:
    """Return the replies to the same turns, and of the next turn what was read and what of it was cached."""
    engine = LocalEngine(FormatCatalog({}))
    engine.load(LoadOptions(model, n_chat + ROOM, n_gpu_layers()), lambda share: True)
    words = "Tell me more of these: " + ", ".join(map(str, range(1, n_chat)))
    n_words = n_chat
    while len(engine.render([Turn("user", words[:n_words])], OWN_FORMAT).ids) < n_chat - 8:
        n_words += 8
    turns = [Turn("user", words[:n_words])]
    replies = []
    for seed in range(rounds + 1):
        print(f"  reply {seed} of {rounds}", file=sys.stderr, flush=True)
        replies.append(write(engine, turns, seed))
    held = engine._model.engine.cached_tokens
    turns += [Turn("bot", replies[-1].text, replies[-1].ids), Turn("user", "And then?")]
    asked = engine.render(turns, OWN_FORMAT).ids
    following = write(engine, turns, 1)
    engine.close()
    # The prompt's last token is read in any case: llama.cpp has no logits of what is in the cache only.
    pairs = zip(held, asked[:-1], strict=False)
    cached = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return replies[1:], following.n_prompt - following.n_reused, cached - following.n_reused


def rows(model: Path, *, quick: bool) -> list[Row]:
    """Return what `all.py` writes of it."""
    rounds, n_chat = (2, 200) if quick else (12, CHAT)
    replies, n_read, n_again = measure(model, rounds, n_chat)
    return [
        most_row(
            f"re-roll of the last reply in a chat of {n_chat:,} tokens: first token, in single tokens",
            *(2.0, [one.first / one.single for one in replies], f"`turns.py`, {rounds} re-rolls"),
        ),
        Row(
            "the next turn: tokens read that were in the cache before",
            *("0", f"{n_again} (of {n_read} that were read)", n_again == 0, "`turns.py`"),
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument("--quick", action="store_true", help="a short run, which shows that it works")
    arguments = parse(parser)
    try:
        for row in rows(arguments.model, quick=arguments.quick):
            print(f"{row.what}: {row.figure}, wanted {row.target}; {row.how}")
    except UnequalWorkError as error:
        sys.exit(f"not measured: {error}")


if __name__ == "__main__":
    main()

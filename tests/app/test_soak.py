"""A very long time of everything that a person does: nothing breaks, and nothing grows.

    SOAK_TURNS=2000 pytest tests/app/test_soak.py --long -s

It prints what the program holds, a line for each part of the run: memory, threads, files, widgets, and the
processor time of the screen's thread for a frame. SOAK_REPORT=FILE writes that to a file as well.
"""

import gc
import os
import random
import sys
import threading
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from support.gguf_bytes import SMALL
from support.memory import HAS_PROC
from support.quick_textual import draw_all
from support.running_app import RunApp, begin_chat
from support.soak import Frames, Held, PacedEngine, Soak

from easy_llama_tui.preferences.config import Config
from easy_llama_tui.replies.engine import ChatEngine, LoadOptions
from easy_llama_tui.replies.format_catalog import FormatCatalog
from easy_llama_tui.replies.local_engine import LocalEngine

MB = 1_000_000
SHELF = 20 * MB
"""Of copies of the KV cache, so many bytes at most."""
PARTS, FEW_PARTS = 10, 4
"""As often as this, in a long run and in a short one, it is looked at what the program holds."""


async def stay() -> None:
    """What takes the place of quitting."""


def stacks() -> str:
    """Return what each thread is at."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(ident)}:\n{''.join(traceback.format_stack(frame)[-6:])}"
        for ident, frame in sys._current_frames().items()
    )


async def soak(
    run_app: RunApp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: ChatEngine,
    turns: int,
    **changes: object,
) -> list[Held]:
    """Chat for so many turns, and return what the program held after each part."""
    monkeypatch.setenv("EDITOR", "false")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr("easy_llama_tui.replies.generation.BATCH_SECONDS", 0.045)
    (tmp_path / "one-Q4_0.gguf").write_bytes(SMALL)
    (tmp_path / "notes.txt").write_text("what is in the notes\n")
    draw_all(monkeypatch)
    monkeypatch.setattr("support.waiting.PATIENCE", 240.0)  # a long run shares the machine with others
    frames = Frames()
    frames.watch(monkeypatch)
    found: list[Held] = []
    thresholds = gc.get_threshold()
    chance = random.Random(int(os.environ.get("FUZZ_SEED", "1")))
    chat = begin_chat()
    chat.sampler = replace(chat.sampler, max_len_tokens=8)
    async with run_app(engine, chat, **changes) as running:
        quit_app = running.app.action_quit
        monkeypatch.setattr(running.app, "action_quit", stay)
        person = Soak(running, frames, chance)
        try:
            await person.warm_up()
            parts = PARTS if turns > 50 else min(FEW_PARTS, turns)
            for part in range(parts):
                while person.turns < turns * (part + 1) // parts:
                    await person.turn()
                found.append(await person.held())
                report(found[-1])
        except BaseException as error:
            error.add_note(f"after {person.turns} turns, the last keys: {person.done[-40:]}")
            error.add_note(f"{running.screen.turns.state}, {running.app.screen!r}\n{stacks()}")
            raise
        finally:
            gc.unfreeze()
            gc.set_threshold(*thresholds)
            monkeypatch.setattr(running.app, "action_quit", quit_app)
    return found


def report(held: Held) -> None:
    """Tell how the run goes, where one waits for that."""
    print(held, flush=True)
    if path := os.environ.get("SOAK_REPORT"):
        with Path(path).open("a", encoding="utf-8") as lines:
            lines.write(f"{held}\n")


def check_growth(found: list[Held], *, is_long: bool, come_and_go: int = 0) -> None:
    """Compare what was held after a fourth of the run with what was held at the end.

    By then all that is kept once is there, but for caches of a long run, which fill slowly.

    Args:
        found: what was held after each part.
        is_long: whether it was a long run.
        come_and_go: the bytes of what may be there at one look, and gone at another.
    """
    early, late = found[len(found) // 4], found[-1]
    grown = late.process - early.process
    # asyncio's own threads are made when they are first needed, and stay.
    both = f"{early}\n{late}"
    assert grown.threads <= 4 and grown.files <= 0, both
    assert late.mounted <= early.mounted + 4 and late.live_widgets <= early.live_widgets + 12, both
    assert grown.private < (16 * MB if is_long else 40 * MB) + come_and_go, both


def turns_of(request: pytest.FixtureRequest, short: int, long: int) -> tuple[int, bool]:
    is_long = bool(request.config.getoption("--long"))
    return int(os.environ.get("SOAK_TURNS", long if is_long else short)), is_long


@pytest.mark.long
@pytest.mark.skipif(not HAS_PROC, reason="this system has no /proc/self to look at")
async def test_nothing_grows_with_an_engine_of_500_tokens_a_second(
    run_app: RunApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    turns, is_long = turns_of(request, 12, 10_000)
    config = Config()
    config = replace(config, model=replace(config.model, folders=(str(tmp_path),)))
    engine = PacedEngine(longest=60 if is_long else 20)
    found = await soak(run_app, tmp_path, monkeypatch, engine, turns, config=config)
    check_growth(found, is_long=is_long)


@pytest.mark.long
@pytest.mark.skipif(not HAS_PROC, reason="this system has no /proc/self to look at")
async def test_nothing_grows_with_the_real_model(
    run_app: RunApp,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    model_path: Path,
) -> None:
    turns, is_long = turns_of(request, 2, 1_000)
    # What was read of other branches and chats is kept in memory, and would fill that for hundreds of turns.
    monkeypatch.setattr("easy_llama_tui.replies.local_engine._SHELF_BYTES", SHELF)
    options = LoadOptions(model_path, context_length=256, n_threads=1)
    engine = LocalEngine(FormatCatalog({}))
    found = await soak(run_app, tmp_path, monkeypatch, engine, turns, load_options=options)
    check_growth(found, is_long=is_long, come_and_go=SHELF)

"""Random keys over the whole app: whatever is pressed, and whenever, nothing breaks and nothing is lost."""

import os
import random
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from support.gguf_bytes import SMALL
from support.random_keys import Fuzz, check_saved, check_shown
from support.running_app import RunApp
from support.scripted_engine import ScriptedEngine

from easy_llama_tui.preferences.config import Config
from easy_llama_tui.replies.wording import ChatState

PART = 500
"""Keys that one app gets; a long run is many apps."""

CHECKED_EVERY = 25


def n_threads() -> int:
    """How many threads there are, without those that wait for work: their pool has a limit of its own."""
    return sum(not thread.name.startswith(("work", "asyncio")) for thread in threading.enumerate())


async def run(fuzz: Fuzz, count: int) -> None:
    running = fuzz.running
    await running.until_state(ChatState.IDLE)
    threads = n_threads()
    for number in range(1, count + 1):
        await fuzz.step()
        check_shown(running)
        if number % CHECKED_EVERY == 0:
            await fuzz.leave_what_is_open()
            await fuzz.end_reply()
            await running.pilot.pause()
            check_shown(running)
            await check_saved(running)
            # Each panel is made once; notices come and go.
            assert len(running.screen.query("*")) < 200
            assert len(running.app.screen_stack) == 1
    await running.until(lambda: n_threads() <= threads + 3)


@pytest.mark.long
async def test_nothing_breaks(
    run_app: RunApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    keys = 20_000 if request.config.getoption("--long") else 300
    first = int(os.environ.get("FUZZ_SEED", "1"))
    monkeypatch.setenv("EDITOR", "false")
    monkeypatch.delenv("VISUAL", raising=False)
    for name in ("one-Q4_0", "two-Q8_0"):
        (tmp_path / f"{name}.gguf").write_bytes(SMALL)
    (tmp_path / "notes.txt").write_text("what is in the notes\n")
    config = Config()
    config = replace(config, model=replace(config.model, folders=(str(tmp_path),)))
    for seed in range(first, first + -(-keys // PART)):
        async with run_app(ScriptedEngine(), config=config) as running:
            quit_app = running.app.action_quit

            async def stay() -> None:
                """Ctrl+C twice would end the run."""

            monkeypatch.setattr(running.app, "action_quit", stay)
            fuzz = Fuzz(running, random.Random(seed))
            try:
                await run(fuzz, min(keys, PART))
            except BaseException as error:
                error.add_note(f"FUZZ_SEED={seed}, the last keys: {fuzz.pressed[-40:]}")
                raise
            finally:
                monkeypatch.setattr(running.app, "action_quit", quit_app)

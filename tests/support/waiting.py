"""Waiting for what a running app comes to show."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

PATIENCE = 60.0
"""Seconds until what never happens fails a test; a busy machine may need many of them."""


LOOK_SECONDS = 0.005
"""Between two looks threads get on with their work."""


async def until(pilot: Pilot[Any], condition: Callable[[], object], seen: Callable[[], str] = str) -> None:
    """Wait until something is so; fail where it never is, with what is seen instead."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert pilot.app._exception is None, "the app has broken"
        assert time.monotonic() < deadline, f"never happened\n{seen()}"
        await pilot.pause()
        await asyncio.sleep(LOOK_SECONDS)

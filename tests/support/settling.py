"""Knowing when a running app has nothing left to do.

Textual's own pilot takes an app for idle where the process used little of the processor for some 20 ms: on
a busy machine that is also so while the app waits for its turn.
"""

import asyncio
from typing import Any

from textual._context import active_app
from textual.screen import Screen

_ROUNDS = 10_000


async def settle(min_sleep: float = 0, max_sleep: float = 1) -> None:
    """Wait until no task of the app can run and nothing waits to be drawn; timers may still be pending.

    Takes the place of Textual's `wait_for_idle`, whose arguments it has and needs not.
    """
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
        if ready:
            continue
        app = active_app.get()
        if app._resize_event is not None:
            await asyncio.sleep(0.001)  # Textual's own timer takes several changes of size together.
        elif app._screen_stack and _has_to_draw(app.screen):
            app.screen._on_timer_update()
        else:
            return
    raise AssertionError("the app is never idle")


def _has_to_draw(screen: Screen[Any]) -> bool:
    return bool(
        screen.is_current
        and not screen.app._batch_count
        and (
            screen._layout_required
            or screen._scroll_required
            or screen._repaint_required
            or screen._recompose_required
            or screen._dirty_widgets
            or screen._callbacks
        )
    )

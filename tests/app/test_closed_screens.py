"""What a screen takes of the memory is given back when it is closed."""

import gc

import pytest
from support.running_app import RunApp, Running
from textual._styles_cache import StylesCache
from textual.widget import Widget

from easy_llama_tui.replies.wording import ChatState

WAYS = {"help": ["f1"], "chats": ["ctrl+o"], "themes": ["/theme"]}


async def look(running: Running, way: list[str]) -> None:
    for step in way:
        if step.startswith("/"):
            running.screen.prompt.insert(step)
            step = "enter"
        await running.pilot.press(step)
    assert running.app.screen is not running.screen
    await running.pilot.press("escape")
    await running.until(lambda: running.app.screen is running.screen)


def held() -> tuple[int, int]:
    """Count the widgets that there are, and the pictures of widgets."""
    gc.collect()
    kinds = [type(one) for one in gc.get_objects()]
    return sum(issubclass(kind, Widget) for kind in kinds), sum(kind is StylesCache for kind in kinds)


@pytest.mark.parametrize("name", WAYS)
async def test_a_closed_screen_is_let_go(run_app: RunApp, name: str) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        await running.exchange("Hello", "Hi")
        found = []
        for times in (2, 6):
            for _ in range(times):
                await look(running, WAYS[name])
            found.append(held())
        # The last one may be in the hands of whoever closed it.
        (widgets, pictures), (widgets_later, pictures_later) = found
        assert widgets_later <= widgets + 12 and pictures_later <= pictures + 12, found

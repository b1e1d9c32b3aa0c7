"""What is seen first: drawn with little work, and just as it is drawn later."""

from collections import Counter

import pytest
from support.running_app import RunApp, Running
from textual.app import App
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode
from textual.widget import Widget

from easy_llama_tui.replies.wording import ChatState


def line_colour(running: Running) -> str:
    return running.screen.query_one("#writing").styles.border_top[1].hex


async def test_every_widget_is_styled_once_before_it_is_seen(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    styled: Counter[DOMNode] = Counter()
    first: list[Counter[DOMNode]] = []
    apply, display = Stylesheet.apply, App._display

    def counted(self: Stylesheet, node: DOMNode, **how: object) -> None:
        styled.update([node] if isinstance(node, Widget) else [])
        apply(self, node, **how)  # type: ignore[arg-type]

    def noted(self: App[None], *what: object) -> None:
        first.append(styled.copy())
        display(self, *what)  # type: ignore[arg-type]

    monkeypatch.setattr(Stylesheet, "apply", counted)
    monkeypatch.setattr(App, "_display", noted)
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        assert {running.screen, running.screen.prompt, running.screen.status_bar} <= first[0].keys()
        assert set(first[0].values()) == {1}
        seen = [(widget, widget.styles.css) for widget in running.screen.walk_children()]
        running.screen.update_node_styles(animate=False)
        assert seen == [(widget, widget.styles.css) for widget in running.screen.walk_children()]


async def test_the_line_above_the_prompt_tells_whether_it_has_the_focus(run_app: RunApp) -> None:
    async with run_app() as running:
        await running.until_state(ChatState.IDLE)
        focused = line_colour(running)
        running.screen.chat_log.focus()
        await running.until(lambda: line_colour(running) != focused)
        running.screen.prompt.focus()
        await running.until(lambda: line_colour(running) == focused)

"""A chat template that never ends: the app goes on, and Esc ends it."""

from collections.abc import Sequence

import pytest
from support.running_app import RunApp
from support.scripted_engine import ScriptedEngine
from support.whole_app import text, until_seen

from easy_llama import chat_template, formats, template_process
from easy_llama.prompt import Turn
from easy_llama_tui.replies.engine import OWN_FORMAT, RenderedPrompt
from easy_llama_tui.replies.wording import ChatState

ENDLESS = (
    "{% set n = namespace(a=[], b=[]) %}"
    "{% for i in range(99) %}{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}{% endfor %}{{ n.a == n.b }}"
)
SOURCE = (
    "{% for m in messages %}{% if 'never' in m.content %}"
    + ENDLESS
    + "{% endif %}{{ m.content }}{% endfor %}"
)


class TemplateEngine(ScriptedEngine):
    """Renders with a chat template, as the real one does."""

    def __init__(self) -> None:
        super().__init__()
        self.template = formats.from_chat_template(SOURCE, name="template")

    def render(
        self,
        turns: Sequence[Turn],
        format_name: str,
        *,
        opening: Turn | None = None,
        through: int | None = None,
    ) -> RenderedPrompt:
        if format_name == OWN_FORMAT:
            formats.build_prompt(self.template, turns)
        return super().render(turns, format_name, opening=opening, through=through)


async def test_esc_ends_it(run_app: RunApp, monkeypatch: pytest.MonkeyPatch) -> None:
    async with run_app(TemplateEngine()) as running:
        monkeypatch.setattr(chat_template, "MAX_SECONDS", 600.0)
        await running.until_state(ChatState.IDLE)
        await running.send("never")
        await running.until(lambda: running.screen.turns.state is not ChatState.IDLE)
        await running.until(lambda: template_process._current is not None)
        assert template_process._current is not None and template_process._current.is_alive
        await running.type("more")  # the screen is not held up
        assert running.screen.prompt.text == "more"
        await running.pilot.press("escape")
        await running.until_state(ChatState.IDLE)
        # And so is the thread that waited for it: the process is gone.
        await running.until(
            lambda: template_process._current is None or not template_process._current.is_alive
        )
        assert running.said[0] == ("user", "never")
        assert all(message.finish != "error" for message in running.path)


async def test_its_time_is_over_by_itself_and_another_format_is_named(
    run_app: RunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_app(TemplateEngine()) as running:
        monkeypatch.setattr(chat_template, "MAX_SECONDS", 0.1)
        await running.until_state(ChatState.IDLE)
        await running.send("never")
        await running.until(lambda: "takes longer" in text(running))
        said = " ".join(text(running).replace("▌", " ").split())
        assert "The chat template 'template' cannot render this conversation" in said
        assert "/format chooses another" in said
        await running.until_state(ChatState.IDLE)
        await running.send("/format")
        await until_seen(running, "Find a format")
        await running.pilot.press(*"chatml", "enter")
        await running.until(lambda: running.screen.chat.format == "chatml")
        await running.pilot.press("escape")
        await running.exchange("never again", "Hello ")
        assert running.said[-2:] == [("user", "never again"), ("bot", "Hello ")]

"""What an import brings along, each seen in an interpreter of its own."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from textual.message import Message
from textual.message_pump import MessagePump

from easy_llama_tui.replies import messages
from easy_llama_tui.screens import token_screen
from easy_llama_tui.screens.chat_screen import ChatScreen
from easy_llama_tui.widgets import candidates_panel, context_panel, format_panel, sampler_panel

LIST_MODULES = "import json, sys; print(json.dumps(sorted(sys.modules)))"

LATER = {
    "easy_llama.events",
    "easy_llama.formats",
    "easy_llama.prompt",
    "easy_llama_tui.chats.session",
    "easy_llama_tui.chats.session_store",
    "easy_llama_tui.chats.session_writer",
    "easy_llama_tui.clipboard",
    "easy_llama_tui.commands",
    "easy_llama_tui.drafts.external_editor",
    "easy_llama_tui.last_words",
    "easy_llama_tui.models.memory_check",
    "easy_llama_tui.replies.engine_worker",
    "easy_llama_tui.replies.generation",
    "easy_llama_tui.replies.inspection",
    "easy_llama_tui.replies.local_engine",
    "easy_llama_tui.replies.messages",
    "easy_llama_tui.screens.chat_switch",
    "easy_llama_tui.screens.chats_screen",
    "easy_llama_tui.screens.edit_screen",
    "easy_llama_tui.screens.help_screen",
    "easy_llama_tui.screens.memory_screen",
    "easy_llama_tui.screens.message_actions",
    "easy_llama_tui.screens.model_screen",
    "easy_llama_tui.screens.palette",
    "easy_llama_tui.screens.panel_desk",
    "easy_llama_tui.screens.recovery_screen",
    "easy_llama_tui.screens.saving_desk",
    "easy_llama_tui.screens.theme_screen",
    "easy_llama_tui.widgets.candidates_panel",
    "easy_llama_tui.widgets.context_panel",
    "easy_llama_tui.widgets.format_panel",
    "easy_llama_tui.widgets.row_list",
    "easy_llama_tui.widgets.sampler_panel",
    "easy_llama_tui.widgets.standing_notice",
    "hashlib",
    "jinja2",
    "llama_cpp",
    "logging.handlers",
    "markdown_it",
    "numpy",
    "pygments",
    "rich.markdown",
    "rich.syntax",
    "secrets",
}
"""What the first picture of a new chat does not wait for."""


def loaded_after(statement: str) -> set[str]:
    """Return the names of all modules that are loaded after a statement."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}; {LIST_MODULES}"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "module",
    [
        "easy_llama",
        "easy_llama_tui.app",
        "easy_llama_tui.launch",
        "easy_llama_tui.program",
        "easy_llama_tui.replies.local_engine",
        "easy_llama_tui.screens.chat_screen",
        "easy_llama_tui.__main__",
    ],
)
def test_what_draws_the_first_screen_loads_no_llama_cpp(module: str) -> None:
    loaded = loaded_after(f"import {module}")
    assert module in loaded
    assert loaded.isdisjoint({"llama_cpp", "numpy"})


def test_the_guard_forks_before_anything_heavy_is_loaded() -> None:
    loaded = loaded_after("import easy_llama_tui.__main__")
    assert "easy_llama_tui.guard" in loaded
    assert loaded.isdisjoint({"argparse", "dataclasses", "easy_llama", "logging", "textual", "typing"})


def test_the_library_loads_no_screen() -> None:
    loaded = {name.partition(".")[0] for name in loaded_after("import easy_llama.model, easy_llama.thread")}
    assert "llama_cpp" in loaded
    assert loaded.isdisjoint({"textual", "rich", "easy_llama_tui"})


@pytest.mark.parametrize(
    ("given", "count"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_threads_are_told_to_wait_briefly_unless_the_person_says_otherwise(
    given: dict[str, str], count: str | None
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP", "OMP"))}
    done = subprocess.run(
        [sys.executable, "-c", "import easy_llama, os; print(os.environ.get('GOMP_SPINCOUNT'))"],
        env=environment | given,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == str(count), done.stderr


DRAW = """
import asyncio
import gc
gc.disable()
from pathlib import Path
from easy_llama.samplers import DefaultSampling
from easy_llama_tui import program
from easy_llama_tui.app import EzllamaApp
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.labels import ModelReference
from easy_llama_tui.launch import look_around
from easy_llama_tui.settings import Settings

def begin():
    model = ModelReference("/models/tiny-Q4_0.gguf", "tiny")
    return Chat(model=model, format="template", preset_name="DefaultSampling", sampler=DefaultSampling)

def not_yet():
    raise AssertionError("this is not needed for the first picture")

async def draw():
    config = look_around().config
    app = EzllamaApp(not_yet, not_yet, begin(), Settings(config=config, load_options=None, begin_chat=begin))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("h", "i")
        rows = ["".join(segment.text for segment in row) for row in app.screen._compositor.render_strips()]
        picture = "\\n".join(rows)
        assert "DefaultSampling" in picture and "> hi" in picture and "quit" in picture, picture
        assert gc.isenabled() and gc.get_freeze_count()
        print(json.dumps(sorted(sys.modules)))
        print(json.dumps(compiled()))
        app.exit()

def compiled():
    # The dataclasses of ours whose methods were compiled.
    ours = [module for name, module in sys.modules.items() if name.startswith("easy_llama")]
    found = [one for module in ours for one in vars(module).values() if isinstance(one, type)]
    found += [one for outer in found for one in vars(outer).values() if isinstance(one, type)]
    usual = [one for one in found if getattr(getattr(one, "__dataclass_params__", None), "repr", False)]
    return sorted({one.__qualname__ for one in usual if one.__module__.startswith("easy_llama")})

import json, sys
asyncio.run(draw())
"""


def test_a_new_chat_is_drawn_and_takes_typing_without_what_can_come_later() -> None:
    done = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, timeout=120)
    assert done.stdout, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[0]))
    assert "easy_llama_tui.screens.chat_screen" in loaded
    assert loaded & LATER == set()
    # Each costs as much as a module: what the first picture needs is a `Record`, a message has an `__init__`.
    assert json.loads(done.stdout.splitlines()[1]) == ["GGUFArray", "Settings"]


# Handlers by Textual's names, whose messages are in modules that come later


def messages_in(*modules: object) -> Iterator[type[Message]]:
    """All messages that are defined in modules, those in their classes included."""
    for module in modules:
        for _, found in inspect.getmembers(module, inspect.isclass):
            if found.__module__ not in {getattr(module, "__name__", ""), getattr(module, "__module__", "")}:
                continue
            if issubclass(found, Message):
                yield found
            elif issubclass(found, MessagePump):
                yield from messages_in(found)


OPENED = (candidates_panel, context_panel, format_panel, sampler_panel, token_screen)


def test_handlers_of_what_comes_later_have_the_names_that_textual_looks_for() -> None:
    known = {found.handler_name for found in messages_in(messages, *OPENED)}
    by_name = {
        name.removeprefix("_")
        for name, member in vars(ChatScreen).items()
        if name.startswith("_on_") and not hasattr(member, "_textual_on")
    }
    told = {found.handler_name for found in messages_in(messages)}
    assert by_name - known == set(), "no message has this handler's name"
    assert told - by_name == set(), "nothing handles this message"

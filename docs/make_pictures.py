"""Make the pictures of the documentation: the real program, on the demo model, drawn as SVG.

python docs/make_pictures.py [NAME ...]
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from textual.pilot import Pilot

from easy_llama_tui import locations
from easy_llama_tui.app import EzllamaApp
from easy_llama_tui.arguments import build_parser
from easy_llama_tui.chats.session_store import SessionStore
from easy_llama_tui.launch import demo_model, look_around, open_chat, prepare
from easy_llama_tui.preferences import remembered
from easy_llama_tui.replies.local_engine import LocalEngine
from easy_llama_tui.replies.wording import ChatState
from easy_llama_tui.settings import Settings

HERE = Path(__file__).parent
SIZE = (110, 32)
OPTIONS = ["--seed", "7"]
CONFIG = """\
[model]
folders = ["~/models"]
"""
PALINDROME = "Write a Python function that checks whether a word is a palindrome."
QUESTIONS = (
    "Describe the sea in two sentences.",
    "Write a haiku about rain.",
    "Tell me something nice about cats, in two sentences.",
    "How does a bicycle stay upright?",
    "What is a prime number?",
    "Describe a winter morning in two sentences.",
)


class Visit:
    """The program while it runs, and what a person does in it."""

    def __init__(self, app: EzllamaApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something."""
        while not is_so():
            await self.pilot.pause(0.05)

    async def idle(self) -> None:
        """Wait until nothing is loaded, read or written, and all of it is on the screen."""
        await self.pilot.pause(0.2)
        await self.until(lambda: self.app.chat_screen.turns.state is ChatState.IDLE)
        await self.pilot.pause(1.0)

    async def press(self, *keys: str) -> None:
        """Press keys, and wait for what they do."""
        await self.pilot.press(*keys)
        await self.idle()

    async def say(self, text: str) -> None:
        """Send a message, and wait for the reply."""
        self.app.chat_screen.prompt.insert(text)
        await self.press("enter")

    def text(self) -> str:
        """Return what is on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in line) for line in strips)

    def draw(self, name: str) -> None:
        """Write down what is seen."""
        picture = self.app.export_screenshot(title="ezllama-tui")
        (HERE / f"{name}.svg").write_text(picture, encoding="utf-8")


@asynccontextmanager
async def visit(*options: str, theme: str = "", size: tuple[int, int] = SIZE) -> AsyncIterator[Visit]:
    """Start the program, and leave it at the end."""
    store = SessionStore(locations.sessions_folder())
    around = look_around()
    if theme:
        appearance = replace(around.config.appearance, theme=theme)
        around = replace(around, config=replace(around.config, appearance=appearance))
    arguments = build_parser().parse_args([*OPTIONS, *options])
    launch = prepare(arguments, lambda: store, around)
    settings = Settings(
        config=around.config,
        load_options=launch.options,
        begin_chat=launch.begin_chat,
        catalog=around.catalog,
        presets=around.presets,
        presets_folder=locations.presets_folder(),
        state_file=locations.state_file(),
        index_file=locations.index_file(),
    )
    chat = open_chat(launch, arguments, around)
    app = EzllamaApp(lambda: LocalEngine(around.catalog), lambda: store, chat, settings)
    async with app.run_test(size=size) as pilot:
        one = Visit(app, pilot)
        await one.idle()
        yield one
        await app.action_quit()


async def draw_chat() -> None:
    """A reply, and another one beside it."""
    async with visit("--seed", "5") as one:
        await one.say(PALINDROME)
        await one.press("ctrl+r")
        one.draw("chat")


async def draw_candidates() -> None:
    """What could come next, where a reply was ended early by a preset of one's own."""
    locations.presets_folder().mkdir()
    (locations.presets_folder() / "Brief.toml").write_text("max_len_tokens = 14\n", encoding="utf-8")
    async with visit("--sampler", "Brief") as one:
        await one.press("f5")
        await one.say(QUESTIONS[2])
        one.draw("candidates")


async def draw_sampler() -> None:
    """A setting that differs from the preset's."""
    async with visit() as one:
        await one.say("Tell me something nice about cats, in two sentences.")
        await one.press("f4", *["down"] * 4, "right", "right")
        one.draw("sampler")


async def draw_context() -> None:
    """A chat that has outgrown its context, with a message that is pinned."""
    async with visit("--context-length", "512", theme="ezllama-light") as one:
        await one.say(QUESTIONS[0])
        await one.press("up", "home", "p", "escape", "f9")
        for question in QUESTIONS[1:]:
            await one.say(question)
        one.draw("context")


async def draw_format() -> None:
    """The prompt, token by token; what was written stays text."""
    async with visit("--system", "You are terse.", theme="catppuccin-mocha") as one:
        one.app.chat_screen.prompt.insert("What does <|im_end|> mean?")
        await one.press("f2", *["down"] * 2)
        one.draw("format")


async def draw_models() -> None:
    """The models on this disk."""
    async with visit(size=(110, 18)) as one:
        await one.press("f3")
        one.draw("models")


async def draw_chats() -> None:
    """The chats that hold a word."""
    for question in QUESTIONS:
        async with visit() as one:
            await one.say(question)
    async with visit() as one:
        await one.press("ctrl+o")
        await one.press(*"the")
        one.draw("chats")


async def draw_message_mode() -> None:
    """One message of a chat, which keys are for."""
    async with visit() as one:
        for question in QUESTIONS[2:5]:
            await one.say(question)
        await one.press("up", "up", "up")
        one.draw("message-mode")


async def draw_tokens() -> None:
    """A reply token by token, at the one that the model was least sure of."""
    async with visit() as one:
        await one.say(QUESTIONS[0])
        await one.press("up", "t")
        await one.until(lambda: "perplexity" in one.text())
        await one.press("n")
        await one.until(lambda: "candidates survive" in one.text())
        await one.press("c")
        one.draw("tokens")


async def draw_tree() -> None:
    """A chat with alternatives and a branch that has a name."""
    async with visit(size=(110, 18)) as one:
        await one.say(QUESTIONS[2])
        await one.press("ctrl+r")
        await one.say(QUESTIONS[3])
        await one.press("ctrl+r", "up", "home", "j", "b")
        await one.say(QUESTIONS[4])
        await one.press("f7", "end", "n", *"primes", "enter")
        one.draw("tree")


PICTURES: dict[str, Callable[[], Awaitable[None]]] = {
    "chat": draw_chat,
    "candidates": draw_candidates,
    "sampler": draw_sampler,
    "context": draw_context,
    "format": draw_format,
    "models": draw_models,
    "chats": draw_chats,
    "message-mode": draw_message_mode,
    "tokens": draw_tokens,
    "tree": draw_tree,
}


def main(names: list[str]) -> None:
    """Draw pictures, each in a home folder of its own."""
    model = demo_model()
    if model is None:
        sys.exit("The demo model is missing: pip install '.[demo]'")
    for name in list(os.environ):
        if name.startswith(("XDG_", "HF_", "OLLAMA_", "NO_COLOR")):
            del os.environ[name]
    # With a name that does not change, because one picture shows it.
    home = Path(tempfile.gettempdir()) / "ezllama-home"
    os.environ.update(HOME=str(home), TERM="xterm-256color", COLORTERM="truecolor")
    for name in names or PICTURES:
        home.mkdir(mode=0o700)
        try:
            move_in(home, model)
            asyncio.run(PICTURES[name]())
        finally:
            shutil.rmtree(home)


def move_in(home: Path, model: Path) -> None:
    """Put into a home folder what its person has."""
    (home / "models").mkdir()
    (home / "models" / model.name).symlink_to(model)
    locations.config_folder().mkdir(parents=True)
    locations.config_file().write_text(CONFIG, encoding="utf-8")
    remembered.update(locations.state_file(), hint_seen=True)


if __name__ == "__main__":
    main(sys.argv[1:])

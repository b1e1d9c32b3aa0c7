"""Make the pictures that the README shows: the real program, on the demo model, drawn as SVG.

python docs/make_pictures.py
"""

import asyncio
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from easy_llama_tui.app import EzllamaApp
from easy_llama_tui.arguments import build_parser
from easy_llama_tui.launch import open_chat, prepare
from easy_llama_tui.local_engine import LocalEngine
from easy_llama_tui.session_store import SessionStore
from easy_llama_tui.wording import ChatState

HERE = Path(__file__).parent
QUESTION = "Write a Python function that checks whether a word is a palindrome."


async def idle(app: EzllamaApp, pilot: Pilot[None]) -> None:
    """Wait until nothing is loaded, read or written."""
    await pilot.pause(0.2)
    while app.chat_screen.turns.state is not ChatState.IDLE:
        await pilot.pause(0.1)


async def chat(folder: Path) -> None:
    """Ask, re-roll, and draw what is seen."""
    store = SessionStore(folder)
    arguments = build_parser().parse_args(["--seed", "5"])
    launch = prepare(arguments, store)
    app = EzllamaApp(LocalEngine(launch.options), store, open_chat(launch, arguments), launch.begin_chat)
    async with app.run_test(size=(100, 30)) as pilot:
        await idle(app, pilot)
        app.chat_screen.prompt.insert(QUESTION)
        await pilot.press("enter")
        await idle(app, pilot)
        await pilot.press("ctrl+r")
        await idle(app, pilot)
        await pilot.pause(0.5)
        (HERE / "chat.svg").write_text(app.export_screenshot(title="ezllama-tui"), encoding="utf-8")
        await app.action_quit()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(chat(Path(name)))

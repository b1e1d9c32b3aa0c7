"""Loading the real model is stopped by a key, and done after all."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.terminal import SUM, Start

if TYPE_CHECKING:
    from conftest import Gate


@pytest.mark.parametrize("key", ["esc", "ctrl+c"])
def test_a_key_stops_loading_and_the_model_is_loaded_after_all(
    open_chat: Start, model_path: Path, gate: "Gate", key: str
) -> None:
    terminal = open_chat(environment=gate.environment)
    terminal.until("Esc stop loading")
    terminal.keys(key)
    terminal.until("no model · F3 chooses one")
    if key == "esc":
        terminal.keys("f3")
        terminal.until("Models")
        terminal.paste(str(model_path))
        terminal.until("▸ Open")
        terminal.keys("enter")
        terminal.until("loading SmolLM2")
        terminal.until(gate.open)
        terminal.until("8,192 tokens")
        terminal.send(SUM)
        terminal.until_answered()
        assert "The answer is 4" in terminal.chat
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0

"""`--bench` in a terminal."""

import re
from pathlib import Path

from support.terminal import UNTOUCHED_MODES, Start, untouched_attributes


def test_ctrl_c_ends_it_with_the_terminal_as_it_was(start: Start, model_path: Path) -> None:
    terminal = start("--bench", model_path, "--threads", "1")
    terminal.until(re.compile("warming up|round"))
    terminal.keys("ctrl+c")
    assert terminal.wait() == 130
    assert terminal.modes == UNTOUCHED_MODES
    assert terminal.attributes == untouched_attributes()
    assert any("stopped" in line for line in terminal.last_words)
    assert b"Traceback" not in terminal.raw

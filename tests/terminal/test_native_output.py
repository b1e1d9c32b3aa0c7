"""llama.cpp writes to file descriptors of its own accord; none of it may reach the screen."""

import re

import pytest
from support.terminal import SUM, Start

from easy_llama_tui import locations

LLAMA_CPP_SAYS = ("llama_model_loader", "print_info", "ggml_", "llama_context", "load_tensors")


@pytest.mark.parametrize("verbose", [False, True])
def test_nothing_that_llama_cpp_says_is_on_the_screen(open_chat: Start, *, verbose: bool) -> None:
    terminal = open_chat(*["--verbose"] * verbose)
    terminal.send(SUM)
    terminal.until_answered()
    terminal.keys("ctrl+q")
    assert terminal.wait() == 0
    written = terminal.raw.decode()
    assert [word for word in LLAMA_CPP_SAYS if word in written] == []
    # The file is made with its first line.
    log = locations.log_file().read_text() if locations.log_file().exists() else ""
    if verbose:
        assert {"llama_model_loader", "print_info", "llama_context"} <= set(re.findall(r"\w+", log))
        assert terminal.last_words == [f"llama.cpp's log: {locations.log_file()}"]
    else:
        assert "print_info" not in log
        assert terminal.last_words == []

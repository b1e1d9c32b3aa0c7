"""What an import brings along, each seen in an interpreter of its own."""

import json
import subprocess
import sys

import pytest

LIST_MODULES = "import json, sys; print(json.dumps(sorted(sys.modules)))"


def modules_after(statement: str) -> set[str]:
    """Return the top-level names of all modules that are loaded after a statement."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}; {LIST_MODULES}"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "module",
    [
        "easy_llama",
        "easy_llama_tui.app",
        "easy_llama_tui.launch",
        "easy_llama_tui.replies.local_engine",
        "easy_llama_tui.screens.chat_screen",
        "easy_llama_tui.__main__",
    ],
)
def test_what_draws_the_first_screen_loads_no_llama_cpp(module: str) -> None:
    loaded = modules_after(f"import {module}")
    assert "easy_llama" in loaded
    assert loaded.isdisjoint({"llama_cpp", "numpy"})


def test_the_library_loads_no_screen() -> None:
    loaded = modules_after("import easy_llama.model, easy_llama.thread")
    assert "llama_cpp" in loaded
    assert loaded.isdisjoint({"textual", "rich", "easy_llama_tui"})

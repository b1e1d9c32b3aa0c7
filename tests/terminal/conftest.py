import errno
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from support.talking_program import TalkingServer
from support.terminal import ServedTerminal, Start, Terminal, program

from easy_llama_tui import locations
from easy_llama_tui.chats.session_store import SessionStore

GATE = """
import importlib, os, sys
open(os.environ["LLAMA_CPP_GATE"]).close()  # waits until the other end is opened
sys.path.remove(os.path.dirname(os.path.dirname(__file__)))
del sys.modules[__name__]
importlib.import_module(__name__)
"""


@pytest.fixture
def run() -> Iterator[Callable[..., Terminal]]:
    """Runs a command in a terminal, and ends it with the test."""
    terminals: list[Terminal] = []

    def run_command(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Terminal:
        terminal = Terminal(list(map(str, command)), {**os.environ, **(environment or {})})
        terminals.append(terminal)
        return terminal

    yield run_command
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def start(run: Callable[..., Terminal]) -> Start:
    """Starts the program in a terminal, and ends it with the test."""

    def start_program(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Terminal:
        return run([*program(), *arguments], environment)

    return start_program


@pytest.fixture
def talk_log(tmp_path: Path) -> Path:
    """What the engine of `talk` says is written here."""
    return tmp_path / "talk"


@pytest.fixture
def talking(model_path: Path, talk_log: Path) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of the program with an engine that talks by itself."""
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "TALK_LOG": str(talk_log)}
    return [sys.executable, "-m", "support.talking_program", str(model_path)], environment


@pytest.fixture
def talk(run: Callable[..., Terminal], talking: tuple[list[str], dict[str, str]]) -> Start:
    """Starts the program with an engine that talks by itself, and waits for its first screen."""
    command, own = talking

    def start_talking(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Terminal:
        terminal = run([*command, *arguments], {**own, **(environment or {})})
        terminal.until_drawn()
        return terminal

    return start_talking


@pytest.fixture(scope="session")
def talking_server() -> Iterator[TalkingServer]:
    """What starts the program without loading it anew."""
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    server = TalkingServer({**os.environ, "PYTHONPATH": os.pathsep.join(paths)})
    yield server
    server.close()


@pytest.fixture
def talk_at_once(talking_server: TalkingServer, model_path: Path, talk_log: Path) -> Iterator[Start]:
    """Starts the program as `talk` does, in a process that has loaded it already."""
    terminals: list[Terminal] = []

    def start_talking(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Terminal:
        own = {**os.environ, "TALK_LOG": str(talk_log), **(environment or {})}
        terminal = ServedTerminal(talking_server, [str(model_path), *map(str, arguments)], own)
        terminals.append(terminal)
        terminal.until_drawn()
        return terminal

    yield start_talking
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def open_chat(start: Start, model_path: Path) -> Start:
    """Starts the program with the demo model, and waits for its first screen."""

    def open_program(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Terminal:
        # Two threads of llama.cpp wait for each other, for ever so long where other programs compute too.
        options = ("--threads", "1", "--sampler", "GreedyDecoding")
        terminal = start(model_path, *options, *arguments, environment=environment)
        terminal.until_drawn()
        return terminal

    return open_program


@pytest.fixture
def store() -> SessionStore:
    return SessionStore(locations.sessions_folder())


class Gate:
    """Stands before `import llama_cpp`: whoever imports it waits until the gate is opened."""

    def __init__(self, folder: Path) -> None:
        self._fifo = folder / "gate"
        os.mkfifo(self._fifo)
        package = folder / "packages" / "llama_cpp"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(GATE)
        paths = [str(package.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {"PYTHONPATH": os.pathsep.join(paths), "LLAMA_CPP_GATE": str(self._fifo)}

    def open(self) -> bool:
        """Let through who waits; return False where nobody does yet."""
        try:
            os.close(os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return False
        return True


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)

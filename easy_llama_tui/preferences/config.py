"""The person's configuration: what can be set, and the file that says so.

What a field's metadata says of a setting is all there is: the reader, its errors and the written-out file
are made from it.
Nothing in a configuration stops the program: what is wrong is reported, and its default used.
"""

import argparse
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal

from easy_llama.cache_types import CACHE_TYPES, DEFAULT_CACHE_TYPE
from easy_llama.prompt_lookup import LOOKUP_CHOICES
from easy_llama.record import Record
from easy_llama_tui.preferences.config_values import (
    Choice,
    FilePath,
    Folders,
    Kind,
    Text,
    Whole,
    YesNo,
    clipped,
    nearest,
    printable_line,
    shown,
)
from easy_llama_tui.preferences.keymap import KeyBindings, effective_bindings
from easy_llama_tui.replies.engine import OWN_FORMAT

MAX_CANDIDATES: Final = 100
"""The most candidates that are shown."""

_MAX_BYTES: Final = 1 << 20
_MAX_UNKNOWN: Final = 20
"""Unknown names that are reported one by one; a file full of them is no configuration."""


def _setting(default: object, kind: Kind, doc: str, option: str = "") -> Any:
    return field(default=default, metadata={"kind": kind, "doc": doc, "option": option})


class ModelConfig(Record):
    """Which model, and how it is loaded."""

    path: str = _setting(
        "", FilePath(), 'The model to begin with; "" is the one of the last chat, else the demo model.'
    )
    folders: tuple[str, ...] = _setting(
        (), Folders(), "Where to look for models, beside the folders of programs that download them."
    )
    context_length: int | None = _setting(
        None,
        Whole(1, automatic=True, zero_is_automatic=True),
        "Tokens that the context holds. Automatic: the model's own, or what fits the free memory.",
        "context_length",
    )
    n_gpu_layers: int | None = _setting(
        None,
        Whole(-1, automatic=True),
        "Layers on the GPU; -1 is all, 0 none. Automatic: all where this build has GPU support.",
        "n_gpu_layers",
    )
    offload_kqv: bool = _setting(
        True, YesNo(), "Whether the KV cache is on the GPU too.", option="no_offload_kqv"
    )
    flash_attn: bool = _setting(False, YesNo(), "Whether Flash Attention is used.", "flash_attn")
    threads: int | None = _setting(
        None,
        Whole(1, automatic=True, zero_is_automatic=True),
        "Threads that compute. Automatic: as many as the machine has use for.",
        "threads",
    )
    n_batch: int | None = _setting(
        None,
        Whole(1, automatic=True, zero_is_automatic=True),
        "At most how many tokens of a prompt are computed at once. Automatic: 512.",
        "n_batch",
    )
    cache_type_k: str = _setting(
        DEFAULT_CACHE_TYPE,
        Choice(CACHE_TYPES),
        "What the keys of the KV cache are kept in; q8_0 takes about half the memory of f16.",
        "cache_type_k",
    )
    cache_type_v: str = _setting(
        DEFAULT_CACHE_TYPE,
        Choice(CACHE_TYPES),
        "What its values are kept in; all but f32 and f16 need flash_attn.",
        "cache_type_v",
    )
    prompt_lookup: str = _setting(
        "auto",
        Choice(tuple(LOOKUP_CHOICES)),
        "Whether tokens are guessed from the text so far, to compute several at once: replies that repeat "
        "some of it come faster. Automatic: on the processor, where the model is none of experts.",
        "prompt_lookup",
    )
    draft_model: str = _setting(
        "",
        FilePath(),
        "A small model of the same vocabulary that guesses what comes next, to compute several tokens at "
        'once; "" is none.',
    )
    state_cache_gb: int = _setting(
        2,
        Whole(0, 1_000_000),
        "Gigabytes on the disk for what the model has read of chats, by which one that is opened again goes "
        "on at once; those used last are kept. 0 keeps none.",
    )


class ChatConfig(Record):
    """What new chats begin with."""

    format: str = _setting(
        OWN_FORMAT,
        Text(),
        f'The prompt format; "{OWN_FORMAT}" is the model\'s own chat template.',
        "format",
    )
    sampler: str = _setting("DefaultSampling", Text(), "The sampler preset.", "sampler")
    system: str = _setting("", Text(), "The system message; none where it is empty.", "system")
    context_policy: Literal["drop-oldest", "keep-first", "stop"] = _setting(
        "drop-oldest",
        Choice(("drop-oldest", "keep-first", "stop")),
        "What a full context does: leave out the oldest messages, leave them out but keep the first "
        "exchange, or stop and say so.",
    )


class AppearanceConfig(Record):
    """How the app looks."""

    theme: str = _setting(
        "ezllama-dark",
        Text(),
        "The colours: a theme that comes along, or the name of a file in the folder of your own themes.",
    )
    reasoning: Literal["folded", "open"] = _setting(
        "folded", Choice(("folded", "open")), "How a model's reasoning is shown at first."
    )
    panel_width: int = _setting(40, Whole(24, 80), "The width of the side panel, in columns.")
    mouse: bool = _setting(
        True,
        YesNo(),
        "Whether the app uses the mouse. Without it the terminal selects text in its own way.",
    )


class CandidatesConfig(Record):
    """The panel of candidates for the next token."""

    count: int = _setting(10, Whole(1, MAX_CANDIDATES), "How many are shown.")


class Config(Record):
    """All settings; as it is made without arguments, the defaults."""

    model: ModelConfig = field(default_factory=ModelConfig)
    chat: ChatConfig = field(default_factory=ChatConfig)
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    candidates: CandidatesConfig = field(default_factory=CandidatesConfig)
    keys: KeyBindings = field(default_factory=KeyBindings)
    """The bindings as they are in effect."""


class Setting(Record):
    """One setting, as the reader and the written-out file see it."""

    section: str
    key: str
    default: object
    kind: Kind
    doc: str
    option: str = ""
    """The command line's name for it ("dest"), "no_…" where that switches it off; "" for none."""


class ConfigProblem(Record):
    """Something in the file that was left out; as text it is one line."""

    file: Path
    section: str
    """The table; "" where the problem is not in one."""

    key: str
    """The key in it; "" for all of it."""

    reason: str
    """What is wrong, what is allowed, and what is used instead."""

    def __str__(self) -> str:
        key = clipped(self.key)
        place = f"[{self.section}] {key}".rstrip() if self.section else key
        return printable_line(": ".join(part for part in (self.file.name, place, self.reason) if part))


class LoadedConfig(Record):
    """A configuration as it was read."""

    config: Config
    problems: tuple[ConfigProblem, ...] = ()
    given: frozenset[tuple[str, str]] = frozenset()
    """The settings, as (section, key), that the file decides, without the keys."""


def settings() -> tuple[Setting, ...]:
    """Return every setting but the keys, in the order of the written-out file."""
    return tuple(
        Setting(section.name, entry.name, entry.default, **entry.metadata)
        for section in fields(Config)
        if section.name != "keys"
        for entry in fields(getattr(Config(), section.name))
    )


def load_config(path: Path) -> LoadedConfig:
    """Return the configuration in a TOML file, and what is wrong with it; never raises.

    A missing file is the defaults. In a file that is not TOML nothing counts; else each setting that is
    wrong has its default, and the others count.
    """
    try:
        tables = _read(path)
    except FileNotFoundError:
        return LoadedConfig(Config())
    except ValueError as error:
        return LoadedConfig(Config(), (ConfigProblem(path, "", "", f"{error}; the defaults are used"),))
    return _Reader(path).read(tables)


def unknown_choice(path: Path, setting: str, given: str, names: Iterable[str], used: str) -> ConfigProblem:
    """Return the problem with a name that only the app could look up, such as that of a theme.

    Args:
        path: The configuration's file.
        setting: As in "appearance.theme".
        given: The name that is not known.
        names: Those that are.
        used: The name of what is used instead.
    """
    section, _, key = setting.partition(".")
    return ConfigProblem(
        path, section, key, f'{shown(given)} is not known ({nearest(given, names)}); "{used}" is used'
    )


def with_command_line(config: Config, arguments: argparse.Namespace) -> Config:
    """Return `config` with what the command line says instead; the model's path is left alone."""
    for setting in settings():
        given = getattr(arguments, setting.option, None) if setting.option else None
        if given is None or given is False:
            continue
        value = False if setting.option.startswith("no_") else given
        section = replace(getattr(config, setting.section), **{setting.key: value})
        config = replace(config, **{setting.section: section})
    return config


def _read(path: Path) -> Mapping[str, object]:
    """Return the tables of a TOML file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be read; the message says why.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would never end
            raise ValueError("it is no file")
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror or error}") from error
    if len(data) > _MAX_BYTES:
        raise ValueError("it is larger than 1 MiB, so it is no configuration")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"it is not UTF-8 text (at line {line})") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"it is not TOML: {clipped(str(error), 200)}") from None
    except (ValueError, RecursionError):
        raise ValueError("it is not TOML: a number is too long, or lists are too deep") from None


class _Reader:
    """Makes a configuration of the tables of one file, and gathers what is wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._problems: list[ConfigProblem] = []
        self._given: set[tuple[str, str]] = set()
        self._unknown = 0

    def read(self, tables: Mapping[str, object]) -> LoadedConfig:
        config = Config()
        names = [section.name for section in fields(Config)]
        for name, table in tables.items():
            if name not in names:
                self._report_unknown("", name, names)
            elif not isinstance(table, dict):
                self._report(
                    name, "", f"it is {shown(table)}, not a section; write [{name}] and its keys below"
                )
            elif name == "keys":
                config = replace(config, keys=self._keys(table))
            else:
                values = self._section(name, table)
                config = replace(config, **{name: replace(getattr(config, name), **values)})
        if self._unknown > _MAX_UNKNOWN:
            self._report("", "", f"there are {self._unknown - _MAX_UNKNOWN} more names that are not known")
        return LoadedConfig(config, tuple(self._problems), frozenset(self._given))

    def _section(self, name: str, table: Mapping[str, object]) -> dict[str, object]:
        known = {setting.key: setting for setting in settings() if setting.section == name}
        values: dict[str, object] = {}
        for key, value in table.items():
            if key not in known:
                self._report_unknown(name, key, known)
                continue
            try:
                values[key] = known[key].kind.read(value)
            except ValueError as error:
                default = "automatic" if known[key].default is None else shown(known[key].default)
                self._report(name, key, f"{error}; the default, {default}, is used")
            else:
                self._given.add((name, key))
        return values

    def _keys(self, table: Mapping[str, object]) -> KeyBindings:
        overrides: dict[str, str] = {}
        known = KeyBindings().by_id()
        for action, value in table.items():
            if action not in known:
                self._report_unknown("keys", action, known)
            elif isinstance(value, str):
                overrides[action] = value
            else:
                self._report("keys", action, f'{shown(value)} is not text in quotes, as in "ctrl+r,f6"')
        bindings, problems = effective_bindings(overrides)
        for problem in problems:
            self._report("keys", problem.id, problem.reason)
        return bindings

    def _report_unknown(self, section: str, key: str, names: Iterable[str]) -> None:
        self._unknown += 1
        if self._unknown <= _MAX_UNKNOWN:
            there_is_none = f"there is no such {'key' if section else 'section'}; {nearest(key, names)}"
            self._report(section, key, _misplaced(key) or there_is_none)

    def _report(self, section: str, key: str, reason: str) -> None:
        self._problems.append(ConfigProblem(self._path, section, key, reason))


def _misplaced(key: str) -> str:
    """Return where a key belongs that is in no section or in another one; "" where it belongs nowhere."""
    sections = [setting.section for setting in settings() if setting.key == key]
    sections += ["keys"] if key in KeyBindings().by_id() else []
    return f"it belongs under [{sections[0]}]" if sections else ""

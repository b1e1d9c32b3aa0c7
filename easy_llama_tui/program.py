"""The program, from its command line to its exit code."""

import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from easy_llama.errors import EasyLlamaError
from easy_llama_tui import locations
from easy_llama_tui.arguments import build_parser
from easy_llama_tui.chats.session_table import SessionError
from easy_llama_tui.launch import Launch, LaunchError, Surroundings, look_around, open_chat, prepare
from easy_llama_tui.log import log_to
from easy_llama_tui.native_errors import native_errors_logged
from easy_llama_tui.note import Note
from easy_llama_tui.settings import Settings

if TYPE_CHECKING:
    from easy_llama_tui.chats.session_store import SessionStore
    from easy_llama_tui.replies.engine import ChatEngine

_SHOWN_PROBLEMS = 5


def run(argv: Sequence[str] | None, note: Note) -> int:
    """Do what the command line asks for, and return the exit code; see `main`.

    Args:
        argv: the command line; None is that of this process.
        note: keeps what is to be said should the program die.
    """
    arguments = build_parser().parse_args(argv)
    if arguments.print_config:
        return _print_config()
    store = cache(_store)
    around = look_around()
    try:
        launch = prepare(arguments, store, around)
        chat = open_chat(launch, arguments, around)
    except (EasyLlamaError, LaunchError, SessionError) as error:
        return _refuse(str(error))
    if arguments.bench:
        return _measure(launch)
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        return _refuse('this needs a terminal; for one reply in a pipe: python -m easy_llama MODEL -p "…"')
    log_file = locations.log_file()
    log_to(log_file, verbose=arguments.verbose)

    # Not sooner: what is refused, or only printed, needs no screen.
    from easy_llama_tui.app import EzllamaApp

    with native_errors_logged(log_file, note):
        app = EzllamaApp(lambda: _engine(around), store, chat, _settings(launch, around, note))
        note.take_screen()
        app.run(mouse=around.config.appearance.mouse)
        note.give_screen_back()
    for words in app.chat_screen.saving.parting_words:
        _say(words)
    if app.failure:
        _refuse(app.failure)
    elif arguments.verbose:
        print(f"llama.cpp's log: {log_file}", file=sys.stderr)
    code = app.return_code or 0
    if not app.left_cleanly:
        # llama.cpp still computes, and would crash when its memory is freed under it.
        sys.stderr.flush()
        os._exit(code)
    from easy_llama_tui.leaving import LEAVE_SECONDS, end_within

    end_within(LEAVE_SECONDS, code)
    return code


# Loaded when they are first needed: a new chat is drawn without them.


def _store() -> "SessionStore":
    from easy_llama_tui.chats.session_store import SessionStore

    return SessionStore(locations.sessions_folder())


def _engine(around: Surroundings) -> "ChatEngine":
    from easy_llama_tui.replies.chat_states import ChatStates
    from easy_llama_tui.replies.local_engine import LocalEngine

    budget = around.config.model.state_cache_gb * 10**9
    return LocalEngine(around.catalog, ChatStates(locations.chat_states_folder(), budget))


def _settings(launch: Launch, around: Surroundings, note: Note) -> Settings:
    problems = _as_one_notice(around.problems)
    return Settings(
        config=around.config,
        load_options=launch.options,
        begin_chat=launch.begin_chat,
        catalog=around.catalog,
        presets=around.presets,
        presets_folder=locations.presets_folder(),
        state_file=locations.state_file(),
        history_file=locations.history_file(),
        drafts_folder=locations.drafts_folder(),
        index_file=locations.index_file(),
        candidates_count=around.config.candidates.count,
        panel=around.remembered.panel,
        recent_models=around.remembered.recent_models,
        is_first_run=not around.remembered.hint_seen,
        notices=(*problems, *launch.notices),
        tell_chat=note.open_chat,
    )


def _as_one_notice(problems: Sequence[str]) -> tuple[str, ...]:
    if len(problems) <= 1:
        return tuple(problems)
    shown = list(problems[:_SHOWN_PROBLEMS])
    if more := len(problems) - len(shown):
        shown.append(f"and {more} more.")
    return ("\n".join((f"{len(problems)} things in your own files are left out:", *shown)),)


def _print_config() -> int:
    from easy_llama_tui.preferences.config_text import default_config_text

    print(default_config_text(), end="")
    return 0


def _measure(launch: Launch) -> int:
    from easy_llama_tui.bench import run_bench

    for notice in launch.notices:
        _refuse(notice)
    return _refuse("there is no model to measure") if launch.options is None else run_bench(launch.options)


def _refuse(reason: str) -> int:
    _say(reason)
    return 2


def _say(words: str) -> None:
    # On one line, and without what could drive the terminal: the reason may quote a stranger's file.
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    print(f"ezllama-tui: {line}", file=sys.stderr)

"""The program `ezllama-tui`."""

import os
import sys
from collections.abc import Sequence

from easy_llama.errors import EasyLlamaError
from easy_llama_tui import locations
from easy_llama_tui.arguments import build_parser
from easy_llama_tui.launch import LaunchError, open_chat, prepare
from easy_llama_tui.log import log_to
from easy_llama_tui.session import SessionError
from easy_llama_tui.session_store import SessionStore


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 0, or 2 where it could not start as it was asked to."""
    arguments = build_parser().parse_args(argv)
    store = SessionStore(locations.sessions_folder())
    try:
        launch = prepare(arguments, store)
        chat = open_chat(launch, arguments)
    except (EasyLlamaError, LaunchError, SessionError) as error:
        return _refuse(str(error))
    log_file = locations.log_file()
    log_to(log_file, verbose=arguments.verbose)

    from easy_llama_tui.app import EzllamaApp
    from easy_llama_tui.local_engine import LocalEngine

    app = EzllamaApp(LocalEngine(launch.options), store, chat, launch.begin_chat, launch.notices)
    app.run()
    if app.failure:
        _refuse(app.failure)
    elif arguments.verbose:
        print(f"llama.cpp's log: {log_file}", file=sys.stderr)
    code = app.return_code or 0
    if not app.left_cleanly:
        # llama.cpp still computes, and would crash when its memory is freed under it.
        sys.stderr.flush()
        os._exit(code)
    return code


def _refuse(reason: str) -> int:
    # On one line, and without what could drive the terminal: the reason may quote a stranger's file.
    line = " ".join("".join(c if c.isprintable() else " " for c in reason).split())
    print(f"ezllama-tui: {line}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

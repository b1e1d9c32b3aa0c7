"""The program `ezllama-tui`."""

import gc
import sys
from collections.abc import Sequence

from easy_llama_tui.guard import guarded
from easy_llama_tui.note import Note


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 0, 2 where it could not start as it was asked to.

    Where a signal ends it, it is 128 and the signal.
    """
    # All that is loaded before the first picture stays. To look there for garbage, again and again while it
    # grows, takes a tenth of that time; the app begins to collect once the picture is drawn.
    gc.disable()
    try:
        return guarded(lambda note: _run(argv, note), sys.argv[1:] if argv is None else argv)
    finally:
        gc.enable()


def _run(argv: Sequence[str] | None, note: Note) -> int:
    from easy_llama_tui.program import run

    return run(argv, note)


if __name__ == "__main__":
    sys.exit(main())

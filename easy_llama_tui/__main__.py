"""The program `ezllama-tui`."""

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 0, or 2 where it could not start as it was asked to."""
    # All that is loaded before the first picture stays. To look there for garbage, again and again while it
    # grows, takes a tenth of that time; the app begins to collect once the picture is drawn.
    gc.disable()
    try:
        from easy_llama_tui.program import run

        return run(argv)
    finally:
        gc.enable()


if __name__ == "__main__":
    sys.exit(main())

"""What importing the library costs, beside `import llama_cpp` alone.

Each import is timed in a fresh interpreter, in turn, in an order that rotates; the first two rounds write the
bytecode and do not count. `import easy_llama` alone loads next to nothing, because names are loaded when they
are first used: what a program waits for that uses a model is `import easy_llama as ez; ez.Model`, which loads
llama.cpp too. Both are shown.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from report import SPREAD_WIDTH, Row, line, most_row, spread

WARM_UP_ROUNDS = 2
PEER = "import llama_cpp"
LAZY = "import easy_llama"
WITH_MODEL = "import easy_llama as ez; ez.Model"
TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"


def measure(rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each import in every round, the warm-up left out."""
    statements = [PEER, LAZY, WITH_MODEL]
    seconds: dict[str, list[float]] = {one: [] for one in statements}
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ) | {"PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for number in range(rounds + WARM_UP_ROUNDS):
            turn = number % len(statements)
            for one in statements[turn:] + statements[:turn]:
                command = [sys.executable, "-c", TIMED.format(one)]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                if number >= WARM_UP_ROUNDS:
                    seconds[one].append(float(done.stdout))
    return seconds


def rows(model: Path, *, quick: bool) -> list[Row]:
    """Return what `all.py` writes of it."""
    rounds = 1 if quick else 15
    seconds = measure(rounds)
    how = f"`imports.py`, {rounds} fresh interpreters each"
    return [
        most_row(
            f"`{statement}` against `{PEER}`",
            *(1.1, [one / peer for one, peer in zip(seconds[statement], seconds[PEER], strict=True)], how),
        )
        for statement in (WITH_MODEL, LAZY)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", metavar="N", type=int, default=15, help="counted rounds (15)")
    seconds = measure(parser.parse_args().rounds)
    widths = [10, SPREAD_WIDTH + 3]
    print(line("milliseconds", ["median", f"/ {PEER}"], widths))
    for statement, taken in seconds.items():
        cells = [f"{statistics.median(taken) * 1000:.0f}", spread(taken, seconds[PEER])]
        print(f"{statement:<36}" + line("", cells, widths).strip())


if __name__ == "__main__":
    main()

"""All figures of docs/performance.md, each beside its reference, in one table.

    python benchmarks/all.py                    # some twenty minutes on a quiet machine; writes the table
    python benchmarks/all.py --quick --print    # a minute or two: shows that all of it works, and no more

Each benchmark runs in a process of its own, one after the other, so that none finds the memory or the caches
of another; those that take part have a function `rows`. A benchmark that fails is told of, and the others go
on. The table stands between two comments in docs/performance.md and takes the place of the last one.

Where llama.cpp can use a GPU, a second table is written from the same benchmarks, with all layers on it, on
both sides. `--n-gpu-layers N` measures that alone: 0 is the first table, -1 the second, others are printed.
"""

import argparse
import importlib
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from report import Row, UnequalWorkError, add_model, machine, markdown, parse, use_gpu_layers

from easy_llama.native_model import supports_gpu_offload

BENCHMARKS = ("decode", "lookup", "app", "latency", "turns", "memory", "imports", "footprint")
"""Those with a function `rows(model, quick=...)`, in their order; what is not there is left out."""

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by benchmarks/all.py -->", "<!-- end of the figures -->"
GPU_BEGIN = "<!-- figures on a GPU: written by benchmarks/all.py -->"

NOT_OF_A_GPU = ("imports",)
"""Those that load no model."""


class PageError(Exception):
    """The page has no place for the table."""


def rows_of(name: str, model: Path, *, quick: bool) -> list[Row]:
    """Return what a benchmark measured in a process of its own; none where it failed."""
    command = [sys.executable, __file__, str(model), "--one", name] + ["--quick"] * quick
    began = time.perf_counter()
    print(f"{name}.py", file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    print(f"{name}.py: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    if done.returncode:
        print(f"{name}.py failed, and its figures are left out", file=sys.stderr)
        return []
    return [Row(**values) for values in json.loads(done.stdout)]


def print_one(name: str, model: Path, *, quick: bool) -> None:
    """Measure one benchmark here, and print its rows as JSON."""
    try:
        rows = importlib.import_module(name).rows(model, quick=quick)
    except UnequalWorkError as error:
        sys.exit(f"not measured: {error}")
    print(json.dumps([asdict(row) for row in rows]))


def there_are() -> list[str]:
    """Return the benchmarks that are there."""
    return [name for name in BENCHMARKS if importlib.util.find_spec(name) is not None]


def with_table(page: str, table: str, begin: str = BEGIN) -> str:
    """Return the page with a table in its place, which starts at `begin`.

    Raises:
        PageError: it has none.
    """
    before, found, rest = page.partition(begin)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise PageError(f"there is no {begin} with {END} after it")
    return f"{before}{begin}\n\n{table}\n{END}{after}"


def table_of(rows: Sequence[Row], model: Path, seconds: float) -> str:
    """Return the table, and what it was measured on."""
    day = datetime.now(UTC).date().isoformat()
    return f"{markdown(rows)}\n{model.name}; {machine()}; {day}, {seconds / 60:.0f} minutes.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument("--quick", action="store_true", help="short runs, which show that all of it works")
    parser.add_argument("--print", action="store_true", help="print the table, and leave the page alone")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, help="these alone, printed")
    parser.add_argument("--one", choices=BENCHMARKS, help=argparse.SUPPRESS)
    arguments = parse(parser)
    if arguments.one:
        print_one(arguments.one, arguments.model, quick=arguments.quick)
        return
    with_table(PAGE.read_text(encoding="utf-8"), "", GPU_BEGIN)  # before all the work
    has_gpu = supports_gpu_offload()
    tables = [0, -1] if arguments.n_gpu_layers is None and has_gpu else [arguments.n_gpu_layers or 0]
    for layers in tables:
        use_gpu_layers(layers)
        began = time.perf_counter()
        names = arguments.only or [name for name in there_are() if not layers or name not in NOT_OF_A_GPU]
        rows = [row for name in names for row in rows_of(name, arguments.model, quick=arguments.quick)]
        table = table_of(rows, arguments.model, time.perf_counter() - began)
        print(table)
        is_of_the_page = layers == 0 or (layers == -1 and has_gpu)
        if is_of_the_page and not (arguments.print or arguments.quick or arguments.only):
            page = PAGE.read_text(encoding="utf-8")
            PAGE.write_text(with_table(page, table, GPU_BEGIN if layers else BEGIN), encoding="utf-8")
            print(f"written to {PAGE}", file=sys.stderr)


if __name__ == "__main__":
    main()

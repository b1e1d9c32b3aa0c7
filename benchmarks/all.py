"""All figures of docs/performance.md, each beside its reference, in one table.

    python benchmarks/all.py                    # some ten minutes on a quiet machine; writes the table
    python benchmarks/all.py --quick --print    # a minute or two: shows that all of it works, and no more

Each benchmark runs in a process of its own, one after the other, so that none finds the memory or the caches
of another; those that take part have a function `rows`. A benchmark that fails is told of, and the others go
on. The table stands between two comments in docs/performance.md and takes the place of the last one.
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

from report import Row, UnequalWorkError, add_model, machine, markdown, parse

BENCHMARKS = ("decode", "lookup", "app", "latency", "turns", "memory", "imports", "footprint")
"""Those with a function `rows(model, quick=...)`, in their order; what is not there is left out."""

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: written by benchmarks/all.py -->", "<!-- end of the figures -->"


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


def with_table(page: str, table: str) -> str:
    """Return the page with the table in its place.

    Raises:
        PageError: it has none.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PageError(f"there is no {BEGIN} with {END} after it")
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


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
    began = time.perf_counter()
    rows = [
        row
        for name in arguments.only or there_are()
        for row in rows_of(name, arguments.model, quick=arguments.quick)
    ]
    table = table_of(rows, arguments.model, time.perf_counter() - began)
    print(table)
    if not (arguments.print or arguments.quick or arguments.only):
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), table), encoding="utf-8")
        print(f"written to {PAGE}", file=sys.stderr)


if __name__ == "__main__":
    main()

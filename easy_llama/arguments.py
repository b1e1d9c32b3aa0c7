"""The command-line options that all programs share: how a model is loaded, and what its chat is like.

Nothing but the standard library is needed here, and none of it loads llama.cpp.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from easy_llama import __version__
from easy_llama.cache_types import CACHE_TYPES, DEFAULT_CACHE_TYPE
from easy_llama.prompt_lookup import LOOKUP_CHOICES

__all__ = ["OneLineParser", "add_options", "at_least", "one_line", "typed_text"]


class OneLineParser(argparse.ArgumentParser):
    """A parser that refuses in one line what it does not understand, without the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Print the reason on standard error, and exit with 2."""
        self.exit(2, f"{self.prog}: {one_line(message)}; --help lists the options\n")


def add_options(
    parser: argparse.ArgumentParser, *, automatic: bool, verbose: str
) -> "argparse._ArgumentGroup":
    """Add the options that all programs share, and return the group of those for the chat.

    Every one of them but the switches is None where it is not given; `n_gpu_layers` is 0 unless it is
    `automatic`.

    Args:
        parser: what to add them to.
        automatic: the program chooses the context length and the layers on the GPU by the machine.
        verbose: what `--verbose` does there, for its help.
    """
    loading = parser.add_argument_group("loading the model")
    own_length = "the model's own, or what fits the free memory" if automatic else "the model's own"
    loading.add_argument(
        "--context-length",
        metavar="N",
        type=at_least(1),
        help=f"tokens the context holds (default: {own_length})",
    )
    layers = "all where this build has GPU support" if automatic else "0"
    loading.add_argument(
        "--n-gpu-layers",
        metavar="N",
        type=at_least(-1),
        default=None if automatic else 0,
        help=f"layers on the GPU, -1 for all (default: {layers})",
    )
    loading.add_argument("--no-offload-kqv", action="store_true", help="keep the KV cache off the GPU")
    loading.add_argument("--flash-attn", action="store_true", help="use Flash Attention")
    loading.add_argument("--threads", metavar="N", type=at_least(1), help="threads that compute")
    loading.add_argument(
        "--n-batch", metavar="N", type=at_least(1), help="tokens of a prompt computed at once (default: 512)"
    )
    for letter, what in (("k", "keys"), ("v", "values")):
        needs = "; quantised ones need --flash-attn" if letter == "v" else ""
        loading.add_argument(
            f"--cache-type-{letter}",
            metavar="TYPE",
            type=str.lower,
            choices=CACHE_TYPES,
            help=f"what the {what} of the KV cache are kept in: {', '.join(CACHE_TYPES)} "
            f"(default: {DEFAULT_CACHE_TYPE}{needs})",
        )
    loading.add_argument(
        "--prompt-lookup",
        metavar="WHEN",
        type=str.lower,
        choices=LOOKUP_CHOICES,
        help="guess from the text so far what comes next, to compute several tokens at once: "
        f"{', '.join(LOOKUP_CHOICES)} (default: auto, where that was measured to gain)",
    )
    loading.add_argument(
        "--draft-model",
        metavar="FILE",
        type=Path,
        help="a small .gguf model of the same vocabulary, which guesses what comes next (default: none)",
    )
    chat = parser.add_argument_group("the chat")
    chat.add_argument(
        "--format", metavar="NAME", help="prompt format (default: template, the model's own chat template)"
    )
    chat.add_argument("--sampler", metavar="NAME", help="sampler preset (default: DefaultSampling)")
    chat.add_argument("--system", metavar="TEXT", type=typed_text, help="system message of new chats")
    chat.add_argument(
        "--seed", metavar="N", type=at_least(0), help="makes replies repeatable (default: drawn anew)"
    )
    parser.add_argument("--verbose", action="store_true", help=verbose)
    parser.add_argument("--version", action="version", version=f"ezllama {__version__}")
    return chat


def at_least(low: int) -> Callable[[str], int]:
    """Return a type for an option: a whole number that is not below `low`."""

    def number(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}, not {value}")
        return value

    return number


def typed_text(text: str) -> str:
    """Return text from the command line, with U+FFFD in place of bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def one_line(text: str) -> str:
    """Return a text on one line, without what could drive a terminal: it may quote a stranger's file."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())

"""The command line."""

import argparse
from pathlib import Path

from easy_llama import __version__

LATEST = ""
"""What `--resume` means without a name."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="ezllama-tui",
        description="Chat with a GGUF model, full screen, on your own machine.",
        epilog="Without MODEL: the model of the last chat, else the demo model. F1 shows the keys.",
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", type=Path, help="a .gguf file")
    loading = parser.add_argument_group("loading the model")
    loading.add_argument(
        "--context-length",
        metavar="N",
        type=_at_least(1),
        help="tokens the context holds (default: the model's own, or what fits the free memory)",
    )
    loading.add_argument(
        "--n-gpu-layers",
        metavar="N",
        type=_at_least(-1),
        help="layers on the GPU, -1 for all (default: all where this build has GPU support)",
    )
    loading.add_argument("--no-offload-kqv", action="store_true", help="keep the KV cache off the GPU")
    loading.add_argument("--flash-attn", action="store_true", help="use Flash Attention")
    loading.add_argument("--threads", metavar="N", type=_at_least(1), help="threads that compute")
    chat = parser.add_argument_group("the chat")
    chat.add_argument(
        "--format", metavar="NAME", help="prompt format (default: template, the model's own chat template)"
    )
    chat.add_argument("--sampler", metavar="NAME", help="sampler preset (default: DefaultSampling)")
    chat.add_argument("--system", metavar="TEXT", help="system message of new chats")
    chat.add_argument(
        "--seed", metavar="N", type=_at_least(0), help="makes replies repeatable (default: drawn anew)"
    )
    chat.add_argument(
        "--resume",
        metavar="ID|FILE",
        nargs="?",
        const=LATEST,
        help="continue a chat: the last one, or the one with this id or file",
    )
    parser.add_argument("--verbose", action="store_true", help="log everything that llama.cpp says")
    parser.add_argument("--version", action="version", version=f"ezllama {__version__}")
    return parser


def _at_least(low: int) -> "type[int]":
    def number(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}, not {value}")
        return value

    number.__name__ = "number"
    return number  # type: ignore[return-value]

"""The command line."""

import argparse
from pathlib import Path

from easy_llama.arguments import OneLineParser, add_options

LATEST = ""
"""What `--resume` means without a name."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = OneLineParser(
        prog="ezllama-tui",
        description="Chat with a GGUF model, full screen, on your own machine.",
        epilog="Without MODEL: the model of the last chat, else the demo model. /help shows the keys.",
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", type=Path, help="a .gguf file")
    chat = add_options(parser, automatic=True, verbose="log everything that llama.cpp says")
    chat.add_argument(
        "--resume",
        metavar="ID|FILE",
        nargs="?",
        const=LATEST,
        help="continue a chat: the last one, or the one with this id or file",
    )
    chat.add_argument(
        "--recover",
        action="store_true",
        help="with --resume: where the chat's file is damaged, open a copy of what can be read",
    )
    parser.add_argument(
        "--bench",
        action="store_true",
        help="measure how fast the model reads and writes, beside llama.cpp alone, and end",
    )
    parser.add_argument(
        "--print-config",
        action="store_true",
        help="print a configuration file that documents every setting, and end",
    )
    return parser

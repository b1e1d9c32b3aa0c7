"""`python -m easy_llama MODEL`: a plain chat in the terminal, or one reply on standard output."""

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from easy_llama import __version__, formats, samplers
from easy_llama.errors import EasyLlamaError

if TYPE_CHECKING:
    from easy_llama.thread import Thread

_PROGRAM = "python -m easy_llama"
_INTERRUPTED = 130  # as shells say that ^C ended a program


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 2 where it could not do as it was asked to."""
    arguments = _parser().parse_args(argv)
    try:
        return _run(arguments)
    except (EasyLlamaError, OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError):
            # Who read our output has gone; the interpreter must not try to flush it at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        # On one line, and without what could drive the terminal: the reason may quote a stranger's file.
        line = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
        print(f"{_PROGRAM}: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    sampler = samplers.preset(arguments.sampler).replace(seed=arguments.seed)
    builtin = None if arguments.format == formats.TEMPLATE_NAME else formats.get(arguments.format)
    prompt = None if arguments.prompt is None else _with_standard_input(_clean(arguments.prompt))

    from easy_llama.model import Model
    from easy_llama.thread import Thread

    model = Model(
        str(arguments.model),
        context_length=arguments.context_length,
        n_gpu_layers=arguments.n_gpu_layers,
        offload_kqv=not arguments.no_offload_kqv,
        flash_attn=arguments.flash_attn,
        verbose=arguments.verbose,
        n_threads=arguments.threads,
    )
    try:
        detected = formats.detect(model)
        if builtin is None and detected.notice:
            print(f"{_PROGRAM}: {detected.notice}", file=sys.stderr)
        thread = Thread(model, detected.format if builtin is None else builtin, sampler)
        if arguments.system:
            first = thread.create_message("system", _clean(arguments.system))
            thread = Thread(model, thread.format, sampler, [first])
        if prompt is None:
            if isinstance(sys.stdin, io.TextIOWrapper):
                sys.stdin.reconfigure(errors="replace")  # a stray byte must not end the chat
            thread.interact(header=f"{Path(model.filename).name}. ! for commands, ^C to stop and to leave.")
        else:
            _print_reply(thread, prompt)
    finally:
        model.unload()
    return 0


def _print_reply(thread: "Thread", prompt: str) -> None:
    from easy_llama.interact import printable

    # ^C ends the program at once: Python itself hears of it only between two calls of llama.cpp.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    encoding = sys.stdout.encoding

    def show(text: str) -> None:
        sys.stdout.write(printable(text).encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()

    thread.send(prompt, on_text=show)
    show("\n")


def _with_standard_input(prompt: str) -> str:
    """Return the prompt, and after it what was piped in."""
    if sys.stdin is None or sys.stdin.isatty():
        return prompt
    piped = sys.stdin.buffer.read().decode("utf-8", "replace").strip()
    return "\n\n".join(text for text in (prompt, piped) if text)


def _clean(text: str) -> str:
    """Return text from the command line without the stand-ins for bytes that are no UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; --help lists the options\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROGRAM,
        description="Chat with a GGUF model in the terminal, or print one reply.",
        epilog="Text that is piped in is put after the prompt of -p.",
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="a .gguf file")
    parser.add_argument("-p", "--prompt", metavar="TEXT", help="print the reply to this, and end")
    loading = parser.add_argument_group("loading the model")
    loading.add_argument(
        "--context-length",
        metavar="N",
        type=_from(1),
        help="tokens the context holds (default: the model's own)",
    )
    loading.add_argument(
        "--n-gpu-layers",
        metavar="N",
        type=_from(-1),
        default=0,
        help="layers on the GPU, -1 for all (default: 0)",
    )
    loading.add_argument("--no-offload-kqv", action="store_true", help="keep the KV cache off the GPU")
    loading.add_argument("--flash-attn", action="store_true", help="use Flash Attention")
    loading.add_argument("--threads", metavar="N", type=_from(1), help="threads that compute")
    chat = parser.add_argument_group("the chat")
    chat.add_argument(
        "--format",
        metavar="NAME",
        default=formats.TEMPLATE_NAME,
        help="prompt format (default: template, the model's own chat template)",
    )
    chat.add_argument(
        "--sampler",
        metavar="NAME",
        default="DefaultSampling",
        help="sampler preset (default: DefaultSampling)",
    )
    chat.add_argument("--system", metavar="TEXT", help="system message")
    chat.add_argument(
        "--seed", metavar="N", type=_from(0), help="makes replies repeatable (default: drawn anew)"
    )
    parser.add_argument("--verbose", action="store_true", help="show llama.cpp's log")
    parser.add_argument("--version", action="version", version=f"ezllama {__version__}")
    return parser


def _from(low: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < low:
            raise argparse.ArgumentTypeError(f"must be at least {low}, not {value}")
        return value

    return number


if __name__ == "__main__":
    sys.exit(main())

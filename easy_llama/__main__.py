"""`python -m easy_llama MODEL`: a plain chat in the terminal, or one reply on standard output."""

import argparse
import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from easy_llama import formats, samplers
from easy_llama.arguments import OneLineParser, add_options, one_line, typed_text
from easy_llama.cache_types import DEFAULT_CACHE_TYPE
from easy_llama.errors import EasyLlamaError
from easy_llama.prompt_lookup import LOOKUP_CHOICES

if TYPE_CHECKING:
    from easy_llama.model import Model
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
        _tell(error)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    sampler = samplers.preset(arguments.sampler or "DefaultSampling").replace(seed=arguments.seed)
    wants_own = arguments.format in (None, formats.TEMPLATE_NAME)
    builtin = None if wants_own else formats.get(arguments.format)
    prompt = None if arguments.prompt is None else _with_standard_input(arguments.prompt)

    from easy_llama.thread import Thread

    model = _load(arguments)
    try:
        detected = formats.detect(model)
        if builtin is None and detected.notice:
            _tell(detected.notice)
        thread = Thread(model, detected.format if builtin is None else builtin, sampler)
        if arguments.system:
            first = thread.create_message("system", arguments.system)
            thread = Thread(model, thread.format, sampler, [first])
        if prompt is None:
            if isinstance(sys.stdin, io.TextIOWrapper):
                sys.stdin.reconfigure(errors="replace")  # a stray byte must not cost the lines around it
            thread.interact(header=f"{Path(model.filename).name}. ! for commands, ^C to stop and to leave.")
        else:
            _print_reply(thread, prompt)
    finally:
        model.unload()
    return 0


def _load(arguments: argparse.Namespace) -> "Model":
    from easy_llama.model import Model

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        model = Model(
            str(arguments.model),
            context_length=arguments.context_length,
            n_gpu_layers=arguments.n_gpu_layers,
            offload_kqv=not arguments.no_offload_kqv,
            flash_attn=arguments.flash_attn,
            verbose=arguments.verbose,
            n_threads=arguments.threads,
            n_batch=arguments.n_batch,
            cache_type_k=arguments.cache_type_k or DEFAULT_CACHE_TYPE,
            cache_type_v=arguments.cache_type_v or DEFAULT_CACHE_TYPE,
            prompt_lookup=LOOKUP_CHOICES[arguments.prompt_lookup or "auto"],
            draft_model=arguments.draft_model,
        )
    for warning in caught:
        _tell(warning.message)
    return model


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


def _tell(what: object) -> None:
    print(f"{_PROGRAM}: {one_line(str(what))}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog=_PROGRAM,
        description="Chat with a GGUF model in the terminal, or print one reply.",
        epilog="Text that is piped in is put after the prompt of -p.",
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="a .gguf file")
    parser.add_argument(
        "-p", "--prompt", metavar="TEXT", type=typed_text, help="print the reply to this, and end"
    )
    add_options(parser, automatic=False, verbose="show llama.cpp's log")
    return parser


if __name__ == "__main__":
    sys.exit(main())

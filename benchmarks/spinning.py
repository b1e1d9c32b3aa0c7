"""How llama.cpp's threads should wait for each other: with what of OpenMP's settings a model writes fastest.

Between two parts of a token each thread waits for the others. GNU's OpenMP lets it spin for a while before it
sleeps: long by itself (some milliseconds), shortly with GOMP_SPINCOUNT=1000, and not at all with
OMP_WAIT_POLICY=passive. Each setting is measured in processes of its own, in turn: one alone, and two that
write at the same time and so have twice as many threads as usual. What is shown is the speed, divided by that
of the long spinning in the same round.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from report import SPREAD_WIDTH, add_model, line, machine, parse, spread

SETTINGS: dict[str, dict[str, str]] = {
    "by itself": {"GOMP_SPINCOUNT": "300000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "OMP_WAIT_POLICY=passive": {"OMP_WAIT_POLICY": "passive"},
}
PROMPT = "The numbers from 1 to 1000: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,"


def write(model: Path, n_tokens: int, n_threads: int | None) -> None:
    """Write alone, after a line on the standard input, and print the speed."""
    from easy_llama.bare_loop import bare_loop
    from easy_llama.model import Model

    loaded = Model(model, context_length=n_tokens + 64, n_threads=n_threads)
    prompt = loaded.tokenize(PROMPT)
    bare_loop(loaded.llama, prompt, 8)
    loaded.engine.forget()
    print("ready", flush=True)
    sys.stdin.readline()
    run = bare_loop(loaded.llama, prompt, n_tokens)
    print((n_tokens - 1) / run.writing, flush=True)


def speed(arguments: argparse.Namespace, setting: str, n_programs: int) -> float:
    """Return the mean of the speeds of so many programs at the same time, in tokens per second."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))
    }
    command = [sys.executable, __file__, str(arguments.model), "--child", "--tokens", str(arguments.tokens)]
    if arguments.threads:
        command += ["--threads", str(arguments.threads)]
    programs = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment | SETTINGS[setting],
            text=True,
        )
        for _ in range(n_programs)
    ]
    for program in programs:
        assert program.stdout is not None
        program.stdout.readline()
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("\n")
        program.stdin.flush()
    return sum(float(program.communicate()[0]) for program in programs) / n_programs


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser, has_layers=False)
    parser.add_argument("--tokens", metavar="N", type=int, default=192, help="tokens written (192)")
    parser.add_argument("--rounds", metavar="N", type=int, default=5, help="counted rounds (5)")
    parser.add_argument("--threads", metavar="N", type=int, help="threads that compute (by the machine)")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parse(parser)
    if arguments.child:
        write(arguments.model, arguments.tokens, arguments.threads)
        return
    names = list(SETTINGS)
    speeds: dict[tuple[str, int], list[float]] = {(name, count): [] for name in names for count in (1, 2)}
    for number in range(arguments.rounds):
        print(f"  round {number + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
        turn = number % len(names)
        for count in (1, 2):
            for name in names[turn:] + names[:turn]:
                speeds[name, count].append(speed(arguments, name, count))
    widths = [SPREAD_WIDTH + 6, SPREAD_WIDTH + 6]
    print("    " + line("speed / by itself", ["one program", "two at the same time"], widths))
    for name in names:
        cells = [spread(speeds[name, count], speeds[names[0], count]) for count in (1, 2)]
        print(f"{name:<24}" + line("", cells, widths)[20:])
    print(machine())


if __name__ == "__main__":
    main()

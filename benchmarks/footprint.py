"""Memory beside that of a bare llama.cpp loop: `Model.stream`, and the app.

Each runs in a process of its own, with the same model, context length and threads, and writes as many tokens;
then its resident memory is looked at, as `ps` tells it. The bare loop's process has imported llama-cpp-python
and nothing of ours but the loop and what loads a model. What is above its memory is told, in MB (10^6 bytes).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from report import Row, add_model, n_gpu_layers, parse

PROGRAMS = ("bare loop", "Model.stream", "app")
PROMPT = "The numbers from 1 to 1000: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,"
THREADS = 2


def resident(process: int) -> float:
    """Return the resident memory of a process, in MB."""
    done = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True
    )
    return int(done.stdout) * 1024 / 1e6


def processes_of(process: int) -> list[int]:
    """Return a process and its children: the app runs in a child of the one that was started."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True)
    return [process, *map(int, listed.stdout.split())]


def memory_of(program: str, model: Path, n_tokens: int) -> float:
    """Run a program, and return its memory at the end."""
    if program == "app":
        return memory_of_app(model, n_tokens)
    command = [sys.executable, __file__, str(model), "--program", program, "--tokens", str(n_tokens)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def memory_of_app(model: Path, n_tokens: int) -> float:
    """Return the memory of the app after a reply, in an empty chat."""
    from app import SCENES, App, Work, own_folders

    with tempfile.TemporaryDirectory() as folder:
        app = App(Work(model, n_tokens, THREADS), SCENES["closed"], own_folders(Path(folder)))
        with app.terminal:
            app.write()
            memory = sum(map(resident, processes_of(app.terminal.process.pid)))
            app.close()
    return memory


def run_bare(model: Path, n_tokens: int) -> None:
    """Write in the bare loop."""
    from easy_llama.bare_loop import bare_loop
    from easy_llama.native_model import load_llama

    # Loaded as the others are: the weights may be laid out in other ways, which take other memory.
    llama = load_llama(
        model,
        None,
        n_ctx=4 * n_tokens,
        n_gpu_layers=n_gpu_layers(),
        n_threads=THREADS,
        n_threads_batch=THREADS,
    )
    bare_loop(llama, llama.tokenize(PROMPT.encode()), n_tokens)
    print(resident(os.getpid()))


def run_stream(model: Path, n_tokens: int) -> None:
    """Write with the library."""
    import easy_llama as ez

    loaded = ez.Model(model, 4 * n_tokens, n_gpu_layers(), n_threads=THREADS)
    for _ in loaded.stream(PROMPT, sampler=ez.samplers.GreedyDecoding.replace(max_len_tokens=n_tokens)):
        pass
    print(resident(os.getpid()))


def measure(model: Path, n_tokens: int, rounds: int) -> dict[str, list[float]]:
    """Return the memory of each program in every round."""
    results: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for number in range(rounds):
        print(f"  round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for name in PROGRAMS:
            results[name].append(memory_of(name, model, n_tokens))
    return results


def rows(model: Path, *, quick: bool) -> list[Row]:
    """Return what `all.py` writes of it."""
    n_tokens, rounds = (32, 1) if quick else (256, 3)
    memory = measure(model, n_tokens, rounds)
    results = []
    for name, title in (("Model.stream", "`Model.stream`"), ("app", "the app, screen and all,")):
        above = [one - bare for one, bare in zip(memory[name], memory["bare loop"], strict=True)]
        median = statistics.median(above)
        figure = f"{median:.0f} MB ({min(above):.0f}–{max(above):.0f})"
        how = f"`footprint.py`, {rounds} processes each"
        results.append(Row(f"memory of {title} above the bare loop's", "≤ 60 MB", figure, median <= 60, how))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_model(parser)
    parser.add_argument("--tokens", metavar="N", type=int, default=256, help="the length of the reply (256)")
    parser.add_argument("--rounds", metavar="N", type=int, default=3, help="how often each is looked at (3)")
    parser.add_argument("--program", choices=PROGRAMS[:2], help=argparse.SUPPRESS)
    arguments = parse(parser)
    if arguments.program == "bare loop":
        run_bare(arguments.model, arguments.tokens)
    elif arguments.program:
        run_stream(arguments.model, arguments.tokens)
    else:
        memory = measure(arguments.model, arguments.tokens, arguments.rounds)
        for name, values in memory.items():
            print(f"{name:<14} {statistics.median(values):7.1f} MB ({min(values):.1f}–{max(values):.1f})")


if __name__ == "__main__":
    main()

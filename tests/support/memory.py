"""What a process holds: memory, threads and open files, as Linux tells it, and fresh processes to ask."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_STATM = Path("/proc/self/statm")

HAS_PROC = _STATM.exists()
"""Whether this system tells what a process holds."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds at one moment."""

    private: int
    """Resident memory of its own, in bytes: heap, stacks, the KV cache."""
    mapped: int
    """Resident memory that belongs to files, in bytes: libraries, and weights that are mapped."""
    threads: int
    """Threads of the process, native ones as well."""
    files: int
    """Open file descriptors."""

    def __sub__(self, other: "Footprint") -> "Footprint":
        return Footprint(
            self.private - other.private,
            self.mapped - other.mapped,
            self.threads - other.threads,
            self.files - other.files,
        )


def footprint() -> Footprint:
    """Return what this process holds now; see `statm` in proc(5)."""
    resident, mapped = (int(pages) * os.sysconf("SC_PAGE_SIZE") for pages in _STATM.read_text().split()[1:3])
    return Footprint(
        private=resident - mapped,
        mapped=mapped,
        threads=len(os.listdir("/proc/self/task")),  # noqa: PTH208 (the entries may vanish meanwhile)
        files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208
    )


def run_fresh(program: str, *arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a Python program in an interpreter of its own that imports what this one can.

    Args:
        program: source text; its arguments are in `sys.argv[1:]`.
        arguments: given to it as text.
        timeout: in seconds.
    """
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=timeout,
    )

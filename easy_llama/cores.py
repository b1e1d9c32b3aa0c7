"""How many processor cores there are for computing."""

import math
import os
import sys
from pathlib import Path
from typing import Final

__all__ = ["physical_cores", "usable_cores"]

_SYSTEM: Final = Path("/sys")
_SYSCTL: Final = ("hw.perflevel0.physicalcpu", "hw.physicalcpu")
"""The fast cores of a Mac, or all of one that has no slow ones."""


def usable_cores(root: Path = _SYSTEM) -> int:
    """Return how many logical cores this process may use.

    A container may have fewer than it sees: its share is rounded up, so that no thread waits for another one
    that has had its time.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    count = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return min(count, _container_share(root) or count)


def physical_cores(root: Path = _SYSTEM) -> int | None:
    """Return how many cores this process may use, hyper-threads of one counted once; None where unknown.

    Of a processor with fast and slow cores only the fast ones count: threads wait for the slowest of them.
    """
    if sys.platform == "darwin":
        return next((count for name in _SYSCTL if (count := _sysctl(name))), None)
    if not hasattr(os, "sched_getaffinity"):
        return None
    usable = os.sched_getaffinity(0)
    if fast := _numbers(root / "devices/cpu_core/cpus"):
        usable = usable & fast or usable
    topology = root / "devices/system/cpu"
    siblings = [frozenset(_numbers(topology / f"cpu{cpu}/topology/thread_siblings_list")) for cpu in usable]
    return len(set(siblings)) if all(siblings) else None


def _container_share(root: Path) -> int | None:
    try:
        quota, period = (root / "fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else max(math.ceil(int(quota) / int(period)), 1)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _numbers(path: Path) -> set[int]:
    """Return the numbers of a list such as "0-3,8", empty where there is none."""
    try:
        ranges = [part.split("-") for part in path.read_text().strip().split(",")]
        return {number for ends in ranges for number in range(int(ends[0]), int(ends[-1]) + 1)}
    except (OSError, ValueError):
        return set()


def _sysctl(name: str) -> int:
    import subprocess  # only a Mac needs it

    try:
        done = subprocess.run(
            ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, timeout=2, check=True
        )
        return int(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0

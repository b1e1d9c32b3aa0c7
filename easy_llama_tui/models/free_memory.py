"""How much memory a model may count on."""

import os
from pathlib import Path


def free_memory() -> int | None:
    """Return the memory that can be taken without swapping, in bytes; None where nobody tells.

    Linux tells it as MemAvailable in /proc/meminfo. Elsewhere half of the physical memory is assumed.
    """
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None

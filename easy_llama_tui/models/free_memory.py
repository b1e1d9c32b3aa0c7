"""How much memory a model may count on."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/")
_CGROUP: Final = "sys/fs/cgroup"
_LIMIT_FILES: Final = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Of both versions of cgroups: the limit of the memory, what is taken, and what of that can be given back."""


def free_memory(root: Path = _ROOT) -> int | None:
    """Return the memory that can be taken without swapping, in bytes; None where nobody tells.

    Linux tells it as MemAvailable in /proc/meminfo, and less of it where a container has a limit. Elsewhere
    half of the physical memory is assumed.

    Args:
        root: where the file system begins.
    """
    try:
        for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return min([int(line.split()[1]) * 1024, *_room_in_containers(root)])
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None


def _room_in_containers(root: Path) -> Iterator[int]:
    """Yield what the limits leave of the groups that this process is in."""
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for group in groups:
        _, _, rest = group.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon or controllers not in _LIMIT_FILES:
            continue
        base = root / _CGROUP / controllers
        own = base / path.strip("/")
        # In a container its own group is often the root of those that are seen.
        for folder in (own, *own.parents):
            room = _room(folder, *_LIMIT_FILES[controllers])
            if room is not None:
                yield room
            if folder == base:
                break


def _room(folder: Path, limit: str, taken: str, given_back: str) -> int | None:
    """Return what the limit of one group leaves, in bytes; None where it has none."""
    try:
        most = int((folder / limit).read_text(encoding="ascii"))
        used = int((folder / taken).read_text(encoding="ascii"))
        figures = (folder / "memory.stat").read_text(encoding="ascii").split()
        return max(most - used + int(figures[figures.index(given_back) + 1]), 0)
    except (OSError, ValueError, IndexError):
        return None

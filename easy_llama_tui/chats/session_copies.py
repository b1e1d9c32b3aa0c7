"""Versions of chats that a save would have replaced for good, kept for a while beside the chats."""

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from easy_llama_tui.atomic_write import write_new
from easy_llama_tui.private_files import make_private_folder

KEPT_FOR: Final = timedelta(days=30)
"""How long a version is kept."""
KEPT_VERSIONS: Final = 10
"""How many versions of one chat are kept, beside those of older schemas."""
COPIES_FOLDER: Final = ".kept"
"""The name of their folder, in the folder of the chats."""

_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_NAME: Final = re.compile(r"([0-9]{8}T[0-9]{6}\.[0-9]{6}Z)-[0-9a-f]{8}(-before-upgrade)?\.toml")


def keep(path: Path, now: datetime, *, before_upgrade: bool = False) -> Path:
    """Keep the version of a chat that is in its file `path` now, and return where.

    The oldest ones above `KEPT_VERSIONS` go. That of an older schema stays as long as its chat.

    Args:
        path: The chat's file, which is only read.
        now: The time (aware).
        before_upgrade: The version is of an older schema.

    Raises:
        OSError: It cannot be kept.
    """
    folder = path.parent / COPIES_FOLDER / path.stem
    make_private_folder(folder)
    stamp = now.astimezone(UTC).strftime(_TIME)
    name = f"{stamp}-{os.urandom(4).hex()}{'-before-upgrade' * before_upgrade}.toml"
    copy = folder / name
    try:
        os.link(path, copy)
    except OSError:  # a file system without links
        write_new(copy, path.read_bytes())
    usual = [one for one, match in _copies(folder) if match[2] is None]
    for old in sorted(usual, key=lambda one: one.name)[: -KEPT_VERSIONS or None]:
        with contextlib.suppress(OSError):
            old.unlink()
    return copy


def remove_old(chats: Path, now: datetime) -> None:
    """Remove what was kept longer than `KEPT_FOR` before `now` (aware) in the folder `chats`. Never raises.

    Versions of older schemas stay while their chat is there.
    """
    folders: list[Path] = []
    with contextlib.suppress(OSError):
        folders = list((chats / COPIES_FOLDER).iterdir())
    for folder in folders:
        is_there = (chats / f"{folder.name}.toml").exists()
        for copy, match in _copies(folder):
            if is_there and match[2]:
                continue
            with contextlib.suppress(OSError, ValueError):
                if datetime.strptime(match[1], _TIME).replace(tzinfo=UTC) < now - KEPT_FOR:
                    copy.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()


def _copies(folder: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    paths: list[Path] = []
    with contextlib.suppress(OSError):
        paths = list(folder.iterdir())
    for path in paths:
        if match := _NAME.fullmatch(path.name):
            yield path, match

"""Deleted chats, kept for a while so that a deletion can be undone.

Each lies in a folder of its own, named after the time of the deletion, under the name that it had. What
people put into the trash by hand is left alone.
"""

import contextlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from easy_llama_tui.private_files import make_private_folder

KEPT_FOR: Final = timedelta(days=30)
"""How long a deleted chat can be restored."""

_NAME: Final = re.compile(r"([0-9]{8}T[0-9]{6}Z)-[0-9a-f]{8}")
_TIME: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class DeletedChat:
    """A deletion that can be undone."""

    id: str
    """The chat's id."""
    path: Path
    """Where its file was."""
    trashed: Path
    """Where its file is."""


class Trash:
    """A folder of deleted chats, on the file system of the chats."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made for its user alone with the first deletion."""
        self.folder = folder

    def put(self, path: Path, now: datetime) -> DeletedChat:
        """Move a chat's file into the trash at the time `now` (aware), in one step.

        Raises:
            OSError: It cannot be moved, and is where it was.
        """
        stamp = now.astimezone(UTC).strftime(_TIME)
        place = self.folder / f"{stamp}-{os.urandom(4).hex()}"
        make_private_folder(self.folder)
        place.mkdir(mode=0o700)
        try:
            trashed = path.rename(place / path.name)
        except OSError:
            place.rmdir()
            raise
        return DeletedChat(path.stem, path, trashed)

    def take_back(self, deleted: DeletedChat) -> None:
        """Move a chat's file back to where it was.

        Raises:
            FileExistsError: Another file is there now.
            OSError: It cannot be moved, or is no longer in the trash.
        """
        if deleted.path.exists():
            raise FileExistsError(f"{deleted.path} is there already")
        deleted.trashed.rename(deleted.path)
        with contextlib.suppress(OSError):
            deleted.trashed.parent.rmdir()

    def empty(self, now: datetime) -> int:
        """Remove for good what was deleted longer than `KEPT_FOR` before `now` (aware).

        What cannot be removed stays until the next time.

        Returns:
            How many files are gone.
        """
        places = []
        with contextlib.suppress(OSError):
            places = [place for place in self.folder.iterdir() if _is_older(place.name, now - KEPT_FOR)]
        return sum(_remove(place) for place in places)


def _is_older(name: str, than: datetime) -> bool:
    match = _NAME.fullmatch(name)
    if match is None:
        return False
    try:
        return datetime.strptime(match[1], _TIME).replace(tzinfo=UTC) < than
    except ValueError:
        return False


def _remove(place: Path) -> int:
    count = 0
    with contextlib.suppress(OSError):
        for path in place.glob("*.toml"):
            path.unlink()
            count += 1
        place.rmdir()
    return count

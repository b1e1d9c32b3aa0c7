"""The files of chats as such: their text, and whether what is on the disk is still what one knows."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from easy_llama_tui.chats.session import DamagedSessionError, SessionError

SUFFIX: Final = ".toml"

_MESSAGES_BEGIN: Final = b"[[messages]]"


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What changes with nearly every change of a file, and costs no reading."""

    size: int
    modified_ns: int
    device: int
    inode: int

    @classmethod
    def of(cls, state: os.stat_result) -> "FileStamp":
        """Return the stamp of a file from what the system says of it."""
        return cls(state.st_size, state.st_mtime_ns, state.st_dev, state.st_ino)


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One version of a file."""

    stamp: FileStamp
    digest: bytes
    """Of all its bytes."""

    def is_at(self, path: Path) -> bool:
        """Return whether `path`, which must be there, holds these very bytes.

        Raises:
            FileNotFoundError: there is no file.
            OSError: it cannot be read.
        """
        if stamp_of(path) == self.stamp:
            return True
        return digest_of(path.read_bytes()) == self.digest


def stamp_of(path: Path) -> FileStamp:
    """Return the stamp of a file, or of that which a link leads to.

    Raises:
        OSError: there is none, or it cannot be looked at.
    """
    return FileStamp.of(path.stat())


def digest_of(data: bytes) -> bytes:
    """Return what tells these bytes from any others."""
    return hashlib.blake2b(data, digest_size=16).digest()


def read_text(path: Path, *, header_only: bool = False) -> str:
    """Return a file's text (a byte order mark is left out), or only what comes before its messages.

    Raises:
        DamagedSessionError: It is not UTF-8.
        SessionError: It is no file, or cannot be read.
    """
    return text_of(read_bytes(path, header_only=header_only), path)


def read_bytes(path: Path, *, header_only: bool = False) -> bytes:
    """Return what is in a file, or only what comes before its messages.

    Raises:
        SessionError: It is no file, or cannot be read.
    """
    try:
        if not path.is_file():
            raise SessionError(f"There is no file {path}.", "Check the path, or choose a chat from the list.")
        with path.open("rb") as file:
            if not header_only:
                return file.read()
            lines: list[bytes] = []
            for line in file:
                if line.rstrip() == _MESSAGES_BEGIN:
                    break
                lines.append(line)
            return b"".join(lines)
    except OSError as error:
        raise SessionError(
            f"{path} could not be read: {reason_of(error)}.",
            "Make the file readable, or open another chat.",
        ) from error


def text_of(data: bytes, path: Path) -> str:
    """Return the text of a file's bytes, without a byte order mark.

    Raises:
        DamagedSessionError: They are not UTF-8; `path` names the file.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"{path} is not UTF-8 text (byte {error.start}, in line {line})."
        raise DamagedSessionError(what, line=line) from None


def reason_of(error: OSError) -> str:
    """Return why the system could not do something, in its words."""
    return error.strerror or str(error)

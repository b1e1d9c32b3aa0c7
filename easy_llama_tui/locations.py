"""Where the app keeps its files, by the customs of the system that it runs on.

These are paths only. Whoever writes there creates the folder, for its user alone (mode 0700), because
chats and logs are private.
"""

from typing import TYPE_CHECKING

from platformdirs import PlatformDirs

if TYPE_CHECKING:
    from pathlib import Path

APP_NAME = "easy-llama"


def _folders() -> PlatformDirs:
    return PlatformDirs(APP_NAME, appauthor=False)


def sessions_folder() -> "Path":
    """Return the folder that holds the saved chats, one file each."""
    return _folders().user_data_path / "sessions"


def log_file() -> "Path":
    """Return the file that log lines go to."""
    return _folders().user_log_path / f"{APP_NAME}.log"


def config_folder() -> "Path":
    """Return the folder that holds the person's configuration and own themes."""
    return _folders().user_config_path


def cache_folder() -> "Path":
    """Return the folder for what can be made again."""
    return _folders().user_cache_path

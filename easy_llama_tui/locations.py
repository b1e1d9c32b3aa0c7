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


def drafts_folder() -> "Path":
    """Return the folder that holds what was written and not sent."""
    return _folders().user_data_path / "drafts"


def log_file() -> "Path":
    """Return the file that log lines go to."""
    return _folders().user_log_path / f"{APP_NAME}.log"


def config_folder() -> "Path":
    """Return the folder that holds the person's configuration and own themes."""
    return _folders().user_config_path


def config_file() -> "Path":
    """Return the file of the person's configuration."""
    return config_folder() / "config.toml"


def formats_folder() -> "Path":
    """Return the folder of the person's own prompt formats."""
    return config_folder() / "formats"


def presets_folder() -> "Path":
    """Return the folder of the person's own sampler presets."""
    return config_folder() / "samplers"


def history_file() -> "Path":
    """Return the file of what was written in all chats."""
    return _folders().user_state_path / "history.jsonl"


def index_file() -> "Path":
    """Return the file that makes the list of chats quick; it can be made again."""
    return cache_folder() / "chats.json"


def chat_states_folder() -> "Path":
    """Return the folder of what models have read of chats; it can be read again."""
    return cache_folder() / "chat-states"


def state_file() -> "Path":
    """Return the file of what the app remembers by itself."""
    return _folders().user_state_path / "state.toml"


def cache_folder() -> "Path":
    """Return the folder for what can be made again."""
    return _folders().user_cache_path

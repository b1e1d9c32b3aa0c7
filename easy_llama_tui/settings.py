"""What the app was started with and what the person may change: choices that outlive a chat."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from easy_llama import samplers
from easy_llama.samplers import SamplerSettings
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.preferences.config import Config
from easy_llama_tui.replies.engine import LoadOptions
from easy_llama_tui.replies.format_catalog import FormatCatalog


@dataclass(slots=True)
class Settings:
    """The app's own state beside the chats. Changed on the UI thread only."""

    config: Config
    load_options: LoadOptions | None
    """How to load the model to begin with; None where there is none."""

    begin_chat: Callable[[], Chat]
    """Makes a new chat as the command line and the configuration say."""

    catalog: FormatCatalog = field(default_factory=lambda: FormatCatalog({}))
    presets: dict[str, SamplerSettings] = field(default_factory=lambda: dict(samplers.PRESETS))
    """The sampler presets by name, the person's own among them."""

    presets_folder: Path = Path()
    state_file: Path | None = None
    """Where choices are remembered; None remembers none."""

    history_file: Path | None = None
    """Where what was written is remembered."""

    drafts_folder: Path | None = None
    """Where what is written and not sent is kept; None keeps none."""

    index_file: Path | None = None
    """Where the list of chats is kept for the next time."""

    folder: Path = field(default_factory=Path.cwd)
    """What paths in messages are relative to."""

    candidates_count: int = 10
    panel: str = ""
    """The panel that is open at the start."""

    recent_models: tuple[str, ...] = ()
    is_first_run: bool = False
    """Whether the person is new here."""

    notices: tuple[str, ...] = ()
    """What to tell the person at once."""

    tell_chat: Callable[[str], None] = lambda _name: None
    """Is told what resumes the chat that is open; "" where it is not saved."""

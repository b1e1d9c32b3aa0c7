"""What the app asks of an engine. Loads no llama.cpp: the screen is drawn before that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from easy_llama.cache_types import DEFAULT_CACHE_TYPE
from easy_llama.errors import EasyLlamaError
from easy_llama.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from easy_llama.events import CancelFlag, Distribution, Event, LeftOut, LiveSettings
    from easy_llama.prompt import Piece, Turn
    from easy_llama.samplers import SamplerSettings
    from easy_llama.scores import OnRead, Score, ScoreRequest
    from easy_llama_tui.models.memory_check import MemoryDoubt

OnProgress = Callable[[float], bool]
"""Is told the share of the model that is loaded, 0 to 1; returns whether to go on."""

OWN_FORMAT = "template"
"""The name of a model's own prompt format, whatever that is."""


class LoadOptions(Record):
    """Which model to load, and how; `None` leaves a choice to the engine."""

    path: Path
    context_length: int | None = None
    n_gpu_layers: int | None = None
    offload_kqv: bool = True
    flash_attn: bool = False
    n_threads: int | None = None
    n_batch: int | None = None
    cache_type_k: str = DEFAULT_CACHE_TYPE
    cache_type_v: str = DEFAULT_CACHE_TYPE
    prompt_lookup: bool | None = None
    draft_model: Path | None = None
    """A small model that guesses what comes next; it is left out where it does not go with the other one."""

    in_spite_of_memory: bool = False
    """Load it also where it may not fit the memory."""


class MemoryDoubtError(EasyLlamaError):
    """A model may not fit the memory, and was not loaded."""

    def __init__(self, doubt: MemoryDoubt) -> None:
        super().__init__("The model may not fit the memory that is free.")
        self.doubt = doubt


class LoadedModel(Record):
    """A model that is ready."""

    context_length: int
    format_label: str
    """What the model's own prompt format is: its chat template, or a built-in format by name."""

    notices: tuple[str, ...] = ()
    """What the person should know about how it was loaded."""

    cache_bytes: int | None = None
    """The size of the KV cache in memory, where it is known."""

    n_threads: int | None = None
    """How many threads compute, where that is known."""

    n_gpu_layers: int | None = None
    """How many layers are on a GPU, -1 for all, where that is known."""

    flash_attn: bool = False
    n_batch: int | None = None
    """At most how many tokens of a prompt are computed at once, where that is known."""

    cache_type_k: str = DEFAULT_CACHE_TYPE
    """What the keys of the KV cache are kept in."""

    cache_type_v: str = DEFAULT_CACHE_TYPE
    """What its values are kept in."""

    prompt_lookup: bool = False
    """Whether tokens are guessed from the text so far, and computed several at once."""

    draft_model: Path | None = None
    """The model that guesses tokens beside it; None where there is none."""


class RenderedPrompt(Record):
    """What the model reads."""

    pieces: tuple[Piece, ...]
    """The text, by who wrote it."""

    ids: tuple[int, ...]
    """Its tokens."""

    opening_pieces: int = 0
    """How many of the last pieces are what the reply begins with already."""

    left_out: tuple[LeftOut, ...] = ()
    """The turns that were left out, as the context does not hold them: by that, what follows them in the KV
    cache can be slid in their place."""


class ChatEngine(Protocol):
    """A language model behind a chat. All but the constructor is called in one worker thread.

    Formats are named: `OWN_FORMAT` is the model's own.
    """

    @property
    def context_length(self) -> int:
        """How many tokens the loaded model's context holds."""
        ...

    def load(self, options: LoadOptions, on_progress: OnProgress) -> LoadedModel:
        """Load a model in place of the one that is loaded.

        Raises:
            MemoryDoubtError: it may not fit the memory, and the options do not say to load it nevertheless.
            EasyLlamaError: it cannot be loaded, or `on_progress` returned False.
                In all these cases no model is loaded.
        """
        ...

    def render(
        self,
        turns: Sequence[Turn],
        format_name: str,
        *,
        opening: Turn | None = None,
        through: int | None = None,
    ) -> RenderedPrompt:
        """Build the prompt for the bot's next message after `turns`.

        Args:
            turns: the conversation.
            format_name: which prompt format.
            opening: how the bot's message begins already.
            through: end the prompt with the content of this turn, which is left open.

        Raises:
            EasyLlamaError, ValueError: the prompt cannot be built.
        """
        ...

    def places(self, prompt: RenderedPrompt) -> tuple[int, ...]:
        """Return the index of the piece in which each token of a prompt begins."""
        ...

    def token_texts(self, ids: Sequence[int]) -> tuple[str, ...]:
        """Return the text of each token; control tokens by name."""
        ...

    def token_bytes(self, ids: Sequence[int]) -> tuple[bytes, ...]:
        """Return the bytes that each token adds to a text; of control tokens, their names."""
        ...

    def is_control(self, token: int) -> bool:
        """Return whether a token stands for no text."""
        ...

    def format_warnings(self, format_name: str, turns: Sequence[Turn]) -> tuple[str, ...]:
        """Return what is off about a format with this model and these turns, a sentence each."""
        ...

    def generate(
        self,
        prompt: RenderedPrompt,
        format_name: str,
        sampler: SamplerSettings,
        cancel: CancelFlag,
        live: LiveSettings,
        reply_start: tuple[int, ...] = (),
    ) -> Iterator[Event]:
        """Generate the bot's next message, as the events of `easy_llama.events`.

        It begins with the tokens of `reply_start`, which come first of all, as any others.

        Raises:
            EasyLlamaError, ValueError: the prompt does not fit, or generating failed.
        """
        ...

    def next_tokens(
        self, prompt: RenderedPrompt, sampler: SamplerSettings, count: int, cancel: CancelFlag
    ) -> Distribution | None:
        """Return what could come after a prompt; None where that was cancelled.

        Raises:
            EasyLlamaError, ValueError: the prompt does not fit, or reading failed.
        """
        ...

    def score(self, request: ScoreRequest, cancel: CancelFlag, on_read: OnRead | None = None) -> Score | None:
        """Return how likely each token of a text is; None where that was cancelled.

        Raises:
            EasyLlamaError, ValueError: the text does not fit, or reading failed.
        """
        ...

    def keep_state(self, chat_id: str, seconds: float) -> None:
        """Keep on disk what was read of a chat since it was opened, if that takes no longer; never raises."""
        ...

    def recall_state(self, chat_id: str) -> None:
        """Bring back what was read of a chat, which is open now, where that is kept; never raises."""
        ...

    def forget_state(self, chat_id: str) -> None:
        """Remove what was read of a chat from the disk; never raises."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...

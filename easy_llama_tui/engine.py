"""What the app asks of an engine. Loads no llama.cpp: the screen is drawn before that."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from easy_llama.events import CancelFlag, Event
from easy_llama.prompt import Turn
from easy_llama.samplers import SamplerSettings

OnProgress = Callable[[float], bool]
"""Is told the share of the model that is loaded, 0 to 1; returns whether to go on."""

OWN_FORMAT = "template"
"""The name of a model's own prompt format, whatever that is."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Which model to load, and how; `None` leaves a choice to the engine."""

    path: Path
    context_length: int | None = None
    n_gpu_layers: int | None = None
    offload_kqv: bool = True
    flash_attn: bool = False
    n_threads: int | None = None


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready."""

    context_length: int
    format_label: str
    """What the model's own prompt format is: its chat template, or a built-in format by name."""

    notices: tuple[str, ...] = ()
    """What the person should know about how it was loaded."""


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What the bot's next message is made from."""

    turns: tuple[Turn, ...]
    format: str
    """The name of a prompt format; `OWN_FORMAT` is the model's own."""

    sampler: SamplerSettings


class ChatEngine(Protocol):
    """A language model behind a chat. All but the constructor is called in one worker thread."""

    def load(self, on_progress: OnProgress) -> LoadedModel:
        """Load the model.

        Raises:
            EasyLlamaError: it cannot be loaded, or `on_progress` returned False.
        """
        ...

    def reply(self, request: ReplyRequest, cancel: CancelFlag) -> Iterator[Event]:
        """Generate the bot's next message, as the events of `easy_llama.events`.

        Raises:
            EasyLlamaError: the prompt cannot be built, does not fit, or generating failed.
        """
        ...

    def close(self) -> None:
        """Free the model."""
        ...

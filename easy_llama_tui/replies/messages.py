"""What the worker thread tells the screen. Messages carry frozen values only.

They are for the screen alone and go no further: text comes some twenty times a second.
"""

from dataclasses import dataclass

from textual.message import Message

from easy_llama.events import Distribution, LeftOut
from easy_llama_tui.chats.context_window import Window
from easy_llama_tui.chats.conversation import Finish
from easy_llama_tui.models.memory_check import MemoryDoubt
from easy_llama_tui.replies.engine import LoadedModel
from easy_llama_tui.replies.figures import Figures
from easy_llama_tui.replies.inspection import Inspection
from easy_llama_tui.replies.token_figures import TokenFigure


@dataclass
class LoadProgress(Message, bubble=False):
    """More of the model is loaded."""

    share: float


@dataclass
class ModelReady(Message, bubble=False):
    """The model is loaded."""

    model: LoadedModel


@dataclass
class ModelFailed(Message, bubble=False):
    """The model could not be loaded."""

    reason: str


@dataclass
class LoadDoubted(Message, bubble=False):
    """The model may not fit the memory, and none is loaded; it is to be asked what to do."""

    doubt: MemoryDoubt


@dataclass
class WindowFitted(Message, bubble=False):
    """It is known what of the chat the model reads for a reply."""

    request_id: int
    window: Window
    opens_reasoning: bool = False
    """Whether the prompt ends inside reasoning, which the reply then begins with."""


@dataclass
class ReplyRefused(Message, bubble=False):
    """A reply was not begun, because the prompt does not fit the context; nothing comes after it."""

    request_id: int
    reason: str


@dataclass
class CandidatesSeen(Message, bubble=False):
    """What could come next in a reply that is being written."""

    request_id: int
    distribution: Distribution


@dataclass
class Inspected(Message, bubble=False):
    """What the next prompt is made of."""

    chat_id: str
    inspection: Inspection


@dataclass
class PromptRead(Message, bubble=False):
    """More of a prompt was read."""

    request_id: int
    figures: Figures


@dataclass
class ReplyText(Message, bubble=False):
    """More of a reply was written."""

    request_id: int
    text: str
    figures: Figures


@dataclass
class ReplyEnded(Message, bubble=False):
    """A reply ended, in whatever way; nothing comes after it."""

    request_id: int
    finish: Finish
    text: str
    """The last of the text."""

    ids: tuple[int, ...]
    """The exact token ids of the whole reply, where known."""

    figures: Figures
    error: str = ""
    """What to tell the person where `finish` is "error"."""

    seed: int | None = None
    """The seed that the reply was drawn with, where it is known."""

    prompt_seconds: float | None = None
    """From the start to the first token, where it is known."""

    generation_seconds: float | None = None
    """From the first token to the end, where it is known."""

    context_is_full: bool = False
    """Whether the reply ended because the context did."""


@dataclass
class TextTokens(Message, bubble=False):
    """The tokens of a text that is looked at are known, and nothing else of them."""

    request_id: int
    before: tuple[int, ...]
    """The ids that the model reads before the text."""

    figures: tuple[TokenFigure, ...]
    left_out: tuple[LeftOut, ...] = ()
    """What was left out of what the model reads."""


@dataclass
class TextProgress(Message, bubble=False):
    """More was read of a text that is looked at, in tokens with all that comes before it."""

    request_id: int
    done: int
    total: int


@dataclass
class TextScored(Message, bubble=False):
    """The figures of a text that is looked at are known."""

    request_id: int
    figures: tuple[TokenFigure, ...]


@dataclass
class CandidatesFound(Message, bubble=False):
    """What could stand in place of a token is known."""

    request_id: int
    index: int
    distribution: Distribution


@dataclass
class TextFailed(Message, bubble=False):
    """The figures of a text cannot be computed."""

    request_id: int
    reason: str


@dataclass
class ChatSaved(Message, bubble=False):
    """A chat is on disk as it was when it was last handed over."""

    chat_id: str


@dataclass
class SaveFailed(Message, bubble=False):
    """A chat could not be saved; it is tried again."""

    chat_id: str
    reason: str
    """What happened and what to do, in sentences."""
    cause: str
    """What happened, in a few words."""


@dataclass
class SaveNoted(Message):
    """Something happened to the file of a chat that the person should know."""

    notice: str

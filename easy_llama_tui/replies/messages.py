"""What the worker thread tells the screen. Messages carry frozen values only."""

from dataclasses import dataclass

from textual.message import Message

from easy_llama.events import Distribution
from easy_llama_tui.chats.context_window import Window
from easy_llama_tui.chats.conversation import Finish
from easy_llama_tui.replies.engine import LoadedModel
from easy_llama_tui.replies.figures import Figures
from easy_llama_tui.replies.inspection import Inspection
from easy_llama_tui.replies.token_figures import TokenFigure


@dataclass
class LoadProgress(Message):
    """More of the model is loaded."""

    share: float


@dataclass
class ModelReady(Message):
    """The model is loaded."""

    model: LoadedModel


@dataclass
class ModelFailed(Message):
    """The model could not be loaded."""

    reason: str


@dataclass
class WindowFitted(Message):
    """It is known what of the chat the model reads for a reply."""

    request_id: int
    window: Window
    opens_reasoning: bool = False
    """Whether the prompt ends inside reasoning, which the reply then begins with."""


@dataclass
class ReplyRefused(Message):
    """A reply was not begun, because the prompt does not fit the context; nothing comes after it."""

    request_id: int
    reason: str


@dataclass
class CandidatesSeen(Message):
    """What could come next in a reply that is being written."""

    request_id: int
    distribution: Distribution


@dataclass
class Inspected(Message):
    """What the next prompt is made of."""

    chat_id: str
    inspection: Inspection


@dataclass
class PromptRead(Message):
    """More of a prompt was read."""

    request_id: int
    figures: Figures


@dataclass
class ReplyText(Message):
    """More of a reply was written."""

    request_id: int
    text: str
    figures: Figures


@dataclass
class ReplyEnded(Message):
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
class TextTokens(Message):
    """The tokens of a text that is looked at are known, and nothing else of them."""

    request_id: int
    before: tuple[int, ...]
    """The ids that the model reads before the text."""

    figures: tuple[TokenFigure, ...]


@dataclass
class TextProgress(Message):
    """More was read of a text that is looked at, in tokens with all that comes before it."""

    request_id: int
    done: int
    total: int


@dataclass
class TextScored(Message):
    """The figures of a text that is looked at are known."""

    request_id: int
    figures: tuple[TokenFigure, ...]


@dataclass
class CandidatesFound(Message):
    """What could stand in place of a token is known."""

    request_id: int
    index: int
    distribution: Distribution


@dataclass
class TextFailed(Message):
    """The figures of a text cannot be computed."""

    request_id: int
    reason: str


@dataclass
class ChatSaved(Message):
    """A chat is on disk as it was when it was last handed over."""

    chat_id: str


@dataclass
class SaveFailed(Message):
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

"""What the engine is at: the model that is loaded, and the reply that is being written."""

from collections.abc import Callable
from dataclasses import dataclass

from easy_llama.events import LiveSettings
from easy_llama.prompt import Turn
from easy_llama.samplers import SamplerSettings
from easy_llama_tui.chats.chat import Chat
from easy_llama_tui.chats.context_window import EVERYTHING, Window
from easy_llama_tui.chats.conversation import Message
from easy_llama_tui.replies.engine import LoadedModel, LoadOptions
from easy_llama_tui.replies.engine_worker import EngineWorker
from easy_llama_tui.replies.generation import ReplyRequest
from easy_llama_tui.replies.messages import Figures
from easy_llama_tui.replies.wording import ChatState

CANDIDATES_SECONDS = 0.1
"""The least time between two looks at the candidates of a reply that is being written."""


@dataclass(frozen=True, slots=True)
class RunningTurn:
    """The reply that is under way."""

    request_id: int
    reply_id: str
    before: Message | None
    """The reply as it was, where it is continued."""

    asked: str | None
    """What the person wrote, where the reply answers that."""


class Turns:
    """The state of the chat, one reply at a time. It knows no widgets, and changes on the UI thread only."""

    def __init__(self, worker: EngineWorker) -> None:
        self._worker = worker
        self._requests = 0
        self.state = ChatState.NO_MODEL
        self.model: LoadedModel | None = None
        self.load_share = 0.0
        self.running: RunningTurn | None = None
        self.figures = Figures()
        """How the turn goes that is under way, or went last."""

        self.last_seed: int | None = None
        """The seed of the last reply."""

        self.window: Window = EVERYTHING
        """What of the chat the model reads."""

        self.live = LiveSettings()
        self.candidates = 0
        """How many candidates to look at while a reply is written; 0 looks at none."""

        self.afterwards: Callable[[], None] | None = None
        """What to do once the turn has ended."""

    def load(self, options: LoadOptions) -> None:
        """Load a model in place of the one that is loaded."""
        self.model = None
        self.load_share = 0.0
        self.figures = Figures()
        self.state = ChatState.LOADING
        self._worker.load(options)

    def loaded(self, model: LoadedModel) -> None:
        """Note that the model is there."""
        self.model = model
        self.state = ChatState.IDLE if self.running is None else ChatState.READING

    def failed(self) -> None:
        """Note that the model could not be loaded."""
        self.model = None
        self.state = ChatState.NO_MODEL

    def begin(
        self,
        chat: Chat,
        reply: Message,
        *,
        opening: Turn | None = None,
        is_continued: bool = False,
        asked: str | None = None,
    ) -> None:
        """Have a reply written.

        Args:
            chat: where the reply stands.
            reply: its message, which is there already.
            opening: how it begins.
            is_continued: whether the reply was there before.
            asked: what the person wrote, where the reply answers that.
        """
        self._requests += 1
        self.running = RunningTurn(self._requests, reply.id, reply if is_continued else None, asked)
        self.figures = Figures()
        self.live = LiveSettings(candidates=self.candidates, candidates_interval=CANDIDATES_SECONDS)
        request = ReplyRequest(
            turns=chat.conversation.turns(before=reply.id),
            format=chat.format,
            sampler=chat.sampler_for(reply),
            policy=chat.policy,
            outside=self.window.outside,
            opening=opening,
        )
        self._worker.reply(self._requests, request, self.live)
        if self.state is not ChatState.LOADING:
            self.state = ChatState.READING

    def is_current(self, request_id: int) -> bool:
        """Return whether a message of the engine belongs to the reply that is under way."""
        return self.running is not None and self.running.request_id == request_id

    def stop(self) -> None:
        """Ask the reply that is under way to end."""
        self._worker.stop_reply()
        if self.state is not ChatState.LOADING:
            self.state = ChatState.STOPPING

    def end(self) -> RunningTurn:
        """Note that the reply has ended, and return what it was."""
        assert self.running is not None
        running, self.running = self.running, None
        if self.state is not ChatState.LOADING:
            self.state = ChatState.IDLE if self.model is not None else ChatState.NO_MODEL
        return running

    def take_afterwards(self) -> Callable[[], None] | None:
        """Return what to do now that the turn has ended, once."""
        step, self.afterwards = self.afterwards, None
        return step

    def follow_sampler(self, settings: SamplerSettings) -> None:
        """Let the reply under way go on with other settings."""
        self.live.sampler = settings

    def watch(self, candidates: int) -> None:
        """Look at so many candidates from the next token on."""
        self.candidates = self.live.candidates = candidates

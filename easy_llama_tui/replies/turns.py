"""What the engine is at: the model that is loaded, and the reply that is being written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from easy_llama.record import Record
from easy_llama_tui.chats.context_window import EVERYTHING, Window
from easy_llama_tui.chats.conversation import Message, utc_now
from easy_llama_tui.replies.figures import Figures
from easy_llama_tui.replies.wording import ChatState

if TYPE_CHECKING:
    from collections.abc import Callable

    from easy_llama.events import LiveSettings
    from easy_llama.prompt import Turn
    from easy_llama.samplers import SamplerSettings
    from easy_llama_tui.chats.chat import Chat
    from easy_llama_tui.chats.making import Making, Recipe
    from easy_llama_tui.replies.engine import LoadedModel, LoadOptions
    from easy_llama_tui.replies.engine_worker import EngineWorker
    from easy_llama_tui.replies.messages import ReplyEnded

CANDIDATES_SECONDS = 0.2
"""The least time between two looks at the candidates of a reply that is being written."""


class RunningTurn(Record):
    """The reply that is under way."""

    request_id: int
    reply_id: str
    before: Message | None
    """The reply as it was, where it is continued."""

    asked: str | None
    """What the person wrote, where the reply answers that."""

    making: Making
    """How it is made, as far as that is known at the beginning."""

    @property
    def made_before(self) -> tuple[Making, ...]:
        """How it was made, where it is continued."""
        return self.before.made if self.before is not None else ()


class Fork(Record):
    """Where a reply parts from another one."""

    ids: tuple[int, ...]
    """The tokens that it begins with: those of the other reply, and the one that differs."""

    shared_length: int
    """How many characters it shares with the other reply."""

    format: str
    """The prompt format that the other reply was made with."""


class Turns:
    """The state of the chat, one reply at a time. It knows no widgets, and changes on the UI thread only."""

    def __init__(self, worker: Callable[[], EngineWorker]) -> None:
        """Begin without a model.

        Args:
            worker: returns the engine's thread; not called before there is something to do.
        """
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
        self.has_room = True
        """Whether the last reply could be continued, as of the last look at the prompt."""
        """What of the chat the model reads."""

        self.live: LiveSettings | None = None
        """What can be changed of the reply that is being written, or was last; None before the first."""

        self.candidates = 0
        """How many candidates to look at while a reply is written; 0 looks at none."""

        self._settings_changed = False
        """Whether the settings of the reply that is under way were changed."""

        self.afterwards: Callable[[], None] | None = None
        """What to do once the turn has ended."""

    def load(self, options: LoadOptions) -> None:
        """Load a model in place of the one that is loaded."""
        self.model = None
        self.load_share = 0.0
        self.figures = Figures()
        self.state = ChatState.LOADING
        self._worker().load(options)

    def stop_loading(self) -> bool:
        """Stop loading; return whether there was a model that had not come yet."""
        if self.state is not ChatState.LOADING or not self._worker().stop_loading():
            return False
        self.failed()
        return True

    def hold(self) -> None:
        """Have the reply wait until it is asked for again: the engine has no model for it, and refuses it."""
        if self.running is not None:
            self.running = replace(self.running, request_id=0)

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
        again: Making | None = None,
        fork: Fork | None = None,
    ) -> None:
        """Have a reply written.

        Args:
            chat: where the reply stands.
            reply: its message, which is there already.
            opening: how it begins.
            is_continued: whether the reply was there before.
            asked: what the person wrote, where the reply answers that.
            again: how another reply was made whose text is to be written again.
            fork: where it parts from another reply.
        """
        # Not before the first picture: what a reply needs comes with the engine.
        from easy_llama.events import LiveSettings
        from easy_llama_tui.chats.making import Making
        from easy_llama_tui.replies.generation import ReplyRequest

        self._requests += 1
        sampler = again.settings if again is not None else chat.sampler_for(reply)
        recipe = chat.recipe(sampler)
        if again is not None:
            recipe = replace(recipe, format=again.recipe.format, preset=again.recipe.preset)
        start = len(opening.content) if opening is not None else 0
        if fork is not None:
            recipe, start = replace(recipe, format=fork.format), fork.shared_length
        given = len(fork.ids) if fork is not None else 0
        making = Making(recipe, utc_now(), sampler.seed, start=start, given_tokens=given)
        self.running = RunningTurn(self._requests, reply.id, reply if is_continued else None, asked, making)
        self._settings_changed = False
        self.figures = Figures()
        self.live = LiveSettings(candidates=self.candidates, candidates_interval=CANDIDATES_SECONDS)
        request = ReplyRequest(
            turns=chat.conversation.turns(before=reply.id),
            format=recipe.format,
            sampler=sampler,
            policy=chat.policy,
            outside=self.window.outside,
            opening=opening,
            start=fork.ids if fork is not None else (),
        )
        self._worker().reply(self._requests, request, self.live)
        if self.state is not ChatState.LOADING:
            self.state = ChatState.READING

    def is_current(self, request_id: int) -> bool:
        """Return whether a message of the engine belongs to the reply that is under way."""
        return self.running is not None and self.running.request_id == request_id

    def stop(self) -> None:
        """Ask the reply that is under way to end."""
        self._worker().stop_reply()
        if self.state is not ChatState.LOADING:
            self.state = ChatState.STOPPING

    def end(self) -> RunningTurn:
        """Note that the reply has ended, and return what it was."""
        assert self.running is not None
        running, self.running = self.running, None
        if self.state is not ChatState.LOADING:
            self.state = ChatState.IDLE if self.model is not None else ChatState.NO_MODEL
        return running

    def making_so_far(self, ended: ReplyEnded | None = None) -> tuple[Making, ...]:
        """Return how the reply under way was made, all that it was continued by included.

        Args:
            ended: how it ended, where it has and that is known.
        """
        assert self.running is not None
        model, begun = self.model, self.running.making
        if model is None:
            return self.running.made_before  # it waits for a model: nothing was written
        making = replace(
            begun,
            recipe=_with_loading(begun.recipe, model),
            left_out=len(self.window.outside),
            prompt_tokens=self.figures.prompt_tokens,
            reused_tokens=self.figures.reused_tokens,
            slid_tokens=self.figures.slid_tokens,
            written_tokens=self.figures.generated_tokens,
            settings_changed=self._settings_changed,
        )
        if ended is not None:
            making = replace(
                making,
                seed=making.seed if ended.seed is None else ended.seed,
                reading_seconds=ended.prompt_seconds,
                writing_seconds=ended.generation_seconds,
            )
        return (*self.running.made_before, making)

    def recipe_now(self, chat: Chat) -> Recipe | None:
        """Return how a reply would be made now; None where no model is loaded."""
        return None if self.model is None else _with_loading(chat.recipe(chat.sampler), self.model)

    def take_afterwards(self) -> Callable[[], None] | None:
        """Return what to do now that the turn has ended, once."""
        step, self.afterwards = self.afterwards, None
        return step

    def follow_sampler(self, settings: SamplerSettings) -> None:
        """Let the reply under way go on with other settings."""
        self._settings_changed = self.running is not None
        if self.live is not None:
            self.live.sampler = settings

    def watch(self, candidates: int) -> None:
        """Look at so many candidates from the next token on."""
        self.candidates = candidates
        if self.live is not None:
            self.live.candidates = candidates


def _with_loading(recipe: Recipe, model: LoadedModel) -> Recipe:
    """Return a recipe that says how its model is loaded."""
    return replace(
        recipe,
        context_length=model.context_length,
        threads=model.n_threads,
        gpu_layers=model.n_gpu_layers,
        flash_attn=model.flash_attn,
        batch=model.n_batch,
        cache_type_k=model.cache_type_k,
        cache_type_v=model.cache_type_v,
        prompt_lookup=model.prompt_lookup,
        draft_model=str(model.draft_model or ""),
    )

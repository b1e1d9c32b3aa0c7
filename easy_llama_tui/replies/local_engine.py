"""The engine of the app: a model in this very process, through `easy_llama`."""

import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from easy_llama import formats
from easy_llama.errors import (
    ContextScalingWarning,
    DraftModelError,
    EasyLlamaError,
    ModelLoadError,
    ModelUnloadedException,
)
from easy_llama.events import CancelFlag, Distribution, Event, Finished, LiveSettings
from easy_llama.gguf import open_gguf
from easy_llama.loading import kv_cache_bytes, plan_loading
from easy_llama.prompt import Control, Generated, Turn, Written, encode_prompt, piece_of_each_token
from easy_llama.samplers import SamplerSettings
from easy_llama.scores import OnRead, Score, ScoreRequest
from easy_llama_tui.models.free_memory import free_memory
from easy_llama_tui.replies.chat_states import LEAST_TOKENS, ChatStates
from easy_llama_tui.replies.engine import (
    OWN_FORMAT,
    LoadedModel,
    LoadOptions,
    OnProgress,
    RenderedPrompt,
)
from easy_llama_tui.replies.format_catalog import FormatCatalog
from easy_llama_tui.replies.loading_choice import cache_number_bytes, check_files, choose_loading

if TYPE_CHECKING:
    from easy_llama.model import Model

_SHELF_BYTES = 1 << 29
"""How much memory copies of the KV cache may take, from which other branches and chats go on."""
_SHELF_SHARE = 8
"""What part of the free memory that may be at most: one in so many."""

_BYTES_A_SECOND = 10**9
"""About how much can be copied and written: more is not even tried."""

_log = logging.getLogger(__name__)

_CONTROL_LOOK = re.compile(r"<[|\uff5c]?[\w\u2581/][^<>\s]*>|\[/?[A-Z_]+\]")
"""What looks like the name of a control token."""


class LocalEngine:
    """A `ChatEngine` over `easy_llama.Model`."""

    def __init__(self, catalog: FormatCatalog, states: ChatStates | None = None) -> None:
        """Make an engine that knows the formats of `catalog`, beside each model's own.

        Args:
            catalog: formats by name.
            states: where what was read of chats is kept; None keeps nothing.
        """
        self._catalog = catalog
        self._states = states
        self._opened_with: tuple[int, ...] = ()
        """What the KV cache held when the chat was opened."""
        self._loaded: Model | None = None
        self._own_format: Mapping[str, Any] = {}
        self._written: list[tuple[int, ...]] = []
        """The replies that the loaded model wrote with control tokens in them."""

    @property
    def context_length(self) -> int:
        """How many tokens the loaded model's context holds."""
        return self._model.context_length

    def load(self, options: LoadOptions, on_progress: OnProgress) -> LoadedModel:
        """Load a model in place of the one that is loaded; importing llama.cpp is a part of it."""
        try:
            return self._load(options, on_progress)
        except DraftModelError as error:
            # It may go with another model, as that which was chosen first.
            loaded = self._load(replace(options, draft_model=None), on_progress)
            notice = f"The model is loaded without a draft model. {error}"
            return replace(loaded, notices=(notice, *loaded.notices))

    def _load(self, options: LoadOptions, on_progress: OnProgress) -> LoadedModel:
        # A file that cannot be right must not cost the model that is loaded.
        sizes = check_files(options)
        self.close()

        from easy_llama.model import Model

        choice = choose_loading(options, sizes)
        notices = [*choice.notices]
        if not on_progress(0.0):
            raise ModelLoadError(f"{options.path}: loading was stopped")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ContextScalingWarning)
            model = Model(
                str(options.path),
                context_length=choice.context_length,
                n_gpu_layers=choice.n_gpu_layers,
                offload_kqv=options.offload_kqv,
                flash_attn=options.flash_attn,
                n_threads=options.n_threads,
                n_batch=options.n_batch,
                cache_type_k=options.cache_type_k,
                cache_type_v=options.cache_type_v,
                prompt_lookup=options.prompt_lookup,
                draft_model=options.draft_model,
                on_progress=on_progress,
            )
        notices += [str(one.message) for one in caught if one.category is ContextScalingWarning]
        self._loaded = model
        self._opened_with = ()
        model.engine.shelf.budget = min(_SHELF_BYTES, (free_memory() or _SHELF_BYTES) // _SHELF_SHARE)
        if choice.context_length not in (None, model.context_length):
            notices.append(
                f"The context is {model.context_length:,} tokens: "
                f"llama.cpp rounds {choice.context_length:,} up."
            )
        detected = formats.detect(model)
        self._own_format = detected.format
        if detected.notice:
            notices.append(detected.notice)
        label = "chat template" if detected.name == OWN_FORMAT else detected.name
        with open_gguf(options.path) as header:
            cache_bytes = kv_cache_bytes(header.metadata, model.context_length, **cache_number_bytes(options))
            n_threads = plan_loading(header.metadata, n_threads=options.n_threads).n_threads
        return LoadedModel(
            model.context_length,
            label,
            tuple(notices),
            cache_bytes,
            n_threads=n_threads,
            n_gpu_layers=model.n_gpu_layers,
            flash_attn=model.flash_attn,
            n_batch=int(model.llama.n_batch),
            cache_type_k=options.cache_type_k,
            cache_type_v=options.cache_type_v,
            prompt_lookup=model.prompt_lookup,
            draft_model=options.draft_model,
        )

    def render(
        self,
        turns: Sequence[Turn],
        format_name: str,
        *,
        opening: Turn | None = None,
        through: int | None = None,
    ) -> RenderedPrompt:
        """Build the prompt for the bot's next message after `turns`."""
        start = self._opening(opening) if opening is not None else []
        turns = [turn if self._wrote(turn) else Turn(turn.role, turn.content) for turn in turns]
        pieces = formats.build_prompt(self._format(format_name), turns, start)
        if through is not None:
            last = [
                place
                for place, piece in enumerate(pieces)
                if not isinstance(piece, Control) and piece.turn == through
            ]
            pieces = pieces[: last[-1] + 1] if last else pieces
        return RenderedPrompt(pieces, encode_prompt(pieces, self._model.tokenizer), len(start))

    def places(self, prompt: RenderedPrompt) -> tuple[int, ...]:
        """Return the index of the piece in which each token of a prompt begins."""
        return piece_of_each_token(prompt.pieces, self._model.tokenizer)

    def token_texts(self, ids: Sequence[int]) -> tuple[str, ...]:
        """Return the text of each token; control tokens by name."""
        tokenizer = self._model.tokenizer
        return tuple(tokenizer.decode([token], special=True) for token in ids)

    def token_bytes(self, ids: Sequence[int]) -> tuple[bytes, ...]:
        """Return what each token adds to a text; control tokens' names."""
        return tuple(map(self._model.tokenizer.spelled, ids))

    def is_control(self, token: int) -> bool:
        """Return whether a token stands for no text."""
        return not self._model.tokenizer.bytes_of(token)

    def format_warnings(self, format_name: str, turns: Sequence[Turn]) -> tuple[str, ...]:
        """Return what is off about a format with this model and these turns, a sentence each."""
        prompt_format = self._format(format_name)
        return (*self._token_warnings(prompt_format), *_turn_warnings(prompt_format, turns))

    def generate(
        self,
        prompt: RenderedPrompt,
        format_name: str,
        sampler: SamplerSettings,
        cancel: CancelFlag,
        live: LiveSettings,
        reply_start: tuple[int, ...] = (),
    ) -> Iterator[Event]:
        """Generate the bot's next message."""
        stops = formats.stops_of(self._format(format_name))
        # The last token is the one that the person chose.
        if not self._is_ours(reply_start[:-1]):
            raise ValueError(
                "The tokens that are kept of this reply hold control tokens, which its text does not show, "
                "and this model did not write them now; re-roll the reply instead."
            )
        events = self._model.events(prompt.ids, stops, sampler, cancel, live, reply_start, prompt.left_out)
        for event in events:
            if isinstance(event, Finished) and any(map(self.is_control, event.ids)):
                self._written.append(event.ids)
            yield event

    def next_tokens(
        self, prompt: RenderedPrompt, sampler: SamplerSettings, count: int, cancel: CancelFlag
    ) -> Distribution | None:
        """Return what could come after a prompt; None where that was cancelled."""
        return self._model.engine.next_tokens(prompt.ids, sampler, count, cancel, prompt.left_out)

    def score(self, request: ScoreRequest, cancel: CancelFlag, on_read: OnRead | None = None) -> Score | None:
        """Return how likely each token of a text is; None where that was cancelled."""
        return self._model.engine.score(request, cancel, on_read)

    def keep_state(self, chat_id: str, seconds: float) -> None:
        """Keep on disk what was read of a chat since it was opened, if that takes no longer; never raises."""
        if self._states is None or self._loaded is None or not chat_id:
            return
        engine, states = self._loaded.engine, self._states
        ids = engine.cached_tokens
        if not states.budget:
            states.make_room()
        elif len(ids) >= LEAST_TOKENS and ids != self._opened_with:
            try:
                state = engine.state(min(states.budget, int(seconds * _BYTES_A_SECOND)))
                if state is not None and states.save(chat_id, state, self._binding(), seconds):
                    self._opened_with = ids
            except (EasyLlamaError, OSError, MemoryError) as error:
                _log.warning("what was read of the chat is not kept: %s", error)

    def recall_state(self, chat_id: str) -> None:
        """Bring back what was read of a chat, which is open now, where that is kept; never raises."""
        if self._loaded is None:
            return
        engine = self._loaded.engine
        if self._states is not None and self._states.budget and chat_id:
            try:
                state = self._states.load(chat_id, self._binding())
                if state is not None and engine.cached_tokens[: len(state.ids)] != state.ids:
                    engine.restore(state)
            except (EasyLlamaError, OSError) as error:
                _log.warning("what was read of the chat is not used: %s", error)
        self._opened_with = engine.cached_tokens

    def forget_state(self, chat_id: str) -> None:
        """Remove what was read of a chat from the disk; never raises."""
        if self._states is not None:
            self._states.forget(chat_id)

    def _binding(self) -> bytes:
        from easy_llama.state_file import state_binding

        return state_binding(self._model)

    def close(self) -> None:
        """Free the model."""
        if self._loaded is not None:
            self._loaded.unload()
            self._loaded = None
            self._written.clear()

    @property
    def _model(self) -> "Model":
        if self._loaded is None:
            raise ModelUnloadedException("no model is loaded; /model chooses one")
        return self._loaded

    def _opening(self, opening: Turn) -> list[Generated | Written]:
        """Return how a reply begins: with the exact tokens of as much as the model wrote of it.

        The rest is what a person wrote, in its place or after it.
        """
        content, bytes_of = opening.content.encode(), self._model.tokenizer.bytes_of
        at = count = whole = length = 0
        if all(0 <= token < self._model.n_vocab for token in opening.ids):
            is_ours = self._is_ours(opening.ids)
            for token in opening.ids:
                data = bytes_of(token)
                if content[at : at + len(data)] != data or not (data or is_ours):
                    break
                at, count = at + len(data), count + 1
                # A character whose last bytes were changed is not the model's.
                if content[at : at + 1] < b"\x80" or content[at : at + 1] >= b"\xc0":
                    whole, length = count, at
        own, rest = content[:length].decode(), content[length:].decode()
        return [
            *([Generated(own, opening.ids[:whole])] if whole else []),
            *([Written(rest)] if rest else []),
        ]

    def _wrote(self, turn: Turn) -> bool:
        """Return whether a turn's ids are those of its text in this model's vocabulary.

        Another model may have written it, or a person may have changed its file.
        """
        n_vocab, bytes_of = self._model.n_vocab, self._model.tokenizer.bytes_of
        if not all(0 <= token < n_vocab for token in turn.ids):
            return False
        if not turn.ids:
            return True
        return b"".join(map(bytes_of, turn.ids)) == turn.content.encode() and self._is_ours(turn.ids)

    def _is_ours(self, ids: tuple[int, ...]) -> bool:
        """Return whether all control tokens among the ids of a reply were written by the loaded model.

        They stand for no text: nobody would see what a stranger's file puts there. So those that come from
        a file are not taken, and the reply is read as the text that it shows.
        """
        if not any(map(self.is_control, ids)):
            return True
        return any(
            ids[: len(known)] == known[: len(ids)] and self._is_ours(ids[len(known) :])
            for known in self._written
        )

    def _format(self, name: str) -> Mapping[str, Any]:
        return self._own_format if name == OWN_FORMAT else self._catalog.get(name)

    def _token_warnings(self, prompt_format: Mapping[str, Any]) -> Iterator[str]:
        """Yield what in a format's own text this model's vocabulary does not go with."""
        model = self._model
        control = set(model.control_tokens)
        texts = [str(value) for key, value in prompt_format.items() if key.endswith(("prefix", "suffix"))]
        unknown = sorted(
            {name for text in texts for name in _CONTROL_LOOK.findall(text) if name.startswith("<")} - control
        )
        if unknown:
            yield (
                f"This model has no token {_listed(unknown)}, which the format writes: "
                f"it reads them as plain text, and may not know where turns end."
            )
        for stop in formats.stops_of(prompt_format):
            if _CONTROL_LOOK.fullmatch(stop) and stop not in control and stop not in unknown:
                yield f"The format ends replies at {stop}, which this model never writes as one token."
        if not model.tokenizer.adds_bos or not model.bos_text:
            return
        first = "".join(texts[:1]) or "".join(texts)
        if first.count(model.bos_text) > 1:
            yield f"The format writes {model.bos_text} twice at the start; once is enough."


def _turn_warnings(prompt_format: Mapping[str, Any], turns: Sequence[Turn]) -> Iterator[str]:
    """Yield what about the turns a format does not go with."""
    has_system = any(turn.role == "system" for turn in turns)
    knows_system = getattr(prompt_format, "system_role", True)
    if has_system and not knows_system:
        yield "The template has no system role: system text opens the next message of the user."
    roles = [turn.role for turn in turns if turn.role != "system"]
    if roles[:1] == ["bot"]:
        yield "The conversation begins with the bot, which most models were not trained on."
    if any(one == other for one, other in pairwise(roles)):
        yield "User and bot do not take turns, which most models were trained on."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown

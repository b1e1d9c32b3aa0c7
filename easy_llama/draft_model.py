"""A draft model: a small second one of the same vocabulary, which guesses what the first one will write.

It reads the same text into a context of its own, and goes on from there with the tokens that it finds
likeliest. The first model computes them all at once and decides; see `easy_llama.speculation`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp import llama_cpp as lib

from easy_llama.abort import ABORTED, abort_by
from easy_llama.cache_reuse import common_length
from easy_llama.errors import DraftModelError, ModelLoadError
from easy_llama.events import CancelFlag
from easy_llama.gguf import one_line, open_gguf
from easy_llama.kv_cache import KVCache, cuts_anywhere
from easy_llama.loading import LoadPlan, draft_context_length, plan_loading
from easy_llama.logits import LogitRows
from easy_llama.native_model import OnProgress, load_llama
from easy_llama.speculation import MOST_COST, Guesser
from easy_llama.tokenizer import Tokenizer

__all__ = ["DraftModel", "DraftPlan", "plan_draft"]

_SURE = 0.75
"""The least probability with which a draft's likeliest token is guessed.

A guess that is wrong costs what computing it took, and all that follow it are lost with it: below this a
draft is wrong too often to be worth asking on. llama.cpp's programs had the same bound (`p_min`) in 2025.
"""

_MORE_TOKENS = 128
"""By so many tokens one vocabulary may be longer: models of one family are padded to different lengths."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DraftPlan:
    """What is known of a draft model before it is loaded."""

    path: Path
    loading: LoadPlan
    file_size: int
    """In bytes; of a split model, that of the first file."""


def plan_draft(path: str | Path, plan: LoadPlan) -> DraftPlan:
    """Return how to load a draft model for one that is loaded by `plan`.

    Raises:
        DraftModelError: the file is no whole model.
    """
    path = Path(path).expanduser()
    try:
        with open_gguf(path) as header:
            header.check_complete()
            loading = plan_loading(
                header.metadata,
                context_length=draft_context_length(header.metadata, plan.context_length),
                n_batch=plan.n_batch,
                n_threads=plan.n_threads,
                n_threads_batch=plan.n_threads_batch,
            )
            return DraftPlan(path, loading, header.size)
    except ModelLoadError as error:
        raise _problem(path, str(error)) from error


class DraftModel:
    """A draft model, loaded; used by the thread that generates, while it holds its engine's lock.

    Args:
        path: its GGUF file.
        llama: the model that it guesses for.
        on_progress: see `load_llama`.
        options: those of `llama_cpp.Llama`.

    Raises:
        DraftModelError: it cannot be loaded, or does not go with the other model.
        ModelLoadError: `on_progress` ended it.
    """

    def __init__(
        self, path: Path, llama: llama_cpp.Llama, on_progress: OnProgress | None, **options: Any
    ) -> None:
        self.path = path
        if not cuts_anywhere(llama):
            raise _problem(
                path,
                "the model's cache cannot be cut, so that no guess could be taken back; load it without one",
            )
        goes_on = True

        def watch(share: float) -> bool:
            nonlocal goes_on
            goes_on = on_progress is None or on_progress(share)
            return goes_on

        try:
            self.llama = load_llama(path, watch, **options)
        except ModelLoadError as error:
            if not goes_on:
                raise
            raise _problem(path, str(error)) from error
        self.cost = _share_of_weights(self.llama, llama)
        """What computing a token takes, in those of the model that it guesses for."""
        main = Tokenizer(llama)
        if problem := self._misfit(main):
            self.llama.close()
            raise _problem(path, problem)
        self.context_length = int(lib.llama_n_ctx(self.llama.ctx))
        self._cache = KVCache(self.llama)
        self._n_batch = int(self.llama.n_batch)
        n_vocab = Tokenizer(self.llama).n_vocab
        self._rows = LogitRows(self.llama.ctx, n_vocab)
        self._n_shared = min(n_vocab, main.n_vocab)
        self._is_end = main.is_end

    def guesser(self, prompt: Sequence[int], cancel: CancelFlag) -> Guesser:
        """Return what guesses the tokens after a prompt.

        Args:
            prompt: the text before them.
            cancel: may be set from another thread to end the reading; nothing is guessed then.
        """
        return _DraftGuesser(self, prompt, cancel)

    def go_on(self, text: Sequence[int], count: int, most_kept: int, cancel: CancelFlag) -> tuple[int, ...]:
        """Return up to `count` tokens that come after a text, as far as the draft is sure of them.

        Args:
            text: all of it; with what is guessed it has to fit the context.
            count: at most how many tokens.
            most_kept: so many tokens of the text are taken from what was read before, and no more.
            cancel: a set flag ends it.

        Raises:
            DraftModelError: llama.cpp failed.
        """
        guessed: list[int] = []
        abort_by(self.llama.ctx, cancel)
        try:
            goes_on = self._read(text, most_kept, cancel)
            while goes_on:
                row = self._rows.row()[: self._n_shared]
                token = int(row.argmax())
                # After an end nothing follows that could be computed ahead.
                if not 1 / np.exp(row - row[token]).sum() >= _SURE or self._is_end(token):
                    break
                guessed.append(token)
                goes_on = len(guessed) < count and self._decode([token], cancel)
        finally:
            abort_by(self.llama.ctx, None)
        return tuple(guessed)

    def _read(self, text: Sequence[int], most_kept: int, cancel: CancelFlag) -> bool:
        """Make the cache hold a text; return whether that came to its end."""
        held = self._cache.ids
        # The logits after the last token are wanted, so that one is decoded in any case.
        kept = min(common_length(held, text), most_kept, len(text) - 1)
        if kept < len(held):
            self._cache.cut(kept)
        while len(held) < len(text):
            if not self._decode(text[len(held) : len(held) + self._n_batch], cancel):
                return False
        return True

    def _decode(self, tokens: Sequence[int], cancel: CancelFlag) -> bool:
        """Decode tokens after those that are held; return whether that was not cancelled."""
        if cancel.is_set:
            return False
        buffer = (lib.llama_token * len(tokens))(*tokens)
        code = lib.llama_decode(self.llama.ctx, lib.llama_batch_get_one(buffer, len(tokens)))
        if code == 0:
            self._cache.ids.extend(tokens)
            return True
        # What a failed batch left in the cache is not to be trusted.
        self._cache.cut(len(self._cache.ids))
        if code != ABORTED:
            raise DraftModelError(f"llama.cpp failed to compute a guess (llama_decode returned {code})")
        return False

    def _misfit(self, main: Tokenizer) -> str:
        """Return why it does not go with the model of a vocabulary, and what to do; "" where it does."""
        if not cuts_anywhere(self.llama):
            return "its cache cannot be cut, as guesses that are wrong have to be; choose one of another kind"
        if not _is_shared(main, Tokenizer(self.llama)):
            return "its vocabulary is not that of the model; choose a smaller model of the same family"
        if self.cost > MOST_COST:
            return (
                f"guessing a token would take {self.cost:.0%} of the time of computing it, and gain nothing; "
                f"choose one that is a quarter as large as the model, or smaller"
            )
        return ""


class _DraftGuesser:
    """Guesses the tokens of one reply."""

    def __init__(self, draft: DraftModel, prompt: Sequence[int], cancel: CancelFlag) -> None:
        self._draft = draft
        self._text = list(prompt)
        self._cancel = cancel
        # What another reply to this prompt left behind was computed in other batches. Read again with the
        # prompt's last token, the same reply is guessed in the same way.
        self._most_kept = len(prompt) - 1
        self._has_failed = False

    @property
    def cost(self) -> float:
        return self._draft.cost if self._room > 0 else 0.0

    @property
    def _room(self) -> int:
        """How many tokens can be guessed yet: the last one of them is never decoded."""
        return 0 if self._has_failed else self._draft.context_length - len(self._text) + 1

    def append(self, token: int) -> None:
        self._text.append(token)

    def guess(self, count: int) -> tuple[int, ...]:
        count = min(count, self._room)
        if count <= 0:
            return ()
        most_kept, self._most_kept = self._most_kept, self._draft.context_length
        try:
            return self._draft.go_on(self._text, count, most_kept, self._cancel)
        except DraftModelError as error:
            # The reply does not need it.
            _log.warning("the draft model guesses no more of this reply: %s", error)
            self._has_failed = True
            return ()


def _problem(path: Path, reason: str) -> DraftModelError:
    return DraftModelError(f"{one_line(path.name)} cannot be the draft model: {reason}")


def _share_of_weights(draft: llama_cpp.Llama, model: llama_cpp.Llama) -> float:
    """Return how much smaller a draft's weights are: a token takes as long as reading them does."""
    return float(lib.llama_model_size(draft.model) / lib.llama_model_size(model.model))


def _is_shared(one: Tokenizer, other: Tokenizer) -> bool:
    """Return whether the same ids stand for the same tokens.

    Of what else is known of tokens nothing is needed: a guess is no more than an id.
    """
    if abs(one.n_vocab - other.n_vocab) > _MORE_TOKENS:
        return False
    text = lib.llama_vocab_get_text
    return all(
        text(one.vocab, token) == text(other.vocab, token) for token in range(min(one.n_vocab, other.n_vocab))
    )

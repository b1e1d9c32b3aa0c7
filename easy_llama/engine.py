"""The token loop: the one place where prompts are read and tokens are drawn.

llama.cpp crashes when two calls overlap on one context, so one lock guards each; the engine alone knows
what its KV cache holds. Calls go to llama.cpp's C functions directly: `llama_decode` releases the
interpreter, and Python's own share of a token stays small.
"""

import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext

import llama_cpp
import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as lib

from easy_llama.abort import abort_by
from easy_llama.decoder import Decoder, InterruptedDecoding
from easy_llama.detokenizer import TextStream
from easy_llama.errors import (
    ExceededContextLengthException,
    GenerationError,
    ModelUnloadedException,
)
from easy_llama.events import (
    CancelFlag,
    Distribution,
    Event,
    Finished,
    FinishReason,
    GenerationRequest,
    LeftOut,
    LiveSettings,
    Token,
)
from easy_llama.kv_state import KVState, StateShelf
from easy_llama.sampler_chain import draw_seed
from easy_llama.samplers import SamplerSettings
from easy_llama.scores import OnRead, Score, ScoreRequest
from easy_llama.scoring import Scorer
from easy_llama.speculation import Guesser, Speculation
from easy_llama.token_choice import TokenChooser
from easy_llama.tokenizer import Tokenizer

_LAST_WAIT = 2.0
"""Seconds that a generation has to stop at the interpreter's end."""

NewGuesser = Callable[[Sequence[int], CancelFlag], Guesser]
"""Makes what guesses the tokens after a prompt; a set flag ends its guessing."""


class _Use:
    """Who uses a context, so that it can be freed when nobody does."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owner: int | None = None
        self.cancel = CancelFlag()
        self.is_over = False
        """Whether it was freed."""


def _free_at_last(llamas: Sequence[llama_cpp.Llama], use: _Use) -> None:
    """Free models at the interpreter's end, or when nobody has them any more."""
    if use.owner not in (None, threading.get_ident()):
        # A daemon thread still computes: freeing the memory under it would crash.
        use.cancel.cancel()
        if not use.lock.acquire(timeout=_LAST_WAIT):
            return
    use.is_over = True
    for llama in llamas:
        llama.close()


class Engine:
    """Generates tokens with one llama.cpp context.

    The context is used by one generation at a time; others wait. Ids that the KV cache already holds
    are not read again.

    The same prompt, settings and seed give the same tokens again, whatever came between. llama.cpp's
    results depend a little on which tokens are decoded together, so that this does not hold where ids that
    were generated are read as a prompt, as after a restart, nor where all but the last id of a prompt was
    in the cache, nor with another processor, GPU or build; nor where a draft model guesses for a conversation
    of several turns, and has read another one meanwhile.
    """

    def __init__(
        self, llama: llama_cpp.Llama, tokenizer: Tokenizer, draft: llama_cpp.Llama | None = None
    ) -> None:
        """Make an engine of a model, which it frees at its end.

        Args:
            llama: whose context it is.
            tokenizer: its vocabulary.
            draft: a model that a guesser computes with, inside of generations alone; it is freed with this.
        """
        self._llama = llama
        self._tokenizer = tokenizer
        self._context = llama.ctx
        self._decoder = Decoder(llama, tokenizer.n_vocab)
        self._cache = self._decoder.cache
        self.context_length = int(lib.llama_n_ctx(self._context))
        self._use = _Use()
        llamas = (llama,) if draft is None else (draft, llama)
        # Frees the native memory also when the interpreter ends, while llama.cpp can still log.
        self._free = weakref.finalize(self, _free_at_last, llamas, self._use)
        self._new_guessers: tuple[NewGuesser, ...] = ()

    @property
    def cached_tokens(self) -> tuple[int, ...]:
        """The ids that the KV cache holds, in order."""
        return tuple(self._cache.ids)

    def generate(
        self,
        request: GenerationRequest,
        cancel: CancelFlag | None = None,
        live: LiveSettings | None = None,
    ) -> Iterator[Event]:
        """Read the prompt and generate, as events; the last one is `Finished`.

        Another generation that is under way is waited for. Closing the iterator early is safe.

        Args:
            request: what to generate from.
            cancel: may be set from another thread to end the generation.
            live: may be changed from another thread meanwhile.

        Raises:
            ExceededContextLengthException: the prompt leaves no room in the context.
            GenerationError: llama.cpp failed or computed no numbers, no token is possible under the grammar
                or the logit bias, or this thread is already in the middle of a generation.
            ValueError: the prompt is empty or holds ids outside the vocabulary, or llama.cpp cannot follow
                the grammar, or the reply's start does not.
        """
        cancel = cancel or CancelFlag()
        with self._exclusively(cancel):
            self._check_prompt(request.prompt + request.reply_start, room=1)
            chooser = self._chooser(request.sampler, request.prompt, live, request.reply_start)
            with closing(chooser):
                yield from self._generate(request, cancel, chooser, watched=live is not None)

    def guess_with(self, *new_guessers: NewGuesser) -> None:
        """Guess tokens of later replies, to compute several at once; see `easy_llama.speculation`.

        It has no effect on a model whose cache cannot be cut, as guesses that are wrong are cut off.

        Args:
            new_guessers: what guesses, the first one first; each is given the prompt of a reply, and the flag
                that may end the generation meanwhile. Without any nothing is guessed.
        """
        self._new_guessers = new_guessers if self._cache.cuts_anywhere else ()

    @property
    def shelf(self) -> StateShelf:
        """Copies of what the KV cache held before, from which an earlier conversation goes on.

        It has a budget of 0 bytes, unless it is given more: then nothing is copied.
        """
        return self._cache.shelf

    def read(
        self, prompt: Sequence[int], cancel: CancelFlag | None = None, left_out: Sequence[LeftOut] = ()
    ) -> None:
        """Bring a prompt into the cache, so that a generation that begins with it starts sooner.

        Args:
            prompt: token ids.
            cancel: may be set from another thread to end the reading.
            left_out: what was left out of the prompt, in its order.

        Raises:
            ExceededContextLengthException: the prompt is longer than the context.
        """
        cancel = cancel or CancelFlag()
        with self._exclusively(cancel):
            self._check_prompt(prompt, room=0)
            try:
                for _ in self._decoder.read(prompt, cancel, left_out=left_out):
                    pass
            except InterruptedDecoding:
                return

    def logits(self, prompt: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the logits of the token after a prompt, shape `(n_vocab,)`.

        What the cache holds for the next generation is there afterwards as well, and so are the logits
        that it starts from.

        Raises:
            ExceededContextLengthException: the prompt is longer than the context.
            GenerationError: llama.cpp failed, or this thread is in the middle of a generation.
            ValueError: the prompt is empty or holds ids outside the vocabulary.
        """
        cancel = CancelFlag()
        with self._exclusively(cancel):
            self._check_prompt(prompt, room=0)
            cache = self._cache
            cache.check()
            if (kept := cache.logits_after(tuple(prompt))) is not None:
                return kept.copy()
            with cache.restored(with_cells=not cache.goes_on_with(prompt)):
                for _ in self._decoder.read(prompt, cancel):
                    pass
                return self._decoder.logits().copy()

    def score(
        self, request: ScoreRequest, cancel: CancelFlag | None = None, on_read: OnRead | None = None
    ) -> Score | None:
        """Return how likely each token of a text is, in one pass over it; None where cancelled.

        A text that the cache holds already, but perhaps for its last token, leaves cache and logits as they
        were, bit for bit, so that a look at a reply changes no later one; the copy that this takes is as
        large as the cells in use. Any other text takes the place of what was in the cache, and a generation
        that begins with it does not read it again. Logits are held for 64 tokens at a time.

        Args:
            request: which text, and what to tell of it.
            cancel: may be set from another thread to end the reading.
            on_read: is told how much is read; called in this thread, about every 64 tokens.

        Raises:
            ExceededContextLengthException: the text without its last token is longer than the context.
            GenerationError: llama.cpp failed, or this thread is in the middle of a generation.
            ValueError: the text is empty or holds ids outside the vocabulary, a number of the request is out
                of range, or llama.cpp cannot follow the grammar.
        """
        cancel = cancel or CancelFlag()
        with self._exclusively(cancel):
            # A reply that fills the context ends with a token that was drawn and never read.
            is_over_by_one = len(request.tokens) == self.context_length + 1
            to_read = request.tokens[:-1] if is_over_by_one else request.tokens
            self._check_prompt(to_read, room=0)
            was_read = self._cache.has_read(request.tokens)
            with (
                closing(Scorer(request, self._tokenizer, self.context_length)) as scorer,
                self._cache.restored(with_cells=True) if was_read else nullcontext(),
            ):
                done = scorer.first_row
                try:
                    for progress in self._decoder.read(to_read, cancel, done, request.left_out):
                        if progress.done > done:
                            scorer.take(self._decoder.rows(progress.done - done))
                            done = progress.done
                        if on_read is not None:
                            on_read(progress)
                            self._check_open()
                except InterruptedDecoding:
                    return None
                return scorer.score()

    def next_tokens(
        self,
        prompt: tuple[int, ...],
        sampler: SamplerSettings,
        count: int,
        cancel: CancelFlag | None = None,
        left_out: Sequence[LeftOut] = (),
    ) -> Distribution | None:
        """Return what could come after a prompt, which is read into the cache; None where cancelled.

        Args:
            prompt: token ids.
            sampler: whose effect to tell of.
            count: how many tokens to tell of.
            cancel: may be set from another thread to end the reading.
            left_out: what was left out of the prompt, in its order.

        Raises:
            ExceededContextLengthException: the prompt is longer than the context.
            GenerationError: llama.cpp failed, or this thread is in the middle of a generation.
            ValueError: the prompt is empty or holds ids outside the vocabulary, or llama.cpp cannot follow
                the grammar.
        """
        cancel = cancel or CancelFlag()
        with self._exclusively(cancel):
            self._check_prompt(prompt, room=0)
            try:
                for _ in self._decoder.read(prompt, cancel, left_out=left_out):
                    pass
            except InterruptedDecoding:
                return None
            with closing(self._chooser(sampler, prompt, LiveSettings(candidates=count))) as chooser:
                report = chooser.report(self._cache.logits_after(prompt))
        return report.distribution if report else None

    def state(self, most_bytes: int | None = None) -> KVState | None:
        """Return a copy of what the KV cache holds; None where that is nothing, or takes more bytes.

        The copy is as large as the part of the cache that is in use.
        """
        with self._exclusively(CancelFlag()):
            self._cache.check()
            if not self._cache.ids or (most_bytes is not None and self._cache.n_bytes > most_bytes):
                return None
            return self._cache.state()

    def restore(self, state: KVState) -> None:
        """Make the KV cache hold what it held when a copy was made.

        The copy must be of the same model, loaded with the same settings: llama.cpp may end the process
        over any other bytes.
        """
        with self._exclusively(CancelFlag()):
            self._cache.check()
            self._cache.replace(state)

    def forget(self) -> None:
        """Empty the cache, and what is kept of earlier ones: the next prompt is read whole."""
        with self._exclusively(CancelFlag()):
            self._cache.forget()
            self._cache.shelf.clear()

    def close(self) -> None:
        """Free the model; any later use raises `ModelUnloadedException`.

        A stream that this thread has open ends with it; a generation in another thread is waited for.
        """
        if self._use.owner == threading.get_ident():
            self._free()
            return
        with self._use.lock:
            self._free()

    def _check_open(self) -> None:
        if self._use.is_over:
            raise ModelUnloadedException("the model was unloaded meanwhile; load it again with load()")

    def _generate(
        self, request: GenerationRequest, cancel: CancelFlag, chooser: TokenChooser, watched: bool
    ) -> Iterator[Event]:
        stream = TextStream(request.stops)
        started = time.perf_counter()
        first: float | None = None
        reused = slid = generated = 0
        reason: FinishReason = "interrupted"
        logits: npt.NDArray[np.float32] | None = None
        given = iter(request.reply_start)
        prompt = request.prompt + request.reply_start
        guessers = [new_guesser(prompt, cancel) for new_guesser in self._new_guessers]
        ahead = Speculation(*guessers) if guessers else None
        try:
            for progress in self._decoder.read(prompt, cancel, left_out=request.left_out):
                reused, slid = progress.reused, progress.slid
                yield progress
                self._check_open()
            if cancel.is_set:
                raise InterruptedDecoding
            # The prompt's logits are not the context's last ones where the prompt was not read anew.
            logits = self._cache.logits_after(prompt)
            limit = self._limit(request)
            while True:
                token, likelihood = next(given, None), None
                is_drawn = token is None
                if token is None:
                    if watched and (candidates := chooser.report(logits)):
                        yield candidates
                        self._check_open()
                    token = chooser.draw(logits)
                    likelihood = chooser.likelihood(token, logits)
                    if first is None:
                        first = time.perf_counter()
                        logits = None
                if token in request.stop_ids or self._tokenizer.is_end(token):
                    reason = "stop"
                    break
                generated += is_drawn
                yield Token(token, stream.push(token, self._tokenizer.bytes_of(token)), likelihood)
                self._check_open()
                if stream.stopped:
                    reason = "stop"
                    break
                if generated >= limit:
                    reason = "length"
                    break
                if not is_drawn:
                    continue
                if ahead and ahead.confirms(token):
                    self._decoder.confirm(token)
                    chooser.row += 1
                    if cancel.is_set:
                        break
                    continue
                most = min(limit - generated, self._decoder.n_batch) - 1
                if not self._decoder.go_on(token, ahead.guess(most) if ahead else (), cancel):
                    reason = "length"
                    break
                chooser.row = 0
        except InterruptedDecoding:
            pass
        finally:
            if not self._use.is_over:
                self._decoder.drop_guesses()
        ended = time.perf_counter()
        yield Finished(
            reason=reason,
            text=stream.finish(),
            ids=stream.ids(),
            seed=chooser.seed,
            prompt_tokens=len(request.prompt) + len(request.reply_start),
            reused_tokens=reused,
            generated_tokens=generated,
            prompt_seconds=(first or ended) - started,
            generation_seconds=ended - (first or ended),
            slid_tokens=slid,
            guessed_tokens=ahead.right_tokens if ahead else 0,
        )

    def _chooser(
        self,
        sampler: SamplerSettings,
        prompt: tuple[int, ...],
        live: LiveSettings | None,
        said: tuple[int, ...] = (),
    ) -> TokenChooser:
        return TokenChooser(
            sampler,
            tokenizer=self._tokenizer,
            context=self._context,
            context_length=self.context_length,
            seed=draw_seed() if sampler.seed is None else sampler.seed,
            prompt=prompt,
            said=said,
            live=live,
        )

    def _limit(self, request: GenerationRequest) -> int:
        """Return how many tokens may be generated: the reply's own limit, and the context's."""
        # The last token drawn is never decoded, so one more fits than there are cells.
        room = self.context_length - len(request.prompt) - len(request.reply_start) + 1
        wished = request.sampler.max_len_tokens
        return min(wished, room) if wished is not None and wished > 0 else room

    def _check_prompt(self, prompt: Sequence[int], room: int) -> None:
        if not prompt:
            raise ValueError("the prompt is empty; give at least one token")
        if not all(0 <= token < self._tokenizer.n_vocab for token in prompt):
            raise ValueError(f"the prompt holds a token id outside 0 to {self._tokenizer.n_vocab - 1}")
        if len(prompt) + room > self.context_length:
            raise ExceededContextLengthException(
                f"the prompt is {len(prompt):,} tokens long and the context holds {self.context_length:,}; "
                f"shorten it, or load the model with a larger context length"
            )

    @contextmanager
    def _exclusively(self, cancel: CancelFlag) -> Iterator[None]:
        """Hold the context, with `cancel` read by llama.cpp while it computes."""
        if self._use.owner == threading.get_ident():
            raise GenerationError(
                "a generation of this model is still under way in this thread; "
                "read its stream to the end, or close it, before starting another"
            )
        with self._use.lock:
            # `Model.llama` can be closed by anyone.
            self._use.is_over |= self._llama.ctx is None
            self._check_open()
            self._use.owner = threading.get_ident()
            self._use.cancel = cancel
            abort_by(self._context, cancel)
            try:
                yield
            finally:
                if not self._use.is_over:
                    abort_by(self._context, None)
                self._use.owner = None

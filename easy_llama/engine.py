"""The token loop: the one place where prompts are read and tokens are drawn.

llama.cpp crashes when two calls overlap on one context, so one lock guards each; the engine alone knows
what its KV cache holds. Calls go to llama.cpp's C functions directly: `llama_decode` releases the
interpreter, and Python's own share of a token stays small.
"""

import ctypes
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import llama_cpp
import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as lib

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
    LiveSettings,
    PromptProgress,
    Token,
)
from easy_llama.sampler_chain import draw_seed
from easy_llama.samplers import SamplerSettings
from easy_llama.token_choice import TokenChooser
from easy_llama.tokenizer import Tokenizer

_LAST_WAIT = 2.0
"""Seconds that a generation has to stop at the interpreter's end."""

_NO_ROOM = 1
_ABORTED = 2


class _Interrupted(Exception):  # noqa: N818 (not an error: the way out of a cancelled computation)
    pass


def _native_flag_reader() -> ctypes._CFuncPtr:  # type: ignore[name-defined]
    """Return a native function that tells whether a `CancelFlag`'s byte is set.

    llama.cpp asks once for each node of its graph, about a thousand times a token. A Python callback
    would take the interpreter from the screen each time; C's `strlen` on the flag's two bytes is 0 or 1,
    just what is asked for.
    """
    libc = ctypes.cdll.msvcrt if hasattr(ctypes, "WinDLL") else ctypes.CDLL(None)
    return ctypes.cast(libc.strlen, lib.ggml_abort_callback)


def _bytes_at(buffer: npt.NDArray[np.uint8]) -> "ctypes._Pointer[ctypes.c_uint8]":
    return buffer.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


class _Use:
    """Who uses a context, so that it can be freed when nobody does."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owner: int | None = None
        self.cancel = CancelFlag()


def _free_at_last(llama: llama_cpp.Llama, use: _Use) -> None:
    """Free a model at the interpreter's end, or when nobody has it any more."""
    if use.owner not in (None, threading.get_ident()):
        # A daemon thread still computes: freeing the memory under it would crash.
        use.cancel.cancel()
        if not use.lock.acquire(timeout=_LAST_WAIT):
            return
    llama.close()


class Engine:
    """Generates tokens with one llama.cpp context.

    The context is used by one generation at a time; others wait. Ids that the KV cache already holds
    are not read again. The logits after the last prompt are kept too, so that another reply to it starts
    at once, and from the very same numbers: llama.cpp's results depend a little on how tokens are batched.
    """

    def __init__(self, llama: llama_cpp.Llama, tokenizer: Tokenizer) -> None:
        self._llama = llama
        self._tokenizer = tokenizer
        self._context = llama.ctx
        self._memory = lib.llama_get_memory(self._context)
        self._cuts_anywhere = not (
            lib.llama_model_is_recurrent(llama.model) or lib.llama_model_is_hybrid(llama.model)
        )
        self._n_batch = int(llama.n_batch)
        self.context_length = int(lib.llama_n_ctx(self._context))
        self._cached: list[int] = []
        self._kept_prompt: tuple[int, ...] = ()
        self._kept_logits = np.empty(tokenizer.n_vocab, dtype=np.float32)
        self._use = _Use()
        self._flag_reader = _native_flag_reader()
        # Frees the native memory also when the interpreter ends, while llama.cpp can still log.
        self._free = weakref.finalize(self, _free_at_last, llama, self._use)
        # A batch of one token that is used again and again: only its number changes.
        self._token = (lib.llama_token * 1)()
        self._one = lib.llama_batch_get_one(self._token, 1)

    @property
    def cached_tokens(self) -> tuple[int, ...]:
        """The ids that the KV cache holds, in order."""
        return tuple(self._cached)

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
            GenerationError: llama.cpp failed, no token is possible under the grammar or the logit bias, or
                this thread is already in the middle of a generation.
            ValueError: the prompt is empty or holds ids outside the vocabulary, or llama.cpp cannot follow
                the grammar.
        """
        cancel = cancel or CancelFlag()
        with self._exclusively(cancel):
            self._check_prompt(request.prompt, room=1)
            with closing(self._chooser(request.sampler, request.prompt, live)) as chooser:
                yield from self._generate(request, cancel, chooser, watched=live is not None)

    def read(self, prompt: Sequence[int], cancel: CancelFlag | None = None) -> None:
        """Bring a prompt into the cache, so that a generation that begins with it starts sooner.

        Raises:
            ExceededContextLengthException: the prompt is longer than the context.
        """
        cancel = cancel or CancelFlag()
        with self._exclusively(cancel):
            self._check_prompt(prompt, room=0)
            try:
                for _ in self._read(prompt, cancel):
                    pass
            except _Interrupted:
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
            self._check_cache()
            if tuple(prompt) == self._kept_prompt:
                return self._kept_logits.copy()
            with self._cache_kept(tuple(prompt)):
                for _ in self._read(prompt, cancel):
                    pass
                return self._kept_logits.copy()

    def next_tokens(
        self,
        prompt: tuple[int, ...],
        sampler: SamplerSettings,
        count: int,
        cancel: CancelFlag | None = None,
    ) -> Distribution | None:
        """Return what could come after a prompt, which is read into the cache; None where cancelled.

        Args:
            prompt: token ids.
            sampler: whose effect to tell of.
            count: how many tokens to tell of.
            cancel: may be set from another thread to end the reading.

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
                for _ in self._read(prompt, cancel):
                    pass
            except _Interrupted:
                return None
            with closing(self._chooser(sampler, prompt, LiveSettings(candidates=count))) as chooser:
                report = chooser.report(self._kept_logits)
        return report.distribution if report else None

    def forget(self) -> None:
        """Empty the cache: the next prompt is read whole."""
        with self._exclusively(CancelFlag()):
            self._forget()

    def close(self) -> None:
        """Free the model; any later use raises `ModelUnloadedException`.

        A stream that this thread has open ends with it; a generation in another thread is waited for.
        """
        if self._use.owner == threading.get_ident():
            self._free()
            return
        with self._use.lock:
            self._free()

    @property
    def _is_closed(self) -> bool:
        return self._llama.ctx is None

    def _check_open(self) -> None:
        if self._is_closed:
            raise ModelUnloadedException("the model was unloaded meanwhile; load it again with load()")

    def _generate(
        self, request: GenerationRequest, cancel: CancelFlag, chooser: TokenChooser, watched: bool
    ) -> Iterator[Event]:
        stream = TextStream(request.stops)
        started = time.perf_counter()
        first: float | None = None
        reused = generated = 0
        reason: FinishReason = "interrupted"
        # The prompt's logits are not the context's last ones where the prompt was not read anew.
        logits: npt.NDArray[np.float32] | None = self._kept_logits
        try:
            for progress in self._read(request.prompt, cancel):
                reused = progress.reused
                yield progress
                self._check_open()
            if cancel.is_set:
                raise _Interrupted
            limit = self._limit(request)
            while True:
                if watched and (candidates := chooser.report(logits)):
                    yield candidates
                    self._check_open()
                token = chooser.draw(logits)
                if first is None:
                    first = time.perf_counter()
                    logits = None
                if token in request.stop_ids or self._tokenizer.is_end(token):
                    reason = "stop"
                    break
                generated += 1
                yield Token(token, stream.push(token, self._tokenizer.bytes_of(token)))
                self._check_open()
                if stream.stopped:
                    reason = "stop"
                    break
                if generated >= limit:
                    reason = "length"
                    break
                if not self._decode_one(token, cancel):
                    reason = "length"
                    break
        except _Interrupted:
            pass
        ended = time.perf_counter()
        yield Finished(
            reason=reason,
            text=stream.finish(),
            ids=stream.ids(),
            seed=chooser.seed,
            prompt_tokens=len(request.prompt),
            reused_tokens=reused,
            generated_tokens=generated,
            prompt_seconds=(first or ended) - started,
            generation_seconds=ended - (first or ended),
        )

    def _chooser(
        self, sampler: SamplerSettings, prompt: tuple[int, ...], live: LiveSettings | None
    ) -> TokenChooser:
        return TokenChooser(
            sampler,
            tokenizer=self._tokenizer,
            context=self._context,
            context_length=self.context_length,
            seed=draw_seed() if sampler.seed is None else sampler.seed,
            prompt=prompt,
            live=live,
        )

    def _limit(self, request: GenerationRequest) -> int:
        """Return how many tokens may be generated: the reply's own limit, and the context's."""
        # The last token drawn is never decoded, so one more fits than there are cells.
        room = self.context_length - len(request.prompt) + 1
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

    def _read(self, prompt: Sequence[int], cancel: CancelFlag) -> Iterator[PromptProgress]:
        """Make the cache hold exactly `prompt`, and keep the logits after its last token."""
        reused = self._keep_common_prefix(tuple(prompt))
        yield PromptProgress(reused, len(prompt), reused)
        while len(self._cached) < len(prompt):
            chunk = prompt[len(self._cached) : len(self._cached) + self._n_batch]
            buffer = (lib.llama_token * len(chunk))(*chunk)
            if not self._decode(lib.llama_batch_get_one(buffer, len(chunk)), chunk, cancel):
                raise GenerationError(
                    f"llama.cpp found no room for token {len(self._cached) + 1:,} of a prompt of "
                    f"{len(prompt):,} tokens in a context of {self.context_length:,}; "
                    f"load the model with a larger context length"
                )
            if len(self._cached) == len(prompt):
                self._keep_logits(tuple(prompt))
            yield PromptProgress(len(self._cached), len(prompt), reused)

    def _keep_logits(self, prompt: tuple[int, ...]) -> None:
        self._kept_logits[:] = self._last_logits()
        self._kept_prompt = prompt

    def _last_logits(self) -> npt.NDArray[np.float32]:
        """Return llama.cpp's own logits of the token decoded last: valid until the next is decoded."""
        row = lib.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(row, shape=self._kept_logits.shape)

    @contextmanager
    def _cache_kept(self, prompt: tuple[int, ...]) -> Iterator[None]:
        """Bring back afterwards what a reading of `prompt` takes from the cache and the kept logits."""
        if not self._cached:
            yield
            return
        cached, kept_prompt, kept_logits = self._cached.copy(), self._kept_prompt, self._kept_logits.copy()
        # Where the prompt goes on from all that is cached, the next generation finds it as it was.
        is_in_the_way = prompt[: len(cached)] != tuple(cached) or len(prompt) == len(cached)
        state = self._saved_state() if is_in_the_way or not self._cuts_anywhere else None
        try:
            yield
        finally:
            if state is not None:
                self._restore_state(state, cached)
            if self._cached and kept_prompt:
                self._kept_prompt = kept_prompt
                self._kept_logits[:] = kept_logits

    def _saved_state(self) -> npt.NDArray[np.uint8]:
        size = lib.llama_state_seq_get_size(self._context, 0)
        state = np.empty(size, dtype=np.uint8)
        written = lib.llama_state_seq_get_data(self._context, _bytes_at(state), size, 0)
        return state[:written]

    def _restore_state(self, state: npt.NDArray[np.uint8], cached: list[int]) -> None:
        lib.llama_memory_clear(self._memory, False)
        if lib.llama_state_seq_set_data(self._context, _bytes_at(state), len(state), 0):
            self._cached[:] = cached
        else:
            self._forget()

    def _keep_common_prefix(self, prompt: tuple[int, ...]) -> int:
        """Drop from the cache what `prompt` does not begin with; return how many ids are left.

        Unless the logits after it are kept, the prompt's last token is left to be read: llama.cpp has
        logits only for what was decoded last.
        """
        self._check_cache()
        usable = len(prompt) if prompt == self._kept_prompt else len(prompt) - 1
        keep = 0
        for ours, wanted in zip(self._cached, prompt[:usable], strict=False):
            if ours != wanted:
                break
            keep += 1
        if keep < len(self._cached):
            self._cut(keep)
        return len(self._cached)

    def _check_cache(self) -> None:
        if self._llama.n_tokens or self._cache_length() != len(self._cached):
            # Someone used Model.llama directly: what the cache holds is not known any more.
            self._llama.n_tokens = 0
            self._forget()

    def _cache_length(self) -> int:
        return int(lib.llama_memory_seq_pos_max(self._memory, 0)) + 1

    def _cut(self, keep: int) -> None:
        """Keep the first `keep` ids of the cache, or none where the model's cache cannot be cut."""
        if lib.llama_memory_seq_rm(self._memory, 0, keep, -1):
            del self._cached[keep:]
        else:
            self._forget()

    def _forget(self) -> None:
        lib.llama_memory_clear(self._memory, True)
        self._cached.clear()
        self._kept_prompt = ()

    def _decode_one(self, token: int, cancel: CancelFlag) -> bool:
        self._token[0] = token
        return self._decode(self._one, (token,), cancel)

    def _decode(self, batch: lib.llama_batch, tokens: Sequence[int], cancel: CancelFlag) -> bool:
        """Decode a batch; return whether there was room for it."""
        if cancel.is_set:
            raise _Interrupted
        code = lib.llama_decode(self._context, batch)
        if code == 0:
            self._cached.extend(tokens)
            return True
        # What a failed batch left in the cache is not to be trusted.
        self._cut(len(self._cached))
        if code == _ABORTED:
            raise _Interrupted
        if code == _NO_ROOM:
            return False
        raise GenerationError(
            f"llama.cpp failed to compute the next token (llama_decode returned {code}); see its log, "
            f"and try a smaller context length or fewer layers on the GPU"
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
            self._check_open()
            self._use.owner = threading.get_ident()
            self._use.cancel = cancel
            lib.llama_set_abort_callback(self._context, self._flag_reader, ctypes.addressof(cancel.memory))
            try:
                yield
            finally:
                if not self._is_closed:
                    lib.llama_set_abort_callback(self._context, lib.ggml_abort_callback(), None)
                self._use.owner = None

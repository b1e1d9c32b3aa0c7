"""Computing tokens: the one place where the model that writes has its context decode anything.

What is computed and what the KV cache is known to hold change together, here and in `KVCache`.
"""

import ctypes
from collections.abc import Iterator, Sequence

import llama_cpp
from llama_cpp import llama_cpp as lib

from easy_llama.abort import ABORTED, abort_by
from easy_llama.errors import GenerationError
from easy_llama.events import CancelFlag, LeftOut, PromptProgress
from easy_llama.kv_cache import KVCache
from easy_llama.logits import LogitRows, Logits
from easy_llama.speculation import MOST_GUESSED

__all__ = ["Decoder", "InterruptedDecoding"]

_ROWS = 64
"""How many tokens at a time have all their logits computed.

In a vocabulary of 262,144 that is 67 MB. With SmolLM2-135M, 1,000 tokens took 11 % more processor time
than reading them alone does, and 8 % more with 256 at a time.
"""

_NO_ROOM = 1


class InterruptedDecoding(Exception):  # noqa: N818 (not an error: the way out of a cancelled computation)
    """A computation was cancelled."""


def _failure(code: int) -> GenerationError:
    return GenerationError(
        f"llama.cpp failed to compute the next token (llama_decode returned {code}); see its log, "
        f"and try a smaller context length or fewer layers on the GPU"
    )


class Decoder:
    """Computes tokens in the context of one model, and keeps account of what its cache holds.

    Whoever uses it holds the context alone.

    Args:
        llama: the model.
        n_vocab: how many logits a token has.
    """

    def __init__(self, llama: llama_cpp.Llama, n_vocab: int) -> None:
        self.cache = KVCache(llama)
        """What was computed before."""
        self.n_batch = int(llama.n_batch)
        """At most how many tokens are computed at once."""
        self._context = llama.ctx
        self._context_length = int(lib.llama_n_ctx(llama.ctx))
        self._rows = LogitRows(llama.ctx, n_vocab)
        self._n_guessed = 0
        """Tokens in the cells that were guessed, and are not known to be right."""
        # A batch of one token that is used again and again: only its number changes.
        self._token = (lib.llama_token * 1)()
        self._one = lib.llama_batch_get_one(self._token, 1)
        # And one with what is guessed to follow it, all of whose logits are wanted.
        self._tokens = (lib.llama_token * (1 + MOST_GUESSED))()
        self._all = (ctypes.c_int8 * (1 + MOST_GUESSED))(*[True] * (1 + MOST_GUESSED))

    def read(
        self,
        prompt: Sequence[int],
        cancel: CancelFlag,
        rows_from: int | None = None,
        left_out: Sequence[LeftOut] = (),
    ) -> Iterator[PromptProgress]:
        """Make the cache hold exactly `prompt`, and keep the logits after its last token.

        Yields how far it is, after each part that was computed.

        Args:
            prompt: token ids, no more than fit the context.
            cancel: may be set from another thread to end the reading.
            rows_from: the tokens from this place on are read anew, a few at a time: after each part
                `rows` has the logits after each of its tokens.
            left_out: what was left out of the prompt, in its order.

        Raises:
            InterruptedDecoding: it was cancelled.
            GenerationError: llama.cpp failed.
        """
        rows_from = len(prompt) if rows_from is None else rows_from
        # llama.cpp has logits only for what was decoded last: unless they are kept, one token is left.
        is_kept = self.cache.logits_after(tuple(prompt)) is not None
        at_most = min(len(prompt) if is_kept else len(prompt) - 1, rows_from)
        kept = self.cache.keep_beginning(prompt, at_most, left_out)
        if not kept.is_settled:
            self._settle(prompt[kept.tokens], cancel)

        def progress() -> PromptProgress:
            return PromptProgress(len(self.cache.ids), len(prompt), kept.tokens, kept.slid, kept.unslidable)

        if len(self.cache.ids) == len(prompt) > kept.tokens:
            self.cache.keep_logits(tuple(prompt), self.logits())
        yield progress()
        while (begin := len(self.cache.ids)) < len(prompt):
            has_rows = begin >= rows_from
            chunk = prompt[begin : begin + _ROWS if has_rows else min(begin + self.n_batch, rows_from)]
            buffer = (lib.llama_token * len(chunk))(*chunk)
            batch = lib.llama_batch_get_one(buffer, len(chunk))
            if has_rows:
                batch.logits = (ctypes.c_int8 * len(chunk))(*[True] * len(chunk))
            if not self._decode(batch, chunk, cancel):
                raise GenerationError(
                    f"llama.cpp found no room for token {begin + 1:,} of a prompt of "
                    f"{len(prompt):,} tokens in a context of {self._context_length:,}; "
                    f"load the model with a larger context length"
                )
            if len(self.cache.ids) == len(prompt):
                self.cache.keep_logits(tuple(prompt), self.logits())
            yield progress()

    def go_on(self, token: int, guessed: tuple[int, ...], cancel: CancelFlag) -> bool:
        """Decode a token, and what is guessed to follow it; return whether there was room for it.

        Guesses do not count as held, before `confirm` is told of each; those that it was not told of are
        dropped here. Of one token the logits are the only row, with guesses they are the first.

        Raises:
            InterruptedDecoding: it was cancelled.
            GenerationError: llama.cpp failed.
        """
        self.drop_guesses()
        if not guessed:
            self._token[0] = token
            return self._decode(self._one, (token,), cancel)
        count = 1 + len(guessed)
        self._tokens[:count] = (token, *guessed)
        batch = lib.llama_batch_get_one(self._tokens, count)
        batch.logits = self._all
        if not self._decode(batch, (token,), cancel):
            return False
        self._n_guessed = len(guessed)
        return True

    def confirm(self, token: int) -> None:
        """Take the next of the guessed tokens for right: the following row of logits comes after it."""
        self.cache.ids.append(token)
        self._n_guessed -= 1

    def drop_guesses(self) -> None:
        """Take what was guessed, and is not known to be right, out of the cache."""
        if self._n_guessed:
            self._n_guessed = 0
            self.cache.cut(len(self.cache.ids))

    def logits(self) -> Logits:
        """Return llama.cpp's own logits after the last token: valid until the next is decoded."""
        return self._rows.row()

    def rows(self, count: int) -> Logits:
        """Return those after each token of a part that was read for them, shape `(count, n_vocab)`."""
        return self._rows.rows(count)

    def _settle(self, token: int, cancel: CancelFlag) -> None:
        """Decode a token, with which llama.cpp turns the keys that were slid to their new places.

        It turns them where they are: interrupted, that would leave a cache of which nobody knows what it
        holds. So this cannot be: it takes no longer than a token, and a little for each thousand of keys.
        """
        abort_by(self._context, None)
        try:
            self._token[0] = token
            code = lib.llama_decode(self._context, self._one)
        finally:
            abort_by(self._context, cancel)
        if code:
            self.cache.forget()
            raise _failure(code)
        self.cache.ids.append(token)

    def _decode(self, batch: lib.llama_batch, tokens: Sequence[int], cancel: CancelFlag) -> bool:
        """Decode a batch, which begins with `tokens`; return whether there was room for it."""
        if cancel.is_set:
            raise InterruptedDecoding
        code = lib.llama_decode(self._context, batch)
        if code == 0:
            self.cache.ids.extend(tokens)
            return True
        # What a failed batch left in the cache is not to be trusted.
        self.cache.cut(len(self.cache.ids))
        if code == ABORTED:
            raise InterruptedDecoding
        if code == _NO_ROOM:
            return False
        raise _failure(code)

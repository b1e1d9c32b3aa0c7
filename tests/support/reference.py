"""llama.cpp's own logits, from its C functions alone and in a context of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as lib

from easy_llama.model import Model
from easy_llama.speculation import Speculation

N_CTX = 2048


class Reference:
    """Decodes tokens in parts; results depend a little on which tokens are decoded together."""

    def __init__(self, model: Model) -> None:
        params = lib.llama_context_default_params()
        params.n_ctx = N_CTX
        params.n_batch = params.n_ubatch = 512
        params.n_threads = params.n_threads_batch = 1
        params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.context = lib.llama_init_from_model(model.llama.model, params)
        self._n_vocab = model.n_vocab
        self._length = 0

    def decode(self, tokens: Sequence[int]) -> npt.NDArray[np.float64]:
        """Decode tokens together; return the logits after each, shape `(len(tokens), n_vocab)`."""
        batch = lib.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for place, token in enumerate(tokens):
            batch.token[place], batch.pos[place] = token, self._length + place
            batch.n_seq_id[place], batch.seq_id[place][0], batch.logits[place] = 1, 0, True
        assert lib.llama_decode(self.context, batch) == 0
        lib.llama_batch_free(batch)
        self._length += len(tokens)
        rows = [lib.llama_get_logits_ith(self.context, place) for place in range(len(tokens))]
        return np.array([np.ctypeslib.as_array(row, (self._n_vocab,)) for row in rows], dtype=np.float64)

    def decode_each(self, tokens: Sequence[int]) -> npt.NDArray[np.float64]:
        """Decode tokens one at a time, as a generation does; return as `decode`."""
        return np.concatenate([self.decode([token]) for token in tokens])

    def greedy(self, row: npt.NDArray[np.float64], length: int) -> list[int]:
        """Go on with the likeliest tokens from the logits after the last one; return their ids."""
        found = []
        for _ in range(length):
            found.append(int(row.argmax()))
            row = self.decode(found[-1:])[0]
        return found

    def greedy_guessed(self, prompt: Sequence[int], ahead: Speculation, length: int) -> list[int]:
        """Read a prompt and go on with the likeliest tokens, guessed and computed in the same batches."""
        memory = lib.llama_get_memory(self.context)
        rows, row, found = self.decode(prompt)[-1:], 0, []
        while len(found) < length:
            token = int(rows[row].argmax())
            found.append(token)
            if ahead.confirms(token):
                row += 1
                continue
            self._length = len(prompt) + len(found) - 1
            lib.llama_memory_seq_rm(memory, 0, self._length, -1)
            rows, row = self.decode([token, *ahead.guess(length - len(found) - 1)]), 0
        return found


@contextmanager
def reference(model: Model) -> Iterator[Reference]:
    """Make a reference with the weights of `model`, and free it at the end."""
    made = Reference(model)
    try:
        yield made
    finally:
        lib.llama_free(made.context)


def log_softmax(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the natural logarithms of the probabilities."""
    shifted = rows - rows.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

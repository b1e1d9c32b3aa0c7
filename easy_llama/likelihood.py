"""How likely a token is among all that could have come."""

import math

import numpy as np
import numpy.typing as npt

from easy_llama.events import Likelihood

__all__ = ["LikelihoodMeter"]

_NO_SHARE = np.float32(-200.0)
"""Its exponential is 0 in 32 bits. For -inf it is too, but 0 times -inf is not a number."""

_Row = npt.NDArray[np.float32]


class LikelihoodMeter:
    """Measures likelihoods, with memory of its own that is used again for each token.

    Args:
        n_vocab: how many logits a token has.
    """

    def __init__(self, n_vocab: int) -> None:
        self._shifted = np.empty(n_vocab, dtype=np.float32)
        self._shares = np.empty(n_vocab, dtype=np.float32)
        self._higher = np.empty(n_vocab, dtype=np.bool_)

    def measure(self, logits: _Row, token: int) -> Likelihood:
        """Return how likely a token is in the softmax of the model's own logits, shape `(n_vocab,)`.

        The entropy H = log Z - sum(p * s) of shares p = exp(s) / Z, for logits s below the highest.
        """
        highest, picked = logits.max(), logits[token]
        np.subtract(logits, highest, out=self._shifted)
        np.maximum(self._shifted, _NO_SHARE, out=self._shifted)
        np.exp(self._shifted, out=self._shares)
        total = float(self._shares.sum())
        log_total = math.log(total)
        mean = float(np.dot(self._shares, self._shifted)) / total
        np.greater(logits, picked, out=self._higher)
        return Likelihood(
            log_probability=float(picked) - float(highest) - log_total,
            rank=1 + int(np.count_nonzero(self._higher)),
            entropy=max(log_total - mean, 0.0),
        )

"""How likely a token is among all that could have come."""

import math

import numpy as np
import numpy.typing as npt

from easy_llama.events import Likelihood

__all__ = ["LikelihoodMeter"]

_Row = npt.NDArray[np.float32]


class LikelihoodMeter:
    """Measures likelihoods, with memory of its own that is used again for each token.

    Beside llama.cpp, whose weights drive everything else out of the processor's caches, what counts is how
    much memory is touched: the logits, and one buffer of the same size.

    Args:
        n_vocab: how many logits a token has.
    """

    def __init__(self, n_vocab: int) -> None:
        self._shares = np.empty(n_vocab, dtype=np.float32)
        self._higher = np.empty(n_vocab, dtype=np.bool_)

    def measure(self, logits: _Row, token: int) -> Likelihood:
        """Return how likely a token is in the softmax of the model's own logits, shape `(n_vocab,)`.

        The entropy H = log Z - sum(p * s) of shares p = exp(s) / Z, for logits s.
        """
        highest, picked = logits.max(), logits[token]
        shares = np.subtract(logits, highest, out=self._shares)
        np.exp(shares, out=shares)
        total = float(shares.sum())
        log_total = math.log(total)
        # Not with `np.dot`, which wakes threads of its own for it, beside those of llama.cpp.
        with np.errstate(invalid="ignore"):
            np.multiply(shares, logits, out=shares)
        weighed = float(shares.sum())
        if not math.isfinite(weighed):  # what cannot come has a logit of -inf, and 0 times that is no number
            weighed = float(np.nansum(shares))
        is_likeliest = picked == highest
        return Likelihood(
            log_probability=float(picked) - float(highest) - log_total,
            rank=1
            if is_likeliest
            else 1 + int(np.count_nonzero(np.greater(logits, picked, out=self._higher))),
            entropy=max(float(highest) + log_total - weighed / total, 0.0),
        )

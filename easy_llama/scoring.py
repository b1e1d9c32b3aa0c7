"""Scores a text from the logits at each of its places."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt
from llama_cpp import llama_cpp as lib

from easy_llama.events import Distribution
from easy_llama.likelihood import LikelihoodMeter
from easy_llama.sampler_chain import draw_seed, follows_grammar, sampler_chain
from easy_llama.scores import Score, ScoredToken, ScoreRequest
from easy_llama.token_choice import distribution
from easy_llama.tokenizer import Tokenizer

__all__ = ["Scorer"]

_Row = npt.NDArray[np.float32]


class Scorer:
    """Takes the logits of a text in order and tells how likely its tokens are; `close` frees the samplers.

    Args:
        request: which text, and what to tell of it.
        tokenizer: the model's vocabulary.
        context_length: how many tokens the context holds.

    Raises:
        ValueError: a number of the request is out of range, llama.cpp cannot follow the grammar, or the
            logit bias has ids outside the vocabulary.
    """

    def __init__(self, request: ScoreRequest, tokenizer: Tokenizer, context_length: int) -> None:
        _check(request)
        self._request = request
        self._tokenizer = tokenizer
        self._meter = LikelihoodMeter(tokenizer.n_vocab)
        self._scored: list[ScoredToken] = []
        self._samplers = ExitStack()
        self._chain: Any = None
        if request.candidates:
            chain = _chain_at_start(request, tokenizer, context_length)
            self._chain = self._samplers.enter_context(chain)
        if request.start == 0:
            self._add(None)

    @property
    def first_row(self) -> int:
        """The place of the token whose logits are needed next: they tell of the token after it."""
        return self._place - 1

    def take(self, rows: Iterable[_Row]) -> None:
        """Take the next logits, each of shape `(n_vocab,)`; those after the last token are not used."""
        for row in rows:
            if self._place < len(self._request.tokens):
                self._add(row)

    def score(self) -> Score:
        """Return what was found."""
        return Score(self._request.start, tuple(self._scored))

    def close(self) -> None:
        """Free the samplers."""
        self._samplers.close()

    @property
    def _place(self) -> int:
        return self._request.start + len(self._scored)

    def _add(self, row: _Row | None) -> None:
        """Tell of the next token, from the logits before it if there are any."""
        token = self._request.tokens[self._place]
        self._scored.append(
            ScoredToken(
                token,
                self._tokenizer.spelled(token),
                None if row is None else self._meter.measure(row, token),
                None if row is None or self._chain is None else self._distribution(row, token),
            )
        )
        if self._chain is not None:
            lib.llama_sampler_accept(self._chain, token)

    def _distribution(self, row: _Row, token: int) -> Distribution:
        return distribution(
            self._chain,
            row,
            self._request.candidates,
            self._tokenizer,
            is_greedy=self._request.sampler.is_greedy,
            also=token,
        )


def _chain_at_start(
    request: ScoreRequest, tokenizer: Tokenizer, context_length: int
) -> AbstractContextManager[Any]:
    """Return the samplers as they are before the first token that is told of."""
    begin = request.start if request.reply_start is None else request.reply_start
    settings = request.sampler
    if not follows_grammar(settings, tokenizer.vocab, request.tokens[begin:]):
        settings = settings.replace(grammar=None, json_schema=None)
    return sampler_chain(
        settings,
        vocab=tokenizer.vocab,
        seed=draw_seed() if settings.seed is None else settings.seed,
        context=request.tokens[:begin],
        context_length=context_length,
        said=request.tokens[begin : request.start],
        draws=False,
    )


def _check(request: ScoreRequest) -> None:
    if not 0 <= request.start < len(request.tokens):
        raise ValueError(
            f"start must be from 0 to {len(request.tokens) - 1}, the place of the last token, "
            f"not {request.start!r}"
        )
    if request.candidates < 0:
        raise ValueError(f"candidates must be at least 0, not {request.candidates!r}")
    if request.reply_start is not None and not 0 <= request.reply_start <= request.start:
        raise ValueError(f"reply_start must be from 0 to start, {request.start}, not {request.reply_start!r}")

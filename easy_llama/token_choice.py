"""Which token comes next: draws it, and tells what else could have come."""

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from llama_cpp import llama_cpp as lib

from easy_llama.errors import GenerationError
from easy_llama.events import Candidate, Candidates, Distribution, Likelihood, LiveSettings
from easy_llama.likelihood import LikelihoodMeter
from easy_llama.logits import LogitRows, Logits, TokenData, largest_places
from easy_llama.sampler_chain import drawable_count, follows_grammar, sampler_chain
from easy_llama.samplers import MAX_SEED, SamplerSettings
from easy_llama.tokenizer import Tokenizer

__all__ = ["TokenChooser", "distribution"]


class TokenChooser:
    """Draws the tokens of one reply; `close` frees llama.cpp's samplers at the end.

    Args:
        settings: how tokens are chosen.
        tokenizer: the model's vocabulary.
        context: llama.cpp's context, whose logits are drawn from.
        context_length: how many tokens it holds.
        seed: the start of the random numbers.
        prompt: what was said before.
        said: the tokens that the reply begins with, which it is to go on from.
        live: what may change meanwhile.

    Raises:
        ValueError: llama.cpp cannot follow the grammar, or `said` does not, or the logit bias has ids
            outside the vocabulary.
    """

    def __init__(
        self,
        settings: SamplerSettings,
        *,
        tokenizer: Tokenizer,
        context: Any,
        context_length: int,
        seed: int,
        prompt: Sequence[int],
        said: Sequence[int] = (),
        live: LiveSettings | None,
    ) -> None:
        self._tokenizer = tokenizer
        self._context = context
        self._rows = LogitRows(context, tokenizer.n_vocab)
        self._data = TokenData(tokenizer.n_vocab)
        self._context_length = context_length
        self.seed = seed
        """What the first draw was made with."""
        self.row = -1
        """Which of the rows of logits that the context computed last comes next; -1 is the last one."""
        self._prompt = prompt
        self._live = live or LiveSettings()
        self._followed: SamplerSettings | None = None
        self._settings = settings
        if not follows_grammar(settings, tokenizer.vocab, said):
            raise ValueError(
                "the reply cannot go on from here: the grammar or the JSON schema forbids how it begins; "
                "choose another beginning, or switch the grammar off"
            )
        self._said = list(said)
        self._begun = len(said)
        self._meter: LikelihoodMeter | None = None
        self._next_report = 0.0
        self._drawing = ExitStack()
        self._chain = self._new_chain(self._drawing, draws=True)
        self._drawable = drawable_count(settings, tokenizer.n_vocab, context_length)
        self._watching = ExitStack()
        self._watched_chain: Any = None

    def close(self) -> None:
        """Free the samplers."""
        self._drawing.close()
        self._watching.close()

    def draw(self, logits: Logits | None = None) -> int:
        """Draw the next token, from the context's logits or from others.

        Raises:
            GenerationError: no token is possible, or the logits are no numbers.
        """
        if self._live.sampler is not self._followed:
            self._follow(self._live.sampler)
        if logits is None and self._drawable is None and not self._settings.has_grammar:
            token = int(lib.llama_sampler_sample(self._chain, self._context, self.row))
        else:
            token = self._draw_from(self._row(logits))
        self._said.append(token)
        if self._watched_chain is not None:
            lib.llama_sampler_accept(self._watched_chain, token)
        return token

    def likelihood(self, token: int, logits: Logits | None = None) -> Likelihood | None:
        """Return how likely the model found the token that was drawn, where that is wanted now.

        Args:
            token: its id.
            logits: those that it was drawn from; None is the context's.
        """
        if not self._live.likelihoods:
            return None
        if self._meter is None:
            self._meter = LikelihoodMeter(self._tokenizer.n_vocab)
        return self._meter.measure(self._row(logits), token)

    def report(self, logits: Logits | None = None) -> Candidates | None:
        """Return what could come next where that is wanted now.

        Args:
            logits: those to look at; None is the context's.
        """
        if not self._live.candidates:
            self._stop_watching()
            return None
        now = time.monotonic()
        if now < self._next_report:
            return None
        self._next_report = now + self._live.candidates_interval
        if self._live.sampler is not self._followed:
            self._follow(self._live.sampler)
        if self._watched_chain is None:
            self._watched_chain = self._new_chain(self._watching, draws=False)
        found = distribution(
            self._watched_chain,
            self._row(logits),
            self._live.candidates,
            self._tokenizer,
            is_greedy=self._settings.is_greedy,
        )
        return Candidates(len(self._said), found)

    def _follow(self, settings: SamplerSettings | None) -> None:
        """Choose by other settings from now on."""
        self._followed = settings
        if settings is None:
            return
        # A grammar that has not seen the reply from its start would not fit it.
        self._settings = settings.replace(
            grammar=self._settings.grammar, json_schema=self._settings.json_schema, seed=self._settings.seed
        )
        drawing = ExitStack()
        self._chain = self._new_chain(drawing, draws=True)
        self._drawable = drawable_count(self._settings, self._tokenizer.n_vocab, self._context_length)
        self._drawing.close()
        self._drawing = drawing
        self._stop_watching()

    def _stop_watching(self) -> None:
        if self._watched_chain is not None:
            self._watched_chain = None
            self._watching.close()

    def _new_chain(self, stack: ExitStack, *, draws: bool) -> Any:
        chain = sampler_chain(
            self._settings,
            vocab=self._tokenizer.vocab,
            # Where settings change on the way, the draws go on and do not begin anew.
            seed=(self.seed + len(self._said) - self._begun) % (MAX_SEED + 1),
            context=self._prompt,
            context_length=self._context_length,
            said=self._said,
            draws=draws,
        )
        return stack.enter_context(chain)

    def _row(self, logits: Logits | None) -> Logits:
        """Return the logits that the next token is drawn from; None stands for the context's."""
        return self._rows.row(self.row) if logits is None else logits

    def _draw_from(self, logits: Logits) -> int:
        """Draw a token from logits.

        llama.cpp draws some token even where none is possible, and ends the whole process when a grammar
        is then told of it.
        """
        data = self._data
        data.take(logits, self._drawable)
        data.apply(self._chain)
        token, logit = data.drawn
        if math.isnan(logit):
            raise GenerationError(
                "the model computed something that is no number: its file may be damaged, or it may not go "
                "with these settings; try another file, fewer layers on the GPU, or without Flash Attention"
            )
        if logit == -np.inf:
            raise GenerationError(
                "no token is possible here: the grammar, the JSON schema or the logit bias forbids all "
                "that the model could say; change or switch off one of them"
            )
        lib.llama_sampler_accept(self._chain, token)
        return token


def distribution(
    chain: Any,
    logits: Logits,
    count: int,
    tokenizer: Tokenizer,
    *,
    is_greedy: bool,
    also: int | None = None,
) -> Distribution:
    """Return the likeliest next tokens, before and after the samplers.

    Args:
        chain: llama.cpp's samplers, without the one that draws.
        logits: the model's own, shape `(n_vocab,)`.
        count: how many tokens to tell of each; where the samplers change the order there may be more.
        tokenizer: the model's vocabulary.
        is_greedy: whether the likeliest token of those that are left is always drawn.
        also: a token to tell of in any case.
    """
    before = _softmax(logits)
    data = TokenData(len(logits))
    data.take(logits)
    data.apply(chain)
    left = data.left
    left = left[left["logit"] > -np.inf]
    if is_greedy:
        left = left[left["logit"].argmax() :][:1] if len(left) else left
    after = np.zeros_like(before)
    tokens = set(_likeliest(before, count))
    if len(left):
        shares = _softmax(left["logit"])
        after[left["id"]] = shares
        tokens.update(int(left["id"][place]) for place in _likeliest(shares, count) if shares[place])
    if also is not None:
        tokens.add(also)
    rows = [
        Candidate(token, tokenizer.decode([token], special=True), float(before[token]), float(after[token]))
        for token in tokens
    ]
    rows.sort(key=lambda row: (-row.after, -row.before, row.id))
    return Distribution(tuple(rows), int(np.count_nonzero(after)))


def _softmax(logits: Logits) -> Logits:
    shares = np.exp(logits - logits.max())
    return shares / shares.sum(dtype=np.float64)  # type: ignore[no-any-return]


def _likeliest(probabilities: Logits, count: int) -> list[int]:
    """Return the places of the largest, in no order."""
    count = min(count, len(probabilities))
    places = largest_places(probabilities, count)
    return [int(place) for place in places[np.argpartition(probabilities[places], -count)[-count:]]]

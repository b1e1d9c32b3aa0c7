"""A GGUF model, loaded: what the documented library names, thin over the engine."""

import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

import llama_cpp
import numpy as np
from llama_cpp import llama_cpp as lib

from easy_llama.cache_types import DEFAULT_CACHE_TYPE
from easy_llama.engine import Engine
from easy_llama.errors import ExceededContextLengthException, ModelUnloadedException
from easy_llama.events import (
    CancelFlag,
    Event,
    Finished,
    GenerationRequest,
    LeftOut,
    LiveSettings,
    Token,
)
from easy_llama.loaded_model import LoadedFiles, ModelOptions, load_model
from easy_llama.native_model import OnProgress, supports_gpu_offload
from easy_llama.prompt import Piece, encode_prompt
from easy_llama.prompt_lookup import PromptLookup
from easy_llama.samplers import DefaultSampling, SamplerSettings, SimpleSampling
from easy_llama.scores import Score, ScoreRequest
from easy_llama.tokenizer import Tokenizer

__all__ = ["ExceededContextLengthException", "Model", "ModelUnloadedException", "supports_gpu_offload"]

Stops = Sequence[str | int]


class _SupportsWriteAndFlush(Protocol):
    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


class Model:
    """A language model from a GGUF file.

    As a context manager it is unloaded at the end of the block. Called like a function it generates.

    Args:
        model_path: the GGUF file; of a split model, its first part.
        context_length: how many tokens the context holds; `None` is the model's native length. Beyond
            that the RoPE base is raised, which costs some quality; from twice the native length on a
            `ContextScalingWarning` says so.
        n_gpu_layers: how many layers to put on the GPU; -1 for all.
        offload_kqv: keep the KV cache on the GPU as well.
        flash_attn: use Flash Attention.
        verbose: show llama.cpp's log on standard error.
        n_threads: threads that compute; `None` chooses by the machine.
        n_batch: at most how many tokens of a prompt are computed at once; `None` is 512.
        cache_type_k: what the keys of the KV cache are kept in: "f16", or one of `cache_types.CACHE_TYPES`.
        cache_type_v: the same of its values; quantised ones need `flash_attn`.
        prompt_lookup: guess tokens from the text so far and compute several at once, so that replies that
            repeat some of it come faster; see `easy_llama.speculation`. `None` does so where it was
            measured to gain: not on a GPU, nor for a model of experts.
        draft_model: the GGUF file of a small second model of the same vocabulary, which guesses tokens where
            that is not done from the text; see `easy_llama.draft_model`.
        on_progress: is told how far loading is, 0 to 1, and returns whether to go on. Loading ends too where
            it raises something, which is then raised here.

    Raises:
        ModelLoadError: the file cannot be loaded, or `on_progress` ended that; the message says which, and
            what to do.
        DraftModelError: the draft model cannot be loaded, or does not go with the model.
        ValueError: an argument is out of range, or goes with another one not at all.
    """

    def __init__(
        self,
        model_path: str | Path,
        context_length: int | None = None,
        n_gpu_layers: int = 0,
        offload_kqv: bool = True,
        flash_attn: bool = False,
        verbose: bool = False,
        *,
        n_threads: int | None = None,
        n_batch: int | None = None,
        cache_type_k: str = DEFAULT_CACHE_TYPE,
        cache_type_v: str = DEFAULT_CACHE_TYPE,
        prompt_lookup: bool | None = None,
        draft_model: str | Path | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.filename = str(Path(model_path).expanduser())
        self._options = ModelOptions(
            context_length=context_length,
            n_gpu_layers=n_gpu_layers,
            offload_kqv=offload_kqv,
            flash_attn=flash_attn,
            verbose=verbose,
            n_threads=n_threads,
            n_batch=n_batch,
            cache_type_k=cache_type_k,
            cache_type_v=cache_type_v,
            prompt_lookup=prompt_lookup,
            draft_model=draft_model,
        )
        self._on_progress = on_progress
        self._llama: llama_cpp.Llama | None = None
        self.load()

    def load(self) -> None:
        """Load the model again after `unload`, as it was; do nothing where it is loaded.

        Raises:
            ModelLoadError: the file cannot be loaded (any more).
        """
        if self._llama is not None:
            return
        loaded = load_model(Path(self.filename), self._options, self._on_progress)
        draft = loaded.draft
        self._llama = loaded.llama
        self._tokenizer = Tokenizer(loaded.llama)
        self._engine = Engine(loaded.llama, self._tokenizer, draft.llama if draft else None)
        self._describe(loaded)
        self._engine.guess_with(*([_look_up] if loaded.looks_up else []), *([draft.guesser] if draft else []))

    def _describe(self, loaded: LoadedFiles) -> None:
        """Set the attributes to what was really loaded."""
        llama, plan, metadata = loaded.llama, loaded.plan, loaded.metadata
        self.metadata = dict(metadata)
        self.verbose = self._options.verbose
        self.n_gpu_layers = loaded.n_gpu_layers
        self.prompt_lookup = loaded.looks_up
        self.draft_model = str(loaded.draft.path) if loaded.draft else None
        self.flash_attn = llama.context_params.flash_attn_type == lib.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self.context_length = self._engine.context_length
        self.n_ctx = self.context_length
        self.n_ctx_train = int(lib.llama_model_n_ctx_train(llama.model))
        self.ctx_scale = self.context_length / self.n_ctx_train
        self.rope_freq_base_train = plan.rope_freq_base_train
        self.rope_freq_base = plan.rope_freq_base or plan.rope_freq_base_train
        self.n_vocab = self._tokenizer.n_vocab
        self.n_layer = int(lib.llama_model_n_layer(llama.model))
        self.n_gqa = _grouped_queries(llama.model)
        self.type_k = int(llama.context_params.type_k)
        self.type_v = int(llama.context_params.type_v)
        vocab = lib.llama_model_get_vocab(llama.model)
        self.bos_token = int(lib.llama_vocab_bos(vocab))
        self.eos_token = int(lib.llama_vocab_eos(vocab))
        self.eot_token = _token_or_none(lib.llama_vocab_eot(vocab))
        self.nl_token = _token_or_none(lib.llama_vocab_nl(vocab))
        self.prefix_token = _token_or_none(lib.llama_vocab_fim_pre(vocab))
        self.middle_token = _token_or_none(lib.llama_vocab_fim_mid(vocab))
        self.suffix_token = _token_or_none(lib.llama_vocab_fim_suf(vocab))
        # llama.cpp answers with BOS where a model has no classifier token.
        self.cls_token = _token_or_none(metadata.get("tokenizer.ggml.cls_token_id", -1))
        self.sep_token = _token_or_none(lib.llama_vocab_sep(vocab))

    def reload(self, **changes: Any) -> None:
        """Unload the model and load it again, with changed settings.

        Args:
            changes: arguments of the constructor: `context_length`, `n_gpu_layers`, `offload_kqv`,
                `flash_attn`, `verbose`, `n_threads`, `n_batch`, `cache_type_k`, `cache_type_v`,
                `prompt_lookup`, `draft_model`. The others stay.

        Raises:
            ModelLoadError: it cannot be loaded so; the model is then unloaded, and `load` brings it back
                with the settings that it had.
            ValueError: a setting is out of range, or goes with another one not at all; it is unloaded too.
            TypeError: there is no setting of that name; the model stays as it is.
        """
        before = self._options
        self._options = replace(before, **changes)
        self.unload()
        try:
            self.load()
        except BaseException:
            self._options = before
            raise

    def unload(self) -> None:
        """Free the model's memory; do nothing where it is free already.

        Any later use raises `ModelUnloadedException`, and so does the next step of a stream that this
        thread has not read to its end. A generation in another thread is waited for.
        """
        if self._llama is not None:
            self._engine.close()
            self._llama = None
            self.__dict__.pop("vocab", None)

    @property
    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._llama is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unload()

    @property
    def llama(self) -> llama_cpp.Llama:
        """The underlying `llama_cpp.Llama`."""
        if self._llama is None:
            raise ModelUnloadedException(
                f"the model {Path(self.filename).name} was unloaded; load it again with load()"
            )
        return self._llama

    @property
    def engine(self) -> Engine:
        """The token loop over this model's context."""
        _ = self.llama
        return self._engine

    @property
    def tokenizer(self) -> Tokenizer:
        """This model's vocabulary."""
        _ = self.llama
        return self._tokenizer

    @cached_property
    def vocab(self) -> list[str]:
        """All tokens, as the vocabulary spells them, by id."""
        return [self.tokenizer.text(token) for token in range(self.n_vocab)]

    @property
    def bos_text(self) -> str:
        """The beginning-of-sequence token as text; empty where there is none."""
        return self.tokenizer.text(self.bos_token) if self.bos_token >= 0 else ""

    @property
    def eos_text(self) -> str:
        """The end-of-sequence token as text; empty where there is none."""
        return self.tokenizer.text(self.eos_token) if self.eos_token >= 0 else ""

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """The names of all control tokens."""
        return self.tokenizer.control_tokens

    def get_length(self, text: str) -> int:
        """Return the length of a text in tokens, with the BOS token that the model puts before it."""
        return len(self.tokenize(text))

    def tokenize(self, text: str, *, add_special: bool = True, parse_special: bool = True) -> list[int]:
        """Return the token ids of a text.

        Args:
            text: any text.
            add_special: put BOS (and EOS) where the model wants them.
            parse_special: read the names of control tokens in the text as those tokens.
        """
        return self.tokenizer.encode(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, tokens: Sequence[int], *, special: bool = True) -> str:
        """Return the text of token ids, without the BOS and EOS that `tokenize` puts around it.

        Args:
            tokens: the ids, 0 to `n_vocab` - 1; they are not changed.
            special: write the names of control tokens; else leave those tokens out.

        Raises:
            ValueError: an id is outside the vocabulary.
        """
        return self.tokenizer.decode_text(tokens, special=special)

    def events(
        self,
        prompt: str | Sequence[int] | Sequence[Piece],
        stops: Stops = (),
        sampler: SamplerSettings = DefaultSampling,
        cancel: CancelFlag | None = None,
        live: LiveSettings | None = None,
        reply_start: Sequence[int] = (),
        left_out: Sequence[LeftOut] = (),
    ) -> Iterator[Event]:
        """Generate from a prompt as a stream of typed events; the last one is `Finished`.

        Args:
            prompt: text, in which the names of control tokens are read as those tokens; or token ids;
                or pieces (see `easy_llama.prompt`), in which only what a format wrote may hold any.
            stops: strings and token ids at which to end early.
            sampler: how tokens are chosen.
            cancel: may be set from another thread to end the generation.
            live: asks for `Candidates` events and likelihoods, and may be changed from another thread
                meanwhile.
            reply_start: token ids that the reply begins with, as the ids of an earlier reply up to a place
                where another token is to come. Their `Token` events come first.
            left_out: what was left out of the prompt, in its order; see `easy_llama.left_out`.

        Raises:
            ExceededContextLengthException: the prompt leaves no room in the context.
            ModelUnloadedException: the model was unloaded.
        """
        request = GenerationRequest(
            prompt=self._encode(prompt),
            sampler=sampler,
            stops=tuple(stop for stop in stops if isinstance(stop, str)),
            stop_ids=frozenset(stop for stop in stops if isinstance(stop, int)),
            reply_start=tuple(reply_start),
            left_out=tuple(left_out),
        )
        return self.engine.generate(request, cancel, live)

    def generate(self, prompt: str, stops: Stops = (), sampler: SamplerSettings = DefaultSampling) -> str:
        """Return the text generated from a prompt.

        Args:
            prompt: the text to go on from.
            stops: strings and token ids at which to end early.
            sampler: how tokens are chosen.
        """
        return "".join(_texts(self.events(prompt, stops, sampler)))

    def __call__(self, prompt: str, stops: Stops = (), sampler: SamplerSettings = DefaultSampling) -> str:
        """Generate; see `generate`."""
        return self.generate(prompt, stops, sampler)

    def stream(
        self, prompt: str, stops: Stops = (), sampler: SamplerSettings = DefaultSampling
    ) -> Iterator[dict[str, Any]]:
        """Yield dicts with the text as it is generated: `chunk["choices"][0]["text"]`.

        The last one has a `finish_reason`. The arguments are those of `generate`.
        """
        events = self.events(prompt, stops, sampler)
        head = {
            "id": f"cmpl-{uuid.uuid4()}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": self.filename,
        }
        with closing(events):  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Token) and event.text:
                    yield head | {"choices": [_choice(event.text, None)]}
                elif isinstance(event, Finished):
                    yield head | {"choices": [_choice(event.text, event.reason)]}

    def stream_print(
        self,
        prompt: str,
        stops: Stops = (),
        sampler: SamplerSettings = DefaultSampling,
        end: str = "\n",
        file: _SupportsWriteAndFlush | None = None,
        flush: bool = True,
    ) -> str:
        """Print text to a file as it is generated, and return it without `end`.

        Args:
            prompt: the text to go on from.
            stops: strings and token ids at which to end early.
            sampler: how tokens are chosen.
            end: printed after the text.
            file: where to print; standard output by default.
            flush: flush after each token, not only at the end.
        """
        target = file or sys.stdout
        parts = []
        for text in _texts(self.events(prompt, stops, sampler)):
            parts.append(text)
            target.write(text)
            if flush:
                target.flush()
        target.write(end)
        target.flush()
        return "".join(parts)

    def ingest(self, text: str) -> None:
        """Read a text into the cache, so that generations that start with it begin sooner."""
        self.engine.read(self._encode(text))

    def score(
        self,
        text: str | Sequence[int],
        *,
        start: int = 0,
        candidates: int = 0,
        sampler: SamplerSettings = SimpleSampling,
    ) -> Score:
        """Return how likely the model finds each token of a text, in one pass over it.

        The first token has no likelihood, for nothing comes before it: in a text that begins with BOS, as
        the model may want it to, that is BOS itself. A text that is in the cache already leaves it as it
        was; any other takes its place. `engine.score` can be watched and cancelled.

        Args:
            text: text, in which the names of control tokens are read as those tokens; or token ids.
            start: the place of the first token to tell of; those before it are only read.
            candidates: how many candidates to tell of at each place; 0 tells of none.
            sampler: whose effect on the candidates to tell of, as if a reply began at `start`.

        Raises:
            ExceededContextLengthException: the text without its last token is longer than the context.
            ModelUnloadedException: the model was unloaded.
            ValueError: the text is empty, or `start` or `candidates` are out of range.
        """
        request = ScoreRequest(self._encode(text), start, candidates, sampler)
        score = self.engine.score(request)
        if score is None:
            raise ModelUnloadedException("the program ended while a text was being scored")
        return score

    def candidates(self, prompt: str, k: int) -> list[tuple[str, np.floating[Any]]]:
        """Return the `k` likeliest next tokens with their probabilities, the likeliest first.

        The probabilities are the softmax of the model's own logits, before any sampler; of the whole
        vocabulary they add up to 1. What the cache holds for the next generation stays.

        Args:
            prompt: the text to evaluate.
            k: how many tokens to return, 1 to `n_vocab`.

        Raises:
            ExceededContextLengthException: the prompt is longer than the context.
            ValueError: `k` is out of range, or the prompt is empty.
        """
        if not 1 <= k <= self.n_vocab:
            raise ValueError(f"k must be from 1 to {self.n_vocab}, the size of the vocabulary, not {k!r}")
        logits = self.engine.logits(self._encode(prompt)).astype(np.float64)
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        likeliest = np.argsort(-probabilities, kind="stable")[:k]
        return [(self.tokenizer.text(int(token)), np.float32(probabilities[token])) for token in likeliest]

    def print_candidates(self, prompt: str, k: int, file: _SupportsWriteAndFlush | None = None) -> None:
        """Print the `k` likeliest next tokens with their probabilities, one a line.

        Args:
            prompt: the text to evaluate.
            k: how many tokens to print, 1 to `n_vocab`.
            file: where to print; standard output by default.
        """
        target = file or sys.stdout
        for token, probability in self.candidates(prompt, k):
            target.write(f"token {token!r} has probability {float(probability)!r}\n")
        target.flush()

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in asdict(self._options).items())
        return f"Model({self.filename!r}, {options})"

    def _encode(self, prompt: str | Sequence[int] | Sequence[Piece]) -> tuple[int, ...]:
        if isinstance(prompt, str):
            return tuple(self.tokenizer.encode(prompt, add_special=True, parse_special=True))
        ids = [part for part in prompt if isinstance(part, int)]
        if len(ids) == len(prompt):
            return tuple(ids)
        return encode_prompt([part for part in prompt if not isinstance(part, int)], self.tokenizer)


def _texts(events: Iterator[Event]) -> Iterator[str]:
    for event in events:
        if isinstance(event, Token | Finished) and event.text:
            yield event.text


def _choice(text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}


def _look_up(prompt: Sequence[int], _cancel: CancelFlag) -> PromptLookup:
    return PromptLookup(prompt)


def _token_or_none(token: int) -> int | None:
    return None if token < 0 else int(token)


def _grouped_queries(model: Any) -> int:
    return int(lib.llama_model_n_head(model)) // max(int(lib.llama_model_n_head_kv(model)), 1)

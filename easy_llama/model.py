"""A GGUF model, loaded: what the documented library names, thin over the engine."""

import sys
import time
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import llama_cpp
import numpy as np
from llama_cpp import llama_cpp as lib

from easy_llama import llama_log
from easy_llama.engine import Engine
from easy_llama.errors import (
    ExceededContextLengthException,
    ModelLoadError,
    ModelUnloadedException,
)
from easy_llama.events import CancelFlag, Event, Finished, GenerationRequest, Token
from easy_llama.gguf import GGUFArray, open_gguf
from easy_llama.loading import plan_loading
from easy_llama.prompt import Piece, encode_prompt
from easy_llama.samplers import DefaultSampling, SamplerSettings
from easy_llama.tokenizer import Tokenizer

__all__ = ["ExceededContextLengthException", "Model", "ModelUnloadedException", "supports_gpu_offload"]

llama_log.install()

Stops = Sequence[str | int]
OnProgress = Callable[[float], bool]
"""Is told the share of the model that is loaded, 0 to 1; returns whether to go on."""


class _SupportsWriteAndFlush(Protocol):
    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


def supports_gpu_offload() -> bool:
    """Return whether this build of llama.cpp can put layers on a GPU."""
    return bool(lib.llama_supports_gpu_offload())


class _Llama(llama_cpp.Llama):  # type: ignore[misc]
    """A `Llama` that tells how far it is loaded, which the class itself has no parameter for."""

    def __init__(self, model_path: str, *, on_progress: OnProgress | None, **options: Any) -> None:
        @lib.llama_progress_callback  # type: ignore[untyped-decorator]
        def callback(progress: float, user_data: object) -> bool:
            return on_progress is None or on_progress(progress)

        self._progress_callback = callback
        super().__init__(model_path, **options)

    @property
    def model_params(self) -> Any:
        return self._model_params

    @model_params.setter
    def model_params(self, params: Any) -> None:
        params.progress_callback = self._progress_callback
        self._model_params = params


class Model:
    """A language model from a GGUF file.

    Args:
        model_path: the GGUF file; of a split model, its first part.
        context_length: how many tokens the context holds; `None` is the model's native length. Beyond
            that the RoPE base is raised, which costs some quality.
        n_gpu_layers: how many layers to put on the GPU; -1 for all.
        offload_kqv: keep the KV cache on the GPU as well.
        flash_attn: use Flash Attention.
        verbose: show llama.cpp's log on standard error.
        n_threads: threads that compute; `None` chooses by the machine.
        on_progress: is told how far loading is, 0 to 1, and returns whether to go on.

    Raises:
        ModelLoadError: the file cannot be loaded; the message says why and what to do.
    """

    def __init__(
        self,
        model_path: str,
        context_length: int | None = None,
        n_gpu_layers: int = 0,
        offload_kqv: bool = True,
        flash_attn: bool = False,
        verbose: bool = False,
        *,
        n_threads: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        path = Path(model_path).expanduser()
        with open_gguf(path) as header:
            header.check_complete()
            self.metadata = {
                key: value for key, value in header.metadata.items() if not isinstance(value, GGUFArray)
            }
            plan = plan_loading(header.metadata, context_length=context_length, n_threads=n_threads)
        llama_log.set_verbose(verbose)
        self.verbose = verbose
        self.filename = str(path)
        self.n_gpu_layers = n_gpu_layers
        self.flash_attn = flash_attn
        self._llama: llama_cpp.Llama | None = _load(
            path,
            on_progress,
            n_ctx=plan.context_length,
            n_batch=plan.n_batch,
            n_threads=plan.n_threads,
            n_threads_batch=plan.n_threads_batch,
            rope_freq_base=plan.rope_freq_base,
            n_gpu_layers=n_gpu_layers,
            offload_kqv=offload_kqv,
            flash_attn=flash_attn,
        )
        # Frees the native memory also when the interpreter ends, while llama.cpp can still log.
        self._free = weakref.finalize(self, self._llama.close)
        self._tokenizer = Tokenizer(self._llama)
        self._engine = Engine(self._llama, self._tokenizer)

        self.context_length = self._engine.context_length
        self.n_ctx = self.context_length
        self.n_ctx_train = int(lib.llama_model_n_ctx_train(self._llama.model))
        self.ctx_scale = self.context_length / self.n_ctx_train
        self.rope_freq_base_train = plan.rope_freq_base_train
        self.rope_freq_base = plan.rope_freq_base or plan.rope_freq_base_train
        self.n_vocab = self._tokenizer.n_vocab
        self.n_layer = int(lib.llama_model_n_layer(self._llama.model))
        self.n_gqa = _grouped_queries(self._llama.model)
        self.type_k = int(self._llama.context_params.type_k)
        self.type_v = int(self._llama.context_params.type_v)
        vocab = lib.llama_model_get_vocab(self._llama.model)
        self.bos_token = int(lib.llama_vocab_bos(vocab))
        self.eos_token = int(lib.llama_vocab_eos(vocab))
        self.eot_token = _token_or_none(lib.llama_vocab_eot(vocab))
        self.nl_token = _token_or_none(lib.llama_vocab_nl(vocab))
        self.prefix_token = _token_or_none(lib.llama_vocab_fim_pre(vocab))
        self.middle_token = _token_or_none(lib.llama_vocab_fim_mid(vocab))
        self.suffix_token = _token_or_none(lib.llama_vocab_fim_suf(vocab))
        self.cls_token = _token_or_none(lib.llama_vocab_bos(vocab) if _has_key(self, "cls") else -1)
        self.sep_token = _token_or_none(lib.llama_vocab_sep(vocab))

    @property
    def llama(self) -> llama_cpp.Llama:
        """The underlying `llama_cpp.Llama`."""
        if self._llama is None:
            raise ModelUnloadedException(
                f"the model {Path(self.filename).name} was unloaded; load it again with Model(...)"
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

    def unload(self) -> None:
        """Free the model's memory; any later use raises `ModelUnloadedException`."""
        if self._llama is not None:
            self._free()
            self._llama = None

    def get_length(self, text: str) -> int:
        """Return the length of a text in tokens, with the BOS token that the model puts before it."""
        return len(self.tokenizer.encode(text, add_special=True, parse_special=True))

    def events(
        self,
        prompt: str | Sequence[int] | Sequence[Piece],
        stops: Stops = (),
        sampler: SamplerSettings = DefaultSampling,
        cancel: CancelFlag | None = None,
    ) -> Iterator[Event]:
        """Generate from a prompt as a stream of typed events; the last one is `Finished`.

        Args:
            prompt: text, in which the names of control tokens are read as those tokens; or token ids;
                or pieces (see `easy_llama.prompt`), in which only what a format wrote may hold any.
            stops: strings and token ids at which to end early.
            sampler: how tokens are chosen.
            cancel: may be set from another thread to end the generation.

        Raises:
            ExceededContextLengthException: the prompt leaves no room in the context.
            ModelUnloadedException: the model was unloaded.
        """
        request = GenerationRequest(
            prompt=self._encode(prompt),
            sampler=sampler,
            stops=tuple(stop for stop in stops if isinstance(stop, str)),
            stop_ids=frozenset(stop for stop in stops if isinstance(stop, int)),
        )
        return self.engine.generate(request, cancel)

    def generate(self, prompt: str, stops: Stops = (), sampler: SamplerSettings = DefaultSampling) -> str:
        """Return the text generated from a prompt.

        Args:
            prompt: the text to go on from.
            stops: strings and token ids at which to end early.
            sampler: how tokens are chosen.
        """
        return "".join(_texts(self.events(prompt, stops, sampler)))

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
        return (
            f"Model({self.filename!r}, context_length={self.context_length}, "
            f"n_gpu_layers={self.n_gpu_layers}, flash_attn={self.flash_attn})"
        )

    def _encode(self, prompt: str | Sequence[int] | Sequence[Piece]) -> tuple[int, ...]:
        if isinstance(prompt, str):
            return tuple(self.tokenizer.encode(prompt, add_special=True, parse_special=True))
        ids = [part for part in prompt if isinstance(part, int)]
        if len(ids) == len(prompt):
            return tuple(ids)
        return encode_prompt([part for part in prompt if not isinstance(part, int)], self.tokenizer)


def _load(path: Path, on_progress: OnProgress | None, **options: Any) -> llama_cpp.Llama:
    # llama-cpp-python prints on standard error itself where it is not verbose; see llama_log.
    with llama_log.collected_errors() as errors:
        try:
            llama = _Llama(str(path), on_progress=on_progress, verbose=True, no_perf=True, **options)
        except Exception as error:
            reason = errors[0].strip() if errors else str(error)
            raise ModelLoadError(
                f"{path}: llama.cpp cannot load this model ({reason}); try a newer llama-cpp-python, "
                f"a smaller context length, or another file"
            ) from error
    if not lib.llama_model_has_decoder(llama.model) or lib.llama_model_has_encoder(llama.model):
        llama.close()
        raise ModelLoadError(f"{path}: this is not a model that writes text; choose a chat or text model")
    return llama


def _texts(events: Iterator[Event]) -> Iterator[str]:
    for event in events:
        if isinstance(event, Token | Finished) and event.text:
            yield event.text


def _choice(text: str, finish_reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}


def _token_or_none(token: int) -> int | None:
    return None if token < 0 else int(token)


def _has_key(model: Model, name: str) -> bool:
    return f"tokenizer.ggml.{name}_token_id" in model.metadata


def _grouped_queries(model: Any) -> int:
    return int(lib.llama_model_n_head(model)) // max(int(lib.llama_model_n_head_kv(model)), 1)

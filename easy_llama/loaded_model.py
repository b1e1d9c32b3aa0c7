"""Loading the files of a model, and of the draft model that guesses for it, as they were asked for."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp

from easy_llama import llama_log
from easy_llama.cache_types import cache_type_problem, ggml_number
from easy_llama.draft_model import DraftModel, plan_draft
from easy_llama.errors import ContextScalingWarning
from easy_llama.gguf import GGUFArray, open_gguf
from easy_llama.loading import LoadPlan, plan_loading
from easy_llama.native_model import OnProgress, load_llama, supports_gpu_offload

__all__ = ["LoadedFiles", "ModelOptions", "load_model"]

_NOTABLE_SCALE = 2.0
"""From this many native context lengths on, a person is warned of the quality.

YaRN (arXiv:2309.00071, section 3.1) found that models stretched by the NTK-aware rule alone reach less far
than the factor says. SmolLM2-135M's loss over the same 256 tokens rose by 0.009 nats at 1.5 times and by
0.034 at twice its native length.
"""

_CALLER = 4
"""How many calls away from a warning whoever makes a `Model` is."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How a model was asked to be loaded: the arguments of `Model`, which describes them."""

    context_length: int | None
    n_gpu_layers: int
    offload_kqv: bool
    flash_attn: bool
    verbose: bool
    n_threads: int | None
    n_batch: int | None
    cache_type_k: str
    cache_type_v: str
    prompt_lookup: bool | None
    draft_model: str | Path | None


@dataclass(frozen=True, slots=True)
class LoadedFiles:
    """What loading gave."""

    llama: llama_cpp.Llama
    draft: DraftModel | None
    plan: LoadPlan
    metadata: Mapping[str, Any]
    """What its header says, but for lists."""

    n_gpu_layers: int
    """0 where llama.cpp cannot use a GPU, whatever was asked for."""

    looks_up: bool
    """Whether tokens are guessed from the text so far."""


def load_model(path: Path, options: ModelOptions, on_progress: OnProgress | None) -> LoadedFiles:
    """Load a model, and its draft model where one is asked for.

    Args:
        path: the GGUF file; of a split model, its first part.
        options: how to load it.
        on_progress: see `load_llama`; both files count, by their sizes.

    Raises:
        ModelLoadError: the file cannot be loaded, or `on_progress` ended that.
        DraftModelError: the draft model cannot be loaded, or does not go with the model.
        ValueError: an option is out of range, or goes with another one not at all.
    """
    if problem := cache_type_problem(options.cache_type_k, options.cache_type_v, options.flash_attn):
        raise ValueError(problem)
    with open_gguf(path) as header:
        header.check_complete()
        n_bytes = header.size
        metadata = {key: value for key, value in header.metadata.items() if not isinstance(value, GGUFArray)}
        plan = plan_loading(
            header.metadata,
            context_length=options.context_length,
            n_batch=options.n_batch,
            n_threads=options.n_threads,
        )
    if plan.context_scale >= _NOTABLE_SCALE:
        warnings.warn(_scaling_warning(path, plan), ContextScalingWarning, stacklevel=_CALLER)
    # A draft that cannot be right is told of before the model takes its time.
    draft_plan = None if options.draft_model is None else plan_draft(options.draft_model, plan)
    share = 1.0 if draft_plan is None else n_bytes / (n_bytes + draft_plan.file_size)
    llama_log.set_verbose(options.verbose)
    llama = load_llama(
        path,
        _part_of(on_progress, 0.0, share),
        type_k=ggml_number(options.cache_type_k),
        type_v=ggml_number(options.cache_type_v),
        **_native_options(plan, options),
    )
    draft = None
    if draft_plan is not None:
        try:
            draft_options = _native_options(draft_plan.loading, options)
            draft = DraftModel(draft_plan.path, llama, _part_of(on_progress, share, 1.0), **draft_options)
        except BaseException:
            llama.close()
            raise
    n_gpu_layers = options.n_gpu_layers if supports_gpu_offload() else 0
    wish = options.prompt_lookup
    looks_up = gains_by_lookup(metadata, n_gpu_layers) if wish is None else wish
    return LoadedFiles(llama, draft, plan, metadata, n_gpu_layers, looks_up)


def gains_by_lookup(metadata: Mapping[str, object], n_gpu_layers: int) -> bool:
    """Return whether it was measured for such a model that several tokens take little longer than one.

    Where each token chooses experts of its own, more of the weights are read for several.
    """
    n_experts = metadata.get(f"{metadata.get('general.architecture')}.expert_count", 0)
    return n_gpu_layers == 0 and not n_experts


def _part_of(on_progress: OnProgress | None, start: float, end: float) -> OnProgress | None:
    """Return what is told of a part of the loading, so that it is told of all of it."""
    if on_progress is None:
        return None
    return lambda share: on_progress(start + (end - start) * share)


def _native_options(plan: LoadPlan, options: ModelOptions) -> dict[str, Any]:
    """Return what `llama_cpp.Llama` is told of the model itself and of its draft model alike."""
    return {
        "n_ctx": plan.context_length,
        "n_batch": plan.n_batch,
        "n_ubatch": plan.n_batch,
        "n_threads": plan.n_threads,
        "n_threads_batch": plan.n_threads_batch,
        "rope_freq_base": plan.rope_freq_base,
        "n_gpu_layers": options.n_gpu_layers,
        "offload_kqv": options.offload_kqv,
        "flash_attn": options.flash_attn,
    }


def _scaling_warning(path: Path, plan: LoadPlan) -> str:
    return (
        f"{path.name} was trained for {plan.native_context_length:,} tokens; in a context of "
        f"{plan.context_length:,}, {plan.context_scale:.3g} times that, its replies get worse. "
        f"A context_length below {_NOTABLE_SCALE:g} times the native one loses little."
    )

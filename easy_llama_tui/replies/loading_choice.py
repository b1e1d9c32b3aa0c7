"""How to load a model on this machine: what was not wished is chosen, and what may not fit is doubted."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from easy_llama.cache_types import bytes_of
from easy_llama.errors import DraftModelError, ModelLoadError
from easy_llama.gguf import open_gguf
from easy_llama_tui.models.free_memory import free_memory
from easy_llama_tui.models.memory_check import Draft, choose_context
from easy_llama_tui.models.model_library import parts_of
from easy_llama_tui.replies.engine import LoadOptions, MemoryDoubtError


@dataclass(frozen=True, slots=True)
class FileSizes:
    """The bytes of the files that are to be loaded."""

    weights: int
    draft: int
    """0 without a draft model."""


@dataclass(frozen=True, slots=True)
class LoadingChoice:
    """How to load a model."""

    context_length: int | None
    """None is the model's own."""
    n_gpu_layers: int
    """-1 is all; without a GPU it says nothing."""
    notices: tuple[str, ...]
    """What was chosen and not wished, a sentence each."""


@dataclass(frozen=True, slots=True)
class _Memory:
    """Where a model is to be kept."""

    free_bytes: int | None
    """None where nobody tells."""
    holds_weights: bool
    """Whether all of the weights go there."""
    is_on_gpu: bool


def check_files(options: LoadOptions) -> FileSizes:
    """Return the sizes of the files of a model and of its draft.

    Raises:
        ModelLoadError: a file of the model is not whole.
        DraftModelError: a file of the draft is not.
    """
    return FileSizes(
        sum(map(_checked_size, parts_of(options.path))),
        _draft_size(options.draft_model) if options.draft_model else 0,
    )


def choose_loading(options: LoadOptions, sizes: FileSizes) -> LoadingChoice:
    """Return how to load a model into the memory that is free now; importing llama.cpp is a part of it.

    Raises:
        MemoryDoubtError: it may not fit.
        ModelLoadError: its header lacks what is needed to tell.
        DraftModelError: that of the draft does.
    """
    n_gpu_layers, notice = _choose_layers(options.n_gpu_layers)
    with open_gguf(options.path) as header:
        memory = _memory_for(n_gpu_layers, options, header.metadata)
        context_length, other = _choose_context_length(options, header.metadata, sizes, memory)
    return LoadingChoice(context_length, n_gpu_layers, tuple(one for one in (notice, other) if one))


def cache_number_bytes(options: LoadOptions) -> dict[str, float]:
    """Return how large the numbers in the KV cache are, as `easy_llama.loading` takes it."""
    return {"bytes_per_k": bytes_of(options.cache_type_k), "bytes_per_v": bytes_of(options.cache_type_v)}


def _checked_size(part: Path) -> int:
    """Return the bytes of one file of a model.

    Raises:
        GGUFError: it is not whole.
    """
    with open_gguf(part) as header:
        header.check_complete()
        return header.size


def _draft_size(path: Path) -> int:
    """Return the bytes of a draft model.

    Raises:
        DraftModelError: it is not whole.
    """
    try:
        return sum(map(_checked_size, parts_of(path)))
    except ModelLoadError as error:
        raise DraftModelError(str(error)) from error


def _choose_layers(wished: int | None) -> tuple[int, str]:
    """Return how many layers go to the GPU, -1 for all, and what to say about it."""
    from easy_llama.native_model import supports_gpu_offload

    if supports_gpu_offload():
        if wished is None:
            return -1, "All layers are on the GPU; --n-gpu-layers 0 keeps them off it."
        return wished, ""
    if wished:
        return wished, "This build of llama.cpp has no GPU support: the model runs on the CPU."
    return 0, ""


def _memory_for(n_gpu_layers: int, options: LoadOptions, metadata: Mapping[str, object]) -> _Memory:
    from easy_llama.gpus import free_gpu_memory
    from easy_llama.native_model import supports_gpu_offload

    if not n_gpu_layers or not supports_gpu_offload():
        return _Memory(free_memory(), holds_weights=True, is_on_gpu=False)
    n_layers = metadata.get(f"{metadata.get('general.architecture')}.block_count")
    has_all = n_gpu_layers < 0 or (isinstance(n_layers, int) and n_gpu_layers > n_layers)
    on_gpu = free_gpu_memory(free_memory()) if has_all and options.offload_kqv else None
    if on_gpu is not None:
        return _Memory(on_gpu, holds_weights=True, is_on_gpu=True)
    # Nobody tells how much of the model goes where.
    return _Memory(free_memory(), holds_weights=False, is_on_gpu=False)


def _choose_context_length(
    options: LoadOptions, metadata: Mapping[str, object], sizes: FileSizes, memory: _Memory
) -> tuple[int | None, str]:
    """Return the context length to load with, None for the model's own, and what to say about it."""
    wished = options.context_length
    if memory.free_bytes is None:
        return wished, ""
    with ExitStack() as files:
        draft = None
        if options.draft_model is not None:
            header = files.enter_context(open_gguf(options.draft_model))
            draft = Draft(header.metadata, sizes.draft if memory.holds_weights else 0)
        choice = choose_context(
            metadata,
            sizes.weights if memory.holds_weights else 0,
            memory.free_bytes,
            wished=wished,
            flash_attn=options.flash_attn,
            draft=draft,
            **cache_number_bytes(options),
        )
    if choice.doubt is not None and memory.holds_weights and not options.in_spite_of_memory:
        raise MemoryDoubtError(replace(choice.doubt, is_on_gpu=memory.is_on_gpu))
    native = choice.native_context_length
    if wished is not None or choice.context_length == native:
        return wished, ""
    where = "memory of the GPU" if memory.is_on_gpu else "memory"
    return choice.context_length, (
        f"The context is {choice.context_length:,} tokens, not the model's {native:,}, "
        f"to leave {where} free; --context-length {native} loads all of it."
    )

"""The engine of the app: a model in this very process, through `easy_llama`."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from easy_llama import formats
from easy_llama.errors import ModelUnloadedException
from easy_llama.events import CancelFlag, Event
from easy_llama.gguf import open_gguf
from easy_llama.loading import fitting_context_length, plan_loading
from easy_llama_tui.engine import OWN_FORMAT, LoadedModel, LoadOptions, OnProgress, ReplyRequest
from easy_llama_tui.free_memory import free_memory

if TYPE_CHECKING:
    from easy_llama.model import Model


class LocalEngine:
    """A `ChatEngine` over `easy_llama.Model`."""

    def __init__(self, options: LoadOptions) -> None:
        self._options = options
        self._model: Model | None = None
        self._own_format: Mapping[str, Any] = {}

    def load(self, on_progress: OnProgress) -> LoadedModel:
        """Load the model; importing llama.cpp is a part of it."""
        context_length, notices = self._choose_context_length()

        from easy_llama.model import Model, supports_gpu_offload

        n_gpu_layers = self._options.n_gpu_layers
        if n_gpu_layers is None:
            n_gpu_layers = -1 if supports_gpu_offload() else 0
            if n_gpu_layers:
                notices.append("All layers are on the GPU; --n-gpu-layers 0 keeps them off it.")
        elif n_gpu_layers and not supports_gpu_offload():
            notices.append("This build of llama.cpp has no GPU support: the model runs on the CPU.")
        model = Model(
            str(self._options.path),
            context_length=context_length,
            n_gpu_layers=n_gpu_layers,
            offload_kqv=self._options.offload_kqv,
            flash_attn=self._options.flash_attn,
            n_threads=self._options.n_threads,
            on_progress=on_progress,
        )
        self._model = model
        detected = formats.detect(model)
        self._own_format = detected.format
        if detected.notice:
            notices.append(detected.notice)
        label = "chat template" if detected.name == OWN_FORMAT else detected.name
        return LoadedModel(model.context_length, label, tuple(notices))

    def reply(self, request: ReplyRequest, cancel: CancelFlag) -> Iterator[Event]:
        """Build the prompt and generate the bot's next message."""
        if self._model is None:
            raise ModelUnloadedException("no model is loaded; start the program again with one")
        prompt_format = self._own_format if request.format == OWN_FORMAT else formats.get(request.format)
        pieces = formats.build_prompt(prompt_format, request.turns)
        return self._model.events(pieces, formats.stops_of(prompt_format), request.sampler, cancel)

    def close(self) -> None:
        """Free the model."""
        if self._model is not None:
            self._model.unload()
            self._model = None

    def _choose_context_length(self) -> tuple[int | None, list[str]]:
        """Return the context length to load with, and what to say about it."""
        if self._options.context_length is not None:
            return self._options.context_length, []
        memory = free_memory()
        if memory is None:
            return None, []
        with open_gguf(self._options.path) as header:
            native = plan_loading(header.metadata).native_context_length
            fitting = fitting_context_length(header.metadata, memory)
        if fitting == native:
            return None, []
        return fitting, [
            f"The context is {fitting:,} tokens, not the model's {native:,}, to leave memory free; "
            f"--context-length {native} loads all of it."
        ]

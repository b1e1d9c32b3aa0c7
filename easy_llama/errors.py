"""The exceptions that this library raises on purpose.

EasyLlamaError
├── ModelLoadError                  a file could not be loaded as a model
│   ├── GGUFError                   it is not a GGUF file, or a damaged one
│   └── DraftModelError             a draft model cannot be loaded, or does not go with the model
├── ModelUnloadedException          the model was used after unload()
├── ExceededContextLengthException  the input does not fit the context
├── ChatTemplateError               a chat template does not compile, or refuses these messages
└── GenerationError                 llama.cpp failed while reading or writing tokens

ContextScalingWarning               the context is far longer than the model was trained for
DroppedMessagesWarning              a thread outgrew the context, so its oldest messages were not read

Every message says what happened, with which file or setting, and what to do next.
"""

__all__ = [
    "ChatTemplateError",
    "ContextScalingWarning",
    "DraftModelError",
    "DroppedMessagesWarning",
    "EasyLlamaError",
    "ExceededContextLengthException",
    "GGUFError",
    "GenerationError",
    "ModelLoadError",
    "ModelUnloadedException",
]


class EasyLlamaError(Exception):
    """The base of every exception of this library."""


class ModelLoadError(EasyLlamaError):
    """A file could not be loaded as a model."""


class GGUFError(ModelLoadError):
    """A file is not a GGUF file, or its header is damaged."""


class DraftModelError(ModelLoadError):
    """A draft model cannot be loaded, or does not go with the model that it should guess for."""


class ModelUnloadedException(EasyLlamaError):  # noqa: N818 (the documented name)
    """A model was used after it had been unloaded."""


class ExceededContextLengthException(EasyLlamaError):  # noqa: N818 (the documented name)
    """The input is longer than the context length of the model."""


class ChatTemplateError(EasyLlamaError):
    """A chat template does not compile, or refuses the messages it was given."""


class GenerationError(EasyLlamaError):
    """llama.cpp failed while reading or writing tokens."""


class DroppedMessagesWarning(UserWarning):
    """A thread is longer than the context, and the model did not read its oldest messages."""


class ContextScalingWarning(UserWarning):
    """A model was loaded with a context so much longer than its native one that its quality suffers."""

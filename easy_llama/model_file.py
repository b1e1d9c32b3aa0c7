"""What a list of models shows of a GGUF file: what its name says, and a few values of its header."""

import os
import re
from pathlib import Path

from easy_llama.gguf import Value, one_line, open_gguf
from easy_llama.record import Record

__all__ = ["GGUFSummary", "ModelFileName", "read_summary", "split_file_name"]

_FILE_TYPES = (
    # llama_ftype by number, as llama.h lists them; empty where support was removed.
    *("F32", "F16", "Q4_0", "Q4_1", "", "", "", "Q8_0", "Q5_0", "Q5_1"),
    *("Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K", "IQ2_XXS"),
    *("IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ3_M", "IQ2_S", "IQ2_M"),
    *("IQ4_XS", "IQ1_M", "BF16", "", "", "", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4"),
    *("Q1_0", "Q2_0"),
)


class ModelFileName(Record):
    """What the name of a model's file says."""

    display_name: str
    """The name without its quantisation and its part, as "SmolLM2-135M-Instruct"."""
    quantisation: str | None
    """As "Q4_K_M", or None where the name does not say."""
    part: int
    """Which file of a split model this is, from 1."""
    n_parts: int


_PART = re.compile(r"-(\d{5})-of-(\d{5})$")
# "i1" marks an importance matrix, "UD" a dynamic mixture; both tell files of one model apart.
_QUANTISATION = re.compile(
    r"""[-._\ ]((?:i1-|UD-)?
    (?:(?:IQ|TQ|Q)\d(?:_(?:\d+|K|NL|XXS|XS|S|M|L|XL|XXL))*|MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32))$""",
    re.IGNORECASE | re.VERBOSE,
)


def split_file_name(file_name: str) -> ModelFileName:
    """Return what the name of a model's file says, as one line of printable characters.

    The naming convention: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#gguf-naming-convention
    """
    stem = re.sub(r"\.gguf$", "", one_line(file_name), flags=re.IGNORECASE) or file_name
    part, n_parts = 1, 1
    found = _PART.search(stem)
    if found and 1 <= int(found[1]) <= int(found[2]) and found.start():
        part, n_parts, stem = int(found[1]), int(found[2]), stem[: found.start()]
    found = _QUANTISATION.search(stem)
    if found and found.start():
        return ModelFileName(stem[: found.start()], found[1].upper().replace("I1-", "i1-"), part, n_parts)
    return ModelFileName(stem, None, part, n_parts)


class GGUFSummary(Record):
    """What a list of models shows of one file; texts are one line of printable characters."""

    path: Path
    file_size: int
    """In bytes, of this file alone."""
    file_name: ModelFileName
    """The better name for people: `general.name` is often what the training run was called."""
    name: str
    """`general.name`, or the display name where the header has none."""
    kind: str | None
    """`general.type`: "model", "adapter", "mmproj" and others; many files do not say."""
    architecture: str | None
    """None in the later files of a split model."""
    size_label: str | None
    """The number of parameters, as "135M"."""
    quantisation: str | None
    """As "Q4_K_M"; the file's name is asked first, since it may say more than `general.file_type`."""
    context_length: int | None
    """The native context length, in tokens."""
    n_layers: int | None

    @property
    def display_name(self) -> str:
        """The file's name without its quantisation, as "SmolLM2-135M-Instruct"."""
        return self.file_name.display_name


def read_summary(path: str | os.PathLike[str]) -> GGUFSummary:
    """Return what a list of models shows of a GGUF file, reading as little of it as possible.

    Optional keys are looked for before the vocabulary only, where the converters write them. The file type
    may stand behind it, and is looked for there where the file's name does not tell the quantisation.

    Raises:
        GGUFError: The file cannot be read, or the part of its header that was read is damaged.
    """
    with open_gguf(path) as file:
        values = file.metadata
        early: dict[str, str | None] = {}
        for key in values:
            if key.startswith("tokenizer."):
                break
            if key in ("general.name", "general.type", "general.size_label"):
                early[key] = _text(values[key])
        architecture = _text(values.get("general.architecture"))
        file_name = split_file_name(file.path.name)
        return GGUFSummary(
            path=file.path,
            file_size=file.size,
            file_name=file_name,
            name=early.get("general.name") or file_name.display_name,
            kind=early.get("general.type"),
            architecture=architecture,
            size_label=early.get("general.size_label"),
            quantisation=file_name.quantisation or _file_type(values.get("general.file_type")),
            context_length=_count(values.get(f"{architecture}.context_length")) if architecture else None,
            n_layers=_count(values.get(f"{architecture}.block_count")) if architecture else None,
        )


def _text(value: Value | None) -> str | None:
    return one_line(" ".join(value[:200].split())) or None if isinstance(value, str) else None


def _count(value: Value | None) -> int | None:
    return value if type(value) is int and value > 0 else None


def _file_type(value: Value | None) -> str | None:
    return _FILE_TYPES[value] or None if type(value) is int and 0 <= value < len(_FILE_TYPES) else None

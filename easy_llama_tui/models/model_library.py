"""The models on a person's disk, for choosing one: what there is, and what a file's header tells of it.

`find_models` looks at names and sizes only. `read_details` reads the start of one header, so that a list
can be shown at once and its details be filled in for the rows that are seen; `DetailsCache` remembers them.
Names are as the disk has them: whoever shows one makes it printable.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from easy_llama.errors import GGUFError, ModelLoadError
from easy_llama.gguf import GGUFArray, GGUFMetadata, Scalar, open_gguf
from easy_llama.loading import fitting_context_length, kv_cache_bytes
from easy_llama.model_file import GGUFSummary, read_summary, split_file_name
from easy_llama_tui.models.model_sources import Listing, Notice, Source, look, places

_MAX_PARTS = 1000
"""Parts of a split model that are looked for one by one; the largest models have a few dozen."""
_MAX_ARRAY = 4096
"""Items of an array of figures, one a layer."""
_SHORTEST_CONTEXT = 1024
"""A context, in tokens, below which a chat makes no sense."""
_COMFORT = 0.9
"""The share of the free memory that weights and cache may take, beside what computing takes."""

_NO_CHAT = {
    # Architectures that write no text: llama.cpp's, and those that only other programs load.
    **dict.fromkeys(("bert", "eurobert", "modern-bert", "neo-bert", "nomic-bert"), "an embedding model"),
    **dict.fromkeys(("jina-bert-v2", "jina-bert-v3", "nomic-bert-moe"), "an embedding model"),
    **dict.fromkeys(("gemma-embedding", "llama-embed"), "an embedding model"),
    "t5encoder": "a text encoder",
    **dict.fromkeys(("aura", "cosmos", "flux", "hidream", "lumina2", "pig"), "an image model"),
    **dict.fromkeys(("qwen_image", "sd1", "sd3", "sdxl"), "an image model"),
    **dict.fromkeys(("hyvid", "ltxv", "wan"), "a video model"),
}
_POOLING = {1: "an embedding model", 2: "an embedding model", 3: "an embedding model", 4: "a reranker"}
"""llama.cpp's pooling types that end in a vector or a score and not in text."""

Figure = Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model on the disk, from its name and size alone."""

    path: Path
    """What to load: the file, or the first part of a split model."""
    name: str
    """The file's name without ".gguf" and its part, or the name that Ollama gives it."""
    source: Source
    origin: str
    """What tells it from others of the same name: a repository or a folder; may be empty."""
    size_bytes: int
    """Of all parts that are there."""
    n_parts: int
    n_missing: int
    """Parts of a split model that are not there."""
    modified_ns: int
    """When its newest part was last changed, in nanoseconds since 1970."""


class Fit(StrEnum):
    """Whether a model fits the memory that is free."""

    YES = "fits"
    TIGHT = "tight"
    """It takes nearly all of the free memory, or fits with a shorter context only."""
    NO = "too large"
    UNKNOWN = "unknown"
    """Nobody tells how much is free, or the header does not tell what the context takes."""


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """What a model's header tells; texts are one line of printable characters."""

    weights_bytes: int
    architecture: str | None = None
    quantisation: str | None = None
    """As "Q4_K_M"."""
    native_context: int | None = None
    """In tokens."""
    parameters: str | None = None
    """How many, as "135M"."""
    is_projector: bool = False
    """It translates images or sound for another model, and is not to be offered."""
    remark: str | None = None
    """Why one cannot talk to it although its file is sound, as "an embedding model"."""
    error: str | None = None
    """Why it cannot be loaded, and what to do."""
    figures: Mapping[str, Figure] = field(default_factory=dict, repr=False, hash=False)
    """The header's key-values that tell how large a KV cache is."""


def find_models(
    folders: Iterable[str | Path] = (),
    used: Iterable[str | Path] = (),
    *,
    environment: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> Iterator[ModelFile | Notice]:
    """Yield the models on this disk as they are found, each file once, and what could not be looked at.

    The person's own folders come first, then the stores of Hugging Face, LM Studio and Ollama, and last the
    files used before that lie elsewhere. A file that links lead to, or that has several names, counts once.
    Empty files and those without ".gguf" are left out; the latter are offered where they were used before.

    Args:
        folders: the person's own folders; "~" stands for `home`.
        used: files that were loaded before; those that are gone are left out.
        environment: None is that of this process; see `model_sources.places`.
        home: the person's home folder; None asks the system.
    """
    home = Path(os.path.expanduser("~")) if home is None else home  # noqa: PTH111 (raises nothing)
    seen: set[object] = set()
    for place in places(folders, os.environ if environment is None else environment, home):
        for found in look(place):
            if isinstance(found, Notice):
                yield found
            elif isinstance(found, Listing):
                yield from _models_in(found, place.source, seen)
            else:
                yield from _models_of([found.path], found.name, "", place.source, 1, seen)
    for path in used:
        yield from _used_model(Path(path).absolute(), seen)


def _models_in(listing: Listing, source: Source, seen: set[object]) -> Iterator[ModelFile]:
    """Yield the models of one folder, the parts of a split one together."""
    parts: dict[tuple[str, int], list[Path]] = {}
    for name in listing.names:
        stem, _, n_parts = _split(name)
        parts.setdefault((stem, n_parts), []).append(listing.folder / name)
    for (stem, n_parts), paths in parts.items():
        yield from _models_of(paths, stem, listing.origin, source, n_parts, seen)


def _used_model(path: Path, seen: set[object]) -> Iterator[ModelFile]:
    name, _, n_parts = _split(path.name)
    yield from _models_of(parts_of(path), name, str(path.parent), Source.USED, n_parts, seen)


def parts_of(path: Path) -> list[Path]:
    """Return the files that a model is made of, whether they are there or not: of most models, the one."""
    name, part, n_parts = _split(path.name)
    if not 1 < n_parts <= _MAX_PARTS:
        return [path]
    ending = path.name[len(f"{name}-{part:05d}-of-{n_parts:05d}") :]
    names = (f"{name}-{one:05d}-of-{n_parts:05d}{ending}" for one in range(1, n_parts + 1))
    return [path.with_name(one) for one in names]


def _split(file_name: str) -> tuple[str, int, int]:
    """Return a file's name without its ending and part, which part it is, and of how many."""
    parsed = split_file_name(file_name)
    stem = file_name[:-5] if file_name.casefold().endswith(".gguf") else file_name
    return stem.removesuffix(f"-{parsed.part:05d}-of-{parsed.n_parts:05d}"), parsed.part, parsed.n_parts


def _models_of(
    paths: Iterable[Path], name: str, origin: str, source: Source, n_parts: int, seen: set[object]
) -> Iterator[ModelFile]:
    """Yield the model in these files, its parts in order; nothing where none is there, or it was seen."""
    there: list[tuple[Path, os.stat_result]] = []
    for path in paths:
        try:
            status = path.stat()
        except (OSError, ValueError):
            continue  # gone, or a link to nowhere
        if stat.S_ISREG(status.st_mode) and status.st_size:
            there.append((path, status))
    if not there:
        return
    first, status = there[0]
    # Some file systems number no files; their names have to do.
    identity = (status.st_dev, status.st_ino) if status.st_ino else first.resolve()
    if identity in seen:
        return
    seen.add(identity)
    yield ModelFile(
        path=first,
        name=name,
        source=source,
        origin=origin,
        size_bytes=sum(one.st_size for _, one in there),
        n_parts=n_parts,
        n_missing=max(0, n_parts - len(there)),
        modified_ns=max(one.st_mtime_ns for _, one in there),
    )


# Details


def read_details(file: ModelFile) -> ModelDetails:
    """Return what the header of a model tells, reading its start only.

    Never raises: a file that is damaged, cannot be read or lacks parts gives details with an `error`. That
    a download is complete is not checked, as it would take far longer.
    """
    try:
        summary = read_summary(file.path)
        with open_gguf(file.path) as header:
            has_tensors = header.n_tensors > 0 or file.n_parts > 1
            figures = _figures(header.metadata, summary.architecture)
    except GGUFError as error:
        return ModelDetails(file.size_bytes, error=str(error))
    return ModelDetails(
        weights_bytes=file.size_bytes,
        architecture=summary.architecture,
        quantisation=summary.quantisation,
        native_context=summary.context_length,
        parameters=summary.size_label,
        is_projector=summary.architecture == "clip" or summary.kind == "mmproj",
        remark=_remark(summary, figures, has_tensors=has_tensors),
        error=_missing_parts(file),
        figures=figures,
    )


def _figures(metadata: GGUFMetadata, architecture: str | None) -> dict[str, Figure]:
    """Return the key-values of the architecture, which nearly every file has before its vocabulary."""
    if architecture is None:
        return {}
    found: dict[str, Figure] = {"general.architecture": architecture}
    needed = {f"{architecture}.block_count", f"{architecture}.context_length"}
    for key in metadata:
        if key.startswith("tokenizer.") and needed <= found.keys():
            break
        if key.startswith(f"{architecture}."):
            value = metadata[key]
            if not isinstance(value, GGUFArray):
                found[key] = value
            elif len(value) <= _MAX_ARRAY:
                found[key] = tuple(value)
    return found


def _remark(summary: GGUFSummary, figures: Mapping[str, object], *, has_tensors: bool) -> str | None:
    if summary.kind == "adapter":
        return "an adapter, which changes another model"
    if summary.kind == "imatrix":
        return "figures for quantising another model"
    if summary.architecture in _NO_CHAT:
        return _NO_CHAT[summary.architecture]
    pooling = figures.get(f"{summary.architecture}.pooling_type")
    if isinstance(pooling, int) and pooling in _POOLING:
        return _POOLING[pooling]
    return None if has_tensors else "a vocabulary without a model"


def _missing_parts(file: ModelFile) -> str | None:
    if not file.n_missing:
        return None
    which = "1 is" if file.n_missing == 1 else f"{file.n_missing:,} are"
    return f"Of its {file.n_parts:,} files {which} missing; download the model again."


class DetailsCache:
    """The details that were read, by path; read again where the file's size or time has changed.

    Those with an error are read anew each time, because rights and missing parts do not change a file.
    """

    def __init__(self) -> None:
        self._read: dict[Path, tuple[ModelFile, ModelDetails]] = {}

    def known(self, file: ModelFile) -> ModelDetails | None:
        """Return the details where they are known, without touching the disk."""
        kept, details = self._read.get(file.path, (None, None))
        if kept is None or _version(kept) != _version(file):
            return None
        return details

    def read(self, file: ModelFile) -> ModelDetails:
        """Return the details, from the file where they are not known."""
        details = self.known(file)
        if details is None:
            details = read_details(file)
            if details.error is None:
                self._read[file.path] = (file, details)
        return details


def _version(file: ModelFile) -> tuple[int, int, int]:
    return file.size_bytes, file.modified_ns, file.n_missing


# Choosing


def fits(details: ModelDetails, free_memory: int | None, context_length: int | None = None) -> Fit:
    """Return whether a model's weights and the KV cache of its context fit `free_memory` (bytes).

    A `context_length` of None is what the app chooses: the native one, or less where its cache would take
    more than a quarter of the free memory. The cache is counted in F16.
    """
    if free_memory is None or not details.weights_bytes:
        return Fit.UNKNOWN
    try:
        chosen = context_length or fitting_context_length(details.figures, free_memory)
        needed, least = (
            details.weights_bytes + kv_cache_bytes(details.figures, length)
            for length in (chosen, min(chosen, _SHORTEST_CONTEXT))
        )
    except ModelLoadError:
        return Fit.NO if details.weights_bytes > free_memory else Fit.UNKNOWN
    if needed <= free_memory * _COMFORT:
        return Fit.YES
    return Fit.TIGHT if least <= free_memory else Fit.NO


def matches(query: str, text: str) -> float | None:
    """Return how well `text` matches what was typed, higher is better; None where it does not.

    Every word of the query has to be found, in any order and case: best at the start of a word, then
    anywhere, then with other characters between its own. An empty query matches everything with 0.
    """
    folded = text.casefold()
    scores = [_match_word(word, folded) for word in query.casefold().split()]
    if any(score is None for score in scores):
        return None
    return sum(score for score in scores if score is not None)


def _match_word(word: str, text: str) -> float | None:
    if re.search(rf"(?<![^\W_]){re.escape(word)}", text):
        return 3.0
    if word in text:
        return 2.0
    positions: list[int] = []
    for character in word:
        at = text.find(character, positions[-1] + 1 if positions else 0)
        if at < 0:
            return None
        positions.append(at)
    return len(word) / (positions[-1] - positions[0] + 1)

"""Where models lie on a person's disk: own folders, and the stores of programs that download models.

Only names are looked at here, no file is opened but Ollama's manifests and two small settings. How much is
looked at is bounded, so that a folder with a whole disk below it ends soon; what could not be looked at is
told as a `Notice`.

Hugging Face: hub/models--<owner>--<name>/snapshots/<revision>/<file>, a link into `blobs` or the file itself,
    https://huggingface.co/docs/huggingface_hub/guides/manage-cache
LM Studio: models/<publisher>/<model>/<file>, https://lmstudio.ai/docs/app/advanced/import-model
Ollama: manifests/<host>/<namespace>/<model>/<tag>, JSON that names blobs/sha256-<hex>,
    https://github.com/ollama/ollama/blob/main/manifest/manifest.go and paths.go
"""

import json
import os
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from easy_llama_tui.text.display_text import one_line

MAX_DEPTH = 8
"""How many folders below the first one are entered."""
MAX_ENTRIES = 100_000
"""How many files and folders are looked at below one place."""

_MAX_SETTINGS_BYTES = 1 << 20
"""The largest manifest or settings file that is read; real ones have a few thousand bytes."""
_OLLAMA_SYSTEM_STORES = (
    # Of the service that Ollama's installer sets up, and of packages of the distributions.
    "/usr/share/ollama/.ollama/models",
    "/var/lib/ollama/.ollama/models",
    "/var/lib/ollama/models",
    "/var/lib/ollama",
)
_MANIFEST_FOLDERS = ("manifests-v2", "manifests")
_MODEL_LAYER = "application/vnd.ollama.image.model"
_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")


class Source(StrEnum):
    """What kind of place a model was found in, as people read it."""

    FOLDER = "folder"
    HUGGING_FACE = "Hugging Face"
    LM_STUDIO = "LM Studio"
    OLLAMA = "Ollama"
    USED = "used before"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that could not be looked at, in words for the person; one printable line."""

    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """A folder to look for models in."""

    source: Source
    path: Path
    is_own: bool = False
    """The person named it, so that it is told where it is missing."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The names in one folder that may be models."""

    folder: Path
    names: tuple[str, ...]
    origin: str
    """What tells its files from others of the same name: a repository, or the folder below the place."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A file that is not called by its model's name."""

    path: Path
    name: str


def places(folders: Iterable[str | Path], environment: Mapping[str, str], home: Path) -> list[Place]:
    """Return where to look: the person's own folders first, then what other programs use, each once.

    Environment variables move the stores, as they do for those programs: HF_HUB_CACHE (once called
    HUGGINGFACE_HUB_CACHE), HF_HOME and XDG_CACHE_HOME for Hugging Face, and OLLAMA_MODELS.
    """
    found = []
    for folder in folders:
        path = _expanded(folder, home)
        is_store = _exists(path / "blobs") and any(_exists(path / name) for name in _MANIFEST_FOLDERS)
        found.append(Place(Source.OLLAMA if is_store else Source.FOLDER, path, is_own=True))
    found.append(Place(Source.HUGGING_FACE, _hugging_face_hub(environment, home)))
    found += [Place(Source.LM_STUDIO, path) for path in _lm_studio_folders(home)]
    found += [Place(Source.OLLAMA, path) for path in _ollama_stores(environment, home)]
    unique: dict[Path, Place] = {}
    for place in found:
        unique.setdefault(place.path, place)
    return list(unique.values())


def look(place: Place) -> Iterator[Listing | Blob | Notice]:
    """Yield what a place holds, and then what could not be looked at.

    Hidden folders are not entered; links to folders are, each folder once.
    """
    walk = _Walk(place.path)
    if place.is_own and not _exists(place.path):
        yield Notice(one_line(f"The folder {place.path} does not exist; correct the folders of models."))
    if place.source is Source.OLLAMA:
        yield from _ollama_blobs(walk)
    elif place.source is Source.HUGGING_FACE:
        yield from _hugging_face_listings(walk)
    else:
        yield from walk.tree(place.path)
    yield from walk.notices()


def is_model_name(name: str) -> bool:
    """Return whether a file of this name may be a model to talk to: GGUF, and no projector (mmproj)."""
    folded = name.casefold()
    return folded.endswith(".gguf") and "mmproj" not in folded and not name.startswith(".")


class _Walk:
    """One bounded look through the folders below a place."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._entries_left = MAX_ENTRIES
        self._entered: set[tuple[int, int]] = set()
        self._is_cut = False
        self._is_too_deep = False
        self._n_unreadable = 0
        self._unreadable: tuple[Path, str] | None = None

    def entries(self, folder: Path) -> tuple[list[str], list[str]]:
        """Return the names of a folder's files and of its folders, both sorted; hidden ones left out.

        Both are empty for a folder that is not there, cannot be read or was entered before.
        """
        files: list[str] = []
        folders: list[str] = []
        try:
            if self._is_new(folder):
                with os.scandir(folder) as found:
                    for entry in self._counted(found):
                        if not entry.name.startswith("."):
                            (folders if _is_folder(entry) else files).append(entry.name)
        except (FileNotFoundError, ValueError):
            pass  # a ValueError is a path that no folder can have
        except OSError as error:
            self._n_unreadable += 1
            self._unreadable = self._unreadable or (folder, error.strerror or str(error))
        return sorted(files), sorted(folders)

    def _is_new(self, folder: Path) -> bool:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if self._is_cut or (status.st_ino and identity in self._entered):
            return False
        self._entered.add(identity)
        return True

    def _counted(self, found: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
        for entry in found:
            if not self._entries_left:
                self._is_cut = True
                return
            self._entries_left -= 1
            yield entry

    def tree(self, top: Path, origin: str = "") -> Iterator[Listing]:
        """Yield the models' names of every folder from `top` on, the nearest folders first."""
        waiting = deque([(top, 0)])
        while waiting:
            folder, depth = waiting.popleft()
            files, folders = self.entries(folder)
            if names := tuple(filter(is_model_name, files)):
                yield Listing(folder, names, origin or _below(folder, top))
            if depth < MAX_DEPTH:
                waiting += [(folder / name, depth + 1) for name in folders]
            elif folders:
                self._is_too_deep = True

    def notices(self) -> Iterator[Notice]:
        """Yield what could not be looked at."""
        if self._is_cut:
            yield self._cut(f"holds more than {MAX_ENTRIES:,} files")
        if self._is_too_deep:
            yield self._cut(f"is more than {MAX_DEPTH} folders deep")
        if self._unreadable:
            folder, reason = self._unreadable
            others = f" (and {self._n_unreadable - 1:,} more)" if self._n_unreadable > 1 else ""
            yield Notice(
                one_line(
                    f"The folder {folder}{others} cannot be read: {reason}; check it and your rights to it."
                )
            )

    def _cut(self, reason: str) -> Notice:
        step = "name the folder that holds the models"
        return Notice(one_line(f"Not all of {self.root} was searched, as it {reason}; {step}."))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself, for one


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, ValueError):
        return False
    except OSError:
        return True  # it is there, and why it cannot be read will be told
    return True


def _below(folder: Path, top: Path) -> str:
    return "" if folder == top else folder.relative_to(top).as_posix()


def _expanded(path: str | Path, home: Path) -> Path:
    text = os.fspath(path)
    if text == "~" or text.startswith(("~/", "~\\")):
        return home / text[2:]
    return Path(text).absolute()


# Hugging Face


def _hugging_face_hub(environment: Mapping[str, str], home: Path) -> Path:
    for name, below in (
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
    ):
        if value := environment.get(name):
            return _expanded(value, home) / below
    return home / ".cache/huggingface/hub"


def _hugging_face_listings(walk: _Walk) -> Iterator[Listing]:
    """Yield the files of every repository; of one that two revisions have, the newer one's."""
    for name in walk.entries(walk.root)[1]:
        if not name.startswith("models--"):
            continue
        repository = walk.root / name
        origin = name.removeprefix("models--").replace("--", "/")
        seen: set[str] = set()
        for revision in _revisions(walk, repository):
            for listing in walk.tree(revision, origin):
                where = _below(listing.folder, revision)
                names = tuple(one for one in listing.names if f"{where}/{one}" not in seen)
                seen.update(f"{where}/{one}" for one in names)
                if names:
                    yield Listing(listing.folder, names, origin)


def _revisions(walk: _Walk, repository: Path) -> list[Path]:
    """Return the snapshots of a repository: that of the main branch, then the newest first."""
    main = _read_text(repository / "refs/main").strip()
    snapshots = [repository / "snapshots" / name for name in walk.entries(repository / "snapshots")[1]]
    return sorted(snapshots, key=lambda path: (path.name == main, _modified(path)), reverse=True)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


# LM Studio


def _lm_studio_folders(home: Path) -> list[Path]:
    """Return LM Studio's folders: where its settings say, and where it puts models by itself.

    ~/.lmstudio-home-pointer holds its own folder, and settings.json there the folder of models as
    "downloadsFolder"; before it had ~/.lmstudio it was ~/.cache/lm-studio.
    """
    homes = [home / ".lmstudio", home / ".cache/lm-studio"]
    if pointer := _read_text(home / ".lmstudio-home-pointer").strip():
        homes.insert(0, _expanded(pointer, home))
    found = []
    for folder in homes:
        chosen = _read_json(folder / "settings.json").get("downloadsFolder")
        if isinstance(chosen, str) and chosen:
            found.append(_expanded(chosen, home))
        found.append(folder / "models")
    return found


# Ollama


def _ollama_stores(environment: Mapping[str, str], home: Path) -> list[Path]:
    if value := environment.get("OLLAMA_MODELS"):
        return [_expanded(value, home)]
    system = _OLLAMA_SYSTEM_STORES if sys.platform == "linux" else ()
    return [home / ".ollama/models", *map(Path, system)]


def _ollama_blobs(walk: _Walk) -> Iterator[Blob]:
    """Yield the model of every manifest; "latest" comes last, so that a blob gets its more telling name."""
    found: list[tuple[bool, str, Path]] = []
    for folder_name in _MANIFEST_FOLDERS:
        top = walk.root / folder_name
        for host in walk.entries(top)[1]:
            for namespace in walk.entries(top / host)[1]:
                for model in walk.entries(top / host / namespace)[1]:
                    folder = top / host / namespace / model
                    name = _ollama_name(host, namespace, model)
                    tags = walk.entries(folder)[0]
                    found += [(tag == "latest", f"{name}:{tag}", folder / tag) for tag in tags]
    for _, name, manifest in sorted(found):
        for digest in _model_digests(walk.root, _read_json(manifest)):
            yield Blob(_blob_path(walk.root, digest), name)


def _ollama_name(host: str, namespace: str, model: str) -> str:
    """Return a model's name as Ollama shows it: without what is the default."""
    parts = [host, namespace, model]
    if host == "registry.ollama.ai":
        del parts[: 2 if namespace == "library" else 1]
    return "/".join(parts)


def _model_digests(store: Path, manifest: Mapping[str, Any], *, is_child: bool = False) -> Iterator[str]:
    """Yield the digests, 64 hexadecimal digits each, of the weights that a manifest names.

    A list of manifests, one for each program that can run the model, holds them or names their blobs.
    """
    for layer in _objects(manifest.get("layers")):
        if layer.get("mediaType") == _MODEL_LAYER and (digest := _digest(layer.get("digest"))):
            yield digest
            break
    if is_child:
        return
    for child in _objects(manifest.get("manifests")):
        if digest := _digest(child.get("digest")):
            child = _read_json(_blob_path(store, digest))
        yield from _model_digests(store, child, is_child=True)


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _digest(value: object) -> str | None:
    found = _DIGEST.fullmatch(value) if isinstance(value, str) else None
    return found[1].lower() if found else None


def _blob_path(store: Path, digest: str) -> Path:
    return store / "blobs" / f"sha256-{digest}"


def _read_text(path: Path) -> str:
    """Return the text of a small file, or an empty one where it cannot be read."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_SETTINGS_BYTES:
            return ""
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _read_json(path: Path) -> dict[str, Any]:
    """Return the object in a small JSON file, or an empty one where there is none."""
    try:
        value = json.loads(_read_text(path))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}

"""The models on a disk: folders that imitate every store, odd and damaged files, and what a header tells."""

import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.gguf_bytes import ARR, STR, U32, array, entry, header, padded, tensor

from easy_llama.model_file import read_summary
from easy_llama_tui.models import model_library, model_sources
from easy_llama_tui.models.model_library import (
    DetailsCache,
    Fit,
    ModelDetails,
    ModelFile,
    Notice,
    find_models,
    fits,
    matches,
    read_details,
)
from easy_llama_tui.models.model_sources import Source

GB = 1 << 30
TENSORS = [tensor("token_embd.weight", (64, 4), 0, 0)]
PER_TOKEN = 2 * 2 * 16 * 2 * 2
"""Bytes of KV cache: layers · heads · elements of one · two bytes · keys and values."""


def model_bytes(architecture="llama", *extra, tensors=TENSORS, context=2048):
    entries = [
        entry("general.architecture", STR, architecture),
        *(entry(f"general.{name}", STR, value) for name, value in extra if isinstance(value, str)),
        entry("general.file_type", U32, 15),
        entry(f"{architecture}.context_length", U32, context),
        entry(f"{architecture}.embedding_length", U32, 64),
        entry(f"{architecture}.block_count", U32, 2),
        entry(f"{architecture}.attention.head_count", U32, 4),
        entry(f"{architecture}.attention.head_count_kv", U32, 2),
        *(entry(f"{architecture}.{name}", U32, value) for name, value in extra if isinstance(value, int)),
        entry("tokenizer.ggml.tokens", ARR, array(STR, ["a", "b"])),
    ]
    return padded(header(entries, tensors)) + bytes(1024)


MODEL = model_bytes()


@pytest.fixture(autouse=True)
def no_system_stores(monkeypatch):
    monkeypatch.setattr(model_sources, "_OLLAMA_SYSTEM_STORES", ())


@pytest.fixture
def home(tmp_path):
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def find(home):
    def find(*folders, used=(), **environment):
        found = list(find_models(folders, used, environment=environment, home=home))
        notices = [one.text for one in found if isinstance(one, Notice)]
        return [one for one in found if isinstance(one, ModelFile)], notices

    return find


def put(path: Path, data: bytes = MODEL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(models):
    return [model.name for model in models]


# Folders


def test_a_folder_gives_its_models_and_nothing_else(find, tmp_path):
    folder = tmp_path / "models"
    first = put(folder / "Tiny-1B-Q4_K_M.gguf")
    put(folder / "deep/er/Other.GGUF")
    for name in ("notes.txt", "a.gguf.part", "b.gguf.incomplete", "mmproj-Tiny-f16.gguf", ".hidden.gguf"):
        put(folder / name)
    put(folder / "Tiny-mmproj.gguf")
    put(folder / "empty.gguf", b"")
    put(folder / ".cache/download/c.gguf")
    models, notices = find(folder)
    assert names(models) == ["Tiny-1B-Q4_K_M", "Other"]
    assert [(one.source, one.origin) for one in models] == [("folder", ""), ("folder", "deep/er")]
    assert (models[0].path, models[0].size_bytes, models[0].n_parts) == (first, len(MODEL), 1)
    assert models[0].modified_ns == first.stat().st_mtime_ns
    assert notices == []


def test_a_folder_below_the_home_may_be_named_with_a_tilde(find, home):
    put(home / "llm/x.gguf")
    assert names(find("~/llm")[0]) == ["x"]


def test_a_folder_that_is_missing_or_a_file_is_told(find, tmp_path):
    file = put(tmp_path / "x.gguf")
    models, (missing, no_folder) = find(tmp_path / "no\x1b[2J\nwhere", file)
    assert models == []
    assert missing.startswith("The folder") and "does not exist" in missing and missing.isprintable()
    assert str(file) in no_folder and "cannot be read" in no_folder


def test_missing_stores_of_other_programs_are_not_told(find):
    assert find() == ([], [])


def test_an_unreadable_folder_is_told_and_the_rest_is_found(find, tmp_path, monkeypatch):
    folder = tmp_path / "models"
    put(folder / "x.gguf")
    for name in ("secret", "secret2"):
        put(folder / name / "y.gguf")
    scandir = os.scandir

    def refuse(path):
        if "secret" in str(path):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    # Not by chmod: root, whom tests often run as, reads everything.
    monkeypatch.setattr(os, "scandir", refuse)
    models, (notice,) = find(folder)
    assert names(models) == ["x"]
    assert "secret (and 1 more) cannot be read: Permission denied" in notice


def test_links_are_followed_once_and_loops_end(find, tmp_path):
    folder = tmp_path / "models"
    put(folder / "a/x.gguf")
    (folder / "a/again.gguf").symlink_to(folder / "a/x.gguf")
    (folder / "a/loop").symlink_to(folder)
    (folder / "b").symlink_to(folder / "a")
    (folder / "itself.gguf").symlink_to(folder / "itself.gguf")
    (folder / "nowhere.gguf").symlink_to(folder / "gone")
    put(tmp_path / "elsewhere/y.gguf")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    os.link(tmp_path / "elsewhere/y.gguf", folder / "z.gguf")
    models, notices = find(folder)
    assert names(models) == ["z", "again"]
    assert notices == []


def test_pipes_and_folders_called_like_models_are_left_out(find, tmp_path):
    os.mkfifo(tmp_path / "pipe.gguf")
    put(tmp_path / "folder.gguf/inside.gguf")
    assert names(find(tmp_path)[0]) == ["inside"]


def test_a_file_that_vanishes_is_left_out(find, tmp_path, monkeypatch):
    put(tmp_path / "m/a.gguf")
    put(tmp_path / "m/b.gguf")
    entries = model_sources._Walk.entries

    def vanish(walk, folder):
        found = entries(walk, folder)
        (tmp_path / "m/a.gguf").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(model_sources._Walk, "entries", vanish)
    assert names(find(tmp_path / "m")[0]) == ["b"]


@pytest.mark.skipif(sys.platform != "linux", reason="others refuse such names")
def test_names_stay_as_the_disk_has_them(find, tmp_path):
    odd = tmp_path / os.fsdecode(b"\x1b[31mr\xffd.gguf")
    put(odd)
    (model,) = find(tmp_path)[0]
    assert (model.path, model.name) == (odd, os.fsdecode(b"\x1b[31mr\xffd"))
    assert read_details(model).error is None


def test_a_huge_or_deep_folder_is_cut_and_that_is_told(find, tmp_path, monkeypatch):
    monkeypatch.setattr(model_sources, "MAX_ENTRIES", 5)
    for number in range(4):
        put(tmp_path / f"wide/{number}/x.gguf")
    models, (notice,) = find(tmp_path / "wide")
    assert len(models) == 1
    assert str(tmp_path / "wide") in notice and "more than 5 files" in notice
    monkeypatch.setattr(model_sources, "MAX_DEPTH", 2)
    put(tmp_path / "deep/1/2/x.gguf")
    put(tmp_path / "deep/1/2/3/y.gguf")
    models, (notice,) = find(tmp_path / "deep")
    assert names(models) == ["x"] and "more than 2 folders deep" in notice


def test_exactly_as_many_entries_as_allowed_are_not_cut(find, tmp_path, monkeypatch):
    monkeypatch.setattr(model_sources, "MAX_ENTRIES", 3)
    for name in "abc":
        put(tmp_path / f"m/{name}.gguf")
    models, notices = find(tmp_path / "m")
    assert (len(models), notices) == (3, [])


# Split models


def test_the_parts_of_a_split_model_count_as_one(find, tmp_path):
    paths = [put(tmp_path / f"Big-Q8_0-0000{part}-of-00003.gguf") for part in (1, 2, 3)]
    put(tmp_path / "Big-Q4_0-00001-of-00003.gguf")
    put(tmp_path / "Big-Q4_0-00003-of-00003.gguf")
    q4, q8 = find(tmp_path)[0]
    assert (q8.name, q8.path, q8.n_parts, q8.n_missing) == ("Big-Q8_0", paths[0], 3, 0)
    assert q8.size_bytes == 3 * len(MODEL)
    assert (q4.name, q4.n_parts, q4.n_missing) == ("Big-Q4_0", 3, 1)
    assert read_details(q8).error is None
    details = read_details(q4)
    assert details.error == "Of its 3 files 1 is missing; download the model again."
    assert (details.architecture, details.weights_bytes) == ("llama", 2 * len(MODEL))


def test_the_parts_of_one_name_in_two_folders_are_two_models(find, tmp_path):
    put(tmp_path / "a/x-00001-of-00002.gguf")
    put(tmp_path / "b/x-00002-of-00002.gguf")
    assert [(one.origin, one.n_missing) for one in find(tmp_path)[0]] == [("a", 1), ("b", 1)]


@given(st.dictionaries(st.sampled_from("xyz"), st.sets(st.integers(1, 5), min_size=1), min_size=1))
def test_every_part_belongs_to_exactly_one_model(tmp_path_factory, there):
    folder = tmp_path_factory.mktemp("split")
    for name, parts in there.items():
        for part in parts:
            put(folder / f"{name}-{part:05d}-of-00005.gguf", b"x" * part)
    found = find_models([folder], environment={}, home=folder / "home")
    assert {one.name: (one.size_bytes, one.n_missing) for one in found} == {
        name: (sum(parts), 5 - len(parts)) for name, parts in there.items()
    }


# Hugging Face


def hub_file(hub, repository, revision, name, blob=None, data=MODEL):
    folder = hub / f"models--{repository.replace('/', '--')}"
    target = put(folder / "blobs" / (blob or f"{revision}-{name.replace('/', '-')}"), data)
    link = folder / "snapshots" / revision / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(target, link.parent))
    return link


def test_the_hugging_face_cache(find, home):
    hub = home / ".cache/huggingface/hub"
    path = hub_file(hub, "acme/Tiny-GGUF", "aaa", "Q8/Tiny-Q8_0.gguf")
    put(hub / "datasets--acme--data/snapshots/aaa/no.gguf")
    put(hub / "models--acme--Tiny-GGUF/blobs/part.gguf.incomplete")
    (model,) = find()[0]
    assert (model.path, model.name) == (path, "Tiny-Q8_0")
    assert (model.source, model.origin) == (Source.HUGGING_FACE, "acme/Tiny-GGUF")
    assert model.size_bytes == len(MODEL)


def test_one_blob_in_two_revisions_and_a_newer_file_count_once(find, home):
    hub = home / ".cache/huggingface/hub"
    for revision in ("old", "new"):
        hub_file(hub, "acme/m", revision, "same.gguf", blob="same")
        hub_file(hub, "acme/m", revision, "changed.gguf")
    hub_file(hub, "acme/m", "old", "only-old.gguf")
    put(hub / "models--acme--m/refs/main", b"old\n")
    os.utime(hub / "models--acme--m/snapshots/old", (1, 1))
    by_name = {one.name: one.path.parent.name for one in find()[0]}
    assert by_name == {"same": "old", "changed": "old", "only-old": "old"}
    put(hub / "models--acme--m/refs/main", b"gone")
    by_name = {one.name: one.path.parent.name for one in find()[0]}
    assert by_name == {"same": "new", "changed": "new", "only-old": "old"}


def test_a_split_model_in_the_hugging_face_cache(find, home):
    hub = home / ".cache/huggingface/hub"
    for part in (1, 2):
        hub_file(hub, "acme/big", "aaa", f"big-0000{part}-of-00002.gguf")
    (model,) = find()[0]
    assert (model.n_parts, model.n_missing, model.path.name) == (2, 0, "big-00001-of-00002.gguf")


@pytest.mark.parametrize(
    ("variables", "hub"),
    [
        ({"HF_HUB_CACHE": "{0}/a", "HUGGINGFACE_HUB_CACHE": "{0}/b", "HF_HOME": "{0}/c"}, "a"),
        ({"HF_HUB_CACHE": "", "HUGGINGFACE_HUB_CACHE": "{0}/b", "HF_HOME": "{0}/c"}, "b"),
        ({"HF_HOME": "{0}/c", "XDG_CACHE_HOME": "{0}/d"}, "c/hub"),
        ({"HF_HOME": "~/e"}, "home/e/hub"),
        ({"XDG_CACHE_HOME": "{0}/d"}, "d/huggingface/hub"),
        ({}, "home/.cache/huggingface/hub"),
    ],
)
def test_variables_move_the_hugging_face_cache(find, tmp_path, variables, hub):
    hub_file(tmp_path / hub, "acme/m", "aaa", "x.gguf")
    environment = {name: value.format(tmp_path) for name, value in variables.items()}
    assert names(find(**environment)[0]) == ["x"]


# LM Studio


def test_lm_studios_folders(find, home, tmp_path):
    put(home / ".lmstudio/models/acme/Tiny-GGUF/Tiny-Q4_0.gguf")
    put(home / ".cache/lm-studio/models/acme/Old-GGUF/Old.gguf")
    put(tmp_path / "moved/models/acme/Moved/Moved.gguf")
    put(home / ".lmstudio-home-pointer", f"{tmp_path / 'moved'}\n".encode())
    put(tmp_path / "chosen/acme/Chosen/Chosen.gguf")
    put(home / ".lmstudio/settings.json", json.dumps({"downloadsFolder": f"{tmp_path}/chosen"}).encode())
    models, notices = find()
    assert names(models) == ["Moved", "Chosen", "Tiny-Q4_0", "Old"]
    assert {one.source for one in models} == {Source.LM_STUDIO}
    assert models[2].origin == "acme/Tiny-GGUF"
    assert notices == []


@pytest.mark.parametrize("settings", [b"{", b"[]", b'{"downloadsFolder": 3}', b"\xff", b"[" * 100_000])
def test_senseless_settings_of_lm_studio(find, home, settings):
    put(home / ".lmstudio/models/acme/t/x.gguf")
    put(home / ".lmstudio/settings.json", settings)
    put(home / ".lmstudio-home-pointer", b"\0\xff")
    assert names(find()[0]) == ["x"]


# Ollama


def digest(number):
    return f"sha256:{number:064x}"


def blob(store, number, data=MODEL):
    return put(store / "blobs" / digest(number).replace(":", "-"), data)


def manifest(store, name, number, folder="manifests", projector=None):
    layers = [{"mediaType": "application/vnd.ollama.image.license", "digest": digest(99), "size": 5}]
    if projector:
        layers.append(
            {"mediaType": "application/vnd.ollama.image.projector", "digest": digest(projector), "size": 5}
        )
    layers.append({"mediaType": "application/vnd.ollama.image.model", "digest": digest(number), "size": 5})
    text = json.dumps({"schemaVersion": 2, "config": {}, "layers": layers})
    return put(store / folder / name, text.encode())


def test_ollamas_store(find, home):
    store = home / ".ollama/models"
    path = blob(store, 1)
    for number in (2, 3, 4, 9):
        blob(store, number)
    manifest(store, "registry.ollama.ai/library/llama3.2/latest", 1)
    manifest(store, "registry.ollama.ai/library/llama3.2/mini", 1, projector=9)
    manifest(store, "registry.ollama.ai/acme/tiny/latest", 2)
    manifest(store, "hf.co/acme/Tiny-GGUF/Q4_K_M", 3)
    manifest(store, "registry.ollama.ai/library/newer/4b", 4, folder="manifests-v2")
    manifest(store, "registry.ollama.ai/library/half/1b", 5)
    models, notices = find()
    assert sorted(names(models)) == [
        "acme/tiny:latest",
        "hf.co/acme/Tiny-GGUF:Q4_K_M",
        "llama3.2:mini",
        "newer:4b",
    ]
    (model,) = [one for one in models if one.name == "llama3.2:mini"]
    assert (model.path, model.source, model.size_bytes) == (path, Source.OLLAMA, len(MODEL))
    assert read_details(model).quantisation == "Q4_K_M"
    assert notices == []


def test_a_list_of_manifests(find, home):
    store = home / ".ollama/models"
    blob(store, 1)
    blob(store, 2)
    model = {"mediaType": "application/vnd.ollama.image.model", "digest": digest(2)}
    tensors = {"mediaType": "application/vnd.ollama.image.tensor", "digest": digest(3)}
    manifest(store, "../blobs/" + digest(7).replace(":", "-"), 1)
    blob(store, 4)
    too_deep = {"layers": [model | {"digest": digest(4)}]}
    children = [{"layers": [tensors]}, {"digest": digest(7)}, {"layers": [model]}, {"digest": digest(8)}, 5]
    children.append({"manifests": [too_deep]})
    data = json.dumps({"manifests": children}).encode()
    put(store / "manifests-v2/registry.ollama.ai/library/m/1b", data)
    assert [one.path.name[-1] for one in find()[0]] == ["1", "2"]


def test_a_variable_moves_ollamas_store(find, home, tmp_path):
    for store in (home / ".ollama/models", tmp_path / "moved"):
        blob(store, 1)
        manifest(store, f"registry.ollama.ai/library/{store.name}/1b", 1)
    assert names(find(OLLAMA_MODELS=str(tmp_path / "moved"))[0]) == ["moved:1b"]
    assert names(find()[0]) == ["models:1b"]
    assert names(find(tmp_path / "moved")[0]) == ["moved:1b", "models:1b"]


def test_the_store_of_ollamas_service(find, tmp_path, monkeypatch):
    monkeypatch.setattr(model_sources, "_OLLAMA_SYSTEM_STORES", (str(tmp_path / "system"),))
    monkeypatch.setattr("sys.platform", "linux")
    blob(tmp_path / "system", 1)
    manifest(tmp_path / "system", "registry.ollama.ai/library/shared/1b", 1)
    assert names(find()[0]) == ["shared:1b"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        '{"layers": 5}',
        '{"layers": [5, {}, {"mediaType": "application/vnd.ollama.image.model"}]}',
        '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "../../../secret.gguf"}]}',
        json.dumps(
            {"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{1:064x}0"}]}
        ),
        '{"manifests": {"layers": 5}}',
        "[" * 100_000,
    ],
)
def test_senseless_manifests_name_no_model(find, home, text):
    put(home / "secret.gguf")
    blob(home / ".ollama/models", 1)
    put(home / ".ollama/models/manifests/h/n/m/t", text.encode())
    assert find() == ([], [])


# Used before


def test_files_that_were_used_before(find, tmp_path):
    inside = put(tmp_path / "models/in.gguf")
    outside = put(tmp_path / "other/out.gguf")
    no_ending = put(tmp_path / "other/weights.bin")
    second = put(tmp_path / "other/big-00002-of-00002.gguf")
    put(tmp_path / "other/big-00001-of-00002.gguf")
    gone = tmp_path / "gone.gguf"
    models, notices = find(
        tmp_path / "models", used=[inside, str(outside), no_ending, gone, second, "\0", tmp_path]
    )
    assert [(one.name, one.source) for one in models] == [
        ("in", Source.FOLDER),
        ("out", Source.USED),
        ("weights.bin", Source.USED),
        ("big", Source.USED),
    ]
    assert (models[1].origin, notices) == (str(outside.parent), [])
    assert (models[3].n_parts, models[3].n_missing) == (2, 0)
    assert models[3].path.name == "big-00001-of-00002.gguf"


def test_countless_parts_of_a_used_file_are_not_looked_for(find, tmp_path, monkeypatch):
    monkeypatch.setattr(model_library, "_MAX_PARTS", 3)
    path = put(tmp_path / "x-00001-of-00004.gguf")
    put(tmp_path / "x-00002-of-00004.gguf")
    (model,) = find(used=[path])[0]
    assert (model.path, model.n_parts, model.n_missing) == (path, 4, 3)


# Details


def model_file(path, data=MODEL, **changes):
    put(path, data)
    values = {"origin": "", "n_parts": 1, "n_missing": 0, "modified_ns": 1}
    values |= {"path": path, "name": path.stem, "source": Source.FOLDER, "size_bytes": len(data)}
    return ModelFile(**(values | changes))


@pytest.fixture
def details_of(tmp_path):
    def details_of(*arguments, name="m.gguf", **changes):
        return read_details(model_file(tmp_path / name, model_bytes(*arguments, **changes)))

    return details_of


def test_the_demo_models_details(model_path, find):
    (model,) = find(model_path.parent)[0]
    details = read_details(model)
    assert (details.architecture, details.quantisation, details.parameters) == ("llama", "Q4_1", "135M")
    assert (details.native_context, details.weights_bytes) == (8192, 98_362_432)
    assert (details.remark, details.error, details.is_projector) == (None, None, False)
    cache = 8192 * 30 * 3 * 64 * 2 * 2
    assert fits(details, int((98_362_432 + cache) / 0.9) + 1, 8192) is Fit.YES


def test_the_vocabulary_is_not_read(tmp_path):
    end = MODEL.index(b"tokenizer.ggml.tokens") + len("tokenizer.ggml.tokens")
    one_value_more = MODEL[:16] + bytes([MODEL[16] + 1]) + MODEL[17:end]
    damaged = one_value_more + (9).to_bytes(4, "little") + b"\xff" * 8
    details = read_details(model_file(tmp_path / "m-Q4_0.gguf", damaged))
    assert (details.error, details.native_context) == (None, 2048)
    assert fits(details, GB) is Fit.YES


def test_figures_behind_the_vocabulary_are_found(tmp_path):
    entries = [
        entry("general.architecture", STR, "z"),
        entry("tokenizer.ggml.tokens", ARR, array(STR, ["a"])),
        entry("z.context_length", U32, 4096),
        entry("z.embedding_length", U32, 64),
        entry("z.block_count", U32, 2),
        entry("z.attention.head_count", ARR, array(U32, [4, 0])),
    ]
    details = read_details(model_file(tmp_path / "m-Q4_0.gguf", header(entries, TENSORS)))
    assert details.native_context == 4096
    assert details.figures["z.attention.head_count"] == (4, 0)
    assert fits(details, GB) is Fit.YES


@pytest.mark.parametrize(
    ("arguments", "remark"),
    [
        (("bert",), "an embedding model"),
        (("qwen3", ("pooling_type", 3)), "an embedding model"),
        (("qwen3", ("pooling_type", 4)), "a reranker"),
        (("qwen3", ("pooling_type", 0)), None),
        (("llama", ("type", "adapter")), "an adapter, which changes another model"),
        (("flux",), "an image model"),
        (("llama", ("type", "model")), None),
    ],
)
def test_models_that_write_no_text_are_marked(details_of, arguments, remark):
    details = details_of(*arguments)
    assert (details.remark, details.error) == (remark, None)


def test_a_vocabulary_is_marked_and_the_start_of_a_split_model_is_not(details_of, tmp_path):
    assert details_of("llama", tensors=()).remark == "a vocabulary without a model"
    first = model_file(tmp_path / "x-00001-of-00002.gguf", model_bytes(tensors=()), n_parts=2)
    assert read_details(first).remark is None


def test_projectors_are_known_by_their_header(details_of):
    assert details_of("clip").is_projector
    assert details_of("llama", ("type", "mmproj")).is_projector


@pytest.mark.parametrize("data", [b"", b"GGUF", b"version https://git-lfs", MODEL[:100], b"\0" * 5000])
def test_damaged_files_give_an_error_that_names_them(tmp_path, data):
    details = read_details(model_file(tmp_path / "bad.gguf", data))
    assert details.error is not None and "bad.gguf" in details.error
    assert (details.architecture, details.weights_bytes) == (None, len(data))


def test_a_file_that_is_gone_gives_an_error(tmp_path):
    file = model_file(tmp_path / "x.gguf")
    file.path.unlink()
    assert "does not exist" in (read_details(file).error or "")


@given(data=st.data())
def test_random_damage_never_raises(tmp_path_factory, data):
    damaged = bytearray(MODEL)
    for _ in range(data.draw(st.integers(1, 5))):
        position = data.draw(st.integers(0, MODEL.index(b"tokenizer") + 60))
        damaged[position : position + 1] = data.draw(st.binary(max_size=3))
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    details = read_details(model_file(path, bytes(damaged)))
    hash(details)
    for memory in (None, 0, 10_000, GB):
        assert isinstance(fits(details, memory), Fit)


# The cache


def test_details_are_read_once_until_the_file_changes(tmp_path, find, monkeypatch):
    path = put(tmp_path / "m/x.gguf")
    read = []
    monkeypatch.setattr(model_library, "read_summary", lambda path: read.append(path) or read_summary(path))
    cache = DetailsCache()
    (file,) = find(tmp_path / "m")[0]
    assert cache.known(file) is None
    first = cache.read(file)
    assert cache.read(file) is first and cache.known(file) is first and len(read) == 1
    put(path, model_bytes(context=4096))
    os.utime(path, ns=(5, 5))
    (changed,) = find(tmp_path / "m")[0]
    assert cache.known(changed) is None
    assert cache.read(changed).native_context == 4096


def test_details_with_an_error_are_read_again(tmp_path):
    cache = DetailsCache()
    file = model_file(tmp_path / "x.gguf")
    file.path.unlink()
    assert cache.read(file).error is not None
    put(file.path)
    assert cache.read(file).error is None


# Memory


def test_what_fits(details_of):
    details = details_of()
    weights, cache = details.weights_bytes, 2048 * PER_TOKEN
    assert fits(details, None) is Fit.UNKNOWN
    assert fits(details, GB) is Fit.YES
    assert fits(details, int((weights + cache) / 0.9) + 2, 2048) is Fit.YES
    assert fits(details, int((weights + cache) / 0.9) - 2, 2048) is Fit.TIGHT
    assert fits(details, weights + cache - 1, 2048) is Fit.TIGHT
    assert fits(details, weights + 1024 * PER_TOKEN, 2048) is Fit.TIGHT
    assert fits(details, weights + 1024 * PER_TOKEN - 1, 2048) is Fit.NO


def test_by_default_the_context_is_what_the_app_chooses(details_of):
    details = details_of(context=1 << 20)
    memory = 4 * 2048 * PER_TOKEN
    assert fits(details, memory, 1 << 20) is Fit.TIGHT
    assert fits(details, memory) is Fit.YES


def test_without_figures_only_too_large_is_certain():
    details = ModelDetails(weights_bytes=1000)
    assert fits(details, 2000) is Fit.UNKNOWN
    assert fits(details, 999) is Fit.NO


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(1, 10**6))
def test_more_memory_never_fits_less(memory, more, context):
    figures = {"general.architecture": "a", "a.context_length": 10**6, "a.block_count": 2}
    figures |= {"a.embedding_length": 64, "a.attention.head_count": 4}
    details = ModelDetails(weights_bytes=10**9, figures=figures)
    order = [Fit.NO, Fit.TIGHT, Fit.YES]
    less, greater = (order.index(fits(details, free, context)) for free in (memory, memory + more))
    assert less <= greater


# Typing


def test_what_matches_best():
    names = ["SmolLM2-135M-Instruct.Q4_1", "llama3.2:1b", "Meta-Llama-3-8B-Q8_0", "codellama-7b-Q4_K_M"]
    scores = {name: matches("llama", name) for name in names}
    assert scores == {names[0]: None, names[1]: 3.0, names[2]: 3.0, names[3]: 2.0}
    assert [name for name in names if matches("q4 LLAMA", name) is not None] == [names[3]]
    assert matches("smi", names[0]) == pytest.approx(3 / len("smollm2-135m-i"))
    assert matches("  ", names[0]) == 0


@given(st.text(max_size=30), st.data())
def test_text_matches_its_own_characters_in_order(text, data):
    kept = data.draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    query = "".join(one for one, keep in zip(text, kept, strict=True) if keep)
    score = matches(query, text)
    assert score is not None and score >= 0


@given(st.text(max_size=30), st.text(max_size=30))
def test_matching_needs_every_character(query, text):
    score = matches(query, text)
    missing = set(query.casefold()) - set(text.casefold())
    if any(not one.isspace() for one in missing):
        assert score is None

"""The GGUF header reader against files built here, the demo model, llama.cpp's own sizes, and damage."""

import os
import stat
import struct
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gguf_bytes import (
    ARR,
    BOOL,
    ENTRIES,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    SMALL,
    STR,
    TENSORS,
    U8,
    U16,
    U32,
    U64,
    array,
    entry,
    header,
    padded,
    tensor,
    text,
)

from easy_llama import gguf
from easy_llama.errors import GGUFError
from easy_llama.gguf import GGUFArray, ValueType, open_gguf


@pytest.fixture
def write(tmp_path):
    def write(data):
        path = tmp_path / "model.gguf"
        path.write_bytes(data)
        return path

    return write


def read_everything(path):
    """Ask the reader for all that it gives, as its callers may."""
    with open_gguf(path) as file:
        for value in dict(file.metadata).values():
            if isinstance(value, GGUFArray):
                list(islice(value, 100_000))
        file.check_complete()


# Reading


@pytest.mark.parametrize("version", [2, 3])
def test_values_come_as_python_types(write, version):
    scalars = {
        "u8": (U8, 255), "i8": (I8, -128), "u16": (U16, 65535), "i16": (I16, -5), "u32": (U32, 2**32 - 1),
        "i32": (I32, -7), "f32": (F32, 0.5), "yes": (BOOL, True), "text": (STR, "né"),
        "u64": (U64, 2**64 - 1), "i64": (I64, -(2**63)), "f64": (F64, 1e300),
    }  # fmt: skip
    path = write(header([entry(key, kind, value) for key, (kind, value) in scalars.items()], version=version))
    with open_gguf(path) as file:
        assert file.version == version
        assert dict(file.metadata) == {key: value for key, (_, value) in scalars.items()}
        assert type(file.metadata["yes"]) is bool and type(file.metadata["u8"]) is int
        file.check_complete()


def test_arrays_are_lazy_and_iterate_more_than_once(write):
    numbers = list(range(50_000))
    path = write(
        header([entry("n", ARR, array(U32, numbers)), entry("t", ARR, array(STR, ["a", "", "ü" * 99]))])
    )
    with open_gguf(path) as file:
        found, texts = file.metadata["n"], file.metadata["t"]
        assert (
            isinstance(found, GGUFArray) and found.element_type is ValueType.UINT32 and len(found) == 50_000
        )
        assert list(found) == numbers == list(found)
        assert list(texts) == ["a", "", "ü" * 99]


def test_texts_longer_than_one_read(write):
    long = "x" * 200_000
    path = write(header([entry("t", ARR, array(STR, [long, "b", long])), entry("last", STR, long)]))
    with open_gguf(path) as file:
        assert file.metadata["last"] == long
        assert [len(item) for item in file.metadata["t"]] == [200_000, 1, 200_000]


def test_a_mapping_in_the_files_order(write):
    with open_gguf(write(SMALL)) as file:
        assert len(file.metadata) == len(ENTRIES) == len(list(file.metadata))
        assert next(iter(file.metadata)) == "general.architecture"
        assert list(file.metadata)[-1] == "general.file_type"
        assert "llama.block_count" in file.metadata and "llama.nothing" not in file.metadata
        assert file.metadata.get("llama.nothing", 7) == 7
        file.check_complete()


def test_nothing_behind_the_wanted_key_is_read(write):
    path = write(struct.pack("<4sIQQ", b"GGUF", 3, 0, 9) + b"".join(ENTRIES[:3]) + b"\xff" * 400)
    with open_gguf(path) as file:
        assert file.metadata["general.architecture"] == "llama"
        assert file.metadata["llama.context_length"] == 2048
        assert list(islice(file.metadata, 3))[-1] == "llama.context_length"
        for _ in range(2):
            with pytest.raises(GGUFError, match="truncated or damaged"):
                file.metadata.get("llama.block_count")
        assert file.metadata["general.name"] == "A smäll model"


def test_an_array_itself_is_had_without_walking_it(write):
    broken = struct.pack("<IQ", STR, 3) + text("a") + b"\xff" * 40
    with open_gguf(write(header([entry("t", ARR, broken), entry("later", U8, 1)]))) as file:
        tokens = file.metadata["t"]
        assert next(iter(tokens)) == "a"
        with pytest.raises(GGUFError):
            list(tokens)
        with pytest.raises(GGUFError):
            file.metadata["later"]


def test_invalid_utf8_is_replaced_in_texts_and_refused_in_keys(write):
    with open_gguf(write(header([entry("t", STR, b"a\xffb")]))) as file:
        assert file.metadata["t"] == "a�b"
    with open_gguf(write(header([entry(b"t\xff", U8, 1)]))) as file, pytest.raises(GGUFError, match="UTF-8"):
        file.metadata.get("t")


def test_a_closed_file_says_so(write):
    with open_gguf(write(SMALL)) as file:
        assert file.metadata["general.architecture"] == "llama"
    with pytest.raises(ValueError, match=r"model\.gguf is closed"):
        file.metadata["general.architecture"]


# What is refused


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty; download it again"),
        (b"GG", "not a GGUF file"),
        (b"PK\x03\x04" + SMALL, "not a GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"tjgg" + SMALL[4:], "older than GGUF"),
        (SMALL[:20], "truncated or damaged"),
        (header(ENTRIES, version=1), "version 1.*newer version of the model"),
        (header(ENTRIES, version=0), "version 0"),
        (header(ENTRIES, version=4), "version 4.*update this program"),
        (struct.pack(">4sIQQ", b"GGUF", 3, 0, 0), "big-endian"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 2**63, 0), "claims 9,223,372,036,854,775,808 tensors"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 0, 2**64 - 1), "claims 18,446,744,073,709,551,615 key-values"),
    ],
)  # fmt: skip
def test_a_start_that_is_none(write, data, message):
    with pytest.raises(GGUFError, match=message) as caught:
        open_gguf(write(data))
    assert "model.gguf" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([text("k") + struct.pack("<IQ", STR, 2**63)], "truncated or damaged"),
        ([struct.pack("<Q", 2**63)], "truncated or damaged"),
        ([text("k") + struct.pack("<I", 13)], "type 13"),
        ([text("k") + struct.pack("<I", 2**32 - 1)], "type 4294967295"),
        ([entry("k", ARR, struct.pack("<IQ", 99, 1))], "type 99"),
        ([entry("k", ARR, struct.pack("<IQ", STR, 2**63))], "truncated or damaged"),
        ([entry("k", ARR, struct.pack("<IQ", U8, 2**63))], "truncated or damaged"),
        ([entry("k", ARR, struct.pack("<IQ", F64, 2**61 + 1))], "truncated or damaged"),
        ([entry("k", ARR, struct.pack("<IQ", ARR, 1) * 5000)], "array of arrays"),
        ([entry("", U8, 1)], "keys is empty"),
        ([entry("k\x1b[2J", U8, 1), entry("k\x1b[2J", U8, 2)], r"key 'k�\[2J' stands twice"),
        ([entry("k" * 70_000, U8, 1)], "70,000 bytes"),
    ],
)
def test_a_damaged_key_value(write, entries, message):
    path = write(header(entries) + b"\0" * 64)
    with open_gguf(path) as file, pytest.raises(GGUFError, match=message):
        dict(file.metadata)
    with pytest.raises(GGUFError, match=message):
        read_everything(path)


def test_missing_and_unreadable_files(tmp_path, write, monkeypatch):
    path = write(SMALL)
    with pytest.raises(GGUFError, match=r"nothing\.gguf does not exist; check the path"):
        open_gguf(tmp_path / "nothing.gguf")
    with pytest.raises(GGUFError, match="is a folder"):
        open_gguf(tmp_path)
    with pytest.raises(GGUFError, match="cannot be read"):
        open_gguf(str(tmp_path / "a\0b"))
    with pytest.raises(GGUFError, match="cannot be read: Not a directory"):
        open_gguf(path / "inner.gguf")

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(GGUFError, match="cannot be read: Permission denied; check the file and your rights"):
        open_gguf(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_hang(tmp_path):
    path = tmp_path / "pipe.gguf"
    os.mkfifo(path)
    assert stat.S_ISFIFO(path.stat().st_mode)
    with pytest.raises(GGUFError, match="not a regular file"):
        open_gguf(path)


def test_a_name_that_would_rewrite_the_screen_is_shown_harmless(tmp_path):
    with pytest.raises(GGUFError) as caught:
        open_gguf(tmp_path / "a\x1b[2J\nb.gguf")
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_shrinks_while_it_is_open(write):
    path = write(header([*ENTRIES[:8], entry("big", ARR, array(STR, ["x" * 99] * 5000)), entry("z", U8, 1)]))
    with open_gguf(path) as file:
        tokens = file.metadata["big"]
        path.write_bytes(SMALL[:100])
        with pytest.raises(GGUFError, match="truncated"):
            list(tokens)
        with pytest.raises(GGUFError, match="truncated"):
            file.metadata.get("z")


def test_huge_claims_in_a_huge_file_cost_neither_time_nor_memory(tmp_path):
    path = tmp_path / "sparse.gguf"
    strings = struct.pack("<IQ", STR, 2**28)
    for packed in (text("k") + struct.pack("<IQ", STR, 2**30), entry("k", ARR, strings), b""):
        with path.open("wb") as file:
            file.write(struct.pack("<4sIQQ", b"GGUF", 3, 0, 60_000) + packed)
            file.truncate(2**32)
        tracemalloc.start()
        with pytest.raises(GGUFError, match="is damaged"):
            read_everything(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
        tracemalloc.stop()


def test_a_text_that_is_too_long_to_be_one_is_stepped_over_but_not_read(tmp_path):
    path = tmp_path / "sparse.gguf"
    with path.open("wb") as file:
        file.write(struct.pack("<4sIQQ", b"GGUF", 3, 0, 2) + text("k") + struct.pack("<IQ", STR, 2**30))
        file.seek(2**30, os.SEEK_CUR)
        file.write(entry("later", U8, 7))
    with open_gguf(path) as file:
        assert file.metadata["later"] == 7
        with pytest.raises(GGUFError, match="a text of 1,073,741,824 bytes"):
            file.metadata["k"]


# Completeness


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(SMALL, id="with tensors"),
        pytest.param(header(ENTRIES[:8]), id="texts at the end"),
        pytest.param(header(ENTRIES[:9]), id="numbers at the end"),
        pytest.param(header(ENTRIES[:2]), id="one text at the end"),
    ],
)
def test_every_cut_is_noticed(write, whole):
    path = write(whole)
    read_everything(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(GGUFError, match=r"model\.gguf is (truncated|empty|not a GGUF file)"):
            read_everything(path)
        with pytest.raises(GGUFError), open_gguf(path) as file:
            file.check_complete()


def test_truncated_data_names_both_sizes(write):
    with (
        open_gguf(write(SMALL[:-1])) as file,
        pytest.raises(
            GGUFError, match=rf"is truncated: {len(SMALL) - 1:,} of {len(SMALL):,} bytes; download it"
        ),
    ):
        file.check_complete()


def test_the_alignment_of_the_header_counts(write):
    entries = [entry("general.alignment", U32, 256)]
    data = padded(header(entries, TENSORS), 256) + b"\0" * 416
    with open_gguf(write(data)) as file:
        file.check_complete()
    with open_gguf(write(data[:-1])) as file, pytest.raises(GGUFError, match="truncated"):
        file.check_complete()


@pytest.mark.parametrize("value", [(U32, 0), (U32, 48), (STR, "32"), (F32, 32.0), (I32, -32), (BOOL, True)])
def test_a_senseless_alignment(write, value):
    data = padded(header([entry("general.alignment", *value)], TENSORS)) + b"\0" * 416
    with open_gguf(write(data)) as file, pytest.raises(GGUFError, match=r"general\.alignment"):
        file.check_complete()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (tensor("t", (64,), 0, 2**63), "larger than any file"),
        (tensor("t", (2**40, 2**40), 0, 0), "larger than any file"),
        (tensor("t", (2**40,), 0, 0), "is truncated: .* of 4,398,046,5"),
        (tensor("t", (33,), 3, 0), "33 are not whole blocks of 32"),
        (text("t") + struct.pack("<I", 5), "5 dimensions"),
        (struct.pack("<Q", 2**63), "truncated or damaged"),
    ],
)
def test_damaged_tensors(write, broken, message):
    with (
        open_gguf(write(padded(header([], [broken])) + b"\0" * 64)) as file,
        pytest.raises(GGUFError, match=message),
    ):
        file.check_complete()


def test_a_tensor_of_an_unknown_type_is_not_refused(write):
    tensors = [tensor("new", (2**40,), 1234, 0), tensor("known", (4,), 0, 32)]
    data = padded(header([], tensors)) + b"\0" * 48
    with open_gguf(write(data)) as file:
        file.check_complete()
    with open_gguf(write(data[:-1])) as file, pytest.raises(GGUFError, match="truncated"):
        file.check_complete()


def test_tensor_sizes_are_llama_cpps():
    llama_cpp = pytest.importorskip("llama_cpp")
    import ctypes

    library = next((Path(llama_cpp.__file__).parent / "lib").glob("*ggml-base*"))
    ggml = ctypes.CDLL(str(library))
    ggml.ggml_blck_size.restype = ctypes.c_int64
    ggml.ggml_type_size.restype = ctypes.c_size_t
    assert len(gguf._TENSOR_TYPES) == 34
    for number, sizes in gguf._TENSOR_TYPES.items():
        assert sizes == (ggml.ggml_blck_size(number), ggml.ggml_type_size(number)), number


# The demo model


def test_the_demo_models_header(model_path):
    with open_gguf(model_path) as file:
        values = file.metadata
        assert (file.version, file.n_tensors, len(values)) == (3, 272, 33)
        assert values["llama.rope.freq_base"] == 100_000.0
        assert values["tokenizer.ggml.add_bos_token"] is False
        tokens = values["tokenizer.ggml.tokens"]
        assert len(tokens) == 49_152 and list(islice(tokens, 3)) == [
            "<|endoftext|>",
            "<|im_start|>",
            "<|im_end|>",
        ]
        assert values["tokenizer.chat_template"].startswith("{% for message in messages %}")
        assert list(values["general.languages"]) == ["en"]
        assert file.size == model_path.stat().st_size
        file.check_complete()


def test_a_truncated_demo_model(model_path, tmp_path):
    path = tmp_path / model_path.name
    with model_path.open("rb") as source:
        path.write_bytes(source.read(2**21))
    size = model_path.stat().st_size
    for length in (2**21, size - 2**20, size - 1):
        os.truncate(path, length)
        with (
            open_gguf(path) as file,
            pytest.raises(GGUFError, match=f"truncated: {length:,} of {size:,} bytes"),
        ):
            file.check_complete()
    os.truncate(path, size)
    with open_gguf(path) as file:
        file.check_complete()


# Hostile files


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "model.gguf"


def only_refuses(path, data):
    path.write_bytes(data)
    try:
        read_everything(path)
    except GGUFError as error:
        assert "model.gguf" in str(error) and "\n" not in str(error)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_random_damage_is_refused_or_read(fuzzed, data):
    damaged = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(4, len(header(ENTRIES, TENSORS))))
        damaged[position : position + 1] = data.draw(st.binary(max_size=3))
    only_refuses(fuzzed, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


@settings(max_examples=300, deadline=None)
@given(
    position=st.integers(8, len(header(ENTRIES, TENSORS))),
    value=st.sampled_from([0, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1),
)
def test_any_length_anywhere(fuzzed, position, value):
    damaged = SMALL[:position] + struct.pack("<Q", value) + SMALL[position + 8 :]
    only_refuses(fuzzed, damaged)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 4), st.integers(0, 4))
def test_any_bytes_behind_a_start(fuzzed, data, n_tensors, n_values):
    only_refuses(fuzzed, struct.pack("<4sIQQ", b"GGUF", 3, n_tensors, n_values) + data)

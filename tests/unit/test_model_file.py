"""What a file's name and its header say in a list of models; the demo model, senseless values, damage."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gguf_bytes import ARR, ENTRIES, SMALL, STR, TENSORS, U8, U16, U32, entry, header, text

from easy_llama import model_file
from easy_llama.errors import GGUFError
from easy_llama.model_file import read_summary, split_file_name


@pytest.fixture
def summarise(tmp_path):
    def summarise(data, name="model.gguf"):
        path = tmp_path / name
        path.write_bytes(data)
        return read_summary(path)

    return summarise


# Summaries


def test_the_demo_models_summary(model_path):
    summary = read_summary(model_path)
    assert summary.display_name == "SmolLM2-135M-Instruct"
    assert summary.quantisation == "Q4_1"
    assert summary.name == "Smollm2 135M 8k Lc100K Mix1 Ep2"
    assert (summary.architecture, summary.kind, summary.size_label) == ("llama", "model", "135M")
    assert (summary.context_length, summary.n_layers) == (8192, 30)
    assert (summary.path, summary.file_size) == (model_path, 98_362_432)


def test_a_summary_reads_no_further_than_the_vocabulary(summarise):
    broken = text("tokenizer.ggml.tokens") + struct.pack("<IIQ", ARR, STR, 2**62)
    data = header([*ENTRIES[:4], broken, entry("later", U8, 1)])
    summary = summarise(data, "Some-Model-1B-q8_0.gguf")
    assert (summary.name, summary.display_name, summary.quantisation) == (
        "A smäll model",
        "Some-Model-1B",
        "Q8_0",
    )
    assert (summary.context_length, summary.n_layers, summary.kind) == (2048, 2, None)


def test_the_file_type_is_asked_where_the_name_does_not_say(summarise):
    assert summarise(SMALL).quantisation == "Q4_K_M"


def test_a_summary_of_senseless_values(summarise):
    entries = [
        entry("general.architecture", STR, "a\x1b[31m\nb"),
        entry("general.name", U32, 3),
        entry("general.size_label", STR, " \n "),
        entry("a.context_length", STR, "2048"),
        entry("general.file_type", U32, 4),
    ]
    summary = summarise(header(entries))
    assert summary.architecture == "a�[31m b"
    assert (summary.name, summary.size_label, summary.quantisation) == ("model", None, None)
    assert (summary.context_length, summary.n_layers) == (None, None)


def test_a_later_part_of_a_split_model(summarise):
    entries = [entry("split.no", U16, 1), entry("split.count", U16, 3)]
    summary = summarise(header(entries), "Big-Q4_K_M-00002-of-00003.gguf")
    assert (summary.architecture, summary.file_name.part, summary.file_name.n_parts) == (None, 2, 3)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_random_damage_is_refused_or_summarised(tmp_path_factory, data):
    damaged = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(4, len(header(ENTRIES, TENSORS))))
        damaged[position : position + 1] = data.draw(st.binary(max_size=3))
    path = tmp_path_factory.getbasetemp() / "model.gguf"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        summary = read_summary(path)
    except GGUFError as error:
        assert "model.gguf" in str(error) and "\n" not in str(error)
    else:
        for shown in (summary.name, summary.kind, summary.architecture, summary.size_label):
            assert shown is None or shown.isprintable()


# File names


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
    assert {name: number for number, name in enumerate(model_file._FILE_TYPES) if name} == names

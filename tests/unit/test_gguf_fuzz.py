"""Headers from strangers: all that reads one takes it, or refuses it clearly, quickly and without memory."""

import random
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gguf_bytes import (
    ARR,
    BOOL,
    CODES,
    ENTRIES,
    F32,
    F64,
    I64,
    SMALL,
    STR,
    U8,
    U32,
    U64,
    array,
    entry,
    header,
    padded,
    tensor,
    text,
)

from easy_llama import formats
from easy_llama.errors import GGUFError, ModelLoadError
from easy_llama.gguf import GGUFArray, open_gguf
from easy_llama.loading import fitting_context_length, kv_cache_bytes, plan_loading
from easy_llama.model_file import read_summary
from easy_llama_tui.models.model_library import ModelFile, fits, read_details
from easy_llama_tui.models.model_sources import Source

MOST_MEMORY = 64 * 2**20
MOST_SECONDS = 5.0
HOSTILE = ("\x1b]52;c;aGk=\x07", "\x9b31m", "\u202e", "[@click=app.quit]x[/]", "a\nb", "\u2028", "\0")
HUGE = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)


def ways_to_read(path: Path) -> Iterator[tuple[str, object]]:
    """All that the library and the app do with the header of a file, by name."""

    def everything() -> None:
        with open_gguf(path) as file:
            for value in dict(file.metadata).values():
                if isinstance(value, GGUFArray):
                    list(islice(value, 100_000))
            file.check_complete()

    def plan() -> None:
        with open_gguf(path) as file:
            plan_loading(file.metadata)
            plan_loading(file.metadata, context_length=1_000_000)

    def memory() -> None:
        with open_gguf(path) as file:
            kv_cache_bytes(file.metadata, 2048)
            fitting_context_length(file.metadata, 2**33)

    def choose_format() -> None:
        with open_gguf(path) as file:
            found = formats.for_metadata(file.metadata, bos_text="<s>", eos_text="</s>")
        assert found.notice.isprintable(), found.notice

    def in_a_list() -> None:
        size = path.stat().st_size
        model = ModelFile(path, path.stem, Source.FOLDER, "", size, 1, 0, 0)
        details = read_details(model)  # never raises
        for said in (details.error, details.architecture, details.quantisation, details.parameters):
            assert said is None or (said.isprintable() and len(said) < 5000), said
        fits(details, 2**33)
        fits(details, 2**20, 4096)

    yield "everything", everything
    yield "plan", plan
    yield "memory", memory
    yield "format", choose_format
    yield "list", in_a_list
    yield "summary", lambda: read_summary(path)


def check(path: Path, data: bytes) -> None:
    """Read a file in all ways: each gives a value, or an error that tells it in one harmless line."""
    path.write_bytes(data)
    for name, read in ways_to_read(path):
        begun = time.monotonic()
        try:
            read()  # type: ignore[operator]
        except ModelLoadError as error:
            said = str(error)
            assert said.isprintable(), (name, said)
            assert len(said) < 2000, (name, len(said))
            assert path.name in said or not isinstance(error, GGUFError), (name, said)
        assert time.monotonic() - begun < MOST_SECONDS, name


# Any values under the keys that are asked for

ARCHITECTURES = st.sampled_from(["llama", "clip", "bert", "", "x" * 3000, *HOSTILE])
NUMBERS = st.sampled_from(HUGE) | st.integers(0, 2**64 - 1)
FLOATS = st.floats(width=32)
TEXTS = st.sampled_from(
    ["", "1", "32", "9" * 5000, "-1", "1e999", "nan", "٣", "{{ 1", "{{ messages[0].content }}", *HOSTILE]
) | st.text(max_size=20)


@st.composite
def values(draw: st.DrawFn) -> tuple[int, object]:
    kind = draw(st.sampled_from([STR, ARR, BOOL, F32, F64, U64, I64, *CODES]))
    if kind == STR:
        return kind, draw(TEXTS)
    if kind == ARR:
        of = draw(st.sampled_from([STR, BOOL, *CODES]))
        return kind, array(of, [_item(draw, of) for _ in range(draw(st.integers(0, 4)))])
    return kind, _item(draw, kind)


def _item(draw: st.DrawFn, kind: int) -> object:
    if kind == STR:
        return draw(TEXTS)
    if kind == BOOL:
        return draw(st.booleans())
    if kind in (F32, F64):
        return draw(FLOATS)
    size = 8 * struct.calcsize(CODES[kind])
    number = draw(NUMBERS) % 2**size
    return number - 2 ** (size - 1) if CODES[kind].islower() else number


READ = (
    *("context_length", "block_count", "embedding_length", "attention.head_count", "attention.head_count_kv"),
    *("attention.key_length", "attention.value_length", "rope.freq_base", "rope.dimension_count"),
    *("full_attention_interval", "attention.shared_kv_layers", "pooling_type"),
)
GENERAL = (
    *("general.name", "general.type", "general.size_label", "general.file_type", "general.alignment"),
    *("general.basename", "general.finetune", "tokenizer.chat_template"),
)


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    architecture = draw(ARCHITECTURES)
    entries = [entry("general.architecture", STR, architecture)]
    likely = {"context_length": 2048, "block_count": 2, "embedding_length": 64, "attention.head_count": 4}
    for name in (*(f"{architecture}.{key}" for key in READ), *GENERAL):
        usual = likely.get(name.removeprefix(f"{architecture}."))
        choice = draw(st.sampled_from(["usual", "any", "none"]))
        if choice == "usual" and usual is not None:
            entries.append(entry(name, U32, usual))
        elif choice == "any":
            entries.append(entry(name, *draw(values())))
    if draw(st.booleans()):
        entries.append(entry(draw(st.sampled_from([*HOSTILE, "k"])), *draw(values())))
    shape = draw(st.lists(NUMBERS, max_size=4))
    tensors = [tensor(draw(TEXTS), shape, draw(st.integers(0, 50)), draw(NUMBERS))] if shape else []
    return padded(header(entries, tensors)) + b"\0" * 512


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "model.gguf"


@given(data=headers())
@settings(max_examples=150)
def test_any_values_under_the_keys_that_are_read(fuzzed: Path, data: bytes) -> None:
    check(fuzzed, data)


@given(data=headers(), cut=st.integers(0, 2000), position=st.integers(0, 1000), value=NUMBERS)
@settings(max_examples=60)
def test_such_a_header_cut_and_overwritten_anywhere(
    fuzzed: Path, data: bytes, cut: int, position: int, value: int
) -> None:
    damaged = data[:position] + struct.pack("<Q", value) + data[position + 8 :]
    check(fuzzed, damaged)
    check(fuzzed, data[:cut])


# A real header, damaged


@pytest.fixture(scope="module")
def real_header(model_path: Path) -> bytes:
    """The demo model's key-values and tensors, with the vocabulary and all; its data is left out."""
    with open_gguf(model_path) as file:
        end = file.metadata.end()
        for _ in range(file.n_tensors):
            _, end = file._tensor_end(end)
    with model_path.open("rb") as source:
        return source.read(end)


def damage(data: bytes, chance: random.Random) -> bytes:
    """Return data with a few things changed, most of them where lengths, types and counts stand."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 5)):
        # The front of a header has most of its structure; behind it is the vocabulary.
        at = chance.randrange(8, min(len(changed), chance.choice((64, 2000, 2000, len(changed)))))
        match chance.randrange(6):
            case 0:
                changed[at : at + 8] = struct.pack("<Q", chance.choice(HUGE))
            case 1:
                changed[at : at + 4] = struct.pack("<I", chance.choice((0, 8, 9, 13, 99, 2**32 - 1)))
            case 2:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 3:
                del changed[at : at + chance.randint(1, 40)]
            case 4:
                changed[at:at] = chance.choice(HOSTILE).encode()
            case 5:
                del changed[at:]
                break
    return bytes(changed)


@pytest.mark.long
def test_a_real_header_damaged_anywhere(
    fuzzed: Path, real_header: bytes, request: pytest.FixtureRequest
) -> None:
    rounds = 5000 if request.config.getoption("--long") else 60
    chance = random.Random(7)
    small = SMALL
    for number in range(rounds):
        data = damage(real_header if number % 10 == 0 else small, chance)
        try:
            check(fuzzed, data)
        except BaseException as error:
            error.add_note(f"round {number}")
            raise


# Time and memory

BOMBS = {
    "one text of all": header([entry("general.name", STR, b"\xff" * 2**22)]),
    "an architecture of all": header([entry("general.architecture", STR, "a" * 2**22)]),
    "one key after the other": header(
        [entry(f"{number:x}", U8, 1) for number in range(20_000)]
    ),
    "long keys": header([entry(f"{number:x}".rjust(60_000, "k"), U8, 1) for number in range(60)]),
    "an array of empty texts": header([entry("k", ARR, array(STR, [""] * 200_000))]),
    "heads for many layers": header(
        [
            *ENTRIES[:3],
            entry("llama.block_count", U32, 4096),
            entry("llama.attention.head_count", ARR, array(U32, [1] * 500_000)),
            entry("llama.embedding_length", U32, 64),
        ]
    ),
    "a template of all": header([entry("tokenizer.chat_template", STR, "{{ x }}" * 600_000)]),
    "brackets in a template": header([entry("tokenizer.chat_template", STR, "{{" + "(" * 10**6)]),
    "many tensors": header(ENTRIES, [tensor("t", (1,), 0, 0)] * 20_000),
    "claims only": struct.pack("<4sIQQ", b"GGUF", 3, 2**16, 2**16) + text("k") + struct.pack("<I", ARR)
    + struct.pack("<IQ", STR, 2**24),
    "a claim of many texts": header([entry("k", ARR, struct.pack("<IQ", STR, 2**18))]) + b"\0" * 2**21,
}  # fmt: skip


MEASURE = """
import json, resource, sys, time
from pathlib import Path
sys.path += {folders!r}
import test_gguf_fuzz as fuzz
unit = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
for path in map(Path, {paths!r}):
    for name, read in fuzz.ways_to_read(path):
        begun = time.process_time()
        try:
            read()
        except fuzz.ModelLoadError as error:
            assert len(str(error)) < 2000
        assert time.process_time() - begun < fuzz.MOST_SECONDS, (path, name)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        assert most - before < fuzz.MOST_MEMORY, (path, name, most - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs the module resource")
def test_a_small_file_takes_little_time_and_memory(tmp_path: Path) -> None:
    """Counted by the system, in a process of its own."""
    paths = []
    for name, data in BOMBS.items():
        assert len(data) < 9 * 2**20
        paths.append(tmp_path / f"{name}.gguf")
        paths[-1].write_bytes(data)
    folders = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    program = MEASURE.format(folders=folders, paths=list(map(str, paths)))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr

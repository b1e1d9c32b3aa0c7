"""Several threads on models, and what models leave behind, on the real model."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.memory import HAS_PROC, run_fresh

import easy_llama as ez
from easy_llama.samplers import GreedyDecoding

PATIENCE = 60
# No two begin with the same token, so that none finds anything of another in the cache: what is reused
# changes how tokens are batched, and with it the last digits of their logits.
PROMPTS = ("Once upon a time, by the sea,", "The cat sat on the mat and", "In the year 1969, two men")
GREEDY = GreedyDecoding.replace(max_len_tokens=16)
MB = 1_000_000

needs_proc = pytest.mark.skipif(
    not HAS_PROC, reason="this system has no /proc/self/statm to measure memory by"
)

START = """\
import json, sys, threading
from dataclasses import asdict
import easy_llama as ez
from support.memory import footprint

path, *rest = sys.argv[1:]
greedy = ez.samplers.GreedyDecoding
ez.model  # llama.cpp's libraries are there before anything is measured
"""
"""How every program of its own begins."""


@pytest.fixture
def load(model_path: Path) -> Iterator[Callable[[], ez.Model]]:
    """Loads small models of the test's own, which compute in one thread: two of them share the cores."""
    models: list[ez.Model] = []

    def load() -> ez.Model:
        models.append(ez.Model(str(model_path), context_length=256, n_threads=1))
        return models[-1]

    yield load
    for model in models:
        model.unload()


def measured(program: str, *arguments: object, timeout: float = 120) -> dict[str, dict[str, int]]:
    """Return the footprints that a program prints, by name."""
    done = run_fresh(START + program, *arguments, timeout=timeout)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, dict[str, int]] = json.loads(done.stdout)
    return found


def test_two_generations_on_one_model_are_both_whole(load: Callable[[], ez.Model]) -> None:
    model = load()
    alone = {prompt: model.generate(prompt, sampler=GREEDY) for prompt in PROMPTS[:2]}
    assert len({*alone.values()}) == 2
    ready = threading.Barrier(2)

    def generate(prompt: str) -> list[str]:
        replies = []
        for _ in range(2):
            ready.wait(PATIENCE)
            replies.append(model.generate(prompt, sampler=GREEDY))
        return replies

    with ThreadPoolExecutor(2) as threads:
        together = dict(zip(alone, threads.map(generate, alone, timeout=PATIENCE), strict=True))
    assert together == {prompt: [reply] * 2 for prompt, reply in alone.items()}


def test_a_generation_waits_for_the_end_of_another_threads_stream(load: Callable[[], ez.Model]) -> None:
    model = load()
    first, second = (model.generate(prompt, sampler=GREEDY) for prompt in PROMPTS[:2])
    started = threading.Event()

    def generate() -> str:
        started.set()
        return model.generate(PROMPTS[1], sampler=GREEDY.replace(max_len_tokens=2))

    texts: list[str] = []
    with ThreadPoolExecutor(1) as threads:
        for chunk in model.stream(PROMPTS[0], sampler=GREEDY):
            if not texts:
                other = threads.submit(generate)
                assert started.wait(PATIENCE)
            texts.append(chunk["choices"][0]["text"])
            # It needs two tokens only, and more are generated here meanwhile.
            assert not other.done()
        assert second.startswith(other.result(PATIENCE))
    assert len(texts) > 10 and "".join(texts) == first


def test_two_models_generate_at_the_same_time(load: Callable[[], ez.Model]) -> None:
    models = load(), load()
    assert models[0].llama.ctx != models[1].llama.ctx
    alone = [model.generate(prompt, sampler=GREEDY) for model, prompt in zip(models, PROMPTS, strict=False)]
    assert alone[0] != alone[1]
    step = threading.Barrier(2)

    def stream(model: ez.Model, prompt: str) -> str:
        texts = []
        for count, chunk in enumerate(model.stream(prompt, sampler=GREEDY)):
            if count < 8:
                # Passed only where the other model is in the middle of its reply too.
                step.wait(PATIENCE)
            texts.append(chunk["choices"][0]["text"])
        return "".join(texts)

    with ThreadPoolExecutor(2) as threads:
        assert [*threads.map(stream, models, PROMPTS[:2], timeout=PATIENCE)] == alone
    assert models[0].engine.cached_tokens != models[1].engine.cached_tokens


def test_unloading_one_model_leaves_the_other(load: Callable[[], ez.Model]) -> None:
    kept, gone = load(), load()
    expected = kept.generate(PROMPTS[2], sampler=GREEDY)
    stream = kept.stream(PROMPTS[2], sampler=GREEDY)
    texts = [next(stream)["choices"][0]["text"]]
    gone.unload()
    texts += [chunk["choices"][0]["text"] for chunk in stream]
    assert "".join(texts) == expected


def test_unloading_waits_for_another_threads_generation(load: Callable[[], ez.Model]) -> None:
    model = load()
    expected = model.generate(PROMPTS[0], sampler=GREEDY)
    generating = threading.Event()

    def stream() -> str:
        texts = []
        for chunk in model.stream(PROMPTS[0], sampler=GREEDY):
            texts.append(chunk["choices"][0]["text"])
            generating.set()
        return "".join(texts)

    with ThreadPoolExecutor(1) as threads:
        reply = threads.submit(stream)
        assert generating.wait(PATIENCE)
        model.unload()
        assert not model.is_loaded
        assert reply.result(PATIENCE) == expected


def test_unloading_twice_and_in_two_threads_does_no_harm(load: Callable[[], ez.Model]) -> None:
    model = load()
    model.unload()
    model.unload()
    model.load()
    ready = threading.Barrier(2)

    def unload(_: int) -> None:
        ready.wait(PATIENCE)
        model.unload()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(unload, range(2), timeout=PATIENCE))
    assert not model.is_loaded
    with pytest.raises(ez.ModelUnloadedException):
        model.generate("Hello")


UNLOAD = """
before = footprint()
model = ez.Model(path, context_length=8192, n_threads=1)
model.generate("Hello", sampler=greedy.replace(max_len_tokens=4))
loaded = footprint()
llama, engine = model.llama, model.engine  # whoever holds these holds no memory of the model
model.unload()
unloaded = footprint()
print(json.dumps({"took": asdict(loaded - before), "gave": asdict(loaded - unloaded)}))
"""


@needs_proc
def test_unloading_frees_the_memory_at_once(model_path: Path) -> None:
    found = measured(UNLOAD, model_path)
    took, gave = found["took"], found["gave"]
    # The KV cache alone: 30 layers, keys and values of 192 halves, 8,192 tokens.
    assert took["private"] > 30 * 2 * 192 * 2 * 8192
    assert gave["private"] >= 0.8 * took["private"]
    # Weights are mapped from the file, and count as resident as far as they were read; of the libraries'
    # own pages some stay.
    assert took["mapped"] > 0.8 * model_path.stat().st_size
    assert gave["mapped"] >= 0.8 * took["mapped"]
    assert gave["files"] == took["files"]


CYCLES = """
model = ez.Model(path, context_length=256, n_threads=1)

def cycle():
    model.load()
    model.generate("Hello", sampler=greedy.replace(max_len_tokens=2))
    model.unload()

for _ in range(3):
    cycle()
before = footprint()
for _ in range(5):
    cycle()
print(json.dumps({"grown": asdict(footprint() - before)}))
"""


@needs_proc
def test_loading_again_and_again_takes_no_more(model_path: Path) -> None:
    grown = measured(CYCLES, model_path)["grown"]
    # One model that stayed would be 20 MB of its own, and 90 MB of weights.
    assert grown["private"] < 10 * MB
    assert grown["mapped"] < 10 * MB
    assert grown["threads"] <= 0 and grown["files"] <= 0


SOAK = """
rounds = int(rest[0])
model = ez.Model(path, context_length=256, n_threads=1)

def generate(number):
    sampler = ez.samplers.SamplerSettings(seed=number, max_len_tokens=2, repeat_penalty=1.1)
    model.generate(f"The number {number}", ["zebra"], sampler)

for number in range(20):
    generate(number)
before = footprint()
for number in range(rounds):
    generate(number)
print(json.dumps({"grown": asdict(footprint() - before)}))
"""


@needs_proc
@pytest.mark.long
def test_generating_for_long_takes_no_more(model_path: Path, request: pytest.FixtureRequest) -> None:
    rounds = 3000 if request.config.getoption("--long") else 40
    grown = measured(SOAK, model_path, rounds, timeout=900)["grown"]
    # A row of logits, of which each generation has one, is 0.2 MB: 40 of them would be 8 MB.
    assert grown["private"] < 4 * MB
    assert grown["mapped"] < 4 * MB
    assert grown["threads"] <= 0 and grown["files"] <= 0


NEVER_UNLOADED = """
model = ez.Model(path, context_length=256, n_threads=1)
model.generate("Hello", sampler=greedy.replace(max_len_tokens=2))
"""
IN_A_STREAM = """
model = ez.Model(path, context_length=256, n_threads=1)
stream = model.stream("Hello", sampler=greedy)
next(stream)
"""
IN_A_DAEMON_THREAD = """
model = ez.Model(path, context_length=2048, n_threads=1)
writing = threading.Event()

def generate():
    for chunk in model.stream("word " * 20, sampler=greedy):
        writing.set()

threading.Thread(target=generate, daemon=True).start()
assert writing.wait(60)
"""


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(NEVER_UNLOADED, id="after a reply"),
        pytest.param(IN_A_STREAM, id="in the middle of a stream"),
        pytest.param(IN_A_DAEMON_THREAD, id="while a daemon thread generates"),
    ],
)
def test_a_program_that_never_unloads_ends_quietly(model_path: Path, program: str) -> None:
    done = run_fresh(f"{START}{program}\nprint('end')", model_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")

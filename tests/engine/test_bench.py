"""What `--bench` measures, and that it measures the same work."""

from pathlib import Path

import pytest

from easy_llama.bare_loop import bare_loop
from easy_llama.events import Token
from easy_llama.model import Model
from easy_llama.samplers import GreedyDecoding
from easy_llama_tui import bench
from easy_llama_tui.bench import BenchError, Figures, measure, run_bench, table
from easy_llama_tui.replies.engine import LoadOptions

TEXT = "The numbers from 1 on are: 1, 2, 3, 4,"


def test_the_bare_loop_writes_what_the_library_does(model: Model) -> None:
    model.engine.forget()
    prompt = model.tokenize(TEXT)
    bare = bare_loop(model.llama, prompt, 12)
    model.engine.forget()
    events = model.events(tuple(prompt), sampler=GreedyDecoding.replace(max_len_tokens=12))
    tokens = [event for event in events if isinstance(event, Token)]
    assert bare.ids == tuple(token.id for token in tokens)
    assert bare.text.startswith("".join(token.text for token in tokens))
    assert bare.reading > 0 and bare.writing > 0


def test_rounds_are_measured_until_there_are_enough(model: Model) -> None:
    asked: list[int] = []

    def more(number: int) -> bool:
        asked.append(number)
        return number < 3

    figures = measure(model, 24, 8, more)
    assert asked == [1, 2, 3]
    assert len(figures.reading) == len(figures.writing) == 2  # the first one warms up
    assert all(rate > 0 for pair in (*figures.reading, *figures.writing) for rate in pair)


def test_a_slow_model_reads_and_writes_less_a_time(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def takes(reading: float, writing: float) -> tuple[int, int]:
        monkeypatch.setattr(bench, "_stream", lambda *_: (tuple(range(16)), reading, writing))
        return bench.sizes(model)

    assert takes(0.05, 0.1) == (512, 128)
    assert takes(0.5, 0.5) == (128, 64)
    assert takes(60, 60) == (32, 16)


def test_the_table_has_medians_and_ratios_taken_within_a_round() -> None:
    figures = Figures(reading=[(50.0, 100.0), (30.0, 40.0), (90.0, 90.0)], writing=[(10.0, 10.0)])
    head, reading, writing = table(figures, 512, 128)
    assert head.split() == ["tokens/s", "ezllama", "bare", "loop", "ratio", "(lowest–highest)"]
    assert reading.split() == ["reading", "512", "tokens", "50.0", "90.0", "0.750", "(0.500–1.000)"]
    assert writing.split() == ["writing", "128", "tokens", "10.0", "10.0", "1.000", "(1.000–1.000)"]


def test_a_model_that_writes_nothing_is_said_to(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_stream", lambda *_: ((5, 6), 1.0, 1.0))
    with pytest.raises(BenchError, match="ends its text after 2 tokens"):
        measure(model, 24, 32, lambda number: False)


def test_what_cannot_be_measured_is_refused_in_one_line(
    model_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_bench(LoadOptions(model_path, cache_type_v="q8_0")) == 2
    assert capsys.readouterr().err.splitlines()[0].startswith("ezllama-tui: cache_type_v is 'q8_0'")


def test_the_whole_run_prints_its_table(
    model_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "\x1b]2;evil\x07.gguf"
    path.symlink_to(model_path)
    for name, value in {
        "_LEAST_PROMPT": 24,
        "_LEAST_REPLY": 8,
        "_PART_SECONDS": 0,
        "_SECONDS": 0,
        "_LEAST_ROUNDS": 1,
    }.items():
        monkeypatch.setattr(bench, name, value)
    assert run_bench(LoadOptions(path, n_threads=1)) == 0
    out, err = capsys.readouterr()
    firsts = [line.split()[0] for line in out.splitlines()]
    assert firsts == ["tokens/s", "reading", "writing", "]2;evil"]
    assert out.replace("\n", "").isprintable()
    assert "1 threads write" in out and "1 rounds" in out
    assert err == ""  # where nobody looks, nothing is drawn over

"""What the benchmarks compute from what they measured; they measure nothing here."""

import importlib
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="they need a pseudo-terminal")


class Benchmarks:
    """The modules of the folder, which import each other by their bare names."""

    def __getattr__(self, name: str) -> ModuleType:
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def benchmarks() -> Iterator[Benchmarks]:
    sys.path.insert(0, str(FOLDER))
    yield Benchmarks()
    sys.path.remove(str(FOLDER))
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", NAMES)
def test_each_can_be_imported_and_is_in_the_readme(benchmarks: Benchmarks, name: str) -> None:
    module = getattr(benchmarks, name)
    assert module.__doc__
    helpers = {"pseudo_terminal", "report", "timed_programs"}
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert name in helpers or f"`{name}.py`" in readme


def test_those_of_the_table_give_rows(benchmarks: Benchmarks) -> None:
    there = benchmarks.all.there_are()
    assert {"decode", "app", "latency", "turns", "imports", "footprint"} <= set(there)
    assert all(callable(getattr(benchmarks, name).rows) for name in there)


# Rows


def test_a_ratio_is_taken_within_a_round(benchmarks: Benchmarks) -> None:
    row = benchmarks.report.ratio_row("it", 0.95, [90.0, 50.0, 98.0], [100.0, 50.0, 100.0], "`it.py`")
    assert (row.target, row.figure, row.reached) == ("≥ 0.95", "0.980 (0.900–1.000)", True)
    assert not benchmarks.report.ratio_row("it", 0.99, [90.0], [100.0], "`it.py`").reached


def test_a_value_may_be_its_bound(benchmarks: Benchmarks) -> None:
    row = benchmarks.report.most_row("it", 0.2, [0.1, 0.3, 0.2], "`it.py`", " s")
    assert (row.target, row.figure, row.reached) == ("≤ 0.2 s", "0.20 s (0.10–0.30)", True)
    assert not benchmarks.report.most_row("it", 0.2, [0.21], "`it.py`").reached


def test_a_percentile_is_one_of_the_values(benchmarks: Benchmarks) -> None:
    percentile = benchmarks.report.percentile
    assert percentile(range(1000), 0.99) == 990
    assert percentile([3.0, 1.0], 0.99) == 3.0
    assert percentile([5.0], 0.5) == 5.0


def test_the_table_says_what_is_not_reached(benchmarks: Benchmarks) -> None:
    report = benchmarks.report
    table = report.markdown(
        [report.Row("a | b", "≥ 1", "2", True, "x"), report.Row("c", "≤ 1", "2", False, "y")]
    )
    assert table.splitlines()[2:] == ["| a \\| b | ≥ 1 | 2 | ✓ | x |", "| c | ≤ 1 | 2 | **not met** | y |"]


def test_the_table_takes_the_place_of_the_last_one(benchmarks: Benchmarks) -> None:
    everything = benchmarks.all
    page = f"# Speed\n{everything.BEGIN}\nold\n{everything.END}\nMore.\n"
    new = everything.with_table(page, "| new |\n")
    assert new.startswith("# Speed\n") and new.endswith("\nMore.\n")
    assert "| new |" in new and "old" not in new
    assert everything.with_table(new, "| new |\n") == new
    with pytest.raises(everything.PageError):
        everything.with_table("# Speed\n", "| new |\n")


def test_the_page_has_a_place_for_each_table(benchmarks: Benchmarks) -> None:
    everything = benchmarks.all
    page = everything.PAGE.read_text(encoding="utf-8")
    both = everything.with_table(everything.with_table(page, "| one |"), "| two |", everything.GPU_BEGIN)
    assert both.index(everything.BEGIN) < both.index("| one |") < both.index(everything.END)
    assert both.index(everything.GPU_BEGIN) < both.index("| two |") < both.rindex(everything.END)
    assert both.count("| one |") == both.count("| two |") == 1


def test_what_a_benchmark_starts_loads_the_model_as_it_does(
    benchmarks: Benchmarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = benchmarks.report
    monkeypatch.setenv(report._LAYERS, "7")
    assert report.n_gpu_layers() == 7 and report.machine().startswith("7 layers on ")
    report.use_gpu_layers(0)
    command = [sys.executable, "-c", "import report; print(report.n_gpu_layers())"]
    assert report.n_gpu_layers() == 0 and "layers" not in report.machine()
    report.use_gpu_layers(-1)
    assert subprocess.run(command, cwd=FOLDER, capture_output=True, text=True).stdout == "-1\n"


# Threads


def speeds(benchmarks: Benchmarks, **writing: float) -> dict[int, list[object]]:
    speed = benchmarks.threads.Speed
    return {int(name[1:]): [speed(2 * rate, rate)] * 3 for name, rate in writing.items()}


def test_a_thread_more_must_be_worth_its_core(benchmarks: Benchmarks) -> None:
    assert benchmarks.threads.best(speeds(benchmarks, n1=60.0, n2=100.0, n3=102.0, n4=80.0)) == 2
    assert benchmarks.threads.best(speeds(benchmarks, n1=60.0, n2=100.0, n3=110.0)) == 3


def test_the_advice_says_what_to_set(benchmarks: Benchmarks) -> None:
    fast = speeds(benchmarks, n1=60.0, n2=100.0)
    assert "best here: --threads 2; that is what is used" in benchmarks.threads.advice(fast, fast, 2, 2)
    slow = speeds(benchmarks, n1=60.0, n2=50.0)
    words = benchmarks.threads.advice(fast, slow, 2, 2)
    assert "best here: --threads 1; without it 2 would be used" in words
    assert words.endswith("Reading prompts is fastest with 2.")


@pytest.mark.parametrize(
    ("physical", "logical", "counts"),
    [(2, 2, [1, 2]), (None, 8, [*range(1, 9)]), (8, 16, [1, 2, 4, 6, 7, 8, 12, 16])],
)
def test_of_many_threads_those_about_the_cores_are_tried(
    benchmarks: Benchmarks, physical: int | None, logical: int, counts: list[int]
) -> None:
    assert benchmarks.threads.counts_to_try(physical, logical) == counts


# Latency


def test_what_a_terminal_was_sent_is_found_with_its_time(benchmarks: Benchmarks) -> None:
    frame = benchmarks.latency.FRAME
    output = benchmarks.latency.Output(
        [(1.0, frame + b"one \xd0"), (2.0, "Б".encode()[1:] + b" two"), (3.0, b"x" + frame + b"one")]
    )
    assert output.came("one") == 1.0
    assert output.came("Б") == 2.0  # the time of its last byte
    assert output.came("three") is None
    assert output.frames() == [1.0, 3.0]


def test_delays_are_from_the_mark_to_its_being_drawn(benchmarks: Benchmarks) -> None:
    latency = benchmarks.latency
    mark = latency.FIRST_MARK
    drawn = [
        (10.02, latency.FRAME + chr(mark).encode()),
        (10.05, latency.FRAME + "Б".encode()),
        (10.09, latency.FRAME + (chr(mark + 1) + chr(mark + 3)).encode()),
    ]
    delays = latency.Delays()
    latency.collect(delays, latency.Output(drawn), [10.0, 10.01, 10.02, 10.03], [("Б", 10.01)])
    assert delays.text == pytest.approx([0.02, 0.08, 0.06])
    assert delays.n_missing == 1
    assert delays.keys == pytest.approx([0.04])
    assert delays.intervals == pytest.approx([0.03, 0.04])
    with pytest.raises(benchmarks.report.UnequalWorkError, match="the key Я"):
        latency.collect(delays, latency.Output(drawn), [10.0], [("Я", 10.0)])


def test_of_late_frames_one_in_a_hundred_is_allowed(benchmarks: Benchmarks) -> None:
    row = benchmarks.latency.share_row("it", [0.02] * 199 + [0.3], "`it.py`")
    assert row.reached and row.figure == "20 ms (median 20, longest 300)"
    assert not benchmarks.latency.share_row("it", [0.02] * 98 + [0.3] * 2, "`it.py`").reached


# Options


def test_the_divergence_is_that_of_kullback_and_leibler(benchmarks: Benchmarks) -> None:
    import numpy as np

    exact, other = (np.log(np.array([row])) for row in ([0.5, 0.5], [0.9, 0.1]))
    wanted = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    assert benchmarks.options.divergence(exact, other) == pytest.approx(wanted)
    assert benchmarks.options.divergence(exact, exact) == 0

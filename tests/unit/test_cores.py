"""How many cores are counted, on made-up machines."""

import os
import sys
from pathlib import Path

import pytest

from easy_llama import cores
from easy_llama.cores import physical_cores, usable_cores
from easy_llama.loading import plan_loading

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the files are those of Linux")


def machine(root: Path, siblings: list[str], **files: str) -> Path:
    """Write what Linux tells of a machine's processors."""
    for cpu, others in enumerate(siblings):
        folder = root / f"devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(others + "\n")
    for name, text in files.items():
        path = root / {"quota": "fs/cgroup/cpu.max", "fast": "devices/cpu_core/cpus"}[name]
        path.parent.mkdir(parents=True)
        path.write_text(text + "\n")
    return root


def use(monkeypatch: pytest.MonkeyPatch, *cpus: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(cpus))


@pytest.mark.parametrize(
    ("siblings", "cpus", "cores"),
    [
        (["0", "1"], (0, 1), 2),
        (["0-1", "0-1"], (0, 1), 1),
        (["0,4", "1,5", "2,6", "3,7"] * 2, range(8), 4),
        (["0,4", "1,5", "2,6", "3,7"] * 2, (0, 4, 5), 2),
    ],
)
def test_hyper_threads_of_one_core_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, siblings: list[str], cpus: range, cores: int
) -> None:
    use(monkeypatch, *cpus)
    assert physical_cores(machine(tmp_path, siblings)) == cores


def test_slow_cores_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = machine(tmp_path, ["0-1", "0-1", "2-3", "2-3", "4", "5", "6"], fast="0-3")
    use(monkeypatch, *range(7))
    assert physical_cores(root) == 2
    use(monkeypatch, 5, 6)  # a program that was put on the slow ones
    assert physical_cores(root) == 2


def test_where_nothing_is_told_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, 0, 1, 2)
    assert physical_cores(machine(tmp_path, ["0", "1"])) is None
    (tmp_path / "devices/system/cpu/cpu0/topology/thread_siblings_list").write_text("none\n")
    assert (physical_cores(tmp_path), usable_cores(tmp_path)) == (None, 3)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", 8),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("9900000 9000", 8),
        ("?", 8),
        ("1 0", 8),
    ],
)
def test_a_container_has_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    use(monkeypatch, *range(8))
    assert usable_cores(machine(tmp_path, [], quota=quota)) == cores


def test_a_model_is_loaded_for_the_cores_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    header = {"general.architecture": "llama", "llama.context_length": 512}
    monkeypatch.setattr("easy_llama.loading.physical_cores", lambda: 6)
    monkeypatch.setattr("easy_llama.loading.usable_cores", lambda: 12)
    plan = plan_loading(header)
    assert (plan.n_threads, plan.n_threads_batch) == (6, 12)


def test_a_mac_tells_of_its_fast_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores.sys, "platform", "darwin")
    monkeypatch.setattr(cores, "_sysctl", {"hw.perflevel0.physicalcpu": 6, "hw.physicalcpu": 8}.get)
    assert physical_cores() == 6
    monkeypatch.setattr(cores, "_sysctl", lambda name: 8 if name == "hw.physicalcpu" else 0)
    assert physical_cores() == 8

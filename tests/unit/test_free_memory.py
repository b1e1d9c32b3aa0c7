"""How much memory is free, by what a Linux system tells."""

from pathlib import Path

import pytest

from easy_llama_tui.models.free_memory import free_memory

GB = 10**9


def system(root: Path, files: dict[str, object]) -> Path:
    for name, content in {"proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    8000000 kB\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}")
    return root


def group(folder: str, limit: object, used: int, inactive: int = 0) -> dict[str, object]:
    place = f"sys/fs/cgroup/{folder}".rstrip("/")
    return {
        f"{place}/memory.max": f"{limit}\n",
        f"{place}/memory.current": f"{used}\n",
        f"{place}/memory.stat": f"anon 5\ninactive_file {inactive}\nactive_file 7\n",
    }


def test_it_is_what_the_system_says(tmp_path: Path) -> None:
    assert free_memory(system(tmp_path, {})) == 8_000_000 * 1024


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    files = group("app/one", 3 * GB, GB, GB // 2)
    assert free_memory(system(tmp_path, {"proc/self/cgroup": "0::/app/one\n", **files})) == 5 * GB // 2


@pytest.mark.parametrize("place", ["app", ""])
def test_so_does_that_of_a_group_around_it(tmp_path: Path, place: str) -> None:
    files = group("app/one", "max", 0) | group(place, 2 * GB, GB)
    assert free_memory(system(tmp_path, {"proc/self/cgroup": "0::/app/one\n", **files})) == GB


def test_a_group_that_is_full_leaves_nothing(tmp_path: Path) -> None:
    files = group("", GB, 2 * GB)
    assert free_memory(system(tmp_path, {"proc/self/cgroup": "0::/\n", **files})) == 0


def test_the_older_kind_of_groups_counts_too(tmp_path: Path) -> None:
    place = "sys/fs/cgroup/memory/app"
    files = {
        "proc/self/cgroup": "5:cpu,cpuacct:/app\n4:memory:/app\n0::/\n",
        f"{place}/memory.limit_in_bytes": 3 * GB,
        f"{place}/memory.usage_in_bytes": GB,
        f"{place}/memory.stat": "inactive_file 0\ntotal_inactive_file 1000\n",
    }
    assert free_memory(system(tmp_path, files)) == 2 * GB + 1000


@pytest.mark.parametrize("text", ["nonsense", "0::/app", "", "a:b", "\xff"])
def test_what_makes_no_sense_does_not_count(tmp_path: Path, text: str) -> None:
    root = system(tmp_path, {"proc/self/cgroup": text, **group("app", "nonsense", 0)})
    assert free_memory(root) == 8_000_000 * 1024

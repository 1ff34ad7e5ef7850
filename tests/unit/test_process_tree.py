"""The process tree of a run: a large one must not take the run's own file descriptors."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlee.sensors import process_tree
from mlee.sensors.base import SensorOptions
from mlee.sensors.cpu_model import CpuModelSensor
from mlee.sensors.process_tree import MachineLoad, ProcessTree

TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
ROOT = 4242


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc of 400 processes, each with a second of CPU time and one page."""
    for pid in range(ROOT, ROOT + 400):
        (tmp_path / str(pid)).mkdir()
        fields = ["0"] * 40
        fields[11], fields[21] = str(TICKS), "1"
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a (strange) name) {' '.join(fields)}\n")
    monkeypatch.setattr(process_tree, "tree_pids", lambda root, others: set(range(ROOT, ROOT + 400)))
    return tmp_path


@pytest.fixture
def few_files() -> Iterator[int]:
    """Lower the limit of open files for a while."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _open_files() + 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _open_files() -> int:
    return max(int(name) for name in os.listdir("/proc/self/fd"))


def test_a_large_tree_is_counted_whole_with_few_files(proc: Path, few_files: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    tree = ProcessTree(ROOT, proc)
    tree.refresh_now(0.0)
    assert len(os.listdir("/proc/self/fd")) - before <= few_files // 4
    assert tree.usage() == (400.0, 400 * PAGE)
    tree.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_even_without_a_limit_only_so_many_files_stay_open(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    before = len(os.listdir("/proc/self/fd"))
    tree = ProcessTree(ROOT, proc)
    tree.refresh_now(0.0)
    assert len(os.listdir("/proc/self/fd")) - before == 256
    assert tree.usage()[0] == 400.0
    tree.close()


def test_a_member_that_ends_is_not_counted_and_gives_its_place_away(
    proc: Path, few_files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = ProcessTree(ROOT, proc)
    tree.refresh_now(0.0)
    for pid in range(ROOT + 10, ROOT + 400):
        (proc / str(pid) / "stat").unlink()
    monkeypatch.setattr(process_tree, "tree_pids", lambda root, others: set(range(ROOT, ROOT + 10)))
    tree.refresh_now(1.0)
    assert tree.usage()[0] == 10.0
    tree.close()


def test_a_list_that_cannot_be_made_leaves_the_last_one(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = ProcessTree(ROOT, proc)
    tree.refresh_now(0.0)

    def fail(root: int, others: object) -> set[int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(process_tree, "tree_pids", fail)
    tree.refresh_now(1.0)
    assert tree.usage()[0] == 400.0
    tree.close()


def test_the_load_of_the_machine_is_known_without_a_free_file_descriptor(few_files: int) -> None:
    load, sensor = MachineLoad(Path("/proc")), CpuModelSensor(SensorOptions())
    first_s = load.busy_s()
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    try:
        assert load.busy_s() >= first_s
        assert sensor.read()[0] is not None
    finally:
        for file in taken:
            os.close(file)
    for closing in (load, sensor):
        closing.close()
        closing.close()

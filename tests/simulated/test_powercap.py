"""The simulated powercap tree must look like Linux and hold exactly what the Python truth says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlee.sensors.profiles import PROFILES, PowerProfile
from tests.simulated.compiling import CompilerMissing
from tests.simulated.powercap import INTEL_RANGE_UJ, FakePowercap, Zone, server_zones
from tests.simulated.rights import give_up_root_rights, without_root_rights

STEP = PowerProfile(((0, 100.0), (1.0, 100.0), (1.0, 300.0)))
TIMES_S = [0.0, 0.05, 0.1, 0.3, 0.7, 0.999, 1.0, 1.15, 2.5, 7.77, 19.99, 20.0, 33.3, 1234.5678]


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for another process; generous, since it only ever takes long where something is broken."""
    give_up_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.01)


def read_uj(path: Path) -> int:
    return int(path.read_text())


def test_tree_looks_like_linux(tmp_path: Path) -> None:
    tree = FakePowercap(tmp_path, server_zones(STEP, dram=STEP, sockets=2, psys=True, mmio=True))
    names = {path.name: (path / "name").read_text() for path in tree.powercap.iterdir() if ":" in path.name}
    assert names == {
        **{f"intel-rapl:{socket}": f"package-{socket}\n" for socket in (0, 1)},
        **{f"intel-rapl:{socket}:0": "core\n" for socket in (0, 1)},
        **{f"intel-rapl:{socket}:1": "uncore\n" for socket in (0, 1)},
        **{f"intel-rapl:{socket}:2": "dram\n" for socket in (0, 1)},
        "intel-rapl:2": "psys\n",
        **{f"intel-rapl-mmio:{socket}": f"package-{socket}\n" for socket in (0, 1)},
    }
    assert all(path.is_symlink() for path in tree.powercap.iterdir())
    nested = tree.powercap / "intel-rapl" / "intel-rapl:1" / "intel-rapl:1:2"
    assert nested.resolve() == (tree.powercap / "intel-rapl:1:2").resolve()
    assert (tree.powercap / "intel-rapl" / "subsystem").resolve() == tree.powercap
    assert read_uj(nested / "max_energy_range_uj") == 65_532_610_987
    tree.update(3.0)
    assert read_uj(tree.energy_file("intel-rapl:0")) == read_uj(tree.energy_file("intel-rapl-mmio:0"))
    assert tree.total_j(0.0, 3.0) == pytest.approx(4 * 700.0)


def test_files_hold_the_truth_within_one_step(tmp_path: Path) -> None:
    origin_s = 1000.25
    zone = Zone(key="intel-rapl:0", name="package-0", profile=PROFILES["burst"])
    tree = FakePowercap(tmp_path, [zone], origin_s=origin_s)
    for t_s in TIMES_S:
        tree.update(origin_s + t_s)
        text = tree.energy_file(zone.key).read_text()
        assert text == f"{int(text)}\n"
        # behind by less than one update at the profile's highest power, and one step of 61 uJ
        behind_j = tree.energy_j(zone.key, origin_s, origin_s + t_s) - (int(text) - zone.start_uj) * 1e-6
        assert -1e-5 <= behind_j <= 400 / 1024 + 2e-4


def test_counter_wraps_as_often_as_it_must(tmp_path: Path) -> None:
    start_uj = INTEL_RANGE_UJ - 50_000_000
    zone = Zone(key="intel-rapl:0", name="package-0", profile=PROFILES["steady"], start_uj=start_uj)
    tree = FakePowercap(tmp_path, [zone])
    file = tree.energy_file(zone.key)
    tree.update(0.4999)
    assert read_uj(file) > start_uj
    tree.update(0.51)
    assert read_uj(file) == pytest.approx(1_000_000, abs=110_000)
    tree.update(0.5 + 3 * INTEL_RANGE_UJ * 1e-8 + 10)
    assert read_uj(file) == pytest.approx(1_000_000_000, abs=110_000)


def test_counter_resets_and_vanishes(tmp_path: Path) -> None:
    zone = Zone(key="intel-rapl:0", name="package-0", profile=STEP, reset_at_s=2.0, unreadable_from_s=4.0)
    tree = FakePowercap(tmp_path, [zone])
    file = tree.energy_file(zone.key)
    tree.update(2.0)
    assert read_uj(file) == 0
    tree.update(3.0)
    assert read_uj(file) == pytest.approx(300e6, abs=400_000)
    with file.open() as already_open:
        tree.update(4.0)
        assert already_open.read() == ""
    assert not file.exists()
    assert (tree.powercap / zone.key / "name").exists()
    tree.update(5.0)


def test_locked_files_are_locked_even_for_root(tmp_path: Path) -> None:
    zones = [Zone(key=f"intel-rapl:{n}", name=f"package-{n}", profile=STEP, permission=n == 1) for n in range(2)]
    tree = FakePowercap(tmp_path, zones)
    locked, free = (tree.energy_file(zone.key) for zone in zones)
    with without_root_rights():
        with pytest.raises(PermissionError):
            locked.read_text()
        assert read_uj(free) > 0
        tree.update(1.0)
    code = "import sys; open(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(locked)],
        preexec_fn=give_up_root_rights,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PermissionError" in done.stderr


def test_live_files_are_never_half_written(tmp_path: Path) -> None:
    origin_s = time.monotonic()
    busy = PowerProfile(((0, 900.0),))
    # 300 mJ a lap: 3000 wraps a second, so that values of every length are met
    wrapping = Zone(key="intel-rapl:1", name="package-1", profile=busy, start_uj=0, range_uj=300_000)
    plain = Zone(key="intel-rapl:0", name="package-0", profile=busy)
    going = Zone(key="intel-rapl:2", name="package-2", profile=busy, unreadable_from_s=0.1)
    locked = Zone(key="intel-rapl:3", name="package-3", profile=busy, permission=False)
    tree = FakePowercap(tmp_path, [plain, wrapping, going, locked], origin_s=origin_s)
    try:
        with tree.live() as process:
            fds = [os.open(tree.energy_file(key), os.O_RDONLY) for key in (plain.key, wrapping.key)]
            last = plain.counter_uj(0.0)
            for _ in range(20_000):
                energy_uj, wrapped_uj = (int(os.pread(fd, 64, 0)) for fd in fds)
                assert last <= energy_uj <= plain.counter_uj(time.monotonic() - origin_s)
                assert 0 <= wrapped_uj <= wrapping.range_uj
                last = energy_uj
            assert last > plain.start_uj
            wait_until(lambda: not tree.energy_file(going.key).exists())
            assert tree.energy_file(locked.key).stat().st_mode & 0o777 == 0
            for fd in fds:
                os.close(fd)
    except CompilerMissing as reason:
        pytest.skip(str(reason))
    assert process.returncode == 0


def test_live_writer_ends_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from tests.simulated.powercap import *; from mlee.sensors.profiles import PROFILES\n"
        "with FakePowercap(pathlib.Path(sys.argv[1]), server_zones(PROFILES['steady'])).live() as process:\n"
        "    print(process.pid, flush=True); os._exit(0)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True, check=False)
    if "CompilerMissing" in done.stderr:
        pytest.skip("no C compiler")
    assert int(done.stdout) > 0, done.stderr
    writer = Path("/proc", done.stdout.strip(), "stat")
    # an orphan may wait for its reaper as a zombie
    wait_until(lambda: not writer.exists() or writer.read_text().split()[2] == "Z")

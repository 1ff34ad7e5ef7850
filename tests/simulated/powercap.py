"""A simulated /sys/class/powercap: RAPL zones whose energy is known exactly.

Virtual time: the test says what time it is, and the files hold what the counters would show then::

    tree = FakePowercap(tmp_path, server_zones(PROFILES["square"], sockets=2))
    tree.update(12.5)                      # on the scale of time.monotonic(), like `origin_s`
    ... a reader that looks at tree.powercap ...
    assert read == pytest.approx(tree.energy_j("intel-rapl:0", 0.0, 12.5))

Real time: a small process in C writes the files about every millisecond::

    with tree.live():
        ...

Times in a `Zone` count from the origin, like those of its power profile. Tests that run as root can take the right to
read locked files from themselves: see `rights.without_root_rights`.
"""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlee.sensors.profiles import PowerProfile
from tests.simulated.compiling import compile_c

#: Highest value [uJ] of a 32-bit counter in steps of 61 uJ (Intel packages) and of 15.3 uJ (AMD, DRAM of servers).
INTEL_RANGE_UJ, AMD_RANGE_UJ = 262_143_328_850, 65_532_610_987
INTEL_RESOLUTION_UJ, AMD_RESOLUTION_UJ = 1e6 / 2**14, 1e6 / 2**16
_TICK_SLACK, _STEP_SLACK = 1e-9, 1e-6  # as in power_profile.h


@dataclass(frozen=True, kw_only=True)
class Zone:
    """One RAPL zone: `key` is its folder's name ("intel-rapl:0:2"), `name` its domain ("package-0", "dram", "psys").

    The counter is a staircase in time (`period_s`) and in energy (`resolution_uj`), starts at `start_uj` and starts again
    at 0 after `range_uj`, and at `reset_at_s`. From `unreadable_from_s` on its energy file is gone: opening it fails, and
    who has it open reads nothing. `permission=False` locks the energy file (mode 000).
    """

    key: str
    name: str
    profile: PowerProfile
    start_uj: int = 100_000_000_000
    range_uj: int = INTEL_RANGE_UJ
    resolution_uj: float = INTEL_RESOLUTION_UJ
    period_s: float = 1 / 1024
    offset_s: float = 0.0
    reset_at_s: float = math.inf
    unreadable_from_s: float = math.inf
    permission: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.start_uj <= self.range_uj < 10**15:
            raise ValueError(f"Zone needs 0 <= start_uj <= range_uj < 1e15, got {self.start_uj} and {self.range_uj}")

    @property
    def parent(self) -> str:
        """The zone or control type this zone lies in: "intel-rapl:0:2" -> "intel-rapl:0" -> "intel-rapl"."""
        return self.key.rpartition(":")[0]

    def energy_j(self, start_s: float, end_s: float) -> float:
        """The truth: the exact energy between two times since the origin [J]."""
        return self.profile.energy_j(end_s) - self.profile.energy_j(start_s)

    def counter_uj(self, t_s: float) -> int:
        """What the counter shows at a time since the origin [uJ]."""
        tick = t_s
        if self.period_s > 0:
            tick = self.offset_s + math.floor((t_s - self.offset_s) / self.period_s + _TICK_SLACK) * self.period_s
        energy_j, start_uj = self.profile.energy_j(tick), float(self.start_uj)
        if t_s >= self.reset_at_s:
            energy_j, start_uj = max(0.0, energy_j - self.profile.energy_j(self.reset_at_s)), 0.0
        steps = math.floor((start_uj + 1e6 * energy_j) / self.resolution_uj + _STEP_SLACK)
        # The hardware counts steps in 32 bits: a lap has one step more than the highest value.
        steps_per_lap = math.floor(self.range_uj / self.resolution_uj) + 1
        return int((steps % steps_per_lap) * self.resolution_uj)

    def config_lines(self, energy_file: Path) -> Iterator[str]:
        """The zone's section of the writer's configuration."""
        yield f"zone {energy_file}"
        yield from (f"point {float(t)!r} {float(power)!r}" for t, power in self.profile.points)
        yield f"repeat {int(self.profile.repeat)}"
        yield (
            f"counter {self.start_uj} {self.range_uj} {self.resolution_uj!r} {self.period_s!r} {self.offset_s!r} "
            f"{self.reset_at_s!r} {self.unreadable_from_s!r}"
        )


def scaled(profile: PowerProfile, factor: float) -> PowerProfile:
    """Return the profile with every power times `factor`."""
    return PowerProfile(tuple((t, power * factor) for t, power in profile.points), profile.repeat)


def server_zones(
    package: PowerProfile,
    *,
    dram: PowerProfile | None = None,
    sockets: int = 1,
    psys: bool = False,
    mmio: bool = False,
) -> list[Zone]:
    """Return the zones of a usual machine: package, core, uncore and (with `dram`) DRAM of each socket.

    psys takes 1.5 times all packages; `mmio` adds the second control type, which shows the packages' counters again.
    Start values differ, since no two real counters are ever equal and some tools take equal ones for the same.
    """
    zones: list[Zone] = []
    for socket in range(sockets):
        key, start_uj = f"intel-rapl:{socket}", 100_000_000_000 + socket * 7_000_000_000
        zones.append(Zone(key=key, name=f"package-{socket}", profile=package, start_uj=start_uj))
        for position, (name, share) in enumerate((("core", 0.6), ("uncore", 0.1))):
            start = 30_000_000_000 + (2 * socket + position) * 3_000_000_000
            zones.append(Zone(key=f"{key}:{position}", name=name, profile=scaled(package, share), start_uj=start))
        if dram is not None:
            start = 20_000_000_000 + socket * 2_000_000_000
            server = Zone(key=f"{key}:2", name="dram", profile=dram, start_uj=start, range_uj=AMD_RANGE_UJ)
            zones.append(dataclasses.replace(server, resolution_uj=AMD_RESOLUTION_UJ))
    if psys:
        key = f"intel-rapl:{sockets}"
        zones.append(Zone(key=key, name="psys", profile=scaled(package, 1.5 * sockets), start_uj=200_000_000_000))
    if mmio:
        packages = [zone for zone in zones if zone.name.startswith("package")]
        zones += [dataclasses.replace(zone, key=zone.key.replace("rapl", "rapl-mmio")) for zone in packages]
    return zones


class FakePowercap:
    """The folders and files of some zones below `root`, which stands for /sys.

    As in Linux the zones lie nested in devices/virtual/powercap, and class/powercap (`powercap`) holds a flat list of links
    to all of them. The files hold the counters of time `origin_s` until `update` or `live` is called.
    """

    def __init__(self, root: Path, zones: Sequence[Zone], *, origin_s: float = 0.0) -> None:
        self.root = root
        self.powercap = root / "class" / "powercap"
        self.devices = root / "devices" / "virtual" / "powercap"
        self.origin_s = origin_s
        self.zones = {zone.key: zone for zone in zones}
        self._fds: dict[str, int] = {}
        self._folders: dict[str, Path] = {}
        self.powercap.mkdir(parents=True)
        for key in sorted(self.zones, key=lambda key: key.count(":")):
            self._create(self.zones[key])
        self.update(origin_s)

    def energy_file(self, key: str) -> Path:
        """Path of a zone's energy_uj."""
        return self._folders[key] / "energy_uj"

    def energy_j(self, key: str, start_s: float, end_s: float) -> float:
        """The truth: a zone's exact energy between two times on the scale of `origin_s` [J]."""
        return self.zones[key].energy_j(start_s - self.origin_s, end_s - self.origin_s)

    def total_j(self, start_s: float, end_s: float) -> float:
        """The truth a RAPL reader should arrive at [J]: packages and DRAM, each counted once."""
        zones = [z for z in self.zones.values() if z.name.startswith(("package", "dram")) and "-mmio" not in z.key]
        return math.fsum(self.energy_j(zone.key, start_s, end_s) for zone in zones)

    def update(self, t_s: float) -> None:
        """Write what every counter shows at a time on the scale of `origin_s`."""
        for key, fd in list(self._fds.items()):
            zone = self.zones[key]
            if t_s - self.origin_s >= zone.unreadable_from_s:
                self.remove(key)
                continue
            text = b"%d\n" % zone.counter_uj(t_s - self.origin_s)
            os.pwrite(fd, text, 0)
            os.ftruncate(fd, len(text))

    def remove(self, key: str) -> None:
        """Take a zone's energy file away, as when its driver is unloaded.

        A plain file cannot make a read fail in those who have it open, so it is emptied first: they read nothing.
        """
        fd = self._fds.pop(key)
        os.ftruncate(fd, 0)
        os.close(fd)
        self.energy_file(key).unlink()

    def lock(self, key: str) -> None:
        """Take away the right to read a zone's energy file; `update` goes on all the same."""
        self.energy_file(key).chmod(0)

    def close(self) -> None:
        """Close the files."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def __del__(self) -> None:
        # Hundreds of tests in one process, with a dozen files each, would otherwise run out of file descriptors.
        self.close()

    @contextmanager
    def live(self) -> Iterator[subprocess.Popen[str]]:
        """Let a process keep the files up to date in real time; raises `CompilerMissing`.

        For the value of a file to mean something, `origin_s` should be a recent time.monotonic(). The process ends with the
        thread that started it, if that comes before the end of the block.
        """
        config = self.root / "powercap_writer.txt"
        lines = [f"origin {self.origin_s!r}"]
        for key in self._fds:
            lines += self.zones[key].config_lines(self.energy_file(key))
        config.write_text("\n".join(lines) + "\n")
        command = [str(compile_c("powercap_writer.c", "powercap_writer")), str(config), str(os.getpid())]
        # A locked file could not be opened by a writer that is not root, so it is unlocked for that moment.
        locked = [key for key in self._fds if self.energy_file(key).stat().st_mode & 0o777 == 0]
        for key in locked:
            self.energy_file(key).chmod(0o600)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                if process.stdout is None or process.stdout.readline() != "ready\n":
                    raise RuntimeError(f"powercap_writer ended with {process.wait()}")
                for key in locked:
                    self.lock(key)
                yield process
            finally:
                process.terminate()

    def _create(self, zone: Zone) -> None:
        parent = self._folders.get(zone.parent)
        if parent is None:
            if ":" in zone.parent:
                raise ValueError(f"zone {zone.key} has no parent zone {zone.parent}")
            parent = self._folders[zone.parent] = self.devices / zone.parent
            parent.mkdir(parents=True)
            (parent / "enabled").write_text("1\n")
            self._link(zone.parent)
        folder = self._folders[zone.key] = parent / zone.key
        folder.mkdir()
        (folder / "name").write_text(f"{zone.name}\n")
        (folder / "max_energy_range_uj").write_text(f"{zone.range_uj}\n")
        (folder / "enabled").write_text("1\n")
        (folder / "device").symlink_to(os.path.relpath(parent, folder))
        self._link(zone.key)
        # Opened before it is locked: whoever simulates may write always.
        self._fds[zone.key] = os.open(folder / "energy_uj", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not zone.permission:
            self.lock(zone.key)

    def _link(self, key: str) -> None:
        folder = self._folders[key]
        (folder / "subsystem").symlink_to(os.path.relpath(self.powercap, folder))
        (self.powercap / key).symlink_to(os.path.relpath(folder, self.powercap))

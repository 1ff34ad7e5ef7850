"""The `rapl` sensor: energy counters of CPU packages and DRAM, from Linux powercap or, failing that, from perf events.

Facts (sources in docs/measuring.md): the counters are refreshed about every millisecond in steps of 61 uJ and wrap at
`max_energy_range_uj`. `core` and `uncore` are part of the package and `psys` contains everything: they are recorded and
never added. Since Linux 5.10 (CVE-2020-8694) the files are readable by root only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from mlee.errors import SensorUnavailable
from mlee.records import Device, Warning
from mlee.sensors.base import Channel, Reading, Sensor, SensorOptions
from mlee.sensors.rapl_perf import PerfCounter, open_perf_counters

#: No single RAPL domain takes more [W]; a counter that seems to rise faster was reset, it did not wrap.
PLAUSIBLE_POWER_W = 2000.0
#: Even a slow sampling interval reads the counters this often [s].
GUARD_INTERVAL_S = 60.0
COUNTER_PERIOD_S = 0.001
COUNTER_RESOLUTION_J = 2.0**-14

_ZONE = re.compile(r"^(?P<control>[\w-]+?)(?P<path>(?::\d+)+)$")
_PACKAGE = re.compile(r"^package-(\d+)(?:-die-(\d+))?$")
UDEV_RULE = 'SUBSYSTEM=="powercap", ACTION=="add", RUN+="/bin/chmod a+r %S%p/energy_uj"'
PERMISSION_HINT = (
    "run `sudo chmod a+r /sys/class/powercap/*/energy_uj` (until the next boot), or for good put the udev rule "
    f"'{UDEV_RULE}' into /etc/udev/rules.d/70-rapl.rules; weigh CVE-2020-8694 on machines shared with strangers"
)
ABSENT_HINT = (
    "on a physical machine try `sudo modprobe intel_rapl_msr` (Intel and AMD); virtual machines have no RAPL, and "
    "container runtimes hide it (Docker: `-v /sys/class/powercap:/sys/class/powercap:ro` and the same for "
    "/sys/devices/virtual/powercap)"
)


class WrappingCounter:
    """Makes one rising number out of a counter that starts again at 0 whenever it exceeds its range.

    A counter that was reset (driver reloaded, machine resumed) is told from one that wrapped by the power that a wrap
    would mean; the number then falls, which everybody downstream understands as a reset.
    """

    def __init__(self, range_j: float) -> None:
        """Set the range [J] after which the counter starts again."""
        self.range_j = range_j
        self._laps = 0
        self._last: tuple[float, float] | None = None

    def unwrap(self, t_s: float, raw_j: float) -> float:
        """Take a raw value [J] read at `t_s`; return the energy that never wraps [J]."""
        if self._last is not None and raw_j < self._last[1]:
            last_s, last_j = self._last
            lap_power_w = (raw_j + self.range_j - last_j) / max(t_s - last_s, 1e-6)
            self._laps = self._laps + 1 if lap_power_w <= PLAUSIBLE_POWER_W else 0
        self._last = (t_s, raw_j)
        return self._laps * self.range_j + raw_j


class PowercapZone:
    """One powercap zone; its energy file stays open."""

    def __init__(self, folder: Path, range_j: float) -> None:
        """Open the energy file; raises `OSError` where that is not allowed."""
        self._fd = os.open(folder / "energy_uj", os.O_RDONLY)
        self._counter = WrappingCounter(range_j)
        self.range_j = range_j

    def energy_j(self, t_s: float) -> float:
        """Energy since an arbitrary start [J], free of wraps."""
        return self._counter.unwrap(t_s, int(os.pread(self._fd, 32, 0)) * 1e-6)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class RaplSensor(Sensor):
    """Reads every RAPL domain; packages and DRAM are added, core, uncore and psys are recorded only."""

    name = "rapl"

    def __init__(self, options: SensorOptions) -> None:
        """Open all zones; raises `SensorUnavailable` with the mend where none can be read."""
        super().__init__()
        self._clock = options.clock
        self._counters: list[PowercapZone | PerfCounter] = []
        channels: list[Channel] = []
        denied: OSError | None = None
        for folder in _zone_folders(options.powercap):
            try:
                zone = PowercapZone(folder, int((folder / "max_energy_range_uj").read_text()) * 1e-6)
                zone.energy_j(self._clock())
            except PermissionError as error:
                denied = error
                self.notes.append(f"{folder.name} is left out: no permission to read it")
            except (OSError, ValueError) as error:
                self.notes.append(f"{folder.name} is left out: {error}")
            else:
                self._counters.append(zone)
                channels.append(_channel(folder))
        if not any(channel.added for channel in channels):
            self._open_perf(options, channels, denied)
        self.channels = tuple(channels)
        self._lost: set[int] = set()
        ranges = [zone.range_j for zone in self._counters if isinstance(zone, PowercapZone)]
        if ranges:
            self.max_interval_s = min(GUARD_INTERVAL_S, min(ranges) / PLAUSIBLE_POWER_W / 2)

    def _open_perf(self, options: SensorOptions, channels: list[Channel], denied: OSError | None) -> None:
        self.close()
        self._counters.clear()
        channels.clear()
        try:
            perf = open_perf_counters(options.perf_power)
        except OSError as error:
            if denied is not None:
                raise SensorUnavailable(f"No permission to read {denied.filename}.", PERMISSION_HINT) from error
            if not options.powercap.is_dir():
                raise SensorUnavailable(f"{options.powercap} does not exist.", ABSENT_HINT) from error
            raise SensorUnavailable(f"{options.powercap} holds no RAPL package zone.", ABSENT_HINT) from error
        for counter in perf:
            self._counters.append(counter)
            place = f"package {counter.package}"
            key = f"{counter.domain}-{counter.package}"
            channels.append(domain_channel(counter.domain, counter.package, place, key))
        self.notes.append("read through perf events, since the powercap files cannot be read")

    def read(self, *, everything: bool = False) -> Sequence[Reading | None]:
        """Read every counter once."""
        readings: list[Reading | None] = []
        clock, lost = self._clock, self._lost
        for index, counter in enumerate(self._counters):
            if index in lost:
                readings.append(None)
                continue
            now = clock()
            try:
                readings.append(Reading(now, counter.energy_j(now), None))
            except (OSError, ValueError) as error:
                lost.add(index)
                name = self.channels[index].device.name
                self.problems.append(Warning(code="sensor-lost", message=f"{name} could not be read any more: {error}"))
                readings.append(None)
        return readings

    def close(self) -> None:
        """Close all files."""
        for counter in self._counters:
            counter.close()


def _zone_folders(root: Path) -> list[Path]:
    """All zones of one control type: the memory-mapped twin (intel-rapl-mmio) counts the same packages again."""
    try:
        names = sorted(entry.name for entry in root.iterdir())
    except OSError:
        return []
    zones: dict[str, list[Path]] = {}
    for name in names:
        match = _ZONE.match(name)
        if match and (root / name / "energy_uj").exists():
            zones.setdefault(match["control"], []).append(root / name)
    for control in sorted(zones, key=lambda name: (name.endswith("-mmio"), name)):
        return zones[control]
    return []


def _channel(folder: Path) -> Channel:
    domain = (folder / "name").read_text().strip()
    package = domain
    if not _PACKAGE.match(domain):
        parent = folder.parent / folder.name.rpartition(":")[0]
        if (parent / "name").is_file():
            package = (parent / "name").read_text().strip()
    match = _PACKAGE.match(package)
    index, die = (int(match[1]), match[2]) if match else (0, None)
    place = f"package {index}" + (f" die {die}" if die else "")
    return domain_channel("package" if domain == package and match else domain, index, place, folder.name)


def domain_channel(domain: str, index: int, place: str, key: str) -> Channel:
    """Describe a RAPL domain: what it is, and whether it is part of the sum."""
    added = domain in ("package", "dram")
    if domain == "package":
        device = Device(kind="cpu", index=index, name=f"CPU {place}")
    elif domain == "dram":
        device = Device(kind="dram", index=index, name=f"DRAM of {place}")
    elif domain in ("core", "uncore"):
        device = Device(kind="cpu", index=index, name=f"{domain} of {place}")
    else:
        device = Device(kind="system", index=index, name=domain)
    return Channel(
        device=device,
        key=key,
        sensor=RaplSensor.name,
        counter=True,
        gauge=False,
        counter_resolution_j=COUNTER_RESOLUTION_J,
        counter_period_s=COUNTER_PERIOD_S,
        added=added,
    )

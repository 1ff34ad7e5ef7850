"""RAPL through Linux perf events: 64-bit counters that do not wrap, for machines whose powercap files are locked.

Interface: perf_event_open(2) and the `power` PMU under /sys/bus/event_source/devices (Linux kernel documentation,
ABI/testing/sysfs-bus-event_source-devices-events). Needs CAP_PERFMON or kernel.perf_event_paranoid <= 0.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path

_SYSCALL_NUMBER = {"x86_64": 298}
_ATTR_SIZE = 112  # PERF_ATTR_SIZE_VER5
_CLOSE_ON_EXEC = 8  # PERF_FLAG_FD_CLOEXEC
_DOMAINS = {"energy-pkg": "package", "energy-ram": "dram", "energy-cores": "core", "energy-psys": "psys"}


class PerfCounter:
    """One energy event on one package."""

    def __init__(self, fd: int, scale_j: float, domain: str, package: int) -> None:
        """Wrap an open perf event; one count is `scale_j` joules."""
        self._fd = fd
        self._scale_j = scale_j
        self.domain = domain
        self.package = package

    def energy_j(self, t_s: float) -> float:
        """Energy since the event was opened [J]."""
        (count,) = struct.unpack("Q", os.read(self._fd, 8))
        return float(count) * self._scale_j

    def close(self) -> None:
        """Close the event."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def open_perf_counters(pmu: Path) -> list[PerfCounter]:
    """Open every energy event of every package; raises `OSError` where there is none or no permission."""
    try:
        return _open_perf_counters(pmu)
    except ValueError as error:
        raise OSError(errno.EINVAL, f"not understood: {error}", str(pmu)) from error


def _open_perf_counters(pmu: Path) -> list[PerfCounter]:
    pmu_type = int((pmu / "type").read_text())
    cpus = parse_cpu_list((pmu / "cpumask").read_text())
    counters: list[PerfCounter] = []
    try:
        for event, domain in _DOMAINS.items():
            path = pmu / "events" / event
            if not path.is_file():
                continue
            config = int(path.read_text().partition("=")[2].partition(",")[0], 0)
            scale_j = float((pmu / "events" / f"{event}.scale").read_text())
            for package, cpu in enumerate(cpus):
                counters.append(PerfCounter(_perf_event_open(pmu_type, config, cpu), scale_j, domain, package))
    except (OSError, ValueError):
        for counter in counters:
            counter.close()
        raise
    if not any(counter.domain == "package" for counter in counters):
        raise FileNotFoundError(errno.ENOENT, "no package energy event", str(pmu))
    return counters


def parse_cpu_list(text: str) -> list[int]:
    """Read a kernel CPU list: one CPU a package here.

    >>> parse_cpu_list("0,64-65")
    [0, 64, 65]
    """
    cpus: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus.extend(range(int(first), int(last or first) + 1))
    return cpus


def _perf_event_open(pmu_type: int, config: int, cpu: int) -> int:
    number = _SYSCALL_NUMBER.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"perf energy events are not supported on {platform.machine()}")
    attributes = struct.pack("IIQ", pmu_type, _ATTR_SIZE, config).ljust(_ATTR_SIZE, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.syscall(number, ctypes.c_char_p(attributes), -1, cpu, -1, _CLOSE_ON_EXEC))
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), "perf_event_open")
    return fd

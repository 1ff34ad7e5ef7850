"""The `cpu_model` sensor: an estimate of CPU and DRAM power where no counter can be read.

P = logical CPUs x (P_idle + (P_max - P_idle) x utilisation) + 0.392 W per GB of DRAM, with coefficients per logical CPU by
micro-architecture from the Cloud Carbon Footprint project (Apache-2.0), packages/core/src/compute/ComputeProcessorTypes.ts,
commit 0656d55 for CPUs; averages for unknown CPUs and the DRAM coefficient (0.000392 kWh per GB and hour) from its
AWS and GCP constants. Every number that comes from here is an estimate and marked so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from statistics import fmean
from typing import NamedTuple

from mlee.errors import ConfigError, SensorUnavailable
from mlee.records import Device
from mlee.sensors.base import Channel, Reading, Sensor, SensorOptions
from mlee.sensors.machine import cpu_name, logical_cpus, memory_bytes
from mlee.sensors.process_tree import MachineLoad
from mlee.sensors.profiles import MAX_W

DRAM_W_PER_BYTE = 0.392e-9


class CpuWatts(NamedTuple):
    """Power of one logical CPU when idle and when fully used [W]."""

    idle_w: float
    max_w: float


AVERAGE = CpuWatts(0.74, 3.5)
COEFFICIENTS: dict[str, CpuWatts] = {
    "Sandy Bridge": CpuWatts(2.17, 8.58),
    "Ivy Bridge": CpuWatts(3.04, 8.25),
    "Haswell": CpuWatts(1.0, 4.74),
    "Broadwell": CpuWatts(0.71, 3.69),
    "Skylake": CpuWatts(0.65, 4.26),
    "Cascade Lake": CpuWatts(0.64, 3.97),
    "Coffee Lake": CpuWatts(1.14, 5.42),
    "EPYC 1st generation": CpuWatts(0.82, 2.55),
    "EPYC 2nd generation": CpuWatts(0.47, 1.69),
    "EPYC 3rd generation": CpuWatts(0.45, 2.02),
}
_NAMES: tuple[tuple[str, str], ...] = (
    (r"\bEPYC 7\w\w1P?\b", "EPYC 1st generation"),
    (r"\bEPYC 7\w\w2P?\b", "EPYC 2nd generation"),
    (r"\bEPYC 7\w\w3[PX]?\b", "EPYC 3rd generation"),
    (r"\bE[357]-\d{4}[LMW]? ?[vV]4\b", "Broadwell"),
    (r"\bE[357]-\d{4}[LMW]? ?[vV]3\b", "Haswell"),
    (r"\bE[357]-\d{4}[LMW]? ?[vV]2\b", "Ivy Bridge"),
    (r"\bE[357]-\d{4}[LMW]?\b(?! ?[vV]\d)", "Sandy Bridge"),
    (r"\b(Platinum|Gold|Silver|Bronze) \d1\d\d", "Skylake"),
    (r"\b(Platinum|Gold|Silver|Bronze) \d2\d\d", "Cascade Lake"),
    (r"\bW-(21|31)\d\d", "Skylake"),
    (r"\bW-(22|32)\d\d", "Cascade Lake"),
    (r"\bE-2[12]\d\d", "Coffee Lake"),
    (r"\bi[3579]-[89]\d{3}[A-Z]*\b", "Coffee Lake"),
)


_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("Sandy Bridge", "Ivy Bridge"),
    ("Haswell", "Broadwell", "Skylake", "Cascade Lake", "Coffee Lake"),
    ("EPYC 1st generation", "EPYC 2nd generation", "EPYC 3rd generation"),
)


class CpuEstimate(NamedTuple):
    """Coefficients for a CPU, in words where they come from, and the half-width of their band as a share."""

    watts: CpuWatts
    origin: str
    band: float


def estimate_for(name: str) -> CpuEstimate:
    """Coefficients for a CPU by its name.

    The band is how far the published coefficients of related micro-architectures lie from the ones used, at worst. An
    EPYC of unknown generation gets the average of all EPYCs, any other unknown CPU the published average of all CPUs.
    """
    for pattern, architecture in _NAMES:
        if re.search(pattern, name):
            family = next(family for family in _FAMILIES if architecture in family)
            watts, origin = COEFFICIENTS[architecture], architecture
            break
    else:
        if "EPYC" in name:
            family = _FAMILIES[2]
            known = [COEFFICIENTS[member] for member in family]
            watts = CpuWatts(fmean(row.idle_w for row in known), fmean(row.max_w for row in known))
            origin = "EPYC of unknown generation: average of all"
        else:
            family, watts, origin = tuple(COEFFICIENTS), AVERAGE, "unknown CPU: published average"
    ratios = [
        ratio
        for member in family
        for ratio in (COEFFICIENTS[member].idle_w / watts.idle_w, COEFFICIENTS[member].max_w / watts.max_w)
    ]
    return CpuEstimate(watts, origin, max(max(ratios) - 1, 1 - min(ratios)))


def parse_cpu_watts(text: str) -> tuple[float, float]:
    """Read `IDLE:MAX` in watts of the whole machine; raises `ConfigError`."""
    try:
        idle_w, max_w = (float(part) for part in text.split(":"))
    except ValueError:
        idle_w = max_w = -1.0
    if not 0 <= idle_w <= max_w <= MAX_W or max_w == 0:
        raise ConfigError(f"--cpu-watts '{text}' is not IDLE:MAX in watts.", "for example --cpu-watts 35:120, idle first")
    return idle_w, max_w


class CpuModelSensor(Sensor):
    """Estimates CPU and DRAM energy from the machine's load.

    The model is linear in CPU time, so its energy is computed from the kernel's cumulative counters and misses nothing
    between readings.
    """

    name = "cpu_model"

    def __init__(self, options: SensorOptions) -> None:
        """Recognise the CPU; raises `SensorUnavailable` where the load cannot be read."""
        super().__init__()
        self._clock = options.clock
        proc = options.proc
        with ExitStack() as opening:  # what fails leaves nothing open
            try:
                self._load = MachineLoad(proc)
                opening.callback(self._load.close)
                self._busy_from_s = self._load.busy_s()
                cpus, name, memory = logical_cpus(), cpu_name(proc), memory_bytes(proc)
            except (OSError, ValueError) as error:
                raise SensorUnavailable(
                    f"{proc / 'stat'} cannot be read, so the load is unknown: {error}",
                    "the CPU model needs Linux with /proc mounted",
                ) from error
            opening.pop_all()
        self._origin_s = self._clock()
        watts, origin, published_band = estimate_for(name)
        if options.cpu_watts is not None:
            idle_w, max_w = options.cpu_watts
            self._idle_w, self._busy_w, band, origin = idle_w, (max_w - idle_w) / cpus, 0.0, "given by --cpu-watts"
        else:
            self._idle_w, self._busy_w, band = cpus * watts.idle_w, watts.max_w - watts.idle_w, published_band
            origin += f"; published coefficients of its relatives differ by up to {band:.0%}"
        self._dram_w = memory * DRAM_W_PER_BYTE
        self.notes.append(f"{name}: {self._idle_w:.3g} W idle to {self._idle_w + cpus * self._busy_w:.3g} W ({origin})")
        self.channels = (
            self._channel(Device(kind="cpu", index=0, name=f"CPU model of {name}"), "cpu", band),
            self._channel(Device(kind="dram", index=0, name=f"DRAM model, {memory / 1e9:.0f} GB"), "dram", published_band),
        )

    def _channel(self, device: Device, key: str, band: float) -> Channel:
        return Channel(
            device=device,
            key=key,
            sensor=self.name,
            counter=True,
            gauge=False,
            method="model",
            provenance="estimated",
            relative_uncertainty=band,
        )

    def read(self, *, everything: bool = False) -> Sequence[Reading | None]:
        """Return the energy the model gives for the CPU time spent since the sensor was opened."""
        busy_s = self._load.busy_s() - self._busy_from_s
        now = self._clock()
        elapsed_s = now - self._origin_s
        cpu_j = elapsed_s * self._idle_w + busy_s * self._busy_w
        return (Reading(now, cpu_j, None), Reading(now, elapsed_s * self._dram_w, None))

    def close(self) -> None:
        """Close the machine's load."""
        self._load.close()

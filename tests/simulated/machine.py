"""A machine in virtual time: simulated GPUs and RAPL zones that a real `Sampler` measures, deterministically.

Every look at the clock takes two microseconds, as if the reading cost that much, and brings all simulated hardware to that
time. The sampler's threads are not started: `run` takes their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mlee.records import Measurement, Warning
from mlee.sampling import Sampler
from mlee.sensors import open_sensor
from mlee.sensors.base import SensorOptions
from tests.simulated.nvml_stub import StubGpu, StubNvml
from tests.simulated.powercap import FakePowercap, Zone

LOOK_S = 2e-6


class VirtualMachine:
    """Simulated hardware on one clock; times are seconds since the machine's start."""

    def __init__(
        self,
        folder: Path,
        *,
        zones: Sequence[Zone] = (),
        gpus: Sequence[StubGpu] = (),
        stub: StubNvml | None = None,
        interval_s: float = 0.1,
    ) -> None:
        self.t_s = 0.0
        self.interval_s = interval_s
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.tree = FakePowercap(folder / "sys", zones) if zones else None
        self.stub = stub
        if stub is not None:
            stub.configure(gpus)
        self._refresh()
        options = SensorOptions(clock=self.clock)
        if self.tree is not None:
            options = replace(options, powercap=self.tree.powercap)
        names = [name for name, present in (("rapl", zones), ("nvml", gpus)) if present]
        self.sensors = [open_sensor(name, options) for name in names]
        self.sampler = Sampler(
            self.sensors, dict.fromkeys(names, interval_s), clock=self.clock, sleep=self.sleep, folder=folder
        )

    def clock(self) -> float:
        self.t_s += LOOK_S
        self._refresh()
        return self.t_s

    def sleep(self, seconds: float) -> None:
        self.t_s += seconds

    def _refresh(self) -> None:
        if self.tree is not None:
            self.tree.update(self.t_s)
        if self.stub is not None:
            self.stub.set_clock(self.t_s)

    def run(self, until_s: float) -> None:
        """Let time pass, with a reading of every sensor at each tick of the interval."""
        tick = int(self.t_s / self.interval_s) + 1
        while tick * self.interval_s < until_s:
            if tick * self.interval_s > self.t_s:
                self.t_s = tick * self.interval_s
                for line in self.sampler.lines:
                    line.read()
            tick += 1
        self.t_s = max(self.t_s, until_s)

    def measure(self, start_s: float, duration_s: float) -> tuple[Measurement, tuple[float, float], list[Warning]]:
        """Measure a window that begins at about `start_s`; return it, its real edges, and all warnings."""
        self.run(start_s)
        window = self.sampler.open_window("window")
        self.run(window.start_s + duration_s)
        measurement = self.sampler.close_window(window)
        assert window.end_s is not None
        return measurement, (window.start_s, window.end_s), [*self.sampler.warnings, *window.warnings]

    def close(self) -> None:
        """Close traces, sensors and simulated files."""
        self.sampler.stop()
        if self.tree is not None:
            self.tree.close()

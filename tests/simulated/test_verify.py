"""Verifying results of simulated hardware: no honest window is accused, and what is wrong is found.

The traces of staircase counters show less than the sampler saw, so what is allowed is wider there: two updates at the
highest power, and what a busy machine looks too late.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mlee.errors import ResultError
from mlee.records import Measurement, RunResult
from mlee.results.verify import verify
from mlee.sensors.profiles import PROFILES, PowerProfile
from tests import builders
from tests.simulated.machine import VirtualMachine
from tests.simulated.nvml_stub import StubGpu, StubNvml
from tests.simulated.powercap import Zone, server_zones

MakeMachine = Callable[..., VirtualMachine]
STARTS = (1.0371, 2.2684, 3.7113)


def folder_of(machine: VirtualMachine, windows: Sequence[tuple[float, float]], folder: Path) -> Path:
    """Put the machine's traces into an experiment folder with phases."""
    machine.close()
    folder.mkdir()
    for path in machine.folder.glob("trace_*.csv"):
        shutil.copy(path, folder)
    rows = [
        f"{at_s:.6f},{event},repeat {number}"
        for number, window in enumerate(windows, start=1)
        for event, at_s in zip(("open", "close"), window, strict=True)
    ]
    (folder / "phases.csv").write_text("\n".join(["t_s,event,phase", *rows]) + "\n")
    return folder


def result_of(measurements: Sequence[Measurement], interval_s: float = 0.1) -> RunResult:
    config = builders.config(gpu_monitor_interval=interval_s, cpu_monitor_interval=interval_s)
    return builders.run_result(config=config, measurements=tuple(measurements), idle=None, warnings=())


def scaled(measurement: Measurement, factor: float) -> Measurement:
    devices = tuple(
        replace(device, energy_j=device.energy_j * factor, mean_power_w=device.mean_power_w * factor)
        for device in measurement.devices
        if device.energy_j is not None and device.mean_power_w is not None
    )
    return replace(measurement, devices=devices)


def check(machine: VirtualMachine, duration_s: float, wrong: float, folder: Path) -> None:
    """Verify a window, and the same with energies changed by the share `wrong` up and down."""
    measured = []
    for start_s in STARTS[:2] if duration_s < 1 else STARTS[:1]:
        measurement, window, _ = machine.measure(start_s, duration_s)
        measured.append((measurement, window))
    machine.run(machine.t_s + 0.3)
    folder = folder_of(machine, [window for _, window in measured], folder)
    honest = [measurement for measurement, _ in measured]
    verify(folder, result_of(honest))
    for factor in (max(0.0, 1 - wrong), 1 + wrong):
        with pytest.raises(ResultError, match=r"repeat 1.*energy_j"):
            verify(folder, result_of([scaled(honest[0], factor), *honest[1:]]))


@pytest.mark.parametrize("duration_s", [0.5, 10.0])
@pytest.mark.parametrize("profile", PROFILES)
def test_rapl(make_machine: MakeMachine, profile: str, duration_s: float, tmp_path: Path) -> None:
    machine = make_machine(zones=server_zones(PROFILES[profile], dram=PROFILES["steady"], psys=True))
    check(machine, duration_s, 0.05 / duration_s, tmp_path / builders.RUN_ID)


def test_rapl_that_is_reset(make_machine: MakeMachine, tmp_path: Path) -> None:
    zone = Zone(key="intel-rapl:0", name="package-0", profile=PROFILES["steady"], reset_at_s=6.1)
    check(make_machine(zones=[zone]), 10.0, 0.1, tmp_path / builders.RUN_ID)


@pytest.mark.parametrize("duration_s", [0.5, 10.0])
@pytest.mark.parametrize("period_s", [0.02, 0.1])
@pytest.mark.parametrize("profile", PROFILES)
def test_nvml_counter(
    make_machine: MakeMachine, stub_nvml: StubNvml, profile: str, period_s: float, duration_s: float, tmp_path: Path
) -> None:
    gpu = StubGpu(profile=PROFILES[profile], counter_period_s=period_s, counter_offset_s=0.0031, instant_period_s=0.025)
    machine = make_machine(gpus=[gpu], stub=stub_nvml)
    # Two updates of 0.1 s at the highest power: 0.2 s x 400 W of the 667 J of the bursts are most.
    check(machine, duration_s, 0.15 if duration_s > 1 else 3.0, tmp_path / builders.RUN_ID)


@pytest.mark.parametrize("work", ["inside", "before"])
def test_nvml_counter_of_a_device_that_starts_and_stops(
    make_machine: MakeMachine, stub_nvml: StubNvml, work: str, tmp_path: Path
) -> None:
    """What a counter shows at the start is up to an update old, and was drawn at the power before the window."""
    start_s = STARTS[0] + 0.2
    points = {
        "inside": ((0, 60), (start_s, 60), (start_s, 700), (start_s + 1, 700), (start_s + 1, 60)),
        "before": ((0, 700), (start_s, 700), (start_s, 60)),
    }
    gpus = [
        StubGpu(profile=PowerProfile(points[work]), counter_period_s=0.1, counter_offset_s=0.0031, instant_period_s=0.025),
        StubGpu(profile=PowerProfile(points[work]), counter_period_s=0.1, counter_offset_s=0.057, instant_period_s=0.025),
    ]
    machine = make_machine(gpus=gpus, stub=stub_nvml)
    measurement, window, _ = machine.measure(STARTS[0], 1.0)
    verify(folder_of(machine, [window], tmp_path / builders.RUN_ID), result_of([measurement]))


@pytest.mark.parametrize("profile", ["steady", "square", "ramp"])
def test_nvml_without_counter(make_machine: MakeMachine, stub_nvml: StubNvml, profile: str, tmp_path: Path) -> None:
    gpu = StubGpu(profile=PROFILES[profile], unsupported=("energy",), instant_period_s=0.025)
    check(make_machine(gpus=[gpu], stub=stub_nvml), 10.0, 0.001, tmp_path / builders.RUN_ID)


def test_a_device_that_is_lost(make_machine: MakeMachine, stub_nvml: StubNvml, tmp_path: Path) -> None:
    gpus = [StubGpu(profile=PROFILES["steady"], lost_at_s=5.0), StubGpu(profile=PROFILES["steady"])]
    machine = make_machine(gpus=gpus, stub=stub_nvml)
    measurement, window, _ = machine.measure(STARTS[0], 10.0)
    verify(folder_of(machine, [window], tmp_path / builders.RUN_ID), result_of([measurement]))

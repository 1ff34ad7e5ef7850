"""Energy against the exact truth, for every profile: real sensors and sampler on simulated hardware in virtual time.

Limits: counters 0.1 % over 10 s and 1 % over 0.5 s; gauges 0.5 % over 10 s, away from bursts. The truth must lie inside the
stated uncertainty. Windows begin at several phases of the profiles, wherever the counters happen to be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mlee.records import DeviceEnergy, Measurement
from mlee.sensors.profiles import PROFILES, PowerProfile
from tests.simulated.machine import VirtualMachine
from tests.simulated.nvml_stub import StubGpu, StubNvml
from tests.simulated.powercap import INTEL_RANGE_UJ, Zone, server_zones

MakeMachine = Callable[..., VirtualMachine]

STARTS = (1.0371, 2.2684, 3.7113)
COUNTER_LIMITS = {10.0: 0.001, 0.5: 0.01}


def energies(measurement: Measurement, sensor: str) -> list[DeviceEnergy]:
    return [energy for energy in measurement.devices if energy.sensor == sensor]


def assert_close(found: list[DeviceEnergy], truth_j: float, limit: float) -> None:
    energy_j = sum(energy.energy_j or 0.0 for energy in found)
    unsure_j = sum(energy.energy_uncertainty_j or 0.0 for energy in found)
    assert energy_j == pytest.approx(truth_j, rel=limit)
    assert abs(energy_j - truth_j) <= unsure_j


@pytest.mark.parametrize("duration_s", COUNTER_LIMITS)
@pytest.mark.parametrize("start_s", STARTS)
@pytest.mark.parametrize("profile", PROFILES)
def test_rapl_counts_two_sockets_with_dram_and_never_psys(
    make_machine: MakeMachine, profile: str, start_s: float, duration_s: float
) -> None:
    zones = server_zones(PROFILES[profile], dram=PROFILES["steady"], sockets=2, psys=True, mmio=True)
    machine = make_machine(zones=zones)
    measurement, window, warnings = machine.measure(start_s, duration_s)
    assert machine.tree is not None
    assert_close(energies(measurement, "rapl"), machine.tree.total_j(*window), COUNTER_LIMITS[duration_s])
    assert [energy.device.kind for energy in measurement.devices] == ["cpu", "dram", "cpu", "dram"]
    assert sorted(energy.device.name for energy in measurement.not_added) == [
        "core of package 0",
        "core of package 1",
        "psys",
        "uncore of package 0",
        "uncore of package 1",
    ]
    assert not warnings


@pytest.mark.parametrize("duration_s", COUNTER_LIMITS)
@pytest.mark.parametrize(
    ("wraps", "range_uj"), [(1, INTEL_RANGE_UJ), (2, 600_000_000)], ids=["one wrap", "two wraps of a small counter"]
)
def test_rapl_wraps_do_not_count(make_machine: MakeMachine, wraps: int, range_uj: int, duration_s: float) -> None:
    start_s, profile = STARTS[0], PROFILES["steady"]
    lap_j = range_uj * 1e-6
    window_j = profile.power_w(0) * duration_s
    begin_j = profile.power_w(0) * start_s
    # Of one wrap the window gets the middle; the small counter wraps every 6 s, so twice within 10 s from just before one.
    before_wrap_j = window_j / 2 if wraps == 1 else 1.0
    start_uj = int(1e6 * ((lap_j - before_wrap_j - begin_j) % lap_j))
    machine = make_machine(
        zones=[Zone(key="intel-rapl:0", name="package-0", profile=profile, start_uj=start_uj, range_uj=range_uj)]
    )
    measurement, window, warnings = machine.measure(start_s, duration_s)
    assert machine.tree is not None
    assert_close(energies(measurement, "rapl"), machine.tree.total_j(*window), COUNTER_LIMITS[duration_s])
    assert not warnings


@pytest.mark.parametrize("duration_s", COUNTER_LIMITS)
def test_rapl_counter_that_is_reset_is_bridged_and_said(make_machine: MakeMachine, duration_s: float) -> None:
    start_s = STARTS[0]
    zone = Zone(key="intel-rapl:0", name="package-0", profile=PROFILES["steady"], reset_at_s=start_s + duration_s * 0.55)
    machine = make_machine(zones=[zone], interval_s=0.05)
    measurement, window, _ = machine.measure(start_s, duration_s)
    assert machine.tree is not None
    assert_close(energies(measurement, "rapl"), machine.tree.total_j(*window), COUNTER_LIMITS[duration_s])
    assert measurement.devices[0].coverage == pytest.approx(1 - 0.05 / duration_s, abs=0.01)


@pytest.mark.parametrize("duration_s", COUNTER_LIMITS)
@pytest.mark.parametrize("start_s", STARTS)
@pytest.mark.parametrize("period_s", [0.02, 0.1])
@pytest.mark.parametrize("profile", PROFILES)
def test_nvml_energy_counter(
    make_machine: MakeMachine, stub_nvml: StubNvml, profile: str, period_s: float, start_s: float, duration_s: float
) -> None:
    gpu = StubGpu(profile=PROFILES[profile], counter_period_s=period_s, counter_offset_s=0.0031, instant_period_s=0.025)
    machine = make_machine(gpus=[gpu], stub=stub_nvml)
    measurement, window, _ = machine.measure(start_s, duration_s)
    assert_close(energies(measurement, "nvml"), gpu.energy_j(*window), COUNTER_LIMITS[duration_s])
    assert measurement.devices[0].method == "counter"
    assert measurement.devices[0].coverage == 1.0


def test_two_gpus_that_never_tick_together(make_machine: MakeMachine, stub_nvml: StubNvml) -> None:
    gpus = [
        StubGpu(profile=PROFILES["steady"], counter_period_s=0.1),
        StubGpu(profile=PowerProfile(((0, 60), (1.5, 60), (1.5, 300))), counter_period_s=0.1, counter_offset_s=0.057),
    ]
    machine = make_machine(gpus=gpus, stub=stub_nvml)
    # The second GPU's power rises between its last tick before the start and the start itself.
    measurement, window, _ = machine.measure(1.3171, 10.0)
    for energy, gpu in zip(measurement.devices, gpus, strict=True):
        assert_close([energy], gpu.energy_j(*window), 0.001)


def test_work_that_begins_and_ends_with_the_window(make_machine: MakeMachine, stub_nvml: StubNvml) -> None:
    """The usual case: idle, full power inside the window, idle. Half a second is five updates of this counter."""
    probe = StubGpu(profile=PowerProfile(((0, 60),)), counter_period_s=0.1, counter_offset_s=0.0031)
    machine = make_machine(gpus=[probe], stub=stub_nvml)
    _, (start_s, end_s), _ = machine.measure(STARTS[0], 0.5)
    machine.close()
    work = PowerProfile(((0, 60), (start_s, 60), (start_s, 400), (end_s, 400), (end_s, 60)))
    gpu = replace(probe, profile=work)
    machine = make_machine(gpus=[gpu], stub=stub_nvml)
    measurement, window, _ = machine.measure(STARTS[0], 0.5)
    assert window == pytest.approx((start_s, end_s), abs=0.001)
    assert_close(energies(measurement, "nvml"), gpu.energy_j(*window), 0.01)


@pytest.mark.parametrize("start_s", STARTS)
@pytest.mark.parametrize("profile", ["steady", "square", "ramp"])
def test_gpu_without_counter_is_integrated(
    make_machine: MakeMachine, stub_nvml: StubNvml, profile: str, start_s: float
) -> None:
    gpu = StubGpu(profile=PROFILES[profile], unsupported=("energy",), instant_period_s=0.025)
    machine = make_machine(gpus=[gpu], stub=stub_nvml)
    measurement, window, _ = machine.measure(start_s, 10.0)
    assert_close(energies(measurement, "nvml"), gpu.energy_j(*window), 0.005)
    assert measurement.devices[0].method == "integral"


def test_gpu_lost_in_the_window_keeps_what_was_measured(make_machine: MakeMachine, stub_nvml: StubNvml) -> None:
    gpus = [StubGpu(profile=PROFILES["steady"], lost_at_s=5.0), StubGpu(profile=PROFILES["steady"])]
    machine = make_machine(gpus=gpus, stub=stub_nvml)
    measurement, window, warnings = machine.measure(STARTS[0], 10.0)
    lost, healthy = measurement.devices
    assert lost.energy_j == pytest.approx(gpus[0].energy_j(window[0], 5.0), rel=0.05)
    assert lost.coverage == pytest.approx((5.0 - window[0]) / 10.0, abs=0.02)
    # Had it gone on as before, the truth would be inside the uncertainty.
    assert abs((lost.energy_j or 0) - gpus[0].energy_j(*window)) <= (lost.energy_uncertainty_j or 0)
    assert_close([healthy], gpus[1].energy_j(*window), 0.001)
    assert {warning.code for warning in warnings} == {"sensor-lost", "coverage"}


def test_gpu_counter_that_is_reset_is_bridged_by_the_gauge(make_machine: MakeMachine, stub_nvml: StubNvml) -> None:
    gpu = StubGpu(profile=PROFILES["steady"], counter_period_s=0.02, reset_at_s=6.01, instant_period_s=0.025)
    machine = make_machine(gpus=[gpu], stub=stub_nvml)
    measurement, window, _ = machine.measure(STARTS[0], 10.0)
    assert_close(energies(measurement, "nvml"), gpu.energy_j(*window), 0.002)
    assert measurement.devices[0].coverage == pytest.approx(0.99, abs=0.001)


def test_counter_and_gauge_that_disagree_are_reported(make_machine: MakeMachine, stub_nvml: StubNvml) -> None:
    """A short burst every second that the gauge never sees: the counter is used, and the difference is said."""
    profile = PowerProfile(((0, 50), (0.93, 50), (0.93, 400), (0.96, 400), (0.96, 50), (1, 50)), repeat=True)
    gpu = StubGpu(profile=profile, counter_period_s=0.02)
    machine = make_machine(gpus=[gpu], stub=stub_nvml)
    measurement, window, warnings = machine.measure(1.2, 10.0)
    assert_close(energies(measurement, "nvml"), gpu.energy_j(*window), 0.001)
    assert [warning.code for warning in warnings] == ["counter-mismatch"]


def test_zone_that_disappears_keeps_what_was_measured(make_machine: MakeMachine) -> None:
    zones = [
        Zone(key="intel-rapl:0", name="package-0", profile=PROFILES["steady"], unreadable_from_s=5.0),
        Zone(key="intel-rapl:1", name="package-1", profile=PROFILES["steady"]),
    ]
    machine = make_machine(zones=zones)
    measurement, window, warnings = machine.measure(STARTS[0], 10.0)
    lost, healthy = measurement.devices
    assert lost.coverage == pytest.approx((5.0 - window[0]) / 10.0, abs=0.02)
    assert_close([healthy], zones[1].energy_j(*window), 0.001)
    assert {warning.code for warning in warnings} == {"sensor-lost", "coverage"}


def test_short_window_is_said(make_machine: MakeMachine, stub_nvml: StubNvml) -> None:
    machine = make_machine(gpus=[StubGpu()], stub=stub_nvml)
    _, _, warnings = machine.measure(STARTS[0], 0.4)
    assert "short-run" in {warning.code for warning in warnings}

"""The CPU model: which coefficients, and the energy they give."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlee.errors import ConfigError, SensorUnavailable
from mlee.sensors import machine
from mlee.sensors.base import SensorOptions
from mlee.sensors.cpu_model import AVERAGE, COEFFICIENTS, CpuModelSensor, estimate_for, parse_cpu_watts

TICKS = os.sysconf("SC_CLK_TCK")
CPUS = 8
MEMORY_KIB = 64 * 2**20
CASCADE_LAKE = "Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz"


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("Intel(R) Xeon(R) CPU E5-2680 0 @ 2.70GHz", "Sandy Bridge"),
        ("Intel(R) Xeon(R) CPU E5-2687W 0 @ 3.10GHz", "Sandy Bridge"),
        ("Intel(R) Xeon(R) CPU E5-2670 v2 @ 2.50GHz", "Ivy Bridge"),
        ("Intel(R) Xeon(R) CPU E3-1270 V2 @ 3.50GHz", "Ivy Bridge"),
        ("Intel(R) Xeon(R) CPU E5-2666 v3 @ 2.90GHz", "Haswell"),
        ("Intel(R) Xeon(R) CPU E5-2687W v3 @ 3.10GHz", "Haswell"),
        ("Intel(R) Xeon(R) CPU E5-2650L v3 @ 1.80GHz", "Haswell"),
        ("Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", "Broadwell"),
        ("Intel(R) Xeon(R) CPU E7-8880 v4 @ 2.20GHz", "Broadwell"),
        ("Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz", "Skylake"),
        ("Intel(R) Xeon(R) Platinum 8124M CPU @ 3.00GHz", "Skylake"),
        ("Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz", "Skylake"),
        ("Intel(R) Xeon(R) W-2145 CPU @ 3.70GHz", "Skylake"),
        (CASCADE_LAKE, "Cascade Lake"),
        ("Intel(R) Xeon(R) Gold 6230R CPU @ 2.10GHz", "Cascade Lake"),
        ("Intel(R) Xeon(R) W-2295 CPU @ 3.00GHz", "Cascade Lake"),
        ("Intel(R) Core(TM) i7-8700K CPU @ 3.70GHz", "Coffee Lake"),
        ("Intel(R) Core(TM) i9-9900K CPU @ 3.60GHz", "Coffee Lake"),
        ("Intel(R) Xeon(R) E-2288G CPU @ 3.70GHz", "Coffee Lake"),
        ("AMD EPYC 7571", "EPYC 1st generation"),
        ("AMD EPYC 7551P 32-Core Processor", "EPYC 1st generation"),
        ("AMD EPYC 7742 64-Core Processor", "EPYC 2nd generation"),
        ("AMD EPYC 7402P 24-Core Processor", "EPYC 2nd generation"),
        ("AMD EPYC 7R32", "EPYC 2nd generation"),
        ("AMD EPYC 7H12 64-Core Processor", "EPYC 2nd generation"),
        ("AMD EPYC 7763 64-Core Processor", "EPYC 3rd generation"),
        ("AMD EPYC 7543P 32-Core Processor", "EPYC 3rd generation"),
        ("AMD EPYC 7R13 Processor", "EPYC 3rd generation"),
        ("AMD EPYC 7V73X 64-Core Processor", "EPYC 3rd generation"),
        ("AMD EPYC 72F3 8-Core Processor", "EPYC 3rd generation"),
    ],
)
def test_a_cpu_is_recognised_by_its_name(name: str, architecture: str) -> None:
    estimate = estimate_for(name)
    assert estimate.origin == architecture
    assert estimate.watts == COEFFICIENTS[architecture]
    assert 0 < estimate.band < 1


@pytest.mark.parametrize(
    "name",
    [
        "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz",  # Ice Lake
        "Intel(R) Xeon(R) CPU E3-1240 v5 @ 3.50GHz",
        "Intel(R) Xeon(R) Processor @ 2.20GHz",
        "Intel(R) Core(TM) i7-4790 CPU @ 3.60GHz",
        "Neoverse-N1",
        "",
    ],
)
def test_an_unknown_cpu_gets_the_published_average_with_the_widest_band(name: str) -> None:
    estimate = estimate_for(name)
    assert estimate.watts == AVERAGE
    assert "unknown" in estimate.origin
    assert estimate.band == pytest.approx(3.04 / 0.74 - 1)  # Ivy Bridge idles at most above the average


@pytest.mark.parametrize("name", ["AMD EPYC 9654 96-Core Processor", "AMD EPYC 3251 8-Core Processor"])
def test_an_epyc_of_unknown_generation_gets_the_average_of_epycs(name: str) -> None:
    estimate = estimate_for(name)
    assert estimate.watts.idle_w == pytest.approx((0.82 + 0.47 + 0.45) / 3)
    assert estimate.watts.max_w == pytest.approx((2.55 + 1.69 + 2.02) / 3)
    assert "EPYC" in estimate.origin


def test_the_band_is_the_largest_distance_to_a_relative() -> None:
    assert estimate_for("AMD EPYC 7742").band == pytest.approx(0.82 / 0.47 - 1)
    assert estimate_for("Intel(R) Xeon(R) CPU E5-2670 v2").band == pytest.approx(1 - 2.17 / 3.04)


def test_a_band_counts_what_lies_below_as_well_as_what_lies_above() -> None:
    assert estimate_for("AMD EPYC 7571").band == pytest.approx(1 - 0.45 / 0.82)


@pytest.mark.parametrize(("text", "watts"), [("35:120", (35.0, 120.0)), ("0:5.5", (0.0, 5.5)), ("7:7", (7.0, 7.0))])
def test_watts_are_read_as_idle_and_max(text: str, watts: tuple[float, float]) -> None:
    assert parse_cpu_watts(text) == watts


@pytest.mark.parametrize(
    "text", ["", "35", "35:", ":35", "1:2:3", "120:35", "-1:5", "nan:5", "1:inf", "1:nan", "a:b", "0:0", "0:1e308"]
)
def test_watts_that_cannot_be_are_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError, match="--cpu-watts") as refused:
        parse_cpu_watts(text)
    assert f"'{text}'" in refused.value.message


class _Machine:
    """A fake /proc with a clock beside it."""

    def __init__(self, proc: Path, monkeypatch: pytest.MonkeyPatch, name: str = CASCADE_LAKE) -> None:
        self.proc = proc
        self.now = 1000.0
        (proc / "cpuinfo").write_text(f"processor\t: 0\nmodel name\t: {name}\n")
        (proc / "meminfo").write_text(f"MemTotal:       {MEMORY_KIB} kB\nMemFree: 1 kB\n")
        self.busy(0)
        monkeypatch.setattr(os, "cpu_count", lambda: CPUS)

    def busy(self, seconds: float) -> None:
        """Set the CPU time spent, spread over user, nice, system, irq and softirq; idle, iowait and steal do not count."""
        parts = [int(seconds * TICKS * share) for share in (0.5, 0.1, 0.2, 0.1, 0.1)]
        user, nice, system, irq, softirq = parts
        line = f"cpu  {user} {nice} {system} 999999 888888 {irq} {softirq} 777777 {user} 0"
        (self.proc / "stat").write_text(f"{line}\ncpu0 1 2 3\n")

    def options(self, cpu_watts: tuple[float, float] | None = None) -> SensorOptions:
        return SensorOptions(proc=self.proc, clock=lambda: self.now, cpu_watts=cpu_watts)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Machine:
    return _Machine(tmp_path, monkeypatch)


def test_energy_is_idle_power_by_time_and_extra_power_by_cpu_time(fake: _Machine) -> None:
    sensor = CpuModelSensor(fake.options())
    fake.now += 10
    fake.busy(20)  # 2 of 8 CPUs over 10 s
    cpu, dram = sensor.read()
    assert cpu is not None
    assert dram is not None
    assert cpu.energy_j == pytest.approx(8 * 0.64 * 10 + (3.97 - 0.64) * 20)
    assert dram.energy_j == pytest.approx(MEMORY_KIB * 1024 / 1e9 * 0.392 * 10)
    assert (cpu.t_s, dram.t_s) == (1010.0, 1010.0)


def test_watts_of_the_user_are_those_of_the_whole_machine(fake: _Machine) -> None:
    sensor = CpuModelSensor(fake.options((30.0, 110.0)))
    fake.now += 10
    fake.busy(80)  # everything busy
    cpu, _ = sensor.read()
    assert cpu is not None
    assert cpu.energy_j == pytest.approx(1100.0)
    assert "--cpu-watts" in sensor.notes[0]


def test_watts_of_the_user_leave_the_estimate_of_the_memory_its_band(fake: _Machine) -> None:
    given, published = CpuModelSensor(fake.options((30.0, 110.0))), CpuModelSensor(fake.options())
    (cpu, dram), (_, published_dram) = given.channels, published.channels
    assert cpu.relative_uncertainty == 0
    assert dram.relative_uncertainty == published_dram.relative_uncertainty > 0


def test_every_channel_is_marked_as_estimated_with_its_band(fake: _Machine) -> None:
    sensor = CpuModelSensor(fake.options())
    assert [channel.device.kind for channel in sensor.channels] == ["cpu", "dram"]
    assert {(channel.provenance, channel.method) for channel in sensor.channels} == {("estimated", "model")}
    assert sensor.channels[0].relative_uncertainty == pytest.approx(estimate_for(CASCADE_LAKE).band)
    assert "Cascade Lake" in sensor.notes[0]


@pytest.mark.parametrize("missing", ["stat", "meminfo"])
def test_without_proc_the_model_is_unavailable_and_says_what_it_needs(missing: str, fake: _Machine) -> None:
    (fake.proc / missing).unlink()
    with pytest.raises(SensorUnavailable) as refused:
        CpuModelSensor(fake.options())
    assert missing in refused.value.message
    assert "/proc" in (refused.value.hint or "")


@pytest.mark.parametrize("stat", ["", "cpu  1 2\n", "cpu a b c d e f g\n"])
def test_a_strange_stat_makes_the_model_unavailable(stat: str, fake: _Machine) -> None:
    (fake.proc / "stat").write_text(stat)
    with pytest.raises(SensorUnavailable):
        CpuModelSensor(fake.options())


def test_a_machine_that_does_not_name_its_cpu_is_named_by_its_architecture(tmp_path: Path) -> None:
    assert machine.cpu_name(tmp_path)

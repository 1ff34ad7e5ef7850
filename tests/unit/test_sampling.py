"""The sampler with real threads: it never disturbs a run, whatever sensors or the run itself do."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from mlee.errors import ConfigError, ResultError, SensorUnavailable
from mlee.monitor import Monitor
from mlee.readings import Channel, Reading
from mlee.records import Device
from mlee.sampling import Sampler
from mlee.sensor_thread import STUCK_S
from mlee.sensors.base import Sensor, SensorOptions
from mlee.sensors.process import ProcessSensor
from mlee.sensors.simulated import SimulatedSensor
from mlee.traces import read_trace


class Brittle(Sensor):
    """Works for a number of readings, then raises or blocks."""

    name = "brittle"

    def __init__(self, works_for: int, release: threading.Event | None = None) -> None:
        super().__init__()
        device = Device(kind="gpu", index=0, name="brittle device")
        self.channels = (Channel(device=device, key="gpu0", sensor=self.name, counter=False, gauge=True),)
        self._left = works_for
        self._release = release
        self.closed = False

    def read(self, *, everything: bool = False) -> Sequence[Reading | None]:
        self._left -= 1
        if self._left < 0:
            if self._release is None:
                raise RuntimeError("the driver is gone")
            self._release.wait()
        return (Reading(time.monotonic(), None, 100.0),)

    def close(self) -> None:
        self.closed = True


def steady() -> SimulatedSensor:
    return SimulatedSensor(SensorOptions(profile="100"))


def sample(sensors: Sequence[Sensor], **options: object) -> Sampler:
    intervals = {sensor.name: 0.01 for sensor in sensors}
    return Sampler(sensors, intervals, **options)  # type: ignore[arg-type]


def test_a_sensor_that_raises_becomes_a_warning_and_the_others_go_on() -> None:
    brittle = Brittle(works_for=5)
    sampler = sample([brittle, steady()])
    sampler.start()
    window = sampler.open_window("window")
    time.sleep(0.3)
    measurement = sampler.close_window(window)
    sampler.stop()
    broken, whole = measurement.devices
    assert broken.coverage < 0.95
    assert whole.energy_j == pytest.approx(100 * measurement.duration_s, rel=0.01)
    assert [warning.code for warning in sampler.warnings] == ["sensor-failed"]
    assert "the driver is gone" in sampler.warnings[0].message
    assert "coverage" in {warning.code for warning in window.warnings}
    assert brittle.closed


def test_a_sensor_stuck_in_its_driver_does_not_hang_the_run() -> None:
    release = threading.Event()
    stuck = Brittle(works_for=3, release=release)
    sampler = sample([stuck, steady()])
    sampler.start()
    time.sleep(0.2)
    window = sampler.open_window("window")
    measurement = sampler.close_window(window)
    sampler.stop()
    assert [energy.sensor for energy in measurement.devices] == ["simulated"]
    assert "sensor-stuck" in {warning.code for warning in sampler.warnings}
    assert not stuck.closed  # closing a driver under a thread that is inside it could crash the process
    release.set()
    for thread in threading.enumerate():
        if thread.name == "mlee-brittle":
            thread.join(STUCK_S)


def test_a_starved_sampler_loses_no_energy() -> None:
    """The run holds the interpreter's lock throughout, so that no sampler thread can ever read."""
    sampler = sample([SimulatedSensor(SensorOptions(profile="square"))])
    sampler.start()
    window = sampler.open_window("window")
    ctypes.PyDLL(None).usleep(400_000)
    measurement = sampler.close_window(window)
    (energy,) = measurement.devices
    truth = SimulatedSensor(SensorOptions(profile="square"))._profile
    sampler.stop()
    origin_s = window.start_s - next(iter(_origins(sampler)))
    assert energy.energy_j == pytest.approx(
        truth.energy_j(origin_s + measurement.duration_s) - truth.energy_j(origin_s), abs=0.5
    )


def _origins(sampler: Sampler) -> list[float]:
    return [line.sensor._origin_s for line in sampler.lines if isinstance(line.sensor, SimulatedSensor)]


def test_windows_may_nest_and_overlap() -> None:
    sampler = sample([steady()])
    outer = sampler.open_window("outer")
    first = sampler.open_window("first")
    second = sampler.open_window("second")
    time.sleep(0.05)
    inner = [sampler.close_window(window) for window in (first, second)]
    total = sampler.close_window(outer)
    sampler.stop()
    for measurement in (*inner, total):
        assert measurement.energy_j == pytest.approx(100 * measurement.duration_s, rel=0.02)
    assert total.duration_s > max(measurement.duration_s for measurement in inner)


def test_monitor_measures_a_block_that_raises(tmp_path: Path) -> None:
    with Monitor("simulated", folder=tmp_path) as monitor, pytest.raises(KeyError), monitor.window("block"):
        raise KeyError
    assert monitor.measurements["block"].energy_j is not None
    lines = (tmp_path / "phases.csv").read_text().splitlines()
    assert [line.split(",")[1:] for line in lines[1:]] == [["open", "block"], ["close", "block"]]
    assert read_trace(tmp_path / "trace_simulated.csv").traces["simulated"].t_s.size >= 2


def test_stop_twice_is_harmless() -> None:
    with Monitor("simulated") as monitor:
        pass
    monitor.stop()


def test_no_thread_is_left_behind() -> None:
    with Monitor(["simulated", "process"]):
        assert {"mlee-simulated", "mlee-process"} <= {thread.name for thread in threading.enumerate()}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mlee-")]


@pytest.mark.parametrize("interval_s", [0.0, -1.0, float("nan"), float("inf")])
def test_interval_must_be_positive(interval_s: float) -> None:
    with pytest.raises(ConfigError, match="must be a positive number of seconds"):
        Monitor("simulated", cpu_interval_s=interval_s)


@pytest.mark.parametrize("name", ["phases.csv", "trace_simulated.csv", "trace_process.csv"])
@pytest.mark.parametrize("target", ["/dev/full", "/none/there"])
def test_a_folder_without_room_for_traces_is_an_expected_error_and_leaves_nothing_open(
    name: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    for sensor in (SimulatedSensor, ProcessSensor):
        monkeypatch.setattr(sensor, "close", lambda self: closed.append(self.name))
    (tmp_path / name).symlink_to(target)
    with pytest.raises(ResultError, match=r"traces cannot be written to .*: No (space left|such file)") as refused:
        Monitor(["simulated", "process"], folder=tmp_path)
    assert refused.value.hint
    assert sorted(closed) == ["process", "simulated"]


def test_an_interval_longer_than_any_wait_means_readings_at_the_edges_only() -> None:
    with Monitor("simulated", cpu_interval_s=1e10) as monitor:
        with monitor.window("window") as window:
            time.sleep(0.05)
        assert [thread for thread in threading.enumerate() if thread.name == "mlee-simulated"]
    assert window.measurement is not None
    assert window.measurement.energy_j is not None
    assert monitor.warnings == []


def test_a_thread_that_dies_is_said() -> None:
    with Monitor("simulated", cpu_interval_s=1e-310) as monitor:  # no whole number of ticks fits in
        for thread in threading.enumerate():
            if thread.name == "mlee-simulated":
                thread.join(STUCK_S)
    assert [warning.code for warning in monitor.warnings] == ["sensor-failed"]


def test_sensor_asked_for_by_name_must_work(tmp_path: Path) -> None:
    options = SensorOptions(powercap=tmp_path / "nowhere", perf_power=tmp_path / "nowhere")
    with pytest.raises(SensorUnavailable, match=r"Sensor rapl cannot be used: .* does not exist"):
        Monitor(["process", "rapl"], options=options)


def test_auto_lists_what_it_cannot_measure(tmp_path: Path) -> None:
    options = SensorOptions(
        powercap=tmp_path / "nowhere", perf_power=tmp_path / "nowhere", gpus_unused_because="The run uses no GPU."
    )
    with Monitor("auto", options=options) as monitor:
        assert {"nvml", "rapl"} <= set(monitor.missing())
        assert [sensor.name for sensor in monitor.sensors] == ["process", "cpu_model"]

"""Edges of windows in virtual time: whatever stands beside a counter, its energy is true at both edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from mlee.readings import Channel, Reading
from mlee.records import Device, Measurement
from mlee.sampling import OpenWindow, Sampler
from mlee.sensor_thread import SensorThread
from mlee.sensors.base import Sensor

IDLE_W, WORK_W = 60.0, 700.0
#: Never in step with ticks.
INTERVAL_S = 0.187


class World:
    """A clock that only moves when somebody looks at it or waits, and a device that works in the window only."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.start_s = self.end_s = float("inf")

    def clock(self) -> float:
        self.now_s += 2e-6
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def energy_j(self, until_s: float) -> float:
        """True energy since the beginning of time [J]."""
        worked_s = max(0.0, min(until_s, self.end_s) - self.start_s)
        return IDLE_W * until_s + (WORK_W - IDLE_W) * worked_s


class Counter(Sensor):
    """An energy counter that ticks every `period_s` (0: exact at every instant); a full read may take long."""

    def __init__(self, world: World, name: str, period_s: float, offset_s: float = 0.0, slow_s: float = 0.0) -> None:
        super().__init__()
        self.name = name  # type: ignore[misc]
        self._world, self._period_s, self._offset_s, self._slow_s = world, period_s, offset_s, slow_s
        device = Device(kind="gpu", index=0, name=name)
        self.channels = (
            Channel(device=device, key=name, sensor=name, counter=True, gauge=False, counter_period_s=period_s),
        )

    def read(self, *, everything: bool = False) -> Sequence[Reading | None]:
        readings = self.read_counters()
        self._world.sleep(self._slow_s)
        return readings

    def read_counters(self) -> Sequence[Reading | None]:
        now_s = shown_s = self._world.clock()
        if self._period_s:
            shown_s = (now_s - self._offset_s) // self._period_s * self._period_s + self._offset_s
        return (Reading(now_s, self._world.energy_j(shown_s), None),)


class Slow(Sensor):
    """Knows no energy and takes its time: a process tree of thousands."""

    name = "slow"

    def __init__(self, world: World, seconds: float) -> None:
        super().__init__()
        self._world, self._seconds = world, seconds
        device = Device(kind="system", index=0, name="slow")
        self.channels = (Channel(device=device, key="slow", sensor="slow", counter=False, gauge=False, added=False),)

    def read(self, *, everything: bool = False) -> Sequence[Reading | None]:
        if everything:
            self._world.sleep(self._seconds)
        return (Reading(self._world.clock(), None, None),)


class Gauge(Slow):
    """Knows power only, which takes a while, too."""

    name = "gauge"

    def __init__(self, world: World, seconds: float) -> None:
        super().__init__(world, seconds)
        device = Device(kind="gpu", index=1, name="gauge")
        self.channels = (Channel(device=device, key="gauge", sensor="gauge", counter=False, gauge=True),)

    def read(self, *, everything: bool = False) -> Sequence[Reading | None]:
        (reading,) = super().read(everything=everything)
        assert reading is not None
        self._world.sleep(self._seconds / 20)
        return (Reading(reading.t_s, None, WORK_W if self._world.start_s < reading.t_s < self._world.end_s else IDLE_W),)


def measure(
    world: World,
    sensors: Sequence[Sensor],
    duration_s: float,
    interrupt: Callable[[Sampler], None] | None = None,
    interval_s: float = INTERVAL_S,
) -> tuple[Measurement, OpenWindow]:
    """Measure a window with a reading of every sensor regularly; the device works exactly as long as it is open."""
    sampler = Sampler(
        sensors, dict.fromkeys((sensor.name for sensor in sensors), interval_s), clock=world.clock, sleep=world.sleep
    )
    window = sampler.open_window("window")
    world.start_s = window.start_s
    until_s = world.now_s + duration_s
    while world.now_s + interval_s < until_s:
        world.sleep(interval_s)
        for line in sampler.lines:
            line.read()
    world.sleep(until_s - world.now_s)
    world.end_s = world.now_s
    if interrupt is not None:
        interrupt(sampler)
    return sampler.close_window(window), window


def error_j(world: World, measurement: Measurement, window: OpenWindow) -> float:
    energy = measurement.devices[0]
    assert window.end_s is not None
    assert energy.energy_j is not None
    return energy.energy_j - (world.energy_j(window.end_s) - world.energy_j(window.start_s))


@pytest.mark.parametrize("duration_s", [1.0, 1.0137, 1.0611])
@pytest.mark.parametrize("period_s", [0.001, 0.02, 0.1])
@pytest.mark.parametrize("neighbour", [Slow, Gauge])
@pytest.mark.parametrize("slow_s", [0.0, 0.08, 0.18])
@pytest.mark.parametrize("first", [True, False], ids=["counter first", "neighbour first"])
def test_a_slow_neighbour_costs_a_counter_nothing(
    first: bool, slow_s: float, neighbour: type[Slow], period_s: float, duration_s: float
) -> None:
    world = World()
    counter, beside = Counter(world, "counter", period_s, 0.0031), neighbour(world, slow_s)
    measurement, window = measure(world, [counter, beside] if first else [beside, counter], duration_s)
    ours = next(energy for energy in measurement.devices if energy.sensor == "counter")
    assert window.end_s is not None
    truth_j = world.energy_j(window.end_s) - world.energy_j(window.start_s)
    assert ours.energy_j == pytest.approx(truth_j, abs=0.01 * period_s * WORK_W + 0.0005 * WORK_W)


@pytest.mark.parametrize("slow_s", [0.04, 0.18])
def test_a_counter_that_is_slow_itself_is_extrapolated_from_a_tick_just_before_the_start(slow_s: float) -> None:
    """A long way from the last tick to the start would be one that nobody watched."""
    world = World()
    counter = Counter(world, "counter", 0.1, 0.0031, slow_s=slow_s)
    measurement, window = measure(world, [counter], 1.0)
    age_s = (window.start_s - 0.0031) % 0.1
    assert age_s < 0.001
    assert abs(error_j(world, measurement, window)) < 0.01 * 0.1 * WORK_W
    assert (measurement.devices[0].energy_uncertainty_j or 0.0) < 0.02 * 0.1 * WORK_W


@pytest.mark.parametrize("slow_s", [0.0, 0.18])
def test_an_exact_counter_is_read_at_the_edges_beside_slow_ones(slow_s: float) -> None:
    world = World()
    exact, ticking = Counter(world, "exact", 0.0), Counter(world, "ticking", 0.1, slow_s=slow_s)
    measurement, window = measure(world, [exact, ticking, Slow(world, slow_s)], 1.0)
    assert abs(error_j(world, measurement, window)) < 0.0002 * WORK_W


@pytest.mark.parametrize("first", [True, False], ids=["gauge first", "gauge last"])
def test_power_is_read_close_to_the_edges_beside_slow_sensors(first: bool) -> None:
    """A longer way to the next reading than three intervals would be a gap."""
    world = World()
    gauge, others = Gauge(world, 0.01), [Slow(world, 0.18), Counter(world, "counter", 0.001)]
    sensors = [gauge, *others] if first else [*others, gauge]
    measurement, _ = measure(world, sensors, 1.0, interval_s=0.05)
    energy = next(energy for energy in measurement.devices if energy.method == "integral")
    assert energy.coverage == 1.0


class Waiting:
    """A lock that somebody else holds for a while, in which its thread takes a reading or two."""

    def __init__(self, world: World, line: SensorThread, readings: int, seconds: float = 0.05) -> None:
        self._world, self._line, self._readings, self._seconds = world, line, readings, seconds

    def acquire(self, timeout: float) -> bool:
        if timeout == 0:
            return False
        for _ in range(self._readings):
            self._world.sleep(self._seconds)
            self._line.read()
        self._world.sleep(self._seconds)
        return True

    def release(self) -> None:
        pass


@pytest.mark.parametrize("readings", [0, 1, 3])
@pytest.mark.parametrize("period_s", [0.0, 0.1])
def test_what_is_read_after_the_end_is_not_part_of_the_window(period_s: float, readings: int) -> None:
    """While the end waits for a lock, readings go on: they lie after the end, and the first of them tells most."""

    def interrupt(sampler: Sampler) -> None:
        (line,) = sampler.lines
        line.lock = Waiting(world, line, readings)  # type: ignore[assignment]

    world = World()
    measurement, window = measure(world, [Counter(world, "counter", period_s)], 1.0, interrupt)
    energy = measurement.devices[0]
    assert energy.readings == 5
    assert abs(error_j(world, measurement, window)) <= energy.energy_uncertainty_j  # type: ignore[operator]
    # An exact counter lies on a straight line to the first reading after the end; the device stopped in between.
    assert abs(error_j(world, measurement, window)) < (0.05 if period_s == 0 else 0.01 * period_s) * WORK_W


@pytest.mark.parametrize("kind", ["process tree", "driver"])
@pytest.mark.parametrize("period_s", [0.0, 0.001, 0.02, 0.1])
def test_a_neighbour_that_is_being_read_at_the_end_is_not_waited_for(period_s: float, kind: str) -> None:
    """Listing thousands of processes takes a third of a second, and its thread may just have begun."""

    def interrupt(sampler: Sampler) -> None:
        line = sampler.lines[0]
        line.lock = Waiting(world, line, 5)  # type: ignore[assignment]

    world = World()
    busy = Slow(world, 0.1) if kind == "process tree" else Counter(world, "driver", 0.1, slow_s=0.04)
    measurement, window = measure(world, [busy, Counter(world, "counter", period_s, 0.0031)], 1.0, interrupt)
    energy = measurement.devices[-1]
    assert energy.sensor == "counter"
    assert window.end_s is not None
    truth_j = world.energy_j(window.end_s) - world.energy_j(window.start_s)
    assert energy.energy_j == pytest.approx(truth_j, abs=0.01 * period_s * WORK_W + 0.0005 * WORK_W)
    # Two counters do not tick together: up to a period lies between a tick and the start. The wait is ten times as long.
    assert (energy.energy_uncertainty_j or 0.0) < 1.03 * period_s * WORK_W + 0.003 * WORK_W


@pytest.mark.parametrize("before_s", [0.00001, 0.0001, 0.00015])
def test_an_update_right_after_the_look_at_the_end_is_not_missed(before_s: float) -> None:
    world = World()
    _, window = measure(world, [Counter(world, "counter", 0.1, 0.0031)], 1.0)
    assert window.end_s is not None
    to_tick_s = 0.1 - (window.end_s - 0.0031) % 0.1
    world = World()  # the same again, but for the end
    measurement, window = measure(world, [Counter(world, "counter", 0.1, 0.0031)], 1.0 + to_tick_s - before_s)
    assert window.end_s is not None
    assert 0.1 - (window.end_s - 0.0031) % 0.1 == pytest.approx(before_s, abs=3e-6)
    assert abs(error_j(world, measurement, window)) < 0.01 * 0.1 * WORK_W


@pytest.mark.parametrize("period_s", [0.001, 0.02, 0.1])
@pytest.mark.parametrize("late_s", [0.001, 0.0137, 0.05, 0.137])
def test_a_counter_that_is_looked_at_late_knows_what_it_showed_before(late_s: float, period_s: float) -> None:
    """Its own thread was reading, or the machine is busy: the updates since the end are taken back."""

    def interrupt(sampler: Sampler) -> None:
        (line,) = sampler.lines
        line.lock = Waiting(world, line, 0, late_s)  # type: ignore[assignment]

    world = World()
    measurement, window = measure(world, [Counter(world, "counter", period_s, 0.0031)], 1.0137, interrupt)
    energy = measurement.devices[0]
    error = abs(error_j(world, measurement, window))
    assert error < 0.01 * period_s * WORK_W + 0.0005 * WORK_W
    assert error <= energy.energy_uncertainty_j  # type: ignore[operator]

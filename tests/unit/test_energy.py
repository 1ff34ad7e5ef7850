from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlee.edges import Edge, TickWatch, end_edge, refined_start, start_edge
from mlee.energy import WindowEnergy, judge, measure
from mlee.errors import MeasurementError
from mlee.readings import Channel, Reading, Trace
from mlee.records import Device, Window
from mlee.sensors.profiles import PROFILES, PowerProfile

DEVICE = Device(kind="gpu", index=0, name="GPU")
COUNTER = Channel(device=DEVICE, key="gpu0", sensor="test", counter=True, gauge=False)
GAUGE = Channel(device=DEVICE, key="gpu0", sensor="test", counter=False, gauge=True)
BOTH = Channel(device=DEVICE, key="gpu0", sensor="test", counter=True, gauge=True)
STAIRS = Channel(device=DEVICE, key="gpu0", sensor="test", counter=True, gauge=False, counter_period_s=0.1)

powers = st.floats(0, 1000)
profiles = st.lists(st.tuples(st.floats(0.01, 5), powers), min_size=1, max_size=8).map(
    lambda steps: PowerProfile(
        tuple((sum(length for length, _ in steps[:index]), power) for index, (_, power) in enumerate(steps))
    )
)


def trace(profile: PowerProfile, times: list[float], *, counter: bool, gauge: bool) -> Trace:
    return Trace(
        device=DEVICE,
        sensor="test",
        t_s=np.array(times),
        energy_j=np.array([profile.energy_j(t) for t in times]) if counter else None,
        power_w=np.array([profile.power_w(t) for t in times]) if gauge else None,
    )


@given(profiles, st.floats(0, 5), st.floats(0.1, 10))
def test_exact_counter_gives_the_exact_energy_whatever_happens_between_readings(
    profile: PowerProfile, start_s: float, duration_s: float
) -> None:
    window = Window(start_s=start_s, end_s=start_s + duration_s)
    found = measure(trace(profile, [window.start_s, window.end_s], counter=True, gauge=False), window, COUNTER, 0.1)
    assert found.energy_j == pytest.approx(profile.energy_j(window.end_s) - profile.energy_j(start_s), abs=1e-6)
    assert found.coverage == 1.0


@given(powers, powers, st.floats(0.5, 3), st.floats(0.05, 1))
def test_gauge_is_exact_on_a_ramp(first_w: float, last_w: float, start_s: float, interval_s: float) -> None:
    profile = PowerProfile(((0, first_w), (10, last_w)))
    window = Window(start_s=start_s, end_s=start_s + 5)
    times = [index * interval_s for index in range(int(10 / interval_s) + 1)]
    found = measure(trace(profile, times, counter=False, gauge=True), window, GAUGE, interval_s)
    truth_j = profile.energy_j(window.end_s) - profile.energy_j(window.start_s)
    assert found.energy_j == pytest.approx(truth_j, rel=1e-9, abs=1e-9)
    assert found.method == "integral"


@given(st.lists(st.floats(0, 9.9), min_size=1, max_size=20, unique=True))
def test_windows_side_by_side_add_up(cuts: list[float]) -> None:
    whole = trace(PROFILES["square"], [index * 0.1 for index in range(101)], counter=True, gauge=True)
    edges = sorted({0.0, *cuts, 10.0})
    parts = [Window(start_s=a, end_s=b) for a, b in pairwise(edges) if b - a > 1e-6]
    total_j = sum(measure(whole, part, BOTH, 0.1).energy_j or 0.0 for part in parts)
    assert total_j == pytest.approx(1500, abs=0.01)


def test_gap_in_a_gauge_is_held_and_lowers_coverage() -> None:
    times = [0.0, 0.1, 0.2, 2.2, 2.3]
    powers = np.array([100.0, 100.0, 100.0, 300.0, 300.0])
    gappy = Trace(device=DEVICE, sensor="test", t_s=np.array(times), power_w=powers, energy_j=None)
    found = measure(gappy, Window(start_s=0.0, end_s=2.3), GAUGE, 0.1)
    assert found.energy_j == pytest.approx(0.2 * 100 + 2.0 * 100 + 0.1 * 300)
    assert found.coverage == pytest.approx(0.3 / 2.3)
    assert found.energy_uncertainty_j is not None
    assert found.energy_uncertainty_j >= 2.0 * 200


def test_reset_is_bridged_by_the_slope_before_it() -> None:
    times = [0.0, 1.0, 2.0, 3.0, 4.0]
    energy = np.array([1000.0, 1100.0, 1200.0, 50.0, 150.0])
    reset = Trace(device=DEVICE, sensor="test", t_s=np.array(times), power_w=None, energy_j=energy)
    found = measure(reset, Window(start_s=0.0, end_s=4.0), COUNTER, 1.0)
    assert found.energy_j == pytest.approx(400.0)
    assert found.coverage == pytest.approx(0.75)
    assert found.energy_uncertainty_j is not None
    assert found.energy_uncertainty_j >= 100


@pytest.mark.parametrize("base_j", [5.0, 5000.0])
@pytest.mark.parametrize("end_s", [10.0, 9.5])
def test_a_reset_in_the_last_interval_is_seen_wherever_the_count_began(base_j: float, end_s: float) -> None:
    """A counter that began low stands higher after its reset than at the start of the window: the last reading tells."""
    times = [float(second) for second in range(12)]
    energy = np.array([*(base_j + 100 * second for second in range(10)), 50.0, 150.0])
    reset = Trace(device=DEVICE, sensor="test", t_s=np.array(times), power_w=None, energy_j=energy)
    found = measure(reset, Window(start_s=0.0, end_s=end_s), COUNTER, 1.0)
    assert found.energy_j == pytest.approx(100 * end_s)
    assert found.coverage == pytest.approx(9 / end_s)


def test_a_reset_in_the_first_interval_is_bridged_too() -> None:
    times = [float(second) for second in range(5)]
    energy = np.array([1000.0, 50.0, 150.0, 250.0, 350.0])
    reset = Trace(device=DEVICE, sensor="test", t_s=np.array(times), power_w=None, energy_j=energy)
    found = measure(reset, Window(start_s=0.5, end_s=4.0), COUNTER, 1.0)
    assert found.energy_j == pytest.approx(300.0)
    assert found.coverage < 0.95


def test_a_band_of_a_model_is_part_of_the_uncertainty() -> None:
    model = Channel(
        device=DEVICE, key="cpu", sensor="test", counter=True, gauge=False, method="model", relative_uncertainty=0.5
    )
    found = measure(trace(PROFILES["steady"], [0.0, 10.0], counter=True, gauge=False), Window(start_s=0, end_s=10), model, 1)
    assert found.energy_j == pytest.approx(1000.0)
    assert found.energy_uncertainty_j == pytest.approx(500.0)


def test_looks_at_the_counter_alone_sharpen_its_edges_and_leave_the_gauge_whole() -> None:
    """Around an edge, counters are read once more without the power."""
    profile = PowerProfile(((0, 50), (1, 50), (1, 400), (2, 400), (2, 50)))
    times = [0.8, 0.9999, 1.2, 1.4, 1.6, 1.8, 2.0001, 2.2]
    energy = np.array([profile.energy_j(t) for t in times])
    power = np.array([np.nan if t in (0.9999, 2.0001) else profile.power_w(t) for t in times])
    found = measure(
        Trace(device=DEVICE, sensor="test", t_s=np.array(times), power_w=power, energy_j=energy),
        Window(start_s=1.0, end_s=2.0),
        replace(BOTH, counter_period_s=0.001),
        0.2,
    )
    assert found.energy_j == pytest.approx(400.0, abs=0.2)
    assert found.integral_j == pytest.approx(400.0, rel=0.2)
    assert found.coverage == 1.0


def test_device_that_never_answers_has_no_energy() -> None:
    first = Reading(0.0, None, None)
    fold = WindowEnergy(BOTH, 0.1, Edge(0.0, None), first)
    fold.add(Reading(0.5, None, None))
    found = fold.finish(Edge(1.0, None), Reading(1.0, None, None))
    assert found.energy_j is None
    assert found.coverage == 0.0


def test_counter_that_fails_falls_back_to_the_gauge() -> None:
    fold = WindowEnergy(BOTH, 0.1, Edge(0.0, None), Reading(0.0, None, 50.0))
    for tenth in range(1, 10):
        fold.add(Reading(tenth / 10, None, 50.0))
    found = fold.finish(Edge(1.0, None), Reading(1.0, None, 50.0))
    assert found.energy_j == pytest.approx(50.0)
    assert found.method == "integral"


def test_trace_that_ends_before_the_window_is_an_error() -> None:
    late = trace(PROFILES["steady"], [5.0, 6.0], counter=True, gauge=False)
    with pytest.raises(MeasurementError, match="no reading before the end"):
        measure(late, Window(start_s=1.0, end_s=2.0), COUNTER, 1.0)


def watch(profile: PowerProfile, from_s: float, until_s: float, period_s: float, poll_s: float = 0.0003) -> TickWatch:
    found = TickWatch()
    steps = int((until_s - from_s) / poll_s)
    for t in (from_s + step * poll_s for step in range(steps)):
        found.add(Reading(t, profile.energy_j(t // period_s * period_s), None))
    return found


@given(st.floats(0, 500), st.floats(0, 500), st.floats(1.0, 1.3), st.floats(-0.3, 0.3))
def test_end_edge_is_exact_for_one_change_of_power_near_it(
    before_w: float, after_w: float, end_s: float, change_after_s: float
) -> None:
    """Wherever the power changes once around the end, the energy there is found from ticks 0.1 s apart."""
    change_s = end_s + change_after_s
    profile = PowerProfile(((0, before_w), (change_s, before_w), (change_s, after_w)))
    shown = Reading(end_s, profile.energy_j(end_s // 0.1 * 0.1), None)
    recent = [Reading(t, profile.energy_j(t // 0.1 * 0.1), None) for t in (end_s - 0.33, end_s - 0.23, end_s - 0.13)]
    edge = end_edge(STAIRS, end_s, shown, watch(profile, end_s, end_s + 0.25, 0.1), recent)
    assert edge.energy_j is not None
    unsure_j = edge.unsure_j + edge.unsure_s * max(before_w, after_w) + 1e-6
    assert abs(edge.energy_j - profile.energy_j(end_s)) <= unsure_j + 0.02 * 0.1 * abs(before_w - after_w)
    if abs(change_after_s) > 0.21:  # no change between the ticks beside the end: exact
        assert edge.energy_j == pytest.approx(profile.energy_j(end_s), abs=0.001 * max(before_w, after_w, 1))


@given(st.floats(1, 500), st.floats(1.0, 1.3))
def test_start_edge_is_exact_for_an_idle_device(idle_w: float, start_s: float) -> None:
    profile = PowerProfile(((0, idle_w),))
    watched = watch(profile, start_s - 0.25, start_s, 0.1)
    last = Reading(start_s, profile.energy_j(start_s // 0.1 * 0.1), None)
    edge = start_edge(STAIRS, start_s, last, watched)
    assert edge.energy_j == pytest.approx(profile.energy_j(start_s), abs=0.002 * idle_w)
    assert refined_start(edge, []) == edge


def test_ticks_that_never_come_leave_a_whole_period_unsure() -> None:
    stuck = TickWatch()
    for t in range(100):
        stuck.add(Reading(t * 0.001, 5.0, None))
    assert stuck.after() is None
    edge = start_edge(STAIRS, 0.1, Reading(0.1, 5.0, None), stuck)
    assert (edge.energy_j, edge.unsure_s) == (5.0, STAIRS.counter_period_s)


@pytest.mark.parametrize(
    ("coverage", "duration_s", "integral_j", "codes"),
    [
        (1.0, 10.0, 100.0, []),
        (0.94, 10.0, 100.0, ["coverage"]),
        (1.0, 0.9, 100.0, ["short-run"]),
        (1.0, 10.0, 106.0, ["counter-mismatch"]),
        (1.0, 10.0, 104.0, []),
    ],
)
def test_judgement(coverage: float, duration_s: float, integral_j: float, codes: list[str]) -> None:
    whole = trace(PROFILES["steady"], [0.0, 1.0], counter=True, gauge=False)
    energy = measure(whole, Window(start_s=0.0, end_s=1.0), STAIRS, 0.1)
    energy = replace(energy, coverage=coverage, energy_j=100.0, integral_j=integral_j)
    assert [warning.code for warning in judge(energy, STAIRS, duration_s)] == codes


@given(st.floats(10, 500), st.floats(1.0, 1.3), st.floats(0.0, 0.25))
def test_a_watch_that_begins_late_loses_no_update(power_w: float, end_s: float, late_s: float) -> None:
    """A loaded machine may look at the counter again only after it has ticked once or twice more."""
    profile = PowerProfile(((0, power_w),))
    shown = Reading(end_s + 0.0002, profile.energy_j((end_s + 0.0002) // 0.1 * 0.1), None)
    edge = end_edge(STAIRS, end_s, shown, watch(profile, end_s + late_s, end_s + late_s + 0.25, 0.1))
    assert edge.energy_j is not None
    # Where the watch begins within a look of a tick, either side of it may be meant: then the uncertainty says so.
    assert abs(edge.energy_j - profile.energy_j(end_s)) <= max(0.002 * power_w, edge.unsure_j + edge.unsure_s * power_w)

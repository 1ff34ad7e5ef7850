"""Energy of a window from readings: pure arithmetic, nothing here touches hardware, files or clocks.

Two ways lead from readings to energy (see docs/measuring.md for the reasons):

* an energy **counter** is read at the two edges of the window and in between only to notice resets. What it shows at an
  edge needs care, since it is a staircase: see `mlee.edges`. One that is exact at every instant is interpolated there;
* a power **gauge** is integrated by trapezoids and held over gaps.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mlee.edges import Edge, refined_start
from mlee.errors import MeasurementError
from mlee.readings import Channel, Reading, Trace
from mlee.records import DeviceEnergy, Method, Warning, Window

#: A gap between two gauge readings of more than this many sampling intervals lowers the coverage.
GAP_INTERVALS = 3
#: Below this coverage a result carries a warning.
MIN_COVERAGE = 0.95
#: A window shorter than this many update periods of its sensor carries a warning.
MIN_PERIODS = 10
#: Counter and gauge may differ by this share before a result carries a warning.
MAX_MISMATCH = 0.05
_KEPT = 4


class WindowEnergy:
    """Folds the readings of one channel, one by one, into the energy of one window.

    Memory does not grow with the number of readings. Readings come in time order; the first is the last one before the
    window, further ones come through `add`, and `finish` takes the first one after the window.
    """

    def __init__(
        self, channel: Channel, interval_s: float, start: Edge, first: Reading, gauge: Reading | None = None
    ) -> None:
        """Open the window at `start`; `interval_s` is the sampling interval, the measure of what counts as a gap.

        `first` is the last look at the counter, `gauge` the last one at the power where that was another.
        """
        self._channel = channel
        self._interval_s = interval_s
        self._start = start
        self._readings = 0
        self._max_power_w: float | None = None
        self._uncovered_s = 0.0
        # counter: what is finished since the start or the latest reset, and from where the current stretch counts
        self._counted_j = 0.0
        self._base_j = start.energy_j
        self._first = self._last_counter = first
        self._slope_from = first
        #: The first and the latest readings, for the power after the start and before the end.
        self._early: list[Reading] = []
        self.recent: deque[Reading] = deque([first], maxlen=_KEPT)
        self._slope_w = 0.0
        self._filled_j = 0.0
        # gauge
        self._integral_j = 0.0
        self._integral_unsure_j2 = 0.0
        self._gap_j = 0.0
        gauge = first if gauge is None else gauge
        self._first_gauge = self._last_gauge = gauge if gauge.power_w is not None else None

    def add(self, reading: Reading) -> None:
        """Take a reading inside the window."""
        self._readings += 1
        self.recent.append(reading)
        if len(self._early) < _KEPT:
            self._early.append(reading)
        # The gauge first: a counter reset is filled with the gauge's energy of the same stretch.
        stretch_j = self._add_gauge(reading, reading.t_s)
        self._add_counter(reading, stretch_j)

    def finish(self, end: Edge, last: Reading | None) -> DeviceEnergy:
        """Close the window at `end`; `last` is the first reading at or after it, `None` when the device is lost."""
        start_s, end_s = self._start.t_s, end.t_s
        duration_s = end_s - start_s
        if last is not None:
            self._add_gauge(last, end_s)
        start, self._start = self._start, refined_start(self._start, self._early)
        if self._channel.counter_period_s == 0:
            after = [] if last is None else [last]
            self._start = _straight(self._start, [self._first, *self._early, *after])
            end = _straight(end, [*self.recent, *after])
        if self._base_j is not None and self._base_j == start.energy_j:  # no reset has moved the base since
            self._base_j = self._start.energy_j
        integral_j, integral_lost_s = self._finish_gauge(end_s)
        if self._channel.counter and self._base_j is not None:
            energy_j, lost_s, unsure_s, unsure_j = self._finish_counter(end)
            method: Method = "counter"
        elif integral_j is not None:
            energy_j, lost_s, unsure_s = integral_j, integral_lost_s, 0.0
            unsure_j = self._integral_unsure_j() + self._channel.gauge_resolution_w * duration_s
            method = "integral"
        else:
            return self._nothing()
        covered_s = max(0.0, duration_s - lost_s)
        mean_w = energy_j / covered_s if covered_s > 0 else None
        power_w = max(mean_w or 0.0, self._slope_w, self._max_power_w or 0.0)
        if method == "counter":
            unsure_j += self._start.step_unsure_j(mean_w or 0.0, self._max_power_w)
        # What was drawn while nobody looked is not made up, but it may have been as much as ever seen before.
        unsure_j += unsure_s * power_w + lost_s * power_w
        unsure_j += self._channel.relative_uncertainty * energy_j
        return DeviceEnergy(
            device=self._channel.device,
            sensor=self._channel.sensor,
            energy_j=max(energy_j, 0.0),
            energy_uncertainty_j=unsure_j,
            mean_power_w=None if mean_w is None else max(mean_w, 0.0),
            max_power_w=self._max_power_w,
            readings=self._readings,
            coverage=min(1.0, max(0.0, 1 - (lost_s + self._uncovered_s) / duration_s)),
            method=self._channel.method or method,
            provenance=self._channel.provenance,
            integral_j=integral_j if method == "counter" else None,
        )

    def _add_counter(self, reading: Reading, stretch_j: float | None) -> None:
        last, energy_j = self._last_counter, reading.energy_j
        if energy_j is None or self._base_j is None or last.energy_j is None:
            return
        self._last_counter = reading
        if energy_j < last.energy_j:
            elapsed_s = reading.t_s - last.t_s
            filled_j = self._slope_w * elapsed_s if stretch_j is None else stretch_j
            self._counted_j += last.energy_j - self._base_j + filled_j
            self._filled_j += filled_j
            self._uncovered_s += elapsed_s
            self._base_j = energy_j
            self._slope_from = reading
            return
        # Two readings within a few updates of the counter say little about power: wait for a longer stretch.
        elapsed_s = reading.t_s - self._slope_from.t_s
        if elapsed_s >= max(MIN_PERIODS * self._channel.counter_period_s, self._interval_s / 2):
            self._slope_w = (energy_j - (self._slope_from.energy_j or 0.0)) / elapsed_s
            self._slope_from = reading
            if not self._channel.gauge:
                self._max_power_w = max(self._max_power_w or 0.0, self._slope_w)

    def _add_gauge(self, reading: Reading, until_s: float) -> float | None:
        """Integrate from the last reading to this one, clipped to the window up to `until_s`; return that energy [J]."""
        power_w, last = reading.power_w, self._last_gauge
        if power_w is None:
            return None
        if reading.t_s <= until_s:
            self._max_power_w = max(self._max_power_w or 0.0, power_w)
        self._last_gauge = reading
        if self._first_gauge is None:
            self._first_gauge = reading
        if last is None or last.power_w is None or reading.t_s <= last.t_s:
            return None
        elapsed_s = reading.t_s - last.t_s
        step_w = power_w - last.power_w
        begin_s, stop_s = max(last.t_s, self._start.t_s), min(reading.t_s, until_s)
        inside_s = stop_s - begin_s
        if inside_s <= 0:
            return None
        if elapsed_s > GAP_INTERVALS * self._interval_s:
            energy_j = last.power_w * inside_s
            self._gap_j += abs(step_w) * inside_s
            if not self._channel.counter:
                self._uncovered_s += inside_s
        else:
            middle_s = (begin_s + stop_s) / 2 - last.t_s
            energy_j = (last.power_w + step_w * middle_s / elapsed_s) * inside_s
            self._integral_unsure_j2 += (step_w * inside_s / 2) ** 2
        self._integral_j += energy_j
        return energy_j

    def _finish_gauge(self, end_s: float) -> tuple[float | None, float]:
        """Energy from the gauge [J], and how much of the window no pair of readings brackets [s]."""
        if self._first_gauge is None or self._last_gauge is None:
            return None, end_s - self._start.t_s
        lost_s = max(0.0, self._first_gauge.t_s - self._start.t_s) + max(0.0, end_s - self._last_gauge.t_s)
        return self._integral_j, min(lost_s, end_s - self._start.t_s)

    def _finish_counter(self, end: Edge) -> tuple[float, float, float, float]:
        """Energy [J], time lost at the end [s], and the uncertainty in seconds of power and in joules."""
        assert self._base_j is not None
        unsure_s, unsure_j = self._start.unsure_s, self._start.unsure_j + self._filled_j
        last = self._last_counter
        if end.energy_j is None:  # the device was lost: what it counted until then is what was measured
            counted = max(0.0, (last.energy_j or 0.0) - self._base_j)
            lost_s = min(end.t_s - last.t_s, end.t_s - self._start.t_s)
            return self._counted_j + counted, lost_s, unsure_s + self._channel.counter_period_s, unsure_j
        unsure_s, unsure_j = unsure_s + end.unsure_s, unsure_j + end.unsure_j
        if end.energy_j < (last.energy_j or 0.0):  # a reset between the last reading and the end
            stretch_s = end.t_s - last.t_s
            filled_j = self._slope_w * stretch_s
            self._uncovered_s += stretch_s
            counted = (last.energy_j or 0.0) - self._base_j + filled_j
            return self._counted_j + counted, 0.0, unsure_s, unsure_j + filled_j
        return self._counted_j + end.energy_j - self._base_j, 0.0, unsure_s, unsure_j

    def _integral_unsure_j(self) -> float:
        """Bound what trapezoids between readings, gaps and the gauge's own averaging can hide [J]."""
        ends_w = [gauge.power_w or 0.0 for gauge in (self._first_gauge, self._last_gauge) if gauge is not None]
        drift_w = max(ends_w, default=0.0) - min(ends_w, default=0.0)
        return math.sqrt(self._integral_unsure_j2) + self._gap_j + drift_w * self._channel.gauge_period_s / 2

    def _nothing(self) -> DeviceEnergy:
        return DeviceEnergy(
            device=self._channel.device,
            sensor=self._channel.sensor,
            energy_j=None,
            energy_uncertainty_j=None,
            mean_power_w=None,
            max_power_w=None,
            readings=self._readings,
            coverage=0.0,
            method=self._channel.method or ("counter" if self._channel.counter else "integral"),
            provenance=self._channel.provenance,
        )


def measure(trace: Trace, window: Window, channel: Channel, interval_s: float) -> DeviceEnergy:
    """Energy of a window from a stored trace.

    The counter is interpolated in a straight line at the edges; live windows (`mlee.sampling`) know its ticks and are
    sharper. Raises `MeasurementError` when no reading lies before the end of the window.
    """
    readings = list(_readings(trace))
    before = [reading for reading in readings if reading.t_s <= window.start_s]
    inside = [reading for reading in readings if window.start_s < reading.t_s < window.end_s]
    after = [reading for reading in readings if reading.t_s >= window.end_s]
    if not before and not inside:
        raise MeasurementError(
            f"The trace of {trace.device.name} has no reading before the end of the window at {window.end_s:.3f} s.",
            "check that trace and window come from the same run",
        )
    if not before:
        before = [inside.pop(0)]
    # Around an edge, a look at the counter alone may lie between those at everything.
    first, gauge = (next((r for r in reversed(before) if r[field] is not None), before[-1]) for field in (1, 2))
    shown, last = (next((r for r in after if r[field] is not None), None) for field in (1, 2))
    counted = [first, *inside, *([] if shown is None else [shown])]
    start = _straight(Edge(window.start_s, first.energy_j, channel.counter_period_s), counted)
    end = Edge(window.end_s, None if shown is None else shown.energy_j, channel.counter_period_s)
    fold = WindowEnergy(channel, interval_s, start, first, gauge)
    for reading in inside:
        fold.add(reading)
    return fold.finish(_straight(end, counted), shown if last is None else last)


def _readings(trace: Trace) -> Iterator[Reading]:
    missing = np.full_like(trace.t_s, np.nan)
    energies = missing if trace.energy_j is None else trace.energy_j
    powers = missing if trace.power_w is None else trace.power_w
    for t, energy, power in zip(trace.t_s.tolist(), energies.tolist(), powers.tolist(), strict=True):
        yield Reading(t, None if math.isnan(energy) else energy, None if math.isnan(power) else power)


def _straight(edge: Edge, readings: Sequence[Reading]) -> Edge:
    """Move an edge onto the straight line between the readings around it; one at a reset or beside them stays."""
    counted = [(reading.t_s, reading.energy_j) for reading in readings if reading.energy_j is not None]
    for (from_s, from_j), (to_s, to_j) in pairwise(counted):
        if edge.energy_j is not None and from_s <= edge.t_s <= to_s and from_s < to_s and from_j <= to_j:
            energy_j = min(from_j + (to_j - from_j) * (edge.t_s - from_s) / (to_s - from_s), to_j)
            return replace(edge, energy_j=energy_j, unsure_j=min(energy_j - from_j, to_j - energy_j))
    return edge


def judge(energy: DeviceEnergy, channel: Channel, duration_s: float) -> list[Warning]:
    """Say what a reader of this energy must know: low coverage, a short window, counter and gauge that disagree."""
    warnings: list[Warning] = []
    name = energy.device.name
    if energy.coverage < MIN_COVERAGE:
        share = f"{energy.coverage:.0%}"
        warnings.append(Warning(code="coverage", message=f"Only {share} of the window is covered by readings of {name}."))
    period_s = channel.counter_period_s if energy.method == "counter" else channel.gauge_period_s
    if duration_s < MIN_PERIODS * period_s:
        warnings.append(
            Warning(
                code="short-run",
                message=f"The window of {duration_s:.3g} s is shorter than {MIN_PERIODS} update periods of {name} "
                f"({period_s:.3g} s each): run more batches.",
            )
        )
    if energy.energy_j and energy.integral_j and duration_s >= MIN_PERIODS * channel.gauge_period_s:
        mismatch = energy.integral_j / energy.energy_j - 1
        if abs(mismatch) > MAX_MISMATCH:
            warnings.append(
                Warning(
                    code="counter-mismatch",
                    message=f"{name}: the integral of the power readings differs from the energy counter "
                    f"by {mismatch:+.0%}; the counter is used.",
                )
            )
    return warnings

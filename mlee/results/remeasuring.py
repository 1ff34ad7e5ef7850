"""Computing windows again from the traces of a folder: what verifying runs of both tasks share."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import numpy as np

from mlee.energy import measure
from mlee.errors import MeasurementError, ResultError
from mlee.monitor import PHASES_FILE
from mlee.readings import Channel, Trace
from mlee.records import Device, DeviceEnergy, RunResult, Window
from mlee.sensors import nvml, rapl
from mlee.traces import read_trace

#: How long the energy counter of a sensor may stand still [s]; those of the others are exact at every instant.
_PERIODS_S = {"nvml": nvml.COUNTER_PERIOD_S, "rapl": rapl.COUNTER_PERIOD_S}
#: How much later than meant a busy machine looks at a counter [s].
_LATE_S = 0.005
#: Rounding of times in traces and phases [s], and of values and sums of thousands of readings.
CLOCK_S = 5e-6
ROUNDING = 1e-4
#: The highest power is looked for this far around a window [s].
_AROUND_S = 1.0
#: What the sampler says of a trace that it cannot write on.
_TRACE_LOST = re.compile(r"The trace of (\w+) ends early ")
CHANGED = "result.json or the trace was changed or damaged after the run"

Traces = dict[tuple[str, Device], Trace]


def lost_traces(result: RunResult) -> set[str]:
    """Name the sensors whose traces ended before the run; raises `ResultError` where a warning does not tell which."""
    lost = set()
    for warning in result.warnings:
        if warning.code == "trace-lost":
            found = _TRACE_LOST.match(warning.message)
            if found is None:
                raise ResultError(f"{result.run_id}: the warning trace-lost names no sensor: '{warning.message}'", CHANGED)
            lost.add(found[1])
    return lost


def read_traces(folder: Path) -> Traces:
    """Read all traces of a folder, by sensor and device; raises `ResultError`."""
    traces: Traces = {}
    for path in sorted(folder.glob("trace_*.csv")):
        found = read_trace(path)
        traces |= {(found.sensor, trace.device): trace for trace in found.traces.values()}
    return traces


def read_windows(folder: Path) -> dict[str, Window]:
    """Read which windows were closed, by name; raises `ResultError` for a damaged file."""
    path = folder / PHASES_FILE
    opened: dict[str, float] = {}
    windows: dict[str, Window] = {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                at_s, name = float(row["t_s"]), row["phase"]
                if row["event"] == "open":
                    opened[name] = at_s
                else:
                    windows[name] = Window(start_s=opened[name], end_s=at_s)
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, ValueError, TypeError) as error:
        raise ResultError(f"{path} is damaged: {error}") from error
    return windows


def remeasure(
    where: str, energy: DeviceEnergy, trace: Trace, window: Window, result: RunResult
) -> tuple[float, float] | None:
    """Compute a device's energy in a window from its trace [J], and how far the result may differ from it [J].

    `None` where the trace holds no energy; raises `ResultError` where it does not reach to the window.
    """
    config = result.config
    interval_s = config.gpu_monitor_interval if energy.sensor == "nvml" else config.cpu_monitor_interval
    counter = trace.energy_j is not None and energy.method != "integral"
    period_s = _PERIODS_S.get(energy.sensor, 0.0) if counter else 0.0
    channel = Channel(
        device=trace.device,
        key="",
        sensor=energy.sensor,
        counter=counter,
        gauge=trace.power_w is not None,
        counter_period_s=period_s,
    )
    try:
        again = measure(trace, window, channel, interval_s)
    except MeasurementError as error:
        raise ResultError(f"{where}: {error.message}") from error
    if again.energy_j is None:
        return None
    # Ticks the trace does not show, the way from the edges to the readings beside them, and what is said to be missing.
    slack_s = CLOCK_S + (2 * period_s + _LATE_S if period_s else 0.0) + (1 - energy.coverage) * window.duration_s
    slack_s += _gaps_s(trace, window) if counter else 0.0
    allowed_j = ROUNDING * again.energy_j + slack_s * _highest_power_w(trace, window, period_s)
    return again.energy_j, allowed_j


def _gaps_s(trace: Trace, window: Window) -> float:
    """How far the edges of a window lie from the counter's readings beside it [s]."""
    assert trace.energy_j is not None
    times = trace.t_s[np.isfinite(trace.energy_j)]
    before, after = times[times <= window.start_s], times[times >= window.end_s]
    return float(sum(window.start_s - before[-1:]) + sum(after[:1] - window.end_s))


def _highest_power_w(trace: Trace, window: Window, period_s: float) -> float:
    """Highest power that gauge or counter show in and around a window [W]."""
    near = (trace.t_s >= window.start_s - _AROUND_S) & (trace.t_s <= window.end_s + _AROUND_S)
    highest_w = 0.0
    if trace.power_w is not None:
        highest_w = float(np.max(np.nan_to_num(trace.power_w[near]), initial=0.0))
    if trace.energy_j is not None:
        counted = near & np.isfinite(trace.energy_j)
        times, energies = trace.t_s[counted], trace.energy_j[counted]
        # Closer together than a period, two readings may show a whole step or none.
        later = np.searchsorted(times, times + period_s, side="left" if period_s else "right")
        found = later < times.size
        later = later[found]
        slopes_w = (energies[later] - energies[found]) / (times[later] - times[found])
        highest_w = max(highest_w, float(np.max(slopes_w, initial=0.0)))
    return highest_w


def agree(what: str, stated: float, found: float, allowed: float) -> None:
    """Raise `ResultError` where two values are further apart than allowed."""
    if not abs(stated - found) <= allowed:
        raise ResultError(f"{what}: the result says {stated:.6g}, its traces {found:.6g} (+/- {allowed:.2g}).", CHANGED)


def check_mean_power(where: str, energy: DeviceEnergy, duration_s: float) -> None:
    """Check that the mean is the energy over the time that was covered, which the coverage bounds; raises `ResultError`."""
    assert energy.energy_j is not None
    mean_w = energy.mean_power_w
    if mean_w is None and energy.coverage == 0:
        return
    least_w = energy.energy_j / duration_s
    most_w = least_w / energy.coverage if energy.coverage > 0 else math.inf
    if mean_w is None or not least_w * (1 - ROUNDING) <= mean_w <= most_w * (1 + ROUNDING):
        raise ResultError(
            f"{where}, {energy.device.name}: the result says mean_power_w {mean_w}, its energy and duration "
            f"{least_w:.6g} W.",
            CHANGED,
        )


def check_idle_power(where: str, result: RunResult) -> None:
    """Check that the idle power of each measurement is that of the idle phase; raises `ResultError`."""
    idle = result.idle
    found_w = None if idle is None or idle.energy_j is None else idle.energy_j / idle.duration_s
    for number, measurement in enumerate(result.measurements, start=1):
        stated_w, what = measurement.idle_power_w, f"{where}, repeat {number}: idle_power_w"
        if found_w is None or stated_w is None:
            if found_w != stated_w:
                raise ResultError(f"{what} is {stated_w}, the idle phase gives {found_w}.", CHANGED)
            continue
        agree(what, stated_w, found_w, 1e-9 * found_w)

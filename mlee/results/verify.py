"""Verifying a result against its traces: every energy is computed again from the readings on disk.

Results are made while a run goes on, with the ticks of the counters known; a trace only holds readings. So the two may
differ by what a counter does not show between its updates, and by no more.
"""

from __future__ import annotations

import csv
from pathlib import Path

from mlee.energy import measure
from mlee.errors import MeasurementError, ResultError
from mlee.monitor import PHASES_FILE
from mlee.readings import Channel, Trace
from mlee.records import Device, DeviceEnergy, RunResult, Window
from mlee.traces import read_trace

#: The slowest energy counter is updated this often [s].
_SLOWEST_COUNTER_S = 0.1
#: Rounding in traces and in the sums of thousands of readings.
_ROUNDING = 1e-4
_WITHOUT_TRACE = ("external", "calibrated")


def verify(folder: Path, result: RunResult) -> None:
    """Compute every measured energy again; raises `ResultError` naming what disagrees or is damaged."""
    windows = _windows(folder)
    # A trace that ended early (a full disk) is known to be incomplete: the energy was counted without it.
    ended = {warning.message.split()[3] for warning in result.warnings if warning.code == "trace-lost"}
    traces: dict[tuple[str, Device], Trace] = {}
    for path in sorted(folder.glob("trace_*.csv")):
        found = read_trace(path)
        traces |= {(found.sensor, trace.device): trace for trace in found.traces.values()}
    for number, measurement in enumerate(result.measurements, start=1):
        window = windows.get(f"repeat {number}")
        if window is None:
            raise ResultError(f"{folder / PHASES_FILE} does not hold the window 'repeat {number}'.")
        for energy in (*measurement.devices, *measurement.not_added):
            if energy.energy_j is None or energy.sensor in _WITHOUT_TRACE or energy.sensor in ended:
                continue
            trace = traces.get((energy.sensor, energy.device))
            if trace is None:
                raise ResultError(f"{folder.name} has no trace of {energy.device.name} (trace_{energy.sensor}.csv).")
            _compare(folder, f"repeat {number}", energy, trace, window, result)


def _windows(folder: Path) -> dict[str, Window]:
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


def _compare(folder: Path, name: str, energy: DeviceEnergy, trace: Trace, window: Window, result: RunResult) -> None:
    config = result.config
    interval_s = config.gpu_monitor_interval if energy.sensor == "nvml" else config.cpu_monitor_interval
    counter = trace.energy_j is not None and energy.method != "integral"
    channel = Channel(
        device=trace.device,
        key="",
        sensor=energy.sensor,
        counter=counter,
        gauge=trace.power_w is not None,
        counter_period_s=_SLOWEST_COUNTER_S if energy.sensor == "nvml" else 0.0,
    )
    try:
        again = measure(trace, window, channel, interval_s)
    except MeasurementError as error:
        raise ResultError(f"{folder.name}, {name}: {error.message}") from error
    if again.energy_j is None or energy.energy_j is None:
        return
    unsure_j = (energy.energy_uncertainty_j or 0.0) + (again.energy_uncertainty_j or 0.0)
    unsure_j += _ROUNDING * energy.energy_j + 2 * interval_s * (energy.max_power_w or energy.mean_power_w or 0.0)
    if abs(again.energy_j - energy.energy_j) > unsure_j:
        raise ResultError(
            f"{folder.name}, {name}, {energy.device.name}: the result says {energy.energy_j:.6g} J, "
            f"its trace {again.energy_j:.6g} J.",
            "result.json or the trace was changed or damaged after the run",
        )

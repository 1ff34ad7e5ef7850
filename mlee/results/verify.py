"""Verifying a result against its traces: every energy is computed again from the readings on disk.

Results are made while a run goes on, with the ticks of the counters known; a trace only holds readings. So the two may
differ by what a counter does not show between its updates, and by no more. Nothing that the result says of its own
uncertainty widens what is allowed: only its coverage does, and that is plain to see.
"""

from __future__ import annotations

from pathlib import Path

from mlee.errors import ResultError
from mlee.monitor import PHASES_FILE
from mlee.readings import Trace
from mlee.records import AT_THE_WALL, DeviceEnergy, Measurement, RunResult, Window
from mlee.results.remeasuring import (
    CHANGED,
    CLOCK_S,
    Traces,
    agree,
    check_idle_power,
    check_mean_power,
    lost_traces,
    read_traces,
    read_windows,
    remeasure,
)
from mlee.results.verify_training import verify_training
from mlee.training_records import TrainingOutcome


def verify(folder: Path, result: RunResult) -> None:
    """Compute durations, energies and mean powers again; raises `ResultError` naming what disagrees or is damaged."""
    if isinstance(result.outcome, TrainingOutcome):
        verify_training(folder, result, result.outcome)
        return
    windows = read_windows(folder)
    # A trace that ended early (a full disk) is known to be incomplete: the energy was counted without it.
    ended = lost_traces(result)
    broken = any(warning.code.startswith("sensor-") for warning in result.warnings)
    traces = read_traces(folder)
    measurements = {f"repeat {number}": found for number, found in enumerate(result.measurements, start=1)}
    if result.idle is not None:
        measurements["idle"] = result.idle
    elif "idle" in windows:
        raise ResultError(f"{folder.name}: {PHASES_FILE} holds an idle phase, the result does not.", CHANGED)
    for name, measurement in measurements.items():
        window = windows.get(name)
        if window is None:
            raise ResultError(f"{folder / PHASES_FILE} does not hold the window '{name}'.")
        where = f"{folder.name}, {name}"
        agree(f"{where}: duration_s", measurement.duration_s, window.duration_s, CLOCK_S)
        for energy in (*measurement.devices, *measurement.not_added):
            if energy.energy_j is None or energy.sensor in AT_THE_WALL:
                continue
            check_mean_power(where, energy, measurement.duration_s)
            if energy.sensor in ended:
                continue
            trace = traces.get((energy.sensor, energy.device))
            if trace is None:
                raise ResultError(f"{folder.name} has no trace of {energy.device.name} (trace_{energy.sensor}.csv).")
            _compare(where, energy, trace, window, result)
        if not broken:
            _check_whole(where, measurement, traces, window)
    check_idle_power(folder.name, result)


def _compare(where: str, energy: DeviceEnergy, trace: Trace, window: Window, result: RunResult) -> None:
    again = remeasure(where, energy, trace, window, result)
    if again is None or energy.energy_j is None:
        return
    agree(f"{where}, {energy.device.name}: energy_j", energy.energy_j, *again)


def _check_whole(where: str, measurement: Measurement, traces: Traces, window: Window) -> None:
    """Check that no device is missing that was measured throughout."""
    stated = {(energy.sensor, energy.device) for energy in (*measurement.devices, *measurement.not_added)}
    for (sensor, device), trace in traces.items():
        covered = trace.t_s.size and trace.t_s[0] <= window.start_s and trace.t_s[-1] >= window.end_s
        if covered and (sensor, device) not in stated and not (trace.energy_j is None and trace.power_w is None):
            raise ResultError(f"{where}: the trace holds {device.name}, the result does not.", CHANGED)

"""Verifying a training: every window of every epoch is computed again, in the part of the folder that measured it."""

from __future__ import annotations

import re
from dataclasses import replace
from math import fsum
from pathlib import Path
from typing import NamedTuple

from mlee.errors import ResultError
from mlee.monitor import PHASES_FILE
from mlee.records import Device, DeviceEnergy, RunResult, Window
from mlee.results.remeasuring import (
    CHANGED,
    CLOCK_S,
    WITHOUT_TRACE,
    Traces,
    agree,
    lost_traces,
    read_traces,
    read_windows,
    remeasure,
)
from mlee.training_records import TrainingOutcome

#: Sums of rounded numbers.
_ROUNDING = 1e-9
_ON_HOST = re.compile(r" on [^ ]+( \(\d+\))?$")


class _Part(NamedTuple):
    """What one process wrote that measured a machine: its windows, and its traces."""

    windows: dict[str, Window]
    traces: Traces


def verify_training(folder: Path, result: RunResult, outcome: TrainingOutcome) -> None:
    """Compute durations and energies of all epochs again; raises `ResultError` naming what disagrees or is damaged."""
    parts = [_Part(read_windows(path.parent), read_traces(path.parent)) for path in _phases(folder)]
    if not parts:
        raise ResultError(f"{folder} has no {PHASES_FILE}.")
    measurement = result.measurements[0]
    stated = [
        (f"{window} {epoch.number}", duration_s, energy_j)
        for epoch in outcome.history
        for window, duration_s, energy_j in (
            ("epoch", epoch.duration_s, epoch.energy_j),
            ("validation", epoch.validation_duration_s, epoch.validation_energy_j),
        )
    ]
    whole_s = fsum(duration_s for _, duration_s, _ in stated)
    agree(f"{folder.name}: duration_s", measurement.duration_s, whole_s, _ROUNDING * whole_s)
    energies = [energy for energy in measurement.devices if energy.sensor not in WITHOUT_TRACE]
    ended = lost_traces(result)
    for name, duration_s, energy_j in stated:
        found = [part for part in parts if name in part.windows]
        if not found:
            raise ResultError(f"{folder}: no {PHASES_FILE} holds the window '{name}'.")
        # An epoch that ran again after an interruption counts as it was the last time.
        where = f"{folder.name}, {name}"
        agree(f"{where}: duration_s", duration_s, found[-1].windows[name].duration_s, CLOCK_S)
        if energy_j is None or any(energy.sensor in ended or energy.energy_j is None for energy in energies):
            continue
        again = [_again(where, energy, found, name, result) for energy in energies]
        known = [pair for pair in again if pair is not None]
        if len(known) == len(again):
            agree(f"{where}: energy_j", energy_j, fsum(joules for joules, _ in known), fsum(slack for _, slack in known))
    if measurement.energy_j is not None:
        parts_j = [energy_j for _, _, energy_j in stated if energy_j is not None]
        if len(parts_j) == len(stated):
            agree(f"{folder.name}: energy_j", measurement.energy_j, fsum(parts_j), _ROUNDING * fsum(parts_j))
    if (measurement.idle_power_w is None) != (result.idle is None or result.idle.energy_j is None):
        raise ResultError(f"{folder.name}: idle_power_w and the idle phase do not fit together.", CHANGED)


def _phases(folder: Path) -> list[Path]:
    """Return the files of phases, those of the first process first, then those of processes that went on."""
    own = [folder / PHASES_FILE, *sorted(folder.glob(f"host_*/{PHASES_FILE}"))]
    resumed = sorted(
        (path for path in folder.glob("resumed_*") if path.is_dir()), key=lambda path: (len(path.name), path.name)
    )
    later = [found for path in resumed for found in _phases(path)]
    return [path for path in own if path.exists()] + later


def _again(where: str, energy: DeviceEnergy, parts: list[_Part], name: str, result: RunResult) -> tuple[float, float] | None:
    """Compute the energy of a device in a window again, from the last part that has its trace."""
    plain = _ON_HOST.sub("", energy.device.name)
    devices: list[Device] = [energy.device, replace(energy.device, name=plain)]
    for part in reversed(parts):
        for device in devices:
            trace = part.traces.get((energy.sensor, device))
            if trace is not None:
                return remeasure(f"{where}, {energy.device.name}", energy, trace, part.windows[name], result)
    raise ResultError(f"{where}: there is no trace of {energy.device.name} (trace_{energy.sensor}.csv).")

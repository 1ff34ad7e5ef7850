"""Verifying a training: every window of every epoch is computed again, in the part of the folder that measured it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from math import fsum
from pathlib import Path
from typing import NamedTuple

from mlee.errors import ResultError
from mlee.experiment import HOST_PREFIX, RESUMED_PREFIX
from mlee.monitor import PHASES_FILE
from mlee.records import AT_THE_WALL, Device, DeviceEnergy, RunResult, Window
from mlee.results.remeasuring import (
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
from mlee.training_records import TrainingOutcome

#: Sums of rounded numbers.
_ROUNDING = 1e-9
_ON_HOST = re.compile(r" on [^ ]+(?: \(\d+\))?$")


class _Part(NamedTuple):
    """What one process wrote that measured a machine: its windows, and its traces."""

    windows: dict[str, Window]
    traces: Traces


#: What was measured at the same time, the leader's machine first.
_Team = list[_Part]


def verify_training(folder: Path, result: RunResult, outcome: TrainingOutcome) -> None:
    """Compute durations and energies of all epochs again; raises `ResultError` naming what disagrees or is damaged."""
    teams = [[_Part(read_windows(path), read_traces(path)) for path in paths] for paths in _places(folder)]
    if not teams:
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
    energies = [energy for energy in measurement.devices if energy.sensor not in AT_THE_WALL]
    ended = lost_traces(result)
    broken = any(warning.code.startswith("sensor-") for warning in result.warnings)
    known = {key for team in teams for part in team for key in part.traces}
    for energy in energies:
        if energy.energy_j is None:
            continue
        check_mean_power(folder.name, energy, measurement.duration_s)
        if energy.sensor not in ended and known.isdisjoint(_keys(energy)):
            raise ResultError(f"{folder.name}: there is no trace of {energy.device.name} (trace_{energy.sensor}.csv).")
    for name, duration_s, energy_j in stated:
        # An epoch that ran again after an interruption counts as it was the last time.
        team = next((team for team in reversed(teams) if any(name in part.windows for part in team)), None)
        if team is None:
            raise ResultError(f"{folder}: no {PHASES_FILE} holds the window '{name}'.")
        where = f"{folder.name}, {name}"
        found_s = max(part.windows[name].duration_s for part in team if name in part.windows)
        agree(f"{where}: duration_s", duration_s, found_s, CLOCK_S)
        if energy_j is None or any(energy.sensor in ended or (broken and energy.energy_j is None) for energy in energies):
            continue
        again = _again(where, energies, team, name, result)
        if again is not None:
            agree(f"{where}: energy_j", energy_j, *again)
    if measurement.energy_j is not None:
        parts_j = [energy_j for _, _, energy_j in stated if energy_j is not None]
        if len(parts_j) == len(stated):
            agree(f"{folder.name}: energy_j", measurement.energy_j, fsum(parts_j), _ROUNDING * fsum(parts_j))
    check_idle_power(folder.name, result)


def _places(folder: Path) -> list[list[Path]]:
    """Return the folders with phases: a list for each time the training went on, with the folder of each machine."""
    times = [folder, *_numbered(folder, RESUMED_PREFIX)]
    places = [[place, *_numbered(place, HOST_PREFIX)] for place in times]
    with_phases = [[path for path in paths if (path / PHASES_FILE).exists()] for paths in places]
    return [paths for paths in with_phases if paths]


def _numbered(folder: Path, prefix: str) -> list[Path]:
    found = (path for path in folder.glob(f"{prefix}*") if path.is_dir())
    return sorted(found, key=lambda path: (len(path.name), path.name))


def _keys(energy: DeviceEnergy) -> list[tuple[str, Device]]:
    """Return what a device may be called in traces: in a result, its name says on which of several machines it is."""
    plain = replace(energy.device, name=_ON_HOST.sub("", energy.device.name))
    return [(energy.sensor, energy.device), (energy.sensor, plain)]


def _again(
    where: str, energies: Sequence[DeviceEnergy], team: _Team, name: str, result: RunResult
) -> tuple[float, float] | None:
    """Compute the energy of all devices in a window again, and how far the result may differ; `None` where a trace has none.

    Devices of several machines may be called alike, and a machine has another place whenever the training goes on. For the
    sum it does not matter which is which, only that each trace counts once.
    """
    left = [(part.windows[name], dict(part.traces)) for part in team if name in part.windows]
    found: list[tuple[float, float]] = []
    for energy in energies:
        at = next(((key, *there) for there in left for key in _keys(energy) if key in there[1]), None)
        if at is None:  # other parts of the training measured it
            continue
        key, window, traces = at
        if energy.energy_j is None:  # measured in some epochs only, which its coverage says: in this one it allows nothing
            energy = replace(energy, coverage=1.0)
        again = remeasure(f"{where}, {energy.device.name}", energy, traces.pop(key), window, result)
        if again is None:
            return None
        found.append(again)
    return fsum(joules for joules, _ in found), fsum(slack for _, slack in found)

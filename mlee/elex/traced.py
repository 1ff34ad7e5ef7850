"""Experiment folders with traces, finished or still growing, and the power over time that their parts hold.

A training that was interrupted has a part for each process that went on, and a training on several machines one for each
of them. Parts of one process stand on one time; those of the next follow without the pause between them.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlee.errors import MleeError
from mlee.readings import Trace
from mlee.results.load import EXPERIMENT_PREFIXES, RESULT_FILE
from mlee.traces import TraceFile, read_trace

Floats = npt.NDArray[np.float64]

#: Folders that are listed, newest first.
MAX_FOLDERS = 200
#: A trace that has not grown for so long belongs to a run that was stopped [s].
_QUIET_S = 10.0
#: Readings closer than this share of the usual distance are not drawn.
_CLOSE = 0.5
_MAX_TRACE_BYTES = 300 * 2**20
_KINDS = {"gpu": "GPU", "cpu": "CPU", "dram": "DRAM", "system": "Machine"}
_PHASES = "phases.csv"
_TRACES = "trace_*.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedRun:
    """A folder with traces: its name, where it is, and whether it is `complete`, `running` or `stopped`."""

    name: str
    path: Path
    state: str


@dataclass(slots=True)
class PowerOverTime:
    """Power of each device over time [s], [W], a pair for each part; windows; where parts meet; remarks for people."""

    lines: dict[str, list[tuple[Floats, Floats]]] = field(default_factory=dict)
    windows: list[tuple[str, float, float]] = field(default_factory=list)
    joints: list[float] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    end_s: float = 0.0


def find_runs(folders: Sequence[Path], now_s: float) -> list[TracedRun]:
    """List the experiment folders in `folders`, newest first; a folder may be an experiment itself."""
    found: dict[str, TracedRun] = {}
    for folder in folders:
        try:
            inside = [folder] if _has_trace(folder) else [path for path in folder.iterdir() if _has_trace(path)]
        except OSError:
            continue
        for path in inside:
            found.setdefault(path.resolve().name, TracedRun(name=path.resolve().name, path=path, state=_state(path, now_s)))
    running = sorted((run for run in found.values() if run.state == "running"), key=lambda run: run.name)
    others = sorted((run for run in found.values() if run.state != "running"), key=lambda run: run.name[-19:], reverse=True)
    return [*running, *others][:MAX_FOLDERS]


def _has_trace(path: Path) -> bool:
    named = path.resolve().name.startswith(EXPERIMENT_PREFIXES)
    return named and path.is_dir() and any(path.glob(_TRACES))


def _state(path: Path, now_s: float) -> str:
    if (path / RESULT_FILE).exists():
        return "complete"
    files = [file for part in _parts(path) for place in _machines(part) for file in place.glob(_TRACES)]
    newest = max((os.stat(file).st_mtime for file in files), default=0.0)
    return "running" if now_s - newest < _QUIET_S else "stopped"


def _parts(path: Path) -> list[Path]:
    """Return the folders of the processes that wrote into an experiment folder, one after another."""
    resumed = [part for part in path.glob("resumed_*") if part.is_dir()]
    return [path, *sorted(resumed, key=lambda part: (len(part.name), part.name))]


def _machines(part: Path) -> list[Path]:
    """Return the folders of all machines that a part ran on."""
    return [part, *sorted(place for place in part.glob("host_*") if place.is_dir())]


def read_power(run: TracedRun) -> PowerOverTime:
    """Read everything that can be drawn of a run; what cannot be read is a remark."""
    power = PowerOverTime()
    parts = _parts(run.path)
    for part in parts:
        _add(power, part, complete=run.state == "complete", goes_on=part is not parts[-1])
    return power


def _add(power: PowerOverTime, part: Path, *, complete: bool, goes_on: bool) -> None:
    """Put a part behind what is there already."""
    clock: float | None = None
    series: list[tuple[str, Floats, Floats]] = []
    for place in _machines(part):
        for file in _traces(place, power.remarks):
            if complete:
                power.remarks += file.warnings
            # Machines have monotonic clocks of their own; they agree on UTC.
            to_utc = file.start_utc.timestamp() - file.start_monotonic_s
            if place is part:
                clock = to_utc
            for trace in file.traces.values():
                t_s, power_w = power_of(trace)
                if len(t_s):
                    series.append((_name(trace, "" if place is part else place.name), t_s + to_utc, power_w))
    if not series:
        return
    start = min(float(t_s[0]) for _, t_s, _ in series) - power.end_s
    if power.lines:
        power.joints.append(power.end_s)
    for name, t_s, power_w in series:
        power.lines.setdefault(name, []).append((t_s - start, power_w))
    power.end_s = max(float(t_s[-1]) for _, t_s, _ in series) - start
    if clock is not None:
        power.windows += _windows(part, start - clock, power.end_s, "(cut off)" if goes_on else "…")


def _traces(folder: Path, remarks: list[str]) -> Iterator[TraceFile]:
    for path in sorted(folder.glob(_TRACES)):
        if path.stat().st_size > _MAX_TRACE_BYTES:
            remarks.append(f"{path.name} is too large to draw.")
            continue
        try:
            yield read_trace(path)
        except MleeError as error:
            remarks.append(error.message)


def power_of(trace: Trace) -> tuple[Floats, Floats]:
    """Power over time [s], [W]: as the sensor gives it, else the mean between two readings of its energy counter.

    A counter that goes back (a wrap, a reset) says nothing about the time between.
    """
    if trace.power_w is not None:
        kept = _apart(trace.t_s, np.isfinite(trace.power_w))
        return trace.t_s[kept], trace.power_w[kept]
    if trace.energy_j is not None:
        kept = _apart(trace.t_s, np.isfinite(trace.energy_j))
        t_s, energy_j = trace.t_s[kept], trace.energy_j[kept]
        if len(t_s) > 1:
            power_w = np.diff(energy_j) / np.diff(t_s)
            middle = (t_s[1:] + t_s[:-1]) / 2
            forward = power_w >= 0
            return middle[forward], power_w[forward]
    return np.empty(0), np.empty(0)


def _apart(t_s: Floats, known: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Choose known readings that are not much closer than usual: at the edges of a window two stand side by side.

    Between those, a counter's step makes a peak or a gap that is none.
    """
    where = np.flatnonzero(known)
    if len(where) < 3:
        return where
    steps = np.diff(t_s[where])
    return where[np.concatenate(([True], steps > _CLOSE * np.median(steps)))]


def _name(trace: Trace, machine: str) -> str:
    kind = _KINDS[trace.device.kind]
    return " ".join(filter(None, (f"{kind} {trace.device.index}: {trace.device.name} ({trace.sensor})", machine)))


def _windows(folder: Path, start: float, end_s: float, still_open: str) -> Iterator[tuple[str, float, float]]:
    """Yield the windows of a part; one that was not closed reaches to its last reading."""
    opened: dict[str, float] = {}
    try:
        with open(folder / _PHASES, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                t_s, phase = float(row["t_s"]) - start, str(row["phase"])
                if row["event"] == "open":
                    opened[phase] = t_s
                elif phase in opened:
                    yield phase, opened.pop(phase), t_s
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        pass  # a torn last line, or no windows yet: the power alone is worth a picture
    for phase, begin in opened.items():
        yield f"{phase} {still_open}", begin, end_s

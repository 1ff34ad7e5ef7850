"""Power over time: the traces of an experiment folder, finished or still growing, with its windows."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlee.elex.figures import Figure, axis, blank, layout, numbers, text
from mlee.elex.theme import SERIES, SURFACES
from mlee.errors import MleeError
from mlee.readings import Trace
from mlee.results.load import EXPERIMENT_PREFIXES, RESULT_FILE
from mlee.traces import read_trace

Floats = npt.NDArray[np.float64]

#: Folders that are listed, newest first.
MAX_FOLDERS = 200
#: Points drawn a device: more cannot be seen, and each bin keeps its smallest and largest.
_MAX_POINTS = 1200
#: A trace that has not grown for so long belongs to a run that was stopped [s].
_QUIET_S = 10.0
#: Readings closer than this share of the usual distance are not drawn.
_CLOSE = 0.5
_MAX_TRACE_BYTES = 300 * 2**20
_KINDS = {"gpu": "GPU", "cpu": "CPU", "dram": "DRAM", "system": "Machine"}
_PHASES = "phases.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedRun:
    """A folder with traces: its name, where it is, and whether it is `complete`, `running` or `stopped`."""

    name: str
    path: Path
    state: str


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
    ordered = sorted(found.values(), key=lambda run: (run.state != "running", run.name), reverse=False)
    running = [run for run in ordered if run.state == "running"]
    others = sorted((run for run in ordered if run.state != "running"), key=lambda run: run.name[-19:], reverse=True)
    return [*running, *others][:MAX_FOLDERS]


def _has_trace(path: Path) -> bool:
    named = path.resolve().name.startswith(EXPERIMENT_PREFIXES)
    return named and path.is_dir() and any(path.glob("trace_*.csv"))


def _state(path: Path, now_s: float) -> str:
    if (path / RESULT_FILE).exists():
        return "complete"
    newest = max((os.stat(file).st_mtime for file in path.glob("trace_*.csv")), default=0.0)
    return "running" if now_s - newest < _QUIET_S else "stopped"


def timeline(run: TracedRun, theme: str) -> tuple[Figure, list[str]]:
    """Draw a run; returns the figure and remarks for people (torn lines, unreadable files)."""
    remarks: list[str] = []
    series: list[tuple[str, Floats, Floats]] = []
    for path in sorted(run.path.glob("trace_*.csv")):
        if path.stat().st_size > _MAX_TRACE_BYTES:
            remarks.append(f"{path.name} is too large to draw.")
            continue
        try:
            read = read_trace(path)
        except MleeError as error:
            remarks.append(error.message)
            continue
        if run.state == "complete":
            remarks += read.warnings
        for trace in read.traces.values():
            t_s, power_w = power_of(trace)
            if len(t_s):
                series.append((_name(trace), t_s, power_w))
    if not series:
        return blank(theme, "No power was recorded yet." if run.state == "running" else "No power was recorded."), remarks
    start = min(float(t_s[0]) for _, t_s, _ in series)
    surface = SURFACES[theme]
    traces: list[Figure] = []
    for number, (name, t_s, power_w) in enumerate(series):
        along, up = thin(t_s - start, power_w, _MAX_POINTS)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": text(name),
                "x": numbers(along.round(3)),
                "y": numbers(up.round(3)),
                "line": {
                    "color": SERIES[theme][number % len(SERIES[theme])],
                    "width": 1.6,
                    "dash": ("solid", "dash", "dot")[number // len(SERIES[theme]) % 3],
                },
                "hovertemplate": "%{y:.3s}W<extra>%{fullData.name}</extra>",
            }
        )
    shapes, annotations = _windows(run.path, start, max(float(t_s[-1]) for _, t_s, _ in series) - start, theme)
    return {
        "data": traces,
        "layout": layout(
            theme,
            xaxis=axis(theme, "time since the first reading [s]", rangemode="tozero"),
            yaxis=axis(theme, "power [W]", rangemode="tozero"),
            showlegend=True,
            legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            margin={"l": 64, "r": 16, "t": 70, "b": 56},
            hovermode="x unified",
            shapes=shapes,
            annotations=annotations,
            uirevision=run.name,
            font={**layout(theme)["font"], "color": surface.ink},
        ),
    }, remarks


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


def thin(t_s: Floats, power_w: Floats, most: int) -> tuple[Floats, Floats]:
    """Keep the smallest and the largest value of each of `most` / 2 bins, so that no peak is lost."""
    if len(t_s) <= most:
        return t_s, power_w
    edges = np.linspace(0, len(t_s), most // 2 + 1).astype(int)
    kept = []
    for start, end in pairwise(edges):
        part = power_w[start:end]
        kept += sorted({start + int(part.argmin()), start + int(part.argmax())})
    return t_s[kept], power_w[kept]


def _name(trace: Trace) -> str:
    kind = _KINDS[trace.device.kind]
    return f"{kind} {trace.device.index}: {trace.device.name} ({trace.sensor})"


def _windows(folder: Path, start: float, last: float, theme: str) -> tuple[list[Figure], list[Figure]]:
    """Shade the windows; one that is still open reaches to the last reading."""
    opened: dict[str, float] = {}
    spans: list[tuple[str, float, float]] = []
    try:
        with open(folder / _PHASES, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                t_s, phase = float(row["t_s"]) - start, str(row["phase"])
                if row["event"] == "open":
                    opened[phase] = t_s
                elif phase in opened:
                    spans.append((phase, opened.pop(phase), t_s))
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        pass  # a torn last line, or no windows yet: the power alone is worth a picture
    spans += [(f"{phase} …", begin, last) for phase, begin in opened.items()]
    surface = SURFACES[theme]
    shapes: list[Figure] = []
    annotations: list[dict[str, Any]] = []
    for number, (phase, begin, end) in enumerate(spans):
        shapes.append(
            {
                "type": "rect",
                "xref": "x",
                "yref": "paper",
                "x0": begin,
                "x1": end,
                "y0": 0,
                "y1": 1,
                "fillcolor": surface.soft if phase.startswith("idle") else surface.accent,
                "opacity": 0.12,
                "line": {"width": 0},
                "layer": "below",
            }
        )
        if len(spans) <= 12 or number % (len(spans) // 6) == 0:
            annotations.append(
                {
                    "x": (begin + end) / 2,
                    "y": 1,
                    "xref": "x",
                    "yref": "paper",
                    "yanchor": "top",
                    "text": text(phase, 24),
                    "showarrow": False,
                    "font": {"size": 11, "color": surface.soft},
                }
            )
    return shapes, annotations

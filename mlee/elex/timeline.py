"""The picture of power over time: a line a device, the windows behind them, and where a training was resumed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mlee.elex.figures import Figure, axis, blank, layout, numbers, text
from mlee.elex.theme import SERIES, SURFACES
from mlee.elex.traced import Floats, TracedRun, read_power

#: Points drawn a device: more cannot be seen, and each bin keeps its smallest and largest.
_MAX_POINTS = 1200


def timeline(run: TracedRun, theme: str) -> tuple[Figure, list[str]]:
    """Draw a run; returns the figure and remarks for people (torn lines, unreadable files)."""
    power = read_power(run)
    if not power.lines:
        said = "No power was recorded yet." if run.state == "running" else "No power was recorded."
        return blank(theme, said), power.remarks
    shapes, annotations = _windows(power.windows, theme)
    for joint in power.joints:
        shapes.append(_joint(joint, theme))
        annotations.append(_words(joint, "resumed", theme, xanchor="left"))
    pauses = ", without pauses" if power.joints else ""
    return {
        "data": [_line(number, name, parts, theme) for number, (name, parts) in enumerate(power.lines.items())],
        "layout": layout(
            theme,
            xaxis=axis(theme, f"time since the first reading{pauses} [s]", rangemode="tozero"),
            yaxis=axis(theme, "power [W]", rangemode="tozero"),
            showlegend=True,
            legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            margin={"l": 64, "r": 16, "t": 70, "b": 56},
            hovermode="x unified",
            shapes=shapes,
            annotations=annotations,
            uirevision=run.name,
        ),
    }, power.remarks


def _line(number: int, name: str, parts: Sequence[tuple[Floats, Floats]], theme: str) -> Figure:
    """Draw a device; nothing connects the end of one part with the beginning of the next."""
    x: list[float | None] = []
    y: list[float | None] = []
    for t_s, power_w in parts:
        along, up = thin(t_s, power_w, _MAX_POINTS // len(parts))
        if x:
            x, y = [*x, None], [*y, None]
        x, y = [*x, *numbers(along.round(3))], [*y, *numbers(up.round(3))]
    colours = SERIES[theme]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": text(name),
        "x": x,
        "y": y,
        "line": {
            "color": colours[number % len(colours)],
            "width": 1.6,
            "dash": ("solid", "dash", "dot")[number // len(colours) % 3],
        },
        "hovertemplate": "%{y:.3s}W<extra>%{fullData.name}</extra>",
    }


def thin(t_s: Floats, power_w: Floats, most: int) -> tuple[Floats, Floats]:
    """Keep the smallest and the largest value of each of `most` / 2 bins, so that no peak is lost."""
    if len(t_s) <= most:
        return t_s, power_w
    edges = np.linspace(0, len(t_s), max(1, most // 2) + 1).astype(int)
    kept = []
    for start, end in pairwise(edges):
        part = power_w[start:end]
        kept += sorted({start + int(part.argmin()), start + int(part.argmax())})
    return t_s[kept], power_w[kept]


def _windows(windows: Sequence[tuple[str, float, float]], theme: str) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Shade the windows; where they are many, some have their names."""
    surface = SURFACES[theme]
    shapes: list[Figure] = []
    annotations: list[dict[str, Any]] = []
    for number, (phase, begin, end) in enumerate(windows):
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
        if len(windows) <= 12 or number % (len(windows) // 6) == 0:
            annotations.append(_words((begin + end) / 2, text(phase, 24), theme))
    return shapes, annotations


def _joint(at_s: float, theme: str) -> Figure:
    line = {"color": SURFACES[theme].soft, "width": 1, "dash": "dash"}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": at_s, "x1": at_s, "y0": 0, "y1": 1, "line": line}


def _words(at_s: float, said: str, theme: str, xanchor: str = "center") -> dict[str, Any]:
    top = xanchor == "center"
    return {
        "x": at_s,
        "y": 1 if top else 0,
        "xref": "x",
        "yref": "paper",
        "xanchor": xanchor,
        "yanchor": "top" if top else "bottom",
        "text": said,
        "showarrow": False,
        "font": {"size": 11, "color": SURFACES[theme].soft},
    }

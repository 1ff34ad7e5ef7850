"""The scatter plot: two metrics of all models, with the zones of the classes behind them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlee.assess.compound import LETTERS
from mlee.assess.metric import Metric
from mlee.elex.figures import Figure, Floats, axis, axis_range, blank, layout, median_of, numbers, scaling, text
from mlee.elex.selection import Selection, pareto_front
from mlee.elex.theme import CLASSES, SURFACES, SYMBOLS
from mlee.elex.zones import bounds, zone_shapes
from mlee.units import significant, with_unit

#: From this many points on they are small and carry no letters.
MANY = 400
_SIZE, _SIZE_MANY, _SIZE_CROWD = 20, 15, 7
#: From this many on they are drawn with WebGL.
CROWD = 1500
_MAX_NAMES = 14


@dataclass(frozen=True)
class Axis:
    """One axis of the plot: the metric, its values as drawn (n,), and whether it is logarithmic."""

    metric: Metric
    values: Floats
    factor: float
    title: str
    log: bool
    suffix: str
    higher_is_better: bool
    unitless: bool  # an index


def make_axis(selection: Selection, which: str) -> Axis:
    """Take an axis from the view; on a logarithmic one, values of 0 or less are missing."""
    view = selection.view
    key = getattr(view, which)
    metric = selection.metric(key)
    values = selection.axis(key)
    log = which in view.log
    if view.scale == "index":
        factor, suffix = 1.0, ""
        title = f"{text(metric.label)}, index (more is better)"
        higher = True
    else:
        factor, unit = scaling(metric, median_of(values))
        suffix = unit
        better = "more is better" if metric.higher_is_better else "less is better"
        title = f"{text(metric.label)}{f' [{unit}]' if unit else ''} ({better})"
        higher = metric.higher_is_better
    values = values * factor
    if log:
        values = np.where(values > 0, values, np.nan)
    return Axis(metric, values, factor, title, log, suffix, higher, view.scale == "index")


def scatter(selection: Selection, theme: str) -> Figure:
    """Draw a view."""
    view = selection.view
    if not len(selection.rows):
        reason = "No environment is chosen." if not view.environments else "No model has that name here."
        return blank(theme, reason if view.environments and view.models else "Choose an environment to see its models.")
    x, y = make_axis(selection, "x"), make_axis(selection, "y")
    drawn = ~(np.isnan(x.values) | np.isnan(y.values))
    if not drawn.any():
        return blank(theme, f"No model here has both {x.metric.label} and {y.metric.label}.")
    traces: list[Figure] = []
    if "lines" in view.show and len(view.environments) > 1:
        traces.append(_joined(selection, x, y, drawn, theme))
    if "front" in view.show:
        traces.append(_front(x, y, drawn, theme))
    traces += _points(selection, x, y, drawn, theme)
    if selection.is_reference[drawn].any():
        traces.append(_rings(selection, x, y, drawn, theme))
    if "names" in view.show:
        traces.append(_names(selection, x, y, drawn, theme))
    ranges = [axis_range(float(np.nanmin(a.values[drawn])), float(np.nanmax(a.values[drawn])), a.log) for a in (x, y)]
    shapes: list[Figure] = []
    annotations: list[Figure] = []
    if "zones" in view.show:
        found = [bounds(selection, a.metric.key, a.factor) for a in (x, y)]
        shapes, annotations = zone_shapes((found[0], found[1]), (ranges[0], ranges[1]), (x.log, y.log), theme)
    return {
        "data": traces,
        "layout": layout(
            theme,
            xaxis=_axis(theme, x, ranges[0]),
            yaxis=_axis(theme, y, ranges[1]),
            shapes=shapes,
            annotations=annotations,
            hovermode="closest",
            hoverdistance=24,
            uirevision=f"{view.task}|{view.dataset}|{view.x}|{view.y}|{view.scale}|{view.log}",
        ),
    }


def _axis(theme: str, a: Axis, ends: tuple[float, float]) -> Figure:
    more: dict[str, Any] = {"range": list(ends), "type": "log" if a.log else "linear"}
    if a.log:
        ticks = log_ticks(*ends)
        more |= {"tickmode": "array", "tickvals": ticks, "ticktext": [_tick(a, value) for value in ticks]}
    elif a.suffix in ("%", "h", "min"):
        more["ticksuffix"] = f" {a.suffix}"
    elif a.suffix or (not a.unitless and max(map(abs, ends)) >= 1000):  # without a unit, "500m" would read as metres
        more |= {"tickformat": "~s", "ticksuffix": a.suffix}
    return axis(theme, a.title, **more)


def _tick(a: Axis, value: float) -> str:
    if a.unitless:
        return significant(value, 2)
    if a.suffix in ("%", "h", "min"):
        return f"{significant(value, 2)} {a.suffix}"
    return with_unit(value, a.suffix, 2)


def log_ticks(low: float, high: float) -> list[float]:
    """Round values between two decades (exponents of ten): the more, the less there is between them."""
    span = high - low
    steps = (
        (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)
        if span < 0.6
        else (1, 2, 3, 5, 7)
        if span < 1.2
        else (1, 2, 5)
        if span < 2.6
        else (1,)
    )
    every = max(1, math.ceil(span / 8))
    decades = [power for power in range(math.floor(low), math.ceil(high) + 1) if power % every == 0]
    return [step * 10.0**power for power in decades for step in steps if low <= power + math.log10(step) <= high]


def _points(selection: Selection, x: Axis, y: Axis, drawn: Any, theme: str) -> list[Figure]:
    """One trace an environment, so that its symbol is one."""
    view, surface = selection.view, SURFACES[theme]
    count = int(drawn.sum())
    size = _SIZE if count <= 60 else _SIZE_MANY if count <= MANY else _SIZE_CROWD
    environments = np.array(selection.environments, dtype=object)
    bars = [selection.bars(a.metric.key) if "errors" in view.show else None for a in (x, y)]
    traces = []
    for number, name in enumerate(view.environments):
        where = np.flatnonzero(drawn & (environments == name))
        if not len(where):
            continue
        letters = [LETTERS[rating] if rating >= 0 else None for rating in selection.compound[where]]
        fills = [CLASSES[letter][0] for letter in letters]
        hollow = selection.estimated[where]
        trace: Figure = {
            "type": "scatter" if count <= CROWD else "scattergl",
            "name": text(name),
            "x": numbers(x.values[where]),
            "y": numbers(y.values[where]),
            "customdata": [[selection.ids[n], text(selection.models[n])] for n in where],
            "marker": {
                "symbol": SYMBOLS[number % len(SYMBOLS)],
                "size": size,
                "color": [surface.panel if open_ else fill for open_, fill in zip(hollow, fills, strict=True)],
                "line": {
                    "color": [fill if open_ else surface.panel for open_, fill in zip(hollow, fills, strict=True)],
                    "width": [3 if open_ else 1 for open_ in hollow],
                },
                "opacity": 1 if count <= CROWD else 0.8,
            },
            "hovertemplate": _hover(name, len(view.environments) > 1, x, y),
        }
        if count <= MANY:
            trace |= {
                "mode": "markers+text",
                "text": [letter or "?" for letter in letters],
                "textfont": {
                    "size": 12 if size == _SIZE else 10,
                    "color": [
                        surface.ink if open_ else CLASSES[letter][1] for open_, letter in zip(hollow, letters, strict=True)
                    ],
                },
            }
        else:
            trace |= {"mode": "markers", "text": [letter or "?" for letter in letters]}
        for key, a, bar in (("error_x", x, bars[0]), ("error_y", y, bars[1])):
            if bar is not None:
                down, up = (numbers(part[where] * a.factor) for part in bar)
                trace[key] = {
                    "type": "data",
                    "symmetric": False,
                    "array": up,
                    "arrayminus": down,
                    "color": surface.soft,
                    "thickness": 1.2,
                    "width": 3,
                }
        traces.append(trace)
    return traces


def _hover(environment: str, several: bool, x: Axis, y: Axis) -> str:
    def line(which: str, a: Axis) -> str:
        if a.unitless or a.suffix in ("%", "h", "min"):
            number = f"%{{{which}:.3~g}} {a.suffix}"
        else:
            number = f"%{{{which}:.3~s}}{a.suffix}"
        return f"{text(a.metric.label)}: {number}"

    where = f"<br>{text(environment)}" if several else ""
    return f"<b>%{{customdata[1]}}</b>  rated %{{text}}{where}<br>{line('x', x)}<br>{line('y', y)}<extra></extra>"


def _front(x: Axis, y: Axis, drawn: Any, theme: str) -> Figure:
    """Draw the Pareto front in steps: between two models there is none."""
    front = pareto_front(
        np.where(drawn, x.values, np.nan), np.where(drawn, y.values, np.nan), x.higher_is_better, y.higher_is_better
    )
    # A step first leaves the better x behind, so that the line never claims a model that nobody has.
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Pareto front",
        "x": numbers(x.values[front]),
        "y": numbers(y.values[front]),
        "line": {"color": SURFACES[theme].front, "width": 1.4, "dash": "dot", "shape": "vh" if x.higher_is_better else "hv"},
        "hoverinfo": "skip",
    }


def _joined(selection: Selection, x: Axis, y: Axis, drawn: Any, theme: str) -> Figure:
    """Join the same model across environments by thin lines."""
    by_model: dict[str, list[int]] = {}
    for number in np.flatnonzero(drawn):
        by_model.setdefault(selection.models[number], []).append(int(number))
    along: list[float] = []
    up: list[float] = []
    for group in by_model.values():
        if len(group) > 1:
            group.sort(key=lambda n: x.values[n])
            along += [*x.values[group], math.nan]
            up += [*y.values[group], math.nan]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "same model",
        "x": numbers(along),
        "y": numbers(up),
        "line": {"color": SURFACES[theme].soft, "width": 0.7},
        "opacity": 0.5,
        "hoverinfo": "skip",
    }


def _rings(selection: Selection, x: Axis, y: Axis, drawn: Any, theme: str) -> Figure:
    where = np.flatnonzero(drawn & selection.is_reference)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "reference",
        "x": numbers(x.values[where]),
        "y": numbers(y.values[where]),
        "marker": {"symbol": "circle-open", "size": 32, "color": SURFACES[theme].ink, "line": {"width": 2}},
        "hoverinfo": "skip",
    }


def _sides(x: Axis, values: Floats, largest: float) -> list[str]:
    """Put names to the right of their points, but to the left where the plot ends."""
    smallest = float(np.nanmin(x.values))
    scale = np.log10 if x.log else np.asarray
    span = scale(largest) - scale(smallest)
    return ["middle left" if scale(value) > scale(largest) - 0.2 * span else "middle right" for value in values]


def _names(selection: Selection, x: Axis, y: Axis, drawn: Any, theme: str) -> Figure:
    """Write names at the front and the reference: as many as can be read."""
    front = pareto_front(
        np.where(drawn, x.values, np.nan), np.where(drawn, y.values, np.nan), x.higher_is_better, y.higher_is_better
    )
    reference = np.flatnonzero(drawn & selection.is_reference)
    where = list(dict.fromkeys([*(int(n) for n in front), *(int(n) for n in reference)]))[:_MAX_NAMES]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "marker": {"size": _SIZE, "opacity": 0},  # keeps the name off the point
        "name": "names",
        "x": numbers(x.values[where]),
        "y": numbers(y.values[where]),
        "text": [f"{text(selection.models[n], 24)}" for n in where],
        "textposition": _sides(x, x.values[where], float(np.nanmax(x.values[drawn]))),
        "textfont": {"size": 11, "color": SURFACES[theme].ink},
        "hoverinfo": "skip",
        "cliponaxis": True,
    }

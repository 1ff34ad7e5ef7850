"""What all pictures share: units of axes, texts, and the look of a theme.

Figures are plain dictionaries, as Plotly reads them. Building Plotly's own objects would take a hundred times longer than
everything else here; the tests check every figure against them.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlee.assess.metric import Metric
from mlee.elex.theme import FONT, SURFACES
from mlee.units import J_PER_WH, significant, with_unit

#: Signs for what is not there, and for a ratio.
NOTHING, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
Figure = dict[str, Any]
Floats = npt.NDArray[np.float64]

_LONG_S = ((7200.0, 3600.0, "h"), (120.0, 60.0, "min"))
_MANY_J = 0.1 * 1000 * J_PER_WH
_LONGEST_NAME = 42


def scaling(metric: Metric, typical: float | None) -> tuple[float, str]:
    """Factor and unit in which a metric is shown when its values are about `typical` (SI): shown = value * factor."""
    if is_share(metric):
        return 100.0, "%"
    if metric.unit == "s" and typical is not None:
        for least, length, unit in _LONG_S:
            if typical >= least:
                return 1 / length, unit
    if metric.unit == "J" and typical is not None and typical >= _MANY_J:
        return 1 / J_PER_WH, "Wh"
    return 1.0, metric.unit


def is_share(metric: Metric) -> bool:
    """Whether a metric is a fraction that people read in percent."""
    return metric.key.endswith("_accuracy")


def written(metric: Metric, value: float | None) -> str:
    """Write a value (SI) for people, with its unit; "not measured" for `None` and NaN."""
    if value is None or not math.isfinite(value):
        return with_unit(None, "")
    factor, unit = scaling(metric, abs(value))
    if unit == "%":
        return f"{value * factor:.1f} %"
    if unit in ("h", "min"):
        return f"{significant(value * factor)} {unit}"
    return with_unit(value * factor, unit)


def text(raw: str, longest: int | None = _LONGEST_NAME) -> str:
    """Make a name safe inside a picture: Plotly reads a little HTML, and long names are shortened."""
    short = raw if longest is None or len(raw) <= longest else f"{raw[: longest - 1]}…"
    return html.escape(short, quote=False)


def numbers(values: Iterable[float]) -> list[float | None]:
    """Turn an array into JSON: missing values are null."""
    return [float(value) if math.isfinite(value) else None for value in values]


def layout(theme: str, **more: Any) -> Figure:
    """Return the layout that all pictures start from."""
    surface = SURFACES[theme]
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 13, "color": surface.ink},
        "margin": {"l": 64, "r": 16, "t": 12, "b": 56},
        "hoverlabel": {
            "bgcolor": surface.panel,
            "bordercolor": surface.line,
            "font": {"family": FONT, "size": 13, "color": surface.ink},
            "align": "left",
        },
        "showlegend": False,
        "dragmode": "zoom",
        "autosize": True,
        **more,
    }


def axis(theme: str, title: str, **more: Any) -> Figure:
    """Return an axis with its title."""
    surface = SURFACES[theme]
    return {
        "title": {"text": title, "standoff": 10},
        "gridcolor": surface.grid,
        "linecolor": surface.line,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": surface.line,
        "automargin": True,
        **more,
    }


def blank(theme: str, message: str) -> Figure:
    """Return an empty picture that says why it is empty."""
    hidden = {"visible": False, "fixedrange": True}
    note = {
        "text": text(message, None),
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.55,
        "font": {"size": 15, "color": SURFACES[theme].soft},
    }
    return {"data": [], "layout": layout(theme, xaxis=hidden, yaxis=hidden, annotations=[note])}


def axis_range(low: float, high: float, log: bool, margin: float = 0.08) -> tuple[float, float]:
    """Return the ends of an axis (in data coordinates, decades on a logarithmic one) with room around the points."""
    if log:
        low, high = math.log10(low), math.log10(high)
    span = high - low
    if span <= 0:
        span = 0.5 if log else abs(high) * 0.2 or 1.0
    return low - margin * span, high + margin * span


def median_of(values: Sequence[float] | Floats) -> float | None:
    """Middle of the finite values, `None` without any."""
    known = np.asarray(values, dtype=float)
    known = np.abs(known[np.isfinite(known)])
    return float(np.median(known)) if len(known) else None

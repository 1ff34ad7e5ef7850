"""What the scatter plot draws, as data for its script: one view for each task, data set and environment."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlee.assess.compound import letter
from mlee.assess.export import SHOWN
from mlee.assess.metric import Metric
from mlee.assess.rating import BEST, Rated
from mlee.elex.figures import is_share, median_of, scaling
from mlee.site.entries import Entry

_DIGITS = 7
#: Name of the variable that the script reads.
_VARIABLE = "window.mlee"


def grouped(entries: Sequence[Entry]) -> dict[tuple[str, str], list[Entry]]:
    """Sort entries into (work, environment): works in order, in each the environments with most models first."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        found.setdefault((entry.work, entry.environment), []).append(entry)
    works = list(dict.fromkeys(work for work, _ in found))
    return dict(sorted(found.items(), key=lambda item: (works.index(item[0][0]), -len(item[1]), item[0][1])))


def metrics_of(rated: Rated, entries: Sequence[Entry]) -> list[Metric]:
    """Return the metrics that any of these entries has a value of."""
    return first_looked_for([m for m in rated.metrics if any(entry.value(m) is not None for entry in entries)])


def first_looked_for(metrics: Sequence[Metric]) -> list[Metric]:
    """Put the metrics first that a reader looks for first."""
    first = [metric for key in SHOWN for metric in metrics if metric.key == key]
    return [*first, *(metric for metric in metrics if metric not in first)]


def script(rated: Rated, entries: Sequence[Entry]) -> str:
    """Write all views as a script that assigns them: a page without a server cannot ask for data."""
    views = [_view(rated, work, name, rows) for (work, name), rows in grouped(entries).items()]
    return f"{_VARIABLE}={json.dumps(views, separators=(',', ':'), allow_nan=False)};\n"


def _view(rated: Rated, work: str, environment: str, rows: Sequence[Entry]) -> dict[str, Any]:
    metrics = metrics_of(rated, rows)
    return {
        "work": work,
        "environment": environment,
        "reference": _reference(rated, rows[0]),
        "axes": [_axis(rated, metric, rows) for metric in metrics],
        "start": _start(metrics),
        "points": [_point(rated, metrics, entry) for entry in rows],
    }


def _reference(rated: Rated, entry: Entry) -> str | None:
    if rated.options.reference == BEST:
        return "the best of each metric"
    name = entry.values.get("reference")
    return name if isinstance(name, str) else None


def _start(metrics: Sequence[Metric]) -> list[int]:
    """Choose the axes to begin with: what it costs, and how good it is."""
    costs = [number for number, metric in enumerate(metrics) if not metric.higher_is_better]
    goods = [number for number, metric in enumerate(metrics) if metric.higher_is_better]
    order = [*costs[:1], *goods[:1], *costs[1:2], *goods[1:2]]
    return order[:2] if len(order) > 1 else order * 2


def _axis(rated: Rated, metric: Metric, rows: Sequence[Entry]) -> dict[str, Any]:
    values = [value for entry in rows if (value := entry.value(metric)) is not None]
    factor, unit = scaling(metric, median_of(values))
    return {
        "label": metric.label,
        "unit": unit,
        "factor": factor,
        "plain": is_share(metric) or unit in ("h", "min"),
        "higher": metric.higher_is_better,
        "thresholds": rated.thresholds.get(str(rows[0].values["task"]), metric.key),
        "reference": _rounded(_reference_value(rated, metric, rows)),
    }


def _reference_value(rated: Rated, metric: Metric, rows: Sequence[Entry]) -> float | None:
    """Value (SI) that the indices of an environment are relative to, from any row that has both."""
    column = rated.position(metric.key)
    for entry in rows:
        value, index = entry.value(metric), float(rated.index[entry.number, column])
        if value and value > 0 and math.isfinite(index) and index > 0:
            return value / index if metric.higher_is_better else value * index
    return None


def _point(rated: Rated, metrics: Sequence[Metric], entry: Entry) -> dict[str, Any]:
    number = entry.number
    columns = [rated.position(metric.key) for metric in metrics]
    return {
        "name": entry.model,
        "page": entry.file,
        "class": letter(rated.compound[number]) or "",
        "hollow": entry.hollow,
        "values": [_rounded(entry.value(metric)) for metric in metrics],
        "texts": [entry.text(metric) for metric in metrics],
        "classes": "".join(letter(rating) or "-" for rating in rated.rating[number, columns]),
    }


def _rounded(value: float | None) -> float | None:
    """Keep what can be drawn: shorter by half, and the same in every place."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.{_DIGITS - 1}e}")

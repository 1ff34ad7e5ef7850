"""The table: the same models and numbers as the plot, for AG Grid."""

from __future__ import annotations

import math
from typing import Any

from mlee.assess.compound import letter
from mlee.elex.figures import median_of, scaling
from mlee.elex.selection import Selection

_NUMBER = {"function": "elexNumber(params)"}
_PERCENT = {"function": "elexPercent(params)"}
#: Names of variants are long; what is cut says a tooltip, and on a phone the column must leave room for others.
_WIDEST_MODEL_PX = 200
_CLASS = {f"class-{name}": f"params.value === '{name}'" for name in "ABCDE"}


def columns_and_rows(selection: Selection) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return AG Grid's column definitions and one row a model; numbers stay numbers, so that they sort and filter."""
    view, rated = selection.view, selection.rated
    known = selection.data.choices[view.task, view.dataset].metrics
    metrics = sorted(known, key=lambda metric: metric.key not in (view.x, view.y))  # those of the axes first
    longest = max(map(len, selection.models), default=0)
    width = max(150, min(_WIDEST_MODEL_PX, 8 * longest + 40))
    text = {"filter": "agTextColumnFilter"}
    columns: list[dict[str, Any]] = [
        {"field": "model", "headerName": "Model", "pinned": "left", "minWidth": width, "tooltipField": "model", **text},
        {"field": "rating", "headerName": "Rating", "width": 95, "cellClassRules": _CLASS, **text},
    ]
    where = {"field": "environment", "headerName": "Environment", "minWidth": 190, "tooltipField": "environment", **text}
    several = len(view.environments) > 1  # one alone stands above the table, too, and comes last
    if several:
        columns.append(where)
    rows: list[dict[str, Any]] = [
        {"id": name, "model": model, "rating": letter(rating), "environment": environment}
        for name, model, rating, environment in zip(
            selection.ids, selection.models, selection.compound, selection.environments, strict=True
        )
    ]
    for number, metric in enumerate(metrics):
        column = rated.position(metric.key)
        values = rated.table[metric.key].to_numpy(dtype=float)[selection.rows]
        factor, unit = scaling(metric, median_of(values))
        short = metric.label.replace(" (extrapolated)", "")
        columns.append(
            {
                "headerName": f"{short} [{unit}]" if unit else short,
                "headerTooltip": metric.label,
                "field": f"v{number}",
                "type": "numericColumn",
                "filter": "agNumberColumnFilter",
                "valueFormatter": _PERCENT if unit == "%" and view.scale == "value" else _NUMBER,
                "minWidth": 120,
            }
        )
        columns.append(
            {
                "headerName": "",
                "headerTooltip": f"Class: {metric.label}",
                "field": f"r{number}",
                "width": 62,
                "cellClassRules": _CLASS,
            }
        )
        indices = rated.index[selection.rows, column]
        for row, value, index, rating in zip(rows, values, indices, rated.rating[selection.rows, column], strict=True):
            shown = index if view.scale == "index" else value * factor
            row[f"v{number}"] = float(shown) if math.isfinite(shown) else None
            row[f"r{number}"] = letter(rating)
        if view.scale == "index":
            columns[-2]["headerName"] = f"{short} (index)"
    if not several:
        columns.append(where)
    return columns, rows

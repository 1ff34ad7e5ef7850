"""The parts of the page that change with the view: each a function of data, view and theme, answered as JSON.

They are the whole of what the server computes. Nothing is remembered between two requests but answers themselves.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from dash.development.base_component import Component

from mlee.assess.rating import BEST, FROM_DATA
from mlee.assess.references import NAME_ANOTHER
from mlee.elex import overview, panel
from mlee.elex.controls import environment_boxes, tuning_controls, tuning_now
from mlee.elex.data import Explored
from mlee.elex.grid import columns_and_rows
from mlee.elex.scatter import scatter
from mlee.elex.selection import Selection, select
from mlee.elex.state import View, defaults, parse, values, write
from mlee.elex.theme import DARK, LIGHT, SYMBOLS
from mlee.elex.timeline import timeline
from mlee.elex.traced import find_runs
from mlee.elex.zones import bounds
from mlee.label.describe import LABELLED, describe

#: Names that a sentence lists at most.
_NAMED = 4


def answer(data: Explored, part: str, search: str, theme: str) -> str:
    """Return a part as JSON; raises `KeyError` for an unknown one. An address that makes no sense gives the default view."""
    make = PARTS[part]
    view, notices = parse(search, data)
    found = make(data, view, DARK if theme == DARK else LIGHT, notices)
    return json.dumps(found, default=_component, allow_nan=False, separators=(",", ":"))


def _component(value: Any) -> Any:
    """Write a component of the page as its type and properties."""
    if isinstance(value, Component):
        return value.to_plotly_json()
    raise TypeError(f"{type(value).__name__} is no JSON")


def state(data: Explored, view: View, theme: str, notices: tuple[str, ...]) -> dict[str, Any]:
    """Return what the controls show, what they offer, and what is to be said about the view."""
    selection = select(data, view)
    found = data.choices[view.task, view.dataset]
    metrics = [{"value": metric.key, "label": metric.label} for metric in found.metrics]
    references = [
        {"value": "", "label": "automatic (ResNet101 where it is)"},
        {"value": BEST, "label": "best of each metric"},
        *({"value": name, "label": name} for name in found.references),
    ]
    shapes = {name: SYMBOLS[number % len(SYMBOLS)] for number, name in enumerate(view.environments)}
    return {
        "search": write(view, data),
        "values": values(view),
        "defaults": defaults(view, data),
        "options": {
            "t": [{"value": name, "label": name.capitalize()} for name in data.tasks],
            "d": [{"value": name, "label": name} for name in data.datasets(view.task)],
            "x": metrics,
            "y": metrics,
            "r": references,
        },
        "notices": [*notices, *selection.notices, *_remarks(selection)],
        "summary": summary(selection),
        "rating": rating_words(selection),
        "environments": environment_boxes(found.environments, shapes),
        "labelled": view.task in LABELLED,
        "names": [name for name, _ in found.environments],
        "example": next((name for name, own in zip(selection.ids, selection.is_reference, strict=True) if own), ""),
    }


def summary(selection: Selection) -> str:
    """Say in one line what is shown."""
    view = selection.view
    count = len(selection.rows)
    models = "1 result" if count == 1 else f"{count} results"
    where = view.environments[0] if len(view.environments) == 1 else f"{len(view.environments)} environments"
    filtered = f", name contains “{view.models}”" if view.models else ""
    return f"{models}: {view.task} on {view.dataset}, {where}{filtered}"


def rating_words(selection: Selection) -> str:
    """Say how the models are rated."""
    rated = selection.rated
    references = sorted({str(name) for name in rated.table["reference"].iloc[selection.rows] if isinstance(name, str)})
    named = ", ".join(references[:_NAMED]) or "none"
    choice = selection.view.rating
    thresholds = "quantiles of this data" if choice.thresholds == FROM_DATA else rated.thresholds.name
    changed = "; weights changed" if choice.weights else ""
    return f"Reference {named} · {rated.options.mode} · rules {rated.options.rules.name} · thresholds {thresholds}{changed}"


def _remarks(selection: Selection) -> list[str]:
    """Say what the picture leaves out, and what stands behind the ratings that are shown."""
    view, rated = selection.view, selection.rated
    said: list[str] = []
    missing = {
        key: [model for model, value in zip(selection.models, selection.axis(key), strict=True) if value != value]
        for key in dict.fromkeys((view.x, view.y))
    }
    for key, names in missing.items():
        if names and view.tab == "scatter":
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            many = "have" if len(names) > 1 else "has"
            said.append(f"Not drawn: {', '.join(names[:_NAMED])}{more} {many} no {selection.metric(key).label}.")
    if "zones" in view.show and view.tab == "scatter" and len(selection.rows):
        without = [
            selection.metric(key).label for key in dict.fromkeys((view.x, view.y)) if bounds(selection, key, 1.0) is None
        ]
        unrated = [name for name in without if len(view.environments) > 1 and view.scale == "value"]
        if unrated:
            said.append(
                f"No zones for {' and '.join(unrated)}: each environment has its own reference. "
                "Choose one, or the index scale."
            )
    codes = dict.fromkeys(warning.message for row in selection.rows for warning in rated.warnings[row])
    said += [message.replace(NAME_ANOTHER, " Choose another under Rating.") for message in codes][:_NAMED]
    return said


def _scatter(data: Explored, view: View, theme: str, notices: tuple[str, ...]) -> dict[str, Any]:
    selection = select(data, view)
    return {"figure": scatter(selection, theme), "words": overview.rating_words(selection)}


def _ratings(data: Explored, view: View, theme: str, notices: tuple[str, ...]) -> dict[str, Any]:
    selection = select(data, view)
    return {"figure": overview.ratings(selection, theme), "words": overview.rating_words(selection)}


def _metrics(data: Explored, view: View, theme: str, notices: tuple[str, ...]) -> dict[str, Any]:
    selection = select(data, view)
    return {"figure": overview.correlation(selection, data.choices[view.task, view.dataset].metrics, theme)}


def _table(data: Explored, view: View, theme: str, notices: tuple[str, ...]) -> dict[str, Any]:
    columns, rows = columns_and_rows(select(data, view))
    return {"columns": columns, "rows": rows}


def _facts(data: Explored, view: View, theme: str, notices: tuple[str, ...]) -> dict[str, Any]:
    if view.selected is None:
        return {"children": None, "figure": None}
    row, selection = data.row_of[view.selected], select(data, view)
    alt = None
    if selection.rated.table["task"].iloc[row] in LABELLED:
        alt = describe(selection.rated, row, data.runs, datetime.now(UTC).date()).description
    figure = overview.profile(selection, [row], theme)
    return {"children": panel.facts(selection, row), "figure": figure, "alt": alt}


def _compare(data: Explored, view: View, theme: str, notices: tuple[str, ...]) -> dict[str, Any]:
    selection = select(data, view)
    rows = [data.row_of[name] for name in view.compared]
    named = [
        {
            "id": name,
            "name": f"{rated_row['model']}, {rated_row['environment']}",
            "labelled": rated_row["task"] in LABELLED,
        }
        for name, rated_row in zip(view.compared, selection.rated.table.iloc[rows].to_dict("records"), strict=True)
    ]
    figure = overview.profile(selection, rows, theme) if len(rows) > 1 else None
    return {"children": panel.comparison(selection, rows), "figure": figure, "labels": named}


def _time(data: Explored, view: View, theme: str, notices: tuple[str, ...]) -> dict[str, Any]:
    runs = find_runs(data.folders, time.time())
    if not runs:
        return {"runs": [], "figure": None, "live": False, "remarks": []}
    run = next((found for found in runs if found.name == view.trace), runs[0])
    figure, remarks = timeline(run, theme)
    said = {"running": " · running", "stopped": " · stopped before its end", "complete": ""}
    options = [{"value": found.name, "label": f"{found.name}{said[found.state]}"} for found in runs]
    return {"runs": options, "name": run.name, "figure": figure, "live": run.state == "running", "remarks": remarks}


def _tuning(data: Explored, view: View, theme: str, notices: tuple[str, ...]) -> dict[str, Any]:
    selection = select(data, view)
    return {"children": tuning_controls(selection), "current": tuning_now(selection)}


Part = Callable[[Explored, View, str, tuple[str, ...]], dict[str, Any]]
PARTS: dict[str, Part] = {
    "state": state,
    "scatter": _scatter,
    "ratings": _ratings,
    "metrics": _metrics,
    "table": _table,
    "facts": _facts,
    "compare": _compare,
    "tuning": _tuning,
    "time": _time,
}
#: Parts whose answer may differ the next time: they read what a run writes.
LIVE = ("time",)


def summary_json(data: Explored, search: str, name: str) -> str | None:
    """Return everything known about one result, as the rating of a view sees it; `None` for an unknown name."""
    from mlee.assess.export import records

    row = data.row_of.get(name)
    if row is None:
        return None
    view, _ = parse(search, data)
    selection = select(data, view)
    return json.dumps(records(selection.rated, [row])[0], indent=1, allow_nan=False, ensure_ascii=False) + "\n"

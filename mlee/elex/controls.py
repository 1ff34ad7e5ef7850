"""The controls of the page. Each has an id `{"control": key of the address, "kind": ...}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from mlee.assess.compound import MODES
from mlee.assess.rules import RULES
from mlee.elex.selection import Selection
from mlee.elex.state import SHOW
from mlee.elex.tuning import as_changes
from mlee.units import significant

#: The part `state` of the default view.
Start = Mapping[str, Any]

_SHOWN = {
    "zones": "Zones of the classes",
    "front": "Pareto front",
    "names": "Names at the front",
    "errors": "Error bars",
    "lines": "Join the same model",
}
#: Positions of a slider of thresholds.
_STEPS = 400
_RULES = {"exact": "exact (recommended)", "2022": "2022 (as published)"}


def control(key: str, kind: str) -> dict[str, str]:
    """Return the id of a control."""
    return {"control": key, "kind": kind}


def _select(start: Start, key: str, label: str, **more: Any) -> dmc.Select:
    return dmc.Select(
        id=control(key, "select"),
        label=label,
        data=start["options"][key],
        value=start["values"][key],
        allowDeselect=False,
        checkIconPosition="right",
        size="sm",
        comboboxProps={"shadow": "md"},
        **more,
    )


def choose_data(start: Start) -> list[Any]:
    """Offer task, data set, environments and models, as they are in the state that the page starts from."""
    return [
        _select(start, "t", "Task"),
        _select(start, "d", "Data set"),
        dmc.CheckboxGroup(
            id=control("e", "checks"),
            label="Environments",
            children=html.Div(start["environments"], id="environments", className="environments"),
            value=start["values"]["e"],
        ),
        html.Div(
            [
                html.Button("all", id="all-environments", className="link", type="button"),
                html.Button("only the first", id="one-environment", className="link", type="button"),
            ],
            className="below",
        ),
        dmc.TextInput(
            id=control("q", "text"),
            label="Models",
            placeholder="name contains … (resnet, vgg)",
            size="sm",
            debounce=250,
            value="",
        ),
    ]


def choose_axes(start: Start) -> list[Any]:
    """Offer metrics, scale, and what is drawn."""
    return [
        _select(start, "x", "Horizontal axis", searchable=True),
        _select(start, "y", "Vertical axis", searchable=True),
        html.Fieldset(
            [
                html.Legend("Scale"),
                dmc.SegmentedControl(
                    id=control("s", "segments"),
                    data=[{"value": "value", "label": "Value"}, {"value": "index", "label": "Index"}],
                    fullWidth=True,
                    size="sm",
                    value="value",
                ),
            ]
        ),
        dmc.CheckboxGroup(
            id=control("l", "checks"),
            label="Logarithmic",
            children=dmc.Group([dmc.Checkbox(label=f"{name} axis", value=name, size="sm") for name in ("x", "y")], mt=6),
            value=start["values"]["l"],
        ),
        dmc.CheckboxGroup(
            id=control("o", "checks"),
            label="Show",
            children=dmc.Stack([dmc.Checkbox(label=_SHOWN[name], value=name, size="sm") for name in SHOW], gap=6, mt=6),
            value=start["values"]["o"],
        ),
    ]


def choose_rating(start: Start) -> list[Any]:
    """Offer reference, mode and rule set."""
    return [
        _select(start, "r", "Reference", searchable=True, limit=300),
        dmc.Select(
            id=control("m", "plain"),
            label="How classes combine",
            data=[{"value": name, "label": name} for name in MODES],
            allowDeselect=False,
            size="sm",
            value=MODES[0],
        ),
        dmc.Select(
            id=control("u", "plain"),
            label="Rules",
            data=[{"value": name, "label": _RULES[name]} for name in RULES],
            allowDeselect=False,
            size="sm",
            value="exact",
        ),
    ]


def environment_boxes(environments: Sequence[tuple[str, int]], shapes: Mapping[str, str]) -> list[dmc.Checkbox]:
    """List the environments with the shape that each has in the plot and its number of models."""
    return [
        dmc.Checkbox(
            value=name,
            size="sm",
            label=html.Span(
                [
                    html.Span(className=f"symbol {shapes.get(name, 'none')}"),
                    html.Span(name, className="name"),
                    html.Span(f"{count}", className="soft"),
                ],
                className="environment",
            ),
        )
        for name, count in environments
    ]


def tuning_controls(selection: Selection) -> html.Div:
    """Weight and thresholds of each metric of the task, as they are now."""
    rated, view = selection.rated, selection.view
    blocks = []
    for metric in selection.data.choices[view.task, view.dataset].metrics:
        metric = selection.metric(metric.key)
        four = rated.thresholds.get(view.task, metric.key)
        identity = {"metric": metric.key, "task": view.task}
        parts: list[Any] = [
            html.Legend(metric.label),
            dmc.NumberInput(
                id={**identity, "tune": "weight"},
                label="Weight",
                value=metric.weight,
                min=0,
                max=1e9,
                step=0.1,
                size="xs",
                w=110,
                debounce=400,
            ),
        ]
        if four is None:
            parts.append(html.P("No thresholds: this metric has no class.", className="soft"))
        else:
            top = _top(four)
            parts += [
                html.Div(
                    dcc.RangeSlider(
                        id={**identity, "tune": "slider"},
                        min=0,
                        max=float(significant(top, 2)),
                        step=top / _STEPS,
                        value=sorted(four),
                        marks=None,
                        allowCross=False,
                        allow_direct_input=False,
                        updatemode="mouseup",
                    ),
                    className="thresholds-slider",
                ),
                html.Div(
                    [
                        dmc.NumberInput(
                            id={**identity, "tune": "threshold", "number": number},
                            label=f"{'ABCD'[number]} above",
                            value=_rounded(four[number]),
                            min=0,
                            step=0.05,
                            size="xs",
                            debounce=400,
                        )
                        for number in range(4)
                    ],
                    className="four",
                ),
            ]
        blocks.append(html.Fieldset(parts, className="tuning"))
    return html.Div(blocks)


def tuning_now(selection: Selection) -> dict[str, dict[str, Any]]:
    """Return weight and thresholds of each metric as they are, so that the page knows what a person changed.

    `all` writes all thresholds as changes: the start of changing one of those calculated from the data.
    """
    rated, view, data = selection.rated, selection.view, selection.data
    kind = rated.thresholds.index  # where the choice could not be rated, not that of the view
    whole = as_changes(rated.thresholds, data.metrics, data.tasks).partition("~")[2]
    found = {}
    for metric in data.choices[view.task, view.dataset].metrics:
        four = rated.thresholds.get(view.task, metric.key)
        found[metric.key] = {
            "weight": selection.metric(metric.key).weight,
            "usual": data.metrics[metric.key].weight,
            "thresholds": list(four or ()),
            "shown": [_rounded(value) for value in four or ()],
            "step": _top(four) / _STEPS if four else 0,
            "kind": kind,
            "all": whole,
        }
    return found


def _top(four: Sequence[float]) -> float:
    """Upper end of a slider."""
    return max(2.0, 1.25 * four[0])


def _rounded(value: float) -> float:
    """Round a threshold to what a person can read; it stays exact until somebody changes it."""
    return float(f"{value:.4g}")

"""The panel beside the plot: what is known about one model, in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dash import html

from mlee.assess.compound import letter
from mlee.assess.environment import ESTIMATED
from mlee.assess.metric import Metric
from mlee.assess.rating import BEST
from mlee.assess.table import COUNT, STANDARD_ERROR, UNCERTAINTY
from mlee.assess.uncertainty import half_width_of
from mlee.catalogue import PUBLICATIONS
from mlee.elex.figures import NOTHING, TIMES, written
from mlee.elex.selection import Selection
from mlee.units import significant, with_unit

_PROVENANCE = {
    "measured": "Energy measured",
    "estimated": "Energy estimated by a model, not measured",
    "external": "Energy taken from another tool",
}


def badge(rating: int, small: bool = False) -> html.Span:
    """Show a class as a letter on its colour; a missing one as a dash."""
    name = letter(rating)
    said = f"rated {name}" if name else "not rated"
    return html.Span(name or NOTHING, className=f"badge {'small ' if small else ''}class-{name or 'none'}", title=said)


def facts(selection: Selection, row: int) -> html.Div:
    """Describe row `row` of the rated table."""
    rated, data = selection.rated, selection.data
    values = rated.table.iloc[row].to_dict()
    runs = [data.runs[name] for name in values["run_ids"] if name in data.runs]
    model = str(values["model"])
    best, worst = letter(rated.compound_best[row]), letter(rated.compound_worst[row])
    spread = f" (repeats allow {best} to {worst})" if best != worst and best and worst else ""
    identity: list[tuple[str, Any]] = [
        ("Task", f"{values['task']} on {values['dataset']}"),
        ("Environment", str(values["environment"]).removesuffix(f" {ESTIMATED}")),
    ]
    provenance = values.get("provenance")
    if isinstance(provenance, str):
        identity.append(("Provenance", _PROVENANCE.get(provenance, provenance)))
    if scope := values.get("scope"):
        identity.append(("Devices summed", str(scope).replace("+", " + ").upper()))
    if sensors := sorted({sensor for run in runs for sensor in run.sensors}):
        identity.append(("Sensors", ", ".join(sensors)))
    missing = {kind: reason for run in runs for kind, reason in run.not_measured.items()}
    if missing:
        identity.append(("Not measured", "; ".join(f"{kind}: {reason}" for kind, reason in missing.items())))
    if runs:
        passes = sum(len(run.repeats) for run in runs)
        days = sorted({run.started_at.date().isoformat() for run in runs})
        counted = f"{len(runs)} run{'s' * (len(runs) > 1)}, {passes} timed pass{'es' * (passes > 1)}"
        identity.append(("Runs", f"{counted}, {days[0]}{f' to {days[-1]}' if len(days) > 1 else ''}"))
        idle = [run.idle_power_w for run in runs if run.idle_power_w is not None]
        if idle:
            identity.append(("Idle power", f"{with_unit(idle[0], 'W')}, not subtracted"))
    warnings = dict.fromkeys((*(w.message for run in runs for w in run.warnings), *(w.message for w in rated.warnings[row])))
    publication = PUBLICATIONS.get(model)
    return html.Div(
        [
            html.Div(
                [
                    badge(rated.compound[row]),
                    html.Div([html.H2(model), html.P(_verdict(selection, row) + spread, className="soft")]),
                ],
                className="facts-head",
            ),
            html.Ul([html.Li(message) for message in warnings], className="warnings") if warnings else None,
            _metrics(selection, row, values),
            html.Dl([part for key, value in identity for part in (html.Dt(key), html.Dd(value))], className="identity"),
            html.P(html.A("Read the paper of this model", href=publication.url, target="_blank", rel="noreferrer noopener"))
            if publication is not None
            else None,
        ]
    )


def _verdict(selection: Selection, row: int) -> str:
    rated = selection.rated
    name = letter(rated.compound[row])
    if name is None:
        return "Not rated: too few of its metrics are known, or there is no reference here."
    reference = rated.table["reference"].iloc[row]
    if rated.options.reference == BEST:
        return f"{name} next to the best of each metric here"
    if reference == rated.table["model"].iloc[row]:
        return f"{name}; it is the reference model: every index of it is 1"
    return f"{name} next to {reference}"


def _metrics(selection: Selection, row: int, values: dict[Any, Any]) -> html.Table:
    rated = selection.rated
    body = []
    for group in rated.groups:
        for column, metric in enumerate(rated.metrics):
            if metric.group != group or not rated.applies[row, column]:
                continue
            index = float(rated.index[row, column])
            value = _known(values.get(metric.key))
            body.append(
                html.Tr(
                    [
                        html.Th(metric.label, scope="row"),
                        html.Td([written(metric, value), _uncertainty(metric, values, value)]),
                        html.Td(f"{significant(index)}" if math.isfinite(index) else NOTHING),
                        html.Td(badge(rated.rating[row, column], small=True)),
                        html.Td(f"{metric.weight:g}"),
                    ],
                    className=None if metric.weight > 0 else "unweighted",
                )
            )
    head = html.Tr([html.Th(name, scope="col") for name in ("Metric", "Value", "Index", "Class", "Weight")])
    return html.Table([html.Thead(head), html.Tbody(body)], className="metrics")


def _uncertainty(metric: Metric, values: dict[Any, Any], value: float | None) -> html.Span | None:
    spread = half_width_of(_known(values.get(metric.key + STANDARD_ERROR)), int(values.get(metric.key + COUNT, values["n"])))
    unsure = max(spread or 0.0, _known(values.get(metric.key + UNCERTAINTY)) or 0.0)
    if not unsure or not value:
        return None
    return html.Span(f" ± {significant(abs(unsure / value) * 100, 2)} %", className="soft", title="95 % interval")


def _known(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def comparison(selection: Selection, rows: Sequence[int]) -> html.Div:
    """Set models side by side: each value, and how many times the first model's it is."""
    rated = selection.rated
    if len(rows) < 2:
        said = "Choose two to four models: choose a point, or a row of the table, and press “Compare”."
        return html.Div(html.P(said, className="empty"))
    records = rated.table.iloc[list(rows)].to_dict("records")
    columns = [
        html.Th(
            [badge(rated.compound[row]), html.Div(str(record["model"])), html.Small(str(record["environment"]))], scope="col"
        )
        for row, record in zip(rows, records, strict=True)
    ]
    body = []
    for column, metric in enumerate(rated.metrics):
        values = [_known(record.get(metric.key)) for record in records]
        if all(value is None for value in values):
            continue
        known = [value for value in values if value is not None]
        best = (max if metric.higher_is_better else min)(known)
        cells = []
        for row, value in zip(rows, values, strict=True):
            ratio = None if value is None or not values[0] else value / values[0]
            shown: list[Any] = [
                badge(rated.rating[row, column], small=True),
                html.Span(written(metric, value), className="best" if value == best and len(known) > 1 else None),
            ]
            if ratio is not None and row != rows[0]:
                shown.append(html.Small(f" {significant(ratio)} {TIMES}"))
            cells.append(html.Td(shown))
        body.append(html.Tr([html.Th(metric.label, scope="row"), *cells]))
    table = html.Table(
        [html.Thead(html.Tr([html.Td(f"{TIMES} the value of the first", className="soft"), *columns])), html.Tbody(body)],
        className="comparison",
    )
    different = len({(record["task"], record["dataset"], record["environment"]) for record in records}) > 1
    note = (
        "These results come from different environments: values compare, indices and classes have references of their own."
    )
    return html.Div([html.P(note, className="soft") if different else None, html.Div(table, className="wide", tabIndex=0)])

"""The panel beside the plot: what is known about one model, in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dash import html

from mlee.assess.compound import letter
from mlee.assess.export import is_published
from mlee.assess.metric import Metric
from mlee.assess.rating import Rated
from mlee.catalogue import PUBLICATIONS
from mlee.elex.figures import NOTHING, TIMES, written
from mlee.elex.selection import Selection
from mlee.elex.words import all_warnings, identity, known, listed, uncertainty, verdict
from mlee.units import significant


def badge(rating: int, small: bool = False) -> html.Span:
    """Show a class as a letter on its colour; a missing one as a dash."""
    name = letter(rating)
    said = f"rated {name}" if name else "not rated"
    return html.Span(name or NOTHING, className=f"badge {'small ' if small else ''}class-{name or 'none'}", title=said)


def _written(rated: Rated, row: int, metric: Metric, value: float | None) -> str:
    return written(metric, value) + (" (p)" if value is not None and is_published(rated, row, metric) else "")


def facts(selection: Selection, row: int) -> html.Div:
    """Describe row `row` of the rated table."""
    rated, data = selection.rated, selection.data
    values = rated.table.iloc[row].to_dict()
    runs = [data.runs[name] for name in values["run_ids"] if name in data.runs]
    model = str(values["model"])
    warnings = all_warnings(rated, row, runs)
    publication = PUBLICATIONS.get(runs[0].model if runs else model)
    return html.Div(
        [
            html.Div(
                [
                    badge(rated.compound[row]),
                    html.Div([html.H2(model), html.P(verdict(rated, row), className="soft")]),
                ],
                className="facts-head",
            ),
            html.Ul([html.Li(message) for message in warnings], className="warnings") if warnings else None,
            _metrics(selection, row, values),
            html.Dl(
                [part for key, value in identity(values, runs) for part in (html.Dt(key), html.Dd(value))],
                className="identity",
            ),
            html.P(html.A("Read the paper of this model", href=publication.url, target="_blank", rel="noreferrer noopener"))
            if publication is not None
            else None,
        ]
    )


def _metrics(selection: Selection, row: int, values: dict[Any, Any]) -> html.Table:
    rated = selection.rated
    metrics = listed(rated, row)
    body = []
    for group in rated.groups:
        for metric in metrics:
            if metric.group != group:
                continue
            column = rated.position(metric.key)
            index = float(rated.index[row, column])
            value = known(values.get(metric.key))
            body.append(
                html.Tr(
                    [
                        html.Th(metric.label, scope="row"),
                        html.Td([_written(rated, row, metric, value), _uncertainty(metric, values, value)]),
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
    share = uncertainty(metric, values, value)
    return (
        None
        if share is None
        else html.Span(
            f" {share}",
            className="soft",
            title="95 % interval of the repeats, or the uncertainty of the measurement, whichever is more",
        )
    )


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
        values = [known(record.get(metric.key)) for record in records]
        if all(value is None for value in values):
            continue
        there = [value for value in values if value is not None]
        best = (max if metric.higher_is_better else min)(there)
        cells = []
        for row, value in zip(rows, values, strict=True):
            ratio = None if value is None or not values[0] else value / values[0]
            shown: list[Any] = [
                badge(rated.rating[row, column], small=True),
                html.Span(
                    _written(rated, row, metric, value), className="best" if value == best and len(there) > 1 else None
                ),
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

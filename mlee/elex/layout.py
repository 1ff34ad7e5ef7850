"""The skeleton of the page. What fills it depends on the address alone and is fetched part by part (assets/)."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import html

from mlee.elex.controls import Start, choose_axes, choose_data
from mlee.elex.data import Explored
from mlee.elex.overlays import help_window, tuning_drawer
from mlee.elex.panel import badge
from mlee.elex.theme import FONT

_TABS = {
    "scatter": "Scatter",
    "ratings": "Ratings",
    "table": "Table",
    "metrics": "Metrics",
    "compare": ["Compare", html.Span(id="compare-count")],
    "time": "Power over time",
}
_MEANING = ("clearly better", "better", "about as good", "worse", "clearly worse")


def page(data: Explored, start: Start | None) -> Any:
    """Build the whole page; `start` is the state of the default view, `None` where there is nothing to show."""
    return dmc.MantineProvider(
        id="mantine",
        forceColorScheme="light",
        theme={"fontFamily": FONT, "primaryColor": "cyan", "primaryShade": {"light": 9, "dark": 4}, "defaultRadius": "md"},
        children=[
            _header(),
            html.Main(_nothing(data) if start is None else _content(start), id="main"),
            html.Footer(_footer(data)),
            html.Div(_news(), role="status"),
        ],
    )


def _news() -> html.Div:
    """Make what an open page says when the server has read other results (assets/4_actions.js)."""
    button = html.Button("Show them", id="news-button", type="button", className="button")
    return html.Div(["The results have changed.", button], id="news", hidden=True)


def _header() -> html.Header:
    return html.Header(
        [
            html.A("Skip to the plot", href="#plot", className="skip"),
            html.Div(
                [
                    html.Span([html.I(className=f"class-{letter}") for letter in "ABCDE"], className="mark"),
                    html.H1("mlee explorer"),
                    html.Span("energy of machine-learning models, measured and rated", className="soft tagline"),
                ],
                className="brand",
            ),
            html.Div(
                [
                    html.Button("How to read this", id="help-button", type="button", className="button"),
                    html.Button("Rating …", id="tuning-button", type="button", className="button"),
                    html.Button("Copy link", id="share-button", type="button", className="button"),
                    html.Button(
                        "Dark",
                        id="theme-button",
                        type="button",
                        className="button",
                        **_aria(label="switch between light and dark"),
                    ),
                ],
                className="actions",
            ),
        ]
    )


def _content(start: Start) -> list[Any]:
    return [
        html.Aside(
            [
                html.Details([html.Summary("Data"), *choose_data(start)], open=True),
                html.Details([html.Summary("Axes"), *choose_axes(start)], open=True),
            ],
            className="controls card",
            id="controls",
            **_aria(label="choose what is shown"),
        ),
        html.Section(
            [
                _help_line(),
                html.Div(
                    [
                        html.Div(
                            [
                                html.Strong(start["summary"], id="summary"),
                                html.Div(start["rating"], id="rating-words", className="soft"),
                            ],
                            role="status",
                        ),
                    ],
                    className="head",
                ),
                html.Ul(id="notices", className="notices"),
                dmc.Tabs(
                    id={"control": "tab", "kind": "tabs"},
                    value="scatter",
                    keepMounted=True,
                    children=[
                        dmc.TabsList([dmc.TabsTab(label, value=name) for name, label in _TABS.items()]),
                        *(dmc.TabsPanel(part, value=name) for name, part in _panels().items()),
                    ],
                ),
            ],
            className="view card",
        ),
        _model_panel(),
        help_window(),
        tuning_drawer(start),
    ]


def _panels() -> dict[str, list[Any]]:
    return {
        "scatter": [
            html.Div(
                html.Div(id="ring"),
                id="plot",
                className="plot-frame",
                tabIndex=0,
                role="application",
                **_aria(
                    label="Scatter plot of the models. Arrow keys go from model to model, Enter keeps one, Escape lets it "
                    "go. The table shows the same numbers.",
                    describedby="plot-words",
                ),
            ),
            html.P(id="plot-words", className="hidden"),
            html.P(id="spoken", className="hidden", **_aria(live="polite")),
        ],
        "ratings": [
            html.Div(id="ratings-graph"),
            html.P(id="ratings-words", className="soft"),
        ],
        "table": [
            html.Div(
                [
                    html.A("Download as CSV", id="table.csv", href="table.csv", className="button", download="mlee.csv"),
                    html.Button("All labels (zip)", id="zip-button", type="button", className="button of-label"),
                    html.Span(id="zip-progress", className="soft", role="status"),
                ],
                className="row",
            ),
            html.Div(id="grid-frame"),
        ],
        "metrics": [
            html.P(
                "How metrics go together over the models chosen (rank correlation): 1 means that both rise together, "
                "-1 that one rises as the other falls.",
                className="soft",
            ),
            html.Div(id="metrics-graph"),
        ],
        "compare": [
            html.Div(id="compared-names", className="row"),
            html.Div(id="comparison"),
            html.Div(id="compare-graph"),
            html.Div(id="compare-labels", className="labels"),
        ],
        "time": [
            dmc.Select(
                id={"control": "n", "kind": "trace"}, label="Run", data=[], searchable=True, allowDeselect=False, size="sm"
            ),
            html.P(id="time-words", className="soft", role="status"),
            html.Div(id="time-graph", className="plot"),
        ],
    }


def _model_panel() -> html.Aside:
    return html.Aside(
        [
            html.Div(
                [
                    html.Strong("Model"),
                    html.Span(id="pin-words", className="soft"),
                    html.Button("Compare", id="compare-button", type="button", className="button", disabled=True),
                    html.Button("Close", id="unpin-button", type="button", className="button", disabled=True),
                ],
                className="row panel-head",
            ),
            html.Div(
                html.P("Point at a model, tap it, or go to it with the arrow keys: its energy label appears here."),
                id="panel-empty",
                className="empty",
            ),
            html.Div(
                [
                    html.Img(id="label", alt="", width="340", height="626"),
                    html.Div(
                        [
                            html.Span("Label:", className="soft of-label"),
                            *(
                                html.A(name.upper(), id=f"label-{name}", href="#", className="button of-label")
                                for name in ("pdf", "svg", "png")
                            ),
                            html.Span("Data:", className="soft"),
                            html.A("Summary", id="summary-link", href="#", className="button"),
                            html.A("Full log", id="log-link", href="#", className="button"),
                        ],
                        className="row downloads",
                    ),
                    html.Div(id="facts"),
                    html.Div(id="profile"),
                ],
                id="panel-body",
                hidden=True,
            ),
        ],
        className="model card",
        id="panel",
        **_aria(label="the chosen model"),
    )


def _help_line() -> html.P:
    scale = [part for rating, said in enumerate(_MEANING) for part in (badge(rating, small=True), html.Span(f" {said} "))]
    return html.P(
        [html.Span("Each point is a model. Its letter says how it does next to the reference model: "), *scale],
        className="legend-classes soft",
    )


def _nothing(data: Explored) -> html.Div:
    steps = [
        ("Measure something here", "scripts/quickstart.sh"),
        ("Or measure a model of your own choice", "python infer.py --infer-model EfficientNetLite0 --data-path sample"),
        ("Merge the runs", "python merge_results.py"),
        ("And open them", "python elex.py --directory results"),
    ]
    return html.Div(
        [
            html.H2("There are no results yet"),
            html.P(data.problem),
            html.Ol([html.Li([f"{said}: ", html.Code(command)]) for said, command in steps]),
            html.P("--directory takes folders of results, experiment folders, result files, and tables of other tools."),
        ],
        className="card nothing",
    )


def _footer(data: Explored) -> list[Any]:
    odd = len(data.unreadable)
    said = [f"{entry.path.name}: {entry.reason}" for entry in data.unreadable]
    return [
        html.Span(f"{len(data.ids)} results. " if not data.empty else ""),
        html.Details(
            [html.Summary(f"{odd} file{'s' * (odd > 1)} could not be read"), html.Ul([html.Li(line) for line in said[:50]])]
        )
        if odd
        else None,
        html.Details([html.Summary("Remarks"), html.Ul([html.Li(line) for line in data.warnings[:50]])])
        if data.warnings
        else None,
    ]


def _aria(**attributes: str) -> dict[str, Any]:
    """Write attributes for assistive technology, which Dash takes by names that are none in Python."""
    return {f"aria-{name}": value for name, value in attributes.items()}

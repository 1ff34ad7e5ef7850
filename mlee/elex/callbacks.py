"""Who tells whom: the wiring of the page.

All of it runs in the browser (assets/elex.js), which fetches parts from the server by the view's address (parts.py):
answers are plain resources that browser and server may keep.
"""

from __future__ import annotations

from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State

ANY = {"control": ALL, "kind": ALL}


def register(app: Dash) -> None:
    """Wire the page up."""

    def browser(name: str, *wires: Any, **more: Any) -> None:
        app.clientside_callback(ClientsideFunction("elex", name), *wires, **more)

    search, theme, tab = Input("url", "search"), Input("theme", "data"), Input({"control": "tab", "kind": "tabs"}, "value")
    browser(
        "applyState",
        Output(ANY, "value"),
        Output({"control": ALL, "kind": "select"}, "data"),
        *(Output(name, "data") for name in ("defaults", "weights", "thresholds", "selected", "compared")),
        *(Output(name, "children") for name in ("summary", "rating-words", "notices", "environments")),
        Output("example", "data"),
        search,
        State(ANY, "value"),
        State({"control": ALL, "kind": "select"}, "data"),
    )
    browser(
        "compose",
        Output("url", "search"),
        Input(ANY, "value"),
        *(Input(name, "data") for name in ("weights", "thresholds", "selected", "compared")),
        State("defaults", "data"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    browser("drawScatter", Output("plot-words", "children"), search, theme, tab)
    browser("drawFigures", Output("ratings-words", "children"), search, theme, tab)
    browser("drawTable", Output("grid-frame", "children"), Output("csv-link", "href"), search, theme, tab)
    browser(
        "drawComparison",
        *(Output(name, "children") for name in ("comparison", "compared-names", "compare-labels")),
        search,
        theme,
        tab,
    )
    browser(
        "drawTime",
        Output({"control": "n", "kind": "trace"}, "data"),
        Output("time-words", "children"),
        Output("tick", "disabled"),
        search,
        theme,
        tab,
        Input("tick", "n_intervals"),
    )
    browser("chosen", Output("pin-words", "children"), Input("selected", "data"), Input("example", "data"))
    browser("showModel", Output("facts", "children"), Input("shown", "data"), search, theme)
    browser(
        "picked", Output("selected", "data", allow_duplicate=True), Input("grid", "selectedRows"), prevent_initial_call=True
    )
    browser("themed", Output("mantine", "forceColorScheme"), theme)
    for name in ("help", "tuning"):
        browser("open", Output(name, "opened"), Input(f"{name}-button", "n_clicks"), prevent_initial_call=True)
    browser(
        "showTuning", Output("tuning-controls", "children"), Output("current", "data"), search, Input("tuning", "opened")
    )
    browser(
        "tuned",
        Output("weights", "data", allow_duplicate=True),
        Output("thresholds", "data", allow_duplicate=True),
        Output("upload-message", "children", allow_duplicate=True),
        Input({"metric": ALL, "task": ALL, "tune": "weight"}, "value"),
        Input({"metric": ALL, "task": ALL, "tune": "threshold", "number": ALL}, "value"),
        Input({"metric": ALL, "task": ALL, "tune": "slider"}, "value"),
        State("current", "data"),
        State("weights", "data"),
        State("thresholds", "data"),
        prevent_initial_call=True,
    )

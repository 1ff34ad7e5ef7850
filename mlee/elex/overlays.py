"""What lies over the page when it is asked for: how to read it, and how models are rated."""

from __future__ import annotations

import dash_mantine_components as dmc
from dash import html

from mlee.elex.controls import Start, choose_rating


def help_window() -> dmc.Modal:
    """Explain the page to somebody who sees it for the first time."""
    return dmc.Modal(
        id="help",
        closeButtonProps={"aria-label": "Close"},
        title="How to read this",
        size="lg",
        children=[
            html.P(
                [
                    "Each point is one model, run in one environment (hardware and software). Every metric is compared with "
                    "the ",
                    html.Strong("reference model"),
                    " of that environment: an ",
                    html.Strong("index"),
                    " of 1 is as good as the reference, 2 twice as good. Four thresholds turn the index into a class from A "
                    "to E; a weighted median of the classes of all metrics is the letter of the model.",
                ]
            ),
            html.Ul(
                [
                    html.Li("Colour and letter: the compound rating, A (best) to E."),
                    html.Li("Shape: the environment. A ring marks the reference model."),
                    html.Li("A filled point was measured; a hollow one has an energy that was only estimated."),
                    html.Li("Coloured ground and letters at the axes: the classes of the two metrics shown."),
                    html.Li("Dotted steps: the Pareto front. No model is better on both axes than one of the front."),
                    html.Li(
                        "Thin bars: how far a value may be off, by its repeats (95 % interval) or by the uncertainty of its "
                        "measurement."
                    ),
                    html.Li("What was not measured is not drawn, and a line above the plot says so."),
                ]
            ),
            html.P(
                "Click a point to keep it, drag over the plot to zoom, double-click to zoom out. With the keyboard: arrow "
                "keys in the plot, Enter to keep, Escape to let go. The address of the page holds the whole view: copy it "
                "to share it."
            ),
        ],
    )


def tuning_drawer(start: Start) -> dmc.Drawer:
    """Offer reference, mode, rules, weights and thresholds."""
    return dmc.Drawer(
        id="tuning",
        closeButtonProps={"aria-label": "Close"},
        title="How models are rated",
        position="right",
        size="md",
        keepMounted=True,
        children=[
            dmc.Stack(choose_rating(start), gap=10),
            html.P(
                "Thresholds calculated from this data change whenever a model is added: a class then says how a model ranks "
                "here, not how good it is.",
                className="soft",
            ),
            html.Div(
                [
                    html.Button(
                        "Calculate thresholds from this data", id="quantiles-button", type="button", className="button"
                    ),
                    html.Button("Reset the rating", id="reset-button", type="button", className="button"),
                ],
                className="row",
            ),
            html.Div(
                [
                    html.Button("Upload weights or thresholds", id="upload-button", type="button", className="button"),
                    html.A("Weights", id="weights.json", href="weights.json", className="button", download="weights.json"),
                    html.A(
                        "Thresholds",
                        id="thresholds.json",
                        href="thresholds.json",
                        className="button",
                        download="thresholds.json",
                    ),
                ],
                className="row",
            ),
            html.P(id="upload-message", role="alert"),
            html.Div(id="tuning-controls"),
        ],
    )

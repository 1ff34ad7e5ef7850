"""How the compound ratings of each environment are spread: one bar of five classes an environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mlee.assess.compound import LETTERS, MISSING
from mlee.assess.rating import Rated
from mlee.paper.figures_style import FILL, GREY, INK, ON_FILL, drawable, styled, to_pdf
from mlee.paper.order import environments, short_names

_ROW_IN = 0.27
#: Share of a bar that one character of its text takes.
_CHARACTER = 0.0155


def histogram(rated: Rated) -> bytes | None:
    """Draw the share of each class in each environment, a panel for each task; `None` where nothing was rated."""
    tasks = [task for task in dict.fromkeys(rated.table["task"]) if environments(rated, task)]
    if not tasks:
        return None
    panels = [environments(rated, task) for task in tasks]
    rows = [len(panel) for panel in panels]
    with styled():
        height = _ROW_IN * sum(rows) + 0.42 * len(tasks) + 0.75
        figure = Figure(figsize=(6.6, height), layout="constrained")
        all_axes = figure.subplots(len(tasks), 1, sharex=True, squeeze=False, height_ratios=rows)[:, 0]
        names = short_names(dict.fromkeys(name for panel in panels for name in panel))
        for axes, task, panel in zip(all_axes, tasks, panels, strict=True):
            _panel(axes, rated, task, panel, names)
        all_axes[-1].tick_params(axis="x", bottom=True, labelbottom=True, labelsize=7.5)
        all_axes[-1].set_xlabel("Share of the models", fontsize=8)
        figure.suptitle(
            f"Compound ratings A to E; rules {rated.options.rules.name}, {rated.options.mode}",
            x=0.012,
            ha="left",
            fontsize=10,
            weight="bold",
            color=INK,
            parse_math=False,
        )
        return to_pdf(figure)


def _panel(axes: Any, rated: Rated, task: str, panel: list[str], names: dict[str, str]) -> None:
    table = rated.table
    for row, environment in enumerate(panel):
        mine = ((table["task"] == task) & (table["environment"] == environment)).to_numpy()
        _bar(axes, row, rated.compound[mine])
    axes.set_yticks(range(len(panel)), [drawable(names[name], 40) for name in panel], fontsize=8)
    axes.set_ylim(len(panel) - 0.42, -0.58)
    axes.set_xlim(0, 1)
    axes.set_xticks(np.linspace(0, 1, 6), [f"{share:.0%}" for share in np.linspace(0, 1, 6)])
    axes.tick_params(axis="both", length=0, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_title(task.capitalize(), loc="left", fontsize=8.5, color=GREY, pad=3)


def _bar(axes: Any, row: int, ratings: Any) -> None:
    left, total = 0.0, len(ratings)
    for rating in (*range(len(LETTERS)), MISSING):
        count = int((ratings == rating).sum())
        if not count:
            continue
        name = LETTERS[rating] if rating != MISSING else None
        share = count / total
        axes.barh(row, share, left=left, height=0.78, color=FILL[name], edgecolor="white", linewidth=1)
        texts = (f"{name or 'not rated'} {count}", name or str(count))
        text = next((text for text in texts if len(text) * _CHARACTER <= share), None)
        if text is not None:
            style = {"ha": "center", "va": "center_baseline", "fontsize": 7.5, "weight": "bold"}
            axes.text(left + share / 2, row, text, color=ON_FILL[name], **style)
        left += share
    axes.text(1.012, row, f"{total} model{'s' * (total != 1)}", fontsize=7.5, color=GREY, va="center_baseline")

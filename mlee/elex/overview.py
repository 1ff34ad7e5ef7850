"""Pictures of many models at once: how often each class was given, how metrics go together, and a model's profile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mlee.assess.compound import LETTERS
from mlee.assess.environment import ESTIMATED
from mlee.assess.metric import Metric
from mlee.elex.figures import NOTHING, Figure, blank, layout, numbers, text
from mlee.elex.selection import Selection
from mlee.elex.theme import CLASSES, SERIES, SURFACES
from mlee.units import told_apart

#: Fewer pairs of values than this say nothing about a correlation.
_LEAST_PAIRS = 4
_BAR_PX, _TITLE_PX = 30, 46
#: Characters of an environment's name: more leave no room for the bars on a phone.
_LONGEST_BAR = 34


def ratings(selection: Selection, theme: str) -> Figure:
    """Count the classes of each environment: of the compound rating and of the two metrics of the axes."""
    if not len(selection.rows):
        return blank(theme, "Nothing is chosen: there is nothing to count.")
    view = selection.view
    parts: list[tuple[str, npt.NDArray[np.int8]]] = [("Compound rating", selection.compound)]
    for key in dict.fromkeys((view.x, view.y)):
        column = selection.rated.position(key)
        parts.append((selection.metric(key).label, selection.rated.rating[selection.rows, column]))
    environments = np.array(selection.environments, dtype=object)
    present = [name for name in view.environments if (environments == name).any()]
    # The sign of estimated energy in the place of the words, which take half of a name's room.
    signed = [f"~ {name.removesuffix(f' {ESTIMATED}')}" if name.endswith(ESTIMATED) else name for name in present]
    shown = [text(name) for name in told_apart(signed, _LONGEST_BAR)]
    traces: list[Figure] = []
    figure = layout(
        theme, barmode="stack", bargap=0.25, height=_TITLE_PX * len(parts) + _BAR_PX * len(present) * len(parts) + 60
    )
    height = 1 / len(parts)
    figure["annotations"] = []
    for number, (title, classes) in enumerate(parts):
        axis_number = "" if number == 0 else str(number + 1)
        top = 1 - number * height
        share = _TITLE_PX / (figure["height"] - 60)
        figure[f"yaxis{axis_number}"] = {
            "domain": [top - height, top - share],
            "autorange": "reversed",
            "automargin": True,
            "anchor": f"x{axis_number}",
            "fixedrange": True,
            "ticklabelstandoff": 8,
            "type": "category",
            "tickvals": present,
            "ticktext": shown,
        }
        figure[f"xaxis{axis_number}"] = {"visible": False, "anchor": f"y{axis_number}", "fixedrange": True}
        figure["annotations"].append(
            {
                "text": f"<b>{text(title)}</b>",
                "xref": "paper",
                "yref": "paper",
                "x": 0,
                "y": top - share * 0.95,
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
            }
        )
        for letter, rating in (*((name, n) for n, name in enumerate(LETTERS)), (None, -1)):
            counts = [int(((environments == name) & (classes == rating)).sum()) for name in present]
            if not any(counts):
                continue
            fill, ink = CLASSES[letter]
            said = "not rated" if letter is None else letter
            traces.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": said,
                    "x": counts,
                    "y": present,
                    "customdata": [text(name, None) for name in present],
                    "xaxis": f"x{axis_number}",
                    "yaxis": f"y{axis_number}",
                    "marker": {"color": fill, "line": {"color": SURFACES[theme].panel, "width": 1.5}},
                    "text": [f"<b>{letter or NOTHING}</b> {count}" if count else "" for count in counts],
                    "textposition": "inside",
                    "insidetextanchor": "middle",
                    "textangle": 0,
                    "textfont": {"color": ink},
                    "hovertemplate": f"%{{customdata}}<br>{said}: %{{x}}<extra></extra>",
                }
            )
    return {"data": traces, "layout": figure}


def rating_words(selection: Selection) -> str:
    """Say the counts in words, for those who cannot see the picture."""
    counts = np.bincount(selection.compound + 1, minlength=6)
    parts = [f"{counts[n + 1]} rated {letter}" for n, letter in enumerate(LETTERS) if counts[n + 1]]
    return f"{len(selection.rows)} models: {', '.join([*parts, *([f'{counts[0]} not rated'] if counts[0] else [])])}."


def rank_correlation(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation over the rows where both are known; `None` for too few, or for a constant."""
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < _LEAST_PAIRS:
        return None
    ranks = [_ranks(values[known]) for values in (first, second)]
    if any(np.ptp(part) == 0 for part in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks (n,); equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: npt.NDArray[np.float64] = (ends - (counts - 1) / 2)[inverse]
    return means


def correlation(selection: Selection, metrics: Sequence[Metric], theme: str) -> Figure:
    """Draw how the metrics of the chosen models go together (Spearman): 1 both rise, -1 one rises as the other falls."""
    columns = {m.key: selection.rated.table[m.key].to_numpy(dtype=float)[selection.rows] for m in metrics}
    shown = [metric for metric in metrics if np.isfinite(columns[metric.key]).sum() >= _LEAST_PAIRS]
    if len(shown) < 2:
        return blank(theme, f"A correlation needs at least {_LEAST_PAIRS} models with two metrics.")
    found = [[rank_correlation(columns[a.key], columns[b.key]) for b in shown] for a in shown]
    surface = SURFACES[theme]
    middle = "#ffffff" if theme == "light" else "#18212a"
    keys = [metric.key for metric in shown]
    names = [text(metric.label.replace(" (extrapolated)", "")) for metric in shown]
    places = {"type": "category", "tickvals": keys, "ticktext": names, "automargin": True, "fixedrange": True}
    return {
        "data": [
            {
                "type": "heatmap",
                "x": keys,
                "y": keys,
                "z": found,
                "zmin": -1,
                "zmax": 1,
                "colorscale": [[0, "#b35806"], [0.5, middle], [1, "#2b6fb3"]],
                "text": [["" if value is None else f"{value:.2f}" for value in row] for row in found],
                "texttemplate": "%{text}",
                "customdata": [[f"{up}<br>{along}" for along in names] for up in names],
                "hovertemplate": "%{customdata}<br>%{text}<extra></extra>",
                "xgap": 2,
                "ygap": 2,
                "colorbar": {"thickness": 12, "outlinewidth": 0, "tickvals": [-1, 0, 1], "len": 0.6},
            }
        ],
        "layout": layout(
            theme,
            height=140 + 46 * len(shown),
            xaxis={**places, "tickangle": -35, "linecolor": surface.line},
            yaxis={**places, "autorange": "reversed", "ticklabelstandoff": 8},
        ),
    }


def profile(selection: Selection, rows: Sequence[int], theme: str) -> Figure:
    """Draw the classes of models' metrics as a radar, by group of metrics: the outer ring is A."""
    metrics = [
        (column, metric)
        for column, metric in enumerate(selection.rated.metrics)
        if any(selection.rated.rating[row, column] >= 0 for row in rows)
    ]
    metrics.sort(key=lambda pair: list(selection.rated.groups).index(pair[1].group))
    if len(metrics) < 3 or not rows:
        return blank(theme, "A profile needs a model with three rated metrics.")
    surface = SURFACES[theme]
    keys = [metric.key for _, metric in metrics]
    names = [_broken(metric.label) for _, metric in metrics]
    traces: list[Figure] = []
    for number, row in enumerate(rows):
        colour = SERIES[theme][number % len(SERIES[theme])]
        classes = [int(selection.rated.rating[row, column]) for column, _ in metrics]
        radius = [float(len(LETTERS) - rating) if rating >= 0 else float("nan") for rating in classes]
        said = [LETTERS[rating] if rating >= 0 else "not rated" for rating in classes]
        traces.append(
            {
                "type": "scatterpolar",
                "mode": "lines+markers",
                "name": text(f"{selection.rated.table['model'].iloc[row]}"),
                "r": numbers([*radius, radius[0]]),
                "theta": [*keys, keys[0]],
                "customdata": [*names, names[0]],
                "text": [*said, said[0]],
                "fill": "toself" if all(rating >= 0 for rating in classes) else "none",
                "opacity": 0.85,
                "line": {"color": colour, "width": 2, "dash": ("solid", "dash", "dot", "dashdot")[number % 4]},
                "marker": {"size": 8, "symbol": ("circle", "square", "diamond", "triangle-up")[number % 4]},
                "hovertemplate": "%{customdata}: %{text}<extra>%{fullData.name}</extra>",
            }
        )
    return {
        "data": traces,
        "layout": layout(
            theme,
            height=360,
            margin={"l": 70, "r": 70, "t": 30, "b": 40},
            showlegend=len(rows) > 1,
            legend={"orientation": "h", "y": -0.12},
            polar={
                "bgcolor": "rgba(0,0,0,0)",
                "radialaxis": {
                    "range": [0, len(LETTERS)],
                    "tickvals": list(range(1, len(LETTERS) + 1)),
                    "ticktext": list(reversed(LETTERS)),
                    "gridcolor": surface.grid,
                    "linecolor": surface.line,
                    "angle": 90,
                    "tickangle": 90,
                },
                "angularaxis": {
                    "type": "category",
                    "tickvals": keys,
                    "ticktext": names,
                    "gridcolor": surface.grid,
                    "linecolor": surface.line,
                    "tickfont": {"size": 11},
                },
            },
        ),
    }


def _broken(label: str) -> str:
    """Break a label into two short lines."""
    words = text(label.replace(" (extrapolated)", "")).split(" ")
    half = (len(words) + 1) // 2
    return " ".join(words[:half]) + (f"<br>{' '.join(words[half:])}" if words[half:] else "")

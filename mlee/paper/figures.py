"""The scatters of the paper: two metrics on the index scale, with the zones that their classes make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from mlee.assess.compound import LETTERS, MISSING, compound, letter
from mlee.assess.rating import Rated
from mlee.assess.references import BEST
from mlee.paper.figures_style import FILL, GREY, INK, ON_FILL, ZONE, drawable, renderer, styled, to_pdf
from mlee.paper.order import short_names
from mlee.paper.placement import Box, place

Floats = npt.NDArray[np.float64]

#: Environment, in order -> marker; the letter in it is the class.
_MARKERS = "osDhpP^v8X"
_MOST_NAMES = 40
_LONGEST_NAME = 30
_LOG_FROM = 8  # largest index by smallest
_MARKER_PT = 4.6
_SIZE_IN = (6.6, 5.3)
_STRIP = 0.035  # of the axes
_SMALL_PT = 7.0
_CAPTION_CHARACTERS = 128


def scatter(rated: Rated, task: str, x_key: str, y_key: str, environments: Sequence[str]) -> bytes | None:
    """Draw two metrics of a task in some environments; the PDF, or `None` where no model has both."""
    columns = [number for key in (x_key, y_key) for number, metric in enumerate(rated.metrics) if metric.key == key]
    if len(columns) < 2:
        return None
    table = rated.table
    mine = np.flatnonzero(((table["task"] == task) & table["environment"].isin(list(environments))).to_numpy())
    known = np.isfinite(rated.index[mine][:, columns]).all(axis=1)
    rows, missing = mine[known], mine[~known]
    if not len(rows):
        return None
    x, y = (rated.index[rows, column] for column in columns)
    with styled():
        figure = Figure(figsize=_SIZE_IN, layout="constrained")
        axes = figure.subplots()
        for axis, values, column in ((axes.xaxis, x, columns[0]), (axes.yaxis, y, columns[1])):
            _scale(axis, values)
            axis.set_label_text(f"{rated.metrics[column].label}: index, more is better", fontsize=8.5)
        zones = _zones(axes, rated, task, (x_key, y_key))
        for line in (axes.axhline, axes.axvline):
            line(1, color="white", linewidth=1.3, zorder=1)
        used = [name for name in environments if name in set(table["environment"].iloc[rows])]
        _points(axes, rated, rows, x, y, used)
        _words(figure, axes, rated, task, rows, missing, used)
        measure = renderer(figure)
        blocks = _zone_letters(axes, zones, axes.transData.transform(np.column_stack([x, y])))
        if len(rows) <= _MOST_NAMES:  # with more there is no room
            _names(figure, axes, measure, rated, rows, x, y, blocks)
        return to_pdf(figure)


def _scale(axis: Any, values: Floats) -> None:
    """Set the limits so that all points and the index 1 are inside; logarithmic where the points are far apart."""
    low, high = min(values.min(), 1.0), max(values.max(), 1.0)
    log = low > 0 and values.max() / values.min() > _LOG_FROM
    if log:
        margin = (high / low) ** 0.07
        limits = low / margin, high * margin
        (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(FuncFormatter(_two_and_five))
    else:
        margin = 0.07 * (high - low) or 0.1
        limits = max(low - margin, 0.0) if low >= 0.0 else low - margin, high + margin
    (axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim)(*limits)
    axis.set_tick_params(which="minor", labelsize=8, pad=5)  # on one line with the major ones


def _two_and_five(value: float, _: float) -> str:
    """Name the ticks 2 and 5 of each decade only."""
    return f"{value:g}" if round(value / 10 ** math.floor(math.log10(value)), 6) in (2, 5) else ""


def _zones(axes: Any, rated: Rated, task: str, keys: tuple[str, str]) -> list[tuple[str, Box]]:
    """Colour the plane by the compound of the two axes' classes, and beside it a strip with the classes of each axis.

    Returns the class of each zone and its corners in the units of the axes.
    """
    limits = (axes.get_xlim(), axes.get_ylim())
    found = [rated.thresholds.get(task, key) for key in keys]
    edges = []
    for four, (low, high) in zip(found, limits, strict=True):
        edges.append([high, *(min(max(edge, low), high) for edge in four or ()), low])
    for vertical, four in enumerate(found):
        if four is not None:
            _strip(axes, edges[vertical], vertical=bool(vertical))
    zones: list[tuple[str, Box]] = []
    if found[0] is None or found[1] is None:
        return zones
    pairs = np.array([(i, j) for i in range(5) for j in range(5)], dtype=np.int8)
    classes = compound(pairs, np.ones(2), rated.options.mode, rated.options.rules)
    for (i, j), zone in zip(pairs, classes, strict=True):
        left, bottom, right, top = edges[0][i + 1], edges[1][j + 1], edges[0][i], edges[1][j]
        if zone == MISSING or right <= left or top <= bottom:
            continue
        name = str(letter(zone))
        style: dict[str, Any] = {"facecolor": ZONE[name], "edgecolor": ZONE[name], "linewidth": 0.2, "zorder": 0}
        axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, **style))
        zones.append((name, (left, bottom, right, top)))
    return zones


def _zone_letters(axes: Any, zones: Sequence[tuple[str, Box]], points: Floats) -> list[Box]:
    """Write the letter of each class once into a corner of its largest zone that no point is near; return their boxes."""
    boxes: list[Box] = []
    by_class: dict[str, list[Floats]] = {}
    for name, (left, bottom, right, top) in zones:
        by_class.setdefault(name, []).append(axes.transData.transform([(left, bottom), (right, top)]))
    for name, found in by_class.items():
        for low, high in sorted(found, key=lambda corners: -float(np.prod(corners[1] - corners[0]))):
            inside = [(x, y) for y in (low[1] + 8, high[1] - 8) for x in (low[0] + 8, high[0] - 8)]
            free = [at for at in inside if (high - low).min() > 20 and (np.hypot(*(points - at).T) > 14).all()]
            if free:
                x, y = free[0]
                style = {"fontsize": 9, "weight": "bold", "ha": "center", "va": "center_baseline", "zorder": 0.5}
                place_at = axes.transAxes.inverted().transform((x, y))
                axes.text(*place_at, name, color=INK, alpha=0.4, transform=axes.transAxes, **style)
                boxes.append((x - 5, y - 5, x + 5, y + 5))
                break
    return boxes


def _strip(axes: Any, edges: Sequence[float], *, vertical: bool) -> None:
    """Show the classes of one axis along its far side."""
    transform = axes.get_yaxis_transform() if vertical else axes.get_xaxis_transform()
    to_pt = axes.transData.transform
    for number, name in enumerate(LETTERS):
        high, low = edges[number], edges[number + 1]
        if high <= low:
            continue
        corner, size = ((1.0, low), (_STRIP * 0.8, high - low)) if vertical else ((low, 1.0), (high - low, _STRIP))
        style: dict[str, Any] = {"facecolor": FILL[name], "edgecolor": "white", "linewidth": 0.6, "clip_on": False}
        axes.add_patch(Rectangle(corner, *size, transform=transform, **style))
        ends = to_pt([(1, low), (1, high)] if vertical else [(low, 1), (high, 1)])
        if abs(ends[1] - ends[0]).max() < 9:
            continue
        scale = axes.yaxis if vertical else axes.xaxis
        middle = math.sqrt(low * high) if scale.get_scale() == "log" else (low + high) / 2
        at = (1 + _STRIP * 0.4, middle) if vertical else (middle, 1 + _STRIP * 0.46)
        style = {"ha": "center", "va": "center_baseline", "fontsize": _SMALL_PT, "weight": "bold"}
        axes.text(*at, name, color=ON_FILL[name], transform=transform, **style)


def _points(axes: Any, rated: Rated, rows: npt.NDArray[np.intp], x: Floats, y: Floats, used: Sequence[str]) -> None:
    """Draw points: the class as colour and letter, the environment as shape."""
    places = rated.table["environment"].iloc[rows].to_numpy()
    # The last drawn lies on top: better classes, which are fewer.
    for rating in (MISSING, *range(4, -1, -1)):
        name = letter(rating)
        for number, environment in enumerate(used):
            chosen = (rated.compound[rows] == rating) & (places == environment)
            if not chosen.any():
                continue
            style = {"color": FILL[name], "edgecolors": "white", "linewidths": 0.9, "zorder": 3 + 0.1 * (4 - rating)}
            axes.scatter(x[chosen], y[chosen], s=(2 * _MARKER_PT) ** 2, marker=_marker(number), **style)
            style = {"color": ON_FILL[name], "linewidths": 0, "zorder": 3.05 + 0.1 * (4 - rating)}
            axes.scatter(x[chosen], y[chosen], s=20, marker=rf"$\mathbf{{{name or '-'}}}$", **style)


def _words(
    figure: Figure,
    axes: Any,
    rated: Rated,
    task: str,
    rows: npt.NDArray[np.intp],
    missing: npt.NDArray[np.intp],
    used: Sequence[str],
) -> None:
    """Write title, what is compared with what, how to read the figure, and which models are not in it."""
    where = used[0] if len(used) == 1 else f"{len(used)} environments"
    references = dict.fromkeys(str(name) for name in rated.table["reference"].iloc[rows] if isinstance(name, str))
    against = "the best" if rated.options.reference == BEST else drawable(" or ".join(references), 60)
    title = drawable(f"{task.capitalize()}, {where}", 80)
    models = f"{len(rows)} model{'s' * (len(rows) != 1)} compared with {against} (index 1, white lines)"
    style: dict[str, Any] = {
        "xy": (0, 1 + _STRIP),
        "xycoords": "axes fraction",
        "textcoords": "offset points",
        "parse_math": False,
    }
    axes.annotate(title, xytext=(0, 18), fontsize=10, weight="bold", color=INK, **style)
    axes.annotate(models, xytext=(0, 6), fontsize=8, color=GREY, **style)
    lines = [
        f"Points: compound rating of a model over all its metrics (rules {rated.options.rules.name}, "
        f"{rated.options.mode}). Edges: classes on each axis. Zones: compound of these two alone."
    ]
    if len(missing):
        names = dict.fromkeys(drawable(str(name), _LONGEST_NAME) for name in rated.table["model"].iloc[missing])
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        lines.append(f"Not shown, since a value is missing: {', '.join(list(names)[:10])}{more}.")
    lines = [part for line in lines for part in wrap(line, _CAPTION_CHARACTERS)]
    style = {"fontsize": _SMALL_PT, "color": GREY, "va": "bottom", "linespacing": 1.25, "parse_math": False}
    figure.text(0.012, 0.012, "\n".join(lines), **style)
    below_pt = len(lines) * _SMALL_PT * 1.3 + 6
    if len(used) > 1:
        short = short_names(used)
        handles = [
            Line2D([], [], marker=_marker(number), linestyle="", color=GREY, label=drawable(short[name], 30))
            for number, name in enumerate(used)
        ]
        at = (0.5, below_pt / 72 / _SIZE_IN[1])
        look: dict[str, Any] = {"ncols": 4, "frameon": False, "fontsize": _SMALL_PT, "handletextpad": 0.1}
        figure.legend(handles=handles, loc="lower center", bbox_to_anchor=at, **look)
        below_pt += 14 * math.ceil(len(used) / 4) + 4
    below = below_pt / 72 / _SIZE_IN[1]
    figure.set_layout_engine("constrained", rect=(0, below, 1, 1 - below))


def _marker(number: int) -> str:
    return _MARKERS[number % len(_MARKERS)]


def _names(
    figure: Figure,
    axes: Any,
    measure: Any,
    rated: Rated,
    rows: npt.NDArray[np.intp],
    x: Floats,
    y: Floats,
    blocks: Sequence[Box],
) -> None:
    """Write names beside points, the reference in bold."""
    table = rated.table
    points = axes.transData.transform(np.column_stack([x, y]))
    names = [drawable(str(name), _LONGEST_NAME) for name in table["model"].iloc[rows]]
    weights = ["bold" if table["model"].iloc[row] == table["reference"].iloc[row] else "normal" for row in rows]
    texts = [
        axes.text(0, 0, name, fontsize=6.8, weight=weight, color=INK, zorder=5, transform=None, parse_math=False)
        for name, weight in zip(names, weights, strict=True)
    ]
    extents = [text.get_window_extent(measure) for text in texts]
    sizes = np.array([(extent.width, extent.height) for extent in extents])
    frame = axes.get_window_extent(measure)
    places = place(points, sizes, (frame.x0, frame.y0, frame.x1, frame.y1), _MARKER_PT, blocks)
    for text, extent, point, found in zip(texts, extents, points, places, strict=True):
        if found is None:
            text.remove()
            continue
        text.set_position((found.box[0] - extent.x0, found.box[1] - extent.y0))
        if found.needs_line:
            # In the coordinates of the figure, which the PDF keeps.
            ends = figure.transFigure.inverted().transform([point, found.line_from])
            figure.add_artist(Line2D(*ends.T, color=GREY, linewidth=0.5, zorder=2.5))

"""The zones of the classes behind the points: where on an axis A ends and B begins."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from mlee.assess.compound import LETTERS
from mlee.elex.figures import Figure
from mlee.elex.selection import Selection
from mlee.elex.theme import CLASSES

#: Boundaries between A|B, B|C, C|D, D|E as drawn, and whether A lies at the upper end.
Bounds = tuple[tuple[float, float, float, float], bool]
_OPACITY = 0.17
_STRIP_PX = 15.0
_CLOSE = 1e-9


def bounds(selection: Selection, key: str, factor: float) -> Bounds | None:
    """Where classes meet on an axis, `None` where there is no single answer.

    On the index scale it is the thresholds. On the value scale they are values relative to the reference's, and several
    environments have several references: only where all agree is there one answer.
    """
    view, rated = selection.view, selection.rated
    four = rated.thresholds.get(view.task, key)
    if four is None:
        return None
    if view.scale == "index":
        return four, True
    metric = selection.metric(key)
    found = {_reference_value(selection, key, name) for name in dict.fromkeys(selection.environments)}
    known = [value for value in found if value is not None]
    if len(known) != len(found) or not known or max(known) - min(known) > _CLOSE * max(known):
        return None
    reference = known[0]
    if metric.higher_is_better:
        a, b, c, d = (threshold * reference * factor for threshold in four)
    else:
        a, b, c, d = (reference / threshold * factor if threshold > 0 else math.inf for threshold in four)
    return (a, b, c, d), metric.higher_is_better


def _reference_value(selection: Selection, key: str, environment: str) -> float | None:
    """Value (SI) that the indices of an environment are relative to."""
    rated, column = selection.rated, selection.rated.position(key)
    table = rated.table
    rows = selection.data.choices[selection.view.task, selection.view.dataset].rows[environment]
    values, indices = table[key].to_numpy(dtype=float)[rows], rated.index[rows, column]
    usable = np.isfinite(values) & np.isfinite(indices) & (indices > 0) & (values > 0)
    if not usable.any():
        return None
    value, index = values[usable][0], indices[usable][0]
    return float(value / index if rated.metrics[column].higher_is_better else value * index)


def zone_shapes(
    both: tuple[Bounds | None, Bounds | None],
    ranges: tuple[tuple[float, float], tuple[float, float]],
    logs: tuple[bool, bool],
    theme: str,
) -> tuple[list[Figure], list[Figure]]:
    """Return rectangles and letters: cells of the mean class, and a strip with letters along each axis."""
    bands = [
        None if bound is None else _bands(bound, ends, log) for bound, ends, log in zip(both, ranges, logs, strict=True)
    ]
    shapes: list[Figure] = []
    everywhere: list[tuple[float, float, int | None]] = [(0.0, 1.0, None)]
    for x0, x1, across in bands[0] or everywhere:
        for y0, y1, up in bands[1] or everywhere:
            known = [number for number in (across, up) if number is not None]
            if not known:
                continue
            refs = {"xref": "paper" if across is None else "x", "yref": "paper" if up is None else "y"}
            number = (sum(known) + len(known) - 1) // len(known)  # between two classes: the worse
            shapes.append(_box(x0, x1, y0, y1, LETTERS[number], _OPACITY, refs))
    annotations: list[Figure] = []
    for which, found, ends in zip("xy", bands, ranges, strict=True):
        for low, high, rating in found or []:
            start, end = max(low, ends[0]), min(high, ends[1])
            if end <= start:
                continue
            letter = LETTERS[rating or 0]
            along = {"xref": "x", "yref": "paper"} if which == "x" else {"xref": "paper", "yref": "y"}
            other = "y" if which == "x" else "x"
            (x0, x1), (y0, y1) = ((low, high), (0.0, _STRIP_PX)) if which == "x" else ((0.0, _STRIP_PX), (low, high))
            shapes.append(_box(x0, x1, y0, y1, letter, 0.95, along) | {f"{other}sizemode": "pixel", f"{other}anchor": 0})
            if end - start > 0.035 * (ends[1] - ends[0]):
                annotations.append(
                    {
                        which: (start + end) / 2,
                        other: 0,
                        f"{other}shift": _STRIP_PX / 2,
                        **along,
                        "text": f"<b>{letter}</b>",
                        "showarrow": False,
                        "xanchor": "center",
                        "yanchor": "middle",
                        "font": {"size": 11, "color": CLASSES[letter][1]},
                    }
                )
    # Shapes on a logarithmic axis are placed by the value, annotations by its decade.
    for shape in shapes:
        for which, log in zip("xy", logs, strict=True):
            if log and shape[f"{which}ref"] == which:
                for corner in (f"{which}0", f"{which}1"):
                    shape[corner] = 10 ** min(max(shape[corner], -300), 300)
    return shapes, annotations


def _bands(bound: Bounds, ends: tuple[float, float], log: bool) -> list[tuple[float, float, int | None]]:
    """Intervals of an axis and their classes, in its own coordinates; the outer ones reach far beyond what is shown."""
    (a, b, c, d), upwards = bound
    span = ends[1] - ends[0]
    far = (ends[0] - 20 * span, ends[1] + 20 * span)

    def place(value: float) -> float:
        if log:
            value = math.log10(value) if value > 0 else -math.inf
        return min(max(value, far[0]), far[1])

    edges = [place(value) for value in (a, b, c, d)]
    edges = [far[1], *edges, far[0]] if upwards else [far[0], *edges, far[1]]
    found: list[tuple[float, float, int | None]] = []
    for number, (first, second) in enumerate(pairwise(edges)):
        low, high = min(first, second), max(first, second)
        if high > low:
            found.append((low, high, number))
    return found


def _box(x0: float, x1: float, y0: float, y1: float, letter: str, opacity: float, refs: dict[str, str]) -> Figure:
    return {
        "type": "rect",
        "x0": x0,
        "x1": x1,
        "y0": y0,
        "y1": y1,
        "fillcolor": CLASSES[letter][0],
        "opacity": opacity,
        "line": {"width": 0},
        "layer": "below",
        **refs,
    }

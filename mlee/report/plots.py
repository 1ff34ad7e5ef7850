"""Plots as vector graphics: a scatter over the classes of both axes, and bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reportlab.graphics.shapes import Circle, Drawing, Line, Rect, String  # type: ignore[import-untyped]
from reportlab.lib.colors import HexColor, toColor  # type: ignore[import-untyped]

from mlee.assess.compound import LETTERS, letter
from mlee.assess.metric import Metric
from mlee.assess.rating import Rated
from mlee.label.layout import INK, PALETTE
from mlee.report.content import Group, Row
from mlee.units import significant, told_apart, with_unit

_FONT, _BOLD = "Vera", "Vera-Bold"
_SMALL = 5.6
#: Bars that fit on a page with what stands above them.
_MOST_BARS = 60
_GREY = "#8a94a0"
_SOFT = "#4d5864"
_LEFT, _BOTTOM, _RIGHT, _TOP = 38.0, 26.0, 8.0, 6.0


def scatter(rated: Rated, group: Group, x: Metric, y: Metric, width: float, height: float) -> Any:
    """Draw the models of a group by two metrics; x is logarithmic. `None` where fewer than two have both."""
    points = [
        (float(rated.table[x.key].iloc[row.number]), float(rated.table[y.key].iloc[row.number]), row) for row in group.rows
    ]
    points = [(a, b, row) for a, b, row in points if math.isfinite(a) and math.isfinite(b) and a > 0]
    if len(points) < 2:
        return None
    drawing = Drawing(width, height)
    logs = [math.log10(a) for a, _, _ in points]
    x_ends = _padded(min(logs), max(logs), 0.08)
    y_ends = _padded(min(b for _, b, _ in points), max(b for _, b, _ in points), 0.1)
    inner_w, inner_h = width - _LEFT - _RIGHT, height - _BOTTOM - _TOP

    def place_x(value: float) -> float:
        return _LEFT + inner_w * (value - x_ends[0]) / (x_ends[1] - x_ends[0])

    def place_y(value: float) -> float:
        return _BOTTOM + inner_h * (value - y_ends[0]) / (y_ends[1] - y_ends[0])

    for low, high, name in _bands(rated, group, x, log=True, ends=x_ends):
        drawing.add(_rect(place_x(low), _BOTTOM, place_x(high) - place_x(low), inner_h, _colour(name), 0.16))
        _band_letter(drawing, (place_x(low) + place_x(high)) / 2, _BOTTOM + inner_h - 8, name)
    for low, high, name in _bands(rated, group, y, log=False, ends=y_ends):
        drawing.add(_rect(_LEFT, place_y(low), inner_w, place_y(high) - place_y(low), _colour(name), 0.16))
        _band_letter(drawing, _LEFT + inner_w - 8, (place_y(low) + place_y(high)) / 2 - 2, name)
    _axes(drawing, width, height)
    for tick in _decades(x_ends):
        _tick(drawing, place_x(math.log10(tick)), _BOTTOM, with_unit(tick, x.unit, 1))
    for level in _steps(y_ends):
        label = f"{level * 100:g} %" if y.key.endswith("_accuracy") else with_unit(level, y.unit)
        drawing.add(String(_LEFT - 4, place_y(level) - 2, label, fontName=_FONT, fontSize=_SMALL, textAnchor="end"))
        drawing.add(_line(_LEFT - 2, place_y(level), _LEFT, place_y(level)))
    drawing.add(String(_LEFT + inner_w / 2, 4, x.label, fontName=_FONT, fontSize=_SMALL + 1, textAnchor="middle"))
    taken: list[tuple[float, float, float]] = []
    names = _short_names(group, 22)
    for (_, b, row), decade in sorted(zip(points, logs, strict=True), key=lambda pair: -pair[0][1]):
        px, py = place_x(decade), place_y(b)
        fill = _colour(letter(int(rated.compound[row.number])))
        hollow = _estimated(rated, row.number)
        drawing.add(
            Circle(
                px, py, 2.6, fillColor=HexColor("#ffffff" if hollow else fill), strokeColor=HexColor(fill), strokeWidth=1.2
            )
        )
        _name(drawing, px, py, names[row.model], taken, _LEFT + inner_w)
    return drawing


def bars(rated: Rated, group: Group, metric: Metric, width: float) -> list[Any]:
    """Draw a bar for each model, the shortest first: many in several drawings of one scale, fewer than two in none."""
    found = [(float(rated.table[metric.key].iloc[row.number]), row) for row in group.rows]
    found = sorted(((value, row) for value, row in found if math.isfinite(value)), key=lambda pair: pair[0])
    if len(found) < 2:
        return []
    longest = max(value for value, _ in found) or 1.0
    each = math.ceil(len(found) / math.ceil(len(found) / _MOST_BARS))
    names = _short_names(group, 18)
    parts = [found[start : start + each] for start in range(0, len(found), each)]
    return [_bars(rated, metric, part, names, longest, width) for part in parts]


def _bars(
    rated: Rated,
    metric: Metric,
    found: Sequence[tuple[float, Row]],
    names: Mapping[str, str],
    longest: float,
    width: float,
) -> Any:
    step, left = 9.0, 88.0
    height = step * len(found) + 4
    drawing = Drawing(width, height)
    column = rated.position(metric.key)
    for place, (value, row) in enumerate(found):
        y = height - step * (place + 1)
        name = letter(int(rated.rating[row.number, column]))
        fill = _colour(name)
        length = max(0.5, (width - left - 46) * value / longest)
        hollow = metric.key.startswith("energy") and _estimated(rated, row.number)
        drawing.add(String(left - 4, y + 1.4, names[row.model], fontName=_FONT, fontSize=_SMALL, textAnchor="end"))
        drawing.add(
            Rect(
                left,
                y,
                length,
                step - 2.4,
                fillColor=toColor("#ffffff") if hollow else HexColor(fill),
                strokeColor=HexColor(fill),
                strokeWidth=0.8,
            )
        )
        text = ("~" if hollow else "") + with_unit(value, metric.unit) + (f"  {name}" if name else "")
        drawing.add(String(left + length + 3, y + 1.4, text, fontName=_FONT, fontSize=_SMALL, fillColor=HexColor(_SOFT)))
    return drawing


def _bands(
    rated: Rated, group: Group, metric: Metric, *, log: bool, ends: tuple[float, float]
) -> list[tuple[float, float, str]]:
    """Intervals of an axis with their classes; none where the reference has no value."""
    four = rated.thresholds.get(group.task, metric.key)
    column = rated.position(metric.key)
    reference = None
    for row in group.rows:
        index, value = rated.index[row.number, column], rated.table[metric.key].iloc[row.number]
        if math.isfinite(index) and math.isfinite(value) and index > 0 and value > 0:
            reference = value / index if metric.higher_is_better else value * index
            break
    if four is None or reference is None:
        return []
    if metric.higher_is_better:
        edges = [threshold * reference for threshold in four]
    else:
        edges = [reference / threshold if threshold > 0 else math.inf for threshold in four]
    places = [(math.log10(edge) if log and edge > 0 else edge) for edge in edges]
    low, high = ends
    inside = [min(max(place, low), high) for place in places]
    marks = [high, *inside, low] if metric.higher_is_better else [low, *inside, high]
    found = [(min(a, b), max(a, b), name) for a, b, name in zip(marks, marks[1:], LETTERS, strict=False)]
    return [(a, b, name) for a, b, name in found if b > a]


def _estimated(rated: Rated, number: int) -> bool:
    return "provenance" in rated.table and rated.table["provenance"].iloc[number] == "estimated"


def _padded(low: float, high: float, share: float) -> tuple[float, float]:
    span = (high - low) or max(abs(high), 1e-3) * 0.1
    return low - share * span, high + share * span


def _axes(drawing: Any, width: float, height: float) -> None:
    drawing.add(_line(_LEFT, _BOTTOM, width - _RIGHT, _BOTTOM))
    drawing.add(_line(_LEFT, _BOTTOM, _LEFT, height - _TOP))


def _tick(drawing: Any, x: float, y: float, text: str) -> None:
    drawing.add(_line(x, y - 2, x, y))
    drawing.add(String(x, y - 9, text, fontName=_FONT, fontSize=_SMALL, textAnchor="middle"))


def _decades(ends: tuple[float, float]) -> list[float]:
    """1, 2 and 5 times the powers of ten between two logarithms, thinned to what fits."""
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [
            digit * 10.0**power
            for power in range(math.floor(ends[0]), math.ceil(ends[1]) + 1)
            for digit in digits
            if ends[0] <= math.log10(digit) + power <= ends[1]
        ]
        if len(found) <= 9:
            return found
    return found


def _steps(ends: tuple[float, float]) -> list[float]:
    span = ends[1] - ends[0]
    step = 10.0 ** math.floor(math.log10(span / 3))
    step = next(step * factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    first = math.ceil(ends[0] / step)
    return [float(significant((first + n) * step, 6)) for n in range(int((ends[1] - first * step) / step) + 1)]


def _name(drawing: Any, x: float, y: float, model: str, taken: list[tuple[float, float, float]], right: float) -> None:
    """Write a model's name beside its point where nothing is yet; leave it out where everything is full."""
    length = len(model) * _SMALL * 0.6
    for dx, dy, anchor in ((5, -2, "start"), (-5, -2, "end"), (0, 5, "middle"), (0, -9, "middle")):
        start = x + dx - {"start": 0, "end": length, "middle": length / 2}[anchor]
        base = y + dy
        if start < _LEFT or start + length > right:
            continue
        if any(
            start < other_x + other_w and other_x < start + length and abs(base - other_y) < 6.5
            for other_x, other_y, other_w in taken
        ):
            continue
        taken.append((start, base, length))
        drawing.add(String(x + dx, base, model, fontName=_FONT, fontSize=_SMALL, textAnchor=anchor, fillColor=HexColor(INK)))
        return


def _colour(name: str | None) -> str:
    return {letter: colours[0] for letter, colours in PALETTE.items()}.get(name, _GREY)  # type: ignore[call-overload,no-any-return]


def _short_names(group: Group, most: int) -> dict[str, str]:
    models = [row.model for row in group.rows]
    return dict(zip(models, told_apart(models, most), strict=True))


def _band_letter(drawing: Any, x: float, y: float, name: str) -> None:
    drawing.add(
        String(x, y, name, fontName=_BOLD, fontSize=_SMALL + 1, textAnchor="middle", fillColor=HexColor(_colour(name)))
    )


def _rect(x: float, y: float, width: float, height: float, fill: str, opacity: float) -> Any:
    return Rect(x, y, width, height, fillColor=_blend(fill, opacity), strokeColor=None, fillOpacity=0.6)


def _blend(colour: str, share: float) -> Any:
    """Mix a colour with white: overlapping zones stay readable, and print alike everywhere."""
    mixed = HexColor(colour)
    return toColor(
        f"rgb({round(255 - (255 - mixed.red * 255) * share)},{round(255 - (255 - mixed.green * 255) * share)},"
        f"{round(255 - (255 - mixed.blue * 255) * share)})"
    )


def _line(x0: float, y0: float, x1: float, y1: float) -> Any:
    return Line(x0, y0, x1, y1, strokeColor=HexColor(_SOFT), strokeWidth=0.5)

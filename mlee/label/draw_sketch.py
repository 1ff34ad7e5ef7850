"""Putting boxes, lines, pictograms and fitted texts on a reportlab drawing, counted from the upper left corner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from reportlab.graphics.shapes import Drawing, Path, Rect, String  # type: ignore[import-untyped]
from reportlab.lib.colors import HexColor  # type: ignore[import-untyped]

from mlee.label import text as texts
from mlee.label.content import Pictogram
from mlee.label.draw_fonts import font
from mlee.label.layout import Box, Slot
from mlee.label.numbers import RECTANGLE
from mlee.label.pictograms import ARC, GRID, PARTS, STROKE

Point = tuple[float, float]
_NON_ZERO = 1
_ROUND = 1
_DASHES = (2.5, 1.8)  # pt


class Sketch:
    """A drawing that is filled shape by shape; only `Rect`, `Path` and `String` are used."""

    def __init__(self, width: float, height: float) -> None:
        self.drawing = Drawing(width, height)
        self._height = height

    def box(
        self, box: Box, fill: str | None, stroke: str | None = None, stroke_width: float = 0.0, dashed: bool = False
    ) -> None:
        """Draw a rectangle, its corners rounded by the radius of the box."""
        if box.radius or dashed:
            self._rounded(box, fill, stroke, stroke_width, dashed)
            return
        self.drawing.add(
            Rect(
                box.x,
                self._height - box.bottom,
                box.width,
                box.height,
                fillColor=_colour(fill),
                strokeColor=_colour(stroke),
                strokeWidth=stroke_width,
            )
        )

    def polygon(
        self, points: Sequence[Point], fill: str | None, stroke: str | None = None, stroke_width: float = 0.0
    ) -> None:
        """Draw a closed outline with straight edges."""
        path = self._path(fill, stroke, stroke_width)
        path.moveTo(points[0][0], self._height - points[0][1])
        for x, y in points[1:]:
            path.lineTo(x, self._height - y)
        path.closePath()
        self.drawing.add(path)

    def rectangles(self, edges: Iterable[tuple[float, float, float, float]], fill: str) -> None:
        """Draw many rectangles (left, top, right, bottom) as one shape."""
        points: list[float] = []
        for left, top, right, bottom in edges:
            upper, lower = self._height - top, self._height - bottom
            points += (left, upper, right, upper, right, lower, left, lower)
        path = self._path(fill, None, 0)
        path.points, path.operators = points, list(RECTANGLE) * (len(points) // 8)
        self.drawing.add(path)

    def lines(self, segments: Iterable[tuple[Point, Point]], stroke: str, stroke_width: float) -> None:
        """Draw separate straight lines as one shape."""
        path = self._path(None, stroke, stroke_width)
        for (x0, y0), (x1, y1) in segments:
            path.moveTo(x0, self._height - y0)
            path.lineTo(x1, self._height - y1)
        self.drawing.add(path)

    def hatch(self, box: Box, stroke: str, stroke_width: float, step: float) -> None:
        """Draw lines at 45 degrees, `step` [pt] apart along the edges and cut at the edges of `box`."""
        segments = []
        offset = step / 2
        while offset < box.width + box.height:
            start = (box.x + max(0.0, offset - box.height), box.y + min(offset, box.height))
            end = (box.x + min(offset, box.width), box.y + max(0.0, offset - box.width))
            segments.append((start, end))
            offset += step
        self.lines(segments, stroke, stroke_width)

    def pictogram(self, kind: Pictogram, box: Box, colour: str) -> None:
        """Draw a pictogram as large as `box` allows."""
        scale = min(box.width, box.height) / GRID
        for part in PARTS[kind]:
            path = self._path(colour if part.filled else None, None if part.filled else colour, STROKE * scale)
            for step, numbers in part.steps():
                points = [
                    box.x + number * scale if place % 2 == 0 else self._height - box.y - number * scale
                    for place, number in enumerate(numbers)
                ]
                {"M": path.moveTo, "L": path.lineTo, "C": path.curveTo, "Z": path.closePath}[step](*points)
            self.drawing.add(path)

    def text(self, slot: Slot, text: str, colour: str | None = None) -> float:
        """Draw `text` so that it stays in its slot; return the width of its longest line [pt]."""
        box, widths = slot.box, font(slot.bold).widths
        fitted = _fit(slot, text)
        longest = 0.0
        for line, baseline in zip(fitted.lines, texts.baselines(fitted, box.y, box.height), strict=True):
            width = texts.width(line, widths) * fitted.size
            longest = max(longest, width)
            spare = {"left": 0.0, "centre": 0.5, "right": 1.0}[slot.align] * (box.width - width)
            string = copy(_string_like(slot.bold, fitted.size, colour or slot.colour))
            string.x, string.y, string.text = box.x + spare, self._height - baseline, line
            self.drawing.add(string)
        return longest

    def _rounded(self, box: Box, fill: str | None, stroke: str | None, stroke_width: float, dashed: bool) -> None:
        path = self._path(fill, stroke, stroke_width)
        if dashed:
            path.strokeDashArray = list(_DASHES)
        radius, arm = box.radius, box.radius * (1 - ARC)
        left, right, top, bottom = box.x, box.right, self._height - box.y, self._height - box.bottom
        path.moveTo(left + radius, top)
        path.lineTo(right - radius, top)
        path.curveTo(right - arm, top, right, top - arm, right, top - radius)
        path.lineTo(right, bottom + radius)
        path.curveTo(right, bottom + arm, right - arm, bottom, right - radius, bottom)
        path.lineTo(left + radius, bottom)
        path.curveTo(left + arm, bottom, left, bottom + arm, left, bottom + radius)
        path.lineTo(left, top - radius)
        path.curveTo(left, top - arm, left + arm, top, left + radius, top)
        path.closePath()
        self.drawing.add(path)

    def _path(self, fill: str | None, stroke: str | None, stroke_width: float) -> Any:
        path = copy(_path_like(fill, stroke, stroke_width))
        path.points, path.operators = [], []
        return path


def alike(slots: Sequence[Slot], written: Sequence[str], least: float) -> list[Slot]:
    """Give the texts of a column one size, that of the longest, but none below `least` [pt] because of another."""
    sizes = [_fit(slot, text).size for slot, text in zip(slots, written, strict=True)]
    common = max(least, min(sizes))
    return [replace(slot, size=min(slot.size, common)) for slot in slots]


def _fit(slot: Slot, text: str) -> texts.Fitted:
    room = (slot.box.width, slot.box.height)
    return texts.fit(text, font(slot.bold).widths, room=room, size=slot.size, smallest=slot.smallest, lines=slot.lines)


# reportlab checks every attribute it is given, which takes longer than all the rest: shapes that look alike are copies.


@lru_cache(maxsize=256)
def _path_like(fill: str | None, stroke: str | None, stroke_width: float) -> Any:
    return Path(
        fillColor=_colour(fill),
        strokeColor=_colour(stroke),
        strokeWidth=stroke_width,
        strokeLineCap=_ROUND if stroke else 0,
        strokeLineJoin=_ROUND,
        fillMode=_NON_ZERO,
    )


@lru_cache(maxsize=256)
def _string_like(bold: bool, size: float, colour: str) -> Any:
    return String(0, 0, "", fontName="Vera-Bold" if bold else "Vera", fontSize=size, fillColor=_colour(colour))


@cache
def _colour(value: str | None) -> Any:
    return None if value is None else HexColor(value)

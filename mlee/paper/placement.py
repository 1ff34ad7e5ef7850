"""Where the names of points go: beside their points, clear of each other, of all points and of the frame. Lengths in pt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]

#: Distances from a point that are tried, and the one up to which no line is needed to see whose name it is.
_DISTANCES = (8.0, 11.0, 15.0, 20.0, 26.0, 34.0, 44.0, 58.0)
LINE_FROM = 12.0
_DIRECTIONS = 24
_SWEEPS = 4
#: So many orders of placing are tried; the one with the lowest cost of all names together counts.
_ORDERS = 8
#: Costs: of each pt of a name on another name or a point, a line across one of them, each pt away, leaving the frame, and
#: of each pt that another point is nearer.
_OVERLAP, _CROSSING, _FAR, _OUTSIDE, _DOUBTFUL = 60.0, 40.0, 1.0, 1e6, 4.0
#: A name that covers this much of others [pt] is left out.
_TOO_MUCH = 1.5


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name stands: its box (left, bottom, right, top), and where a line to its point would begin."""

    box: Box
    line_from: tuple[float, float]
    distance: float

    @property
    def needs_line(self) -> bool:
        """Whether the name is so far from its point that a line must lead there."""
        return self.distance > LINE_FROM


def place(points: Floats, sizes: Floats, frame: Box, radius: float, blocks: Sequence[Box] = ()) -> list[Place | None]:
    """Place the names of points (n, 2) with sizes (n, 2) inside the frame; `None` for one that would cover others.

    `blocks` are boxes to keep free. Every name takes the best place that the others leave, a few times over and in several
    orders; the same input gives the same places.
    """
    if not len(points):
        return []
    dots = np.vstack([np.column_stack([points - radius, points + radius]), np.array(blocks).reshape(-1, 4)])
    names = [_Name(number, points, size, frame, dots) for number, size in enumerate(sizes)]
    crowded = np.array([np.sort(np.hypot(*(points - point).T))[1:4].sum() for point in points])
    shuffle = np.random.default_rng(0)
    orders = [np.argsort(crowded, kind="stable"), *(shuffle.permutation(len(points)) for _ in range(_ORDERS - 1))]
    chosen = min((_settle(names, order) for order in orders), key=lambda found: found[0])[1]
    return _kept(names, chosen, dots)


class _Name:
    """A name that looks for a place: its candidates and what each costs whatever the other names do."""

    def __init__(self, number: int, points: Floats, size: Floats, frame: Box, dots: Floats) -> None:
        point = points[number]
        self.point = point
        self.boxes, self.anchors, distances = _candidates(point, size)
        self.away = np.hypot(*(self.anchors - point).T)
        self.outside = _outside(self.boxes, frame)
        crossed = _crossed(point, self.anchors, self.away, np.delete(dots, number, axis=0)).sum(axis=1)
        self.own_cost = self.outside * _OUTSIDE + distances * _FAR + _CROSSING * crossed
        self.own_cost += _OVERLAP * _depth(self.boxes, dots, gap=0.5).sum(axis=1)
        self.own_cost += _DOUBTFUL * _doubt(self.boxes, points, number) * (self.away <= LINE_FROM)

    def cost(self, taken: Floats) -> Floats:
        """Return what each candidate costs beside the boxes (m, 4) of other names."""
        crossed = _crossed(self.point, self.anchors, self.away, taken).sum(axis=1)
        cost: Floats = self.own_cost + _CROSSING * crossed + _OVERLAP * _depth(self.boxes, taken, gap=1.0).sum(axis=1)
        return cost


def _settle(names: Sequence[_Name], order: npt.NDArray[np.intp]) -> tuple[float, npt.NDArray[np.intp]]:
    """Let names choose in this order until none moves any more; return the cost of all and the choices (n,)."""
    chosen = np.full(len(names), -1)
    boxes = np.full((len(names), 4), np.nan)
    costs = np.zeros(len(names))
    for _ in range(_SWEEPS):
        before = chosen.copy()
        for number in order:
            boxes[number] = np.nan
            cost = names[number].cost(boxes[~np.isnan(boxes[:, 0])])
            chosen[number] = int(cost.argmin())
            boxes[number] = names[number].boxes[chosen[number]]
            costs[number] = cost[chosen[number]]
        if (before == chosen).all():
            break
    return float(costs.sum()), chosen


def _candidates(point: Floats, size: Floats) -> tuple[Floats, Floats, Floats]:
    """Boxes (k, 4) around a point, the end of the line to each (k, 2), and its distance (k,)."""
    boxes, anchors, distances = [], [], []
    for distance in _DISTANCES:
        for step in range(_DIRECTIONS):
            angle = 2 * math.pi * step / _DIRECTIONS
            x, y = point[0] + distance * math.cos(angle), point[1] + distance * math.sin(angle)
            left = x - size[0] * (1 - math.cos(angle)) / 2
            bottom = y - size[1] * (1 - math.sin(angle)) / 2
            boxes.append((left, bottom, left + size[0], bottom + size[1]))
            anchors.append((x, y))
            distances.append(distance + 1.5 * abs(math.sin(angle)))  # beside a point reads better than above it
    return np.array(boxes), np.array(anchors), np.array(distances)


def _outside(boxes: Floats, frame: Box) -> npt.NDArray[np.bool_]:
    edges = np.array(frame)
    room = np.hstack([boxes[:, :2] - edges[:2], edges[2:] - boxes[:, 2:]])
    out: npt.NDArray[np.bool_] = room.min(axis=1) < 2
    return out


def _doubt(boxes: Floats, points: Floats, own: int) -> Floats:
    """How much nearer than its own point some other point is to each box (k,)."""
    away = np.clip(np.maximum(boxes[:, None, :2] - points, points - boxes[:, None, 2:]), 0, None)
    distance = np.hypot(away[..., 0], away[..., 1])
    others = np.delete(distance, own, axis=1).min(axis=1, initial=np.inf)
    doubt: Floats = np.clip(distance[:, own] + 3 - others, 0, None)
    return doubt


def _depth(boxes: Floats, others: Floats, gap: float) -> Floats:
    """How deep each box (k, 4) and each other one (m, 4) lie on each other (k, m); 0 where they are apart by `gap`."""
    if not len(others):
        return np.zeros((len(boxes), 0))
    right_top = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    left_bottom = np.maximum(boxes[:, None, :2], others[None, :, :2])
    depth: Floats = np.clip((right_top - left_bottom + gap).min(axis=2), 0, None)
    return depth


def _crossed(point: Floats, anchors: Floats, away: Floats, others: Floats) -> npt.NDArray[Any]:
    """Whether lines from a point to anchors (k, 2) cross boxes (m, 4), as (k, m); short lines are not drawn."""
    if not len(others):
        return np.zeros((len(anchors), 0), dtype=bool)
    crossed = np.zeros((len(anchors), len(others)), dtype=bool)
    far = np.flatnonzero(away > LINE_FROM)
    for step in np.linspace(0.25, 1, 6):
        at = (point + step * (anchors[far] - point))[:, None]
        crossed[far] |= ((at >= others[:, :2]) & (at <= others[:, 2:])).all(axis=2)
    return crossed


def _kept(names: Sequence[_Name], chosen: npt.NDArray[np.intp], dots: Floats) -> list[Place | None]:
    """Return the chosen places, without those that would hide another name or a point."""
    found: list[Place | None] = []
    for name, choice in zip(names, chosen, strict=True):
        earlier = np.array([each.box for each in found if each is not None]).reshape(-1, 4)
        covered = _depth(name.boxes[choice : choice + 1], np.vstack([dots, earlier]), gap=0.0).max(initial=0.0)
        if covered > _TOO_MUCH or name.outside[choice]:
            found.append(None)
            continue
        left, bottom, right, top = name.boxes[choice].tolist()
        x, y = name.anchors[choice].tolist()
        found.append(Place((left, bottom, right, top), (x, y), math.dist(name.point, (x, y))))
    return found

"""Pictograms as outlines on a grid of 24 x 24, y down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from mlee.label.content import Pictogram

GRID = 24.0
STROKE = 1.9  # width of the lines, in units of the grid
#: From the middle of a quarter circle to its control points, for a radius of 1.
ARC = 0.5523

#: A step of an outline: "M" and "L" with one point, "C" with three, "Z" with none.
Step = tuple[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Part:
    """One outline, filled or drawn as a line."""

    filled: bool
    outline: str

    def steps(self) -> tuple[Step, ...]:
        """Return the outline step by step."""
        return _parse(self.outline)


def circle(x: float, y: float, radius: float) -> str:
    """Write the outline of a circle."""
    arm = radius * ARC
    return (
        f"M {x + radius} {y} C {x + radius} {y + arm} {x + arm} {y + radius} {x} {y + radius} "
        f"C {x - arm} {y + radius} {x - radius} {y + arm} {x - radius} {y} "
        f"C {x - radius} {y - arm} {x - arm} {y - radius} {x} {y - radius} "
        f"C {x + arm} {y - radius} {x + radius} {y - arm} {x + radius} {y} Z"
    )


PARTS: Mapping[Pictogram, tuple[Part, ...]] = MappingProxyType(
    {
        "energy": (Part(True, "M 14.2 1.2 L 4.2 13.8 L 11 13.8 L 9.6 22.8 L 19.8 9.8 L 12.8 9.8 Z"),),
        "time": (
            Part(False, circle(12, 13.6, 8.4)),
            Part(False, "M 12 13.6 L 12 8.8 M 9.3 1.9 L 14.7 1.9 M 12 1.9 L 12 5 M 18.6 6 L 20 4.6"),
        ),
        "accuracy": (Part(False, circle(12, 12, 10)), Part(False, circle(12, 12, 5.7)), Part(True, circle(12, 12, 2.1))),
        "size": (
            Part(False, "M 12 1.6 L 21 6.8 L 21 17.2 L 12 22.4 L 3 17.2 L 3 6.8 Z"),
            Part(False, "M 3 6.8 L 12 12 L 21 6.8 M 12 12 L 12 22.4"),
        ),
    }
)


@cache
def _parse(outline: str) -> tuple[Step, ...]:
    steps: list[tuple[str, list[float]]] = []
    for word in outline.split():
        if word in "MLCZ":
            steps.append((word, []))
        else:
            steps[-1][1].append(float(word))
    return tuple((kind, tuple(numbers)) for kind, numbers in steps)

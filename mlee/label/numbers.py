"""Numbers and paths as PDF and SVG write them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

#: The steps of a reportlab path in the order of its operator codes, and how many numbers each takes.
_STEPS = (("M", 2), ("L", 2), ("C", 6), ("Z", 0))
#: The operators of one closed outline with four corners.
RECTANGLE = (0, 1, 1, 1, 3)


@lru_cache(maxsize=1 << 16)
def number(value: float) -> str:
    """Write a length with at most two decimals and no exponent.

    >>> number(12.0), number(0.999), number(-0.001), number(1.25)
    ('12', '1', '0', '1.25')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def steps(path: Any) -> Iterator[tuple[str, int, int]]:
    """Yield the steps of a reportlab path: "M", "L", "C" or "Z", and which of `path.points` it takes, from and to."""
    start = 0
    for operator in path.operators:
        kind, count = _STEPS[operator]
        yield kind, start, start + count
        start += count

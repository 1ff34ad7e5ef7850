"""Unit constants, and numbers written for people."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

J_PER_WH = 3600.0
J_PER_KWH = 3.6e6
FLOP_PER_MAC = 2
NOT_MEASURED = "not measured"

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def significant(value: float, digits: int = 3) -> str:
    """Write `value` with `digits` significant digits and without an exponent.

    >>> significant(0.0012345), significant(1234.5), significant(0.0)
    ('0.00123', '1234', '0')
    """
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")  # 9.996 has its first digit one place further left than it seems
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals > 12 else text


def with_unit(value: float | None, unit: str, digits: int = 3) -> str:
    """Write a quantity for people: scaled to a readable SI prefix, with its unit.

    A missing value reads "not measured". A number without a unit takes large prefixes only: "500 m" reads as metres.

    >>> with_unit(0.00158, "s"), with_unit(44.7e6, ""), with_unit(None, "J")
    ('1.58 ms', '44.7 M', 'not measured')
    """
    if value is None:
        return NOT_MEASURED
    if value == 0:
        return f"0 {unit}".strip()
    if not unit and abs(value) < 1:
        return significant(value, digits)
    for index, (factor, prefix) in enumerate(_PREFIXES):
        if abs(value) >= factor or index == len(_PREFIXES) - 1:
            # Rounding may lift 999.9 to "1000": take the next larger prefix then.
            if index and float(significant(value / factor, digits)) >= 1000:
                factor, prefix = _PREFIXES[index - 1]
            return f"{significant(value / factor, digits)} {prefix}{unit}".strip()
    raise AssertionError("unreachable: the smallest prefix takes every value")


def percent(fraction: float | None, decimals: int = 1) -> str:
    """Write a fraction (0..1) as a percentage, "not measured" for `None`.

    >>> percent(0.73129)
    '73.1 %'
    """
    return NOT_MEASURED if fraction is None else f"{fraction * 100:.{decimals}f} %"


def printable(text: str) -> str:
    """Replace control characters, which would act on a terminal or break a line, by spaces."""
    return "".join(character if character.isprintable() else " " for character in text)


def last_part(path: str) -> str:
    """Return what a path leads to, without the way to it; other texts as they are."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def told_apart(names: Sequence[str], longest: int) -> list[str]:
    """Shorten long names as near to their middle as they still differ then; where they differ nowhere, number them."""
    heads = sorted(range(longest), key=lambda head: abs(head - longest // 2))
    for head in heads:
        short = [_cut(name, head, longest) for name in names]
        if len(set(short)) == len(set(names)):
            return short
    number = {name: n for n, name in enumerate(dict.fromkeys(names), 1)}
    return [f"{number[name]} {_cut(name, heads[0], longest)}" for name in names]


def _cut(name: str, head: int, longest: int) -> str:
    """Keep `head` characters and the end of a name that is too long."""
    return name if len(name) <= longest else f"{name[:head]}…{name[len(name) - (longest - 1 - head) :]}"

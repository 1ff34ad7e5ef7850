"""Units as people write them, and the factor that brings a value to SI."""

from __future__ import annotations

import re

from mlee.units import J_PER_WH

#: What cannot be negative, whatever it is called.
PHYSICAL_UNITS = ("J", "s", "B", "W", "kg")

_PREFIXES = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_WORD_PREFIXES = {"nano": 1e-9, "micro": 1e-6, "milli": 1e-3, "kilo": 1e3, "mega": 1e6, "giga": 1e9, "tera": 1e12}
#: base unit as symbol -> (factor, SI unit, prefixes that are in use). A watt-second is a joule.
_SYMBOLS = {
    "J": (1.0, "J", "numkMGT"),
    "Ws": (1.0, "J", "numkMGT"),
    "Wh": (J_PER_WH, "J", "umkMGT"),
    "W": (1.0, "W", "numkMGT"),
    "s": (1.0, "s", "num"),
    "B": (1.0, "B", "kMGT"),
    "g": (1e-3, "kg", "numk"),
}
_EXACT = {
    **{symbol: (factor, unit) for symbol, (factor, unit, _) in _SYMBOLS.items()},
    **{
        f"{prefix}{symbol}": (factor * by, unit)
        for symbol, (factor, unit, prefixes) in _SYMBOLS.items()
        for prefix, by in _PREFIXES.items()
        if ("u" if prefix in "µμ" else prefix) in prefixes
    },
    **{name: (1024.0**power, "B") for power, name in enumerate(("KiB", "MiB", "GiB", "TiB"), start=1)},
    "KB": (1e3, "B"),
    "sec": (1.0, "s"),
    "min": (60.0, "s"),
    "h": (3600.0, "s"),
    "hr": (3600.0, "s"),
    "d": (86400.0, "s"),
}
#: Spellings without a second meaning: "mwh" could be milli or mega and is not among them.
_LOWER = {"ws": (1.0, "J"), "wh": (J_PER_WH, "J"), "kwh": (1e3 * J_PER_WH, "J"), "kj": (1e3, "J")}
_WORDS = {
    "joule": (1.0, "J"),
    "wattsecond": (1.0, "J"),
    "watthour": (J_PER_WH, "J"),
    "watt": (1.0, "W"),
    "second": (1.0, "s"),
    "byte": (1.0, "B"),
    "gram": (1e-3, "kg"),
}
_PLAIN_WORDS = {"minute": (60.0, "s"), "hour": (3600.0, "s"), "day": (86400.0, "s")}
_WORD = re.compile(rf"({'|'.join(_WORD_PREFIXES)})?({'|'.join(_WORDS)})s?")
_PLAIN_WORD = re.compile(rf"({'|'.join(_PLAIN_WORDS)})s?")
_COUNTS = {"", "number", "numbers", "count", "counts", "#", "1", "none", "unitless", "dimensionless", "fraction", "ratio"}
_PERCENT = {"percent", "%", "percentage", "pct"}


def to_si(unit: str) -> tuple[float, str]:
    """Return factor and SI unit for a unit as written; an unknown unit is kept with the factor 1.

    >>> to_si("kilowatthours"), to_si("Ws"), to_si("ms"), to_si("number"), to_si("furlong")
    ((3600000.0, 'J'), (1.0, 'J'), (0.001, 's'), (1.0, ''), (1.0, 'furlong'))
    """
    unit = unit.strip()
    if unit in _EXACT:
        return _EXACT[unit]
    lower = re.sub(r"[\s_-]+", "", unit.lower())
    if lower in _COUNTS:
        return 1.0, ""
    if lower in _LOWER:
        return _LOWER[lower]
    if match := _PLAIN_WORD.fullmatch(lower):
        return _PLAIN_WORDS[match[1]]
    if match := _WORD.fullmatch(lower):
        factor, symbol = _WORDS[match[2]]
        return _WORD_PREFIXES.get(match[1] or "", 1.0) * factor, symbol
    return 1.0, unit


def is_percent(unit: str) -> bool:
    """Tell whether a unit says percent."""
    return unit.strip().lower() in _PERCENT

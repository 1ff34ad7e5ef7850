"""What all records share: how they check themselves, and how they are read from files."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

#: The largest float: a whole number above it cannot be computed with (NaN fails every comparison).
_LARGEST = sys.float_info.max


def require(condition: bool, record: object, field: str, rule: str) -> None:
    """Raise `ValueError` naming record, field and value where the condition does not hold."""
    if not condition:
        raise ValueError(f"{type(record).__name__}.{field} must be {rule}, got {getattr(record, field)!r}")


def require_quantities(record: object, *fields: str) -> None:
    """Refuse a quantity that is negative, NaN or infinite; `None` (not measured) passes."""
    for field in fields:
        value = getattr(record, field)
        require(value is None or 0 <= value <= _LARGEST, record, field, "finite and not negative")


def require_fractions(record: object, *fields: str) -> None:
    """Refuse what is no fraction 0..1; `None` (not measured) passes."""
    for field in fields:
        value = getattr(record, field)
        require(value is None or 0 <= value <= 1, record, field, "between 0 and 1")


class Strict:
    """Settings for reading records from files: no unknown fields, no NaN, no infinity."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

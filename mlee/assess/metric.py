"""What a metric is: its unit, its direction, its group and its weight in the rating."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One quantity a model can be rated by. Values are kept in `unit` (SI)."""

    key: str  # column name in the table
    label: str  # for people: "Energy per sample"
    symbol: str  # short, for axes: "E"
    unit: str  # SI unit: "J", "s", "B", "" for counts and fractions
    higher_is_better: bool
    group: str  # "Quality", "Resources", "Complexity", or what the user's file says
    weight: float  # relative weight in the compound rating, 0 = shown but not rated
    tasks: tuple[str, ...] = ()  # empty: all tasks
    key_2022: str | None = None  # name in the files of 2022
    scale_2022: float = 1.0  # value in the unit of 2022 = SI value * scale_2022

    def __post_init__(self) -> None:
        """Refuse impossible values; raises `ValueError` naming field and value."""
        if not self.key:
            raise ValueError("key must not be empty")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"weight of {self.key} must be finite and 0 or more, got {self.weight}")
        if not (math.isfinite(self.scale_2022) and self.scale_2022 > 0):
            raise ValueError(f"scale_2022 of {self.key} must be finite and more than 0, got {self.scale_2022}")

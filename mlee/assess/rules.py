"""Rule sets: every disputable choice of the rating in one small frozen object, named in every output.

`exact` is the default; `2022` reproduces the published paper, errors included (docs/rating.md says which).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mlee.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingRules:
    """How values become ratings.

    values        `published`: 50,000 samples assumed, training energy of the GPUs only, MACs as stored;
                  `exact`: what was counted, all measured devices, numbers that are no MACs are missing
    median        `published` is off by one element; `exact` is the weighted median
    mean          `published` rounds a float sum; `exact` rounds to 9 decimals first
    missing       a metric without value counts as `worst`, or is left out of the compound (`leave_out`)
    on_boundary   an index on a threshold belongs to the `worse` or the `better` class
    undefined     an index that cannot be divided out is `zero`, or not ratable (`missing`)
    repeats       several runs of one model: an `error`, or pooled to mean and standard error (`pool`)
    thresholds    which shipped thresholds belong to the rules
    """

    name: str
    values: Literal["published", "exact"]
    median: Literal["published", "exact"]
    mean: Literal["published", "exact"]
    missing: Literal["worst", "leave_out"]
    on_boundary: Literal["worse", "better"]
    undefined: Literal["zero", "missing"]
    repeats: Literal["error", "pool"]
    thresholds: Literal["2022", "exact"]


RULES_2022 = RatingRules(
    name="2022",
    values="published",
    median="published",
    mean="published",
    missing="worst",
    on_boundary="worse",
    undefined="zero",
    repeats="error",
    thresholds="2022",
)
RULES_EXACT = RatingRules(
    name="exact",
    values="exact",
    median="exact",
    mean="exact",
    missing="leave_out",
    on_boundary="worse",
    undefined="missing",
    repeats="pool",
    thresholds="exact",
)
RULES = {rules.name: rules for rules in (RULES_EXACT, RULES_2022)}


def rules_by_name(name: str) -> RatingRules:
    """Return a rule set; raises `ConfigError` for an unknown name."""
    try:
        return RULES[name]
    except KeyError:
        raise ConfigError(f"Unknown rules '{name}'.", f"use one of {', '.join(RULES)}") from None

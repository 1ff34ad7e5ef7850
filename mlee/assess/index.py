"""Indices and single ratings: a value relative to a reference, and the class that an index falls into.

Everything is vectorised; NaN stands for a missing value and stays one. Formulas: Fischer et al. 2022, section 3; the index
relative to the best is that of STREP.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlee.assess.compound import MISSING, Ratings
from mlee.assess.rules import RatingRules

Values = npt.NDArray[np.float64]

QUANTILES = (0.8, 0.6, 0.4, 0.2)
#: Indices this close to a threshold lie on it: thresholds are indices themselves, and a unit changes the last bit.
_SAME = 1e-12


def relative_index(value: Values, reference: Values, higher_is_better: bool, rules: RatingRules) -> Values:
    """Index (n,) of values relative to reference values: 1 is as good as the reference, more is better.

    value / reference where higher is better, reference / value where lower is. A value of 0 that is better than the
    reference has no upper bound (infinity); what cannot be divided out is 0 or missing, as the rules say.
    """
    top, bottom = (value, reference) if higher_is_better else (reference, value)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        index = np.asarray(top / bottom, dtype=np.float64)
    zero = bottom == 0
    if zero.any():
        divided_by_zero = zero & ~np.isnan(top)
        unbounded = divided_by_zero & (top > 0) & (not higher_is_better)
        index[divided_by_zero] = 0.0 if rules.undefined == "zero" else np.nan
        if rules.undefined == "missing":
            index[unbounded] = np.inf
    return index


def best_of_groups(value: Values, group: npt.NDArray[np.intp], groups: int, higher_is_better: bool) -> Values:
    """Best value (groups,) of each group; NaN for a group without any."""
    worst = -np.inf if higher_is_better else np.inf
    best = np.full(groups, worst)
    known = ~np.isnan(value)
    (np.maximum if higher_is_better else np.minimum).at(best, group[known], value[known])
    best[best == worst] = np.nan
    return best


def rate_index(index: Values, thresholds: tuple[float, float, float, float], rules: RatingRules) -> Ratings:
    """Ratings (n,) of indices: the number of thresholds an index does not reach, `MISSING` where there is no index."""
    rating = np.zeros(index.shape, dtype=np.int8)
    for threshold in thresholds:
        if rules.on_boundary == "worse":
            rating += index <= threshold * (1 + _SAME)
        else:
            rating += index < threshold * (1 - _SAME)
    rating[np.isnan(index)] = MISSING
    return rating


def quantile_thresholds(index: Values, quantiles: tuple[float, ...] = QUANTILES) -> tuple[float, float, float, float] | None:
    """Thresholds (A/B, B/C, C/D, D/E) that split the known indices into five equal parts; `None` without any index.

    Linear interpolation between order statistics (Hyndman and Fan's type 7).
    """
    known = index[np.isfinite(index)]
    if not len(known):
        return None
    first, second, third, fourth = (float(value) for value in np.quantile(known, quantiles))
    return first, second, third, fourth

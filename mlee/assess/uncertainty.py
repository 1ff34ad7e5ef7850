"""What repeats say about an index: its 95 % interval. Without repeats nothing is claimed.

The interval is that of Student's t for the mean of the repeats; the relative half-widths of value and reference are added in
squares, and the interval is drawn on the scale of ratios: index / (1 + r) to index x (1 + r).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlee.assess.index import Values

Estimate = tuple[Values, Values, npt.NDArray[np.intp]]

#: Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom (any table of statistics), then the normal one.
_T95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
_NORMAL95 = 1.960


def half_width(standard_error: Values, n: npt.NDArray[np.intp]) -> Values:
    """Half of the 95 % interval (n,) of means with these standard errors over n repeats; NaN where there is none."""
    table = np.array([np.nan, *_T95, _NORMAL95])
    degrees = np.clip(np.asarray(n) - 1, 0, len(table) - 1)
    width: Values = table[degrees] * standard_error
    return width


def half_width_of(standard_error: float | None, n: int) -> float | None:
    """Half of the 95 % interval of one mean; `None` without repeats."""
    if standard_error is None or n < 2:
        return None
    return float(half_width(np.array([standard_error]), np.array([n]))[0])


def index_interval(
    index: Values, value: Estimate, reference: Estimate | None, *, itself: npt.NDArray[np.bool_]
) -> tuple[Values, Values]:
    """Lower and upper end (n,) of the indices; both are the index itself where nothing was repeated.

    `value` and `reference` are means, standard errors and numbers of repeats; a row that is the reference `itself` has the
    index 1 by definition.
    """
    squares = np.nan_to_num(_relative(value)) ** 2
    if reference is not None:
        squares = squares + np.nan_to_num(_relative(reference)) ** 2
    relative = np.where(itself, 0.0, np.sqrt(squares))
    return index / (1 + relative), index * (1 + relative)


def _relative(estimate: Estimate) -> Values:
    mean, standard_error, n = estimate
    with np.errstate(divide="ignore", invalid="ignore"):
        relative: Values = half_width(standard_error, n) / np.abs(mean)
    return np.where(np.isfinite(relative), relative, 0.0)

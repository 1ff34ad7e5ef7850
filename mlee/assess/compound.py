"""Compound ratings: the ratings of several metrics combined into one, for all rows of a table at once.

Ratings are whole numbers 0..4 (A..E); `MISSING` marks a metric without value. Everything works on columns: ratings (n, m),
weights (m,) or (n, m), results (n,).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mlee.assess.rules import RatingRules
from mlee.errors import ConfigError

Ratings = npt.NDArray[np.int8]
Weights = npt.NDArray[np.float64]

MISSING = -1
WORST = 4
LETTERS = "ABCDE"
MODES = (
    "optimistic median",
    "pessimistic median",
    "optimistic mean",
    "pessimistic mean",
    "best",
    "worst",
    "majority",
)
DEFAULT_MODE = MODES[0]
#: Sums of weights closer than this share of their total are equal.
_TOLERANCE = 1e-9
#: With less than this share of the weight left, there is no compound.
_MIN_WEIGHT_LEFT = 0.5


def letter(rating: int) -> str | None:
    """Write a rating as its letter; `None` for a missing one."""
    return LETTERS[rating] if rating >= 0 else None


def check_mode(mode: str) -> str:
    """Return the mode's full name (`median` and `mean` are optimistic); raises `ConfigError`."""
    full = f"optimistic {mode}" if mode in ("median", "mean") else mode
    if full not in MODES:
        raise ConfigError(f"Unknown mode '{mode}'.", f"use one of {', '.join(MODES)}")
    return full


def compound(
    ratings: Ratings, weights: Weights, mode: str, rules: RatingRules, applicable: Weights | None = None
) -> Ratings:
    """Combine the ratings (n, m) of each row into one (n,), `MISSING` where a row cannot be rated.

    Metrics of weight 0 do not count. `applicable` (n, m), 0 or 1, marks the metrics that count in a row at all; a
    missing one that is applicable counts as worst or is left out, as the rules say; with less than half of the
    weight left there is no compound.
    """
    mode = check_mode(mode)
    counted = weights > 0
    ratings, weights = ratings[:, counted], weights[counted]
    rows, columns = ratings.shape
    if columns == 0:
        return np.full(rows, MISSING, dtype=np.int8)
    weight = np.broadcast_to(weights, (rows, columns)).copy()
    if applicable is not None:
        weight *= applicable[:, counted]
    total = weight.sum(axis=1)
    missing = ratings == MISSING
    if rules.missing == "worst":
        ratings = np.where(missing, np.int8(WORST), ratings)
        unrated = total <= 0
    else:
        weight = np.where(missing, 0.0, weight)
        left = weight.sum(axis=1)
        unrated = (left <= 0) | (left < total * _MIN_WEIGHT_LEFT * (1 - _TOLERANCE))
    result = _combine(ratings, weight, mode, rules)
    result[unrated] = MISSING
    return result


def _combine(ratings: Ratings, weight: Weights, mode: str, rules: RatingRules) -> Ratings:
    present = weight > 0
    result: Ratings
    if mode == "best":
        result = np.where(present, ratings, np.int8(WORST)).min(axis=1).astype(np.int8)
        return result
    if mode == "worst":
        result = np.where(present, ratings, np.int8(0)).max(axis=1).astype(np.int8)
        return result
    if mode == "majority":
        counts = np.stack([(present & (ratings == rating)).sum(axis=1) for rating in range(WORST + 1)], axis=1)
        result = counts.argmax(axis=1).astype(np.int8)  # the first of equal counts: the better rating
        return result
    pessimistic = mode.startswith("pessimistic")
    if mode.endswith("mean"):
        return _mean(ratings, weight, pessimistic, rules)
    if rules.median == "published":
        return _published_median(ratings, weight, pessimistic)
    return _median(ratings, weight, pessimistic)


def _mean(ratings: Ratings, weight: Weights, pessimistic: bool, rules: RatingRules) -> Ratings:
    total = weight.sum(axis=1, keepdims=True)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    mean = (ratings * share).sum(axis=1) / np.where(total[:, 0] > 0, share.sum(axis=1), 1.0)
    if rules.mean == "exact":
        mean = mean.round(9)
    result: Ratings = (np.ceil(mean) if pessimistic else np.floor(mean)).astype(np.int8)
    return result


def _median(ratings: Ratings, weight: Weights, pessimistic: bool) -> Ratings:
    """Weighted median: the mean of lower and upper median, rounded; sums of weights are compared with a tolerance."""
    half = weight.sum(axis=1) / 2
    slack = half * _TOLERANCE
    lower = np.full(len(ratings), WORST, dtype=np.int8)
    upper = np.full(len(ratings), WORST, dtype=np.int8)
    for rating in range(WORST - 1, -1, -1):
        up_to = np.where(ratings <= rating, weight, 0.0).sum(axis=1)
        lower[up_to >= half - slack] = rating
        upper[up_to > half + slack] = rating
    return ((lower + upper + pessimistic) // 2).astype(np.int8)


def _published_median(ratings: Ratings, weight: Weights, pessimistic: bool) -> Ratings:
    """Return the median of 2022, which takes the element before the one that crosses one half (docs/rating.md)."""
    total = weight.sum(axis=1, keepdims=True)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    sorted_ratings, share = _sort_as_published(ratings, share)
    cumulative = np.cumsum(share, axis=1)
    result = sorted_ratings[:, -1].copy()
    open_rows = np.ones(len(ratings), dtype=bool)
    for position in range(ratings.shape[1] - 1):
        here, following = cumulative[:, position], cumulative[:, position + 1]
        tie = open_rows & (here == 0.5)
        taken = open_rows & ~tie & ((here > 0.5) | (following > 0.5))
        pair = sorted_ratings[:, position] + sorted_ratings[:, position + 1] + pessimistic
        result[tie] = (pair // 2)[tie].astype(np.int8)
        result[taken] = sorted_ratings[taken, position]
        open_rows &= ~(tie | taken)
    return result


def _sort_as_published(ratings: Ratings, share: Weights) -> tuple[Ratings, Weights]:
    """Sort each row by rating, leaving equal ratings in the order that the published figures rest on.

    The element before the one that crosses one half depends on the order of equal ratings, and the 2022 tool leaves that to
    NumPy's unstable sort. On CPUs with AVX, NumPy sorts short rows with a bitonic network; that one gives the golden numbers
    on every machine here. (A stable sort gives another class to 24 of the 232 models.)
    """
    rows, columns = ratings.shape
    size = 1 << (columns - 1).bit_length()
    keys = np.full((rows, size), WORST + 1, dtype=np.int8)
    shares = np.zeros((rows, size))
    keys[:, :columns], shares[:, :columns] = ratings, share
    positions = np.arange(size)
    for distances in _bitonic_stages(size):
        partner = positions ^ distances
        first = positions[positions < partner]
        second = partner[first]
        swap = keys[:, first] > keys[:, second]
        for values in (keys, shares):
            upper, lower = values[:, first], values[:, second]
            values[:, first], values[:, second] = np.where(swap, lower, upper), np.where(swap, upper, lower)
    return keys[:, :columns], shares[:, :columns]


def _bitonic_stages(size: int) -> list[int]:
    """Bit masks whose exclusive or pairs the positions in each stage of a bitonic network; `size` is a power of two."""
    stages = []
    block = 2
    while block <= size:
        stages.append(block - 1)
        distance = block // 4
        while distance:
            stages.append(distance)
            distance //= 2
        block *= 2
    return stages

"""Compound ratings: the ratings of several metrics combined into one, for all rows of a table at once.

Ratings are whole numbers 0..4 (A..E); `MISSING` marks a metric without value. Everything works on columns: ratings (n, m),
weights (m,) or (n, m), results (n,).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlee.assess.rules import RatingRules
from mlee.errors import ConfigError

Ratings = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]
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


def compound(ratings: Ratings, weights: Weights, mode: str, rules: RatingRules, applicable: Flags | None = None) -> Ratings:
    """Combine the ratings (n, m) of each row into one (n,), `MISSING` where a row cannot be rated.

    Metrics of weight 0 do not count. `applicable` (n, m) marks the metrics that count in a row at all; a missing one that is
    applicable counts as worst or is left out, as the rules say; with less than half of the weight left there is no compound.
    """
    mode = check_mode(mode)
    counted = np.flatnonzero(weights > 0)
    columns = [_Column(ratings[:, j], weights[j], None if applicable is None else applicable[:, j]) for j in counted]
    if not columns:
        return np.full(len(ratings), MISSING, dtype=np.int8)
    total = _total(columns)
    unrated: Flags
    if rules.missing == "worst":
        columns = [column.with_missing_as_worst() for column in columns]
        unrated = total <= 0
    else:
        columns = [column.without_missing() for column in columns]
        left = _total(columns)
        unrated = (left <= 0) | (left < total * _MIN_WEIGHT_LEFT * (1 - _TOLERANCE))
    result = _combine(columns, mode, rules)
    result[unrated] = MISSING
    return result


@dataclass(frozen=True, slots=True)
class _Column:
    """One metric of all rows: ratings (n,), its weight, and where it counts (n,), `None` for everywhere."""

    rating: Ratings
    weight: float
    where: Flags | None

    @property
    def applies(self) -> Flags:
        return np.ones(len(self.rating), dtype=bool) if self.where is None else self.where

    def with_missing_as_worst(self) -> _Column:
        return _Column(np.where(self.rating == MISSING, np.int8(WORST), self.rating), self.weight, self.where)

    def without_missing(self) -> _Column:
        known = self.rating != MISSING
        if known.all():
            return self
        return _Column(self.rating, self.weight, known if self.where is None else known & self.where)

    def is_class(self, rating: int) -> Flags:
        same: Flags = self.rating == rating
        return same if self.where is None else same & self.where


def _total(columns: Sequence[_Column]) -> Weights:
    """Sum of the weights that count in each row (n,)."""
    total = np.zeros(len(columns[0].rating))
    for column in columns:
        total += column.weight if column.where is None else column.weight * column.where
    return total


def _combine(columns: Sequence[_Column], mode: str, rules: RatingRules) -> Ratings:
    if mode in ("best", "worst", "majority"):
        counts = _by_class(columns, weighted=False)
        if mode == "majority":
            return _as_ratings(counts.argmax(axis=0))  # the first of equal counts: the better rating
        if mode == "best":
            return _as_ratings((counts > 0).argmax(axis=0))
        return _as_ratings(WORST - (counts[::-1] > 0).argmax(axis=0))
    pessimistic = mode.startswith("pessimistic")
    if mode.endswith("mean"):
        mean = _published_mean(columns) if rules.mean == "published" else _mean(columns)
        return _as_ratings(np.ceil(mean) if pessimistic else np.floor(mean))
    return _published_median(columns, pessimistic) if rules.median == "published" else _median(columns, pessimistic)


def _as_ratings(values: npt.NDArray[np.generic]) -> Ratings:
    ratings: Ratings = values.astype(np.int8)
    return ratings


def _by_class(columns: Sequence[_Column], *, weighted: bool = True) -> Weights:
    """Weight, or number, of the metrics in each class (5, n)."""
    sums = np.zeros((WORST + 1, len(columns[0].rating)))
    for column in columns:
        for rating in range(WORST + 1):
            sums[rating] += column.is_class(rating) * (column.weight if weighted else 1.0)
    return sums


def _mean(columns: Sequence[_Column]) -> Weights:
    """Weighted mean (n,), rounded to 9 decimals so that a whole number is one."""
    weights = _by_class(columns)
    total = weights.sum(axis=0)
    mean: Weights = (np.arange(WORST + 1) @ weights) / np.where(total > 0, total, 1.0)
    return mean.round(9)


def _published_mean(columns: Sequence[_Column]) -> Weights:
    """Weighted mean (n,) as 2022 summed it: normalised weights, in the order of the metrics, never rounded."""
    ratings = np.stack([column.rating for column in columns], axis=1)
    shares = _shares(columns)
    total = shares.sum(axis=1)
    mean: Weights = (ratings * shares).sum(axis=1) / np.where(total > 0, total, 1.0)
    return mean


def _median(columns: Sequence[_Column], pessimistic: bool) -> Ratings:
    """Weighted median: the mean of lower and upper median, rounded; sums of weights are compared with a tolerance."""
    up_to = _by_class(columns).cumsum(axis=0)
    half = up_to[-1] / 2
    slack = half * _TOLERANCE
    lower = (up_to < half - slack).sum(axis=0)
    upper = np.minimum((up_to <= half + slack).sum(axis=0), WORST)
    return _as_ratings((lower + upper + pessimistic) // 2)


def _shares(columns: Sequence[_Column]) -> Weights:
    """Weights (n, m), each row's sum 1."""
    weights = np.stack([column.weight * column.applies for column in columns], axis=1)
    total = weights.sum(axis=1, keepdims=True)
    shares: Weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    return shares


def _published_median(columns: Sequence[_Column], pessimistic: bool) -> Ratings:
    """Return the median of 2022, which takes the element before the one that crosses one half (docs/rating.md)."""
    ratings, order = _sort_as_published([column.rating for column in columns])
    shares = np.take_along_axis(_shares(columns), np.stack(order, axis=1), axis=1)
    result = ratings[-1].copy()
    open_rows = np.ones(len(result), dtype=bool)
    here = np.zeros(len(result))
    for position in range(len(columns) - 1):
        here = here + shares[:, position]
        following = here + shares[:, position + 1]
        tie = open_rows & (here == 0.5)
        taken = open_rows & ~tie & ((here > 0.5) | (following > 0.5))
        pair = ratings[position] + ratings[position + 1] + pessimistic
        result = np.where(tie, pair // 2, np.where(taken, ratings[position], result)).astype(np.int8)
        open_rows &= ~(tie | taken)
    return result


def _sort_as_published(columns: Sequence[Ratings]) -> tuple[list[Ratings], list[Ratings]]:
    """Sort each row by rating, leaving equal ratings in the order that the published figures rest on.

    Returns the sorted columns and the numbers of the columns they came from. The element before the one that crosses
    one half depends on the order of equal ratings, and the 2022 tool leaves that to NumPy's unstable sort. On CPUs with
    AVX, NumPy sorts short rows with a bitonic network; that one gives the golden numbers, on every machine here. (A stable
    sort gives another class to 14 of the 232 models.)
    """
    ratings = [column.copy() for column in columns]
    origin = [np.full(len(column), number, dtype=np.int8) for number, column in enumerate(columns)]
    for first, second in _bitonic_pairs(len(columns)):
        swap = ratings[first] > ratings[second]
        for values in (ratings, origin):
            upper, lower = values[first], values[second]
            values[first], values[second] = np.where(swap, lower, upper), np.where(swap, upper, lower)
    return ratings, origin


def _bitonic_pairs(columns: int) -> list[tuple[int, int]]:
    """List the comparisons of a bitonic network; those beyond the last column would only meet padding, which stays there."""
    size = 1 << (columns - 1).bit_length()
    masks = []
    block = 2
    while block <= size:
        masks.append(block - 1)
        masks += [block >> shift for shift in range(2, block.bit_length()) if block >> shift]
        block *= 2
    return [(first, first ^ mask) for mask in masks for first in range(columns) if first < first ^ mask < columns]

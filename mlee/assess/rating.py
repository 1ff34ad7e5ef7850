"""Rating a table: indices, ratings, compound and group compounds of all rows at once.

A row's index compares it with the reference of its group (task, data set, environment); thresholds turn an index
into a class; a weighted median (or another mode) turns the classes of several metrics into one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from mlee.assess.compound import DEFAULT_MODE, MISSING, Ratings, Weights, check_mode, compound
from mlee.assess.index import Values, best_of_groups, quantile_thresholds, rate_index, relative_index
from mlee.assess.metric import Metric
from mlee.assess.pooling import pool
from mlee.assess.references import BEST, DEFAULT_REFERENCE, References, choose_references
from mlee.assess.remarks import remarks
from mlee.assess.rules import RULES_EXACT, RatingRules
from mlee.assess.table import COUNT, KEYS, STANDARD_ERROR
from mlee.assess.thresholds import ANY_TASK, Four, Thresholds, shipped
from mlee.assess.uncertainty import index_interval
from mlee.errors import ConfigError
from mlee.records import Warning

if TYPE_CHECKING:
    import pandas as pd

FROM_DATA: Literal["quantiles"] = "quantiles"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingOptions:
    """What a person may choose: reference (a model, or `best`), mode, rules, thresholds.

    `reference` `None` takes ResNet101 where it is and another model, said so, where it is not. `thresholds` `None`
    takes those that belong to the rules, `quantiles` computes them from the rated data.
    """

    reference: str | None = None
    mode: str = DEFAULT_MODE
    rules: RatingRules = RULES_EXACT
    thresholds: Thresholds | Literal["quantiles"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rated:
    """A rated table: n rows (models), m metrics. Missing indices are NaN, missing ratings -1.

    `table` has the key columns, facts, values in SI units and `reference`; arrays are aligned with it. The intervals and the
    ratings `best_case` and `worst_case` differ from the plain ones only where repeats give a standard error.
    """

    table: pd.DataFrame
    metrics: tuple[Metric, ...]
    index: Values  # (n, m)
    index_low: Values
    index_high: Values
    rating: Ratings  # (n, m)
    rating_best: Ratings
    rating_worst: Ratings
    compound: Ratings  # (n,)
    compound_best: Ratings
    compound_worst: Ratings
    groups: Mapping[str, Ratings]  # group -> (n,)
    applies: npt.NDArray[np.bool_]  # (n, m): whether a metric exists for the row's task
    thresholds: Thresholds
    options: RatingOptions
    warnings: tuple[tuple[Warning, ...], ...]  # (n,)

    def position(self, key: str) -> int:
        """Column of a metric; raises `KeyError`."""
        for number, metric in enumerate(self.metrics):
            if metric.key == key:
                return number
        raise KeyError(key)


def rate(table: pd.DataFrame, metrics: Sequence[Metric], options: RatingOptions | None = None) -> Rated:
    """Rate a table of runs; raises `ConfigError` and `RatingError`."""
    options = options or RatingOptions()
    mode, rules = check_mode(options.mode), options.rules
    metrics = tuple(metrics)
    pooled = pool(table, metrics, rules)
    group, number_of_groups = _codes(pooled, KEYS[:-1])
    task, tasks = _task_codes(pooled)
    applies = np.array([[not metric.tasks or name in metric.tasks for metric in metrics] for name in tasks], dtype=bool)[
        task
    ]
    references = choose_references(pooled, group, number_of_groups, options.reference)
    # One column after the other in memory, since everything works on whole columns.
    values = np.array([pooled[metric.key].to_numpy(dtype=float) for metric in metrics]).T
    values[~applies] = np.nan
    index, reference = _indices(values, metrics, group, number_of_groups, references, rules)
    low, high = _intervals(pooled, index, values, reference, metrics, references.rows[group])
    thresholds = _thresholds(options, index, metrics, task, tasks, applies)
    # Without repeats the three are one array, rated once.
    parts = [index] if low is index else [index, high, low]
    ratings = [_rate(part, metrics, task, tasks, thresholds, rules) for part in parts] * (3 // len(parts))
    counts = _counting(values, metrics, applies, group, number_of_groups)
    weights = np.array([metric.weight for metric in metrics])
    combine = partial(_combine, task=task, tasks=tasks, metrics=metrics, counts=counts, mode=mode, rules=rules)
    overall = [combine(part, weights) for part in ratings[: len(parts)]] * (3 // len(parts))
    by_group = {
        name: combine(ratings[0], np.where([m.group == name for m in metrics], weights, 0.0))
        for name in dict.fromkeys(metric.group for metric in metrics)
    }
    pooled["reference"] = references.names[group]
    unrated = references.rows[group] < 0 if references.mode != BEST else np.zeros(len(pooled), dtype=bool)
    for part in (*overall, *by_group.values()):
        part[unrated] = MISSING
    return Rated(
        table=pooled,
        metrics=metrics,
        index=index,
        index_low=low,
        index_high=high,
        rating=ratings[0],
        rating_best=ratings[1],
        rating_worst=ratings[2],
        compound=overall[0],
        compound_best=overall[1],
        compound_worst=overall[2],
        groups=by_group,
        applies=applies,
        thresholds=thresholds,
        options=options,
        warnings=remarks(pooled, group, references, thresholds, metrics),
    )


def _codes(table: pd.DataFrame, columns: Sequence[str]) -> tuple[npt.NDArray[np.intp], int]:
    group = table.groupby(list(columns), sort=False, dropna=False, observed=True).ngroup().to_numpy()
    return group, int(group.max(initial=-1)) + 1


def _task_codes(table: pd.DataFrame) -> tuple[npt.NDArray[np.intp], list[str]]:
    import pandas as pd

    codes, tasks = pd.factorize(table["task"])
    return codes, [str(task) for task in tasks]


def _indices(
    values: Values,
    metrics: Sequence[Metric],
    group: npt.NDArray[np.intp],
    groups: int,
    references: References,
    rules: RatingRules,
) -> tuple[Values, Values]:
    """Return indices (n, m) and the reference values (n, m) they rest on."""
    index, reference = np.empty_like(values), np.empty_like(values)
    rows = references.rows[group]
    for column, metric in enumerate(metrics):
        value = values[:, column]
        if references.mode == BEST:
            reference[:, column] = best_of_groups(value, group, groups, metric.higher_is_better)[group]
        else:
            reference[:, column] = np.where(rows >= 0, value[rows], np.nan)
        index[:, column] = relative_index(value, reference[:, column], metric.higher_is_better, rules)
    return index, reference


def _intervals(
    pooled: pd.DataFrame,
    index: Values,
    values: Values,
    reference: Values,
    metrics: Sequence[Metric],
    rows: npt.NDArray[np.intp],
) -> tuple[Values, Values]:
    """Lower and upper ends (n, m) of the indices; `index` itself, twice, where nothing has a standard error."""
    errors = [pooled[metric.key + STANDARD_ERROR] for metric in metrics]
    if not any(error.notna().any() for error in errors):
        return index, index
    low, high = np.empty_like(index), np.empty_like(index)
    for column, (metric, error) in enumerate(zip(metrics, errors, strict=True)):
        counts = pooled.get(metric.key + COUNT, pooled["n"]).to_numpy()
        own = error.to_numpy(dtype=float)
        low[:, column], high[:, column] = index_interval(
            index[:, column],
            (values[:, column], own, counts),
            (reference[:, column], np.where(rows >= 0, own[rows], np.nan), counts[rows]),
            itself=rows == np.arange(len(rows)),
        )
    return low, high


def _thresholds(
    options: RatingOptions,
    index: Values,
    metrics: Sequence[Metric],
    task: npt.NDArray[np.intp],
    tasks: Sequence[str],
    applies: npt.NDArray[np.bool_],
) -> Thresholds:
    kind = "best" if options.reference == BEST else "reference"
    if options.thresholds is None:
        return shipped(options.rules.thresholds, kind)
    if isinstance(options.thresholds, Thresholds):
        if options.thresholds.index != kind:
            raise ConfigError(
                f"Thresholds '{options.thresholds.name}' belong to the index '{options.thresholds.index}', not '{kind}'.",
                "pass --reference best with thresholds for it, or thresholds for a reference model",
            )
        return options.thresholds
    by_task: dict[str, dict[str, Four]] = {}
    for number, name in enumerate(tasks):
        for column, metric in enumerate(metrics):
            four = quantile_thresholds(index[(task == number) & applies[:, column], column])
            if four is not None and four[-1] >= 0:  # negative values divide into nothing that could be rated
                by_task.setdefault(name, {})[metric.key] = four
    return Thresholds(name="quantiles of this data", index=kind, by_task=by_task)


def _rate(
    index: Values,
    metrics: Sequence[Metric],
    task: npt.NDArray[np.intp],
    tasks: Sequence[str],
    thresholds: Thresholds,
    rules: RatingRules,
) -> Ratings:
    ratings = np.full_like(index, MISSING, dtype=np.int8)
    for column, metric in enumerate(metrics):
        found = [thresholds.get(name, metric.key) for name in tasks]
        if len(set(found)) == 1 and found[0] is not None:  # the usual case needs no selection of rows
            ratings[:, column] = rate_index(index[:, column], found[0], rules)
            continue
        for number, four in enumerate(found):
            if four is not None:
                rows = task == number
                ratings[rows, column] = rate_index(index[rows, column], four, rules)
    return ratings


def _combine(
    ratings: Ratings,
    weights: Weights,
    *,
    task: npt.NDArray[np.intp],
    tasks: Sequence[str],
    metrics: Sequence[Metric],
    counts: npt.NDArray[np.bool_],
    mode: str,
    rules: RatingRules,
) -> Ratings:
    """Compound of each row over the metrics of its task; tasks with the same metrics are combined at once."""
    result = np.full(len(ratings), MISSING, dtype=np.int8)
    alike: dict[tuple[bool, ...], list[int]] = {}
    for number, name in enumerate(tasks):
        alike.setdefault(tuple(not metric.tasks or name in metric.tasks for metric in metrics), []).append(number)
    for columns, numbers in alike.items():
        rows = slice(None) if len(alike) == 1 else np.isin(task, numbers)
        chosen = np.array(columns)
        result[rows] = compound(ratings[rows][:, chosen], weights[chosen], mode, rules, counts[rows][:, chosen])
    return result


def _counting(
    values: Values, metrics: Sequence[Metric], applies: npt.NDArray[np.bool_], group: npt.NDArray[np.intp], groups: int
) -> npt.NDArray[np.bool_]:
    """Mark the metrics that count for a row (n, m): those of its task; one bound to none, where its group has a value."""
    counts = applies.copy()
    for column, metric in enumerate(metrics):
        if not metric.tasks:
            known = np.bincount(group, weights=~np.isnan(values[:, column]), minlength=groups) > 0
            counts[:, column] = known[group]
    return counts


__all__ = ["ANY_TASK", "BEST", "DEFAULT_REFERENCE", "FROM_DATA", "Rated", "RatingOptions", "rate"]

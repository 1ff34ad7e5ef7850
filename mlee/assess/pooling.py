"""Pooling: several runs of one (task, data set, environment, model) become one row with mean, standard error and n."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlee.assess.metric import Metric
from mlee.assess.rules import RatingRules
from mlee.assess.table import COUNT, KEYS, STANDARD_ERROR, UNCERTAINTY
from mlee.errors import RatingError
from mlee.records import PROVENANCE_ORDER, Provenance

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.intp]

#: Between the scopes of pooled runs that differ.
SEVERAL = " / "
#: Best first.
PROVENANCES: tuple[Provenance, ...] = PROVENANCE_ORDER[::-1]


def pool(table: pd.DataFrame, metrics: Sequence[Metric], rules: RatingRules) -> pd.DataFrame:
    """Return one row for each combination of keys, in the order of their first appearance.

    Runs are the independent repetitions: with several, mean and standard error come from the runs' means, and n is their
    number; a single run keeps the standard error over its own repeats. Columns added: `runs`, `n`, and `run_ids` (a tuple).
    Under rules that know no repeats a second run is a `RatingError`.
    """
    keys = list(KEYS)
    table = table.reset_index(drop=True)
    columns = [metric.key for metric in metrics]
    group = table.groupby(keys, sort=False, dropna=False, observed=True).ngroup().to_numpy()
    counts = np.bincount(group)
    if len(counts) == len(table):
        pooled = table.copy()
        pooled["runs"] = 1
        pooled["n"] = pooled["repeats"].to_numpy() if "repeats" in pooled else 1
        pooled["run_ids"] = list(zip(pooled["run_id"].tolist(), strict=True))
        return _with_columns(pooled, columns)
    first = np.unique(group, return_index=True)[1]
    if rules.repeats == "error":
        row = table.iloc[int(np.flatnonzero(counts[group] > 1)[0])]
        where = ", ".join(str(row[key]) for key in keys)
        raise RatingError(
            f"Rules '{rules.name}' know no repeats, and there are several runs of {where}.",
            "pass --rules exact, or only one run of each model",
        )
    pooled = table.iloc[first].reset_index(drop=True).copy()
    pooled["runs"] = counts
    repeats = table["repeats"].to_numpy() if "repeats" in table else np.ones(len(table), dtype=int)
    pooled["n"] = np.where(counts > 1, counts, repeats[first])
    members: list[list[str]] = [[] for _ in counts]
    for number, run in zip(group.tolist(), table["run_id"].tolist(), strict=True):
        members[number].append(run)
    pooled["run_ids"] = [tuple(runs) for runs in members]
    found: dict[str, npt.ArrayLike] = {}
    for column in columns:
        mean, error, known = _mean_and_error(table[column].to_numpy(dtype=float), group, len(counts))
        own = table.get(column + STANDARD_ERROR)
        found[column] = mean
        found[column + COUNT] = np.where(counts > 1, known, pooled["n"])
        found[column + STANDARD_ERROR] = np.where(counts > 1, error, np.nan if own is None else own.to_numpy()[first])
        unsure = table.get(column + UNCERTAINTY)
        if unsure is not None:
            found[column + UNCERTAINTY] = unsure.groupby(group).max().to_numpy()
    pooled = _with(pooled, found)
    if "scope" in table:
        pooled["scope"] = _common(table["scope"], group)
    if "provenance" in table:
        pooled["provenance"] = _worst_provenance(table["provenance"], group, len(counts))
    return _with_columns(pooled, columns)


def _with_columns(pooled: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    return _with(pooled, {name: np.nan for column in columns if (name := column + STANDARD_ERROR) not in pooled})


def _with(table: pd.DataFrame, values: Mapping[str, npt.ArrayLike]) -> pd.DataFrame:
    """Replace columns and add new ones, in one piece: pandas warns of tables that grew by hundreds of columns."""
    import pandas as pd

    added = {}
    for name, value in values.items():
        if name in table:
            table[name] = value
        else:
            added[name] = value
    if not added:
        return table
    return pd.concat([table, pd.DataFrame(added, index=table.index)], axis=1).copy()


def _mean_and_error(values: Floats, group: Whole, groups: int) -> tuple[Floats, Floats, Whole]:
    """Mean and standard error (groups,) of the known values, NaN without any and without two, and their number."""
    known = ~np.isnan(values)
    values, group = values[known], group[known]
    count = np.bincount(group, minlength=groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(group, weights=values, minlength=groups) / count
        squares = np.bincount(group, weights=(values - mean[group]) ** 2, minlength=groups)
        error = np.sqrt(squares / (count - 1) / count)
    error[count < 2] = np.nan
    return mean, error, count


def _common(values: pd.Series, group: Whole) -> list[object]:
    """Return each group's one value; several are joined."""
    found: dict[int, dict[object, None]] = {}
    for number, value in zip(group.tolist(), values.tolist(), strict=True):
        found.setdefault(number, {})[value] = None
    return [next(iter(each)) if len(each) == 1 else SEVERAL.join(map(str, each)) for _, each in sorted(found.items())]


def _worst_provenance(values: pd.Series, group: Whole, groups: int) -> list[object]:
    """Return each group's worst provenance, since a mean is only as good as its worst part; `None` without any."""
    found: list[object] = [None] * groups
    texts = values.to_numpy(dtype=object)
    for provenance in PROVENANCES:  # the worst is written last
        for number in np.unique(group[texts == provenance]):
            found[number] = provenance
    return found

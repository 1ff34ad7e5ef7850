"""Which model is the reference of each group (task, data set, environment).

A model named by the user must be there: a group without it stays unrated and says so. Where none is named, ResNet101
is taken (as in 2022) in every group that has it. Groups without it take one of their own: of the models found in most of
these groups, the middle one by energy (by time where no energy is known, else by name), so that about half of the models
are better and half are worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlee.records import Warning

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_REFERENCE = "ResNet101"
BEST = "best"
#: What a command line can do about a substitute; pages leave it out, or name a way of their own.
NAME_ANOTHER = " Name another with --reference."
#: What the substitute is in the middle of, the first that is known in its group.
_MEASURES = (
    *(("energy_per_sample", "energy"), ("energy_per_epoch", "energy")),
    *(("time_per_sample", "time"), ("time_per_epoch", "time")),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class References:
    """The reference of each group: its row (groups,), -1 where there is none, its name, and remarks."""

    mode: str
    rows: npt.NDArray[np.intp]
    names: npt.NDArray[np.object_]
    warnings: Mapping[int, Warning] = field(default_factory=dict)


def choose_references(table: pd.DataFrame, group: npt.NDArray[np.intp], groups: int, wanted: str | None) -> References:
    """Choose for each group; `wanted` is a model, `best`, or `None` for the default."""
    if wanted == BEST:
        return References(mode=BEST, rows=np.full(groups, -1), names=np.full(groups, "best of each metric", dtype=object))
    rows = _rows_of(table, group, groups, wanted or DEFAULT_REFERENCE)
    lacking = [int(number) for number in np.flatnonzero(rows < 0)]
    warnings: dict[int, Warning] = {}
    if wanted is not None:
        for number in lacking:
            message = f"No result of the reference model '{wanted}' in this environment: it is not rated."
            warnings[number] = Warning(code="reference", message=message)
    else:
        for number, (row, measure) in _substitutes(table, group, lacking).items():
            rows[number] = row
            message = (
                f"There is no {DEFAULT_REFERENCE} here: {table['model'].iloc[row]} is the reference, "
                f"the one in the middle by {measure}.{NAME_ANOTHER}"
            )
            warnings[number] = Warning(code="reference", message=message)
    models = table["model"].to_numpy(dtype=object)
    names = np.array([models[row] if row >= 0 else None for row in rows], dtype=object)
    return References(mode="reference", rows=rows, names=names, warnings=warnings)


def _rows_of(table: pd.DataFrame, group: npt.NDArray[np.intp], groups: int, model: str) -> npt.NDArray[np.intp]:
    rows = np.full(groups, -1)
    found = np.flatnonzero(table["model"].to_numpy(dtype=object) == model)
    rows[group[found]] = found
    return rows


def _substitutes(table: pd.DataFrame, group: npt.NDArray[np.intp], lacking: list[int]) -> dict[int, tuple[int, str]]:
    """Row of the reference for each group in `lacking`, and what it is in the middle of."""
    chosen: dict[int, tuple[int, str]] = {}
    if not lacking:
        return chosen
    inside = np.flatnonzero(np.isin(group, lacking))
    part = table.iloc[inside][["model"]].assign(row=inside, group=group[inside])
    part["common"] = part.groupby("model")["group"].transform("size").to_numpy()
    for number, rows in part.groupby("group", sort=True):
        best = rows[rows["common"] == rows["common"].max()]
        measure, values = _rank(table, best["row"].to_numpy())
        best = best.assign(rank=values).dropna(subset="rank").sort_values(["rank", "model"])
        chosen[int(number)] = int(best["row"].iloc[(len(best) - 1) // 2]), measure
    return chosen


def _rank(table: pd.DataFrame, rows: npt.NDArray[np.intp]) -> tuple[str, npt.NDArray[np.float64]]:
    """Return what the rows of a group are ordered by, with its name; NaN for models without that value."""
    for key, name in _MEASURES:
        if key in table:
            values = table[key].to_numpy(dtype=float)[rows]
            if not np.isnan(values).all():
                return name, values
    return "name", np.zeros(len(rows))

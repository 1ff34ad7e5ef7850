"""From cells of text to the tidy table: numbers in SI, key columns, directions and weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from mlee.assess.metric import Metric
from mlee.errors import ResultError
from mlee.results.foreign.cells import MAX_VALUE, Cells, Floats, listed
from mlee.results.foreign.properties import Property
from mlee.results.foreign.units import PHYSICAL_UNITS, is_percent, to_si

if TYPE_CHECKING:
    import pandas as pd

#: The key columns of every table, in their order.
KEYS = ("run_id", "task", "dataset", "environment", "model", "provenance", "started_at")
UNKNOWN = "unknown"
PROVENANCES = ("measured", "estimated", "external")
MAX_KEY_LENGTH = 500
#: Times outside are slips of the pen.
_YEARS = (1970, 2199)
#: A fraction may exceed 1 by a rounding error.
_ONE = 1 + 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForeignTable:
    """Runs of another tool: one row a run, SI values, missing values are NaN.

    Columns of `frame`: run_id, task, dataset, environment, model (text), provenance ("measured", "estimated", "external" or
    None), started_at (UTC or NaT), then one float64 column a metric, named by the keys of `metrics`.
    """

    frame: pd.DataFrame
    metrics: dict[str, Metric]
    warnings: list[str]


@dataclass(slots=True, kw_only=True)
class Rows:
    """The key columns while they are gathered, and what was noticed on the way."""

    cells: Cells
    run_id: list[str]
    task: list[str]
    dataset: list[str]
    environment: list[str]
    model: list[str]
    provenance: Sequence[str | None]
    started_at: list[str]
    ran_for_s: Floats | None = None  # to subtract from a time that was noted at the end
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Note what people should know about this file."""
        self.warnings.append(f"{self.cells.path.name}: {text}")


def build(rows: Rows, properties: Sequence[Property]) -> ForeignTable:
    """Put keys and metrics together; raises `ResultError` naming row and column of what cannot be."""
    import pandas as pd

    columns: dict[str, Floats] = {}
    kept: list[tuple[Property, str]] = []
    empty: list[str] = []
    for described in properties:
        values, unit = _in_si(rows, described)
        if np.isnan(values).all():
            empty.append(described.key)
            continue
        if (values < 0).any():
            described = _with_negative_values(rows, described, values, unit)
        columns[described.key] = values
        kept.append((described, unit))
    if not kept:
        raise ResultError(f"{rows.cells.path} holds no value of any metric.")
    if empty:
        rows.warn(f"no value at all, left out: {listed(empty)}")
    metrics = _metrics(rows, kept)
    frame = pd.DataFrame({**_key_columns(rows), **columns})
    _copy_between_tasks(frame, [described.key for described, _ in kept if described.independent_of_task])
    return ForeignTable(frame=frame, metrics=metrics, warnings=rows.warnings)


def _in_si(rows: Rows, described: Property) -> tuple[Floats, str]:
    values = rows.cells.numbers(described.column)
    if is_percent(described.unit):
        # STREP writes "percent" on fractions (0.83) and on percentages (94.2); the values tell which.
        if np.isnan(values).all() or np.nanmax(np.abs(values)) > _ONE:
            return values / 100, ""
        rows.warn(f"{described.key} is in {described.unit} and never above 1: taken as a fraction")
        return values, ""
    factor, unit = to_si(described.unit)
    values = values * factor
    rows.cells.refuse(described.column, values, np.abs(values) > MAX_VALUE, f"{unit} is too large")
    return values, unit


def _with_negative_values(rows: Rows, described: Property, values: Floats, unit: str) -> Property:
    """Refuse negative energies, times and sizes; a score below zero is shown and not rated (an index is a ratio)."""
    if unit in PHYSICAL_UNITS or described.never_negative:
        rows.cells.refuse(described.column, values, values < 0, "is negative")
    if described.higher_is_better is not None and described.weight != 0:
        place = rows.cells.place(int(np.argmax(values < 0)))
        rows.warn(f"{described.key} has negative values (first in {place}): shown, not rated")
    return replace(described, weight=0.0)


def _metrics(rows: Rows, kept: Sequence[tuple[Property, str]]) -> dict[str, Metric]:
    rated = [described for described, _ in kept if described.higher_is_better is not None and described.weight != 0]
    for higher in (False, True):
        if names := [described.key for described in rated if described.guessed and described.higher_is_better is higher]:
            rows.warn(f"direction not stated, taken as {'higher' if higher else 'lower'} is better: {listed(names)}")
    if names := [described.key for described, _ in kept if described.higher_is_better is None and described.weight != 0]:
        rows.warn(f"no direction known (maximize: true or false), shown, not rated: {listed(names)}")
    if unweighted := [described.key for described in rated if described.weight is None]:
        if len(unweighted) < len(rated):
            rows.warn(f"no weight given for {listed(unweighted)}: all metrics get balanced weights")
        sizes = Counter(described.group for described in rated)
        weights = {described.key: 1 / (len(sizes) * sizes[described.group]) for described in rated}
    else:
        weights = {described.key: described.weight or 0.0 for described in rated}
    return {
        described.key: Metric(
            key=described.key,
            label=described.label,
            symbol=described.symbol,
            unit=unit,
            higher_is_better=bool(described.higher_is_better),
            group=described.group,
            weight=weights.get(described.key, 0.0),
        )
        for described, unit in kept
    }


def _key_columns(rows: Rows) -> Mapping[str, pd.Series]:
    import pandas as pd

    texts = {name: getattr(rows, name) for name in ("run_id", "task", "dataset", "environment", "model")}
    for name, cells in texts.items():
        long = next((index for index, cell in enumerate(cells) if len(cell) > MAX_KEY_LENGTH), None)
        if long is not None:
            raise ResultError(f"{rows.cells.at(long)}: {name} has more than {MAX_KEY_LENGTH} characters.")
    times = pd.to_datetime(pd.Series(rows.started_at, dtype="object"), utc=True, format="ISO8601", errors="coerce")
    times = times.where(times.dt.year.between(*_YEARS))
    unread = np.flatnonzero(times.isna().to_numpy() & np.array([bool(text) for text in rows.started_at]))
    if unread.size:
        first = int(unread[0])
        rows.warn(f"{len(unread)} times cannot be read, first in {rows.cells.place(first)}: {rows.started_at[first][:40]!r}")
    times = times.astype("datetime64[us, UTC]")
    if rows.ran_for_s is not None:
        plausible = np.where(rows.ran_for_s < 1e9, rows.ran_for_s, np.nan)
        times = times - pd.to_timedelta((plausible * 1e6).round(), unit="us").astype("timedelta64[us]")
    keys = {name: pd.Series(cells, dtype="str") for name, cells in texts.items()}
    return {**keys, "provenance": pd.Series(list(rows.provenance), dtype="object"), "started_at": times}


def _copy_between_tasks(frame: pd.DataFrame, keys: Sequence[str]) -> None:
    """Copy what does not depend on the task from the first row that has it, within (dataset, model, environment).

    Each other task gets the value once, in its first row: a repeat that nobody measured must not narrow a standard error.
    """
    shared = ["dataset", "model", "environment"]
    first_rows = ~frame.duplicated([*shared, "task"])
    for key in keys:
        first = frame.groupby(shared, sort=False)[key].transform("first")
        lacking = frame.groupby([*shared, "task"], sort=False)[key].transform("count").eq(0) & first_rows
        frame.loc[lacking, key] = first[lacking]

"""What a reader of ratings must know, for each row of a rated table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlee.assess.metric import Metric
from mlee.assess.pooling import SEVERAL
from mlee.assess.references import References
from mlee.assess.thresholds import Thresholds
from mlee.records import Warning

if TYPE_CHECKING:
    import pandas as pd

#: Names in a list that people read.
_MOST_NAMED = 6


def remarks(
    table: pd.DataFrame,
    group: npt.NDArray[np.intp],
    references: References,
    thresholds: Thresholds,
    metrics: Sequence[Metric],
) -> tuple[tuple[Warning, ...], ...]:
    """Return the warnings of each row (n,): about its reference, the devices its energy includes, and its thresholds."""
    by_group: dict[int, list[Warning]] = {number: [warning] for number, warning in references.warnings.items()}
    if "scope" in table:
        scopes: dict[int, dict[str, None]] = {}
        pairs = table[["scope"]].assign(group=group).drop_duplicates()
        for number, scope in zip(pairs["group"], pairs["scope"], strict=True):
            for each in str(scope).split(SEVERAL):
                scopes.setdefault(int(number), {})[each or "none"] = None
        for number, found in scopes.items():
            if len(found) > 1:
                message = f"Energies of this environment include different devices: {', '.join(found)}."
                by_group.setdefault(number, []).append(Warning(code="scope", message=message))
    everywhere = [
        Warning(
            code="degenerate-thresholds",
            message=f"All four thresholds of {key} ({task}) are equal: they tell nothing apart.",
        )
        for task, key in thresholds.degenerate()
    ]
    for number, labels in _without_thresholds(table, group, thresholds, metrics).items():
        more = f" and {len(labels) - _MOST_NAMED} more" if len(labels) > _MOST_NAMED else ""
        message = f"No thresholds for {', '.join(labels[:_MOST_NAMED])}{more}: not rated."
        by_group.setdefault(number, []).append(Warning(code="no-thresholds", message=message))
    lists = {number: tuple(by_group.get(number, [])) + tuple(everywhere) for number in range(int(group.max(initial=-1)) + 1)}
    by_number = np.empty(len(lists), dtype=object)
    by_number[:] = list(lists.values())
    return tuple(by_number[group])


def _without_thresholds(
    table: pd.DataFrame, group: npt.NDArray[np.intp], thresholds: Thresholds, metrics: Sequence[Metric]
) -> dict[int, list[str]]:
    """Name the metrics that would count if they had thresholds, for each group that has values of them."""
    known = {key for names in thresholds.by_task.values() for key in names}
    found: dict[int, list[str]] = {}
    for metric in metrics:
        if metric.weight > 0 and metric.key not in known:
            for number in np.unique(group[table[metric.key].notna().to_numpy()]).tolist():
                found.setdefault(number, []).append(metric.label)
    return found

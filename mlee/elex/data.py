"""What the page shows, read once at the start and never changed: tables, metrics, runs, and the digest of each row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlee.assess.identity import SHORT, row_digest
from mlee.assess.metric import Metric
from mlee.assess.metrics import with_weights
from mlee.assess.rating import BEST, FROM_DATA, Rated, RatingOptions, rate
from mlee.assess.rules import RULES, RULES_EXACT
from mlee.assess.run import RunSummary
from mlee.assess.table import make_table
from mlee.assess.thresholds import Four, Thresholds, shipped
from mlee.results.load import Loaded, Unreadable

if TYPE_CHECKING:
    import pandas as pd

#: Rows of rated tables that are kept at once, and the most and fewest tables that they make.
_KEPT_ROWS, _MOST, _FEWEST = 50_000, 32, 4

#: (task, metric) and its four thresholds.
CustomThresholds = tuple[tuple[str, str, Four], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingChoice:
    """How a visitor wants models rated; hashable. `thresholds` are changes to those of the rules, or `quantiles`."""

    reference: str | None = None
    mode: str = RatingOptions().mode
    rules: str = RULES_EXACT.name
    weights: tuple[tuple[str, float], ...] = ()
    thresholds: CustomThresholds | str = ()

    @property
    def kind(self) -> str:
        """Which index thresholds belong to: `reference` or `best`."""
        return BEST if self.reference == BEST else "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What can be chosen, given task and data set; `rows` are those of each environment."""

    environments: tuple[tuple[str, int], ...]  # with the number of models, most first
    metrics: tuple[Metric, ...]
    references: tuple[str, ...]
    rows: Mapping[str, npt.NDArray[np.intp]]


class Explored:
    """Immutable data of the page; `rated` remembers the last few ways of rating."""

    def __init__(self, loaded: Loaded | None, folders: Sequence[Path] = (), problem: str | None = None) -> None:
        """Take what was loaded (`None` and a problem where nothing could be); `folders` may hold traces."""
        self.folders = tuple(folders)
        self.problem = problem
        self.metrics: Mapping[str, Metric] = {} if loaded is None else loaded.metrics
        self.runs: Mapping[str, RunSummary] = {} if loaded is None else loaded.runs
        self.unreadable: tuple[Unreadable, ...] = () if loaded is None else loaded.unreadable
        self.warnings: tuple[str, ...] = () if loaded is None else loaded.warnings
        self._tables = {} if loaded is None else _by_rules(loaded)
        rows = 1 if loaded is None else max(len(loaded.table), 1)
        self.rated = lru_cache(max(_FEWEST, min(_MOST, _KEPT_ROWS // rows)))(self._rated)
        self.ids: tuple[str, ...] = ()
        if loaded is not None:
            rows = self.rated(RatingChoice()).table.to_dict("records")
            self.ids = tuple(row_digest(row, self.runs)[:SHORT] for row in rows)
        self.models: tuple[str, ...] = ()
        self.choices: Mapping[tuple[str, str], Choices] = {}
        if loaded is not None:
            self.models = tuple(map(str, self.table["model"]))
            every = _choices(self.table, self.metrics)
            self.choices = {place: found for place, found in every.items() if found.metrics}
            hollow = [f"{task} on {dataset}" for (task, dataset), found in every.items() if not found.metrics]
            if hollow and self.choices:
                self.warnings += (f"No value of any metric, left out: {', '.join(hollow)}.",)
            elif hollow:
                self.problem = "The results hold no value of any metric."
        self.tasks = tuple(dict.fromkeys(task for task, _ in self.choices))
        self.row_of = {name: number for number, name in enumerate(self.ids)}
        # The same rows are rated differently where a table's description says something else of their metrics.
        content = "".join(self.ids) + repr(list(self.metrics.values()))
        self.digest = hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()[:SHORT]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.choices

    def datasets(self, task: str) -> tuple[str, ...]:
        """Names of the data sets of a task."""
        return tuple(dataset for name, dataset in self.choices if name == task)

    @property
    def table(self) -> pd.DataFrame:
        """One row a model, as the exact rules see it."""
        return self.rated(RatingChoice()).table

    def _rated(self, choice: RatingChoice) -> Rated:
        """Rate all rows; raises `ConfigError` and `RatingError`."""
        metrics = with_weights(self.metrics, dict(choice.weights))
        rules = RULES[choice.rules]
        options = RatingOptions(
            reference=choice.reference,
            mode=choice.mode,
            rules=rules,
            thresholds=FROM_DATA if choice.thresholds == FROM_DATA else _thresholds(choice),
        )
        return rate(self._tables[rules.name], list(metrics.values()), options)


def _choices(table: pd.DataFrame, metrics: Mapping[str, Metric]) -> dict[tuple[str, str], Choices]:
    found = {}
    for (task, dataset), here in table.groupby(["task", "dataset"], sort=False):
        rows = {
            str(name): np.sort(part.index.to_numpy(dtype=np.intp)) for name, part in here.groupby("environment", sort=False)
        }
        found[str(task), str(dataset)] = Choices(
            environments=tuple(sorted(((name, len(part)) for name, part in rows.items()), key=lambda pair: -pair[1])),
            metrics=tuple(
                metric
                for metric in metrics.values()
                if (not metric.tasks or task in metric.tasks) and bool(here[metric.key].notna().any())
            ),
            references=tuple(sorted({str(name) for name in here["model"]}, key=str.casefold)),
            rows=rows,
        )
    return found


def _by_rules(loaded: Loaded) -> dict[str, pd.DataFrame]:
    """Return the table under every rule set: the values of runs differ, rows of other tools stay."""
    import pandas as pd

    tables = {RULES_EXACT.name: loaded.table}
    for rules in RULES.values():
        if rules.name not in tables:
            ours = make_table(list(loaded.runs.values()), rules)
            others = loaded.table[~loaded.table["run_id"].isin(list(loaded.runs))]
            tables[rules.name] = (
                pd.concat([ours, others], ignore_index=True)
                if len(others) and len(ours)
                else (ours if len(ours) else loaded.table)
            )
    return tables


def _thresholds(choice: RatingChoice) -> Thresholds | None:
    if not choice.thresholds:
        return None
    base = shipped(RULES[choice.rules].thresholds, choice.kind)
    by_task = {task: dict(metrics) for task, metrics in base.by_task.items()}
    assert not isinstance(choice.thresholds, str)
    for task, key, four in choice.thresholds:
        by_task.setdefault(task, {})[key] = four
    return Thresholds(name=f"{base.name}, changed by hand", index=choice.kind, by_task=by_task)

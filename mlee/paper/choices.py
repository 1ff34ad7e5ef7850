"""The choices in which exact rules differ from those of 2022, each of which can be made alone.

A choice changes either the rules (how values become ratings) or the values themselves: whose energy counts, and which
numbers are no MACs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlee.assess.compound import letter
from mlee.assess.metrics import METRICS
from mlee.assess.rating import Rated, RatingOptions, rate
from mlee.assess.rules import RULES_2022, RULES_EXACT, RatingRules
from mlee.assess.run import RunSummary
from mlee.assess.table import counted_kinds, make_table
from mlee.records import DeviceKind
from mlee.results.load import Loaded

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[str, str, str, str]  # task, data set, environment, model
Letters = Mapping[Key, str | None]


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice: its name, what it is, the fields of the rules it takes from exact rules, and the values it changes."""

    name: str
    meaning: str
    fields: tuple[str, ...] = ()
    adds: DeviceKind | None = None
    columns: tuple[str, ...] = ()


CHOICES = (
    Choice("median", "the published weighted median returns the element before the one that crosses one half", ("median",)),
    Choice(
        "missing values",
        "a missing value is left out instead of counted as E, and so is an index that cannot be divided out",
        ("missing", "undefined"),
    ),
    Choice("CPU at training", "the energy of a training contains the CPU, not the GPUs alone", adds="cpu"),
    Choice("DRAM", "the energy of the CPU's memory counts where it was measured", adds="dram"),
    Choice("MACs", "numbers that are no MACs are missing: 0, and the number of parameters in ONNX files", columns=("macs",)),
    Choice(
        "thresholds",
        "thresholds come from exact indices and are kept by task; in 2022 those of training overwrote inference",
        ("thresholds",),
    ),
)
Chosen = frozenset[str]
ALL: Chosen = frozenset(choice.name for choice in CHOICES)
NONE: Chosen = frozenset()
_OF_VALUES: Chosen = frozenset(choice.name for choice in CHOICES if not choice.fields)


class Rater:
    """Rates one set of results under the rules of 2022 with any of the choices of exact rules."""

    def __init__(self, published: Loaded, exact: Loaded) -> None:
        """Take the results as loaded under both rule sets: the same rows with other values."""
        if list(published.table["run_id"]) != list(exact.table["run_id"]):
            raise ValueError("Both tables must hold the same runs in the same order.")
        self._published, self._exact = published, exact
        self._metrics = list(published.metrics.values())
        self._tables: dict[Chosen, pd.DataFrame] = {}
        self._letters: dict[Chosen, Letters] = {}
        #: Whether runs were repeated, which the rules of 2022 refuse: they are pooled under both.
        self.pooled = bool(published.table.duplicated(["task", "dataset", "environment", "model"]).any())

    def rated(self, chosen: Chosen) -> Rated:
        """Rate with these choices; those of all are exact rules, and none are the rules of 2022."""
        options = RatingOptions(rules=RULES_EXACT if chosen == ALL else self._mixed(chosen))
        return rate(self.table(chosen), self._metrics, options)

    def letters(self, chosen: Chosen) -> Letters:
        """Compound rating of each model with these choices."""
        if chosen not in self._letters:
            rated = self.rated(chosen)
            keys = rated.table[["task", "dataset", "environment", "model"]].astype(str).itertuples(index=False, name=None)
            self._letters[chosen] = dict(zip(keys, map(letter, rated.compound), strict=True))
        return self._letters[chosen]

    def left_over(self) -> tuple[int, int]:
        """Return how many values and how many ratings all choices together do not yet make as exact rules do."""
        table, rules = self._make_table(ALL), self._mixed(ALL)
        rated, exact = rate(table, self._metrics, RatingOptions(rules=rules)), self.rated(ALL)
        return values_changed(table, self._exact.table), int((rated.compound != exact.compound).sum())

    def table(self, chosen: Chosen) -> pd.DataFrame:
        """Values with these choices."""
        valued = chosen & _OF_VALUES
        if valued not in self._tables:
            self._tables[valued] = self._exact.table if valued == _OF_VALUES else self._make_table(valued)
        return self._tables[valued]

    def _mixed(self, chosen: Chosen) -> RatingRules:
        fields = {field for choice in CHOICES if choice.name in chosen for field in choice.fields}
        rules = replace(RULES_2022, **{field: getattr(RULES_EXACT, field) for field in fields})
        return replace(rules, repeats=RULES_EXACT.repeats) if self.pooled else rules

    def _make_table(self, chosen: Chosen) -> pd.DataFrame:
        table = self._published.table.copy()
        if not self._published.runs:  # tables of other tools: their values are the same under all rules
            return table
        choices = [choice for choice in CHOICES if choice.name in chosen]
        for column in (column for choice in choices for column in choice.columns):
            table[column] = self._exact.table[column]
        adds = tuple(choice.adds for choice in choices if choice.adds is not None)
        if adds:
            runs = [_counting(run, adds) for run in self._published.runs.values()]
            made = make_table(runs, RULES_EXACT).set_index("run_id")
            rows = table["run_id"].isin(made.index)
            for column in (column for column in made if column.startswith("energy_") or column == "scope"):
                table.loc[rows, column] = made.loc[table.loc[rows, "run_id"], column].to_numpy()
        return table


def values_changed(old: pd.DataFrame, new: pd.DataFrame) -> int:
    """Count the values of metrics that differ between two tables of the same runs."""
    columns = [column for column in old if column in METRICS]
    pairs = ((old[column].to_numpy(), new[column].to_numpy()) for column in columns)
    return sum(int((~((a == b) | (np.isnan(a) & np.isnan(b)))).sum()) for a, b in pairs)


def _counting(run: RunSummary, adds: tuple[DeviceKind, ...]) -> RunSummary:
    """Leave a run the energies that the rules of 2022 count, and those of the kinds added."""
    kinds = {*counted_kinds(run, RULES_2022), *adds}
    repeats = (
        replace(repeat, energy_j={kind: value for kind, value in repeat.energy_j.items() if kind in kinds})
        for repeat in run.repeats
    )
    return replace(run, repeats=tuple(repeats))

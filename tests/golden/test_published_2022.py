"""The published results of 2022, rated again: every golden number, and what `exact` rules make of them.

The data is not part of the project: these tests need it beside the checkout (shared/imageneteff22), else they are skipped.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlee.assess import thresholds
from mlee.assess.compound import MODES, letter
from mlee.assess.environment import match_environment
from mlee.assess.metrics import METRICS
from mlee.assess.rating import FROM_DATA, Rated, RatingOptions, rate
from mlee.assess.rules import RULES_2022, RULES_EXACT, RatingRules
from mlee.results.load import Loaded, load

DATA = Path(__file__).parents[3] / "shared" / "imageneteff22"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the published results are not at {DATA}")
ALL = tuple(METRICS.values())


@pytest.fixture(scope="module")
def published() -> Loaded:
    loaded = load([DATA / "results"], RULES_2022)
    assert len(loaded.table) == 232
    assert not loaded.unreadable
    return loaded


@pytest.fixture(scope="module")
def exact() -> Loaded:
    return load([DATA / "results"], RULES_EXACT)


def golden() -> list[dict]:  # type: ignore[type-arg]
    return json.loads((DATA / "golden_ratings_2022.json").read_text()) if DATA.is_dir() else []


def rows(rated: Rated) -> dict[tuple[str, str, str], int]:
    keys = rated.table[["task", "environment", "model"]].itertuples(index=False)
    return {tuple(key): number for number, key in enumerate(keys)}


def counts(rated: Rated, task: str) -> str:
    found = Counter(letter(c) for c, name in zip(rated.compound, rated.table["task"], strict=True) if name == task)
    return " ".join(f"{name} {found[name]}" for name in "ABCDE")


def test_every_golden_value_index_and_rating(published: Loaded) -> None:
    rated = rate(published.table, ALL, RatingOptions(rules=RULES_2022))
    at, compared = rows(rated), 0
    for entry in golden():
        environment = match_environment(entry["environment"], rated.table["environment"])
        number = at[entry["task"], str(environment), entry["model"]]
        for metric in METRICS.values():
            if metric.key_2022 not in entry["metrics"]:
                continue
            wanted = entry["metrics"][metric.key_2022]
            column = rated.position(metric.key)
            value = rated.table[metric.key].iloc[number] * metric.scale_2022
            rating = int(rated.rating[number, column])
            compared += 1
            if wanted["value"] is None:
                assert np.isnan(value)
                assert rating == -1  # and counts as E
                assert wanted["rating"] == 4
                continue
            assert value == pytest.approx(wanted["value"], rel=1e-9)
            assert rated.index[number, column] == pytest.approx(wanted["index"], rel=1e-9, abs=1e-9)
            assert rating == wanted["rating"], (entry["model"], metric.key)
            assert metric.weight == wanted["weight"]
    assert compared == 84 * 7 + 21 * 2


@pytest.mark.parametrize("mode", MODES)
def test_every_golden_compound(published: Loaded, mode: str) -> None:
    rated = rate(published.table, ALL, RatingOptions(rules=RULES_2022, mode=mode))
    at = rows(rated)
    for entry in golden():
        environment = match_environment(entry["environment"], rated.table["environment"])
        number = at[entry["task"], str(environment), entry["model"]]
        assert letter(rated.compound[number]) == entry["compound"][mode], (entry["environment"], entry["model"])


def test_environments_are_short_by_rule(published: Loaded) -> None:
    assert sorted(published.table["environment"].unique()) == [
        "A100 x8 - PyTorch 1.10.2+cu113",
        "A100 x8 - TensorFlow 2.8.0",
        "RTX 5000 - PyTorch 1.10.2+cu113",
        "RTX 5000 - TensorFlow 2.4.1",
        "Xeon W-2155 - ONNX PT Export 1.10.0",
        "Xeon W-2155 - ONNX TF Export 1.10.0",
        "Xeon W-2155 - PyTorch 1.10.2+cu113",
        "Xeon W-2155 - TensorFlow 2.4.1",
    ]


@pytest.mark.parametrize(
    ("rules", "inference", "training"),
    [
        (RULES_2022, "A 32 B 55 C 52 D 37 E 0", "A 5 B 12 C 23 D 15 E 1"),
        (replace(RULES_2022, median="exact"), "A 19 B 37 C 59 D 45 E 16", "A 0 B 8 C 23 D 21 E 4"),
    ],
    ids=["published", "median alone"],
)
def test_counts_of_classes(published: Loaded, rules: RatingRules, inference: str, training: str) -> None:
    rated = rate(published.table, ALL, RatingOptions(rules=rules))
    assert (counts(rated, "inference"), counts(rated, "training")) == (inference, training)


def test_counts_of_classes_under_exact_rules(exact: Loaded) -> None:
    """The counts that docs/rating.md states."""
    rated = rate(exact.table, ALL)
    assert counts(rated, "inference") == "A 27 B 37 C 54 D 37 E 21"
    assert counts(rated, "training") == "A 1 B 8 C 24 D 19 E 4"


@pytest.mark.parametrize("reference", [None, "best"])
def test_shipped_thresholds_are_the_quantiles_of_the_published_data(exact: Loaded, reference: str | None) -> None:
    rated = rate(exact.table, ALL, RatingOptions(reference=reference, thresholds=FROM_DATA))
    shipped = thresholds.shipped("exact", reference or "reference")
    assert shipped.by_task.keys() == rated.thresholds.by_task.keys()
    for task, metrics in rated.thresholds.by_task.items():
        assert shipped.by_task[task].keys() == metrics.keys()
        for key, four in metrics.items():
            assert shipped.by_task[task][key] == pytest.approx(four, rel=1e-12)


def test_numbers_that_are_no_macs_are_missing_under_exact_rules(exact: Loaded, published: Loaded) -> None:
    assert (published.table["macs"] == 0).sum() == 13
    onnx = exact.table["environment"].str.contains("ONNX")
    assert exact.table.loc[onnx, "macs"].isna().all()
    assert not (exact.table["macs"] == 0).any()
    assert exact.table["macs"].isna().sum() == onnx.sum() + 13


def test_exact_energy_contains_all_that_was_measured(exact: Loaded, published: Loaded) -> None:
    """Training energy gains the CPU, and CPU energy gains the DRAM that the total of 2022 leaves out."""
    merged = exact.table.merge(published.table, on=["task", "environment", "model"], suffixes=("", "_2022"))
    assert set(merged.loc[merged["task"] == "training", "scope_2022"]) == {"gpu"}
    more = merged["energy_per_epoch"] > merged["energy_per_epoch_2022"]
    assert set(merged.loc[more, "scope"]) == {"cpu+dram+gpu"}
    assert more.sum() == 22
    cpu = merged["environment"].str.startswith("Xeon")
    ratio = merged.loc[cpu, "energy_per_sample"] / merged.loc[cpu, "energy_per_sample_2022"]
    assert ratio.between(1.03, 1.3).all()


def test_the_run_whose_clock_was_changed_is_named(exact: Loaded) -> None:
    warned = {name: run.warnings for name, run in exact.runs.items() if run.warnings}
    assert list(warned) == ["train_2022_03_26_13_23_34"]
    assert "+3601 s" in warned["train_2022_03_26_13_23_34"][0].message

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlee.assess.compound import letter
from mlee.assess.index import quantile_thresholds, rate_index, relative_index
from mlee.assess.metric import Metric
from mlee.assess.metrics import METRICS, with_weights
from mlee.assess.rating import FROM_DATA, Rated, RatingOptions, rate
from mlee.assess.rules import RULES_2022, RULES_EXACT, RatingRules
from mlee.assess.thresholds import Thresholds, from_json, to_json
from mlee.assess.uncertainty import half_width, index_interval
from mlee.errors import ConfigError, RatingError

BETTER = replace(RULES_EXACT, on_boundary="better")
positive = st.floats(1e-6, 1e6)
fours = st.lists(st.floats(0, 1e6), min_size=4, max_size=4).map(lambda values: tuple(sorted(values, reverse=True)))


def index(value: float, reference: float, higher: bool, rules: RatingRules = RULES_EXACT) -> float:
    return float(relative_index(np.array([value]), np.array([reference]), higher, rules)[0])


def classes(indices: list[float], rules: RatingRules = RULES_EXACT) -> list[str | None]:
    return [letter(r) for r in rate_index(np.array(indices), (2.0, 1.5, 1.0, 0.5), rules)]


def test_vectors_of_the_index() -> None:
    assert index(2, 4, higher=False) == 2.0
    assert index(2, 4, higher=True) == 0.5
    assert index(0, 4, higher=False, rules=RULES_2022) == 0.0
    assert index(0, 4, higher=False) == math.inf
    assert index(0, 4, higher=True) == 0.0
    assert math.isnan(index(3, 0, higher=True))
    assert index(3, 0, higher=True, rules=RULES_2022) == 0.0
    assert index(3, 0, higher=False) == 0.0
    assert math.isnan(index(0, 0, higher=False))
    assert math.isnan(index(math.nan, 1, higher=False, rules=RULES_2022))
    assert math.isnan(index(1, math.nan, higher=False, rules=RULES_2022))


@given(positive, st.booleans())
def test_the_reference_has_the_index_one(value: float, higher: bool) -> None:
    assert index(value, value, higher) == 1.0


def test_vectors_of_the_thresholds() -> None:
    assert classes([2.0, 2.0001, 1.0, 0.5, 0.4, 1e9, math.inf]) == ["B", "A", "D", "E", "E", "A", "A"]
    assert classes([2.0, 2.0001, 1.0, 0.5, 0.4], BETTER) == ["A", "A", "C", "D", "E"]
    assert classes([math.nan]) == [None]


def test_an_index_that_differs_in_the_last_bit_lies_on_the_threshold() -> None:
    assert classes([np.nextafter(2.0, 3), np.nextafter(2.0, 1)]) == ["B", "B"]
    assert classes([np.nextafter(2.0, 3), np.nextafter(2.0, 1)], BETTER) == ["A", "A"]


@given(fours, st.lists(st.floats(0, 1e6), min_size=2, max_size=20), st.sampled_from([RULES_EXACT, BETTER]))
def test_a_better_index_never_gets_a_worse_class(four: Any, indices: list[float], rules: RatingRules) -> None:
    ratings = rate_index(np.sort(np.array(indices)), four, rules)
    assert (np.diff(ratings) <= 0).all()


def test_quantiles_interpolate_linearly_and_leave_out_what_is_missing() -> None:
    assert quantile_thresholds(np.array([1, 2, 3, 4, 5, math.nan, math.inf])) == pytest.approx((4.2, 3.4, 2.6, 1.8))
    assert quantile_thresholds(np.array([math.nan])) is None


@given(fours, fours)
def test_thresholds_survive_a_file(first: Any, second: Any) -> None:
    once = Thresholds(name="own", index="best", by_task={"inference": {"energy": first}, "*": {"time": second}})
    assert from_json(to_json(once), "file") == once


def test_half_widths_follow_students_t() -> None:
    widths = half_width(np.ones(5), np.array([1, 2, 3, 31, 1000]))
    assert math.isnan(widths[0])
    assert widths[1:] == pytest.approx([12.706, 4.303, 2.042, 1.960])


def test_an_interval_adds_the_relative_widths_in_squares() -> None:
    n = np.array([3, 3])
    low, high = index_interval(
        np.array([2.0, 1.0]),
        (np.array([10.0, 20.0]), np.array([0.3 * 10 / 4.303, 5.0]), n),
        (np.array([20.0, 20.0]), np.array([0.4 * 20 / 4.303, 5.0]), n),
        itself=np.array([False, True]),
    )
    assert (low[0], high[0]) == pytest.approx((2.0 / 1.5, 3.0))
    assert (low[1], high[1]) == (1.0, 1.0), "the reference itself is 1 by definition"


# A table of measurements ------------------------------------------------------------------------------------------------

ENERGY = METRICS["energy_per_sample"]
TIME = METRICS["time_per_sample"]
TOP1 = METRICS["top1_accuracy"]
THREE = (ENERGY, TIME, TOP1)


def runs(*rows: dict[str, Any]) -> pd.DataFrame:
    filled = []
    for number, row in enumerate(rows):
        base = {"task": "inference", "dataset": "ImageNet", "environment": "GPU - PyTorch 2.9", "run_id": f"run {number}"}
        filled.append({**base, **dict.fromkeys((metric.key for metric in THREE), math.nan), "repeats": 1, **row})
    return pd.DataFrame(filled)


def model(name: str, energy: float, time: float = 1.0, top1: float = 0.7, **more: Any) -> dict[str, Any]:
    return {"model": name, "energy_per_sample": energy, "time_per_sample": time, "top1_accuracy": top1, **more}


def cell(rated: Rated, name: str, key: str) -> tuple[float, str | None]:
    number = int(np.flatnonzero(rated.table["model"] == name)[0])
    column = rated.position(key)
    return float(rated.index[number, column]), letter(rated.rating[number, column])


def compounds(rated: Rated) -> dict[str, str | None]:
    return {name: letter(rating) for name, rating in zip(rated.table["model"], rated.compound, strict=True)}


def test_models_are_compared_within_their_environment() -> None:
    table = runs(
        model("ResNet101", 2.0),
        model("small", 1.0),
        model("ResNet101", 8.0, environment="CPU - PyTorch 2.9"),
        model("small", 16.0, environment="CPU - PyTorch 2.9"),
    )
    rated = rate(table, THREE)
    energy = rated.index[:, rated.position("energy_per_sample")]
    assert energy.tolist() == [1.0, 2.0, 1.0, 0.5]
    assert (rated.table["reference"] == "ResNet101").all()


def test_groups_are_rated_on_their_own() -> None:
    rated = rate(runs(model("ResNet101", 2.0), model("small", 0.5, 0.5, 0.1)), THREE)
    assert [letter(part[1]) for part in (rated.groups["Resources"], rated.groups["Quality"])] == ["A", "E"]


def test_repeats_give_a_standard_error_and_classes_that_could_be() -> None:
    noisy = [model("noisy", value) for value in (1.5, 1.9, 1.7)]
    rated = rate(runs(model("ResNet101", 2.0), *noisy), THREE)
    number = 1
    assert rated.table["n"].tolist() == [1, 3]
    assert rated.table["energy_per_sample"].iloc[number] == pytest.approx(1.7)
    assert rated.table["energy_per_sample__standard_error"].iloc[number] == pytest.approx(0.2 / math.sqrt(3))
    assert rated.table["run_ids"].iloc[number] == ("run 1", "run 2", "run 3")
    column = rated.position("energy_per_sample")
    found = [letter(part[number, column]) for part in (rated.rating_best, rated.rating, rated.rating_worst)]
    assert found == ["B", "B", "C"]
    assert rated.index_low[number, column] < rated.index[number, column] < rated.index_high[number, column]
    assert rated.index_low[0, column] == rated.index_high[0, column] == 1.0


def test_rules_of_2022_know_no_repeats() -> None:
    with pytest.raises(RatingError, match=r"several runs of inference, ImageNet, GPU - PyTorch 2\.9, small"):
        rate(runs(model("small", 1.0), model("small", 2.0)), THREE, RatingOptions(rules=RULES_2022))


def test_a_missing_value_is_left_out_and_below_half_the_weight_nothing_is_rated() -> None:
    table = runs(model("ResNet101", 2.0), model("no energy", math.nan), model("nothing", math.nan, math.nan))
    rated = rate(table, THREE)
    assert compounds(rated) == {"ResNet101": "C", "no energy": "C", "nothing": None}
    assert cell(rated, "no energy", "energy_per_sample")[1] is None
    published = rate(table, THREE, RatingOptions(rules=RULES_2022))
    assert compounds(published)["nothing"] is not None


def test_a_named_reference_that_is_missing_leaves_the_environment_unrated() -> None:
    table = runs(model("A", 1.0), model("B", 2.0), model("A", 1.0, environment="other - PyTorch 2.9"))
    rated = rate(table, THREE, RatingOptions(reference="B"))
    assert [letter(rating) is None for rating in rated.compound] == [False, False, True]
    assert all(letter(group[2]) is None for group in rated.groups.values())
    assert "No result of the reference model 'B'" in rated.warnings[2][0].message
    assert not rated.warnings[0]


def test_without_the_usual_reference_the_middle_one_common_to_the_environments_is_taken() -> None:
    other = "other - PyTorch 2.9"
    table = runs(
        *(model(name, energy) for name, energy in (("a", 1.0), ("b", 2.0), ("c", 3.0), ("only here", 2.5))),
        *(model(name, energy, environment=other) for name, energy in (("a", 1.0), ("b", 5.0), ("c", 3.0))),
    )
    rated = rate(table, THREE)
    assert rated.table["reference"].tolist() == ["b"] * 4 + ["c"] * 3
    assert "There is no ResNet101 here: b is the reference" in rated.warnings[0][0].message


def test_best_compares_with_the_best_of_each_metric() -> None:
    rated = rate(
        runs(model("a", 1.0, 4.0, 0.8), model("b", 2.0, 2.0, 0.4)),
        THREE,
        RatingOptions(reference="best", thresholds=FROM_DATA),
    )
    assert rated.index.tolist() == [[1.0, 0.5, 1.0], [0.5, 1.0, 0.5]]


def test_best_needs_thresholds_made_for_it() -> None:
    table = runs(model("ResNet101", 1.0))
    with pytest.raises(ConfigError, match="know no index 'best'"):
        rate(table, THREE, RatingOptions(reference="best", rules=RULES_2022))
    own = Thresholds(name="own", index="reference", by_task={"*": {"energy_per_sample": (4.0, 3.0, 2.0, 1.0)}})
    with pytest.raises(ConfigError, match="Thresholds 'own' belong to the index 'reference', not 'best'"):
        rate(table, THREE, RatingOptions(reference="best", thresholds=own))


def test_equal_thresholds_are_said() -> None:
    same = runs(model("ResNet101", 1.0), model("b", 1.0))
    rated = rate(same, THREE, RatingOptions(thresholds=FROM_DATA))
    assert {warning.code for warning in rated.warnings[0]} == {"degenerate-thresholds"}
    assert cell(rated, "b", "energy_per_sample") == (1.0, "E")


def test_metrics_of_other_tools_count_where_their_group_has_them() -> None:
    robust = Metric(
        key="robustness", label="Robustness", symbol="R", unit="", higher_is_better=True, group="Quality", weight=1.0
    )
    speed = replace(robust, key="speed", label="Speed")
    table = runs(
        {"model": "ResNet101", "robustness": 0.5, "speed": math.nan},
        {"model": "b", "robustness": 0.9, "speed": math.nan},
    )
    rated = rate(table, (robust, speed), RatingOptions(thresholds=FROM_DATA))
    assert compounds(rated) == {"ResNet101": "E", "b": "A"}, "speed is nobody's and does not count"


def test_negative_values_make_no_thresholds_from_data() -> None:
    fit = Metric(key="r2", label="R2", symbol="R", unit="", higher_is_better=True, group="Quality", weight=0.0)
    rows = [model(name, energy, r2=r2) for name, energy, r2 in (("ResNet101", 1.0, 0.9), ("b", 2.0, -0.5), ("c", 3.0, -0.9))]
    rated = rate(runs(*rows), (ENERGY, fit), RatingOptions(thresholds=FROM_DATA))
    assert rated.thresholds.get("inference", "r2") is None
    assert compounds(rated) == {"ResNet101": "A", "b": "C", "c": "E"}


def test_different_scopes_in_one_environment_are_said() -> None:
    rated = rate(runs(model("ResNet101", 1.0, scope="gpu"), model("b", 1.0, scope="cpu+gpu")), THREE)
    assert "include different devices: gpu, cpu+gpu" in rated.warnings[0][0].message


def test_weights_take_both_names_and_refuse_unknown_ones() -> None:
    assert with_weights(METRICS, {"inference_power_draw": 0})["energy_per_sample"].weight == 0
    with pytest.raises(ConfigError, match="Weight for unknown metric 'speed'"):
        with_weights(METRICS, {"speed": 1})
    with pytest.raises(ConfigError, match="weight of parameters must be a finite number"):
        with_weights(METRICS, {"parameters": math.nan})


@given(
    st.lists(st.tuples(positive, positive, st.floats(0.01, 1)), min_size=1, max_size=8), st.randoms(use_true_random=False)
)
def test_the_order_of_rows_does_not_matter(values: list[tuple[float, float, float]], random: Any) -> None:
    rows = [model("ResNet101", 1.0), *(model(f"model {number}", *value) for number, value in enumerate(values))]
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert compounds(rate(runs(*rows), THREE)) == compounds(rate(runs(*shuffled), THREE))


def test_a_metric_known_in_fewer_runs_rests_on_fewer() -> None:
    table = runs(
        model("ResNet101", 2.0), *(model("b", value, time) for value, time in ((1.5, 1.0), (1.7, 1.1), (math.nan, 1.2)))
    )
    rated = rate(table, THREE)
    assert rated.table["energy_per_sample__n"].tolist() == [1, 2]
    assert rated.table["time_per_sample__n"].tolist() == [1, 3]
    column = rated.position("energy_per_sample")
    relative = 12.706 * 0.1 / 1.6
    assert rated.index_high[1, column] == pytest.approx(rated.index[1, column] * (1 + relative))


def test_pooled_runs_of_different_scope_are_said() -> None:
    rated = rate(runs(model("ResNet101", 1.0, scope="gpu"), model("ResNet101", 1.1, scope="cpu+gpu")), THREE)
    assert "include different devices: gpu, cpu+gpu" in rated.warnings[0][0].message

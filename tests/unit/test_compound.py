from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlee.assess.compound import MISSING, MODES, check_mode, compound, letter
from mlee.assess.rules import RULES_2022, RULES_EXACT, RatingRules
from mlee.errors import ConfigError

#: Ratings 0..4, `None` for missing, with weights in hundredths.
rows = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 100)), min_size=1, max_size=9)


def one(
    ratings: list[int], weights: list[float] | None = None, mode: str = "median", rules: RatingRules = RULES_EXACT
) -> int:
    weight = np.array(weights or [1.0] * len(ratings))
    return int(compound(np.array([ratings], dtype=np.int8), weight, mode, rules)[0])


def text(*arguments: object, **options: object) -> str | None:
    return letter(one(*arguments, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ratings", "weights", "mode", "published", "exact"),
    [
        ([0, 1, 2], None, "optimistic median", "A", "B"),
        ([1, 3], None, "optimistic median", "C", "C"),
        ([1, 3], None, "pessimistic median", "C", "C"),
        ([1, 2], None, "optimistic median", "B", "B"),
        ([1, 2], None, "pessimistic median", "C", "C"),
        ([0, 4, 4], None, "optimistic median", "A", "E"),
        ([0, 4], [0.1, 0.9], "optimistic median", "A", "E"),
        # MobileNetV3Large on the Xeon with TensorFlow: A .2 .3 .7, B .4 .4, E .2 .8
        ([1, 0, 1, 0, 0, 4, 4], [0.4, 0.2, 0.4, 0.7, 0.3, 0.8, 0.2], "optimistic median", "A", "B"),
        ([0, 0, 4], [0.1, 0.1, 0.8], "majority", "A", "A"),
        ([0, 1], None, "optimistic mean", "A", "A"),
        ([0, 1], None, "pessimistic mean", "B", "B"),
        ([0, 3, 4], None, "best", "A", "A"),
        ([0, 3, 4], None, "worst", "E", "E"),
        ([2, 3, 3, 2], None, "majority", "C", "C"),
    ],
)
def test_vectors_of_the_specification(
    ratings: list[int], weights: list[float] | None, mode: str, published: str, exact: str
) -> None:
    assert text(ratings, weights, mode, RULES_2022) == published
    assert text(ratings, weights, mode, RULES_EXACT) == exact


def reference_median(pairs: list[tuple[int, int]], pessimistic: bool) -> int:
    """Weighted median by its definition, in exact fractions."""
    total = sum(Fraction(weight) for _, weight in pairs)
    up_to = {r: sum((Fraction(w) for other, w in pairs if other <= r), Fraction(0)) for r in range(5)}
    lower = min(r for r in range(5) if up_to[r] >= total / 2)
    upper = min((r for r in range(5) if up_to[r] > total / 2), default=4)
    return (lower + upper + pessimistic) // 2


@given(rows, st.booleans())
def test_the_exact_median_is_the_weighted_median(pairs: list[tuple[int, int]], pessimistic: bool) -> None:
    ratings, weights = [r for r, _ in pairs], [w / 100 for _, w in pairs]
    mode = "pessimistic median" if pessimistic else "optimistic median"
    assert one(ratings, weights, mode) == reference_median(pairs, pessimistic)


@given(rows, st.booleans())
def test_the_exact_mean_is_rounded_exactly(pairs: list[tuple[int, int]], pessimistic: bool) -> None:
    ratings, weights = [r for r, _ in pairs], [w / 100 for _, w in pairs]
    mean = Fraction(sum(r * w for r, w in pairs), sum(w for _, w in pairs))
    wanted = -(-mean.numerator // mean.denominator) if pessimistic else mean.numerator // mean.denominator
    assert one(ratings, weights, "pessimistic mean" if pessimistic else "optimistic mean") == wanted


@given(rows, st.sampled_from(MODES), st.sampled_from([RULES_2022, RULES_EXACT]))
def test_a_compound_lies_between_its_ratings(pairs: list[tuple[int, int]], mode: str, rules: RatingRules) -> None:
    ratings, weights = [r for r, _ in pairs], [w / 100 for _, w in pairs]
    assert min(ratings) <= one(ratings, weights, mode, rules) <= max(ratings)


@given(rows, st.sampled_from(["median", "mean"]), st.sampled_from([RULES_2022, RULES_EXACT]))
def test_optimistic_is_never_worse_than_pessimistic(pairs: list[tuple[int, int]], kind: str, rules: RatingRules) -> None:
    ratings, weights = [r for r, _ in pairs], [w / 100 for _, w in pairs]
    assert one(ratings, weights, f"optimistic {kind}", rules) <= one(ratings, weights, f"pessimistic {kind}", rules)


@given(rows, st.randoms(use_true_random=False), st.floats(0.001, 1000))
def test_order_and_scale_of_weights_do_not_matter(pairs: list[tuple[int, int]], random: object, factor: float) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    once = one([r for r, _ in pairs], [w / 100 for _, w in pairs])
    assert one([r for r, _ in shuffled], [w / 100 * factor for _, w in shuffled]) == once


@given(rows, st.integers(0, 4), st.sampled_from(MODES), st.sampled_from([RULES_2022, RULES_EXACT]))
def test_a_metric_of_weight_zero_changes_nothing(
    pairs: list[tuple[int, int]], rating: int, mode: str, rules: RatingRules
) -> None:
    ratings, weights = [r for r, _ in pairs], [w / 100 for _, w in pairs]
    assert one([*ratings, rating], [*weights, 0.0], mode, rules) == one(ratings, weights, mode, rules)


@given(st.lists(rows, min_size=1, max_size=5), st.sampled_from(MODES), st.sampled_from([RULES_2022, RULES_EXACT]))
def test_many_rows_are_rated_as_one_by_one(table: list[list[tuple[int, int]]], mode: str, rules: RatingRules) -> None:
    """The columns of all rows share their weights, so rows are cut to one width and the first row's weights are used."""
    width = min(len(row) for row in table)
    weights = [w / 100 for _, w in table[0][:width]]
    ratings = [[r for r, _ in row[:width]] for row in table]
    together = compound(np.array(ratings, dtype=np.int8), np.array(weights), mode, rules)
    assert [int(value) for value in together] == [one(row, weights, mode, rules) for row in ratings]


def test_missing_metrics_count_as_worst_or_are_left_out() -> None:
    assert text([0, MISSING, MISSING], [0.3, 0.3, 0.4], "median", RULES_2022) == "A"  # the published median: one before E
    assert text([0, MISSING, MISSING], [0.3, 0.3, 0.4], "worst", RULES_2022) == "E"
    assert text([0, 1, MISSING], [0.3, 0.3, 0.4]) == "A"
    assert text([0, MISSING], [0.5, 0.5]) == "A", "exactly half of the weight is left"
    assert text([0, MISSING], [0.49, 0.51]) is None, "less than half of the weight is left"
    assert text([MISSING], [1.0]) is None


def test_nothing_to_combine_is_not_rated() -> None:
    assert text([0], [0.0]) is None
    assert compound(np.empty((3, 0), dtype=np.int8), np.empty(0), "best", RULES_EXACT).tolist() == [MISSING] * 3


def test_metrics_that_do_not_apply_do_not_count() -> None:
    ratings = np.array([[0, 4], [0, 4]], dtype=np.int8)
    applicable = np.array([[True, False], [True, True]])
    found = compound(ratings, np.array([0.4, 0.6]), "median", RULES_EXACT, applicable)
    assert [letter(value) for value in found] == ["A", "E"]


def test_modes_have_short_names_and_unknown_ones_are_refused() -> None:
    assert check_mode("median") == "optimistic median"
    with pytest.raises(ConfigError, match="Unknown mode 'average'"):
        check_mode("average")


def test_letters() -> None:
    assert [letter(rating) for rating in (0, 4, MISSING)] == ["A", "E", None]


def test_the_published_median_does_not_depend_on_this_machine() -> None:
    """Equal ratings stand as a bitonic network leaves them: a stable sort gives C (ResNet50, A100 with TensorFlow)."""
    ratings, weights = [3, 2, 3, 1, 1, 2, 2], [0.4, 0.2, 0.4, 0.7, 0.3, 0.8, 0.2]
    assert text(ratings, weights, "optimistic median", RULES_2022) == "B"
    assert text(ratings, weights, "optimistic median", replace(RULES_2022, median="exact")) == "C"

"""Numbers written for people."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlee.units import NOT_MEASURED, percent, significant, with_unit

_FACTORS = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "": 1.0, "m": 1e-3, "µ": 1e-6, "n": 1e-9}
_READABLE = st.floats(1e-9, 9e14) | st.floats(-9e14, -1e-9)


def _parse(text: str, unit: str) -> float:
    number, _, suffix = text.partition(" ")
    assert suffix.endswith(unit)
    return float(number) * _FACTORS[suffix.removesuffix(unit)]


@given(_READABLE, st.integers(1, 6))
def test_significant_parses_back_to_within_half_a_unit_of_its_last_digit(value: float, digits: int) -> None:
    text = significant(value, digits)
    assert "e" not in text.lower()
    last_digit = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    assert abs(float(text) - value) <= 0.5000001 * max(last_digit, 1.0 if "." not in text else 0.0)


@given(_READABLE, st.integers(3, 6), st.sampled_from(["J", "W", "s", "B"]))
def test_with_unit_parses_back_to_within_its_digits(value: float, digits: int, unit: str) -> None:
    text = with_unit(value, unit, digits)
    assert _parse(text, unit) == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))


@given(st.floats(1e-8, 9e13))
def test_with_unit_keeps_the_number_below_a_thousand(value: float) -> None:
    assert 1 <= float(with_unit(value, "J").partition(" ")[0]) < 1000


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "J", "0 J"),
        (0, "", "0"),
        (None, "J", NOT_MEASURED),
        (999.6, "J", "1.00 kJ"),
        (-1234.0, "J", "-1.23 kJ"),
        (262144.0, "J", "262 kJ"),
        (6.1e-5, "J", "61.0 µJ"),
        (44.7e6, "", "44.7 M"),
        (0.715, "", "0.715"),
        (-0.00012345, "", "-0.000123"),
        (0.00499, "s", "4.99 ms"),
    ],
)
def test_with_unit_writes(value: float | None, unit: str, text: str) -> None:
    assert with_unit(value, unit) == text


@given(st.floats(0, 1), st.integers(0, 4))
def test_percent_parses_back_to_within_its_decimals(fraction: float, decimals: int) -> None:
    number, _, sign = percent(fraction, decimals).partition(" ")
    assert sign == "%"
    assert abs(float(number) / 100 - fraction) <= 0.5000001 * 10.0 ** (-decimals - 2)


def test_percent_of_nothing_is_not_measured() -> None:
    assert percent(None) == NOT_MEASURED

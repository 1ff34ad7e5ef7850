"""The records refuse what cannot be true, and add up what they hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlee.records import DeviceEnergy, Measurement, ModelFacts, Outcome, Window
from tests import builders

_NOT_A_QUANTITY = (-1.0, math.nan, math.inf, -math.inf)
_FACTS = {"name": "m", "parameters": 1, "macs": 1, "macs_method": None, "weights_bytes": 1, "weights": "w"}


def _facts(**fields: Any) -> ModelFacts:
    return ModelFacts(**{**_FACTS, **fields})


@pytest.mark.parametrize("value", _NOT_A_QUANTITY)
@pytest.mark.parametrize(
    ("make", "field"),
    [
        (builders.device_energy, "energy_j"),
        (builders.device_energy, "energy_uncertainty_j"),
        (builders.device_energy, "mean_power_w"),
        (builders.device_energy, "max_power_w"),
        (builders.device_energy, "integral_j"),
        (builders.device_energy, "coverage"),
        (builders.measurement, "duration_s"),
        (builders.measurement, "idle_power_w"),
        (builders.run_result, "sampler_cpu_s"),
        (lambda **fields: Outcome(**{"samples": 1, **fields}), "loss"),
        (lambda **fields: Outcome(**{"samples": 1, **fields}), "top1_accuracy"),
        (lambda **fields: Outcome(**{"samples": 1, **fields}), "top5_accuracy"),
    ],
)
def test_an_impossible_quantity_is_refused_by_field_and_value(make: Callable[..., object], field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"\.{field} .*{value!r}"):
        make(**{field: value})


@pytest.mark.parametrize(
    ("make", "field", "value"),
    [
        (builders.device, "index", -1),
        (builders.device_energy, "coverage", 1.0001),
        (builders.device_energy, "readings", -1),
        (lambda **fields: Outcome(**{"samples": 1, **fields}), "top1_accuracy", 1.01),
        (_facts, "parameters", -1),
        (_facts, "macs", -5),
        (_facts, "weights_bytes", -5),
        (builders.measurement, "started_at", datetime(2026, 1, 1)),  # noqa: DTZ001
        (builders.run_result, "started_at", datetime(2026, 1, 1)),  # noqa: DTZ001
        (builders.run_result, "measurements", ()),
    ],
)
def test_an_impossible_value_is_refused_by_field_and_value(make: Callable[..., object], field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"\.{field} ") as refused:
        make(**{field: value})
    assert repr(value) in str(refused.value)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda **fields: Outcome(**fields), "samples"),
        (builders.measurement, "duration_s"),
    ],
)
def test_a_run_without_samples_or_time_is_refused_since_everything_is_divided_by_them(
    make: Callable[..., object], field: str
) -> None:
    with pytest.raises(ValueError, match=field):
        make(**{field: 0})


def test_a_number_too_large_for_a_float_is_refused_like_any_other() -> None:
    with pytest.raises(ValueError, match="parameters"):
        _facts(parameters=10**400)


@pytest.mark.parametrize("end_s", [1.0, 0.5, math.nan])
def test_a_window_ends_after_its_start(end_s: float) -> None:
    with pytest.raises(ValueError, match="end_s"):
        Window(start_s=1.0, end_s=end_s)


def test_records_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        builders.measurement().duration_s = 1.0  # type: ignore[misc]


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=8))
def test_energy_is_the_sum_of_the_added_devices_only(energies: list[float]) -> None:
    measured = builders.measurement(devices=tuple(builders.device_energy(energy_j=energy) for energy in energies))
    assert measured.energy_j == pytest.approx(sum(energies))


@pytest.mark.parametrize("devices", [(), (builders.device_energy(), builders.cpu_energy(energy_j=None))])
def test_energy_is_missing_when_a_device_or_all_are(devices: tuple[DeviceEnergy, ...]) -> None:
    measured = builders.measurement(devices=devices)
    assert measured.energy_j is None
    assert measured.energy_uncertainty_j is None
    assert measured.net_energy_j is None


def test_scope_names_the_kinds_with_an_energy_once_and_sorted() -> None:
    devices = (
        builders.device_energy(),
        builders.device_energy(device=builders.device(index=1)),
        builders.cpu_energy(),
        builders.cpu_energy(device=builders.device(kind="dram"), energy_j=None),
    )
    assert builders.measurement(devices=devices).scope == ("cpu", "gpu")


@pytest.mark.parametrize(
    ("provenances", "worst"),
    [
        (["measured", "measured"], "measured"),
        (["measured", "external"], "external"),
        (["external", "estimated", "measured"], "estimated"),
        ([], None),
    ],
)
def test_provenance_is_the_worst_of_the_devices(provenances: list[Any], worst: str | None) -> None:
    devices = tuple(builders.device_energy(provenance=provenance) for provenance in provenances)
    assert builders.measurement(devices=devices).provenance == worst


def test_provenance_leaves_out_devices_without_energy() -> None:
    devices = (builders.device_energy(), builders.cpu_energy(energy_j=None, provenance="estimated"))
    assert builders.measurement(devices=devices).provenance == "measured"


def test_net_energy_takes_idle_off_and_may_be_negative() -> None:
    assert builders.measurement(idle_power_w=60.0).net_energy_j == pytest.approx(1500.0 - 600.0)
    assert builders.measurement(idle_power_w=200.0).net_energy_j == pytest.approx(-500.0)
    assert builders.measurement(idle_power_w=None).net_energy_j is None


def test_uncertainties_add_up_and_coverage_is_the_smallest() -> None:
    devices = (builders.device_energy(coverage=0.9), builders.cpu_energy(energy_uncertainty_j=5.0, coverage=0.7))
    measured = builders.measurement(devices=devices)
    assert measured.energy_uncertainty_j == pytest.approx(7.0)
    assert measured.coverage == 0.7
    assert Measurement(duration_s=1, started_at=builders.STARTED_AT).coverage is None

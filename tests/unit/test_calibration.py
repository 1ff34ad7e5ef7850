"""Calibration against a wall meter: a line, its range, and for whom it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlee.calibration import Calibration, apply_calibration, fit, load_calibration, save_calibration
from mlee.errors import MeasurementError, ResultError
from tests import builders

SCOPE = ("cpu", "gpu")


def _calibration(**fields: Any) -> Calibration:
    defaults: dict[str, Any] = {
        "host": "node1",
        "scope": SCOPE,
        "offset_w": 40.0,
        "slope": 1.2,
        "residual_w": 3.0,
        "points": 12,
        "min_power_w": 100.0,
        "max_power_w": 400.0,
        "made_at": "2026-11-23T15:04:05+00:00",
    }
    return Calibration(**{**defaults, **fields})


@given(
    st.floats(-50, 200),
    st.floats(0.1, 3),
    st.lists(st.floats(10, 1000), min_size=3, max_size=30).filter(lambda x: np.ptp(x) > 0.06 * np.mean(x)),
)
def test_the_fit_recovers_a_known_line(offset_w: float, slope: float, measured_w: list[float]) -> None:
    found = fit("h", SCOPE, measured_w, [offset_w + slope * power for power in measured_w])
    assert found.slope == pytest.approx(slope, rel=1e-6)
    assert found.offset_w == pytest.approx(offset_w, abs=1e-4)
    assert found.residual_w == pytest.approx(0, abs=1e-6)
    assert (found.min_power_w, found.max_power_w, found.points) == (min(measured_w), max(measured_w), len(measured_w))


def test_the_residual_is_the_standard_deviation_around_the_line() -> None:
    # Residuals of +-1, orthogonal to the line: sum of squares 4, two degrees of freedom.
    found = fit("h", SCOPE, [100, 200, 300, 400], [141, 239, 339, 441])
    assert (found.slope, found.offset_w) == (pytest.approx(1.0), pytest.approx(40.0))
    assert found.residual_w == pytest.approx((4 / 2) ** 0.5)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_three_points_make_no_line(count: int) -> None:
    with pytest.raises(MeasurementError, match=f"at least 3 .* got {count}"):
        fit("h", SCOPE, [100.0, 200.0][:count], [100.0, 200.0][:count])


@pytest.mark.parametrize("powers", [[100.0, 100.0, 100.0], [100.0, 101.0, 102.0], [0.0, 0.0, 0.0]])
def test_points_of_one_power_make_no_line(powers: list[float]) -> None:
    with pytest.raises(MeasurementError, match="nearly the same power"):
        fit("h", SCOPE, powers, [1.0, 2.0, 3.0])


def test_the_wall_stands_beside_the_measured_energy_and_never_replaces_it() -> None:
    result = builders.run_result()
    calibrated = apply_calibration(result, _calibration())
    before, after = result.measurements[0], calibrated.measurements[0]
    assert (after.devices, after.energy_j, after.scope) == (before.devices, before.energy_j, before.scope)
    assert after.not_added[:-1] == before.not_added
    wall = after.not_added[-1]
    assert wall.energy_j == pytest.approx((40 + 1.2 * 150) * 10)
    assert wall.energy_uncertainty_j == pytest.approx(2 * 3 * 10 + 1.2 * 4)
    assert (wall.sensor, wall.provenance, wall.method) == ("calibrated", "estimated", "model")
    assert calibrated.warnings == result.warnings


@pytest.mark.parametrize("power_w", [99.0, 401.0])
def test_outside_the_fitted_range_a_warning_says_so(power_w: float) -> None:
    energy = builders.device_energy(energy_j=power_w * 10)
    result = builders.run_result(measurements=(builders.measurement(devices=(energy,)),), warnings=())
    calibrated = apply_calibration(result, _calibration(scope=("gpu",)))
    assert [warning.code for warning in calibrated.warnings] == ["calibration-range"]
    assert f"{power_w} W" in calibrated.warnings[0].message
    assert len(calibrated.measurements[0].not_added) == 2


@pytest.mark.parametrize(("fields", "named"), [({"host": "node2"}, "node2"), ({"scope": ("gpu",)}, "gpu")])
def test_another_machine_or_scope_gets_a_warning_and_no_number(fields: dict[str, Any], named: str) -> None:
    result = builders.run_result(warnings=())
    calibrated = apply_calibration(result, _calibration(**fields))
    assert calibrated.measurements == result.measurements
    assert [warning.code for warning in calibrated.warnings] == ["calibration"]
    assert named in calibrated.warnings[0].message


def test_a_run_without_energy_is_not_calibrated() -> None:
    result = builders.run_result(measurements=(builders.measurement(devices=()),), warnings=())
    assert apply_calibration(result, _calibration()).measurements == result.measurements


def test_energy_that_was_not_measured_is_not_taken_for_none_at_all() -> None:
    devices = (builders.device_energy(energy_j=None, mean_power_w=None), builders.cpu_energy())
    result = builders.run_result(measurements=(builders.measurement(devices=devices),), warnings=())
    calibrated = apply_calibration(result, _calibration())
    assert calibrated.measurements == result.measurements
    assert [warning.code for warning in calibrated.warnings] == ["calibration"]


def test_a_calibration_comes_back_as_it_was(tmp_path: Path) -> None:
    save_calibration(_calibration(), tmp_path / "c.json")
    assert load_calibration(tmp_path / "c.json") == _calibration()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("offset_w", float("nan")),
        ("slope", float("inf")),
        ("slope", "1.2"),
        ("points", 2.5),
        ("residual_w", -1.0),
        ("points", 1),
        ("host", None),
        ("colour", "red"),
    ],
)
def test_an_impossible_calibration_is_refused_by_file_and_field(field: str, value: object, tmp_path: Path) -> None:
    save_calibration(_calibration(), tmp_path / "c.json")
    document = json.loads((tmp_path / "c.json").read_text())
    (tmp_path / "c.json").write_text(json.dumps({**document, field: value}))
    with pytest.raises(ResultError, match=r"c\.json") as refused:
        load_calibration(tmp_path / "c.json")
    assert field in refused.value.message or "NaN" in refused.value.message or "Infinity" in refused.value.message


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"5", b"{}", b"{", b"\xff", b"[" * 100_000, b'{"format":"mlee-calibration","version":2}',
                b'{"format":"mlee-calibration","version":1}'],
)  # fmt: skip
def test_what_is_no_calibration_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(content)
    with pytest.raises(ResultError, match=r"c\.json"):
        load_calibration(tmp_path / "c.json")


def test_a_missing_calibration_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"none\.json"):
        load_calibration(tmp_path / "none.json")

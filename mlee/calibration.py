"""Calibration against a wall meter: wall energy = a x duration + b x measured energy.

Sensors see the GPU and the CPU; the wall also feeds fans, disks and the losses of the power supply. A least-squares line
through runs that were measured both ways predicts the wall for later runs of the same machine and the same scope. It is
fitted in powers (wall power = a + b x measured power), so runs of any length count alike. The calibrated number stands
beside the measured one and never replaces it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mlee.errors import MeasurementError, ResultError
from mlee.files import write_atomically
from mlee.records import CALIBRATED, Device, DeviceEnergy, Measurement, RunResult, Warning
from mlee.training_records import TrainingConfig

FORMAT = "mlee-calibration"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The line wall = offset_w + slope x measured [W], how well it fits, and for what it holds."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    host: str
    scope: tuple[str, ...]
    offset_w: float
    slope: float
    residual_w: float
    points: int
    min_power_w: float
    max_power_w: float
    made_at: str

    def __post_init__(self) -> None:
        """Check the invariants."""
        if self.points < 3:
            raise ValueError(f"Calibration.points must be 3 or more, got {self.points}")
        if not (self.residual_w >= 0 and 0 <= self.min_power_w < self.max_power_w):
            raise ValueError(
                "Calibration.residual_w must be 0 or more and min_power_w less than max_power_w, "
                f"got {self.residual_w}, {self.min_power_w}, {self.max_power_w}"
            )


def fit(host: str, scope: Sequence[str], measured_w: Sequence[float], wall_w: Sequence[float]) -> Calibration:
    """Fit the line by least squares; `residual_w` is the residual standard deviation (n - 2 degrees of freedom).

    Raises `MeasurementError` with fewer than three points, or when all have the same power.
    """
    if len(measured_w) < 3:
        raise MeasurementError(
            f"A calibration needs at least 3 measured windows with a wall reading, got {len(measured_w)}.",
            "run models of different load with --repeats while the meter logs",
        )
    x, y = np.asarray(measured_w), np.asarray(wall_w)
    if np.ptp(x) <= 0.05 * x.mean():
        raise MeasurementError(
            f"All windows have nearly the same power ({x.min():.1f} to {x.max():.1f} W): no line can be fitted.",
            "add runs with higher and lower load, for example several batch sizes",
        )
    slope, offset = (float(value) for value in np.polyfit(x, y, 1))
    residuals = y - (offset + slope * x)
    return Calibration(
        host=host,
        scope=tuple(scope),
        offset_w=offset,
        slope=slope,
        residual_w=float(np.sqrt(np.sum(residuals**2) / (len(x) - 2))),
        points=len(x),
        min_power_w=float(x.min()),
        max_power_w=float(x.max()),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration; raises `ResultError` when that is not possible."""
    document = {"format": FORMAT, "version": VERSION, **asdict(calibration)}
    write_atomically(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def load_calibration(path: Path) -> Calibration:
    """Read a calibration; raises `ResultError` naming file and field."""
    from pydantic import TypeAdapter, ValidationError

    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("format") != FORMAT or document.pop("version") != VERSION:
            raise ValueError(f"not a {FORMAT} of version {VERSION}")
        return TypeAdapter(Calibration).validate_json(json.dumps(document), strict=True)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "(top level)"
        raise ResultError(f"{path}: field {where}: {problem['msg']}") from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ResultError(f"{path} is not a calibration: {error}", "make one with python -m mlee.calibrate") from error


def apply_calibration(result: RunResult, calibration: Calibration) -> RunResult:
    """Put the calibrated wall energy beside every window, with a warning outside the fitted range.

    A run of another machine or scope is returned unchanged but for a warning.
    """
    scopes = {measurement.scope for measurement in result.measurements}
    if result.platform.host != calibration.host or scopes != {calibration.scope}:
        found = f"{result.platform.host}, {'+'.join(result.measurements[0].scope) or 'nothing measured'}"
        wanted = f"{calibration.host}, {'+'.join(calibration.scope)}"
        message = f"The calibration was made for {wanted} and does not apply to {found}."
        return replace(result, warnings=(*result.warnings, Warning(code="calibration", message=message)))
    if isinstance(result.config, TrainingConfig) and result.config.hosts > 1:
        message = f"The calibration is that of one machine, the training ran on {result.config.hosts}."
        return replace(result, warnings=(*result.warnings, Warning(code="calibration", message=message)))
    warnings = list(result.warnings)
    measurements = []
    for measurement in result.measurements:
        if measurement.energy_j is None:
            warnings.append(Warning(code="calibration", message="The energy was not measured: nothing can be calibrated."))
            measurements.append(measurement)
            continue
        power_w = measurement.energy_j / measurement.duration_s
        if not calibration.min_power_w <= power_w <= calibration.max_power_w:
            message = (
                f"{power_w:.1f} W lies outside the calibrated range "
                f"{calibration.min_power_w:.1f} to {calibration.max_power_w:.1f} W."
            )
            warnings.append(Warning(code="calibration-range", message=message))
        energy = _wall_energy(measurement, power_w, calibration)
        measurements.append(replace(measurement, not_added=(*measurement.not_added, energy)))
    return replace(result, measurements=tuple(measurements), warnings=tuple(dict.fromkeys(warnings)))


def _wall_energy(measurement: Measurement, power_w: float, calibration: Calibration) -> DeviceEnergy:
    wall_w = max(0.0, calibration.offset_w + calibration.slope * power_w)
    unsure_j = calibration.slope * (measurement.energy_uncertainty_j or 0.0) if calibration.slope > 0 else 0.0
    return DeviceEnergy(
        device=Device(kind="system", index=0, name=f"wall, calibrated with {calibration.points} windows"),
        sensor=CALIBRATED,
        energy_j=wall_w * measurement.duration_s,
        energy_uncertainty_j=2 * calibration.residual_w * measurement.duration_s + unsure_j,
        mean_power_w=wall_w,
        max_power_w=None,
        readings=0,
        coverage=measurement.coverage or 0.0,
        method="model",
        provenance="estimated",
    )

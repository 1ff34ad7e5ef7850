"""The wall meter's energy beside the measured ones: it contains all other devices, so it is recorded and not added."""

from __future__ import annotations

from dataclasses import replace

from mlee.errors import MeasurementError
from mlee.records import DeviceEnergy, Measurement, RunResult, Warning
from mlee.training.summing import one_after_the_other
from mlee.training_records import TrainingConfig, TrainingOutcome
from mlee.wall_meter import WallMeterLog


def join_wall_meter(result: RunResult, meter: WallMeterLog) -> RunResult:
    """Put the energy at the wall beside every repeat, or that of all epochs beside a training.

    Where the log does not cover all of them the result gets none, and a warning that says why.
    """
    try:
        measurements = tuple(
            replace(measurement, not_added=(*measurement.not_added, wall_energy(result, measurement, meter)))
            for measurement in result.measurements
        )
    except MeasurementError as error:
        return replace(result, warnings=(*result.warnings, Warning(code="no-wall-meter", message=error.message)))
    return replace(result, measurements=measurements)


def wall_energy(result: RunResult, measurement: Measurement, meter: WallMeterLog) -> DeviceEnergy:
    """Return the energy at the wall during a repeat, or during all epochs of a training.

    Raises `MeasurementError` where the log does not cover it, or where more than one machine took part.
    """
    if not isinstance(result.outcome, TrainingOutcome):
        return meter.energy(measurement.started_at, measurement.duration_s)
    if isinstance(result.config, TrainingConfig) and result.config.hosts > 1:
        raise MeasurementError(f"The training ran on {result.config.hosts} machines, the meter is that of one.")
    if any(warning.code == "moved" for warning in result.warnings):
        raise MeasurementError("The training went on on another machine, the meter is that of one.")
    epochs = []
    for epoch in result.outcome.history:
        # The validation follows the training within the time of two ticks of a counter: one stretch for both.
        duration_s = epoch.duration_s + epoch.validation_duration_s
        wall = meter.energy(epoch.started_at, duration_s)
        epochs.append(replace(measurement, duration_s=duration_s, devices=(), not_added=(wall,)))
    return one_after_the_other(epochs).not_added[0]

"""Limits of what a result may say: more is no measurement, and would overflow sums or break a table."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mlee.errors import ResultError
from mlee.records import RunResult
from mlee.training_records import TrainingOutcome

#: A year of a thousand megawatts [J].
MAX_ENERGY_J = 3e16
MAX_SECONDS = 1e9
MAX_POWER_W = 1e12
#: Parameters, MACs, bytes, samples.
MAX_COUNT = 1e18
MAX_BATCH = 10**9
MAX_TEXT = 1000


def check_limits(result: RunResult, source: str) -> None:
    """Refuse a result of version 2 whose values cannot be; raises `ResultError` naming file and field."""
    for field, value, most in _quantities(result):
        if value is not None and value > most:
            raise ResultError(f"{source}: field {field} must be at most {most:g}, got {value!r:.40}.")
    if not 1 <= result.config.batch_size <= MAX_BATCH:
        raise ResultError(
            f"{source}: field config.batch_size must be 1 to {MAX_BATCH}, got {result.config.batch_size!r:.40}."
        )
    for field, text in _texts(result):
        if len(text) > MAX_TEXT:
            raise ResultError(f"{source}: field {field} has more than {MAX_TEXT} characters.")
    for field, text in (("run_id", result.run_id), ("model.name", result.model.name), ("dataset", result.dataset)):
        if not text.strip():
            raise ResultError(f"{source}: field {field} is blank.")


def _quantities(result: RunResult) -> Iterator[tuple[str, float | None, float]]:
    model = result.model
    yield "model.parameters", model.parameters, MAX_COUNT
    yield "model.macs", model.macs, MAX_COUNT
    yield "model.weights_bytes", model.weights_bytes, MAX_COUNT
    yield "outcome.samples", result.outcome.samples, MAX_COUNT
    if isinstance(result.outcome, TrainingOutcome):
        for position, epoch in enumerate(result.outcome.history):
            where = f"outcome.history.{position}"
            yield f"{where}.duration_s", epoch.duration_s, MAX_SECONDS
            yield f"{where}.validation_duration_s", epoch.validation_duration_s, MAX_SECONDS
            yield f"{where}.energy_j", epoch.energy_j, MAX_ENERGY_J
            yield f"{where}.validation_energy_j", epoch.validation_energy_j, MAX_ENERGY_J
    for number, measurement in enumerate(result.measurements):
        where = f"measurements.{number}"
        yield f"{where}.duration_s", measurement.duration_s, MAX_SECONDS
        yield f"{where}.idle_power_w", measurement.idle_power_w, MAX_POWER_W
        for position, device in enumerate(measurement.devices):
            yield f"{where}.devices.{position}.energy_j", device.energy_j, MAX_ENERGY_J
            yield f"{where}.devices.{position}.energy_uncertainty_j", device.energy_uncertainty_j, MAX_ENERGY_J


def _texts(result: RunResult) -> Iterator[tuple[str, str]]:
    yield "run_id", result.run_id
    yield "dataset", result.dataset
    yield "model.name", result.model.name
    yield "config.backend", result.config.backend
    yield "config.precision", result.config.precision
    yield "platform.cpu_name", result.platform.cpu_name
    for number, gpu in enumerate(result.platform.gpus):
        yield f"platform.gpus.{number}.name", gpu.name
    for name, version in result.platform.packages.items():
        yield f"platform.packages.{name[:MAX_TEXT]}", version
    for number, measurement in enumerate(result.measurements):
        for position, device in enumerate(measurement.devices):
            yield f"measurements.{number}.devices.{position}.sensor", device.sensor
    for number, warning in enumerate(result.warnings):
        yield f"warnings.{number}.code", warning.code


def first_not_finite(document: object) -> tuple[str, float] | None:
    """Find the first number of a JSON document that is NaN or infinite, with the way to it."""
    left: list[tuple[str, object]] = [("", document)]
    while left:
        where, value = left.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return where or "(top level)", value
        inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        left += [(f"{where}.{key}".lstrip("."), each) for key, each in reversed(list(inner))]
    return None

"""Sensors by name, and the rules of which of them a run uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module

from mlee.errors import ConfigError, MleeError, SensorUnavailable
from mlee.records import EXTERNAL
from mlee.sensors.base import Sensor, SensorOptions

#: name -> module and class; imported only when asked for.
_SENSORS: dict[str, tuple[str, str]] = {
    "nvml": ("mlee.sensors.nvml", "NvmlSensor"),
    "rapl": ("mlee.sensors.rapl", "RaplSensor"),
    "process": ("mlee.sensors.process", "ProcessSensor"),
    "cpu_model": ("mlee.sensors.cpu_model", "CpuModelSensor"),
    "simulated": ("mlee.sensors.simulated", "SimulatedSensor"),
}
#: The wall meter is joined after a run, when results are merged: there is nothing to open.
SENSOR_NAMES = (*_SENSORS, EXTERNAL)
#: What `--sensors` takes, for people.
CHOICES = f"auto, or any of {', '.join(_SENSORS)}[:PROFILE]"
AUTO = ("nvml", "rapl", "process")
_EXTERNAL_HINT = "pass the meter's CSV to `python merge_results.py --external-log FILE` after the run"


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A sensor that is not used, why, and what would mend it."""

    sensor: str
    reason: str
    hint: str | None = None

    def __str__(self) -> str:
        """Return reason and mend in one line."""
        return f"{self.reason} ({self.hint})" if self.hint else self.reason


def open_sensor(name: str, options: SensorOptions) -> Sensor:
    """Open one sensor; raises `SensorUnavailable` with the mend, `ConfigError` for an unknown name."""
    base, _, profile = name.partition(":")
    if base == EXTERNAL:
        raise SensorUnavailable("A wall meter is not read during a run.", _EXTERNAL_HINT)
    if base not in _SENSORS or (profile and base != "simulated"):
        raise ConfigError(f"Unknown sensor '{name}'.", f"use {CHOICES}")
    if profile:
        options = replace(options, profile=profile)
    module, class_name = _SENSORS[base]
    sensor: Sensor = getattr(import_module(module), class_name)(options)
    return sensor


def check_names(names: Sequence[str]) -> list[str]:
    """Return the names once each; raises `ConfigError` for names that are unknown or cannot stand together."""
    wanted = list(dict.fromkeys(names))
    bases = [name.partition(":")[0] for name in wanted]
    if not wanted:
        raise ConfigError("--sensors names no sensor.", f"use {CHOICES}")
    for name, base in zip(wanted, bases, strict=True):
        if base not in ("auto", *SENSOR_NAMES) or (base != name and base != "simulated"):
            raise ConfigError(f"Unknown sensor '{name}'.", f"use {CHOICES}")
    if len(set(bases)) < len(bases):
        raise ConfigError(f"--sensors names one sensor twice: {', '.join(wanted)}.", "name each once")
    if "rapl" in wanted and "cpu_model" in wanted:
        raise ConfigError("--sensors names rapl and cpu_model.", "the model only stands in where RAPL is absent")
    if "auto" in wanted and len(wanted) > 1:
        raise ConfigError("--sensors mixes auto with names.", "pass auto alone, or the names you want")
    return wanted


def open_sensors(names: Sequence[str], options: SensorOptions) -> tuple[list[Sensor], list[NotMeasured]]:
    """Open the sensors of a run.

    `auto` opens all that work, the CPU model only where RAPL does not, and lists the rest as not measured. A sensor asked
    for by name must work: otherwise `SensorUnavailable` is raised and nothing stays open.
    """
    wanted = check_names(names)
    if wanted == ["auto"]:
        return _open_auto(options)
    sensors: list[Sensor] = []
    try:
        for name in wanted:
            sensors.append(open_sensor(name, options))
    except MleeError as error:
        for sensor in sensors:
            sensor.close()
        if isinstance(error, SensorUnavailable):
            raise SensorUnavailable(f"Sensor {name} cannot be used: {error.message}", error.hint) from error
        raise
    return sensors, []


def _open_auto(options: SensorOptions) -> tuple[list[Sensor], list[NotMeasured]]:
    sensors: list[Sensor] = []
    missing: list[NotMeasured] = []
    for name in AUTO:
        try:
            sensors.append(open_sensor(name, options))
        except SensorUnavailable as error:
            missing.append(NotMeasured(name, error.message, error.hint))
    if any(entry.sensor == "rapl" for entry in missing):
        try:
            sensors.append(open_sensor("cpu_model", options))
        except SensorUnavailable as error:
            missing.append(NotMeasured("cpu_model", error.message, error.hint))
    return sensors, missing

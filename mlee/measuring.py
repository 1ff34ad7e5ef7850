"""What runs of inference and of training share: how they are measured, who is told, and idle power."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlee.errors import ConfigError
from mlee.experiment import check_writable
from mlee.monitor import Monitor
from mlee.records import Measurement
from mlee.sensors import open_sensors
from mlee.sensors.base import SensorOptions
from mlee.training_records import Epoch

#: Nobody waits longer for idle power [s].
MAX_IDLE_S = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuringOptions:
    """How a run is measured and where it leaves its folder."""

    output_dir: Path = Path("experiments")
    sensors: tuple[str, ...] = ("auto",)
    gpu_interval_s: float = 0.2
    cpu_interval_s: float = 0.2
    repeats: int = 1
    idle_seconds: float = 5.0
    warmup_batches: int = 3
    accuracy: str = "measured"
    cpu_watts: tuple[float, float] | None = None


class Listener:
    """Is told how a run goes on; does nothing. The command line shows a progress bar, tests look."""

    def stage(self, text: str) -> None:
        """Begin something that takes a while."""

    def folder(self, path: Path) -> None:
        """Know where a training writes, as soon as it does."""

    def begin(self, samples: int, power_w: Callable[[], float | None], title: str) -> None:
        """Begin a timed pass over `samples`, called `title`; `power_w` tells the power now [W]."""

    def progress(self, samples: int) -> None:
        """Know that so many samples of the pass are done."""

    def end(self) -> None:
        """End the timed pass."""

    def epoch(self, epoch: Epoch, epochs: int, *, estimated: bool) -> None:
        """Know what came of an epoch of so many, and whether its energy is only estimated."""


def check_options(options: MeasuringOptions) -> None:
    """Refuse, before anything is loaded, what cannot work; raises `ConfigError` and `SensorUnavailable`."""
    if options.repeats < 1:
        raise ConfigError(f"--repeats must be 1 or more, got {options.repeats}.")
    if options.warmup_batches < 0:
        raise ConfigError(f"--warmup-batches must be 0 or more, got {options.warmup_batches}.")
    if not 0 <= options.idle_seconds <= MAX_IDLE_S:
        raise ConfigError(f"--idle-seconds must be 0 to {MAX_IDLE_S:g} (a week), got {options.idle_seconds:g}.")
    check_writable(options.output_dir)
    if options.sensors != ("auto",):
        try_sensors(options.sensors, SensorOptions(cpu_watts=options.cpu_watts))


def try_sensors(names: Sequence[str], sensor_options: SensorOptions) -> None:
    """Open the sensors and close them again: one that is named and missing is an error before the run starts."""
    for sensor in open_sensors(names, sensor_options)[0]:
        sensor.close()


def sensor_options(device: str, gpu_uuids: tuple[str, ...], options: MeasuringOptions) -> SensorOptions:
    """Tell the sensors which GPUs a run uses: `device` is its device in words."""
    # Without the driver's library some frameworks use a GPU whose UUID nobody tells.
    on_gpu = bool(gpu_uuids) or device.startswith("cuda")
    return SensorOptions(
        gpu_uuids=gpu_uuids or None,
        gpus_unused_because=None if on_gpu else f"The run uses no GPU (device {device}).",
        cpu_watts=options.cpu_watts,
    )


def measure_idle(monitor: Monitor, seconds: float, listener: Listener) -> Measurement | None:
    """Measure every device while the model is loaded and nothing runs."""
    if seconds == 0:
        return None
    listener.stage(f"measuring idle power for {seconds:g} s")
    with monitor.window("idle"):
        time.sleep(seconds)
    return monitor.measurements["idle"]


def with_idle(measurement: Measurement, idle: Measurement | None) -> Measurement:
    """Put idle power beside a measurement."""
    if idle is None or idle.energy_j is None or idle.duration_s <= 0:
        return measurement
    return replace(measurement, idle_power_w=idle.energy_j / idle.duration_s)

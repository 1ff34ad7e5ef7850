"""The nouns of the project: frozen records without behaviour that touches the outside.

The unit of a number is the suffix of its name: ``_s`` seconds, ``_w`` watts, ``_j`` joules, ``_bytes``.
Every constructor refuses values that cannot be true with a `ValueError` that names field and value.
The same classes are the schema of the result files (`mlee.results.store` validates against them).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mlee.record_checks import Strict, require, require_fractions, require_quantities
from mlee.training_records import TrainingConfig, TrainingOutcome

DeviceKind = Literal["gpu", "cpu", "dram", "system"]
Method = Literal["counter", "integral", "model", "reported"]
Provenance = Literal["measured", "estimated", "external"]
AccuracyProvenance = Literal["measured", "published"]
Task = Literal["inference", "training"]
Option = str | int | float | bool | None

# Worst first: a sum is only as good as its worst part.
PROVENANCE_ORDER: tuple[Provenance, ...] = ("estimated", "external", "measured")
#: How the weights of a model are called that are random, come from a file, or from a training of `train.py`.
RANDOM, FROM_FILE, TRAINED_IN = "random", "file ", "trained in "
#: Sensors that see what the whole machine takes: the log of a wall meter, and a calibration against one.
EXTERNAL: Literal["external"] = "external"
CALIBRATED = "calibrated"
AT_THE_WALL = (EXTERNAL, CALIBRATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device(Strict):
    """A part of the machine that takes power."""

    kind: DeviceKind
    index: int
    name: str
    uuid: str | None = None

    def __post_init__(self) -> None:
        """Check the invariants."""
        require(self.index >= 0, self, "index", "0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window(Strict):
    """A stretch of time [start_s, end_s) on the monotonic clock."""

    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        """Check the invariants."""
        require(self.end_s > self.start_s, self, "end_s", f"later than start_s={self.start_s!r}")

    @property
    def duration_s(self) -> float:
        """Length of the window [s]."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning(Strict):
    """Something a reader of a result must know: a stable code and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEnergy(Strict):
    """Energy of one device over one window [J], how it was obtained and how far to trust it.

    `energy_uncertainty_j` bounds what the sensor's resolution, its update period and gaps between readings can hide;
    it does not cover a systematic error of the sensor itself. `integral_j` is the energy from the power gauge, kept as a
    check where the counter is used. `coverage` is the share of the window that readings bracket.
    """

    device: Device
    sensor: str
    energy_j: float | None
    energy_uncertainty_j: float | None
    mean_power_w: float | None
    max_power_w: float | None
    readings: int
    coverage: float
    method: Method
    provenance: Provenance
    integral_j: float | None = None

    def __post_init__(self) -> None:
        """Check the invariants."""
        require_quantities(self, "energy_j", "energy_uncertainty_j", "mean_power_w", "max_power_w", "readings", "integral_j")
        require(0 <= self.coverage <= 1, self, "coverage", "between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement(Strict):
    """What a window took: its duration [s] and the energy of every device.

    `devices` are added up. `not_added` is recorded for information only, because it is part of (core, uncore) or contains
    (psys, a wall meter) what is added already. `idle_power_w` is the power of `devices` measured before the run.
    """

    duration_s: float
    started_at: datetime
    devices: tuple[DeviceEnergy, ...] = ()
    not_added: tuple[DeviceEnergy, ...] = ()
    idle_power_w: float | None = None

    def __post_init__(self) -> None:
        """Check the invariants."""
        require_quantities(self, "duration_s", "idle_power_w")
        require(self.duration_s > 0, self, "duration_s", "more than 0")
        require(self.started_at.tzinfo is not None, self, "started_at", "a time with a time zone")

    @property
    def energy_j(self) -> float | None:
        """Gross energy of all added devices [J]; `None` when one of them, or all, could not be measured."""
        energies = [device.energy_j for device in self.devices]
        if not energies or any(energy is None for energy in energies):
            return None
        return math.fsum(energy for energy in energies if energy is not None)

    @property
    def energy_uncertainty_j(self) -> float | None:
        """Uncertainty of `energy_j` [J]: the devices' uncertainties added up, since they may share a cause."""
        if self.energy_j is None:
            return None
        return math.fsum(device.energy_uncertainty_j or 0.0 for device in self.devices)

    @property
    def net_energy_j(self) -> float | None:
        """Energy above idle [J]: gross - idle power x duration; may be negative within its uncertainty."""
        if self.energy_j is None or self.idle_power_w is None:
            return None
        return self.energy_j - self.idle_power_w * self.duration_s

    @property
    def scope(self) -> tuple[DeviceKind, ...]:
        """The device kinds the energy includes, sorted."""
        return tuple(sorted({device.device.kind for device in self.devices if device.energy_j is not None}))

    @property
    def provenance(self) -> Provenance | None:
        """The worst provenance among the added devices; `None` where nothing was measured."""
        found = {device.provenance for device in self.devices if device.energy_j is not None}
        return next((provenance for provenance in PROVENANCE_ORDER if provenance in found), None)

    @property
    def coverage(self) -> float | None:
        """The smallest coverage among the added devices."""
        return min((device.coverage for device in self.devices), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts(Strict):
    """What is known of a model without running it. 1 MAC = 2 FLOP; MACs are for one sample."""

    name: str
    parameters: int
    macs: int | None
    macs_method: str | None
    weights_bytes: int | None
    weights: str

    def __post_init__(self) -> None:
        """Check the invariants."""
        require_quantities(self, "parameters", "macs", "weights_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Strict):
    """What an inference run computed. Accuracies are fractions 0..1; `None` where nothing was labelled."""

    samples: int
    loss: float | None = None
    top1_accuracy: float | None = None
    top5_accuracy: float | None = None
    accuracy_provenance: AccuracyProvenance | None = None
    accuracy_source: str | None = None

    def __post_init__(self) -> None:
        """Check the invariants."""
        require_quantities(self, "samples", "loss")
        require(self.samples > 0, self, "samples", "1 or more")
        require_fractions(self, "top1_accuracy", "top5_accuracy")


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceConfig(Strict):
    """Every option of an inference run after defaults are resolved."""

    infer_model: str
    backend: str
    data_path: str
    n_batches: int | None
    batch_size: int
    global_batch_size: int
    eval_preprocessing: str
    seed: int
    sensors: tuple[str, ...]
    gpu_monitor_interval: float
    cpu_monitor_interval: float
    repeats: int
    idle_seconds: float
    warmup_batches: int
    weights: str
    device: str
    precision: str
    compile: bool
    workers: int
    image_size: int
    accuracy: str
    skip_corrupt: bool
    cpu_watts: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu(Strict):
    """One GPU as the driver names it."""

    index: int
    name: str
    uuid: str
    memory_bytes: int | None = None
    power_limit_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPlatform(Strict):
    """The machine and the software a run used."""

    os: str
    host: str
    cpu_name: str
    physical_cores: int | None
    logical_cpus: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    packages: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult(Strict):
    """One finished run: everything that is needed to judge and compare it.

    `measurements` holds one window a repeat at inference, and the sum of all epochs, validation included, at training.
    """

    run_id: str
    task: Task
    started_at: datetime
    config: InferenceConfig | TrainingConfig
    platform: ExecutionPlatform
    model: ModelFacts
    dataset: str
    outcome: Outcome | TrainingOutcome
    measurements: tuple[Measurement, ...]
    idle: Measurement | None = None
    not_measured: dict[str, str]
    sampler_cpu_s: float
    warnings: tuple[Warning, ...] = ()
    details: dict[str, Option]

    def __post_init__(self) -> None:
        """Check the invariants."""
        require(self.started_at.tzinfo is not None, self, "started_at", "a time with a time zone")
        require(len(self.measurements) > 0, self, "measurements", "at least one window")
        training = self.task == "training"
        require(isinstance(self.config, TrainingConfig) == training, self, "config", f"the options of a run of {self.task}")
        require(
            isinstance(self.outcome, TrainingOutcome) == training, self, "outcome", f"the outcome of a run of {self.task}"
        )
        require_quantities(self, "sampler_cpu_s")

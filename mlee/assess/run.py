"""What assessing needs to know of a run, whichever format it was written in.

A result of version 2 holds everything (`summarise`); a file of 2022 holds less (`mlee.results.legacy`). What a file does not
tell is `None`: nothing is filled in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

from mlee.records import AT_THE_WALL, PROVENANCE_ORDER, AccuracyProvenance, DeviceKind, Provenance, RunResult, Task, Warning
from mlee.training_records import TrainingOutcome

Accuracies = tuple[float | None, float | None, AccuracyProvenance | None]
#: Format version of the files of 2022, which have none.
VERSION_2022 = 1
#: backend -> its name for people, and the packages whose version is the backend's, best first.
SOFTWARE: dict[str, tuple[str, tuple[str, ...]]] = {
    "pytorch": ("PyTorch", ("torch",)),
    "tensorflow": ("TensorFlow", ("tensorflow", "tensorflow-cpu", "tensorflow-gpu")),
    "onnx_tensorflow": ("ONNX TF Export", ("onnxruntime", "onnxruntime-gpu")),
    "onnx_pytorch": ("ONNX PT Export", ("onnxruntime", "onnxruntime-gpu")),
}
UNKNOWN_VERSION = "n.a."
#: Options that are no settings: they say where things lay, how they were looked at and how often, or stand in the key of the
#: environment, or others say it better (`samples`; the weights of the model's facts).
_NO_SETTINGS = {
    *("infer_model", "model", "backend", "device", "precision", "batch_size", "global_batch_size", "data_path", "n_batches"),
    *("seed", "repeats", "weights", "skip_corrupt", "early_patience", "early_delta"),
    *("sensors", "gpu_monitor_interval", "cpu_monitor_interval", "idle_seconds", "warmup_batches", "cpu_watts"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One timed pass (or one training): duration [s] and the energy of each kind of device [J].

    `energy_j` holds the kinds that were measured; it is empty where one of the run's devices gave nothing.
    """

    duration_s: float
    energy_j: Mapping[DeviceKind, float]
    uncertainty_j: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run, ready to become a row of the table."""

    run_id: str
    source: str
    digest: str
    version: int
    task: Task
    dataset: str
    model: str
    started_at: datetime
    backend: str
    packages: Mapping[str, str]
    cpu_name: str
    gpu_names: tuple[str, ...]
    precision: str | None
    batch_size: int
    parameters: float
    macs: float | None
    weights_bytes: float | None
    samples: int | None
    epochs: int | None
    repeats: tuple[Repeat, ...]
    top1_accuracy: float | None
    top5_accuracy: float | None
    accuracy_provenance: AccuracyProvenance | None
    provenance: Provenance | None
    sensors: tuple[str, ...]
    not_measured: Mapping[str, str] = field(default_factory=dict)
    idle_power_w: float | None = None
    warnings: tuple[Warning, ...] = ()
    # Of the command line, resolved; empty where unknown. They are shown, and nothing is computed with them.
    options: Mapping[str, object] = field(default_factory=dict, compare=False)
    #: What the values depend on beside model, environment and data set: runs that differ in it are no repeats.
    settings: tuple[tuple[str, object], ...] = field(default=(), compare=False)
    #: `external` or `calibrated` -> mean energy at the wall of a repeat [J].
    wall_energy_j: Mapping[str, float] = field(default_factory=dict)

    @property
    def software(self) -> tuple[str, str]:
        """Name and version of the software that ran the model."""
        name, candidates = SOFTWARE.get(self.backend, (self.backend, ()))
        return name, find_version(self.packages, candidates)

    def setting(self, name: str) -> object:
        """Return one of the settings; `None` where it is unknown."""
        return dict(self.settings).get(name)

    @property
    def scope(self) -> tuple[DeviceKind, ...]:
        """The device kinds whose energy is known, sorted."""
        return tuple(sorted(self.repeats[0].energy_j))


def find_version(packages: Mapping[str, str], candidates: tuple[str, ...]) -> str:
    """Version of the first candidate that is installed; `-` and `_` are the same in names of packages."""
    installed = {name.lower().replace("_", "-"): version for name, version in packages.items()}
    return next((installed[name] for name in candidates if name in installed), UNKNOWN_VERSION)


def summarise(result: RunResult, source: str, digest: str) -> RunSummary:
    """Take from a result of version 2 what assessing needs; `source` names the file, `digest` its SHA-256."""
    first = result.measurements[0]
    outcome = result.outcome
    epochs: int | None = None
    if isinstance(outcome, TrainingOutcome):
        epochs = len(outcome.history)
        accuracies: Accuracies = (
            outcome.best.validation_top1_accuracy,
            outcome.best.validation_top5_accuracy,
            "measured",
        )
    else:
        accuracies = (outcome.top1_accuracy, outcome.top5_accuracy, outcome.accuracy_provenance)
    sensors = dict.fromkeys(device.sensor for device in first.devices if device.energy_j is not None)
    provenances = {measurement.provenance for measurement in result.measurements}
    idle = [measurement.idle_power_w for measurement in result.measurements]
    return RunSummary(
        run_id=result.run_id,
        source=source,
        digest=digest,
        version=2,
        task=result.task,
        dataset=result.dataset,
        model=result.model.name,
        started_at=result.started_at,
        backend=result.config.backend,
        packages=result.platform.packages,
        cpu_name=result.platform.cpu_name,
        gpu_names=tuple(gpu.name for gpu in result.platform.gpus),
        precision=result.config.precision,
        batch_size=result.config.batch_size,
        parameters=result.model.parameters,
        macs=result.model.macs,
        weights_bytes=result.model.weights_bytes,
        samples=outcome.samples,
        epochs=epochs,
        repeats=tuple(
            Repeat(
                duration_s=measurement.duration_s,
                energy_j=_by_kind([(device.device.kind, device.energy_j) for device in measurement.devices]),
                uncertainty_j=measurement.energy_uncertainty_j,
            )
            for measurement in result.measurements
        ),
        top1_accuracy=accuracies[0],
        top5_accuracy=accuracies[1],
        accuracy_provenance=accuracies[2],
        provenance=next((name for name in PROVENANCE_ORDER if name in provenances), None),
        sensors=tuple(sensors),
        not_measured=result.not_measured,
        idle_power_w=idle[0],
        warnings=result.warnings,
        options=asdict(result.config),
        settings=_settings(result),
        wall_energy_j=_wall_energy_j(result),
    )


def _settings(result: RunResult) -> tuple[tuple[str, object], ...]:
    options = {name: value for name, value in asdict(result.config).items() if name not in _NO_SETTINGS}
    outcome = result.outcome
    samples = outcome.history[0].samples if isinstance(outcome, TrainingOutcome) else outcome.samples
    others = {"weights": result.model.weights, "samples": samples, "threads": result.details.get("threads")}
    return tuple((options | others).items())


def _wall_energy_j(result: RunResult) -> dict[str, float]:
    """Mean over the repeats, of the sensors at the wall that saw them all."""
    seen: dict[str, list[float]] = {}
    for measurement in result.measurements:
        for energy in measurement.not_added:
            if energy.sensor in AT_THE_WALL and energy.energy_j is not None:
                seen.setdefault(energy.sensor, []).append(energy.energy_j)
    return {
        sensor: math.fsum(all_j) / len(all_j) for sensor, all_j in seen.items() if len(all_j) == len(result.measurements)
    }


def _by_kind(energies: list[tuple[DeviceKind, float | None]]) -> dict[DeviceKind, float]:
    if any(energy is None for _, energy in energies):
        return {}
    kinds = dict.fromkeys(kind for kind, _ in energies)
    return {kind: math.fsum(energy for other, energy in energies if other == kind and energy is not None) for kind in kinds}

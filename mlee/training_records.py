"""The nouns of a training: its options, its epochs and what came of it (see `mlee.records` for the rules)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mlee.record_checks import Strict, require, require_fractions, require_quantities


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig(Strict):
    """Every option of a training after defaults are resolved; names are those of the command line."""

    model: str
    backend: str
    data_path: str
    n_batches: int | None
    batch_size: int
    global_batch_size: int
    epochs: int
    early_patience: int
    early_delta: float
    opt: str
    opt_decy: float
    lr: float
    momentum: float
    weight_decay: float
    lr_scheduler: str
    lr_step_size: float
    lr_gamma: float
    preprocessing: str
    auto_augment: str | None
    random_erase: float
    interpolation: str
    batch_norm_momentum: float | None
    seed: int
    sensors: tuple[str, ...]
    gpu_monitor_interval: float
    cpu_monitor_interval: float
    idle_seconds: float
    warmup_batches: int
    device: str
    precision: str
    compile: bool
    workers: int
    image_size: int
    classes: int
    processes: int
    hosts: int
    cpu_watts: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch(Strict):
    """One epoch: a pass over the training images and one over those for validation, each with duration and gross energy.

    Loss and accuracies of the first are those seen while training, before each update; accuracies are fractions 0..1.
    """

    number: int
    started_at: datetime
    learning_rate: float
    samples: int
    loss: float
    top1_accuracy: float
    top5_accuracy: float
    duration_s: float
    energy_j: float | None
    validation_samples: int
    validation_loss: float
    validation_top1_accuracy: float
    validation_top5_accuracy: float
    validation_duration_s: float
    validation_energy_j: float | None

    def __post_init__(self) -> None:
        """Check the invariants."""
        require(self.number >= 1, self, "number", "1 or more")
        require(self.started_at.tzinfo is not None, self, "started_at", "a time with a time zone")
        require_quantities(self, "learning_rate", "samples", "validation_samples", "loss", "validation_loss")
        require_quantities(self, "duration_s", "energy_j", "validation_duration_s", "validation_energy_j")
        require_fractions(self, "top1_accuracy", "top5_accuracy", "validation_top1_accuracy", "validation_top5_accuracy")
        for field in ("samples", "validation_samples", "duration_s", "validation_duration_s"):
            require(getattr(self, field) > 0, self, field, "more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOutcome(Strict):
    """What a training computed: its epochs in order, and why it ended.

    The weights that are kept, and the accuracy a training is known by, are those of the epoch with the best validation
    top-1 accuracy (the first of equal ones).
    """

    ended: Literal["epochs", "early"]
    history: tuple[Epoch, ...]

    def __post_init__(self) -> None:
        """Check the invariants."""
        require(len(self.history) > 0, self, "history", "at least one epoch")
        numbers = [epoch.number for epoch in self.history]
        require(numbers == list(range(1, len(numbers) + 1)), self, "history", "epochs numbered from 1 without a gap")

    @property
    def samples(self) -> int:
        """Images trained on, in all epochs."""
        return sum(epoch.samples for epoch in self.history)

    @property
    def best(self) -> Epoch:
        """The epoch with the best validation top-1 accuracy, the first of equal ones."""
        return max(self.history, key=lambda epoch: epoch.validation_top1_accuracy)

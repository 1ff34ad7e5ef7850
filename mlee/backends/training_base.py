"""What a training backend does: bring model, data and optimiser to the point where an epoch can be run and measured."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from mlee.backends.base import Progress
from mlee.errors import ConfigError
from mlee.record_checks import Strict
from mlee.records import ModelFacts, Option, Outcome, Warning

T = TypeVar("T")

OPTIMIZERS = ("sgd", "sgd_nesterov", "rmsprop", "adam", "adamw")
#: Added to the root in RMSprop's denominator, as in torchvision's recipe for MobileNetV3 and in the study of 2022.
RMSPROP_EPSILON = 0.0316
INTERPOLATIONS = ("nearest", "bilinear", "bicubic")
AUTO_AUGMENT = ("ra", "ta_wide", "augmix", "imagenet", "cifar10", "svhn")
#: Of a running mean, what one batch brings to it where the model's own share is too small for the length of an epoch.
SHORT_EPOCH_MOMENTUM = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest(Strict):
    """What the user asks for, in the words of the command line; `None` means that the backend chooses."""

    model: str
    data_path: str = "digits"
    n_batches: int | None = None
    batch_size: int = 32
    epochs: int = 10
    early_patience: int = 50
    early_delta: float = 0.01
    opt: str = "sgd"
    opt_decy: float = 0.9
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    lr_scheduler: str = "steplr"
    lr_step_size: float = 30.0
    lr_gamma: float = 0.1
    preprocessing: str = "builtin"
    auto_augment: str | None = None
    random_erase: float = 0.0
    interpolation: str | None = None
    batch_norm_momentum: float | None = None
    device: str = "auto"
    precision: str = "fp32"
    compile: bool = False
    workers: int | None = None
    image_size: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedTraining:
    """What the backend made of the request's open choices. Samples and batches are those of an epoch, of all processes."""

    device: str
    image_size: int
    workers: int
    global_batch_size: int
    batches: int
    samples: int
    validation_samples: int
    classes: int
    interpolation: str
    batch_norm_momentum: float | None
    gpu_uuids: tuple[str, ...] = ()


class Team:
    """The processes that train one model together; this one is alone."""

    rank = 0
    size = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the folder."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """Bring together a value of each process, in order of their ranks; every process gets all of them."""
        return [value]

    def share(self, value: T) -> T:
        """Return the leader's value in every process."""
        return self.gather(value)[0]

    def close(self) -> None:
        """Leave the team."""
        return


class TrainingBackend(ABC):
    """One model with its data and optimiser on one framework, ready for epochs.

    The constructor does everything that stays outside the measured windows, and raises `ConfigError`, `BackendError` or
    `DataError` with a mend. What an epoch computes depends on the state at its start, the seed and the epoch's number
    alone, so that a training that was interrupted goes on as if it had not been.
    """

    name: ClassVar[str]
    #: Ending of files of weights, such as ".pt".
    weights_suffix: ClassVar[str]
    #: Ending of files of states.
    state_suffix: ClassVar[str]

    #: Name of the data, and where its accuracy comes from.
    dataset: str
    #: Names of the classes, in order of their indices.
    classes: tuple[str, ...]
    facts: ModelFacts
    resolved: ResolvedTraining
    details: dict[str, Option]
    team: Team

    @abstractmethod
    def __init__(self, request: TrainingRequest) -> None:
        """Load everything."""

    @staticmethod
    @abstractmethod
    def model_names() -> tuple[str, ...]:
        """Names of all models this backend can train."""

    @abstractmethod
    def warm_up(self, batches: int) -> None:
        """Run a few steps and passes on random images and leave no trace of them; even 0 leave nothing to be compiled."""

    @abstractmethod
    def train_epoch(self, epoch: int, learning_rate: float, progress: Progress) -> Outcome:
        """Run an epoch (counted from 0) and wait for the device; `progress` counts the samples of all processes.

        Raises `BackendError` when the loss is no finite number any more.
        """

    @abstractmethod
    def validate(self, progress: Progress) -> Outcome:
        """Evaluate the images for validation, all of them, and wait for the device."""

    @abstractmethod
    def weights(self) -> bytes:
        """Return the model's weights as a file that `infer.py --weights` reads without executing anything."""

    @abstractmethod
    def state(self) -> bytes:
        """Return everything an epoch starts from, as a file: weights, running means, the optimiser's moments."""

    @abstractmethod
    def restore(self, path: Path) -> None:
        """Take over a `state`; raises `ResultError` naming the file when it is damaged or of another model."""

    def warnings(self) -> Iterator[Warning]:
        """Remarks about the training."""
        yield from ()

    def close(self) -> None:
        """Give memory and worker processes back."""
        return


def pooled(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the outcome over the samples of all processes."""
    samples = sum(outcome.samples for outcome in outcomes)

    def mean(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        if len(known) < len(outcomes):
            return None
        return math.fsum(value * part.samples for value, part in zip(known, outcomes, strict=True)) / samples

    return replace(
        outcomes[0],
        samples=samples,
        loss=mean(outcome.loss for outcome in outcomes),
        top1_accuracy=mean(outcome.top1_accuracy for outcome in outcomes),
        top5_accuracy=mean(outcome.top5_accuracy for outcome in outcomes),
    )


def batch_norm_momentum(wanted: float | None, own: float, batches: int) -> float:
    """Choose what share a batch has in running means: that asked for, the model's own, or that for short epochs.

    A share m forgets the means of random weights after some 5 / m batches. Epochs of ImageNet have tens of thousands;
    where they have fewer, validation would judge the network by means that are not its own.
    """
    if wanted is not None:
        return wanted
    return own if own * batches >= 5 or own >= SHORT_EPOCH_MOMENTUM else SHORT_EPOCH_MOMENTUM


def check_optimizer(request: TrainingRequest) -> None:
    """Refuse an optimiser that is unknown or lacks what it needs; raises `ConfigError`."""
    if request.opt not in OPTIMIZERS:
        raise ConfigError(f"Unknown --opt '{request.opt}'.", f"use one of {', '.join(OPTIMIZERS)}")
    if request.opt == "sgd_nesterov" and request.momentum == 0:
        raise ConfigError("--opt sgd_nesterov needs a --momentum of more than 0.", "or pass --opt sgd")


def epoch_size(images: int, global_batch_size: int, n_batches: int | None) -> tuple[int, int]:
    """Return batches and samples of a training epoch, which has whole batches only; raises `ConfigError` for none."""
    batches = images // global_batch_size
    if n_batches is not None:
        batches = min(batches, n_batches)
    if batches == 0:
        raise ConfigError(
            f"A batch of {global_batch_size} images (all GPUs together) is more than the {images} images to train on.",
            "pass a smaller --batch-size",
        )
    return batches, batches * global_batch_size


def validation_size(images: int, global_batch_size: int, n_batches: int | None) -> int:
    """Return how many images are validated: all, or so many batches."""
    return images if n_batches is None else min(images, n_batches * global_batch_size)


def shuffled(images: int, seed: int, epoch: int) -> Any:
    """Return the order (images,) in which an epoch takes the images; it depends on nothing else."""
    import numpy as np

    return np.random.default_rng((seed, epoch)).permutation(images)

"""What a backend does: bring one model and its data to the point where a timed pass can be repeated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from mlee.backends.trained import TrainedModel
from mlee.datasets import Dataset
from mlee.records import ModelFacts, Option, Outcome, Warning

#: Called with the number of samples finished so far.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRequest:
    """What the user asks for; `None` means that the backend chooses.

    With `trained`, model, weights, classes and preprocessing are those of a folder that `train.py` made.
    """

    model: str
    trained: TrainedModel | None = None
    data_path: str = "sample"
    n_batches: int | None = None
    batch_size: int = 32
    eval_preprocessing: str = "builtin"
    weights: str = "pretrained"
    device: str = "auto"
    precision: str = "fp32"
    compile: bool = False
    workers: int | None = None
    image_size: int | None = None
    skip_corrupt: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedAccuracy:
    """Accuracy of the weights on ImageNet as their publisher states it (fractions), and where."""

    top1: float
    top5: float | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What the backend made of the request's open choices."""

    device: str
    image_size: int
    workers: int
    global_batch_size: int
    batches: int
    samples: int
    weights: str
    gpu_uuids: tuple[str, ...] = ()


class InferenceBackend(ABC):
    """One model with its data on one framework, ready to be measured.

    The constructor does everything that stays outside the measured windows: loading the framework, model, weights and
    data, counting, compiling. It raises `ConfigError`, `BackendError` or `DataError` with a mend.
    """

    name: ClassVar[str]

    dataset: Dataset
    facts: ModelFacts
    resolved: Resolved
    #: Anything else worth keeping with the result: threads, provider, differences after export.
    details: dict[str, Option]

    @abstractmethod
    def __init__(self, request: InferenceRequest) -> None:
        """Load everything."""

    @staticmethod
    @abstractmethod
    def model_names() -> tuple[str, ...]:
        """Names of all models this backend can build."""

    @abstractmethod
    def warm_up(self, batches: int) -> None:
        """Run a few batches, whose results and energy do not count; even 0 leave nothing to be compiled or started later."""

    @abstractmethod
    def evaluate(self, progress: Progress) -> Outcome:
        """Run the data through the model once and wait for the device to finish."""

    @abstractmethod
    def published_accuracy(self) -> PublishedAccuracy | None:
        """Accuracy the publisher of the weights states, if any."""

    def warnings(self) -> Iterator[Warning]:
        """Remarks about the last pass."""
        yield from ()

    def close(self) -> None:
        """Give memory and worker processes back."""
        return

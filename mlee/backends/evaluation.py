"""The one evaluation loop of all backends: what is counted, and what makes a pass impossible.

A backend brings batches and a `Counter` that runs its model on them; arrays stay on the device until the end.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mlee.backends.base import Progress
from mlee.errors import BackendError, DataError
from mlee.records import Outcome, Warning

Floats = npt.NDArray[Any]


class Batch(NamedTuple):
    """Images (n, ...), right classes (n, k) padded with -1 or `None`, and files that could not be read."""

    images: Any
    targets: Any | None
    corrupt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over a pass: hits among the labelled images, cross entropy where each image has one right class.

    `checksum` is the sum of all outputs: it is not finite when any of them is not.
    """

    labelled: int
    hits1: int
    hits5: int
    loss_sum: float | None
    checksum: float


class Counter(ABC):
    """Runs a model on batches and counts what it gets right."""

    @abstractmethod
    def add(self, images: Any, targets: Any | None) -> None:
        """Run the model on one batch; need not wait for the device."""

    @abstractmethod
    def totals(self) -> Totals:
        """Wait for the device and return the sums over all batches."""


class NumpyCounter(Counter):
    """Counts on the host. `forward` maps images to logits (n, classes), an array or anything that becomes one.

    Logits are looked at one batch late, so that a device that works asynchronously always has its next batch.
    """

    def __init__(self, forward: Callable[[Any], Any]) -> None:
        """Start at zero."""
        self._forward = forward
        self._pending: tuple[Any, Floats | None] | None = None
        self._labelled = self._hits1 = self._hits5 = 0
        self._loss_sum = self._checksum = 0.0
        self._one_label = True

    def add(self, images: Any, targets: Any | None) -> None:
        """Run the model, and count the batch before."""
        logits = self._forward(images)
        self._count_pending()
        self._pending = logits, targets

    def totals(self) -> Totals:
        """Count the last batch and return the sums."""
        self._count_pending()
        return Totals(
            labelled=self._labelled,
            hits1=self._hits1,
            hits5=self._hits5,
            loss_sum=self._loss_sum if self._one_label else None,
            checksum=self._checksum,
        )

    def _count_pending(self) -> None:
        if self._pending is None:
            return
        outputs, right = self._pending
        self._pending = None
        logits = np.asarray(outputs)
        with np.errstate(all="ignore"):  # what is not finite is reported by `evaluate`
            self._checksum += float(logits.sum(dtype=np.float64))
            if right is not None:
                self._count(logits.astype(np.float32, copy=False), np.asarray(right))

    def _count(self, logits: Floats, right: Floats) -> None:
        self._labelled += len(right)
        kept = min(5, logits.shape[1])
        top5 = np.argpartition(logits, -kept, axis=1)[:, -kept:]
        self._hits1 += int((logits.argmax(axis=1)[:, None] == right).any(axis=1).sum())
        self._hits5 += int((top5[:, :, None] == right[:, None, :]).any(axis=(1, 2)).sum())
        self._one_label = self._one_label and right.shape[1] == 1
        if self._one_label:
            highest = logits.max(axis=1, keepdims=True)
            picked = np.take_along_axis(logits, right, axis=1)
            losses = np.log(np.exp(logits - highest).sum(axis=1, keepdims=True)) + highest - picked
            self._loss_sum += float(losses.sum(dtype=np.float64))


class Skipped:
    """Images that could not be read: an error, or a list of names where the user wants to go on.

    A warning is published with the result: it names images from `data_path` on, and not where that lies.
    """

    def __init__(self, allowed: bool, data_path: str = "") -> None:
        """Start with none."""
        self._allowed = allowed
        self._folder = f"{Path(data_path).expanduser()}{os.sep}"
        self.names: list[str] = []

    def note(self, names: tuple[str, ...]) -> None:
        """Remember them; raises `DataError` where they may not be skipped."""
        self.names.extend(names)
        if names and not self._allowed:
            raise DataError(
                f"An image cannot be read: {names[0]}.", "repair or remove it, or pass --skip-corrupt to go on without"
            )

    def warnings(self) -> Iterator[Warning]:
        """Name what was skipped in the last pass."""
        if self.names:
            shown = "; ".join(name.replace(self._folder, "") for name in self.names[:3])
            shown += " ..." if len(self.names) > 3 else ""
            yield Warning(code="corrupt-images", message=f"{len(self.names)} images were skipped: {shown}")


def evaluate(
    batches: Iterable[Batch], counter: Counter, progress: Progress, *, model: str, data: str, skipped: Skipped
) -> Outcome:
    """Run all batches through the counter once; `model` and `data` are names.

    Raises `DataError` for unreadable images and `BackendError` for outputs that are not finite numbers.
    """
    skipped.names.clear()
    samples = 0
    for images, targets, corrupt in batches:
        skipped.note(corrupt)
        if not len(images):
            continue
        counter.add(images, targets)
        samples += len(images)
        progress(samples)
    totals = counter.totals()
    if not samples:
        raise DataError("No image could be read.", "check --data-path")
    check_finite(totals.checksum + (totals.loss_sum or 0.0), model)
    if not totals.labelled:
        return Outcome(samples=samples)
    return Outcome(
        samples=samples,
        loss=None if totals.loss_sum is None else totals.loss_sum / totals.labelled,
        top1_accuracy=totals.hits1 / totals.labelled,
        top5_accuracy=totals.hits5 / totals.labelled,
        accuracy_provenance="measured",
        accuracy_source=data,
    )


def check_finite(checksum: float, model: str) -> None:
    """Raise `BackendError` when the sum over a model's outputs shows that some are NaN or infinite."""
    if not np.isfinite(checksum):
        raise BackendError(
            f"{model} gives outputs that are not finite numbers.", "check --weights, or pass --precision fp32 or bf16"
        )

"""Batches for a pass: their sizes, random images that stay in memory, and what a machine could never hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mlee.backends.evaluation import Batch
from mlee.errors import ConfigError

#: Random images of this many batches are kept and taken in turn: more would only cost memory.
_KEPT = 4


class SyntheticBatches:
    """Random images in memory, the same for the same seed: `make` returns the next (n, ...) of them."""

    def __init__(self, samples: int, batch_size: int, make: Callable[[int], Any]) -> None:
        """Make the few batches that are kept."""
        self._samples = samples
        self._batch_size = batch_size
        self._batches = [make(min(batch_size, samples)) for _ in range(min(_KEPT, len(self)))]

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        return -(-self._samples // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of a pass, none of them labelled; the last may be smaller."""
        for index, start in enumerate(range(0, self._samples, self._batch_size)):
            images = self._batches[index % len(self._batches)]
            left = self._samples - start
            yield Batch(images if left >= len(images) else images[:left], None)  # TensorFlow copies what it cuts

    def start(self) -> None:
        """Do nothing: all images are there."""


def warm_up_sizes(batches: int, samples: int, batch_size: int) -> list[int]:
    """Sizes of the batches to warm up with: so many whole ones, and one like the last, smaller one of a pass."""
    full, rest = divmod(samples, batch_size)
    sizes = [batch_size] * (batches if full else 0) + [rest if batches else 0]
    return [size for size in sizes if size]


def target_matrix(labels: tuple[tuple[int, ...], ...] | None) -> npt.NDArray[np.int64] | None:
    """Right classes as a matrix (n, k), padded with -1; `None` where nothing is labelled."""
    if not labels:
        return None
    width = max(len(label) for label in labels)
    return np.array([[*label, *[-1] * (width - len(label))] for label in labels], dtype=np.int64) if width else None


def check_fits(images: int, size: int) -> None:
    """Raise `ConfigError` where a batch of so many square images is more than this machine could ever hold."""
    try:
        np.empty((images, 3, size, size), dtype=np.float32)  # reserved, never touched: this costs nothing
    except (MemoryError, ValueError, OverflowError) as error:  # the latter two: beyond 64 bits
        raise ConfigError(
            f"A batch of {images} images of {size} x {size} pixels does not fit into memory.",
            "pass a smaller --image-size or --batch-size",
        ) from error

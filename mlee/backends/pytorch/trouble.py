"""Trouble that is no bug: memory that does not suffice, and worker processes that are killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mlee.errors import BackendError, ConfigError

#: PyTorch has an exception of its own only for the memory of GPUs.
_OUT_OF_MEMORY = ("can't allocate memory", "Cannot allocate memory", "out of memory", "not enough memory", "overflowed")


@contextmanager
def expected_trouble(what: str) -> Iterator[None]:
    """Say with a `BackendError` that `what` needs too much memory or that a worker died; other errors pass.

    PyTorch tells of a dead worker in a signal handler, so that any line may raise it, not only the loading of a batch.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if "DataLoader worker (pid" in str(error):
            raise BackendError(
                f"A worker process that loads images died: {str(error).strip()}",
                "often memory runs out: pass fewer --workers or a smaller --batch-size, or give more memory or /dev/shm "
                "(in a container: --shm-size)",
            ) from error
        if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
            raise BackendError(
                f"{what} does not fit into memory.", "pass a smaller --batch-size or --image-size, or use a smaller model"
            ) from error
        raise


def check_fits(images: int, size: int) -> None:
    """Raise `ConfigError` where a batch of so many square images is more than this machine could ever hold."""
    try:
        torch.empty(images, 3, size, size)  # reserved, never touched: this costs nothing
    except (RuntimeError, MemoryError, TypeError) as error:  # TypeError: beyond 64 bits
        raise ConfigError(
            f"A batch of {images} images of {size} x {size} pixels does not fit into memory.",
            "pass a smaller --image-size or --batch-size",
        ) from error

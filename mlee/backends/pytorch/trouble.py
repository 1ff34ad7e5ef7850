"""Trouble that is no bug: memory that does not suffice, and worker processes that are killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlee.errors import BackendError

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

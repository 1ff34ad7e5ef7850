"""Trouble that is no bug: memory that does not suffice, and a model that cannot take an image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlee.backends.tensorflow.framework import tf
from mlee.errors import BackendError


@contextmanager
def expected_trouble(what: str) -> Iterator[None]:
    """Say with a `BackendError` that `what` needs too much memory or does not run; other errors pass.

    TensorFlow works asynchronously on GPUs: what goes wrong with one batch may show when the next is looked at.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise BackendError(
            f"{what} does not fit into memory.", "pass a smaller --batch-size or --image-size, or use a smaller model"
        ) from error
    except tf.errors.OpError as error:
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise BackendError(
            f"{what} failed: {reason}",
            "leave --image-size and --compile out, or pass a smaller --batch-size",
        ) from error

"""Early stopping."""

from __future__ import annotations

from collections.abc import Sequence


def should_stop(accuracies: Sequence[float], *, patience: int, delta: float) -> bool:
    """Tell whether the last `patience` epochs brought no accuracy that beats the best before by more than `delta`.

    `accuracies` are those of validation, in order of the epochs; an improvement counts from the last accuracy that was
    one. A `patience` of 0 never stops.
    """
    best, since = -1.0, 0
    for accuracy in accuracies:
        if accuracy > best + delta:
            best, since = accuracy, 0
        else:
            since += 1
    return patience > 0 and since >= patience

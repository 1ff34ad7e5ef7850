"""What a training changes in a Keras model besides its weights: batch norm, dropout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlee.backends.tensorflow.framework import keras, tf
from mlee.backends.training_base import batch_norm_momentum


def _layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
        else:
            yield layer


def apply_batch_norm_momentum(model: Any, wanted: float | None, batches: int) -> float | None:
    """Set the share a batch has in running means and return it, `None` for a model without; Keras counts the rest."""
    norms = [layer for layer in _layers(model) if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        return None
    own = round(1 - float(norms[0].momentum), 9)
    share = batch_norm_momentum(wanted, own, batches)
    if share != own:
        for layer in norms:
            layer.momentum = 1 - share
    return share


def seed_dropout(model: Any, seed: int, epoch: int) -> None:
    """Have layers that draw start from a state that follows from the seed and the epoch."""
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    drawn = np.random.SeedSequence((seed, epoch, 1)).generate_state(len(states)) >> 1
    for state, value in zip(states, drawn, strict=True):
        state.assign(np.array([value, 0]))


def average_running_means(model: Any) -> None:
    """Give all replicas of a model the same running means: each has seen its own images."""
    for variable in model.non_trainable_variables:
        if isinstance(variable.value, tf.distribute.DistributedValues) and variable.value.dtype.is_floating:
            variable.assign(tf.reduce_mean([copy.numpy() for copy in variable.value.values], axis=0))

"""Optimisers with the formulas of PyTorch, so that the same options mean the same training on both frameworks.

Those of Keras differ: momentum that has the learning rate inside it, an epsilon inside RMSprop's root, weight decay that is
always decoupled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlee.backends.tensorflow.framework import tf
from mlee.backends.training_base import RMSPROP_EPSILON, TrainingRequest, check_optimizer

_ADAM_DECAYS = 0.9, 0.999
_ADAM_EPSILON = 1e-8
#: Loss scaling as in Micikevicius et al. 2018 and in `torch.amp.GradScaler`.
_FIRST_SCALE = 65536.0
_STEPS_TO_DOUBLE = 2000

#: Takes weights, gradient, slots (moments), learning rate and number of the step to the new weights and slots.
_Rule = Callable[[Any, Any, tuple[Any, ...], Any, Any], tuple[Any, ...]]


class Optimizer:
    """Changes the weights by their gradients; to be made and used where the model's variables are."""

    def __init__(self, weights: Sequence[Any], request: TrainingRequest, *, loss_scaling: bool) -> None:
        """Make the slots of TensorFlow's variables `weights`; `request` says which rule, and its constants."""
        self.weights = tuple(weights)
        self._decay = request.weight_decay
        self._decoupled = request.opt == "adamw"
        self._rule, slots = _rule(request)
        self._slots = [tuple(_variable(tf.zeros_like(weight)) for _ in range(slots)) for weight in weights]
        self.learning_rate = _variable(0.0)
        self._steps = _variable(0.0)
        self._scale = _variable(_FIRST_SCALE if loss_scaling else 1.0)
        self._good_steps = _variable(0.0)
        self._loss_scaling = loss_scaling

    @property
    def variables(self) -> list[Any]:
        """Everything that a step depends on, but for the learning rate."""
        return [*(slot for slots in self._slots for slot in slots), self._steps, self._scale, self._good_steps]

    def scaled(self, loss: Any) -> Any:
        """Return what to take the gradient of: the loss, enlarged where small numbers would vanish. A graph function."""
        return loss * self._scale if self._loss_scaling else loss

    def apply(self, gradients: list[Any]) -> None:
        """Sum the gradients of all replicas and take a step, or none where they overflowed. A graph function."""
        context = tf.distribute.get_replica_context()
        summed = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        finite = tf.constant(True)
        if self._loss_scaling:
            finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in summed])
        context.merge_call(self._update_all, args=(summed, finite))

    def _update_all(self, strategy: Any, gradients: list[Any], finite: Any) -> None:
        update = strategy.extended.update
        update(self._steps, lambda steps, finite: steps.assign_add(tf.cast(finite, tf.float32)), args=(finite,))
        for weight, gradient, slots in zip(self.weights, gradients, self._slots, strict=True):
            shared = (self.learning_rate, self._steps, self._scale, finite)
            update(weight, self._update, args=(gradient, slots, *shared), group=False)
        if self._loss_scaling:
            update(self._scale, _rescale, args=(self._good_steps, finite))

    def _update(
        self, weight: Any, gradient: Any, slots: tuple[Any, ...], rate: Any, steps: Any, scale: Any, finite: Any
    ) -> None:
        if self._loss_scaling:
            gradient = gradient / scale
        value = tf.convert_to_tensor(weight)
        if self._decoupled:
            value = value * (1 - rate * self._decay)
        elif self._decay:
            gradient = gradient + self._decay * value
        new = self._rule(value, gradient, tuple(map(tf.convert_to_tensor, slots)), tf.convert_to_tensor(rate), steps)
        for variable, changed in zip((weight, *slots), new, strict=True):
            variable.assign(tf.where(finite, changed, variable) if self._loss_scaling else changed)


def _variable(start: Any) -> Any:
    return tf.Variable(start, trainable=False, dtype=tf.float32)


def _rescale(scale: Any, good_steps: Any, finite: Any) -> None:
    """Halve the scale after an overflow, double it after many steps without."""
    good = tf.where(finite, good_steps + 1, 0.0)
    ripe = good >= _STEPS_TO_DOUBLE
    scale.assign(tf.where(finite, tf.where(ripe, 2 * scale, scale), scale / 2))
    good_steps.assign(tf.where(ripe, 0.0, good))


def _rule(request: TrainingRequest) -> tuple[_Rule, int]:
    """Return the rule, and how many slots each weight has; raises `ConfigError` as `check_optimizer` does."""
    check_optimizer(request)
    momentum = request.momentum
    if request.opt in ("sgd", "sgd_nesterov"):
        nesterov = request.opt == "sgd_nesterov"
        return (lambda *of: _sgd(*of, momentum=momentum, nesterov=nesterov)), 1 if momentum else 0
    if request.opt == "rmsprop":
        return (lambda *of: _rmsprop(*of, decay=request.opt_decy, momentum=momentum)), 2 if momentum else 1
    return _adam, 2


def _sgd(
    value: Any, gradient: Any, slots: tuple[Any, ...], rate: Any, _: Any, *, momentum: float, nesterov: bool
) -> tuple[Any, ...]:
    if not slots:
        return (value - rate * gradient,)
    velocity = momentum * slots[0] + gradient
    step = gradient + momentum * velocity if nesterov else velocity
    return value - rate * step, velocity


def _rmsprop(
    value: Any, gradient: Any, slots: tuple[Any, ...], rate: Any, _: Any, *, decay: float, momentum: float
) -> tuple[Any, ...]:
    square = decay * slots[0] + (1 - decay) * gradient**2
    step = gradient / (tf.sqrt(square) + RMSPROP_EPSILON)
    if not momentum:
        return value - rate * step, square
    velocity = momentum * slots[1] + step
    return value - rate * velocity, square, velocity


def _adam(value: Any, gradient: Any, slots: tuple[Any, ...], rate: Any, steps: Any) -> tuple[Any, ...]:
    first_decay, second_decay = _ADAM_DECAYS
    mean = first_decay * slots[0] + (1 - first_decay) * gradient
    square = second_decay * slots[1] + (1 - second_decay) * gradient**2
    root = tf.sqrt(square / (1 - second_decay**steps))
    return value - rate * (mean / (1 - first_decay**steps)) / (root + _ADAM_EPSILON), mean, square

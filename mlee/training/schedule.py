"""The learning rate of each epoch: a formula of the epoch alone, so that a resumed training goes on with the same rates."""

from __future__ import annotations

import math

from mlee.errors import ConfigError

SCHEDULERS = ("steplr", "exponentiallr", "cosineannealinglr", "constant")


def learning_rate(scheduler: str, epoch: int, *, lr: float, epochs: int, step_size: float, gamma: float) -> float:
    """Return the rate of an epoch, counted from 0; in the first one it is `lr`.

    ===================  ====================================================================
    `steplr`             lr x gamma^floor(epoch / step_size); a step may end within an epoch
    `exponentiallr`      lr x gamma^epoch
    `cosineannealinglr`  lr x (1 + cos(pi x epoch / epochs)) / 2 (Loshchilov and Hutter 2017)
    `constant`           lr
    ===================  ====================================================================

    Raises `ConfigError` for another scheduler.
    """
    match scheduler:
        case "steplr":
            # A step size of 2.4 has its fifth step at 12, which 12 / 2.4 may miss by a rounding.
            return lr * gamma ** math.floor(epoch / step_size + 1e-9)
        case "exponentiallr":
            return float(lr * gamma**epoch)
        case "cosineannealinglr":
            return lr * (1 + math.cos(math.pi * epoch / epochs)) / 2
        case "constant":
            return lr
    raise ConfigError(f"Unknown --lr-scheduler '{scheduler}'.", f"use one of {', '.join(SCHEDULERS)}")

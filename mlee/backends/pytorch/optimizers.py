"""Optimisers by their names on the command line."""

from __future__ import annotations

import torch
from torch import nn

from mlee.backends.training_base import RMSPROP_EPSILON, TrainingRequest, check_optimizer


def make_optimizer(model: nn.Module, request: TrainingRequest) -> torch.optim.Optimizer:
    """Make the optimiser; weight decay is added to the gradient, but for `adamw`, which decouples it.

    Raises `ConfigError` as `check_optimizer` does.
    """
    check_optimizer(request)
    parameters = model.parameters()
    lr, decay = request.lr, request.weight_decay
    match request.opt:
        case "sgd" | "sgd_nesterov":
            nesterov = request.opt == "sgd_nesterov"
            return torch.optim.SGD(parameters, lr, momentum=request.momentum, weight_decay=decay, nesterov=nesterov)
        case "rmsprop":
            return torch.optim.RMSprop(
                parameters, lr, alpha=request.opt_decy, momentum=request.momentum, weight_decay=decay, eps=RMSPROP_EPSILON
            )
        case "adam":
            return torch.optim.Adam(parameters, lr, weight_decay=decay)
        case "adamw":
            return torch.optim.AdamW(parameters, lr, weight_decay=decay)
    raise AssertionError("check_optimizer knows them all")


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Use this rate from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate

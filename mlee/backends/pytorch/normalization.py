"""Running means of batch normalisation."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mlee.backends.training_base import batch_norm_momentum


def set_batch_norm_momentum(model: nn.Module, wanted: float | None, batches: int) -> float | None:
    """Set what share a batch has in running means, and return it; `None` for a network without them."""
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.momentum is not None]
    if not layers:
        return None
    chosen = batch_norm_momentum(wanted, min(layer.momentum or 0.0 for layer in layers), batches)
    for layer in layers:
        layer.momentum = chosen
    return chosen

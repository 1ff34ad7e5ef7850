"""Compiling a model: all of it or an error, and never unnoticed."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn


def compile_whole(model: nn.Module, *, any_size: bool) -> nn.Module:
    """Return the model compiled; the first batch of each size, or of two if `any_size`, does the work.

    PyTorch allows a function eight compilations a process and then silently runs it uncompiled, and all ResNets are one
    function: the count begins anew for each model. Where a part cannot be compiled, running the model raises.
    """
    torch.compiler.reset()
    return cast(nn.Module, torch.compile(model, fullgraph=True, dynamic=None if any_size else False))


def graphs_compiled() -> int:
    """Count the compilations of this process until now."""
    from torch._dynamo.utils import counters  # nothing public counts them; importing it takes seconds

    return int(counters["stats"]["unique_graphs"])

"""What is known of a Keras model without running it: parameters, MACs, size of its weights."""

from __future__ import annotations

from math import prod
from typing import Any

MACS_METHOD = "kernels x output positions of every convolution and dense layer"
_BYTES_FP32 = 4


def count_parameters(model: Any) -> int:
    """Count parameters as Keras publishes them: all weights, with the running means of normalisations."""
    return int(model.count_params())


def count_macs(model: Any) -> int:
    """Multiply-accumulates of one image: each weight of a kernel is used once at every position of the output."""
    macs = 0
    for layer in model.layers:
        if hasattr(layer, "layers"):
            macs += count_macs(layer)
            continue
        kernels = [getattr(layer, name, None) for name in ("kernel", "depthwise_kernel", "pointwise_kernel")]
        weights = sum(prod(kernel.shape) for kernel in kernels if kernel is not None)
        if weights:
            macs += weights * prod(layer.output.shape[1:-1])
    return macs


def weights_bytes(model: Any) -> int:
    """Size of all weights in fp32 [B]; the HDF5 file that Keras publishes is about half a percent larger."""
    return _BYTES_FP32 * count_parameters(model)

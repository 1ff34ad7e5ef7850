"""What is known of a PyTorch model without running it: parameters, MACs, size of its weights on disk."""

from __future__ import annotations

import copy
import io
import logging
from typing import IO, cast

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlee.units import FLOP_PER_MAC

MACS_METHOD = "torch.utils.flop_counter on device meta, FLOP / 2"
log = logging.getLogger(__name__)


def count_parameters(model: nn.Module) -> int:
    """Count parameters; buffers such as running means do not count."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, image_size: int) -> int | None:
    """Multiply-accumulates of one image, counted on a copy without data; `None` where an operator cannot be counted."""
    try:
        shadow = copy.deepcopy(model).to("meta").eval()
        with FlopCounterMode(display=False) as counter:
            shadow(torch.empty(1, 3, image_size, image_size, device="meta"))
    except (RuntimeError, NotImplementedError, ValueError, AssertionError) as error:
        log.warning("MACs could not be counted: %s", error)
        return None
    return int(counter.get_total_flops()) // FLOP_PER_MAC


class _CountingStream(io.RawIOBase):
    """A file that only knows how much was written to it."""

    def __init__(self) -> None:
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        length = memoryview(data).nbytes  # type: ignore[arg-type]
        self.size += length
        return length


def weights_bytes(model: nn.Module) -> int:
    """Size of the file `torch.save(model.state_dict())` writes [B]."""
    stream = _CountingStream()
    torch.save(model.state_dict(), cast(IO[bytes], stream))
    return stream.size

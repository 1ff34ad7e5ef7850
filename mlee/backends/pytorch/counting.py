"""Counting on the device: nothing is fetched before the end of a pass, so that no batch waits for the host."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from mlee.backends.evaluation import Counter, Totals


class TorchCounter(Counter):
    """Runs `forward` in inference mode and keeps hits, loss and checksum on the device."""

    def __init__(
        self, forward: Callable[[torch.Tensor], torch.Tensor], device: torch.device, synchronise: Callable[[], None]
    ) -> None:
        """Start at zero; `synchronise` waits for the device."""
        self._forward = forward
        self._device = device
        self._synchronise = synchronise
        self._labelled = 0
        self._hits1 = self._hits5 = self._loss_sum = torch.zeros((), device=device)
        # Any NaN or inf shows in the sum; finite outputs cannot overflow it, since even fp32 ends at 3e38, fp64 at 2e308.
        self._checksum = torch.zeros((), dtype=torch.float64, device=device)
        self._one_label = True

    def add(self, images: torch.Tensor, targets: torch.Tensor | None) -> None:
        """Run the model on one batch and count on the device."""
        with torch.inference_mode():
            logits = self._forward(images)
            self._checksum += logits.sum(dtype=torch.float64)
            if targets is None:
                return
            self._labelled += len(targets)
            right = targets.to(self._device, non_blocking=True)
            top5 = logits.topk(min(5, logits.shape[1])).indices
            hit = (top5[:, :, None] == right[:, None, :]).any(2)
            self._hits1 = self._hits1 + hit[:, 0].sum()
            self._hits5 = self._hits5 + hit.any(1).sum()
            self._one_label = self._one_label and right.shape[1] == 1
            if self._one_label:
                loss = nn.functional.cross_entropy(logits.float(), right[:, 0], reduction="sum")
                self._loss_sum = self._loss_sum + loss

    def totals(self) -> Totals:
        """Wait for the device and fetch the sums."""
        self._synchronise()
        return Totals(
            labelled=self._labelled,
            hits1=int(self._hits1),
            hits5=int(self._hits5),
            loss_sum=float(self._loss_sum) if self._one_label else None,
            checksum=float(self._checksum),
        )

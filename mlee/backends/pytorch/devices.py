"""What a run works on: CPU or GPUs."""

from __future__ import annotations

import torch

from mlee.backends.gpus import choose_gpus


def choose_devices(wanted: str) -> tuple[torch.device, list[int]]:
    """Resolve --device: `auto` takes all GPUs or else the CPU, `cuda` all GPUs, `cuda:N` one; raises `ConfigError`."""
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = choose_gpus(wanted, available, "PyTorch", ", or see infer.py --check")
    return (torch.device(f"cuda:{gpus[0]}") if gpus else torch.device("cpu")), gpus


def describe_devices(device: torch.device, gpus: list[int]) -> str:
    """Name the devices as a result does."""
    return "cpu" if device.type == "cpu" else ",".join(f"cuda:{index}" for index in gpus)

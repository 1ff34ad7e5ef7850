"""What a run works on: CPU or GPUs."""

from __future__ import annotations

import re

import torch

from mlee.errors import ConfigError


def choose_devices(wanted: str) -> tuple[torch.device, list[int]]:
    """Resolve --device: `auto` takes all GPUs or else the CPU, `cuda` all GPUs, `cuda:N` one; raises `ConfigError`."""
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not available):
        return torch.device("cpu"), []
    if not re.fullmatch(r"auto|cuda(:\d+)?", wanted):
        raise ConfigError(f"--device '{wanted}' is none of auto, cpu, cuda, cuda:N.")
    if not available:
        raise ConfigError(f"--device {wanted}: PyTorch finds no GPU.", "pass --device cpu, or see infer.py --check")
    if wanted in ("auto", "cuda"):
        return torch.device("cuda:0"), list(range(available))
    number = wanted.partition(":")[2]
    if int(number) >= available:
        raise ConfigError(f"--device '{wanted}' is none of auto, cpu, cuda, cuda:0 .. cuda:{available - 1}.")
    return torch.device(wanted), [int(number)]


def describe_devices(device: torch.device, gpus: list[int]) -> str:
    """Name the devices as a result does."""
    return "cpu" if device.type == "cpu" else ",".join(f"cuda:{index}" for index in gpus)

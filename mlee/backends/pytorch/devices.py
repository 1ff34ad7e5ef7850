"""What a run works on: CPU or GPUs, and how many processes load its images."""

from __future__ import annotations

import os

import torch

from mlee.errors import ConfigError

_MAX_WORKERS = 8


def choose_devices(wanted: str) -> tuple[torch.device, list[int]]:
    """Resolve --device: `auto` takes all GPUs or else the CPU, `cuda` all GPUs, `cuda:N` one; raises `ConfigError`."""
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not available):
        return torch.device("cpu"), []
    if not available:
        raise ConfigError(f"--device {wanted}: PyTorch finds no GPU.", "pass --device cpu, or see infer.py --check")
    if wanted in ("auto", "cuda"):
        return torch.device("cuda:0"), list(range(available))
    kind, _, number = wanted.partition(":")
    if kind != "cuda" or not number.isdigit() or int(number) >= available:
        raise ConfigError(f"--device '{wanted}' is none of auto, cpu, cuda, cuda:0 .. cuda:{available - 1}.")
    return torch.device(wanted), [int(number)]


def describe_devices(device: torch.device, gpus: list[int]) -> str:
    """Name the devices as a result does."""
    return "cpu" if device.type == "cpu" else ",".join(f"cuda:{index}" for index in gpus)


def choose_workers(wanted: int | None, synthetic: bool) -> int:
    """Resolve --workers: `None` chooses by the CPUs this process may use."""
    if wanted is not None:
        return wanted
    cpus = len(os.sched_getaffinity(0))
    # On two CPUs a worker beside the model only takes turns with it.
    return 0 if synthetic or cpus <= 2 else min(_MAX_WORKERS, cpus // 2)

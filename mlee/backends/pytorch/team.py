"""The processes that `torchrun` starts, as one team."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist

from mlee.backends.pytorch.devices import choose_devices, describe_devices
from mlee.backends.training_base import Team
from mlee.errors import BackendError, ConfigError

T = TypeVar("T")
#: How long a process waits for the others. Where one dies, torchrun ends all; idle power may be measured for long.
_PATIENCE = timedelta(days=1)


class TorchTeam(Team):
    """A process group; its collectives run on the CPU (gloo), on GPUs with NCCL too."""

    def __init__(self, cuda: bool) -> None:
        """Join the group that torchrun's environment variables describe; raises `BackendError` where that fails."""
        try:
            dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=_PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise BackendError(
                f"The processes of torchrun do not find each other: {error}", "see `torchrun --help`"
            ) from error
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def gather(self, value: T) -> list[T]:
        """Bring together a value of each process."""
        values: list[T | None] = [None] * self.size
        dist.all_gather_object(values, value)
        return cast(list[T], values)

    def close(self) -> None:
        """Leave the group."""
        if dist.is_initialized():
            dist.destroy_process_group()


def join_team(wanted: str) -> tuple[torch.device, Team, int]:
    """Return device and team of this process, and how many GPUs nobody uses.

    torchrun gives each of its processes a GPU; without it the process is alone. Raises `ConfigError` for devices that
    cannot be had, and `BackendError`.
    """
    if "LOCAL_RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return *_join_torchrun(wanted), 0
    device, gpus = choose_devices(wanted)
    if len(gpus) > 1 and wanted == "cuda":
        raise ConfigError(
            f"--device cuda asks for all {len(gpus)} GPUs, each of which needs a process.",
            f"run torchrun --standalone --nproc_per_node={len(gpus)} train.py ..., or pass --device cuda:0",
        )
    return device, Team(), max(len(gpus) - 1, 0)


def _join_torchrun(wanted: str) -> tuple[torch.device, Team]:
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    local = int(os.environ["LOCAL_RANK"])
    if wanted == "cpu" or (wanted == "auto" and not available):
        return torch.device("cpu"), TorchTeam(cuda=False)
    if wanted not in ("auto", "cuda"):
        raise ConfigError(f"--device {wanted}: torchrun gives each process a GPU of its own.", "pass --device cuda or cpu")
    if local >= available:
        raise ConfigError(
            f"torchrun starts more processes on this machine than it has GPUs ({available}).",
            f"pass --nproc_per_node={available or 1} to torchrun, or --device cpu to train.py",
        )
    device = torch.device(f"cuda:{local}")
    torch.cuda.set_device(device)
    return device, TorchTeam(cuda=True)


def describe_team(device: torch.device, team: Team) -> str:
    """Name the devices of all processes as a result does: "cpu", "cuda:1", "cuda x8"."""
    if team.size == 1:
        return describe_devices(device, [device.index or 0])
    return f"{device.type} x{team.size}"

"""GPUs: which a run takes, the UUIDs of those a framework sees without telling them, and those it could not use."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from mlee.errors import ConfigError, SensorUnavailable
from mlee.records import Warning
from mlee.sensors.visible_gpus import select_gpus


def count_like_the_driver() -> None:
    """Have CUDA number the GPUs as the driver does, unless the user chose; must precede the import of a framework."""
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")


def visible_uuids() -> tuple[str, ...]:
    """UUIDs of the GPUs that CUDA shows to this process, in its order; empty without the driver's library."""
    from mlee.sensors.nvml import list_gpus, load_nvml, mig_parents

    try:
        nvml = load_nvml()
    except SensorUnavailable:
        return ()
    try:
        gpus = list_gpus(nvml)
        chosen = select_gpus(gpus, os.environ, None, mig_parents(nvml, gpus)).indices
        by_index = {gpu.index: gpu.uuid for gpu in gpus}
        return tuple(by_index[index] for index in chosen)
    finally:
        nvml.nvmlShutdown()


def choose_gpus(wanted: str, available: int, software: str, mend: str) -> list[int]:
    """Resolve --device to indices of the `available` GPUs, none for the CPU; raises `ConfigError`.

    `auto` takes all GPUs or else the CPU, `cuda` all GPUs, `cuda:N` one. `mend` is what makes `software` find one.
    """
    if wanted == "cpu" or (wanted == "auto" and not available):
        return []
    if not re.fullmatch(r"auto|cuda(:\d+)?", wanted):
        raise ConfigError(f"--device '{wanted}' is none of auto, cpu, cuda, cuda:N.")
    if not available:
        raise ConfigError(f"--device {wanted}: {software} finds no GPU.", f"pass --device cpu{mend}")
    if wanted in ("auto", "cuda"):
        return list(range(available))
    number = int(wanted.partition(":")[2])
    if number >= available:
        raise ConfigError(f"--device '{wanted}' is none of auto, cpu, cuda, cuda:0 .. cuda:{available - 1}.")
    return [number]


def idle_gpus(framework: str, mend: str) -> Iterator[Warning]:
    """Warn that a run that was free to choose took the CPU, where there are GPUs its build of the framework cannot use."""
    count = len(visible_uuids())
    if count:
        yield Warning(code="gpu-unused", message=f"{count} GPUs are here, but this build of {framework} uses none: {mend}")

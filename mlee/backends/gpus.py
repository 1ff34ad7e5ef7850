"""UUIDs of the GPUs a framework sees, for frameworks that do not tell them."""

from __future__ import annotations

import os

from mlee.errors import SensorUnavailable
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

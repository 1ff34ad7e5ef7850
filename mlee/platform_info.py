"""What machine and which packages a run uses."""

from __future__ import annotations

import platform
import socket
from collections import Counter
from importlib.metadata import distributions

from mlee.errors import SensorUnavailable
from mlee.records import ExecutionPlatform, Gpu
from mlee.sensors.machine import cpu_name, logical_cpus, memory_bytes


def execution_platform(gpus: tuple[Gpu, ...]) -> ExecutionPlatform:
    """Describe this machine; `gpus` are the ones the run uses."""
    import psutil

    return ExecutionPlatform(
        os=f"{platform.system()} {platform.release()}",
        host=socket.gethostname(),
        cpu_name=cpu_name(),
        physical_cores=psutil.cpu_count(logical=False),
        logical_cpus=logical_cpus(),
        memory_bytes=memory_bytes(),
        gpus=gpus,
        packages={"python": platform.python_version(), **installed_packages()},
    )


def machine(described: ExecutionPlatform) -> str:
    """Name a machine for people, in the words that tell it from another: host, CPU and GPUs."""
    gpus = [f"{count} x {name}" for name, count in Counter(gpu.name for gpu in described.gpus).items()]
    return f"{described.host} ({', '.join([described.cpu_name, *gpus])})"


def same_machine(one: ExecutionPlatform, other: ExecutionPlatform) -> bool:
    """Whether two descriptions are of one machine: by its GPUs where it has any, since a container may have any name."""
    uuids = [{gpu.uuid for gpu in described.gpus} for described in (one, other)]
    return uuids[0] == uuids[1] if all(uuids) else machine(one) == machine(other)


def installed_packages() -> dict[str, str]:
    """Name and version of every installed distribution, sorted by name."""
    found = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            found[str(name)] = distribution.version
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def visible_gpus(uuids: tuple[str, ...]) -> tuple[Gpu, ...]:
    """Describe GPUs by their UUIDs (with or without "GPU-"); those the driver does not know are left out."""
    if not uuids:
        return ()
    from mlee.sensors.nvml import list_gpus, load_nvml

    try:
        nvml = load_nvml()
    except SensorUnavailable:
        return ()
    wanted = {uuid.removeprefix("GPU-") for uuid in uuids}
    try:
        return tuple(gpu for gpu in list_gpus(nvml) if gpu.uuid.removeprefix("GPU-") in wanted)
    except SensorUnavailable:
        return ()
    finally:
        nvml.nvmlShutdown()

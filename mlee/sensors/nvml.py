"""The `nvml` sensor: energy, power and state of NVIDIA GPUs through NVIDIA's own `nvidia-ml-py` (module `pynvml`).

Facts (sources in docs/measuring.md): the energy counter exists since Volta and is refreshed every 20-100 ms; the plain power
reading is an average over up to one second on recent GPUs, field 186 gives the instantaneous value where supported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mlee.errors import SensorUnavailable
from mlee.records import Device, Gpu, Warning
from mlee.sensors.base import Channel, Reading, Sensor, SensorOptions
from mlee.sensors.process_tree import tree_pids
from mlee.sensors.visible_gpus import select_gpus

COUNTER_PERIOD_S = 0.1
COUNTER_RESOLUTION_J = 1e-3
GAUGE_RESOLUTION_W = 1e-3
INSTANT_GAUGE_PERIOD_S = 0.1
AVERAGE_GAUGE_PERIOD_S = 1.0
#: Columns other than energy and power change slowly: they are refreshed this often [s].
SLOW_PERIOD_S = 1.0

_DRIVER_HINT = "install the NVIDIA driver and check that `nvidia-smi` lists the GPU"


@dataclass(slots=True)
class _GpuHandle:
    handle: Any
    has_counter: bool
    power_w: Callable[[], float] | None
    unsupported: set[str] = field(default_factory=set)
    lost: bool = False
    slow: tuple[float | None, ...] = ()
    slow_at_s: float = float("-inf")


class NvmlSensor(Sensor):
    """Reads every GPU the run may use."""

    name = "nvml"
    extra_columns = ("utilisation_percent", "memory_bytes", "temperature_c", "sm_clock_mhz", "power_limit_w")

    def __init__(self, options: SensorOptions) -> None:
        """Load the driver library and pick the GPUs; raises `SensorUnavailable` with the mend."""
        super().__init__()
        self._clock = options.clock
        self._processes = options.processes
        self._gpus: list[_GpuHandle] = []
        if options.gpus_unused_because is not None:
            raise SensorUnavailable(options.gpus_unused_because)
        self._nvml = load_nvml()
        try:
            self._open(options)
        except SensorUnavailable:
            self.close()
            raise

    def _open(self, options: SensorOptions) -> None:
        nvml = self._nvml
        gpus = list_gpus(nvml)
        selection = select_gpus(gpus, os.environ, options.gpu_uuids, mig_parents(nvml, gpus))
        self.notes.extend(selection.notes)
        if not selection.indices:
            raise SensorUnavailable(selection.reason or "The driver reports no GPU.", selection.hint)
        channels: list[Channel] = []
        for index in selection.indices:
            gpu = next(gpu for gpu in gpus if gpu.index == index)
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            has_counter = self._works(partial(nvml.nvmlDeviceGetTotalEnergyConsumption, handle))
            power_w, period_s = self._power_reader(handle)
            if not has_counter and power_w is None:
                self.notes.append(f"GPU {index} ({gpu.name}) reports neither energy nor power and is left out")
                continue
            if not has_counter:
                self.notes.append(f"GPU {index} ({gpu.name}) has no energy counter: its power is integrated")
            self._gpus.append(_GpuHandle(handle, has_counter, power_w))
            channels.append(
                Channel(
                    device=Device(kind="gpu", index=index, name=gpu.name, uuid=gpu.uuid),
                    key=f"gpu{index}",
                    sensor=self.name,
                    counter=has_counter,
                    gauge=power_w is not None,
                    counter_resolution_j=COUNTER_RESOLUTION_J,
                    counter_period_s=COUNTER_PERIOD_S,
                    gauge_period_s=period_s,
                    gauge_resolution_w=GAUGE_RESOLUTION_W,
                )
            )
        if not channels:
            raise SensorUnavailable("No GPU reports energy or power.", "; ".join(self.notes))
        self.channels = tuple(channels)

    def _works(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except self._nvml.NVMLError:
            return False
        return True

    def _power_reader(self, handle: Any) -> tuple[Callable[[], float] | None, float]:
        """Return how to read power [W] and over how long the driver averages it [s]."""
        nvml = self._nvml
        field_ids = [nvml.NVML_FI_DEV_POWER_INSTANT]

        def instant() -> float:
            value = nvml.nvmlDeviceGetFieldValues(handle, field_ids)[0]
            if value.nvmlReturn != nvml.NVML_SUCCESS:
                raise nvml.NVMLError(value.nvmlReturn)
            return float(value.value.uiVal) * 1e-3

        def average() -> float:
            return float(nvml.nvmlDeviceGetPowerUsage(handle)) * 1e-3

        if self._works(instant):
            return instant, INSTANT_GAUGE_PERIOD_S
        if self._works(average):
            return average, AVERAGE_GAUGE_PERIOD_S
        return None, AVERAGE_GAUGE_PERIOD_S

    def read(self, *, everything: bool = False) -> Sequence[Reading | None]:
        """Read every GPU once; one that is lost gives `None`, a single failing field gives `None` in its place."""
        return [self._read_gpu(position, gpu, everything) for position, gpu in enumerate(self._gpus)]

    def _read_gpu(self, position: int, gpu: _GpuHandle, everything: bool) -> Reading | None:
        if gpu.lost:
            return None
        reading = self._read_counter(position, gpu)
        power_w = None if gpu.power_w is None or gpu.lost else self._field(position, "power", gpu.power_w)
        if gpu.lost or reading is None:
            return None
        if everything or reading.t_s - gpu.slow_at_s >= SLOW_PERIOD_S:
            gpu.slow = self._read_slow(position, gpu)
            gpu.slow_at_s = reading.t_s
        return None if gpu.lost else Reading(reading.t_s, reading.energy_j, power_w, gpu.slow)

    def read_counters(self) -> Sequence[Reading | None]:
        """Read the energy counters only."""
        return [None if gpu.lost else self._read_counter(position, gpu) for position, gpu in enumerate(self._gpus)]

    def _read_counter(self, position: int, gpu: _GpuHandle) -> Reading | None:
        before_s = self._clock()
        if not gpu.has_counter:
            return Reading(before_s, None, None)
        energy = self._field(position, "energy", lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(gpu.handle) * 1e-3)
        return None if gpu.lost else Reading((before_s + self._clock()) / 2, energy, None)

    def _read_slow(self, position: int, gpu: _GpuHandle) -> tuple[float | None, ...]:
        nvml, handle = self._nvml, gpu.handle
        fields: dict[str, Callable[[], float]] = {
            "utilisation": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
            "memory": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used,
            "temperature": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            "SM clock": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            "power limit": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) * 1e-3,
        }
        return tuple(
            None if name in gpu.unsupported or gpu.lost else self._field(position, name, call)
            for name, call in fields.items()
        )

    def _field(self, position: int, name: str, call: Callable[[], float]) -> float | None:
        """Read one field; one that is not supported is not asked for again and never loses the others."""
        nvml, gpu = self._nvml, self._gpus[position]
        try:
            return call()
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
            gpu.unsupported.add(name)
        except (nvml.NVMLError_GpuIsLost, nvml.NVMLError_ResetRequired) as error:
            gpu.lost = True
            self._report(position, "sensor-lost", f"was lost during the run: {error}")
        except nvml.NVMLError as error:
            self._report(position, "sensor-field", f"failed to report {name}: {error}")
        return None

    def _report(self, position: int, code: str, what: str) -> None:
        device = self.channels[position].device
        problem = Warning(code=code, message=f"GPU {device.index} ({device.name}) {what}.")
        if problem not in self.problems:
            self.problems.append(problem)

    def check_window(self, first: Sequence[Reading | None], last: Sequence[Reading | None]) -> list[Warning]:
        """Warn of other processes that compute on a measured GPU."""
        warnings = []
        ours = tree_pids(others=self._processes)
        for channel, gpu in zip(self.channels, self._gpus, strict=True):
            if gpu.lost or "processes" in gpu.unsupported:
                continue
            try:
                running = self._nvml.nvmlDeviceGetComputeRunningProcesses(gpu.handle)
            except self._nvml.NVMLError:
                gpu.unsupported.add("processes")
                continue
            # The driver reports the host's process ids: one that does not exist here tells nothing about us.
            others = [process.pid for process in running if process.pid not in ours and _exists(process.pid)]
            if others:
                pids = ", ".join(map(str, sorted(others)))
                device = channel.device
                message = f"GPU {device.index} ({device.name}) was also used by other processes (pid {pids})."
                warnings.append(Warning(code="other-load", message=message))
        return warnings

    def close(self) -> None:
        """Give the driver library back."""
        if self._nvml is not None:
            self._works(self._nvml.nvmlShutdown)
            self._nvml = None


def load_nvml() -> Any:
    """Import and initialise `pynvml`; raises `SensorUnavailable` with one message for each cause."""
    try:
        import pynvml
    except ImportError as error:
        raise SensorUnavailable("The package nvidia-ml-py is not installed.", "run `pip install nvidia-ml-py`") from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound as error:
        raise SensorUnavailable("The NVIDIA driver library is not installed.", _DRIVER_HINT) from error
    except pynvml.NVMLError_DriverNotLoaded as error:
        raise SensorUnavailable(
            "The NVIDIA driver is installed but not loaded.", "run `sudo modprobe nvidia`, or reboot after an update"
        ) from error
    except pynvml.NVMLError_NoPermission as error:
        raise SensorUnavailable(
            "No permission to use the NVIDIA driver.", "check the rights of /dev/nvidia* (group video or render)"
        ) from error
    except pynvml.NVMLError as error:
        hint = "reboot: driver and library versions differ after an update" if "ersion" in str(error) else _DRIVER_HINT
        raise SensorUnavailable(f"The NVIDIA driver does not answer: {error}.", hint) from error
    return pynvml


def list_gpus(nvml: Any) -> list[Gpu]:
    """All GPUs the driver names, without those that cannot be opened; raises `SensorUnavailable` where it names none."""
    gpus = []
    try:
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        raise SensorUnavailable(f"The NVIDIA driver cannot count its GPUs: {error}.", "see what nvidia-smi says") from error
    for index in range(count):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            name, uuid = nvml.nvmlDeviceGetName(handle), nvml.nvmlDeviceGetUUID(handle)
        except nvml.NVMLError:
            continue
        gpus.append(Gpu(index=index, name=str(name), uuid=str(uuid), **_limits(nvml, handle)))
    return gpus


def _limits(nvml: Any, handle: Any) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    try:
        limits["memory_bytes"] = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
        limits["power_limit_w"] = nvml.nvmlDeviceGetEnforcedPowerLimit(handle) * 1e-3
    except nvml.NVMLError:
        return limits
    return limits


def mig_parents(nvml: Any, gpus: list[Gpu]) -> dict[str, int]:
    """Map the UUID of each MIG slice to the index of the GPU it is part of."""
    parents: dict[str, int] = {}
    for gpu in gpus:
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(gpu.index)
            current, _ = nvml.nvmlDeviceGetMigMode(handle)
            slices = nvml.nvmlDeviceGetMaxMigDeviceCount(handle) if current else 0
        except nvml.NVMLError:
            continue
        for number in range(slices):
            try:
                mig = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
                parents[str(nvml.nvmlDeviceGetUUID(mig))] = gpu.index
            except nvml.NVMLError:
                continue
    return parents


def _exists(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")

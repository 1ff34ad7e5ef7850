"""Simulated NVIDIA GPUs behind the real `pynvml`: a stub driver library (nvml_stub.c), told by a file what to simulate.

Times in a `StubGpu` count from the origin, like those of its power profile; `set_clock` and the origin itself are on the
scale of `time.monotonic`. In process::

    with installed(tmp_path) as stub:            # from here on pynvml talks to the stub
        stub.configure([StubGpu(profile=PROFILES["square"])])
        stub.set_clock(2.5)                      # virtual time; without it the stub follows time.monotonic()
        pynvml.nvmlInit()

In another process, in real time::

    write_config(path, [StubGpu()], origin_s=time.monotonic())
    subprocess.run(command, env=environment(path))
"""

from __future__ import annotations

import ctypes
import dataclasses
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from mlee.sensors.profiles import PROFILES, PowerProfile
from tests.simulated.compiling import compile_c

CONFIG_VARIABLE = "MLEE_STUB_NVML"
#: NVML's codes, for `Failure` and `init_error`.
INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, TIMEOUT = 2, 3, 4, 9, 10
FUNCTION_NOT_FOUND, GPU_IS_LOST, RESET_REQUIRED, LIB_RM_VERSION_MISMATCH, UNKNOWN = 13, 15, 16, 18, 999

#: What can fail on its own: "handle" is finding the GPU, "fields" the whole of nvmlDeviceGetFieldValues.
FIELDS = frozenset(
    [
        "*",
        "handle",
        "index",
        "name",
        "uuid",
        "pci",
        "energy",
        "power",
        "average_power",
        "instant_power",
        "fields",
        "power_limit",
        "utilisation",
        "memory",
        "temperature",
        "clock",
        "architecture",
        "persistence",
        "compute_mode",
        "c2c",
        "processes",
        "process_utilisation",
        "mig",
    ]
)
_TICK_SLACK, _STEP_SLACK = 1e-9, 1e-6  # as in power_profile.h


@dataclass(frozen=True)
class Failure:
    """Calls for `field` ("*": every call on the GPU) return the NVML code `error` during [from_s, until_s)."""

    field: str
    error: int
    from_s: float = -math.inf
    until_s: float = math.inf


@dataclass(frozen=True)
class StubProcess:
    """A process that uses a GPU."""

    pid: int
    used_bytes: int = 1 << 30
    sm_percent: int = 50


@dataclass(frozen=True, kw_only=True)
class StubGpu:
    """One simulated GPU; the defaults behave like a data-centre card of the Hopper generation.

    The counter is a staircase: at every `counter_offset_s` + k x `counter_period_s` it takes the exact energy in whole
    millijoules. The plain gauge is the mean over the last `gauge_averaging_s` (0: the power at that moment), refreshed
    every `gauge_period_s`; the instant gauge (field 186) has no averaging. `mig` holds the UUIDs of MIG slices: `None`
    for a GPU that cannot be cut, empty for one that is not.
    """

    profile: PowerProfile = PROFILES["steady"]
    name: str = "NVIDIA H100 80GB HBM3"
    uuid: str = ""
    pci: str = ""
    counter_period_s: float = 0.1
    counter_offset_s: float = 0.0
    counter_start_mj: int = 123_456_789
    reset_at_s: float = math.inf
    gauge_averaging_s: float = 1.0
    gauge_period_s: float = 0.1
    instant_period_s: float = 0.1
    unsupported: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    lost_at_s: float = math.inf
    mig: tuple[str, ...] | None = ()
    processes: tuple[StubProcess, ...] = ()
    graphics_processes: tuple[StubProcess, ...] = ()
    utilisation_percent: tuple[int, int] = (75, 30)
    memory_total_bytes: int = 80 << 30
    memory_used_bytes: int = 4 << 30
    temperature_c: int = 55
    sm_clock_mhz: int = 1980
    memory_clock_mhz: int = 2619
    power_limit_w: float = 700.0
    architecture: int = 9
    call_cost_us: float = 0.0

    def __post_init__(self) -> None:
        unknown = {*self.unsupported, *(failure.field for failure in self.failures)} - FIELDS
        if unknown:
            raise ValueError(f"StubGpu has no fields {sorted(unknown)}; they are {sorted(FIELDS)}")

    def numbered(self, index: int) -> StubGpu:
        """Return the GPU with the UUID and PCI address it has at this position, where none were given."""
        uuid = self.uuid or f"GPU-{index:08x}-1111-4222-8333-444444444444"
        return dataclasses.replace(self, uuid=uuid, pci=self.pci or f"00000000:{index + 1:02X}:00.0")

    def energy_j(self, start_s: float, end_s: float) -> float:
        """The truth: the exact energy between two times since the origin [J]."""
        return self.profile.energy_j(end_s) - self.profile.energy_j(start_s)

    def counter_mj(self, t_s: float) -> int:
        """What the energy counter shows at a time since the origin [mJ]."""
        energy_j = self.profile.energy_j(_last_tick(t_s, self.counter_offset_s, self.counter_period_s))
        start_mj = self.counter_start_mj
        if t_s >= self.reset_at_s:
            energy_j, start_mj = max(0.0, energy_j - self.profile.energy_j(self.reset_at_s)), 0
        return max(0, start_mj + math.floor(1000 * energy_j + _STEP_SLACK))

    def gauge_mw(self, t_s: float) -> int:
        """What the plain power gauge (and field 185) shows at a time since the origin [mW]."""
        tick = _last_tick(t_s, 0.0, self.gauge_period_s)
        if self.gauge_averaging_s == 0:
            return math.floor(1000 * self.profile.power_w(tick) + 0.5)
        return math.floor(1000 * (self.energy_j(tick - self.gauge_averaging_s, tick) / self.gauge_averaging_s) + 0.5)

    def instant_mw(self, t_s: float) -> int:
        """What the instant power gauge (field 186) shows at a time since the origin [mW]."""
        return math.floor(1000 * self.profile.power_w(_last_tick(t_s, 0.0, self.instant_period_s)) + 0.5)

    def config_lines(self) -> Iterator[str]:
        """The GPU's section of the stub's configuration."""
        yield "gpu"
        yield from (f"name {self.name}", f"uuid {self.uuid}", f"pci {self.pci}")
        yield from (f"point {float(t)!r} {float(power)!r}" for t, power in self.profile.points)
        yield f"repeat {int(self.profile.repeat)}"
        yield f"counter {self.counter_period_s!r} {self.counter_offset_s!r} {self.counter_start_mj} {self.reset_at_s!r}"
        yield f"gauge {self.gauge_averaging_s!r} {self.gauge_period_s!r} {self.instant_period_s!r}"
        yield f"call_cost_s {self.call_cost_us * 1e-6!r}"
        yield "utilisation {} {}".format(*self.utilisation_percent)
        yield f"memory {self.memory_total_bytes} {self.memory_used_bytes}"
        yield f"temperature {self.temperature_c}"
        yield f"clock {self.sm_clock_mhz} {self.memory_clock_mhz}"
        yield f"power_limit_mw {round(self.power_limit_w * 1000)}"
        yield f"architecture {self.architecture}"
        if self.mig is not None:
            yield "mig_capable"
            yield from (f"mig {uuid}" for uuid in self.mig)
        for key, processes in (("process", self.processes), ("graphics_process", self.graphics_processes)):
            yield from (f"{key} {process.pid} {process.used_bytes} {process.sm_percent}" for process in processes)
        lost = Failure("*", GPU_IS_LOST, self.lost_at_s)
        for failure in (lost, *self.failures, *(Failure(field, NOT_SUPPORTED) for field in self.unsupported)):
            yield f"fail {failure.field} {failure.error} {failure.from_s!r} {failure.until_s!r}"


def _last_tick(t_s: float, offset_s: float, period_s: float) -> float:
    if period_s == 0:
        return t_s
    return offset_s + math.floor((t_s - offset_s) / period_s + _TICK_SLACK) * period_s


def write_config(
    path: Path,
    gpus: Sequence[StubGpu],
    *,
    origin_s: float = 0.0,
    init_error: int = 0,
    driver_version: str = "550.54.15",
    cuda_version: int = 12040,
) -> tuple[StubGpu, ...]:
    """Write what the stub shall simulate; return the GPUs with their UUIDs and PCI addresses filled in."""
    numbered = tuple(gpu.numbered(index) for index, gpu in enumerate(gpus))
    lines = [f"origin {origin_s!r}", f"init_error {init_error}"]
    lines += [f"driver_version {driver_version}", f"cuda_version {cuda_version}"]
    for gpu in numbered:
        lines += gpu.config_lines()
    path.write_text("\n".join(lines) + "\n")
    return numbered


def library() -> Path:
    """Path of the stub library, compiled if need be; raises `CompilerMissing`.

    It has the driver library's file name but not its soname: the loader then finds it in LD_LIBRARY_PATH, but a process
    that has opened it by its path still gets the real driver where it asks for that.
    """
    return compile_c("nvml_stub.c", "libnvidia-ml.so.1", shared=True)


def environment(config: Path, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return environment variables that make a subprocess use the stub; raises `CompilerMissing`."""
    env = dict(os.environ if base is None else base)
    env["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, (str(library().parent), env.get("LD_LIBRARY_PATH"))))
    env[CONFIG_VARIABLE] = str(config)
    return env


class StubNvml:
    """The stub inside this process."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "stub_nvml.txt"
        self.gpus: tuple[StubGpu, ...] = ()
        self.handle: Any = ctypes.CDLL(str(library()))
        self.handle.stub_set_clock.argtypes = [ctypes.c_double]
        self.handle.stub_set_clock.restype = None
        self.handle.stub_use_real_clock.restype = None
        self.handle.stub_reset.restype = None
        self.handle.stub_calls.restype = ctypes.c_uint64

    def configure(self, gpus: Sequence[StubGpu], *, origin_s: float = 0.0, **options: Any) -> tuple[StubGpu, ...]:
        """Set what the next first nvmlInit will find; options as of `write_config`."""
        self.gpus = write_config(self.config, gpus, origin_s=origin_s, **options)
        return self.gpus

    def set_clock(self, t_s: float) -> None:
        """Stop the clock at this time, on the scale of time.monotonic()."""
        self.handle.stub_set_clock(t_s)

    def use_real_clock(self) -> None:
        """Follow time.monotonic()."""
        self.handle.stub_use_real_clock()

    def calls(self) -> int:
        """How many NVML functions have been called since the stub was installed."""
        return int(self.handle.stub_calls())

    def reset(self) -> None:
        """Forget open nvmlInit calls, the virtual clock and the count of calls."""
        self.handle.stub_reset()


@contextmanager
def installed(folder: Path) -> Iterator[StubNvml]:
    """Let `pynvml` in this process talk to the stub, and give it back its own state afterwards.

    The library is put into pynvml's own variable, because a machine with a real GPU may have loaded the real driver.
    """
    import pynvml

    stub = StubNvml(folder)
    stub.configure([])
    stub.reset()
    with (
        mock.patch.object(pynvml, "nvmlLib", stub.handle),
        mock.patch.object(pynvml, "_nvmlGetFunctionPointer_cache", {}),
        mock.patch.object(pynvml, "_nvmlLib_refcount", 0),
        mock.patch.dict(os.environ, {CONFIG_VARIABLE: str(stub.config)}),
    ):
        try:
            yield stub
        finally:
            stub.reset()

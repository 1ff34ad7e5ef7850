"""The tools that accuracy.py and overhead.py compare, behind one small interface, and the simulated machine they run on.

No tool is changed: each runs in a process with a mount namespace of its own, where /sys/class/powercap is the simulated
tree, /sys/devices/system/cpu tells the simulated sockets, libnvidia-ml.so.1 is the stub, and a `nvidia-smi` exists that does
nothing (CodeCarbon looks for GPUs only where it finds one). That needs root, or a kernel that lets users make namespaces.
The only thing taken from a tool is carbontracker's search for the machine's location in the internet.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.simulated.nvml_stub import environment, write_config

_NEW_MOUNTS, _NEW_USER, _RECURSIVE_PRIVATE, _BIND = 0x00020000, 0x10000000, 0x44000, 0x1000
J_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Energies:
    """What a tool says a window took [J]; `None` where it says nothing, with a remark."""

    cpu_j: float | None
    gpu_j: float | None
    cpu_unsure_j: float | None = None
    gpu_unsure_j: float | None = None
    remark: str = ""


class Tool(ABC):
    """Measures windows one after another."""

    #: Time the tool needs before its first window, its helper processes included [s].
    lead_s = 2.0

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s

    def warm_up(self) -> None:
        """Get everything going that the tool starts only with its first window."""
        return

    @abstractmethod
    def begin(self) -> None: ...

    @abstractmethod
    def end(self) -> None: ...

    @abstractmethod
    def energies(self) -> Energies: ...

    def close(self) -> None:
        return


class Mlee(Tool):
    sensors: tuple[str, ...] = ("auto",)
    traces = False

    def __init__(self, interval_s: float) -> None:
        super().__init__(interval_s)
        import tempfile

        from mlee.monitor import Monitor

        folder = Path(tempfile.mkdtemp()) if self.traces else None
        self._monitor = Monitor(self.sensors, gpu_interval_s=interval_s, cpu_interval_s=interval_s, folder=folder)
        self._monitor.__enter__()

    def begin(self) -> None:
        self._window = self._monitor.window("window")
        self._opened = self._window.__enter__()

    def end(self) -> None:
        self._window.__exit__(None, None, None)

    def energies(self) -> Energies:
        assert self._opened.measurement is not None
        sums: dict[str, list[float | None]] = {"cpu": [None, None], "gpu": [None, None]}
        for device in self._opened.measurement.devices:
            if device.energy_j is not None:
                entry = sums["gpu" if device.device.kind == "gpu" else "cpu"]
                entry[0] = (entry[0] or 0.0) + device.energy_j
                entry[1] = (entry[1] or 0.0) + (device.energy_uncertainty_j or 0.0)
        warnings = [*self._opened.warnings, *self._monitor.warnings]
        remark = "warns: " + ", ".join(sorted({warning.code for warning in warnings})) if warnings else ""
        return Energies(sums["cpu"][0], sums["gpu"][0], sums["cpu"][1], sums["gpu"][1], remark)

    def close(self) -> None:
        self._monitor.stop()


class Zeus(Tool):
    lead_s = 5.0
    sync = False  # there is no PyTorch to synchronise

    def __init__(self, interval_s: float) -> None:
        super().__init__(interval_s)
        from zeus.monitor import ZeusMonitor

        self._monitor = ZeusMonitor()

    def warm_up(self) -> None:
        self.begin()  # starts one process a RAPL counter
        time.sleep(2.0)
        self.end()

    def begin(self) -> None:
        self._monitor.begin_window("window", sync_execution=self.sync)

    def end(self) -> None:
        self._result = self._monitor.end_window("window", sync_execution=self.sync)

    def energies(self) -> Energies:
        cpu, dram, gpu = self._result.cpu_energy, self._result.dram_energy, self._result.gpu_energy
        cpu_j = None if cpu is None else sum(cpu.values()) + sum((dram or {}).values())
        return Energies(cpu_j, sum(gpu.values()) if gpu else None)


class ZeusPower(Zeus):
    """Zeus as above, and its power monitor at the interval: alone, Zeus only reads counters at the edges."""

    def __init__(self, interval_s: float) -> None:
        super().__init__(interval_s)
        from zeus.monitor import PowerMonitor

        self._power = PowerMonitor(update_period=interval_s, power_domains=["device_instant"])


class CodeCarbon(Tool):
    lead_s = 3.0

    def __init__(self, interval_s: float) -> None:
        super().__init__(interval_s)
        import pynvml
        from codecarbon import OfflineEmissionsTracker

        pynvml.nvmlInit()  # codecarbon's own, when it was imported, was that of another process
        self._new = lambda: OfflineEmissionsTracker(
            country_iso_code="DEU",
            measure_power_secs=interval_s,
            save_to_file=False,
            log_level="critical",
            allow_multiple_runs=True,
            rapl_include_dram=True,
        )
        self._tracker = self._new()
        self._gpus = pynvml.nvmlDeviceGetCount() > 0

    def warm_up(self) -> None:
        self.begin()
        time.sleep(0.3)
        self.end()
        self.energies()

    def begin(self) -> None:
        self._tracker.start()

    def end(self) -> None:
        self._tracker.stop()

    def energies(self) -> Energies:
        data, self._tracker = self._tracker.final_emissions_data, self._new()
        return Energies(data.cpu_energy * J_PER_KWH, data.gpu_energy * J_PER_KWH if self._gpus else None)


class Carbontracker(Tool):
    lead_s = 3.0

    def __init__(self, interval_s: float) -> None:
        super().__init__(interval_s)
        import geocoder
        from carbontracker.tracker import CarbonTracker

        geocoder.ip = _no_internet
        self._tracker = CarbonTracker(epochs=1000, epochs_before_pred=-1, update_interval=interval_s, verbose=0)

    def begin(self) -> None:
        self._tracker.epoch_start()

    def end(self) -> None:
        self._tracker.epoch_end()

    def energies(self) -> Energies:
        time.sleep(1.2)  # its look at RAPL takes a second, and may be under way
        thread = self._tracker.tracker
        found: dict[str, float | None] = {"cpu": None, "gpu": None}
        for component in thread.components:  # without the PUE of 1.56 that it would multiply with
            found[component.name] = float(component.energy_usage(thread.epoch_times)[-1]) * J_PER_KWH
        return Energies(found["cpu"], found["gpu"])


def _no_internet(*_: object) -> None:
    raise OSError("no internet here")


class PyRapl(Tool):
    def __init__(self, interval_s: float) -> None:
        super().__init__(interval_s)
        import pyRAPL

        pyRAPL.setup()
        self._measurement = pyRAPL.Measurement("window")

    def begin(self) -> None:
        self._measurement.begin()

    def end(self) -> None:
        self._measurement.end()

    def energies(self) -> Energies:
        result = self._measurement.result
        if result.pkg is None:
            return Energies(None, None, remark="gives None")
        return Energies((sum(result.pkg) + sum(value for value in result.dram or [] if value != -1)) * 1e-6, None)


class PyJoules(Tool):
    def __init__(self, interval_s: float) -> None:
        super().__init__(interval_s)
        from pyJoules.device.device_factory import DeviceFactory
        from pyJoules.energy_meter import EnergyMeter

        self._meter = EnergyMeter(DeviceFactory.create_devices())

    def begin(self) -> None:
        self._meter.start()

    def end(self) -> None:
        self._meter.stop()

    def energies(self) -> Energies:
        energy: Mapping[str, float] = self._meter.get_trace()[0].energy
        cpu = [value for name, value in energy.items() if name.startswith(("package", "dram"))]
        gpu = [value for name, value in energy.items() if name.startswith("nvidia")]
        return Energies(sum(cpu) * 1e-6 if cpu else None, sum(gpu) * 1e-3 if gpu else None)


TOOLS: dict[str, type[Tool]] = {
    "mlee": Mlee,
    "Zeus": Zeus,
    "CodeCarbon": CodeCarbon,
    "carbontracker": Carbontracker,
    "pyRAPL": PyRapl,
    "pyJoules": PyJoules,
}


def import_everything() -> None:
    """Import all tools, so that processes forked from here need not, and leave the driver library closed."""
    import pynvml

    for module in ("carbontracker.tracker", "codecarbon", "pyJoules.energy_meter", "pyRAPL", "zeus.monitor", "mlee.monitor"):
        import_module(module)
    for sensor in ("nvml", "rapl", "process"):
        import_module(f"mlee.sensors.{sensor}")
    with suppress(pynvml.NVMLError):
        while True:
            pynvml.nvmlShutdown()


def stub_environment(folder: Path) -> dict[str, str]:
    """Return environment variables for a process in whose children the stub and a `nvidia-smi` are found."""
    config = folder / "no_gpu.txt"
    write_config(config, [])
    smi = folder / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text("#!/bin/sh\n")
    smi.chmod(0o755)
    env = environment(config)
    return {**env, "PATH": f"{smi.parent}:{env['PATH']}", "PYTHONWARNINGS": "ignore"}


def enter_machine(powercap: Path, sockets: int, stub_config: Path) -> None:
    """Let this process, and those it starts, see the simulated machine; raises `OSError` where namespaces are forbidden."""
    os.environ["MLEE_STUB_NVML"] = str(stub_config)
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: Any) -> None:
        if getattr(libc, name)(*arguments) != 0:
            raise OSError(ctypes.get_errno(), f"{name} failed: the comparison needs root or user namespaces")

    call("unshare", _NEW_MOUNTS | (0 if os.geteuid() == 0 else _NEW_USER))
    call("mount", b"none", b"/", None, _RECURSIVE_PRIVATE, None)
    call("mount", b"none", b"/sys/class", b"tmpfs", 0, None)
    os.symlink(powercap, "/sys/class/powercap")
    for cpu in range(os.cpu_count() or 1):
        socket = Path("/sys/devices/system/cpu", f"cpu{cpu}", "topology", "physical_package_id")
        simulated = stub_config.with_name(f"socket_{cpu % sockets}")
        simulated.write_text(f"{cpu % sockets}\n")
        if socket.exists():
            call("mount", os.fsencode(simulated), os.fsencode(socket), None, _BIND, None)

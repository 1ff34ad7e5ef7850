"""The machines a training runs on: one process measures each of them, and nothing is counted twice."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from mlee.backends.training_base import Team
from mlee.experiment import HOST_PREFIX, RESUMED_PREFIX, ExperimentFolder
from mlee.measuring import MeasuringOptions, sensor_options, try_sensors
from mlee.monitor import Monitor
from mlee.platform_info import execution_platform, visible_gpus
from mlee.records import ExecutionPlatform, Measurement, Warning
from mlee.training.summing import side_by_side

#: The same for all processes and containers of one machine, another one after each start of it.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class _Member:
    """Where a process of the team runs, and the GPU it uses."""

    machine: str
    name: str
    process: int
    gpu_uuids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """The monitor of this process, where it is the one that measures its machine."""

    monitor: Monitor | None

    def power_w(self) -> float | None:
        """Power of this machine now [W], for people to look at."""
        return None if self.monitor is None else self.monitor.power_w()


class Hosts:
    """All machines of a team, seen from one of its processes; every method is called by all of them at the same time."""

    def __init__(self, team: Team, device: str, gpu_uuids: tuple[str, ...], options: MeasuringOptions) -> None:
        """Find out which processes share a machine: the first of each measures it."""
        self._team, self._options = team, options
        members = team.gather(_Member(_machine(), socket.gethostname(), os.getpid(), gpu_uuids))
        own = members[team.rank]
        machines = list(dict.fromkeys(member.machine for member in members))
        self.count = len(machines)
        self._number = machines.index(own.machine)
        self.measures = [member.machine for member in members].index(own.machine) == team.rank
        here = [member for member in members if member.machine == own.machine]
        self._uuids = tuple(dict.fromkeys(uuid for member in here for uuid in member.gpu_uuids))
        self._name = own.name if len({m.name for m in members}) == self.count else f"{own.name} ({self._number + 1})"
        self.sensor_options = replace(
            sensor_options(device, self._uuids, options),
            processes=tuple(member.process for member in here if member is not own),
        )

    def check_sensors(self) -> None:
        """Try the sensors of each machine before time is spent; raises `SensorUnavailable`."""
        if self.measures:
            try_sensors(self._options.sensors, self.sensor_options)

    def platform(self) -> ExecutionPlatform:
        """Describe the leader's machine, with the GPUs of all."""
        found = execution_platform(visible_gpus(self._uuids))
        parts = self._team.gather(found.gpus if self.measures else ())
        return replace(found, gpus=tuple(gpu for gpus in parts for gpu in gpus))

    @contextmanager
    def monitor(self, folder: ExperimentFolder, resumed: int) -> Iterator[Watched]:
        """Measure as long as the block lasts; traces go to `folder`, or to a folder of their own inside it."""
        if not self.measures:
            yield Watched(None)
            return
        place = folder.path
        if resumed:
            place = place / f"{RESUMED_PREFIX}{resumed}"
        if self._number:
            place = place / f"{HOST_PREFIX}{self._number}"
        place.mkdir(parents=True, exist_ok=True)
        with Monitor(
            self._options.sensors,
            gpu_interval_s=self._options.gpu_interval_s,
            cpu_interval_s=self._options.cpu_interval_s,
            folder=place,
            options=self.sensor_options,
        ) as monitor:
            yield Watched(monitor)

    @contextmanager
    def window(self, watched: Watched, name: str) -> Iterator[None]:
        """Measure the block on every machine; all processes begin it together."""
        with watched.monitor.window(name) if watched.monitor is not None else nullcontext():
            self._team.gather(None)  # opening a window takes a while: nobody starts before
            yield

    def measured(self, watched: Watched, name: str) -> Measurement:
        """Return what all machines took during a window."""
        found = None if watched.monitor is None else (self._name, watched.monitor.measurements[name])
        return side_by_side([part for part in self._team.gather(found) if part is not None])

    def warnings(self, watched: Watched) -> list[Warning]:
        """Return the remarks of all machines."""
        found = [] if watched.monitor is None else watched.monitor.warnings
        return [warning for part in self._team.gather(found) for warning in part]

    def missing(self, watched: Watched) -> dict[str, str]:
        """Name what could not be measured on some machine, with the reason."""
        found = {} if watched.monitor is None else watched.monitor.missing()
        return {sensor: reason for part in self._team.gather(found) for sensor, reason in part.items()}

    def sampler_cpu_s(self, watched: Watched) -> float:
        """CPU time that measuring took on all machines [s]."""
        return sum(self._team.gather(0.0 if watched.monitor is None else watched.monitor.sampler_cpu_s))


def _machine() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()

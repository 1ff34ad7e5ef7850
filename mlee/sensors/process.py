"""The `process` sensor: CPU time and memory of the run, and whether somebody else used the machine."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mlee.errors import SensorUnavailable
from mlee.records import Device, Warning
from mlee.sensors.base import Channel, Reading, Sensor, SensorOptions
from mlee.sensors.process_tree import MachineLoad, ProcessTree

#: Other processes that use more than this share of the machine's logical CPUs are worth a warning.
MAX_OTHER_LOAD = 0.1


class ProcessSensor(Sensor):
    """Reads the run's process tree; it knows no energy."""

    name = "process"
    extra_columns = ("cpu_time_s", "memory_bytes", "machine_busy_s")

    def __init__(self, options: SensorOptions) -> None:
        """Find the process tree of this run."""
        super().__init__()
        self._clock = options.clock
        try:
            self._tree = ProcessTree(proc=options.proc, others=options.processes)
            self._tree.refresh_now(options.clock())
        except ImportError as error:
            raise SensorUnavailable("The package psutil is not installed.", "run `pip install psutil`") from error
        try:
            self._load: MachineLoad | None = MachineLoad(options.proc)
        except OSError:
            self._load = None
        device = Device(kind="system", index=0, name="process tree of the run")
        self.channels = (Channel(device=device, key="process", sensor=self.name, counter=False, gauge=False, added=False),)

    def _busy(self) -> float | None:
        try:
            return None if self._load is None else self._load.busy_s()
        except (OSError, ValueError):
            return None

    def read(self, *, everything: bool = False) -> Sequence[Reading | None]:
        """Read CPU time and memory; `everything` lists the descendants anew and reads the machine's load."""
        now = self._clock()
        if everything:
            self._tree.refresh_now(now)
        else:
            self._tree.refresh(now)
        cpu_s, memory = self._tree.usage()
        return (Reading(now, None, None, (cpu_s, float(memory), self._busy() if everything else None)),)

    def close(self) -> None:
        """Close the files of the process tree and of the machine."""
        self._tree.close()
        if self._load is not None:
            self._load.close()

    def check_window(self, first: Sequence[Reading | None], last: Sequence[Reading | None]) -> list[Warning]:
        """Warn when other processes kept a noticeable share of the CPUs busy."""
        if not first or not last or first[0] is None or last[0] is None:
            return []
        (cpu_from, _, busy_from), (cpu_to, _, busy_to) = first[0].extras, last[0].extras
        elapsed_s = last[0].t_s - first[0].t_s
        if None in (cpu_from, cpu_to, busy_from, busy_to) or elapsed_s < 1:  # a few ticks of 10 ms prove nothing
            return []
        other_s = (busy_to or 0) - (busy_from or 0) - ((cpu_to or 0) - (cpu_from or 0))
        share = other_s / elapsed_s / (os.cpu_count() or 1)
        if share <= MAX_OTHER_LOAD:
            return []
        message = f"Other processes kept {share:.0%} of the machine's CPUs busy: they are part of the measured energy."
        return [Warning(code="other-load", message=message)]

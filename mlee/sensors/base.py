"""What a sensor is: something that looks at devices and returns readings."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from mlee.readings import Channel, Reading
from mlee.records import Warning

__all__ = ["Channel", "Clock", "Reading", "Sensor", "SensorOptions"]

Clock = Callable[[], float]
#: Environment variable with the powercap folder, for containers that mount the host's somewhere else.
POWERCAP_VARIABLE = "MLEE_POWERCAP"


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorOptions:
    """Everything a sensor may need to know; each takes what concerns it."""

    gpu_uuids: tuple[str, ...] | None = None
    gpus_unused_because: str | None = None
    #: Other processes that belong to the run: those that torchrun started beside this one.
    processes: tuple[int, ...] = ()
    cpu_watts: tuple[float, float] | None = None
    profile: str = "steady"
    powercap: Path = field(default_factory=lambda: Path(os.environ.get(POWERCAP_VARIABLE, "/sys/class/powercap")))
    perf_power: Path = Path("/sys/bus/event_source/devices/power")
    proc: Path = Path("/proc")
    clock: Clock = field(default=time.monotonic)


class Sensor(ABC):
    """Reads one source of power, energy or load for one or more devices.

    A sensor is opened by its constructor, which raises `SensorUnavailable` with a mend where it cannot work, and is read
    from one thread at a time. A device that fails for good is reported once in `problems` and reads `None` from then on.
    """

    name: ClassVar[str]
    extra_columns: ClassVar[tuple[str, ...]] = ()
    #: The sensor must be read at least this often [s], or a wrap of its counter could be missed; `None`: no limit.
    max_interval_s: float | None = None

    def __init__(self) -> None:
        """Prepare the fields that every sensor has."""
        self.channels: tuple[Channel, ...] = ()
        self.notes: list[str] = []
        self.problems: list[Warning] = []

    @abstractmethod
    def read(self, *, everything: bool = False) -> Sequence[Reading | None]:
        """Look at every device once: one reading a channel, `None` where the device gave nothing.

        With `everything`, columns that are otherwise refreshed more rarely are read as well.
        """

    def read_counters(self) -> Sequence[Reading | None]:
        """Look at the energy counters only; called in quick succession at the edges of a window."""
        return self.read()

    def check_window(self, first: Sequence[Reading | None], last: Sequence[Reading | None]) -> list[Warning]:
        """Say what disturbed a window that lies between two complete readings."""
        return []

    def close(self) -> None:
        """Give the source back. May be called twice."""
        return

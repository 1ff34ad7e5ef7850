"""One sensor, read in the background: its thread, its trace, and the windows that are open on it."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlee.energy import WindowEnergy
from mlee.readings import Reading
from mlee.records import Warning
from mlee.sensors.base import Clock, Sensor
from mlee.traces import TraceWriter

#: A sensor that keeps its lock longer than this is stuck in the driver: the run goes on without it [s].
STUCK_S = 2.0

#: Background readings are folded and written down this often: with the interval added, about once a second [s].
WORK_OFF_S = 0.8
#: Up to here a wait is a plain sleep, the cheapest there is; a longer one can be ended early [s].
SHORT_WAIT_S = 0.5

log = logging.getLogger(__name__)


@dataclass(slots=True)
class WindowPart:
    """What one open window knows of one sensor: the readings around it, and a fold for each channel."""

    first: Sequence[Reading | None]
    folds: list[WindowEnergy | None]
    end_s: float = math.inf
    #: The first reading of each channel at or after the end.
    after: dict[int, Reading] = field(default_factory=dict)


class SensorThread:
    """One sensor with its thread, its trace and the windows that are open on it."""

    def __init__(self, sensor: Sensor, interval_s: float, trace: TraceWriter | None, clock: Clock) -> None:
        """Take over an open sensor and its trace; `start` begins."""
        self.sensor = sensor
        self.interval_s = interval_s
        self.lock = threading.Lock()
        self.parts: dict[int, WindowPart] = {}
        self.warnings: list[Warning] = []
        self.alive = True
        self.stuck = False
        self.cpu_s = 0.0
        self._trace = trace
        self._clock = clock
        self._latest: Sequence[Reading | None] = ()
        self._before: Sequence[Reading | None] = ()
        self._pending: list[Sequence[Reading | None]] = []
        self._worked_off_s = clock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mlee-{sensor.name}", daemon=True)

    def start(self) -> None:
        """Begin to read in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End reading and close trace and sensor; a thread that does not come back is left behind with its sensor."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout=STUCK_S)
        if self._thread.is_alive():
            self.fail("sensor-stuck", "did not come back from the driver")
            return  # closing under a reading thread could crash the process
        self._work_off()
        if self._trace is not None:
            self._trace.close()
            self._trace = None
        self.sensor.close()

    def fail(self, code: str, what: str) -> None:
        """Give the sensor up and say so, once."""
        if self.alive:
            self.alive = False
            self.warnings.append(Warning(code=code, message=f"Sensor {self.sensor.name} {what}: its energy is partial."))

    def read(self, *, everything: bool = False, in_background: bool = False) -> Sequence[Reading | None] | None:
        """Read the sensor, fold the readings into the open windows, write them down; the lock must be held.

        In the background the readings are folded and written once a second, all at once: woken up for a moment, a CPU runs
        code from cold caches, and the less of it the cheaper.
        """
        if not self.alive:
            return None
        try:
            readings = self.sensor.read(everything=everything)
        except Exception as error:  # whatever a sensor does must not disturb the run
            log.debug("sensor %s failed", self.sensor.name, exc_info=True)
            self.fail("sensor-failed", f"failed ({type(error).__name__}: {error})")
            self._work_off()
            return None
        self._before, self._latest = self._latest, readings
        self._pending.append(readings)
        if not in_background or self._clock() - self._worked_off_s >= WORK_OFF_S:
            self._work_off()
        return readings

    def _work_off(self) -> None:
        """Fold the pending readings into the open windows and write them down."""
        self._worked_off_s = self._clock()
        pending, self._pending = self._pending, []
        for readings in pending:
            for part in self.parts.values():
                for index, (fold, reading) in enumerate(zip(part.folds, readings, strict=True)):
                    if fold is None or reading is None:
                        continue
                    if reading.t_s < part.end_s:
                        fold.add(reading)
                    else:
                        part.after.setdefault(index, reading)
        self._write(pending)

    def power_w(self) -> float | None:
        """Power of the sensor's added devices between its latest two looks [W]."""
        powers = []
        for channel, now, before in zip(self.sensor.channels, self._latest, self._before, strict=False):
            if not channel.added or now is None or before is None:
                continue
            if now.power_w is not None:
                powers.append(now.power_w)
            elif now.energy_j is not None and before.energy_j is not None and now.t_s > before.t_s:
                powers.append(max(0.0, (now.energy_j - before.energy_j) / (now.t_s - before.t_s)))
        return sum(powers) if powers else None

    def read_counters(self) -> Sequence[Reading | None] | None:
        """Read the counters only, for the edge of a window; the lock must be held."""
        if not self.alive:
            return None
        try:
            return self.sensor.read_counters()
        except Exception as error:  # noqa: BLE001
            self.fail("sensor-failed", f"failed ({type(error).__name__}: {error})")
            return None

    def look(self) -> Sequence[Reading | None] | None:
        """Read the counters only and write them down: what they show at the edge of a window; the lock must be held."""
        self._work_off()
        shown = self.read_counters()
        if shown is None:
            return None
        shown = [reading if reading is not None and reading.energy_j is not None else None for reading in shown]
        self._write([shown])
        return shown

    def _write(self, looks: Sequence[Sequence[Reading | None]]) -> None:
        """Write looks at the sensor down and hand them to the operating system: they survive whatever ends the run."""
        if self._trace is None:
            return
        try:
            for readings in looks:
                self._trace.write(readings)
            self._trace.flush(self._clock())
        except OSError as error:
            self.warnings.append(
                Warning(
                    code="trace-lost",
                    message=f"The trace of {self.sensor.name} ends early ({error}); its energy is still counted.",
                )
            )
            self._trace.close()
            self._trace = None

    def _run(self) -> None:
        try:
            self._sample()
        except Exception as error:  # a thread that dies unnoticed would leave a trace that looks whole
            log.debug("thread of sensor %s failed", self.sensor.name, exc_info=True)
            self.fail("sensor-failed", f"could not be sampled ({type(error).__name__}: {error})")

    def _sample(self) -> None:
        interval_s = min(self.interval_s, self.sensor.max_interval_s or self.interval_s)
        started_s = self._clock()
        tick = 0
        while self.alive:
            # An absolute schedule does not drift; a tick that comes too late is skipped, not made up for.
            tick = max(tick + 1, int((self._clock() - started_s) / interval_s) + 1)
            wait_s = max(0.0, started_s + tick * interval_s - self._clock())
            if wait_s <= SHORT_WAIT_S:
                time.sleep(wait_s)
            else:
                self._ending.wait(timeout=min(wait_s, threading.TIMEOUT_MAX))
            if self._ending.is_set():
                break
            with self.lock:
                self.read(in_background=True)
            self.cpu_s = time.thread_time()

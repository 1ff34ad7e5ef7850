"""The sampler: background threads that look at sensors, and windows whose energy they add up.

One thread a sensor, on an absolute schedule of the monotonic clock. The thread that opens or closes a window reads the
sensors itself at that moment, so a starved sampler thread costs detail in the trace, never energy. Nothing that goes wrong
in a sensor disturbs the run: it becomes a warning, and coverage falls.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlee.edges import Edge, TickWatch, end_edge, start_edge
from mlee.energy import WindowEnergy, judge
from mlee.readings import Reading
from mlee.records import DeviceEnergy, Measurement, Warning
from mlee.sensors.base import Clock, Sensor
from mlee.traces import TraceWriter

#: Pause between two looks at a counter while waiting for its next update [s].
POLL_S = 0.0002
#: A sensor that holds its lock longer than this is stuck in the driver: the run goes on without it [s].
STUCK_S = 2.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _WindowPart:
    """What one window knows of one sensor."""

    first: Sequence[Reading | None]
    folds: list[WindowEnergy | None]
    end_s: float = math.inf


class _Line:
    """One sensor with its thread, its trace and the windows that are open on it."""

    def __init__(self, sensor: Sensor, interval_s: float, trace: TraceWriter | None, clock: Clock) -> None:
        self.sensor = sensor
        self.interval_s = interval_s
        self.lock = threading.Lock()
        self.parts: dict[int, _WindowPart] = {}
        self.warnings: list[Warning] = []
        self.alive = True
        self.stuck = False
        self.cpu_s = 0.0
        self._trace = trace
        self._clock = clock
        self._latest: Sequence[Reading | None] = ()
        self._before: Sequence[Reading | None] = ()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mlee-{sensor.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=STUCK_S)
        if self._thread.is_alive():
            self.fail("sensor-stuck", "did not come back from the driver")
            return  # closing under a reading thread could crash the process
        if self._trace is not None:
            self._trace.close()
            self._trace = None
        self.sensor.close()

    def fail(self, code: str, what: str) -> None:
        """Give the sensor up and say so, once."""
        if self.alive:
            self.alive = False
            self.warnings.append(Warning(code=code, message=f"Sensor {self.sensor.name} {what}: its energy is partial."))

    def read(self, *, everything: bool = False) -> Sequence[Reading | None] | None:
        """Read the sensor, fold the readings into the open windows, write them down; the lock must be held."""
        if not self.alive:
            return None
        try:
            readings = self.sensor.read(everything=everything)
        except Exception as error:  # whatever a sensor does must not disturb the run
            log.debug("sensor %s failed", self.sensor.name, exc_info=True)
            self.fail("sensor-failed", f"failed ({type(error).__name__}: {error})")
            return None
        for part in self.parts.values():
            for fold, reading in zip(part.folds, readings, strict=True):
                if fold is not None and reading is not None and reading.t_s < part.end_s:
                    fold.add(reading)
        self._before, self._latest = self._latest, readings
        self._write(readings)
        return readings

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
        try:
            return self.sensor.read_counters()
        except Exception as error:  # noqa: BLE001
            self.fail("sensor-failed", f"failed ({type(error).__name__}: {error})")
            return None

    def _write(self, readings: Sequence[Reading | None]) -> None:
        if self._trace is None:
            return
        try:
            self._trace.write(readings)
        except OSError as error:
            self.warnings.append(
                Warning(
                    code="trace-lost",
                    message=f"The trace of {self.sensor.name} ends early ({error}); its energy is still counted.",
                )
            )
            self._trace = None

    def _run(self) -> None:
        interval_s = min(self.interval_s, self.sensor.max_interval_s or self.interval_s)
        started_s = self._clock()
        tick = 0
        while self.alive:
            # An absolute schedule does not drift; a tick that comes too late is skipped, not made up for.
            tick = max(tick + 1, int((self._clock() - started_s) / interval_s) + 1)
            if self._stop.wait(started_s + tick * interval_s - self._clock()):
                break
            with self.lock:
                self.read()
            self.cpu_s = time.thread_time()


@dataclass(slots=True)
class OpenWindow:
    """A window that is being measured; `measurement` is there once it is closed."""

    name: str
    number: int
    start_s: float
    started_at: datetime
    end_s: float | None = None
    measurement: Measurement | None = None
    warnings: list[Warning] = field(default_factory=list)


class Sampler:
    """Samples sensors in the background and measures windows.

    `intervals_s` maps a sensor's name to its sampling interval [s]. With `folder`, every sensor writes a
    `trace_<sensor>.csv` there. `clock` and `sleep` are replaced by tests that need their own time.
    """

    def __init__(
        self,
        sensors: Sequence[Sensor],
        intervals_s: Mapping[str, float],
        *,
        folder: Path | None = None,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take over open sensors; raises `OSError` when a trace cannot be created."""
        self._clock = clock
        self._sleep = sleep
        self._origin_s = clock()
        self._origin_utc = datetime.now(UTC)
        self._numbers = 0
        self._edge_cpu_s = 0.0
        self.lines = [_Line(sensor, intervals_s[sensor.name], self._trace(sensor, folder), clock) for sensor in sensors]

    def _trace(self, sensor: Sensor, folder: Path | None) -> TraceWriter | None:
        if folder is None:
            return None
        path = folder / f"trace_{sensor.name}.csv"
        return TraceWriter(path, sensor.channels, sensor.extra_columns, self._origin_utc, self._origin_s)

    def start(self) -> None:
        """Start the background threads."""
        for line in self.lines:
            line.start()

    def stop(self) -> None:
        """Stop the threads, close traces and sensors. Never raises and never hangs."""
        for line in self.lines:
            line.stop()

    @property
    def warnings(self) -> list[Warning]:
        """What went wrong with sensors so far."""
        found = [warning for line in self.lines for warning in (*line.warnings, *line.sensor.problems)]
        return list(dict.fromkeys(found))

    @property
    def cpu_s(self) -> float:
        """CPU time the sampler itself has used [s]: its threads and the edges of windows."""
        return self._edge_cpu_s + sum(line.cpu_s for line in self.lines)

    def power_w(self) -> float | None:
        """Power of all added devices between the latest two looks [W]; `None` while nothing is known."""
        powers = [power for line in self.lines if (power := line.power_w()) is not None]
        return sum(powers) if powers else None

    def utc(self, monotonic_s: float) -> datetime:
        """Wall-clock time of a monotonic time, on one consistent line from the sampler's start."""
        return self._origin_utc + timedelta(seconds=monotonic_s - self._origin_s)

    def open_window(self, name: str) -> OpenWindow:
        """Open a window: returns once every counter's state at the window's start is known.

        Waits up to two updates of the slowest energy counter (a few ms for RAPL, up to 0.2 s for NVML), outside the window.
        """
        cpu_from_s = time.thread_time()
        number, self._numbers = self._numbers, self._numbers + 1
        with ExitStack() as stack:
            lines = self._lock(stack)
            watches = self._watch_ticks(lines)
            firsts = [line.read(everything=True) for line in lines]
            start_s = self._clock()
            for line, first, watched in zip(lines, firsts, watches, strict=True):
                if first is not None:
                    line.parts[number] = _part(line, first, watched, start_s)
        self._edge_cpu_s += time.thread_time() - cpu_from_s
        return OpenWindow(name, number, start_s, self.utc(start_s))

    def close_window(self, window: OpenWindow) -> Measurement:
        """Close a window at this instant and return what it took; the caller has synchronised its device before."""
        end_s = self._clock()
        cpu_from_s = time.thread_time()
        parts = [line.parts.get(window.number) for line in self.lines]
        for part in parts:
            if part is not None:
                part.end_s = end_s
        added: list[DeviceEnergy] = []
        not_added: list[DeviceEnergy] = []
        with ExitStack() as stack:
            held = self._lock(stack)
            lasts = {line: line.read(everything=True) for line in held}
            watches = dict(zip(held, self._watch_ticks(held), strict=True))
            for line, part in zip(self.lines, parts, strict=True):
                line.parts.pop(window.number, None)
                if part is None:
                    continue
                last = lasts.get(line)
                for index, channel in enumerate(line.sensor.channels):
                    fold, reading = part.folds[index], None if last is None else last[index]
                    if fold is None:
                        continue
                    edge = Edge(end_s, None)
                    if reading is not None:
                        edge = end_edge(channel, end_s, reading, watches[line][index], fold.recent)
                    energy = fold.finish(edge, reading)
                    (added if channel.added else not_added).append(energy)
                    if channel.added:
                        window.warnings.extend(judge(energy, channel, end_s - window.start_s))
                if last is not None:
                    window.warnings.extend(line.sensor.check_window(part.first, last))
        window.end_s = end_s
        window.measurement = Measurement(
            duration_s=end_s - window.start_s,
            started_at=window.started_at,
            devices=tuple(added),
            not_added=tuple(not_added),
        )
        self._edge_cpu_s += time.thread_time() - cpu_from_s
        return window.measurement

    def _lock(self, stack: ExitStack) -> list[_Line]:
        """Hold every sensor for the caller's thread; one that is stuck in its driver is given up."""
        lines = []
        for line in self.lines:
            if line.stuck:
                continue
            if not line.lock.acquire(timeout=STUCK_S):
                line.stuck = True
                line.fail("sensor-stuck", "did not come back from the driver")
                continue
            stack.callback(line.lock.release)
            lines.append(line)
        return lines

    def _watch_ticks(self, lines: Sequence[_Line]) -> list[list[TickWatch]]:
        """Look at the counters in quick succession until each was seen to update twice (or long enough)."""
        watches = [[TickWatch() for _ in line.sensor.channels] for line in lines]
        pending = [
            (watch, channel.counter_period_s)
            for line, watched in zip(lines, watches, strict=True)
            for watch, channel in zip(watched, line.sensor.channels, strict=True)
            if line.alive and channel.counter and channel.counter_period_s > 0
        ]
        polled = [
            (line, watched)
            for line, watched in zip(lines, watches, strict=True)
            if any(channel.counter_period_s > 0 for channel in line.sensor.channels)
        ]
        deadline_s = self._clock() + 2.5 * max((period_s for _, period_s in pending), default=0.0)
        while polled and not all(watch.done for watch, _ in pending) and self._clock() < deadline_s:
            for line, watched in polled:
                readings = line.read_counters() if line.alive else None
                for watch, reading in zip(watched, readings or (), strict=False):
                    if reading is not None:
                        watch.add(reading)
            self._sleep(POLL_S)
        return watches


def _part(line: _Line, first: Sequence[Reading | None], watched: Sequence[TickWatch], start_s: float) -> _WindowPart:
    folds: list[WindowEnergy | None] = []
    for channel, reading, watch in zip(line.sensor.channels, first, watched, strict=True):
        if reading is None or not (channel.counter or channel.gauge):
            folds.append(None)
            continue
        edge = start_edge(channel, start_s, reading, watch)
        folds.append(WindowEnergy(channel, line.interval_s, edge, reading))
    return _WindowPart(first, folds)

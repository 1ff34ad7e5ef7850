"""The sampler: background threads that look at sensors, and windows whose energy they add up.

One thread a sensor, on an absolute schedule of the monotonic clock. The thread that opens or closes a window reads the
sensors itself at that moment, so a starved sampler thread costs detail in the trace, never energy. Nothing that goes wrong
in a sensor disturbs the run: it becomes a warning, and coverage falls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlee.edges import Edge, TickWatch, end_edge, start_edge
from mlee.energy import WindowEnergy, judge
from mlee.readings import Reading
from mlee.records import DeviceEnergy, Measurement, Warning
from mlee.sensor_thread import STUCK_S, SensorThread, WindowPart
from mlee.sensors.base import Clock, Sensor
from mlee.traces import TraceWriter

#: Pause between two looks at a counter while waiting for its next update [s].
POLL_S = 0.0002


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
        traces = self._traces(sensors, folder)
        self.lines = [SensorThread(sensor, intervals_s[sensor.name], traces.get(sensor.name), clock) for sensor in sensors]

    def _traces(self, sensors: Sequence[Sensor], folder: Path | None) -> dict[str, TraceWriter]:
        traces: dict[str, TraceWriter] = {}
        if folder is None:
            return traces
        try:
            for sensor in sensors:
                path = folder / f"trace_{sensor.name}.csv"
                traces[sensor.name] = TraceWriter(
                    path, sensor.channels, sensor.extra_columns, self._origin_utc, self._origin_s
                )
        except BaseException:
            for trace in traces.values():
                trace.close()
            raise
        return traces

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
            lines = self._lock(stack, self.lines)
            # Everything slow comes before the watch: nothing but one look at the counters lies between a tick and the start.
            firsts = {line: line.read(everything=True) for line in lines}
            firsts |= {line: line.read() for line in lines if _is_gauge(line)}
            watches = self._watch_ticks(lines, {}, TickWatch.before)
            looks = {line: line.look() for line in lines if _ticks(line)}
            firsts |= {line: line.read() for line in lines if _is_exact(line)}
            start_s = self._clock()
            for line, watched in zip(lines, watches, strict=True):
                first = firsts[line]
                if first is not None:
                    line.parts[number] = _part(line, first, looks.get(line) or first, watched, start_s)
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
        ends: dict[SensorThread, Sequence[Reading | None] | None] = {}
        watches: dict[SensorThread, list[TickWatch]] = {}
        with ExitStack() as stack:
            # What counts exactly is read first, then the counters that tick, and they are watched from there on: the first
            # tick after the end must not be missed. None waits for a slow neighbour that is just being read by its thread,
            # so those come second. Everything else has time, power least.
            counters = [line for line in self.lines if _is_exact(line) or _ticks(line)]
            for wait in (False, True):
                group = self._lock(stack, [line for line in counters if line not in watches], wait=wait)
                for line in filter(_is_exact, group):
                    line.read()
                looks = {line: line.look() for line in group if _ticks(line)}
                watches |= zip(group, self._watch_ticks(group, looks, TickWatch.after), strict=True)
                ends |= looks
            held = [line for line in self.lines if line in watches]
            held += self._lock(stack, [line for line in self.lines if line not in counters])
            for line in filter(_is_gauge, held):
                line.read()
            lasts = {line: line.read(everything=True) for line in held}
            for line, part in zip(self.lines, parts, strict=True):
                line.parts.pop(window.number, None)
                if part is None:
                    continue
                last, shown = lasts.get(line), ends.get(line)
                for index, channel in enumerate(line.sensor.channels):
                    fold, after = part.folds[index], part.after.get(index)
                    if fold is None:
                        continue
                    reading = after if not _ticks(line) else None if shown is None else shown[index]
                    edge = Edge(end_s, None)
                    if reading is not None:
                        watch = watches[line][index] if line in watches else TickWatch()
                        edge = end_edge(channel, end_s, reading, watch, fold.recent)
                    energy = fold.finish(edge, after)
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

    def _lock(self, stack: ExitStack, wanted: Iterable[SensorThread], *, wait: bool = True) -> list[SensorThread]:
        """Hold sensors for the caller's thread; one that is stuck in its driver is given up.

        Without `wait`, those that are being read right now are left out.
        """
        lines = []
        for line in wanted:
            if line.stuck:
                continue
            if not line.lock.acquire(timeout=STUCK_S if wait else 0):
                if not wait:
                    continue
                line.stuck = True
                line.fail("sensor-stuck", "did not come back from the driver")
                continue
            stack.callback(line.lock.release)
            lines.append(line)
        return lines

    def _watch_ticks(
        self,
        lines: Sequence[SensorThread],
        known: Mapping[SensorThread, Sequence[Reading | None] | None],
        ready: Callable[[TickWatch], object | None],
    ) -> list[list[TickWatch]]:
        """Look at the counters in quick succession until each was seen to update often enough to be `ready` (or too long).

        `known` are readings that were taken just before.
        """
        watches = [[TickWatch() for _ in line.sensor.channels] for line in lines]
        for line, watched in zip(lines, watches, strict=True):
            _show(watched, known.get(line))
        pending = [
            (watch, channel.counter_period_s)
            for line, watched in zip(lines, watches, strict=True)
            for watch, channel in zip(watched, line.sensor.channels, strict=True)
            if line.alive and channel.counter and channel.counter_period_s > 0
        ]
        polled = [(line, watched) for line, watched in zip(lines, watches, strict=True) if _ticks(line)]
        # Two updates, and for quick counters so many looks that the time between two is known well enough.
        patience_s = 2.5 * max((period_s for _, period_s in pending), default=0.0) + 2 * TickWatch.POLLS_APART * POLL_S
        deadline_s = self._clock() + patience_s
        while polled and not all(ready(watch) for watch, _ in pending) and self._clock() < deadline_s:
            for line, watched in polled:
                _show(watched, line.read_counters())
            self._sleep(POLL_S)
        return watches


def _show(watches: Sequence[TickWatch], readings: Sequence[Reading | None] | None) -> None:
    for watch, reading in zip(watches, readings or (), strict=False):
        if reading is not None:
            watch.add(reading)


def _ticks(line: SensorThread) -> bool:
    return any(channel.counter and channel.counter_period_s > 0 for channel in line.sensor.channels)


def _is_exact(line: SensorThread) -> bool:
    return any(channel.counter and channel.counter_period_s == 0 for channel in line.sensor.channels)


def _is_gauge(line: SensorThread) -> bool:
    return any(channel.gauge and not channel.counter for channel in line.sensor.channels)


def _part(
    line: SensorThread,
    first: Sequence[Reading | None],
    looks: Sequence[Reading | None],
    watched: Sequence[TickWatch],
    start_s: float,
) -> WindowPart:
    folds: list[WindowEnergy | None] = []
    for channel, reading, look, watch in zip(line.sensor.channels, first, looks, watched, strict=True):
        if reading is None or not (channel.counter or channel.gauge):
            folds.append(None)
            continue
        shown = reading if look is None else look
        edge = start_edge(channel, start_s, shown, watch)
        folds.append(WindowEnergy(channel, line.interval_s, edge, shown, reading))
    return WindowPart(first, folds)

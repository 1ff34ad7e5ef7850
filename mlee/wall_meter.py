"""The log of a wall meter (sensor `external`), joined to a finished run by wall-clock time.

The log is a CSV file with a header: a time column (`time`, UTC unless it states an offset, or `unix_s`) and a power column
(`power_w`). Nothing is read while a run goes on.
"""

from __future__ import annotations

import csv
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from mlee.energy import MIN_COVERAGE, measure
from mlee.errors import DataError, MeasurementError
from mlee.readings import Channel, Trace
from mlee.records import EXTERNAL, Device, DeviceEnergy, Window

_TIME_COLUMNS = ("unix_s", "time")
_POWER_COLUMN = "power_w"
_MAX_W = 1e9
#: The year 5138: a later time is one in milliseconds.
_MAX_UNIX_S = 1e11


class WallMeterLog:
    """Power of the whole machine over wall-clock time, from a CSV file."""

    def __init__(self, path: Path) -> None:
        """Read and check the file; raises `DataError` naming file and line."""
        self.path = path
        times, powers = _read(path)
        device = Device(kind="system", index=0, name=f"wall meter ({path.name})")
        self._trace = Trace(device=device, sensor=EXTERNAL, t_s=np.array(times), power_w=np.array(powers), energy_j=None)
        #: The meter's own rhythm: the median time between two lines.
        self.interval_s = float(np.median(np.diff(self._trace.t_s)))
        self._channel = Channel(
            device=device,
            key=EXTERNAL,
            sensor=EXTERNAL,
            counter=False,
            gauge=True,
            gauge_period_s=self.interval_s,
            provenance=EXTERNAL,
        )

    def energy(self, started_at: datetime, duration_s: float) -> DeviceEnergy:
        """Energy at the wall during a stretch of time [J]; raises `MeasurementError` where the log does not cover it."""
        start_s = started_at.timestamp()
        window = Window(start_s=start_s, end_s=start_s + duration_s)
        if window.start_s < self._trace.t_s[0] - self.interval_s or window.end_s > self._trace.t_s[-1] + self.interval_s:
            raise MeasurementError(  # becomes a warning of a result, which is published: no folder of this machine
                f"{self.path.name} covers {_utc(self._trace.t_s[0])} to {_utc(self._trace.t_s[-1])}, "
                f"not the run at {_utc(window.start_s)} ({duration_s:.1f} s).",
                "check the clocks and time zones of meter and machine",
            )
        energy = measure(self._trace, window, self._channel, self.interval_s)
        if energy.coverage < MIN_COVERAGE:
            raise MeasurementError(
                f"{self.path.name} has a gap: it covers {energy.coverage:.0%} of the run at {_utc(window.start_s)}.",
                "look why the meter logged nothing, and measure again",
            )
        return energy


def _read(path: Path) -> tuple[list[float], list[float]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark first
            rows = csv.DictReader(file)
            columns = rows.fieldnames or []
            time_column = next((name for name in _TIME_COLUMNS if name in columns), None)
            if time_column is None or _POWER_COLUMN not in columns:
                raise DataError(
                    f"{path} has the columns {', '.join(columns) or '(none)'}.",
                    f"name the columns time (or unix_s) and {_POWER_COLUMN} in the first line",
                )
            times: list[float] = []
            powers: list[float] = []
            for row in rows:
                try:
                    when, power = _seconds(row[time_column]), float(row[_POWER_COLUMN])
                except (TypeError, ValueError) as error:
                    raise DataError(f"{path}, line {rows.line_num}: {error}") from error
                if not 0 <= power <= _MAX_W:
                    raise DataError(f"{path}, line {rows.line_num}: {_POWER_COLUMN} must be 0 to {_MAX_W:g} W, got {power}")
                if not 0 <= when <= _MAX_UNIX_S:
                    raise DataError(
                        f"{path}, line {rows.line_num}: time {when:g} s since 1970 is not of this age.",
                        "unix_s counts seconds, not milliseconds",
                    )
                if times and when <= times[-1]:
                    raise DataError(f"{path}, line {rows.line_num}: time does not go forward")
                times.append(when)
                powers.append(power)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}", "give the CSV log of a wall meter") from error
    if len(times) < 2:
        raise DataError(f"{path} holds fewer than two readings.")
    return times, powers


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        when = datetime.fromisoformat(text.strip())
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(f"time must be finite, got {text}")
    return seconds


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

"""Trace files: the readings of one sensor as CSV, written as they come and readable after any kind of end.

The first line is a `#` with JSON (format, version, sensor, devices, UTC and monotonic time of the start), the second names
the columns with their units, then one line a reading: monotonic time, device key, energy, power and the sensor's own
columns. An empty cell means that the device gave nothing.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from pydantic import AwareDatetime, FiniteFloat, TypeAdapter, ValidationError

from mlee.errors import ResultError, UnsupportedVersion
from mlee.files import close_quietly
from mlee.readings import Channel, Reading, Trace
from mlee.records import Device

FORMAT = "mlee-trace"
VERSION = 1
FLUSH_S = 1.0
_COLUMNS = ("t_s", "device", "energy_j", "power_w")

log = logging.getLogger(__name__)


class TraceWriter:
    """Appends readings to a trace file; what is older than a second is in the hands of the operating system."""

    def __init__(
        self, path: Path, channels: Sequence[Channel], extra_columns: Sequence[str], start: datetime, start_s: float
    ) -> None:
        """Create the file and its two header lines; raises `OSError`."""
        self._keys = [channel.key for channel in channels]
        self._no_extras = "," * len(extra_columns)
        header = {
            "format": FORMAT,
            "version": VERSION,
            "sensor": channels[0].sensor if channels else path.stem.removeprefix("trace_"),
            "start_utc": start.isoformat(),
            "start_monotonic_s": start_s,
            "devices": {channel.key: asdict(channel.device) for channel in channels},
        }
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115 - open as long as the run
        try:
            self._file.write(f"# {json.dumps(header)}\n{','.join((*_COLUMNS, *extra_columns))}\n")
            self._file.flush()
        except OSError:
            close_quietly(self._file)
            raise
        self._pending: list[str] = []
        self._flushed_s = start_s

    def write(self, readings: Sequence[Reading | None]) -> None:
        """Take one reading a channel; raises `OSError` when the disk refuses (at most a second of readings is lost)."""
        pending = self._pending
        last_s = self._flushed_s
        for key, reading in zip(self._keys, readings, strict=True):
            if reading is not None:
                last_s, energy_j, power_w, extras = reading
                energy = "" if energy_j is None else f"{energy_j:.6f}"
                power = "" if power_w is None else f"{power_w:.3f}"
                line = f"{last_s:.6f},{key},{energy},{power}"
                if not extras:  # a look at the counter alone
                    line += self._no_extras
                for value in extras:
                    line += "," if value is None else f",{value:.10g}"
                pending.append(line)
        if last_s - self._flushed_s >= FLUSH_S:
            self.flush(last_s)

    def flush(self, now_s: float | None = None) -> None:
        """Hand everything to the operating system."""
        lines, self._pending = self._pending, []
        if now_s is not None:
            self._flushed_s = now_s
        if lines:
            self._file.write("\n".join(lines) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Flush and close; an error while flushing is logged, since nothing more can be done."""
        try:
            self.flush()
        except OSError as error:
            log.warning("The end of trace %s is lost: %s", self._file.name, error)
        close_quietly(self._file)


@dataclass(slots=True)
class TraceFile:
    """A trace file read back: what its header says, one `Trace` a device, and remarks about damage."""

    path: Path
    sensor: str
    start_utc: datetime
    start_monotonic_s: float
    traces: dict[str, Trace]
    warnings: list[str] = field(default_factory=list)


def read_trace(path: Path) -> TraceFile:
    """Read a trace file.

    A torn last line (the run was killed while writing) is dropped with a remark. Raises `ResultError` naming file and line
    for any other damage, `UnsupportedVersion` for a newer format.
    """
    try:
        with open(path, encoding="utf-8", errors="strict") as file:
            header = _read_header(path, file.readline())
            columns = file.readline().rstrip("\n").split(",")
            if tuple(columns[:4]) != _COLUMNS:
                raise ResultError(f"{path}, line 2: expected the columns {', '.join(_COLUMNS)}, got {columns}")
            result = TraceFile(
                path=path,
                sensor=header.sensor,
                start_utc=header.start_utc,
                start_monotonic_s=header.start_monotonic_s,
                traces={},
            )
            rows: dict[str, list[tuple[float, float, float]]] = {key: [] for key in header.devices}
            for number, (line, is_last) in enumerate(_with_last(file), start=3):
                try:
                    key, row = _parse(line, len(columns))
                    rows[key].append(row)
                except (ValueError, KeyError) as error:
                    if is_last and not line.endswith("\n"):
                        result.warnings.append(f"{path}, line {number}: torn last line dropped")
                        break
                    raise ResultError(
                        f"{path}, line {number}: not a reading: {line.strip()[:80]!r}",
                        "the trace was changed or damaged after the run; delete that line to go on without it",
                    ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ResultError(f"{path} cannot be read: {error}") from error
    for key, device in header.devices.items():
        result.traces[key] = _trace(path, device, result.sensor, rows[key])
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    sensor: str
    start_utc: AwareDatetime
    start_monotonic_s: FiniteFloat
    devices: dict[str, Device]


def _read_header(path: Path, line: str) -> _Header:
    try:
        header = json.loads(line.removeprefix("#"))
        if header["format"] != FORMAT:
            raise ValueError(f"format is {header['format']!r}")
        if header["version"] > VERSION:
            raise UnsupportedVersion(
                f"{path} has trace format version {header['version']}, this program reads up to {VERSION}.",
                "update mlee",
            )
        if header["version"] != VERSION:
            raise ValueError(f"version is {header['version']!r}")
        fields = {key: header[key] for key in ("sensor", "start_utc", "start_monotonic_s", "devices")}
        return TypeAdapter(_Header).validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ResultError(f"{path}, line 1: not the header of a trace: {where}: {problem['msg']}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ResultError(f"{path}, line 1: not the header of a trace: {error}") from error


def _parse(line: str, columns: int) -> tuple[str, tuple[float, float, float]]:
    # A line without its end may have lost digits even where it still looks like a reading.
    if not line.endswith("\n"):
        raise ValueError("torn line")
    cells = line.rstrip("\n").split(",")
    if len(cells) != columns:
        raise ValueError(f"{len(cells)} cells instead of {columns}")
    t_s, energy_j, power_w = (float(cells[i]) if cells[i] else math.nan for i in (0, 2, 3))
    if not all(math.isfinite(value) for value, cell in ((t_s, "t"), (energy_j, cells[2]), (power_w, cells[3])) if cell):
        raise ValueError("not a finite number")
    return cells[1], (t_s, energy_j, power_w)


def _with_last(lines: Iterator[str]) -> Iterator[tuple[str, bool]]:
    previous: str | None = None
    for line in lines:
        if previous is not None:
            yield previous, False
        previous = line
    if previous is not None:
        yield previous, True


def _trace(path: Path, device: Device, sensor: str, rows: list[tuple[float, float, float]]) -> Trace:
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    energy, power = table[:, 1], table[:, 2]
    try:
        return Trace(
            device=device,
            sensor=sensor,
            t_s=table[:, 0],
            energy_j=None if np.isnan(energy).all() else energy,
            power_w=None if np.isnan(power).all() else power,
        )
    except ValueError as error:
        raise ResultError(f"{path}: {error}") from error

"""Windows that are measured: the class behind `mlee.monitor.Monitor`."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from mlee.errors import ConfigError, ResultError
from mlee.files import close_quietly
from mlee.monitor import PHASES_FILE
from mlee.records import Measurement, Warning
from mlee.sampling import OpenWindow, Sampler
from mlee.sensors import open_sensors
from mlee.sensors.base import SensorOptions

log = logging.getLogger(__name__)


class Monitor:
    """Samples the machine's power in the background and measures named windows.

    `sensors` is "auto" or names (see `python infer.py --check`); intervals are in seconds; with `folder`, traces and
    `phases.csv` are written there while the run goes on. Raises `SensorUnavailable` when a sensor asked for by name does
    not work, `ConfigError` for intervals that are not positive, and `ResultError` when `folder` cannot be written to.
    """

    def __init__(
        self,
        sensors: str | Sequence[str] = "auto",
        *,
        gpu_interval_s: float = 0.2,
        cpu_interval_s: float = 0.2,
        folder: Path | None = None,
        options: SensorOptions | None = None,
    ) -> None:
        """Open the sensors; sampling starts with the `with` block."""
        for name, value in (("gpu_interval_s", gpu_interval_s), ("cpu_interval_s", cpu_interval_s)):
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(
                    f"{name} must be a positive number of seconds, got {value}.",
                    "to leave a sensor out, name the others with --sensors",
                )
        names = [sensors] if isinstance(sensors, str) else list(sensors)
        options = SensorOptions() if options is None else options
        opened, self.not_measured = open_sensors(names, options)
        self.sensors = tuple(opened)
        intervals_s = {sensor.name: gpu_interval_s if sensor.name == "nvml" else cpu_interval_s for sensor in opened}
        self._phases: _PhaseLog | None = None
        try:
            with ExitStack() as opening:  # what fails leaves nothing open
                for sensor in opened:
                    opening.callback(sensor.close)
                if folder is not None:
                    self._phases = _PhaseLog(folder / PHASES_FILE)
                    opening.callback(self._phases.close)
                self._sampler = Sampler(opened, intervals_s, folder=folder, clock=options.clock)
                opening.pop_all()
        except OSError as error:
            raise ResultError(
                f"The traces cannot be written to {folder}: {error.strerror}.", "free space or choose another folder"
            ) from error
        self._window_warnings: list[Warning] = []
        self._measurements: dict[str, Measurement] = {}

    def __enter__(self) -> Self:
        """Start sampling."""
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop sampling and close all files."""
        self.stop()

    def stop(self) -> None:
        """Stop sampling and close all files; may be called twice."""
        self._sampler.stop()
        if self._phases is not None:
            self._phases.close()

    @contextmanager
    def window(self, name: str) -> Iterator[OpenWindow]:
        """Measure the block: afterwards the yielded object's `measurement` holds duration and energy.

        Synchronise the device before leaving the block (`torch.cuda.synchronize()`), or its last work falls outside. A block
        that raises is measured up to there.
        """
        opened = self._sampler.open_window(name)
        self._note(opened.start_s, "open", name)
        try:
            yield opened
        finally:
            self._measurements[name] = self._sampler.close_window(opened)
            self._window_warnings.extend(opened.warnings)
            self._note(opened.end_s or math.nan, "close", name)

    def _note(self, at_s: float, event: str, name: str) -> None:
        if self._phases is None:
            return
        try:
            self._phases.write(at_s, event, name)
        except OSError as error:
            log.warning("%s cannot be written: %s", PHASES_FILE, error)
            self._phases.close()
            self._phases = None

    @property
    def measurements(self) -> dict[str, Measurement]:
        """The closed windows by name; a name used twice keeps its last window."""
        return dict(self._measurements)

    @property
    def warnings(self) -> list[Warning]:
        """What a reader of the measurements must know: sensor failures and windows that cannot be trusted fully."""
        return list(dict.fromkeys([*self._sampler.warnings, *self._window_warnings]))

    def power_w(self) -> float | None:
        """Power of all added devices at the latest readings [W], for people to look at."""
        return self._sampler.power_w()

    @property
    def sampler_cpu_s(self) -> float:
        """CPU time that measuring itself has taken [s]."""
        return self._sampler.cpu_s

    def missing(self) -> dict[str, str]:
        """Name what `auto` could not measure, with the reason and its mend."""
        return {entry.sensor: str(entry) for entry in self.not_measured}


class _PhaseLog:
    """Appends when windows open and close, at once, so that a run that dies shows how far it came."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115 - open as long as the run
        self._rows = csv.writer(self._file, lineterminator="\n")
        try:
            self._rows.writerow(("t_s", "event", "phase"))
            self._file.flush()
        except OSError:
            self.close()
            raise

    def write(self, at_s: float, event: str, name: str) -> None:
        self._rows.writerow((f"{at_s:.6f}", event, name))
        self._file.flush()

    def close(self) -> None:
        close_quietly(self._file)

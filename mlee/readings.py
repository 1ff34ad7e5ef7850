"""What sensors produce: readings of a device, and what is known of the view that gave them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlee.records import Device, Method, Provenance


class Reading(NamedTuple):
    """One look at one device: monotonic time [s], cumulative energy [J], power [W], and the sensor's extra columns."""

    t_s: float
    energy_j: float | None
    power_w: float | None
    extras: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One device as one sensor sees it, and how good that view is.

    `counter_period_s` is the longest time between two updates of the energy counter; 0 means that the counter is exact at
    every instant. `added` is False for what is recorded but not part of the sum (see `Measurement.not_added`).
    `relative_uncertainty` is the half-width of a model's band as a share of the energy (0 for real sensors).
    """

    device: Device
    key: str
    sensor: str
    counter: bool
    gauge: bool
    counter_resolution_j: float = 0.0
    counter_period_s: float = 0.0
    gauge_period_s: float = 0.0
    gauge_resolution_w: float = 0.0
    added: bool = True
    method: Method | None = None
    provenance: Provenance = "measured"
    relative_uncertainty: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """The readings of one device by one sensor, in time order: t_s (n,), power_w (n,), energy_j (n,).

    A missing single reading is NaN inside the arrays; a quantity the sensor never gives is `None`.
    `energy_j` is cumulative and free of counter wraps; a fall means that the counter was reset.
    """

    device: Device
    sensor: str
    t_s: npt.NDArray[np.float64]
    power_w: npt.NDArray[np.float64] | None
    energy_j: npt.NDArray[np.float64] | None

    def __post_init__(self) -> None:
        """Check the invariants."""
        if self.t_s.ndim != 1 or not np.all(np.isfinite(self.t_s)) or np.any(np.diff(self.t_s) <= 0):
            raise ValueError(f"Trace.t_s of {self.device.name} must be finite and strictly increasing")
        for field in ("power_w", "energy_j"):
            values = getattr(self, field)
            if values is not None and values.shape != self.t_s.shape:
                raise ValueError(f"Trace.{field} must have shape {self.t_s.shape}, got {values.shape}")

"""Power profiles whose energy is known exactly: the truth that sensors and the energy computation are held against."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

from mlee.errors import ConfigError

#: No device takes more, and sums of more could overflow.
MAX_W = 1e9


@dataclass(frozen=True)
class PowerProfile:
    """Power over time [W] as straight lines between points (t [s], P [W]), repeated where `repeat` is set.

    Two points at the same time are a step. Time counts from 0; before it and, without `repeat`, after the last point the
    nearest point's power holds.
    """

    points: tuple[tuple[float, float], ...]
    repeat: bool = False
    _energy_at_point_j: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _times_s: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the points and integrate between them once."""
        if not self.points or self.points[0][0] != 0 or any(b[0] < a[0] for a, b in pairwise(self.points)):
            raise ValueError(f"PowerProfile.points must start at 0 s and not go back in time, got {self.points!r}")
        if any(power < 0 or not math.isfinite(power) for _, power in self.points):
            raise ValueError(f"PowerProfile.points must have powers of 0 W or more, got {self.points!r}")
        if self.repeat and self.points[-1][0] <= 0:
            raise ValueError("PowerProfile.points of a repeated profile must span some time")
        energy, energies = 0.0, [0.0]
        for (t0, p0), (t1, p1) in pairwise(self.points):
            energy += (t1 - t0) * (p0 + p1) / 2
            energies.append(energy)
        object.__setattr__(self, "_energy_at_point_j", tuple(energies))
        object.__setattr__(self, "_times_s", tuple(t for t, _ in self.points))

    def power_w(self, t_s: float) -> float:
        """Power at time `t_s` [W]; at a step, the power after it."""
        _, t = self._lap(t_s)
        index, share = self._locate(t)
        if share is None:
            return self.points[index][1]
        return self.points[index][1] + share * (self.points[index + 1][1] - self.points[index][1])

    def energy_j(self, t_s: float) -> float:
        """Exact energy from time 0 to `t_s` [J]."""
        laps, t = self._lap(t_s)
        index, share = self._locate(t)
        t0, p0 = self.points[index]
        p1 = p0 if share is None else p0 + share * (self.points[index + 1][1] - p0)
        return laps * self._energy_at_point_j[-1] + self._energy_at_point_j[index] + (t - t0) * (p0 + p1) / 2

    def _lap(self, t_s: float) -> tuple[int, float]:
        span = self._times_s[-1]
        if not self.repeat or t_s < 0:
            return 0, t_s
        laps = math.floor(t_s / span)
        return laps, t_s - laps * span

    def _locate(self, t: float) -> tuple[int, float | None]:
        """Return the last point not after `t`, and how far `t` lies on the way to the next (`None`: no next one)."""
        index = max(0, bisect_right(self._times_s, t) - 1)
        if t < 0 or index == len(self.points) - 1:
            return index, None
        t0, t1 = self._times_s[index], self._times_s[index + 1]
        return index, (t - t0) / (t1 - t0)


def _square(low_w: float, high_w: float, period_s: float) -> PowerProfile:
    half = period_s / 2
    return PowerProfile(((0, high_w), (half, high_w), (half, low_w), (period_s, low_w)), repeat=True)


PROFILES: dict[str, PowerProfile] = {
    "steady": PowerProfile(((0, 100.0),)),
    "square": _square(50.0, 250.0, 1.0),
    "ramp": PowerProfile(((0, 50.0), (20, 350.0))),
    # 20 ms of 400 W every 0.97 s: shorter than any sampling interval, and never in step with it
    "burst": PowerProfile(((0, 60.0), (0.95, 60.0), (0.95, 400.0), (0.97, 400.0), (0.97, 60.0)), repeat=True),
}


def profile_by_name(name: str) -> PowerProfile:
    """Return a named profile, or a steady one for a plain number of watts ("150").

    Raises `ConfigError` for an unknown name.
    """
    if name in PROFILES:
        return PROFILES[name]
    try:
        watts = float(name)
        if not watts <= MAX_W:
            raise ValueError
        return PowerProfile(((0, watts),))
    except ValueError:
        raise ConfigError(
            f"Unknown power profile '{name}'.", f"use one of {', '.join(PROFILES)}, or a number of watts up to {MAX_W:g}"
        ) from None

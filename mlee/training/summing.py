"""Measurements of several windows as one: one after the other (epochs), or at the same time (hosts)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mlee.records import PROVENANCE_ORDER, Device, DeviceEnergy, Measurement

#: Between the names of a device and of its host.
_ON = " on "


def one_after_the_other(parts: Sequence[Measurement], *, by_turns: bool = False) -> Measurement:
    """Return what windows took together: durations and energies are added up, what lies between them does not count.

    A device that is missing in a part (it was lost) has no coverage there, and its uncertainty contains what it would
    have taken at its mean power. Where parts take turns (on different machines), it was not used then, and took nothing.
    """
    durations_s = [part.duration_s for part in parts]
    return replace(
        parts[0],
        duration_s=math.fsum(durations_s),
        devices=_sums([part.devices for part in parts], durations_s, by_turns),
        not_added=_sums([part.not_added for part in parts], durations_s, by_turns),
    )


def side_by_side(hosts: Sequence[tuple[str, Measurement]]) -> Measurement:
    """Return what several hosts took during the same window: all their devices, which carry the host's name."""
    if len(hosts) == 1:
        return hosts[0][1]
    return replace(
        hosts[0][1],
        duration_s=max(part.duration_s for _, part in hosts),
        devices=tuple(_on(host, energy) for host, part in hosts for energy in part.devices),
        not_added=tuple(_on(host, energy) for host, part in hosts for energy in part.not_added),
    )


def hosts_of(energies: Iterable[DeviceEnergy]) -> set[str]:
    """Return the names of the hosts that devices carry; those of a single host carry none, and count each for itself."""
    return {energy.device.name.rpartition(_ON)[2] for energy in energies}


def _on(host: str, energy: DeviceEnergy) -> DeviceEnergy:
    return replace(energy, device=replace(energy.device, name=f"{energy.device.name}{_ON}{host}"))


def _sums(parts: Sequence[Sequence[DeviceEnergy]], durations_s: Sequence[float], by_turns: bool) -> tuple[DeviceEnergy, ...]:
    found: dict[tuple[str, Device], list[tuple[DeviceEnergy, float]]] = {}
    for energies, duration_s in zip(parts, durations_s, strict=True):
        for energy in energies:
            found.setdefault((energy.sensor, energy.device), []).append((energy, duration_s))
    whole_s = math.fsum(durations_s)
    return tuple(_sum(windows, whole_s, by_turns) for windows in found.values())


def _sum(windows: Sequence[tuple[DeviceEnergy, float]], whole_s: float, by_turns: bool) -> DeviceEnergy:
    energies = [energy for energy, _ in windows]
    covered_s = math.fsum(energy.coverage * duration_s for energy, duration_s in windows)
    missing_s = max(0.0, whole_s - math.fsum(duration_s for _, duration_s in windows))
    if by_turns:
        covered_s, missing_s = covered_s + missing_s, 0.0
    energy_j = _added(energy.energy_j for energy in energies)
    mean_power_w = None if energy_j is None or covered_s <= 0 else energy_j / covered_s
    uncertainty_j = _added(energy.energy_uncertainty_j for energy in energies)
    if uncertainty_j is not None and mean_power_w is not None:
        uncertainty_j += mean_power_w * missing_s
    highest = [energy.max_power_w for energy in energies if energy.max_power_w is not None]
    provenances = {energy.provenance for energy in energies}
    return replace(
        energies[0],
        energy_j=energy_j,
        energy_uncertainty_j=uncertainty_j,
        mean_power_w=mean_power_w,
        max_power_w=max(highest, default=None),
        readings=sum(energy.readings for energy in energies),
        coverage=min(1.0, covered_s / whole_s),
        provenance=next(name for name in PROVENANCE_ORDER if name in provenances),
        integral_j=_added(energy.integral_j for energy in energies),
    )


def _added(values: Iterable[float | None]) -> float | None:
    found = list(values)
    known = [value for value in found if value is not None]
    return math.fsum(known) if len(known) == len(found) else None

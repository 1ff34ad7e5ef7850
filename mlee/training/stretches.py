"""A training by its processes: each that went on after an interruption has measured a stretch of the epochs.

It may have run on other machines, and with other sensors. Devices of a stretch are not missing in another: the training
used others there. A kind of device that some stretches measured and others did not is another matter: no sum holds it.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from mlee.record_checks import Strict
from mlee.records import DeviceEnergy, DeviceKind, Measurement
from mlee.training.summing import hosts_of, one_after_the_other


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch(Strict):
    """What one process measured: the sum of its windows, of so many epochs, on so many machines."""

    measured: Measurement
    epochs: int
    machines: int


def partly_measured(stretches: Sequence[Stretch]) -> dict[DeviceKind, int]:
    """Return the kinds of devices that were not measured alike throughout, and in how many epochs they were.

    On several machines a kind counts as measured alike where as large a share of them measured it.
    """
    return _partly(stretches, [stretch.measured.devices for stretch in stretches])


def whole(stretches: Sequence[Stretch]) -> Measurement:
    """Return what a training took in all its stretches.

    A kind of device that was measured in some epochs only has no energy: what it took in the others is not known, and their
    sum must not pass for that of all.
    """
    parts = [stretch.measured for stretch in stretches]
    if len(parts) == 1:
        return parts[0]
    counted, by_turns = one_after_the_other(parts), one_after_the_other(parts, by_turns=True)
    inside = _partly(stretches, [part.not_added for part in parts])
    return replace(
        counted,
        devices=_chosen(counted.devices, by_turns.devices, partly_measured(stretches)),
        not_added=_chosen(counted.not_added, by_turns.not_added, inside),
    )


def _partly(stretches: Sequence[Stretch], energies: Sequence[Sequence[DeviceEnergy]]) -> dict[DeviceKind, int]:
    found: dict[DeviceKind, int] = {}
    for kind in sorted({energy.device.kind for part in energies for energy in part}):
        shares = [
            min(len(hosts_of(energy for energy in part if energy.device.kind == kind)), stretch.machines) / stretch.machines
            for stretch, part in zip(stretches, energies, strict=True)
        ]
        if min(shares) < max(shares):
            found[kind] = sum(s.epochs for s, share in zip(stretches, shares, strict=True) if share == max(shares))
    return found


def _chosen(
    counted: Sequence[DeviceEnergy], by_turns: Sequence[DeviceEnergy], partly: Container[DeviceKind]
) -> tuple[DeviceEnergy, ...]:
    return tuple(
        replace(energy, energy_j=None, energy_uncertainty_j=None, mean_power_w=None, integral_j=None)
        if energy.device.kind in partly
        else in_turn
        for energy, in_turn in zip(counted, by_turns, strict=True)
    )

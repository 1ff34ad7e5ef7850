"""The `simulated` sensor: a made-up device whose energy is known exactly, for demonstrations and tests."""

from __future__ import annotations

from collections.abc import Sequence

from mlee.records import Device
from mlee.sensors.base import Channel, Reading, Sensor, SensorOptions
from mlee.sensors.profiles import profile_by_name


class SimulatedSensor(Sensor):
    """Reads a power profile as if a perfect meter stood in front of it. The numbers are made up and marked estimated."""

    name = "simulated"

    def __init__(self, options: SensorOptions) -> None:
        """Start the profile now."""
        super().__init__()
        self._profile = profile_by_name(options.profile)
        self._clock = options.clock
        self._origin_s = options.clock()
        device = Device(kind="system", index=0, name=f"simulated device, profile '{options.profile}'")
        self.channels = (
            Channel(
                device=device,
                key="simulated",
                sensor=self.name,
                counter=True,
                gauge=True,
                method="model",
                provenance="estimated",
            ),
        )
        self.notes.append("made-up numbers: for demonstrations and tests only")

    def read(self, *, everything: bool = False) -> Sequence[Reading | None]:
        """Return the exact power and energy of this instant."""
        now = self._clock()
        elapsed = now - self._origin_s
        return (Reading(now, self._profile.energy_j(elapsed), self._profile.power_w(elapsed)),)

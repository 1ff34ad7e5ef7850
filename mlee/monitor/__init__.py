"""Measure any piece of code: the public interface to sensors and sampler.

::

    from mlee.monitor import Monitor

    with Monitor() as monitor:
        with monitor.window("epoch 1") as window:
            train_one_epoch()
        print(window.measurement.energy_j, "J")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlee.monitor.session import Monitor

__all__ = ["PHASES_FILE", "Monitor"]

PHASES_FILE = "phases.csv"


def __getattr__(name: str) -> Any:
    """Import `Monitor` when it is asked for: `python -m mlee.monitor` passes here before it can be interrupted cleanly."""
    if name != "Monitor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mlee.monitor.session import Monitor

    return Monitor

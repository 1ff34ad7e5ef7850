"""The command line of `python -m mlee.calibrate`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from mlee.calibration import Calibration, fit, save_calibration
from mlee.cli.common import HelpFormatter, stdout
from mlee.errors import MeasurementError, MleeError
from mlee.experiment import load_result
from mlee.results.wall import wall_energy
from mlee.wall_meter import WallMeterLog

_DESCRIPTION = """\
Fit wall power = a + b x measured power from runs that a wall meter logged, for one machine.

`python merge_results.py --calibration FILE` then keeps the calibrated wall energy beside the measured one.
The log is a CSV with the columns time (UTC, or with an offset) and power_w.
"""


def parser() -> argparse.ArgumentParser:
    """Build the parser."""
    main = argparse.ArgumentParser(prog="python -m mlee.calibrate", description=_DESCRIPTION, formatter_class=HelpFormatter)
    main.add_argument("--external-log", type=Path, required=True, metavar="CSV", help="log of the wall meter")
    main.add_argument("--output", type=Path, default=Path("calibration.json"), help="where the calibration is written")
    main.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="experiment folders of one machine")
    return main


def main(arguments: Sequence[str]) -> int:
    """Fit and write a calibration; return the exit code."""
    args = parser().parse_args(arguments)
    meter = WallMeterLog(args.external_log)
    measured_w: list[float] = []
    wall_w: list[float] = []
    kinds: set[tuple[str, tuple[str, ...]]] = set()
    for folder in args.folders:
        try:
            result = load_result(folder)
            for measurement in result.measurements:
                wall_j = wall_energy(result, measurement, meter).energy_j
                if measurement.energy_j is None or wall_j is None:
                    raise MeasurementError(f"{folder}: the energy was not measured.")
                measured_w.append(measurement.energy_j / measurement.duration_s)
                wall_w.append(wall_j / measurement.duration_s)
                kinds.add((result.platform.host, measurement.scope))
        except MleeError as error:
            stdout.print(f"[yellow]left out[/] {escape(str(error))}", highlight=False, soft_wrap=True)
    if len(kinds) > 1:
        raise MeasurementError(
            f"The folders come from several machines or scopes: {sorted(kinds)}.", "calibrate each on its own"
        )
    host, scope = kinds.pop() if kinds else ("", ())
    calibration = fit(host, scope, measured_w, wall_w)
    save_calibration(calibration, args.output)
    if (doubt := _doubt(calibration)) is not None:
        text = (
            f"[yellow]warning[/] This line says little: {doubt}. Do the clocks of meter and machine agree, and do the runs "
        )
        stdout.print(f"{text}differ in load?", highlight=False, soft_wrap=True)
    stdout.print(
        f"{host} ({'+'.join(scope)}): wall = {calibration.offset_w:.3g} W + {calibration.slope:.4g} x measured, "
        f"residual {calibration.residual_w:.2g} W over {calibration.points} windows "
        f"from {calibration.min_power_w:.3g} to {calibration.max_power_w:.3g} W -> {escape(str(args.output))}",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def _doubt(calibration: Calibration) -> str | None:
    """Say why a line cannot be what it should be."""
    if calibration.slope < 1:
        return "the wall would take less than the parts that were measured"
    if calibration.residual_w > calibration.slope * (calibration.max_power_w - calibration.min_power_w):
        return "the windows lie further from it than their powers from each other"
    return None

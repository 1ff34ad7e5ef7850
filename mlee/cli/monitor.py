"""The command line of `python -m mlee.monitor`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.markup import escape

from mlee.cli.common import HelpFormatter, interval, report, sensor_names, stderr
from mlee.errors import ConfigError, ResultError
from mlee.files import write_atomically
from mlee.monitor import Monitor
from mlee.records import DeviceEnergy, Measurement
from mlee.sensors import CHOICES
from mlee.units import with_unit

_DESCRIPTION = """\
Run a command and say how much energy the machine took meanwhile, like `time` for energy.

The exit code is the command's own (1 if it succeeded and FILE cannot be written). The report goes to standard error, so
that the command's output stays clean.
"""
_EXAMPLES = """\
examples:
  python -m mlee.monitor -- python train.py --epochs 3
  python -m mlee.monitor --json energy.json --interval 0.1 -- ./benchmark
"""
#: What a shell answers for a command that does not exist or cannot be started.
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def parser() -> argparse.ArgumentParser:
    """Build the parser."""
    main = argparse.ArgumentParser(
        prog="python -m mlee.monitor",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=HelpFormatter,
        usage="%(prog)s [--json FILE] [--interval S] [--sensors NAME ...] -- COMMAND ...",
    )
    main.add_argument("--json", type=Path, metavar="FILE", help="write the report to FILE, too")
    main.add_argument("--interval", type=interval, default=0.2, metavar="S", help="sampling interval of all sensors")
    main.add_argument("--sensors", nargs="+", default=["auto"], metavar="NAME", help=CHOICES)
    main.add_argument("command", nargs=argparse.REMAINDER, help="the command and its arguments, after --")
    return main


def main(arguments: Sequence[str]) -> int:
    """Run the command under a monitor; return its exit code."""
    own, command = _split(arguments)
    args = parser().parse_args(own)
    command = command or args.command
    if not command:
        raise ConfigError("No command to measure.", "put it behind --, for example: python -m mlee.monitor -- sleep 3")
    if args.json is not None and not _may_write(args.json):
        raise ConfigError(f"--json {args.json} cannot be written.", "choose an existing folder you may write to")
    if shutil.which(command[0]) is None:
        return _refuse(command[0])
    with Monitor(sensor_names(args.sensors), gpu_interval_s=args.interval, cpu_interval_s=args.interval) as monitor:
        with monitor.window("command"):
            exit_code = _run(command)
        measurement = monitor.measurements["command"]
    _report(measurement, monitor)
    if args.json is not None:
        try:
            write_atomically(args.json, json.dumps(_document(command, exit_code, measurement, monitor), indent=2) + "\n")
        except ResultError as error:
            report(error)
            return exit_code or error.exit_code
    return exit_code


def _may_write(path: Path) -> bool:
    """Whether a report can probably be written, asked before the command takes its time."""
    if os.path.exists(path) and not os.path.isfile(path):
        return not os.path.isdir(path) and os.access(path, os.W_OK)
    folder = os.path.dirname(os.path.realpath(path))
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _refuse(command: str) -> int:
    """Say why a command cannot be started; return the exit code a shell would."""
    reason, code = "not found", _NOT_FOUND
    if os.sep in command:
        try:
            os.stat(command)
            reason, code = "not executable", _NOT_EXECUTABLE
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            reason, code = str(error.strerror), _NOT_EXECUTABLE
    stderr.print(f"[bold red]error:[/] {escape(command)}: {reason}", highlight=False, soft_wrap=True)
    return code


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], list[str]]:
    """Separate our options from the command at the first `--`, so that neither eats the other's."""
    if "--" not in arguments:
        return arguments, []
    index = list(arguments).index("--")
    return arguments[:index], list(arguments[index + 1 :])


def _run(command: Sequence[str]) -> int:
    """Run the command to its end; Ctrl-C and SIGTERM are its business, and we report what it took until then."""
    try:
        process = subprocess.Popen(command)
    except OSError as error:
        stderr.print(f"[bold red]error:[/] {escape(command[0])}: {error.strerror}")
        return _NOT_EXECUTABLE
    # A terminal sends Ctrl-C to the whole group; SIGTERM reaches only us and is passed on.
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number)),
    }
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code  # as shells do for a command ended by a signal


def _document(command: Sequence[str], exit_code: int, measurement: Measurement, monitor: Monitor) -> dict[str, Any]:
    return {
        "format": "mlee-monitor",
        "version": 1,
        "command": list(command),
        "exit_code": exit_code,
        "started_at": measurement.started_at.isoformat(),
        "duration_s": measurement.duration_s,
        "energy_j": measurement.energy_j,
        "energy_uncertainty_j": measurement.energy_uncertainty_j,
        "provenance": measurement.provenance,
        "devices": [_flat(device) for device in measurement.devices],
        "not_added": [_flat(device) for device in measurement.not_added],
        "not_measured": monitor.missing(),
        "warnings": [asdict(warning) for warning in monitor.warnings],
    }


def _flat(energy: DeviceEnergy) -> dict[str, Any]:
    """Put the device's fields beside the energy's."""
    fields = asdict(energy)
    return {**fields.pop("device"), **fields}


def _report(measurement: Measurement, monitor: Monitor) -> None:
    def say(text: str) -> None:
        stderr.print(text, highlight=False, soft_wrap=True)

    say(f"\n{with_unit(measurement.duration_s, 's')}  [bold]{_energy(measurement)}[/]")
    for energy in measurement.devices:
        share = f" ±{with_unit(energy.energy_uncertainty_j, 'J')}" if energy.energy_j is not None else ""
        power = f", {with_unit(energy.mean_power_w, 'W')} mean" if energy.mean_power_w is not None else ""
        how = "" if energy.provenance == "measured" else f" ({energy.provenance})"
        say(f"  {escape(energy.device.name)}: {with_unit(energy.energy_j, 'J')}{share}{power}{how}")
    for name, reason in monitor.missing().items():
        say(f"  [dim]not measured[/] {name}: {escape(reason)}")
    for warning in monitor.warnings:
        say(f"  [yellow]{warning.code}[/]: {escape(warning.message)}")


def _energy(measurement: Measurement) -> str:
    if measurement.energy_j is None:
        return "energy not measured"
    text = f"{with_unit(measurement.energy_j, 'J')} ±{with_unit(measurement.energy_uncertainty_j, 'J')}"
    return text if measurement.provenance == "measured" else f"~{text} ({measurement.provenance})"

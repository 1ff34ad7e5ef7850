"""`infer.py --check`: what this machine can measure, and what would mend the rest."""

from __future__ import annotations

from rich.markup import escape

from mlee.backends import BACKEND_NAMES, install_command, missing_packages
from mlee.cli.common import stdout
from mlee.errors import SensorUnavailable
from mlee.readings import Channel
from mlee.sensors import SENSOR_NAMES, open_sensor
from mlee.sensors.base import SensorOptions
from mlee.sensors.machine import cpu_name, logical_cpus, memory_bytes
from mlee.units import with_unit


def check(options: SensorOptions) -> int:
    """Print every sensor with its devices and every backend, or why it is missing; return the exit code 0."""
    memory = memory_bytes(options.proc)
    stdout.print(f"[bold]{escape(cpu_name(options.proc))}[/], {logical_cpus()} logical CPUs, {with_unit(memory, 'B')}\n")
    states: dict[str, bool] = {}
    for name in SENSOR_NAMES:
        try:
            sensor = open_sensor(name, options)
        except SensorUnavailable as error:
            states[name] = False
            mark = "[dim]-[/]" if name == "external" else "[red]no [/]"
            stdout.print(f"{mark} [bold]{name}[/]  {escape(error.message)}", soft_wrap=True, highlight=False)
            if error.hint:
                stdout.print(f"      [cyan]mend:[/] {escape(error.hint)}", soft_wrap=True, highlight=False)
            continue
        try:
            states[name] = True
            sensor.read(everything=True)
            aside = "  [dim]only used where rapl is not[/]" if name == "cpu_model" and states["rapl"] else ""
            stdout.print(f"[green]yes[/] [bold]{name}[/]{aside}", highlight=False)
            for channel in sensor.channels:
                stdout.print(f"      {escape(_describe(channel, sensor.extra_columns))}", highlight=False, soft_wrap=True)
            for note in sensor.notes:
                stdout.print(f"      [yellow]note:[/] {escape(note)}", highlight=False, soft_wrap=True)
        finally:
            sensor.close()
    stdout.print()
    for name in BACKEND_NAMES:
        missing = missing_packages(name)
        mark = "[red]no [/]" if missing else "[green]yes[/]"
        what = f"  {', '.join(missing)} not installed" if missing else ""
        stdout.print(f"{mark} [bold]--backend {name}[/]{what}", highlight=False, soft_wrap=True)
        if missing:
            stdout.print(f"      [cyan]mend:[/] {escape(install_command(name))}", highlight=False, soft_wrap=True)
    stdout.print(f"\n{_verdict(states)}", highlight=False, soft_wrap=True)
    return 0


def _describe(channel: Channel, extra_columns: tuple[str, ...]) -> str:
    device = channel.device
    parts = [f"{device.kind} {device.index}: {device.name}" + (f" ({device.uuid})" if device.uuid else "")]
    if channel.counter:
        period = f", updated every {with_unit(channel.counter_period_s, 's', 2)} at most" if channel.counter_period_s else ""
        step = f" in steps of {with_unit(channel.counter_resolution_j, 'J', 2)}" if channel.counter_resolution_j else ""
        parts.append(("energy model" if channel.method == "model" else "energy counter") + step + period)
    if channel.gauge:
        period = f" averaged over up to {with_unit(channel.gauge_period_s, 's', 2)}" if channel.gauge_period_s else ""
        parts.append(f"power{period}")
    if extra_columns:
        parts.append("also " + ", ".join(column.rpartition("_")[0].replace("_", " ") for column in extra_columns))
    if channel.relative_uncertainty:
        parts.append(f"uncertain by +/- {channel.relative_uncertainty:.0%}")
    if not channel.added and (channel.counter or channel.gauge):
        parts.append("recorded, not added")
    return "; ".join(parts)


def _verdict(states: dict[str, bool]) -> str:
    gpu = "GPU energy is [green]measured[/]" if states["nvml"] else "GPU energy is [red]not measured[/]"
    if states["rapl"]:
        cpu = "CPU energy is [green]measured[/]"
    elif states["cpu_model"]:
        cpu = "CPU energy is only [yellow]estimated[/] from the load and marked so everywhere"
    else:
        cpu = "CPU energy is [red]not measured[/]"
    return f"With --sensors auto: {gpu}; {cpu}."

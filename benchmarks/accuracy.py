"""Compare how far each tool is from the exact energy of a window, on the same simulated machine.

Run by hand, as root or where users may make namespaces, with a C compiler, in an environment of its own::

    python -m venv peers && peers/bin/pip install -e . -r benchmarks/requirements-peers.txt
    peers/bin/python benchmarks/accuracy.py
    peers/bin/python benchmarks/accuracy.py --counter-period 0.1 --scenarios steady,square

Simulated GPUs (a stub of NVIDIA's library in C) and RAPL counters (a tree of files that a process in C keeps up to date) run
in real time on power profiles whose integral is known. Every tool measures windows of the same length at the same phase of
the profile, each in a process of its own; the workload sleeps. Tools that sample do so every 0.1 s. The truth is the exact
integral from the moment the tool's begin call has returned to the moment its end call is made: the energy of the code
between them, on the clock that the simulators run on. A cell is the worst error of all repeats in % of the truth.

Windows last 10.0113 s and 0.5113 s: no whole number of updates of a counter, as in real life. The long ones are measured by
all tools together, their begins whole periods of the profile apart; the short ones by one tool after another, so that nobody
disturbs anybody at the edges. Repeats differ in phase: all over the square wave, but around the burst so that it lies inside
the window and at least one update of every counter away from its edges. What happens once (wrap, reset, loss) happens in the
middle of the long windows and 0.1 s before the end of the short ones.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.peers import TOOLS, Energies, enter_machine, import_everything, stub_environment
from mlee.sensors.machine import cpu_name
from mlee.sensors.profiles import PROFILES, PowerProfile
from tests.simulated.nvml_stub import StubGpu, write_config
from tests.simulated.powercap import INTEL_RANGE_UJ, FakePowercap, Zone, server_zones

INTERVAL_S = 0.1
#: No whole number of updates of a 20 ms counter, or stale values at both edges would cancel out.
LONG_S, SHORT_S = 10.0113, 0.5113
STEADY, SQUARE = PROFILES["steady"], PROFILES["square"]
NOTHING = Energies(None, None)
RAMP = PowerProfile(((0, 50.0), (60, 350.0)))
PASCAL = StubGpu(
    name="NVIDIA GeForce GTX 1080 Ti",
    architecture=4,
    unsupported=("energy", "instant_power"),
    gauge_averaging_s=0.01,
    gauge_period_s=0.02,
)


@dataclass(frozen=True)
class Scenario:
    """A machine; `event` means that something happens to it once, at a time given to `machine`."""

    profile: PowerProfile
    machine: Callable[[PowerProfile, float], tuple[Sequence[Zone], Sequence[StubGpu]]]
    event: bool = False
    period_s: float = 1.0
    long_phases_s: tuple[float, ...] = (0.13, 0.62)
    short_phases_s: tuple[float, ...] = (0.13, 0.38, 0.79)
    short: bool = True


def both(profile: PowerProfile, _: float) -> tuple[Sequence[Zone], Sequence[StubGpu]]:
    return server_zones(profile), [StubGpu(profile=profile)]


def cpu_only(**options: object) -> Callable[[PowerProfile, float], tuple[Sequence[Zone], Sequence[StubGpu]]]:
    def machine(profile: PowerProfile, _: float) -> tuple[Sequence[Zone], Sequence[StubGpu]]:
        return server_zones(profile, **options), []  # type: ignore[arg-type]

    return machine


def wrap(profile: PowerProfile, event_s: float, range_uj: int = INTEL_RANGE_UJ) -> tuple[list[Zone], list[StubGpu]]:
    package, *rest = server_zones(profile)
    start_uj = (range_uj - int(profile.energy_j(event_s) * 1e6)) % range_uj
    return [replace(package, range_uj=range_uj, start_uj=start_uj), *rest], []


def reset(profile: PowerProfile, event_s: float) -> tuple[list[Zone], list[StubGpu]]:
    return [replace(zone, reset_at_s=event_s) for zone in server_zones(profile)], [
        StubGpu(profile=profile, reset_at_s=event_s)
    ]


def two_of_all(profile: PowerProfile, _: float) -> tuple[list[Zone], list[StubGpu]]:
    return server_zones(profile, sockets=2), [StubGpu(profile=profile), StubGpu(profile=profile, counter_offset_s=0.0113)]


SCENARIOS: dict[str, Scenario] = {
    "steady": Scenario(STEADY, both),
    "square wave": Scenario(SQUARE, both),
    "short burst": Scenario(
        PROFILES["burst"], both, period_s=0.97, long_phases_s=(0.2, 0.3), short_phases_s=(0.6, 0.62, 0.64)
    ),
    "ramp": Scenario(RAMP, both),
    "counter wrap": Scenario(STEADY, wrap, event=True),
    # every 4 s: a 10 s window that meets the first wrap in its middle third meets another one
    "two wraps": Scenario(STEADY, lambda profile, s: wrap(profile, s, 400_000_000), event=True, short=False),
    "counter reset": Scenario(STEADY, reset, event=True),
    "psys present": Scenario(STEADY, cpu_only(psys=True)),
    "two sockets, two GPUs": Scenario(SQUARE, two_of_all),
    "DRAM": Scenario(STEADY, cpu_only(dram=PowerProfile(((0, 20.0),)))),
    "GPU lost": Scenario(STEADY, lambda p, s: (server_zones(p), [StubGpu(profile=p, lost_at_s=s)]), event=True),
    "GPU without counter": Scenario(SQUARE, lambda p, _: (server_zones(p), [replace(PASCAL, profile=p)])),
}


@dataclass(frozen=True)
class Trial:
    """Some tools on one simulated machine; windows begin at `begins_s` and, for each further tool, a period later."""

    scenario: str
    tools: tuple[str, ...]
    length_s: float
    begins_s: tuple[float, ...]
    event_s: float
    counter_period_s: float
    repeat: int


@dataclass(frozen=True)
class Outcome:
    """What one tool said of one window, and the truth; or why it said nothing."""

    scenario: str
    length_s: float
    tool: str
    said: Energies = NOTHING
    true_cpu_j: float = 0.0
    true_gpu_j: float = 0.0
    failure: str = ""
    late: bool = False
    calls_s: float = 0.0


def trials(names: Sequence[str], tools: Sequence[str], counter_period_s: float) -> list[Trial]:
    """Plan all trials, the long ones first."""
    long: list[Trial] = []
    short: list[Trial] = []
    for name in names:
        scenario = SCENARIOS[name]
        lead_s = max(TOOLS[tool].lead_s for tool in tools) + 2.0
        whole = scenario.period_s * round((10.0 + 2.0) / scenario.period_s)
        lead_s = scenario.period_s * round(lead_s / scenario.period_s)
        begins = [lead_s + number * whole + phase for number, phase in enumerate(scenario.long_phases_s)]
        if scenario.event:
            long += [
                Trial(name, tuple(tools), LONG_S, (lead_s + phase,), lead_s + 6.5 + phase, counter_period_s, number)
                for number, phase in enumerate(scenario.long_phases_s)
            ]
        else:
            long.append(Trial(name, tuple(tools), LONG_S, tuple(begins), 0.0, counter_period_s, 0))
        for tool in tools if scenario.short else ():
            lead_s = scenario.period_s * round(TOOLS[tool].lead_s / scenario.period_s)
            step = scenario.period_s * (4 if tool == "carbontracker" else 2)
            begins = [lead_s + number * step + phase for number, phase in enumerate(scenario.short_phases_s)]
            if scenario.event:
                short += [
                    Trial(name, (tool,), SHORT_S, (lead_s + phase,), lead_s + phase + 0.4, counter_period_s, number)
                    for number, phase in enumerate(scenario.short_phases_s)
                ]
            else:
                short.append(Trial(name, (tool,), SHORT_S, tuple(begins), 0.0, counter_period_s, 0))
    return long + short


def run_trial(trial: Trial) -> list[Outcome]:
    """Build the machine, let the tools measure, and compare; once more, later, if a tool was not ready in time."""
    outcomes: list[Outcome] = []
    for delay_s in (0.0, 6.0):
        delay_s = SCENARIOS[trial.scenario].period_s * round(delay_s / SCENARIOS[trial.scenario].period_s)
        begins = tuple(begin + delay_s for begin in trial.begins_s)
        outcomes = _attempt(replace(trial, begins_s=begins, event_s=trial.event_s + delay_s))
        if not any(outcome.late for outcome in outcomes):
            break
    return outcomes


def _attempt(trial: Trial) -> list[Outcome]:
    scenario = SCENARIOS[trial.scenario]
    outcomes: list[Outcome] = []
    zones, gpus = scenario.machine(scenario.profile, trial.event_s)
    shift_s = 0.0031 + 0.37 * trial.counter_period_s * trial.repeat
    gpus = [replace(g, counter_period_s=trial.counter_period_s, counter_offset_s=g.counter_offset_s + shift_s) for g in gpus]
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as name:
        origin_s = time.monotonic()
        config = Path(name, "stub.txt")
        gpus = write_config(config, gpus, origin_s=origin_s)
        tree = FakePowercap(Path(name, "sys"), zones, origin_s=origin_s)
        sockets = sum(zone.name.startswith("package") for zone in zones)
        with tree.live():
            running = []
            for number, tool in enumerate(trial.tools):
                begins = [origin_s + begin + number * scenario.period_s for begin in trial.begins_s]
                here, there = context.Pipe(duplex=False)
                arguments = (tool, tree.powercap, sockets, config, begins, trial.length_s, there)
                process = context.Process(target=_measure, args=arguments)
                process.start()
                there.close()
                running.append((tool, process, here))
            for tool, process, here in running:
                base = Outcome(trial.scenario, trial.length_s, tool)
                try:
                    for begin_s, end_s, said, failure, late, calls_s in here.recv():
                        cpu_j = tree.total_j(begin_s, end_s)
                        gpu_j = sum(gpu.energy_j(begin_s - origin_s, end_s - origin_s) for gpu in gpus)
                        outcomes.append(
                            replace(
                                base,
                                said=said,
                                true_cpu_j=cpu_j,
                                true_gpu_j=gpu_j,
                                failure=failure,
                                late=late,
                                calls_s=calls_s,
                            )
                        )
                except EOFError:
                    process.join()
                    outcomes.append(replace(base, failure=f"ends the process ({process.exitcode})"))
                process.join(5)
                process.kill()
        tree.close()
    return outcomes


def _measure(
    name: str, powercap: Path, sockets: int, config: Path, begins: list[float], length_s: float, result: Connection
) -> None:
    """Measure windows with one tool, in a process of its own."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    if not os.environ.get("BENCHMARK_DEBUG"):
        os.dup2(null, 2)
    found: list[tuple[float, float, Energies, str, bool, float]] = []
    try:
        enter_machine(powercap, sockets, config)
        tool = TOOLS[name](INTERVAL_S)
        tool.warm_up()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a tool does is what is asked here
        traceback.print_exc()
        result.send([(0.0, 1.0, NOTHING, f"cannot start: {_text(error)}", False, 0.0)])
        os._exit(1)
    for at_s in begins:
        begin_s = end_s = at_s
        called_s = returned_s = time.monotonic()
        late = called_s > at_s
        try:
            time.sleep(max(0.0, at_s - time.monotonic()))
            called_s = time.monotonic()
            tool.begin()
            begin_s = time.monotonic()
            time.sleep(length_s)
            end_s = time.monotonic()
            tool.end()
            returned_s = time.monotonic()
            calls_s = (begin_s - called_s) + (returned_s - end_s)
            found.append((begin_s, end_s, tool.energies(), "", late, calls_s))
        except (Exception, SystemExit) as error:  # noqa: BLE001
            traceback.print_exc()
            found.append((at_s, at_s + length_s, NOTHING, _text(error), late, 0.0))
            break
    result.send(found)
    try:
        tool.close()
        for child in multiprocessing.active_children():
            child.kill()
    finally:
        os._exit(0)


def _text(error: BaseException) -> str:
    message = str(error).strip().splitlines()
    return f"{type(error).__name__}: {message[0]}" if message else type(error).__name__


def table(outcomes: Sequence[Outcome], names: Sequence[str], tools: Sequence[str], length_s: float, part: str) -> str:
    """One Markdown table: a row a scenario, a column a tool, and how unsure mlee itself says it is."""
    rows = [["profile", *tools, "mlee states"], ["---", *["---:"] * (len(tools) + 1)]]
    remarks: list[str] = []
    for name in names:
        cells, stated = [name], "-"
        chosen = [o for o in outcomes if o.scenario == name and o.length_s == length_s]
        if not chosen or all(getattr(o, f"true_{part}_j") == 0 for o in chosen if not o.failure):
            continue
        for tool in tools:
            mine = [o for o in chosen if o.tool == tool]
            errors, said_by_us = [], []
            for outcome in mine:
                said, true = getattr(outcome.said, f"{part}_j"), getattr(outcome, f"true_{part}_j")
                if said is not None and true > 0:
                    errors.append(100 * (said / true - 1))
                    said_by_us.append(100 * (getattr(outcome.said, f"{part}_unsure_j") or 0.0) / true)
            reasons = {o.failure or o.said.remark for o in mine} - {""}
            worst = max(errors, key=abs, default=None)
            cell = "-" if worst is None else f"{worst:+.3f} %" if abs(worst) < 10 else f"{worst:+,.0f} %"
            for reason in sorted(reasons):
                if reason not in remarks:
                    remarks.append(reason)
                cell += f" [{remarks.index(reason) + 1}]"
            cells.append(cell)
            if tool == "mlee" and said_by_us:
                stated = f"±{max(said_by_us):.3f} %"
        rows.append([*cells, stated])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"[{number}] {reason}  " for number, reason in enumerate(remarks, start=1))])


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counter-period", type=float, default=0.02, help="update period of the GPUs' counters [s]")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="names, separated by commas, or their beginnings")
    parser.add_argument("--tools", default=",".join(TOOLS), help="names, separated by commas")
    parser.add_argument("--lanes", type=int, default=4, help="how many machines are simulated at the same time")
    parser.add_argument("--details", action="store_true", help="print every single window, too")
    return parser.parse_args()


def main() -> int:
    """Run everything and print the tables."""
    options = parse()
    if "MLEE_STUB_NVML" not in os.environ:  # the loader looks at LD_LIBRARY_PATH only when a process starts
        with tempfile.TemporaryDirectory() as folder:
            env = stub_environment(Path(folder))
            return subprocess.run([sys.executable, *sys.argv], env=env, check=False).returncode
    names = [name for name in SCENARIOS if any(name.startswith(part) for part in options.scenarios.split(","))]
    tools = [tool for tool in TOOLS if tool in options.tools.split(",")]
    started_s = time.monotonic()
    import_everything()
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(options.lanes, mp_context=context) as lanes:
        plan = trials(names, tools, options.counter_period)
        outcomes = [outcome for found in lanes.map(run_trial, plan) for outcome in found]
    print(
        f"{cpu_name()}, {os.cpu_count()} logical CPUs, Python {platform.python_version()}, "
        f"GPU counters every {options.counter_period * 1e3:g} ms, {time.monotonic() - started_s:.0f} s\n"
    )
    for length_s in (LONG_S, SHORT_S):
        for part, title in (("cpu", "CPU and DRAM (RAPL)"), ("gpu", "GPU (NVML)")):
            print(f"**{title}, windows of {length_s:.1f} s**\n\n{table(outcomes, names, tools, length_s, part)}\n")
    if options.details:
        for o in outcomes:
            energies = f"CPU {o.said.cpu_j} of {o.true_cpu_j:.4f} J, GPU {o.said.gpu_j} of {o.true_gpu_j:.4f} J"
            calls = f"calls {o.calls_s * 1e3:.1f} ms, late {o.late}"
            print(f"{o.scenario}, {o.length_s:g} s, {o.tool}: {energies}, {calls}, {o.failure or o.said.remark}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

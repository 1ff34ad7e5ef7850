"""Compare what measuring costs: CPU time of each tool while the program it measures sleeps.

Run by hand, on an otherwise quiet machine, in the environment that accuracy.py describes::

    peers/bin/python benchmarks/overhead.py
    peers/bin/python benchmarks/overhead.py --seconds 300 --interval 0.2 --repeats 3

Two simulated GPUs, and two sockets with core, uncore and DRAM. The files of RAPL stand still, since a process that rewrote
them every millisecond would cool everybody's caches. Each tool opens one window, the main thread sleeps, and every tool that
samples does so every 0.1 s. Counted is the CPU time, user and system, that the process and its children use from the return
of the begin call to the end call, as a share of one core; the lowest of the repeats, since whatever else runs on a machine
can only add to it. Beside it the CPU time and the duration of the two calls themselves; for mlee they are the longest there
can be here, since it waits for counters to tick that stand still. The simulated driver answers at once; a real one takes
tens of microseconds to milliseconds a call, for every tool alike.

carbontracker samples about once in 1.1 s whatever it is told, since each of its looks at RAPL takes a second. Tools that do
not sample are listed for completeness: they read their counters at the two edges only (Zeus keeps a process for each RAPL
counter that looks at it once a second), so they can neither show power over time nor notice what happens between.
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
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.peers import (
    Carbontracker,
    CodeCarbon,
    Mlee,
    PyJoules,
    PyRapl,
    Tool,
    Zeus,
    ZeusPower,
    enter_machine,
    import_everything,
    stub_environment,
)
from mlee.sensors.machine import cpu_name
from mlee.sensors.profiles import PROFILES
from tests.simulated.nvml_stub import StubGpu, write_config
from tests.simulated.powercap import FakePowercap, server_zones


class Nothing(Tool):
    """The measuring of the measurement."""

    lead_s = 0.5

    def begin(self) -> None:
        return

    def end(self) -> None:
        return

    def energies(self) -> None:  # type: ignore[override]
        return


def ours(*sensors: str, traces: bool = False) -> Callable[[float], Tool]:
    return type("Ours", (Mlee,), {"sensors": sensors, "traces": traces})


TOOLS: dict[str, tuple[Callable[[float], Tool], bool]] = {
    "nothing": (Nothing, True),
    "mlee nvml + rapl": (ours("nvml", "rapl"), True),
    "mlee nvml + rapl, traces": (ours("nvml", "rapl", traces=True), True),
    "mlee process": (ours("process"), True),
    "mlee process, traces": (ours("process", traces=True), True),
    "mlee auto (all three), traces": (ours("auto", traces=True), True),
    "Zeus, with its power monitor": (ZeusPower, True),
    "CodeCarbon": (CodeCarbon, True),
    "carbontracker": (Carbontracker, True),
    "Zeus, counters only": (Zeus, False),
    "pyRAPL": (PyRapl, False),
    "pyJoules": (PyJoules, False),
}


def measure(name: str, interval_s: float, seconds: float) -> tuple[float, float, float] | str:
    """CPU time in the window [s], CPU time [s] and duration [s] of the calls at its edges; or why there are none."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        origin_s = time.monotonic()
        config = Path(folder, "stub.txt")
        write_config(config, [StubGpu(profile=PROFILES["square"])] * 2, origin_s=origin_s)
        zones = server_zones(PROFILES["square"], dram=PROFILES["steady"], sockets=2)
        tree = FakePowercap(Path(folder, "sys"), zones, origin_s=origin_s)
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_worker, args=(name, interval_s, seconds, tree.powercap, config, there))
        process.start()
        there.close()
        try:
            result: tuple[float, float, float] | str = here.recv()
        except EOFError:
            result = "ended the process"
        process.join(5)
        process.kill()
        tree.close()
    return result


def _worker(name: str, interval_s: float, seconds: float, powercap: Path, config: Path, result: Connection) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        enter_machine(powercap, 2, config)
        tool = TOOLS[name][0](interval_s)
        tool.warm_up()
        time.sleep(tool.lead_s)
        before_s, called_s = _cpu_s(), time.monotonic()
        tool.begin()
        from_s, returned_s = _cpu_s(), time.monotonic()
        time.sleep(seconds)
        to_s, end_s = _cpu_s(), time.monotonic()
        tool.end()
        after_s, ended_s = _cpu_s(), time.monotonic()
        result.send((to_s - from_s, (from_s - before_s) + (after_s - to_s), (returned_s - called_s) + (ended_s - end_s)))
    except Exception as error:  # noqa: BLE001 - whatever a tool does is what is asked here
        result.send(f"{type(error).__name__}: {error}")
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(0)


def _cpu_s() -> float:
    """CPU time of this process, to the nanosecond, and of its children, to the kernel's tick of 10 ms."""
    ended = os.times()
    alive_s = 0.0
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        alive_s += times.user + times.system
    return time.process_time() + ended.children_user + ended.children_system + alive_s


def main() -> int:
    """Measure every tool and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the window")
    parser.add_argument("--interval", type=float, default=0.1, help="sampling interval [s]")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=1, help="how many tools are measured at the same time")
    parser.add_argument("--tools", default="", help="names or their beginnings, separated by commas; default: all")
    options = parser.parse_args()
    if "MLEE_STUB_NVML" not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            env = stub_environment(Path(folder))
            return subprocess.run([sys.executable, *sys.argv], env=env, check=False).returncode
    import_everything()
    names = [name for name in TOOLS if any(name.startswith(part) for part in options.tools.split(","))]
    plan = names * options.repeats
    with ProcessPoolExecutor(options.lanes, mp_context=multiprocessing.get_context("fork")) as lanes:
        found = list(lanes.map(measure, plan, [options.interval] * len(plan), [options.seconds] * len(plan)))
    print(
        f"{cpu_name()}, {os.cpu_count()} logical CPUs, Python {platform.python_version()}, every {options.interval:g} s, "
        f"{options.repeats} x {options.seconds:g} s\n"
    )
    print("| tool | samples | % of one core | CPU time of begin + end | they take |\n| --- | :---: | ---: | ---: | ---: |")
    for name in names:
        results = [result for tool, result in zip(plan, found, strict=True) if tool == name]
        numbers = [result for result in results if not isinstance(result, str)]
        if not numbers:
            print(f"| {name} | | {results[0]} | | |")
            continue
        window_s, edges_s, calls_s = (min(column) for column in zip(*numbers, strict=True))
        print(
            f"| {name} | {'yes' if TOOLS[name][1] else 'no'} | {100 * window_s / options.seconds:.3f} | "
            f"{edges_s * 1e3:.1f} ms | {calls_s * 1e3:.1f} ms |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

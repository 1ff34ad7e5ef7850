"""Measure what merging many experiment folders costs, and whether it depends on how long the runs were.

Run by hand; the default sizes take about 2 GB of disk for a few minutes::

    python benchmarks/merging.py
    python benchmarks/merging.py --sizes 500x20000 --archive 0 --directory /data/tmp

For every size NxM it makes N finished experiment folders whose trace holds M readings. One short run of the simulated
backend is the pattern: each folder holds its files, the long trace, and a result of its own. Everything is synced to the
disk before a clock starts, and is in the cache of the operating system. The folders are then merged by ``merge_results.py``
in a process of its own; starting the interpreter and printing the table of all runs count, and the peak memory is what the
kernel reports for that process.

The yardstick is the disk: N files of the same bytes, each written beside its name, fsynced and renamed as results are, by a
plain loop and by as many threads as the merger has. All of it is repeated in turns; a cell is the median.

Archiving (--output-log-dir) is bounded by gzip; it is compared with ``tar czf``, once for each folder, one after the other
and as many at a time as there are CPUs.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from mlee.backends.base import InferenceRequest
from mlee.experiment import RESULT_FILE
from mlee.measuring import MeasuringOptions
from mlee.readings import Channel, Reading
from mlee.records import Device, RunResult
from mlee.results import store
from mlee.runner import run_inference
from mlee.sensors.machine import cpu_name
from mlee.traces import TraceWriter

SCRIPT = Path(__file__).resolve().parents[1] / "merge_results.py"
THREADS = os.cpu_count() or 1

#: Runs a command, then prints its exit code, time [s] and peak memory [kB]. A process counts the memory of the one that
#: starts it as its own peak, so it is started by this small one instead of by us.
LAUNCHER = """
import resource, subprocess, sys, time
start_s = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(code, time.perf_counter() - start_s, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def make_folders(directory: Path, folders: int, readings: int) -> int:
    """Fill `directory` with finished experiment folders; return the size of one [B]."""
    with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
        result, pattern = run_inference(
            InferenceRequest(model="Tiny", data_path="synthetic:64"),
            "simulated",
            MeasuringOptions(output_dir=Path(scratch), sensors=("process", "simulated"), idle_seconds=0.5),
        )
        write_trace(pattern / "trace_simulated.csv", readings)
        for number in range(folders):
            copy_folder(pattern, result, directory / f"infer_2026_01_01_00_00_00_{number:06}")
    return sum(path.stat().st_size for path in next(directory.iterdir()).iterdir())


def write_trace(path: Path, readings: int) -> None:
    """Write a trace of a noisy 60 W, five readings a second."""
    device = Device(kind="system", index=0, name="simulated device")
    channel = Channel(device=device, key="simulated", sensor="simulated", counter=True, gauge=True)
    writer = TraceWriter(path, [channel], (), datetime.now(UTC), 0.0)
    noise = random.Random(0)
    energy_j = 0.0
    for number in range(readings):
        power_w = noise.gauss(60.0, 5.0)
        energy_j += power_w * 0.2
        writer.write([Reading(number * 0.2 + noise.uniform(0, 0.001), energy_j, power_w)])
    writer.close()


def copy_folder(pattern: Path, result: RunResult, target: Path) -> None:
    """Copy a folder under a new name and give it the result that belongs to that name."""
    shutil.copytree(pattern, target)
    (target / RESULT_FILE).write_text(store.to_json(replace(result, run_id=target.name)), encoding="utf-8")


def run_merge(directory: Path, results: Path, archives: Path | None = None) -> tuple[float, float]:
    """Merge in a process of its own into new folders; return its time [s] and its peak memory [MB]."""
    command: list[str | Path] = [sys.executable, SCRIPT, "--directory", directory, "--output-agglog-dir", results]
    command += [] if archives is None else ["--output-log-dir", archives]
    launched = subprocess.run([sys.executable, "-c", LAUNCHER, *command], capture_output=True, check=True, text=True)
    code, duration_s, peak_kb = launched.stdout.split()
    if code != "0":
        raise SystemExit(f"merge_results.py ended with exit code {code}: {launched.stderr}")
    return float(duration_s), float(peak_kb) * 1024 / 1e6


def write_files(source: Path, target: Path, threads: int) -> float:
    """Write the files of `source` again, each with fsync and rename; return the time [s]."""
    contents = {path.name: path.read_bytes() for path in source.glob("*.json") if not path.name.startswith(".")}
    target.mkdir()

    def write(name: str) -> None:
        temporary = target / f".{name}.tmp"
        with open(temporary, "wb") as file:
            file.write(contents[name])
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(target / name)

    start_s = time.perf_counter()
    if threads == 1:
        for name in contents:
            write(name)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(write, contents))
    return time.perf_counter() - start_s


def run_tar(directory: Path, target: Path, at_once: int) -> float:
    """Pack every folder of `directory` with tar, `at_once` processes at a time; return the time [s]."""
    target.mkdir()

    def pack(folder: Path) -> None:
        subprocess.run(["tar", "czf", target / f"{folder.name}.tar.gz", "-C", directory, folder.name], check=True)

    folders = sorted(directory.iterdir())
    start_s = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(pack, folders))
    return time.perf_counter() - start_s


def repeat(scratch: Path, rounds: int, jobs: dict[str, Callable[[Path], float]]) -> dict[str, float]:
    """Run every job in turn, `rounds` times, each in a folder of its own; return each job's median."""
    found: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds):
        for name, job in jobs.items():
            os.sync()  # nobody pays for what another one wrote
            found[name].append(job(scratch / f"{name} {number}"))
    return {name: statistics.median(values) for name, values in found.items()}


def merging_row(scratch: Path, folders: int, readings: int, rounds: int) -> str:
    """Merge one size; return a row of the table."""
    directory = scratch / "experiments"
    directory.mkdir()
    size = make_folders(directory, folders, readings)
    memory_mb = []

    def merge(target: Path) -> float:
        seconds, peak_mb = run_merge(directory, target)
        memory_mb.append(peak_mb)
        return seconds

    reference = scratch / "reference"
    run_merge(directory, reference)  # warms up too
    took_s = repeat(
        scratch,
        rounds,
        {
            "merge": merge,
            "loop": lambda target: write_files(reference, target, 1),
            "threads": lambda target: write_files(reference, target, THREADS),
        },
    )
    cells = [str(folders), str(readings), f"{size * folders / 1e6:.0f}", f"{took_s['merge']:.2f}"]
    cells += [f"{folders / took_s['merge']:.0f}", f"{statistics.median(memory_mb):.0f}"]
    return f"| {' | '.join(cells)} | {took_s['loop']:.2f} | {took_s['threads']:.2f} |"


def archiving_row(scratch: Path, folders: int, readings: int, rounds: int) -> str:
    """Archive one size; return a row of the table."""
    directory = scratch / "experiments"
    directory.mkdir()
    size = make_folders(directory, folders, readings)
    memory_mb = []

    def merge(target: Path) -> float:
        seconds, peak_mb = run_merge(directory, target / "results", target / "archives")
        memory_mb.append(peak_mb)
        return seconds

    took_s = repeat(
        scratch,
        rounds,
        {
            "merge": merge,
            "one": lambda target: run_tar(directory, target, 1),
            "all": lambda target: run_tar(directory, target, THREADS),
        },
    )
    cells = [str(folders), str(readings), f"{size * folders / 1e6:.0f}", f"{took_s['merge']:.2f}"]
    cells += [f"{folders / took_s['merge']:.0f}", f"{statistics.median(memory_mb):.0f}"]
    return f"| {' | '.join(cells)} | {took_s['one']:.2f} | {took_s['all']:.2f} |"


def size_of(text: str) -> tuple[int, int]:
    """Read an argument such as 2000x200."""
    folders, _, readings = text.partition("x")
    return int(folders), int(readings)


def main() -> None:
    summary, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    sizes = [(200, 200), (2000, 200), (2000, 20000)]
    parser.add_argument(
        "--sizes", type=size_of, nargs="+", default=sizes, metavar="NxM", help="folders x readings, such as 2000x200"
    )
    parser.add_argument("--archive", type=int, default=100, help="folders to archive; 0 leaves that part out")
    parser.add_argument("--archive-readings", type=int, default=20000, help="readings of each folder to archive")
    parser.add_argument("--rounds", type=int, default=3, help="how often each job is timed")
    parser.add_argument("--directory", type=Path, help="where folders are made and removed; a temporary folder if not given")
    args = parser.parse_args()
    if args.directory is not None:
        args.directory.mkdir(parents=True, exist_ok=True)

    rows: dict[str, list[str]] = {"merging": [], "archiving": []}
    work = [("merging", merging_row, size) for size in args.sizes]
    work += [("archiving", archiving_row, (args.archive, args.archive_readings))] if args.archive else []
    for name, row, (folders, readings) in work:
        print(f"{name} {folders} folders of {readings} readings", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="merging-", dir=args.directory) as scratch:
            rows[name].append(row(Path(scratch), folders, readings, args.rounds))

    print(f"{THREADS} x {cpu_name()}, Python {platform.python_version()}; median of {args.rounds} rounds\n")
    head = "| folders | readings each | size [MB] | merge [s] | folders/s | peak memory [MB] |"
    print(f"{head} disk: plain loop [s] | disk: {THREADS} threads [s] |\n|{'---:|' * 8}")
    print("\n".join(rows["merging"]))
    if rows["archiving"]:
        print(f"\nWith archives:\n\n{head} tar, one by one [s] | tar, {THREADS} at once [s] |\n|{'---:|' * 8}")
        print("\n".join(rows["archiving"]))


if __name__ == "__main__":
    main()

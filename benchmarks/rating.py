"""Measure how long loading and rating take: the published results of 2022, and a table of a million rows.

Run by hand::

    python benchmarks/rating.py --directory ../shared/imageneteff22/results
    python benchmarks/rating.py --rows 100000 --groups 1000

Loading and rating a folder of result files is timed in this process, after the libraries are imported; how long their import
takes stands beside it. The table has nine metrics, some values missing, and every group (task, data set, environment) a
reference model; it is rated with every rule set and index. A cell is the median of the rounds; the peak memory is that of a
process of its own that makes the table and rates it once, less what it held before rating.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from mlee.assess.metrics import METRICS
from mlee.assess.rating import FROM_DATA, RatingOptions, rate
from mlee.assess.rules import RULES_2022
from mlee.results.load import load
from mlee.sensors.machine import cpu_name

NINE = [metric for metric in METRICS.values() if "training" in metric.tasks]
CHOICES = {
    "exact": RatingOptions(),
    "2022": RatingOptions(rules=RULES_2022),
    "exact, best": RatingOptions(reference="best"),
    "exact, quantiles": RatingOptions(thresholds=FROM_DATA),
}


def make_table(rows: int, groups: int) -> pd.DataFrame:
    """Make a table of trainings: `rows` runs in `groups` environments, each with a ResNet101."""
    random = np.random.default_rng(0)
    each = rows // groups
    models = np.array(["ResNet101", *(f"model {number}" for number in range(1, each))], dtype=object)
    table = pd.DataFrame(
        {
            "task": "training",
            "dataset": "ImageNet",
            "environment": np.repeat(
                np.array([f"GPU {number} - PyTorch 2.9" for number in range(groups)], dtype=object), each
            ),
            "model": np.tile(models, groups),
            "run_id": np.arange(each * groups).astype(str).astype(object),
        }
    )
    for metric in NINE:
        values = random.lognormal(0, 1, len(table))
        values[random.random(len(table)) < 0.02] = np.nan
        table[metric.key] = values
    return table


def median_s(work: Callable[[], object], rounds: int) -> float:
    """Median time of some rounds [s]."""
    times = []
    for _ in range(rounds):
        started_s = time.perf_counter()
        work()
        times.append(time.perf_counter() - started_s)
    return statistics.median(times)


def peak_mb(rows: int, groups: int) -> tuple[float, float]:
    """Memory before rating, and the peak while rating, of this process [MB]."""
    table = make_table(rows, groups)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rate(table, NINE, RatingOptions())
    return before * 1024 / 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> None:
    summary, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--directory", type=Path, help="folder with result files")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--groups", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print(
        f"{cpu_name()}, {os.cpu_count()} logical CPUs, Python {platform.python_version()}, pandas {pd.__version__}, "
        f"numpy {np.__version__}; median of {args.rounds} rounds\n"
    )
    if args.directory is not None:
        loaded = load([args.directory])
        metrics = list(loaded.metrics.values())
        load_s = median_s(lambda: load([args.directory]), args.rounds)
        rate_s = median_s(lambda: rate(loaded.table, metrics), args.rounds)
        print("| files | load [s] | rate [s] | together [s] |\n|---:|---:|---:|---:|")
        print(f"| {len(loaded.runs)} | {load_s:.2f} | {rate_s:.3f} | {load_s + rate_s:.2f} |\n")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        before_mb, peak = pool.apply(peak_mb, (args.rows, args.groups))
    table = make_table(args.rows, args.groups)
    print(f"| {len(table):,} rows x {len(NINE)} metrics x {args.groups:,} groups | rate [s] |\n|---|---:|")
    for name, options in CHOICES.items():
        print(f"| {name} | {median_s(lambda: rate(table, NINE, options), args.rounds):.2f} |")  # noqa: B023 - called at once
    print(f"\nPeak memory {peak:.0f} MB, of which the table and the libraries {before_mb:.0f} MB.")


if __name__ == "__main__":
    sys.exit(main())

"""`emissions.csv` of CodeCarbon: whole jobs, energies in kWh, most of it estimated.

What its files say and do not say (columns differ between the versions 1 to 3):

* Each row holds the running total since the tracker started; a tracker that is flushed writes several rows of one run_id.
  The longest counts. Files of `start_task` have a `task_name` and one row a task.
* The memory's power is a model in every version, the processor's is one wherever RAPL, Power Gadget or PowerMetrics are out
  of reach, and the file does not say which was used. An energy is therefore "estimated", unless processor and memory are
  stated as 0 and a GPU that is not Apple's is all that was counted: then it is "measured".
* Energies are multiplied by the PUE already; a PUE that is not 1 is worth a warning.
* `timestamp` is local time without an offset, noted at the end: it is read as UTC, and the start is the duration before it.
* Emissions follow from the energy and the place; they are shown and not rated.
"""

from __future__ import annotations

import re

import numpy as np

from mlee.errors import ResultError
from mlee.results.foreign.cells import Cells, listed
from mlee.results.foreign.properties import RESOURCES, Property
from mlee.results.foreign.source import Source
from mlee.results.foreign.tidy import UNKNOWN, ForeignTable, Rows, build

TASK = "job"
_ENERGY, _DURATION, _EMISSIONS = "energy_consumed", "duration", "emissions"
_TEXTS = (
    *("timestamp", "project_name", "run_id", "experiment_id", "task_name", "codecarbon_version"),
    *("cpu_model", "gpu_model", "gpu_count", "tracking_mode"),
)
_NUMBERS = (_ENERGY, _DURATION, _EMISSIONS, "cpu_energy", "gpu_energy", "ram_energy", "pue")
_DEFAULT_PROJECT = "codecarbon"
_COUNTED = re.compile(r"(\d+) x (.+)")
_PROPERTIES = (
    Property(
        column=_ENERGY,
        key="energy",
        label="Energy",
        symbol="E",
        unit="kWh",
        group=RESOURCES,
        higher_is_better=False,
        weight=0.7,
    ),
    Property(
        column=_DURATION,
        key="duration",
        label="Duration",
        symbol="T",
        unit="s",
        group=RESOURCES,
        higher_is_better=False,
        weight=0.3,
    ),
    Property(
        column=_EMISSIONS,
        key="emissions",
        label="Emissions (CO2 equivalents)",
        symbol="CO2e",
        unit="kg",
        group=RESOURCES,
        higher_is_better=False,
        weight=0.0,
    ),
)


def is_codecarbon(header: tuple[str, ...]) -> bool:
    """Tell whether a table was written by CodeCarbon."""
    names = set(header)
    return {_DURATION, _EMISSIONS} <= names and not {"project_name", "codecarbon_version"}.isdisjoint(names)


def read_codecarbon(source: Source) -> ForeignTable:
    """Read the jobs of an emissions file; raises `ResultError` naming file, row and column."""
    if _ENERGY not in source.header:
        raise ResultError(f"{source.path} has no column {_ENERGY}.", "CodeCarbon 1.0 and later write it")
    every = source.read(_TEXTS, _NUMBERS)
    for column in (_ENERGY, _DURATION, _EMISSIONS):
        values = every.numbers(column)
        every.refuse(column, values, values < 0, "is negative")
    cells = every.select(_final_rows(every))
    run_ids = cells.first_of(["run_id", "experiment_id"])
    tasks = cells.text("task_name")
    rows = Rows(
        cells=cells,
        run_id=_run_ids(cells, run_ids, tasks),
        task=[task or TASK for task in tasks],
        dataset=[UNKNOWN] * len(cells),
        environment=_environments(cells),
        model=_models(cells),
        provenance=_provenances(cells),
        started_at=cells.text("timestamp"),
        ran_for_s=cells.numbers(_DURATION),
    )
    if fewer := len(every) - len(cells):
        rows.warn(f"{fewer} rows are earlier totals of runs that a later row completes, left out")
    if count := rows.model.count(_DEFAULT_PROJECT):
        rows.warn(f"{count} runs have the default name: pass project_name to EmissionsTracker to tell models apart")
    overhead = np.nan_to_num(cells.numbers("pue"), nan=1.0)
    if (overhead != 1).any():
        rows.warn(f"energies include the overhead of the data centre (PUE {overhead.min():g} to {overhead.max():g})")
    if len(modes := {mode for mode in cells.text("tracking_mode") if mode}) > 1:
        rows.warn(f"energies of different scope: tracking_mode is {listed(sorted(modes))}")
    _without_zero_energy(rows)
    return build(rows, _PROPERTIES)


def _final_rows(cells: Cells) -> list[int]:
    durations = cells.numbers(_DURATION)
    longest: dict[tuple[str, str], int] = {}
    single: list[int] = []
    ids = cells.text("run_id") if "run_id" in cells.texts else cells.text("experiment_id")
    for index, key in enumerate(zip(ids, cells.text("task_name"), strict=True)):
        if not key[0]:
            single.append(index)
        elif key not in longest or not durations[index] < durations[longest[key]]:
            longest[key] = index
    return sorted([*single, *longest.values()])


def _run_ids(cells: Cells, run_ids: list[str], tasks: list[str]) -> list[str]:
    named = [":".join(filter(None, pair)) if pair[0] else "" for pair in zip(run_ids, tasks, strict=True)]
    if all(named) and len(set(named)) == len(named):
        return named
    return [f"{cells.path.name}:{place}" for place in cells.places]


def _models(cells: Cells) -> list[str]:
    models = cells.first_of(["project_name", "experiment_id"])
    if not all(models):
        raise ResultError(f"{cells.at(models.index(''))}: project_name is empty.")
    return models


def _environments(cells: Cells) -> list[str]:
    columns = [cells.text(name) for name in ("gpu_model", "gpu_count", "cpu_model", "codecarbon_version")]
    return [
        f"{_gpus(gpu, count) or cpu or UNKNOWN} - CodeCarbon {version or 'n.a.'}"
        for gpu, count, cpu, version in zip(*columns, strict=True)
    ]


def _gpus(model: str, count: str) -> str:
    """Turn "4 x NVIDIA A100" into "NVIDIA A100 x4"; different GPUs (joined without a space) stay as they are."""
    if match := _COUNTED.fullmatch(model):
        if _COUNTED.search(match[2]):
            return model
        count, model = match[1], match[2]
    number = int(float(count)) if re.fullmatch(r"\d{1,4}(\.0)?", count) else 1
    return f"{model} x{number}" if model and number > 1 else model


def _provenances(cells: Cells) -> list[str]:
    cpu, gpu, ram = (cells.numbers(f"{part}_energy") for part in ("cpu", "gpu", "ram"))
    apple = np.array([model.removeprefix("1 x ").startswith("Apple") for model in cells.text("gpu_model")], dtype=bool)
    measured = (cpu == 0) & (ram == 0) & (gpu > 0) & ~apple
    return ["measured" if only_gpu else "estimated" for only_gpu in measured]


def _without_zero_energy(rows: Rows) -> None:
    """Make an energy of exactly 0 a missing one: nothing was counted."""
    values = rows.cells.values
    zero = values[_ENERGY] == 0
    if zero.any():
        place = rows.cells.place(int(np.argmax(zero)))
        rows.warn(f"{zero.sum()} runs have the energy 0 (first in {place}): taken as missing")
        for column in (_ENERGY, _EMISSIONS):
            values[column] = np.where(zero, np.nan, values[column])

"""What is known about one model in words: how it was measured, what its rating means, what to mind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlee.assess.compound import letter
from mlee.assess.environment import ESTIMATED
from mlee.assess.metric import Metric
from mlee.assess.metrics import METRICS
from mlee.assess.rating import BEST, Rated
from mlee.assess.references import NAME_ANOTHER
from mlee.assess.run import RunSummary
from mlee.assess.table import COUNT, STANDARD_ERROR, UNCERTAINTY
from mlee.assess.uncertainty import half_width_of
from mlee.records import CALIBRATED, EXTERNAL
from mlee.units import significant, with_unit

_PROVENANCE = {
    "measured": "Energy measured",
    "estimated": "Energy estimated by a model, not measured",
    "external": "Energy taken from another tool",
}


def identity(values: Mapping[Any, Any], runs: Sequence[RunSummary]) -> list[tuple[str, str]]:
    """Say what was run where, and how it was measured; `values` is a row of the rated table."""
    said: list[tuple[str, str]] = [
        ("Task", f"{values['task']} on {values['dataset']}"),
        ("Environment", str(values["environment"]).removesuffix(f" {ESTIMATED}")),
    ]
    provenance = values.get("provenance")
    if isinstance(provenance, str):
        said.append(("Provenance", _PROVENANCE.get(provenance, provenance)))
    if scope := values.get("scope"):
        said.append(("Devices summed", str(scope).replace("+", " + ").upper()))
    if sensors := sorted({sensor for run in runs for sensor in run.sensors}):
        said.append(("Sensors", ", ".join(sensors)))
    missing = {kind: reason for run in runs for kind, reason in run.not_measured.items()}
    if missing:
        said.append(("Not measured", "; ".join(f"{kind}: {reason}" for kind, reason in missing.items())))
    if runs:
        passes = sum(len(run.repeats) for run in runs)
        days = sorted({run.started_at.date().isoformat() for run in runs})
        counted = f"{len(runs)} run{'s' * (len(runs) > 1)}, {passes} timed pass{'es' * (passes > 1)}"
        said.append(("Runs", f"{counted}, {days[0]}{f' to {days[-1]}' if len(days) > 1 else ''}"))
        idle = [run.idle_power_w for run in runs if run.idle_power_w is not None]
        if idle:
            said.append(("Idle power", f"{with_unit(idle[0], 'W')}, not subtracted"))
    said.extend(("At the wall", text) for text in _at_the_wall(values["task"], runs))
    return said


def _at_the_wall(task: str, runs: Sequence[RunSummary]) -> list[str]:
    """Write the wall energies of a sample or an epoch, of the methods that saw all runs: the mean over the runs."""
    found = []
    for sensor, origin in ((EXTERNAL, "wall meter"), (CALIBRATED, "calibrated against a wall meter")):
        each = [run.wall_energy_j[sensor] / parts for run in runs if sensor in run.wall_energy_j and (parts := _parts(run))]
        if each and len(each) == len(runs):
            unit = "sample" if task == "inference" else "epoch"
            found.append(f"{with_unit(math.fsum(each) / len(each), 'J')} per {unit}, {origin}; not rated")
    return found


def _parts(run: RunSummary) -> int | None:
    return run.samples if run.task == "inference" else run.epochs


def listed(rated: Rated, row: int) -> list[Metric]:
    """Return the metrics to name of a row, known or not: ours that apply, of other tools those that its environment has."""
    table = rated.table
    applying = [metric for column, metric in enumerate(rated.metrics) if rated.applies[row, column]]
    if all(metric.key in METRICS for metric in applying):
        return applying
    here = [(table[key] == table[key].iloc[row]).to_numpy() for key in ("task", "dataset", "environment")]
    beside = table[np.logical_and.reduce(here)]
    return [metric for metric in applying if metric.key in METRICS or beside[metric.key].notna().any()]


def verdict(rated: Rated, row: int) -> str:
    """Say what the compound rating of a row compares, and which ones its repeats allow."""
    name = letter(rated.compound[row])
    if name is None:
        return "Not rated: too few of its metrics are known, or there is no reference here."
    best, worst = letter(rated.compound_best[row]), letter(rated.compound_worst[row])
    spread = f" (repeats allow {best} to {worst})" if best != worst and best and worst else ""
    reference = rated.table["reference"].iloc[row]
    if rated.options.reference == BEST:
        return f"{name} next to the best of each metric here{spread}"
    if reference == rated.table["model"].iloc[row]:
        return f"{name}; it is the reference model: every index of it is 1{spread}"
    return f"{name} next to {reference}{spread}"


def all_warnings(rated: Rated, row: int, runs: Sequence[RunSummary]) -> list[str]:
    """List what was said of a row's runs and of its rating, each once, without what only a command line can do."""
    said = (*(w.message for run in runs for w in run.warnings), *(w.message for w in rated.warnings[row]))
    return list(dict.fromkeys(message.removesuffix(NAME_ANOTHER) for message in said))


def uncertainty(metric: Metric, values: Mapping[Any, Any], value: float | None) -> str | None:
    """Write half of the 95 % interval of a value as its share, such as "± 1.2 %"; `None` where nothing is known of it."""
    spread = half_width_of(known(values.get(metric.key + STANDARD_ERROR)), int(values.get(metric.key + COUNT, values["n"])))
    unsure = max(spread or 0.0, known(values.get(metric.key + UNCERTAINTY)) or 0.0)
    return f"± {significant(abs(unsure / value) * 100, 2)} %" if unsure and value else None


def known(value: Any) -> float | None:
    """Turn a cell of the table into a number; `None` where there is none."""
    return float(value) if value is not None and math.isfinite(value) else None

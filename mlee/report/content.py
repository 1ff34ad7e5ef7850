"""What a report says, before anything is drawn: groups of models, facts of environments, settings, remarks.

Everything is taken from the results; nothing is said that does not stand in them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlee.assess.compound import MISSING, letter
from mlee.assess.export import count_published, metric_text, rating_text
from mlee.assess.metric import Metric
from mlee.assess.rating import Rated
from mlee.assess.run import RunSummary
from mlee.report.remarks import Remark, remarks
from mlee.units import last_part, with_unit

#: Order of the columns; a metric that no model of the group has is left out.
_COLUMNS = (
    *("energy_per_sample", "time_per_sample", "energy_per_epoch", "time_per_epoch", "energy_full_training"),
    *("time_full_training", "top1_accuracy", "top5_accuracy", "parameters", "macs", "weights_size"),
)
_MOST_NAMED = 6
_PROVENANCES = {"external": "taken from another tool", "unknown": "not measured"}
#: Settings that differ from run to run by their nature, say the same as another one, or where data lie: that is nobody's
#: business, and the groups name the data.
_NOT_A_SETTING = ("infer_model", "model", "data_path", "output_dir", "timestamp", "sensors", "loglevel")


@dataclass(frozen=True, slots=True)
class Row:
    """A model in its group: texts of its cells in order of the group's columns, and its class."""

    model: str
    rating: str
    cells: tuple[str, ...]
    number: int


@dataclass(frozen=True, slots=True)
class Group:
    """Models that are compared with each other: same task, data and environment."""

    task: str
    dataset: str
    environment: str
    reference: str | None
    columns: tuple[Metric, ...]
    rows: tuple[Row, ...]
    facts: tuple[tuple[str, str], ...]

    @property
    def title(self) -> str:
        """The group in words."""
        return f"{self.task.capitalize()} on {self.dataset}, {self.environment}"


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a report holds; `period` is the first and the last day of the runs, where any is known."""

    title: str
    author: str | None
    period: tuple[str, str] | None
    summary: tuple[str, ...]
    groups: tuple[Group, ...]
    remarks: tuple[Remark, ...]
    settings: tuple[tuple[str, str], ...]
    methods: tuple[str, ...]


def assemble(rated: Rated, runs: Mapping[str, RunSummary], *, title: str, author: str | None) -> Report:
    """Collect what a report says of rated results."""
    groups = tuple(_groups(rated, runs))
    # Rows of a table of another tool have no runs; some know when they were made.
    times = [*(run.started_at for run in runs.values()), *rated.table["started_at"].dropna()]
    days = sorted(f"{time:%Y-%m-%d}" for time in times)
    return Report(
        title=title,
        author=author,
        period=(days[0], days[-1]) if days else None,
        summary=tuple(_summary(rated, runs, groups)),
        groups=groups,
        remarks=tuple(remarks(rated, runs)),
        settings=tuple(_settings(runs.values())),
        methods=tuple(_methods(rated, runs)),
    )


def _groups(rated: Rated, runs: Mapping[str, RunSummary]) -> Iterable[Group]:
    table = rated.table
    keys = ["task", "dataset", "environment"]
    for (task, dataset, environment), part in table.groupby(keys, sort=False, observed=True):
        numbers = [int(number) for number in part.index]
        known = {metric.key: metric for metric in rated.metrics}
        ordered = [known[key] for key in _COLUMNS if key in known]
        ordered += [metric for metric in rated.metrics if metric.key not in _COLUMNS]
        columns = tuple(metric for metric in ordered if table[metric.key].iloc[numbers].notna().any())
        rows = [
            Row(
                model=str(table["model"].iloc[number]),
                rating=rating_text(
                    *(part_[number] for part_ in (rated.compound, rated.compound_best, rated.compound_worst)), compact=True
                ),
                cells=tuple(metric_text(rated, number, metric, compact=True) for metric in columns),
                number=number,
            )
            for number in numbers
        ]
        rows.sort(key=lambda row: (rated.compound[row.number] == MISSING, rated.compound[row.number], row.model))
        reference = table["reference"].iloc[numbers[0]]
        mine = [runs[run] for number in numbers for run in table["run_ids"].iloc[number] if run in runs]
        yield Group(
            task=str(task),
            dataset=str(dataset),
            environment=str(environment),
            reference=reference if isinstance(reference, str) else None,
            columns=columns,
            rows=tuple(rows),
            facts=(*_facts(mine), *_other_tools(table["run_ids"].iloc[numbers], runs)),
        )


def _other_tools(run_ids: Iterable[Sequence[str]], runs: Mapping[str, RunSummary]) -> Iterable[tuple[str, str]]:
    """Count the rows without runs of ours: those of tables of other tools."""
    others = sum(not any(name in runs for name in ids) for ids in run_ids)
    if others:
        yield "table of another tool", f"{_count(others, 'result')}; it says no more about how it was measured"


def _facts(runs: Sequence[RunSummary]) -> Iterable[tuple[str, str]]:
    """Facts of an environment, each with all values that occur."""
    if not runs:
        return
    yield "runs", str(len(runs))
    yield "CPU", _all(run.cpu_name for run in runs)
    gpus = [_gpus(run.gpu_names) for run in runs if run.gpu_names]
    yield "GPUs", _all(gpus) if gpus else "none"
    yield "software", _all(" ".join(run.software) for run in runs)
    pythons = [run.packages["python"] for run in runs if "python" in run.packages]
    if pythons:
        yield "Python", _all(pythons)
    yield "energy includes", _all(" + ".join(run.scope) or "nothing" for run in runs)
    yield "sensors", _all(", ".join(run.sensors) or "none recorded" for run in runs)
    yield "provenance of energy", _all(run.provenance or "none" for run in runs)
    idle = [run.idle_power_w for run in runs if run.idle_power_w is not None]
    if idle:
        yield "idle power", " to ".join(dict.fromkeys((with_unit(min(idle), "W"), with_unit(max(idle), "W"))))
    missing = {sensor: reason for run in runs for sensor, reason in run.not_measured.items()}
    for sensor, reason in missing.items():
        yield f"not measured: {sensor}", reason


def _gpus(names: Sequence[str]) -> str:
    return " + ".join(f"{count} x {name}" if count > 1 else name for name, count in Counter(names).items())


def _all(values: Iterable[str]) -> str:
    found = list(dict.fromkeys(values))
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return "; ".join(found[:_MOST_NAMED]) + more


def _summary(rated: Rated, runs: Mapping[str, RunSummary], groups: Sequence[Group]) -> Iterable[str]:
    rows = zip(rated.table["model"], rated.table["run_ids"], strict=True)
    models = len({runs[ids[0]].model if ids[0] in runs else model for model, ids in rows})  # variants of one are one
    yield (
        f"{_count(len({name for ids in rated.table['run_ids'] for name in ids}), 'run')} of {_count(models, 'model')} in "
        f"{_count(len(groups), 'group')} of the same task, data set and environment; models are compared within a group."
    )
    provenances = rated.table.get("provenance")
    if provenances is not None:
        counts = {str(name): int(number) for name, number in provenances.fillna("unknown").value_counts().items()}
        text = ", ".join(f"{_PROVENANCES.get(name, name)} for {_count(number, 'result')}" for name, number in counts.items())
        yield f"Energy is {text}." + (" Estimated values carry ~." if "estimated" in counts else "")
    if published := count_published(rated):
        yield f"Accuracies of {_count(published, 'result')} were published with the weights and not measured here: (p)."
    classes = [letter(int(number)) or "not rated" for number in rated.compound]
    found = {name: classes.count(name) for name in (*"ABCDE", "not rated") if name in classes}
    yield "Ratings: " + ", ".join(f"{number} x {name}" for name, number in found.items()) + "."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _settings(runs: Iterable[RunSummary]) -> Iterable[tuple[str, str]]:
    """List every option of the runs with the values that occur."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, value in _config(run).items():
            if name not in _NOT_A_SETTING:
                found.setdefault(name, {})[_written(value)] = None
    for name, values in found.items():
        if len(values) > _MOST_NAMED:
            yield name.replace("_", " "), f"{len(values)} values, such as {'; '.join(list(values)[:2])}"
        else:
            yield name.replace("_", " "), "; ".join(values)


def _config(run: RunSummary) -> dict[str, Any]:
    """Read the options of a run again: whatever its format, they stand in the field `config`."""
    try:
        config = json.loads(Path(run.source).read_text(encoding="utf-8"))["config"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return config if isinstance(config, dict) else {}


def _written(value: object) -> str:
    """Write the value of an option; of a path its last part, since a report leaves the machine."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return ", ".join(map(_written, value))
    return "none" if value is None else last_part(str(value))


def _methods(rated: Rated, runs: Mapping[str, RunSummary]) -> Iterable[str]:
    options = rated.options
    weights = ", ".join(f"{metric.label} {metric.weight:g}" for metric in rated.metrics if metric.weight > 0)
    references = ", ".join(dict.fromkeys(str(name) for name in rated.table["reference"] if isinstance(name, str)))
    yield (
        "Each value is divided by that of the reference model of its group, or the other way round where lower is better, "
        "so that 1 is as good as the reference and more is better (index). Thresholds turn an index into a class A to E, "
        "and the classes of the metrics are combined to the rating of a model."
    )
    yield (
        f"Rules '{options.rules.name}', mode '{options.mode}', thresholds '{rated.thresholds.name}', "
        f"reference {references or 'none'}. Weights: {weights or 'none'}."
    )
    if any(run.version == 1 for run in runs.values()):
        yield "Files of 2022 do not tell how far their energies are to be trusted, and hold one run of each model."
    if np.any(rated.compound_best != rated.compound_worst):
        yield "Letters in brackets are the classes that the spread of repeats allows (95 % intervals, Student's t)."
    if any(run.provenance == "estimated" for run in runs.values()):
        yield (
            "Energies with ~ were not measured: they are estimated from the load of the CPU with published coefficients "
            "(Cloud Carbon Footprint), whose band is wide."
        )

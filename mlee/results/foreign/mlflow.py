"""Runs exported by MLflow: what `mlflow.search_runs()` or `mlflow experiments csv` writes.

Columns: run_id, experiment_id, status, artifact_uri, start_time, end_time (UTC), `metrics.*` (the last value of each),
`params.*`, `tags.*`. MLflow has no notion of model, data set, task or environment; each is taken from the first of these
that is not empty (upper and lower case are the same):

    model        params.model, .model_name, .model_name_or_path, ._name_or_path, tags.model, .model_name, .estimator_name
                 (scikit-learn autologging), the run's name (with a warning), its run_id
    dataset      params.dataset, .dataset_name, tags.dataset, .dataset_name, else "unknown"
    task         params.task, .task_name, tags.task, else "unknown"
    environment  params.environment, tags.environment, "params.architecture - params.software" (as STREP's author logs them),
                 params.hardware, params.gpu, tags.sys.gpu, tags.sys.cpu, params.device, else "unknown"

Runs that did not finish, runs without any value and the second row of one run_id are left out with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mlee.errors import ResultError
from mlee.results.foreign.cells import Cells, listed
from mlee.results.foreign.properties import META_NAME, Property, guess
from mlee.results.foreign.source import Source
from mlee.results.foreign.strep import environments
from mlee.results.foreign.tidy import KEYS, UNKNOWN, ForeignTable, Rows, build

_METRICS = "metrics."
_MODEL = (
    *("params.model", "params.model_name", "params.model_name_or_path", "params._name_or_path"),
    *("tags.model", "tags.model_name", "tags.estimator_name"),
)
_RUN_NAME = "tags.mlflow.runname"
_DATASET = ("params.dataset", "params.dataset_name", "tags.dataset", "tags.dataset_name")
_TASK = ("params.task", "params.task_name", "tags.task")
_ENVIRONMENT = ("params.environment", "tags.environment")
_HARDWARE, _SOFTWARE = "params.architecture", "params.software"
_DEVICE = ("params.hardware", "params.gpu", "tags.sys.gpu", "tags.sys.cpu", "params.device")
_INFO = ("run_id", "status", "start_time")
_WANTED = {*_INFO, *_MODEL, _RUN_NAME, *_DATASET, *_TASK, *_ENVIRONMENT, _HARDWARE, _SOFTWARE, *_DEVICE}
_FINISHED = "FINISHED"


def is_mlflow(header: tuple[str, ...]) -> bool:
    """Tell whether a table is an export of MLflow runs."""
    prefixed = any(name.startswith((_METRICS, "params.", "tags.mlflow.")) for name in header)
    return "run_id" in header and prefixed and not {"experiment_id", "status", "start_time"}.isdisjoint(header)


def read_mlflow(source: Source, meta: Mapping[str, Property] | None) -> ForeignTable:
    """Read exported runs; raises `ResultError` naming file, row and column."""
    metrics = [name for name in source.header if name.startswith(_METRICS) and name != _METRICS]
    if not metrics:
        raise ResultError(f"{source.path} is an export of MLflow runs without a column metrics.*", "log a metric")
    wanted = [name for name in source.header if name.lower() in _WANTED]
    cells, notes = _usable_runs(_lowered(source.read(wanted, metrics), wanted))
    models = cells.first_of(_MODEL)
    rows = Rows(
        cells=cells,
        run_id=cells.text("run_id"),
        task=[task or UNKNOWN for task in cells.first_of(_TASK)],
        dataset=[dataset or UNKNOWN for dataset in cells.first_of(_DATASET)],
        environment=_environment(cells),
        model=[model or name for model, name in zip(models, cells.first_of((_RUN_NAME, "run_id")), strict=True)],
        provenance=[None] * len(cells),
        started_at=cells.text("start_time"),
    )
    for note in notes:
        rows.warn(note)
    if count := models.count(""):
        rows.warn(f"{count} runs name no model (params.model): the run's name stands for it")
    for name, texts in (("task", rows.task), ("dataset", rows.dataset), ("environment", rows.environment)):
        if count := texts.count(UNKNOWN):
            rows.warn(f"{count} runs have no {name} (params.{name}): '{UNKNOWN}'")
    return build(rows, _properties(rows, metrics, meta))


def _lowered(cells: Cells, names: list[str]) -> Cells:
    """Name the key columns in lower case; the first of two that differ by case counts."""
    lowered: dict[str, list[str]] = {}
    for name in names:
        lowered.setdefault(name.lower(), cells.texts[name])
    return replace(cells, texts=lowered)


def _usable_runs(cells: Cells) -> tuple[Cells, list[str]]:
    run_ids, status = cells.text("run_id"), cells.text("status")
    if not all(run_ids):
        raise ResultError(f"{cells.at(run_ids.index(''))}: run_id is empty.")
    unfinished = {index for index, state in enumerate(status) if state and state.upper() != _FINISHED}
    valueless = np.logical_and.reduce([np.isnan(values) for values in cells.values.values()])
    empty = {int(index) for index in np.flatnonzero(valueless)} - unfinished
    first_places = {run_id: index for index, run_id in reversed(list(enumerate(run_ids)))}
    repeated = {index for index, run_id in enumerate(run_ids) if first_places[run_id] != index} - unfinished - empty
    dropped = (
        (unfinished, f"runs that did not finish are left out ({listed(sorted({status[index] for index in unfinished}))})"),
        (empty, "runs without a value of any metric are left out"),
        (repeated, "rows repeat the run_id of another and are left out"),
    )
    kept = [index for index in range(len(cells)) if not any(index in which for which, _ in dropped)]
    notes = [f"{len(which)} {text}" for which, text in dropped if which]
    if not kept:
        raise ResultError(f"{cells.path} holds no finished run with a metric: {'; '.join(notes)}.")
    return (cells.select(kept) if notes else cells), notes


def _environment(cells: Cells) -> list[str]:
    stated, pairs = cells.first_of(_ENVIRONMENT), environments(cells, "", _HARDWARE, _SOFTWARE)
    # "architecture" alone is more often the shape of a network than a machine: it counts with its software only.
    complete = zip(cells.text(_HARDWARE), cells.text(_SOFTWARE), strict=True)
    pairs = [pair if all(both) else "" for pair, both in zip(pairs, complete, strict=True)]
    devices = cells.first_of(_DEVICE)
    return [next(filter(None, row), UNKNOWN) for row in zip(stated, pairs, devices, strict=True)]


def _properties(rows: Rows, metrics: list[str], meta: Mapping[str, Property] | None) -> list[Property]:
    """Describe each metric by the user's description, or by its name where there is none."""
    properties: list[Property] = []
    undescribed: list[str] = []
    for column in metrics:
        name = column.removeprefix(_METRICS)
        key = column if name in KEYS else name
        described = (meta or {}).get(name) or (meta or {}).get(column)
        if described is not None:
            properties.append(replace(described, column=column, key=key))
        elif meta is None:
            properties.append(guess(column, key))
        else:
            undescribed.append(key)
            properties.append(replace(guess(column, key), weight=0.0))
    if undescribed:
        rows.warn(f"not described in {META_NAME}, shown, not rated: {listed(undescribed)}")
    return properties

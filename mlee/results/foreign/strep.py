"""A table with a `meta_properties.json` beside it, as STREP (github.com/raphischer/strep) keeps its data bases.

Key columns: model (needed), dataset, task, environment; where there is no environment, it is "architecture - software" as in
STREP. `run_id`, `started_at` and `provenance` are taken where present. Metrics are the columns that the description names;
other columns (configuration, batch size, ...) are left out and named: rows that differ only in them are repeats.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlee.errors import ResultError
from mlee.results.foreign.cells import Cells, listed
from mlee.results.foreign.properties import META_NAME, Property
from mlee.results.foreign.source import Source
from mlee.results.foreign.tidy import KEYS, PROVENANCES, UNKNOWN, ForeignTable, Rows, build

_HARDWARE, _SOFTWARE = "architecture", "software"
_KEYS = (*KEYS, _HARDWARE, _SOFTWARE)


def is_strep(header: tuple[str, ...], properties: Mapping[str, Property]) -> bool:
    """Tell whether a description belongs to a table: it names a column."""
    return not properties.keys().isdisjoint(header)


def read_strep(source: Source, properties: Mapping[str, Property]) -> ForeignTable:
    """Read a table and its description; raises `ResultError` naming file, row and column."""
    if reserved := properties.keys() & set(KEYS):
        name = min(reserved)
        raise ResultError(f"{source.path.parent / META_NAME}: field {name} is the name of a key column, not of a metric.")
    if "model" not in source.header:
        raise ResultError(f"{source.path} has no column model.", "name the columns model, dataset, task and environment")
    cells = source.read(_KEYS, list(properties))
    models = cells.text("model")
    if not all(models):
        raise ResultError(f"{cells.at(models.index(''))}: model is empty.")
    rows = Rows(
        cells=cells,
        run_id=[f"{cells.path.name}:{place}" for place in cells.places],
        task=[task or UNKNOWN for task in cells.text("task")],
        dataset=[dataset or UNKNOWN for dataset in cells.text("dataset")],
        environment=[environment or UNKNOWN for environment in environments(cells, "environment", _HARDWARE, _SOFTWARE)],
        model=models,
        provenance=[_provenance(cells, index, text) for index, text in enumerate(cells.text("provenance"))],
        started_at=cells.text("started_at"),
    )
    run_ids = cells.text("run_id")
    if all(run_ids) and len(set(run_ids)) == len(run_ids):
        rows.run_id = run_ids
    for name, texts in (("task", rows.task), ("dataset", rows.dataset), ("environment", rows.environment)):
        if count := texts.count(UNKNOWN):
            rows.warn(f"{count} rows have no {name}: '{UNKNOWN}'")
    if others := [name for name in source.header if name and name not in _KEYS and name not in properties]:
        rows.warn(f"not described in {META_NAME}, left out: {listed(others)}")
    return build(rows, [described for column, described in properties.items() if column in cells.values])


def environments(cells: Cells, environment: str, hardware: str, software: str) -> list[str]:
    """Return the environment of each row, or "hardware - software" where that is known instead, or an empty text."""
    pairs = zip(cells.text(hardware), cells.text(software), strict=True)
    return [stated or " - ".join(filter(None, pair)) for stated, pair in zip(cells.text(environment), pairs, strict=True)]


def _provenance(cells: Cells, index: int, text: str) -> str | None:
    if text and text not in PROVENANCES:
        raise ResultError(f"{cells.at(index)}: provenance is {text[:40]!r}, expected one of: {', '.join(PROVENANCES)}.")
    return text or None

"""Summary tables for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

from mlee.records import RunResult, Task
from mlee.training_records import TrainingOutcome
from mlee.units import percent, significant, with_unit

_COLUMNS: dict[Task, tuple[str, ...]] = {
    "inference": (
        *("model", "samples", "time/sample", "energy/sample", "power", "top-1", "top-5", "parameters", "MACs"),
        "environment",
    ),
    "training": (
        *("model", "epochs", "time/epoch", "energy/epoch", "power", "top-1", "top-5", "parameters", "MACs"),
        "environment",
    ),
}
#: The order in which columns go where the terminal is too narrow for all. The model stays.
_DROPPED = (
    *("top-5", "power", "MACs", "samples", "parameters", "environment", "epochs", "top-1"),
    *("time/sample", "time/epoch", "energy/sample", "energy/epoch"),
)
_NOT_MEASURED = "-"
#: Characters of a model's name in a line: that of a variant is longer than one line should be.
WIDEST_MODEL = 28


@dataclass(frozen=True, slots=True)
class Row:
    """What the summary shows of one run, ready to print: a text for each column, and which remarks it needs."""

    run_id: str
    task: Task
    cells: tuple[str, ...]
    environment: str
    estimated: bool
    published: bool

    def named(self, model: str) -> Row:
        """Return the row with another name of the model."""
        return replace(self, cells=(model, *self.cells[1:]))


def summary_row(result: RunResult) -> Row:
    """Condense a run into a row of the table; repeats are averaged. A training shows the accuracy of its best epoch."""
    outcome = result.outcome
    published = False
    if isinstance(outcome, TrainingOutcome):
        count = len(outcome.history)
        accuracies: tuple[float | None, ...] = (
            outcome.best.validation_top1_accuracy,
            outcome.best.validation_top5_accuracy,
        )
    else:
        count = outcome.samples
        accuracies = (outcome.top1_accuracy, outcome.top5_accuracy)
        published = outcome.accuracy_provenance == "published"
    duration_s = fmean(measurement.duration_s for measurement in result.measurements)
    estimated = result.measurements[0].provenance == "estimated"
    mark = "~" if estimated else ""
    energies = [measurement.energy_j for measurement in result.measurements if measurement.energy_j is not None]
    complete = len(energies) == len(result.measurements)
    energy_j = fmean(energies) if complete else None
    unsure_j = max(measurement.energy_uncertainty_j or 0.0 for measurement in result.measurements)
    cells = (
        result.model.name,
        str(count),
        with_unit(duration_s / count, "s"),
        _or_gap(energy_j, lambda joules: f"{mark}{with_unit(joules / count, 'J')}{_share(unsure_j, joules)}"),
        _or_gap(energy_j, lambda joules: mark + with_unit(joules / duration_s, "W")),
        *(_or_gap(found, lambda share: percent(share) + (" (p)" if published else "")) for found in accuracies),
        with_unit(result.model.parameters, ""),
        _or_gap(result.model.macs, lambda macs: with_unit(macs, "")),
    )
    environment = f"{result.config.backend} on {result.config.device}"
    return Row(result.run_id, result.task, cells, environment, estimated and complete, published)


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    """Width of the table with these columns: two blanks and a line of the box between two of them, and one around."""
    widths = {name: max(map(cell_len, texts)) for name, texts in columns.items()}
    widths["model"] = min(widths["model"], WIDEST_MODEL)
    return sum(widths.values()) + 3 * len(columns) - 1


def _or_gap(value: float | None, write: Callable[[float], str]) -> str:
    return _NOT_MEASURED if value is None else write(value)


def _share(unsure_j: float, energy_j: float) -> str:
    return f" ±{significant(100 * unsure_j / energy_j, 2)} %" if energy_j > 0 else ""


def summary_table(title: str, rows: Sequence[Row], width: int) -> Table:
    """Make the summary table of runs of one task for `width` columns: what does not fit is left out, never cut."""
    environments = sorted({row.environment for row in rows})
    several = len(environments) > 1
    where = "" if several else f", {environments[0]}"
    table = Table(title=f"{title}{where}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    columns = {
        name: [name, *(cells[index] for cells in ((*row.cells, row.environment) for row in rows))]
        for index, name in enumerate(_COLUMNS[rows[0].task])
    }
    if not several:
        del columns["environment"]
    for name in _DROPPED:
        if _width(columns) > width:
            columns.pop(name, None)
    for name in columns:
        words = name in ("model", "environment")
        table.add_column(name, justify="left" if words else "right", no_wrap=name != "model", overflow="fold")
    table.columns[0].max_width = WIDEST_MODEL
    for cells in zip(*(texts[1:] for texts in columns.values()), strict=True):
        table.add_row(*map(escape, cells))
    notes = [
        text
        for wanted, text in (
            (any(row.estimated for row in rows), "~ estimated from the CPU's load, not measured"),
            (any(row.published for row in rows), "(p) published accuracy, not measured here"),
            (any(_NOT_MEASURED in texts for texts in columns.values()), "- not measured"),
        )
        if wanted
    ]
    table.caption = "; ".join(notes) or None
    table.caption_justify = "left"
    return table

"""Rated tables as data for other programs (JSON, CSV) and as tables for texts (Markdown, LaTeX).

Names come from files and are data: they are escaped for the format they are written in. A number that does not exist
is null or an empty cell.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from mlee.assess.compound import letter
from mlee.assess.metric import Metric
from mlee.assess.rating import Rated
from mlee.assess.table import COUNT, STANDARD_ERROR, UNCERTAINTY
from mlee.units import printable, with_unit

#: Metrics for people: the ones a reader looks for first, in this order; the others follow in JSON and CSV only.
SHOWN = (
    *("energy_per_sample", "time_per_sample", "energy_per_epoch", "time_per_epoch"),
    *("energy_full_training", "top1_accuracy", "parameters"),
)
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # Behind a line's end, these would be an option of it.
    **{character: f"{{{character}}}" for character in "[]*"},
}
_MARKDOWN = frozenset(r"\|`*_[]<>#&~$")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


#: Behind the metrics in a CSV file.
_CSV_END = ["provenance", "accuracy_provenance", "scope", "reference", "rules", "mode", "thresholds", "warnings"]


def records(rated: Rated, numbers: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Return one dictionary a model, ready for JSON: no NaN, no infinity (an index without bound is null, rated A).

    `numbers` are the rows wanted, in that order; all of them without it.
    """
    options = rated.options
    rows = []
    if numbers is None:
        numbers = range(len(rated.table))
    for number, row in zip(numbers, rated.table.iloc[list(numbers)].to_dict("records"), strict=True):
        rows.append(
            {
                "task": row["task"],
                "dataset": row["dataset"],
                "environment": row["environment"],
                "model": row["model"],
                "compound": letter(rated.compound[number]),
                "compound_range": [letter(rated.compound_best[number]), letter(rated.compound_worst[number])],
                "groups": {name: letter(group[number]) for name, group in rated.groups.items()},
                "metrics": {
                    metric.key: _metric(rated, number, column, metric, row)
                    for column, metric in enumerate(rated.metrics)
                    if rated.applies[number, column]
                },
                "provenance": _text(row.get("provenance")),
                "accuracy_provenance": _text(row.get("accuracy_provenance")),
                "scope": _text(row.get("scope")),
                "reference": _text(row["reference"]),
                "rules": options.rules.name,
                "mode": options.mode,
                "thresholds": rated.thresholds.name,
                "runs": list(row["run_ids"]),
                "warnings": [{"code": w.code, "message": w.message} for w in rated.warnings[number]],
            }
        )
    return rows


def _metric(rated: Rated, number: int, column: int, metric: Metric, row: dict[Any, Any]) -> dict[str, Any]:
    return {
        "value": _number(row[metric.key]),
        "unit": metric.unit,
        "index": _number(rated.index[number, column]),
        "rating": letter(rated.rating[number, column]),
        "rating_range": [letter(rated.rating_best[number, column]), letter(rated.rating_worst[number, column])],
        "weight": metric.weight,
        "standard_error": _number(row.get(metric.key + STANDARD_ERROR)),
        "uncertainty": _number(row.get(metric.key + UNCERTAINTY)),
        "n": int(row.get(metric.key + COUNT, row["n"])),
    }


def to_json(rated: Rated) -> str:
    """Write `records` as JSON."""
    return json.dumps(records(rated), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def to_csv(rated: Rated, numbers: Sequence[int] | None = None) -> str:
    """Write one row a model and a group of columns a metric; text that a spreadsheet would compute is quoted with `'`.

    `numbers` are the rows wanted, in that order; all of them without it.
    """
    groups = list(rated.groups)
    parts = ("value", "index", "rating", "standard_error", "n")
    head = ["task", "dataset", "environment", "model", "compound", "compound_best", "compound_worst"]
    head += [f"{name} group" if name in (*head, *_CSV_END) else name for name in groups]
    head += [f"{metric.key}_{part}" + _unit_suffix(metric, part) for metric in rated.metrics for part in parts]
    head += _CSV_END
    lines = [_csv_line(head)]
    for record in records(rated, numbers):
        cells: list[object] = [record[key] for key in ("task", "dataset", "environment", "model", "compound")]
        cells += [*record["compound_range"], *(record["groups"][name] for name in groups)]
        for metric in rated.metrics:
            found = record["metrics"].get(metric.key, {})
            cells += [found.get(part) for part in parts]
        cells += [record[key] for key in _CSV_END[:-1]]
        cells.append("; ".join(warning["message"] for warning in record["warnings"]))
        lines.append(_csv_line(cells))
    return "".join(lines)


def to_markdown(rated: Rated) -> str:
    """Write one Markdown table."""
    head, rows = readable(rated)
    cells = [[_markdown(cell) for cell in row] for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells) + f"\n\n{_markdown(_footnote(rated))}\n"


def to_latex(rated: Rated) -> str:
    """Write one LaTeX table (needs booktabs)."""
    head, rows = readable(rated)
    lines = [rf"\begin{{tabular}}{{{'l' * len(head)}}}", r"\toprule", _latex_row(head), r"\midrule"]
    lines += [_latex_row(row) for row in rows]
    lines += [r"\bottomrule", r"\end{tabular}", f"% {_one_line(_footnote(rated))}"]
    return "\n".join(lines) + "\n"


def readable(rated: Rated, *, compact: bool = False) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table for people: keys, ratings, and the first metrics with value and class.

    `compact` writes "B [A-C]" for "B (could be A or C)", and "~" before an estimated value for "est." behind it.
    """
    shown = [metric for key in SHOWN for metric in rated.metrics if metric.key == key]
    shown = shown or [metric for metric in rated.metrics if metric.weight > 0][:6]
    shown = [metric for metric in shown if not rated.table[metric.key].isna().all()]
    keys = ["task", *(["dataset"] if rated.table["dataset"].nunique() > 1 else []), "environment", "model"]
    head = [*keys, "rating", *rated.groups, *(metric.label for metric in shown)]
    rows = []
    for number, row in enumerate(rated.table.to_dict("records")):
        cells = [str(row[key]) for key in keys]
        own = (part[number] for part in (rated.compound, rated.compound_best, rated.compound_worst))
        cells.append(rating_text(*own, compact=compact))
        cells += [letter(group[number]) or "-" for group in rated.groups.values()]
        cells += [metric_text(rated, number, metric, compact=compact) for metric in shown]
        rows.append([printable(cell) for cell in cells])
    return [printable(cell) for cell in head], rows


def metric_text(rated: Rated, number: int, metric: Metric, *, compact: bool = False) -> str:
    """Value and class of one metric of one row, such as "673 mJ B"; "-" where it was not measured."""
    column = rated.position(metric.key)
    value = _number(rated.table[metric.key].iloc[number])
    if value is None:
        return "-"
    text = f"{value * 100:.1f} %" if metric.key.endswith("_accuracy") else with_unit(value, metric.unit)
    parts = (part[number, column] for part in (rated.rating, rated.rating_best, rated.rating_worst))
    estimated = rated.table.get("provenance") is not None and rated.table["provenance"].iloc[number] == "estimated"
    before, behind = ("", "")
    if estimated and metric.key.startswith("energy"):
        before, behind = ("~", "") if compact else ("", " est.")
    if is_published(rated, number, metric):
        text += " (p)"
    return f"{before}{text} {rating_text(*parts, compact=compact)}{behind}"


def is_published(rated: Rated, number: int, metric: Metric) -> bool:
    """Whether a value is an accuracy that was published with the weights, and not measured."""
    found = rated.table.get("accuracy_provenance")
    return metric.key.endswith("_accuracy") and found is not None and found.iloc[number] == "published"


def count_published(rated: Rated) -> int:
    """Count the rows whose accuracies were published with the weights."""
    found = rated.table.get("accuracy_provenance")
    return 0 if found is None else int((found == "published").sum())


def rating_text(rating: int, best: int, worst: int, *, compact: bool = False) -> str:
    """Write a rating and the classes that it could be, such as "B (could be C)"; "-" where there is none."""
    own = letter(rating)
    if own is None:
        return "-"
    if compact:
        return own if best == worst else f"{own} [{letter(best)}-{letter(worst)}]"
    others = [name for name in (letter(best), letter(worst)) if name not in (own, None)]
    return f"{own} (could be {' or '.join(dict.fromkeys(map(str, others)))})" if others else own


def latex(text: str) -> str:
    """Escape text for LaTeX; control characters become spaces."""
    return "".join(_LATEX.get(character, character) for character in printable(text))


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(latex(cell) for cell in cells) + r" \\"


def _markdown(text: str) -> str:
    escaped = "".join(f"\\{character}" if character in _MARKDOWN else character for character in text)
    return _one_line(escaped) if set(text) != {"-"} else text


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _footnote(rated: Rated) -> str:
    options = rated.options
    references = ", ".join(dict.fromkeys(str(name) for name in rated.table["reference"] if _text(name)))
    names = f"Rules {options.rules.name}, mode {options.mode}, thresholds {rated.thresholds.name}"
    note = " (p): published, not measured here." if count_published(rated) else ""
    return f"{names}, reference {references or 'none'}.{note}"


def _unit_suffix(metric: Metric, part: str) -> str:
    return f"_{metric.unit}" if metric.unit and part in ("value", "standard_error") else ""


def _csv_line(cells: Sequence[object]) -> str:
    out = io.StringIO()
    # Python quotes only what stands in the line's end, and readers take either of its characters for one.
    csv.writer(out, lineterminator="\r\n").writerow([_csv_cell(cell) for cell in cells])
    return out.getvalue()[:-2] + "\n"


def _csv_cell(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"
    return "" if cell is None else cell


def _number(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


FORMATS: dict[str, Callable[[Rated], str]] = {
    "json": to_json,
    "csv": to_csv,
    "markdown": to_markdown,
    "latex": to_latex,
}

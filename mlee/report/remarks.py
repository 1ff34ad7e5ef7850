"""Warnings of results and of the rating: those of one kind stand together, and say what is true of all their models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mlee.assess.rating import Rated
from mlee.assess.run import RunSummary
from mlee.records import Warning

#: What brackets hold, times of day, and numbers. Digits within a name, a version or a date (ResNet50, package-0, 2.14.1) are
#: no number.
_PART = re.compile(
    r"(\([^()]*\)|(?<![\w.:])\d\d:\d\d(?::\d\d)?(?![\w:])"
    r"|(?<![\w.:=+-])[+-]?\d++(?:,\d{3})*+(?:\.\d++)?+(?:e[+-]?\d++)?+%?(?![\w.:-]*\w))"
)


@dataclass(frozen=True, slots=True)
class Remark:
    """A warning of results or of the rating, and the models it concerns."""

    warning: Warning
    models: tuple[str, ...]


def remarks(rated: Rated, runs: Mapping[str, RunSummary]) -> Iterable[Remark]:
    """Collect warnings; those of one kind that differ in numbers and in what brackets hold become one."""
    found: dict[tuple[str, tuple[str, ...]], tuple[list[list[str]], dict[str, None]]] = {}
    for number, warnings in enumerate(rated.warnings):
        model = str(rated.table["model"].iloc[number])
        own = [warning for run in rated.table["run_ids"].iloc[number] if run in runs for warning in runs[run].warnings]
        for warning in (*warnings, *own):
            parts = _PART.split(warning.message)  # at odd places what may differ
            kind = tuple(part if place % 2 == 0 else _kind(part) for place, part in enumerate(parts))
            messages, models = found.setdefault((warning.code, kind), ([], {}))
            messages.append(parts)
            models[model] = None
    for (code, _), (messages, models) in sorted(found.items()):
        message = "".join(_in_common(column) for column in zip(*messages, strict=True))
        yield Remark(Warning(code=code, message=message), tuple(models))


def _kind(part: str) -> str:
    return "(" if part[0] == "(" else ":" if ":" in part else "0"


def _in_common(parts: Sequence[str]) -> str:
    """Return what messages have at the same place; numbers and times that differ become a range, brackets empty."""
    found = sorted(set(parts))
    if len(found) == 1:
        return found[0]
    if found[0].startswith("("):
        return "(…)"
    if ":" in found[0]:
        return f"{found[0]} to {found[-1]}"
    numbers = sorted(found, key=lambda part: float(part.replace(",", "").removesuffix("%")))
    return f"{numbers[0]} to {numbers[-1]}"

"""Which compound ratings change from rules 2022 to exact rules, and by which of the choices: computed, not told.

Every choice is applied to the rules of 2022 alone. A change is put down to each choice that alone makes it; a model that no
single choice moves to its exact rating is put down to several together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from mlee.assess.compound import letter
from mlee.assess.rating import Rated, RatingOptions, rate
from mlee.assess.rules import RULES_2022, RULES_EXACT, RatingRules
from mlee.results.load import Loaded

Load = Callable[[RatingRules], Loaded]
_Key = tuple[str, str, str]

#: Cause -> the rules of 2022 with this choice alone as in exact rules.
CHOICES: dict[str, RatingRules] = {
    "median": replace(RULES_2022, median="exact"),
    "missing values": replace(RULES_2022, missing="leave_out", undefined="missing"),
    "values": replace(RULES_2022, values="exact"),
    "thresholds": replace(RULES_2022, thresholds="exact"),
}
_MEANING = {
    "median": "the published weighted median returns the element before the one that crosses one half",
    "missing values": "a missing value is left out instead of counted as E",
    "values": "training energy contains the CPU, CPU energy the DRAM; MACs that are none are missing",
    "thresholds": "thresholds are kept by task; in 2022 training overwrote inference",
    "several together": "no choice alone leads to the exact rating",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One model whose compound rating changes."""

    task: str
    environment: str
    model: str
    published: str | None
    exact: str | None
    causes: tuple[str, ...]


def find_changes(load: Load) -> tuple[list[Change], dict[str, Rated]]:
    """Rate under both rule sets and with each choice alone; `load` reads the results under given rules."""
    before, after = (_rated(load, rules) for rules in (RULES_2022, RULES_EXACT))
    alone = {cause: _letters(_rated(load, rules)) for cause, rules in CHOICES.items()}
    old, new = _letters(before), _letters(after)
    changes = []
    for key, published in old.items():
        exact = new.get(key)
        if exact == published:
            continue
        causes = tuple(cause for cause, letters in alone.items() if letters.get(key) == exact)
        changes.append(Change(*key, published, exact, causes or ("several together",)))
    return changes, {"2022": before, "exact": after}


def to_markdown(changes: list[Change], rated: dict[str, Rated], loaded: Loaded) -> str:
    """Write counts by class and by cause, and every change."""
    lines = ["# What exact rules change", ""]
    total = len(rated["2022"].table)
    lines += [
        f"{len(changes)} of {total} compound ratings differ between the rules `2022` and `exact` (docs/rating.md). "
        f"Made by `python create_paper_results.py`.",
        "",
        "| task | rules | A | B | C | D | E | not rated |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for task in dict.fromkeys(rated["2022"].table["task"]):
        for name, each in rated.items():
            counts = Counter(letter(c) for c, t in zip(each.compound, each.table["task"], strict=True) if t == task)
            lines.append(f"| {task} | {name} | " + " | ".join(str(counts[grade]) for grade in (*"ABCDE", None)) + " |")
    causes = Counter(cause for change in changes for cause in change.causes)
    lines += ["", "Each choice alone, applied to the rules of 2022, makes this many of the changes:", ""]
    lines += ["| choice | changes | what it is |", "|---|---:|---|"]
    lines += [f"| {cause} | {causes[cause]} | {meaning} |" for cause, meaning in _MEANING.items()]
    warned = [f"- `{run.run_id}`: {warning.message}" for run in loaded.runs.values() for warning in run.warnings]
    if warned:
        lines += ["", "Warnings of single files:", "", *warned]
    lines += ["", "| task | environment | model | 2022 | exact | because of |", "|---|---|---|:-:|:-:|---|"]
    for change in sorted(changes, key=lambda c: (c.task, c.environment, c.model)):
        cells = (change.task, change.environment, change.model, change.published or "-", change.exact or "-")
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + f" | {', '.join(change.causes)} |")
    return "\n".join(lines) + "\n"


def _rated(load: Load, rules: RatingRules) -> Rated:
    loaded = load(rules)
    return rate(loaded.table, list(loaded.metrics.values()), RatingOptions(rules=rules))


def _letters(rated: Rated) -> dict[_Key, str | None]:
    keys = rated.table[["task", "environment", "model"]].itertuples(index=False, name=None)
    return {
        (str(task), str(environment), str(model)): letter(rating)
        for (task, environment, model), rating in zip(keys, rated.compound, strict=True)
    }


def _cell(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())

"""Which compound ratings change from rules 2022 to exact rules, and by which of the choices: computed, not told.

Every combination of the choices is rated. A change is put down to the smallest combinations that, applied to the rules of
2022, lead to the exact rating.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations

from mlee.assess.compound import LETTERS
from mlee.paper.choices import ALL, CHOICES, NONE, Chosen, Key, Letters, Rater, values_changed
from mlee.results.load import Loaded
from mlee.units import printable

_MARKDOWN = frozenset(r"\|`*_[]<>#&~$")


@dataclass(frozen=True, slots=True)
class Change:
    """One model whose compound rating changes, and the smallest combinations of choices that change it so."""

    key: Key
    published: str | None
    exact: str | None
    causes: tuple[Chosen, ...]


def find_changes(rater: Rater) -> list[Change]:
    """Find the models whose rating differs, in the order of task, data set, environment and model."""
    before, after = rater.letters(NONE), rater.letters(ALL)
    open_keys = {key: list[Chosen]() for key in before if before[key] != after[key]}
    if open_keys:
        for chosen in _combinations():
            letters = rater.letters(chosen)
            for key, causes in open_keys.items():
                if letters[key] == after[key] and not any(cause < chosen for cause in causes):
                    causes.append(chosen)
    return [Change(key, before[key], after[key], tuple(causes)) for key, causes in sorted(open_keys.items())]


def _combinations() -> Iterator[Chosen]:
    """Yield all combinations of choices but none of them, the small ones first."""
    names = [choice.name for choice in CHOICES]
    for size in range(1, len(names) + 1):
        yield from map(frozenset, combinations(names, size))


def to_markdown(changes: Sequence[Change], rater: Rater, loaded: Loaded) -> str:
    """Write counts by class and by choice, and every change."""
    before, after = rater.letters(NONE), rater.letters(ALL)
    both = [(change.published, change.exact) for change in changes if change.published and change.exact]
    worse = sum(new > old for old, new in both)
    other = f", {len(changes) - len(both)} are rated under one of them only" if len(both) < len(changes) else ""
    lines = [
        "# What exact rules change",
        "",
        f"{len(changes)} of {len(before)} compound ratings differ between the rules `2022` and `exact` "
        f"(docs/rating.md): {worse} become worse, {len(both) - worse} better{other}. "
        "Made by `python create_paper_results.py`.",
        "",
        "| task | rules | A | B | C | D | E | not rated |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    tasks = list(dict.fromkeys(key[0] for key in before))
    for task in tasks:
        for name, letters in (("2022", before), ("exact", after)):
            lines.append(f"| {_cell(task)} | {name} | " + " | ".join(map(str, _counts(letters, task))) + " |")
    lines += ["", *_notes(rater, loaded), *_by_choice(changes, rater), *_step_by_step(rater, tasks)]
    lines += _changes(changes)
    return "\n".join(lines) + "\n"


def _counts(letters: Letters, task: str) -> list[int]:
    counts = Counter(letter for key, letter in letters.items() if key[0] == task)
    return [counts[name] for name in (*LETTERS, None)]


def _notes(rater: Rater, loaded: Loaded) -> list[str]:
    lines = []
    if rater.pooled:
        lines += ["Some models were run several times, which the rules `2022` refuse: their runs are pooled here.", ""]
    warned = [
        f"- `{_code(run.run_id)}` ({run.task}, {_cell(run.model)}): {_cell(warning.message)}"
        for run in loaded.runs.values()
        for warning in run.warnings
    ]
    if warned:
        lines += ["Warnings of single files, under both rules:", "", *warned, ""]
    return lines


def _by_choice(changes: Sequence[Change], rater: Rater) -> list[str]:
    before, after = rater.letters(NONE), rater.letters(ALL)
    lines = [
        "## By choice",
        "",
        "*Alone*: ratings that the choice changes when it is the only one added to the rules `2022`. *Enough*: changes "
        "whose exact rating it reaches so. *Needed*: ratings that become others when exact rules go back on this choice "
        "alone.",
        "",
        "| choice | values changed | alone | enough | needed | what it is |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for choice in CHOICES:
        alone = rater.letters(frozenset({choice.name}))
        without = rater.letters(ALL - {choice.name})
        counts = (
            sum(alone[key] != before[key] for key in before),
            sum(frozenset({choice.name}) in change.causes for change in changes),
            sum(without[key] != after[key] for key in after),
        )
        changed = str(values_changed(rater.table(NONE), rater.table(frozenset({choice.name})))) if not choice.fields else ""
        lines.append(f"| {choice.name} | {changed} | {' | '.join(map(str, counts))} | {choice.meaning} |")
    single = sum(any(len(cause) == 1 for cause in change.causes) for change in changes)
    values, ratings = rater.left_over()
    lines += [
        "",
        f"One choice alone is enough for {single} of the {len(changes)} changes; the other {len(changes) - single} need "
        "several together. Everything else that exact rules do differently (counted samples, rounding of means) changes "
        f"{values} values and {ratings} ratings here.",
        "",
    ]
    return lines


def _step_by_step(rater: Rater, tasks: Sequence[str]) -> list[str]:
    """Add one choice after the other, in the order of the table above."""
    steps = list(accumulate((frozenset({choice.name}) for choice in CHOICES), frozenset.union, initial=NONE))
    names = ["rules 2022", *(f"+ {choice.name}" for choice in CHOICES)]
    head = ["step", "ratings changed", *(f"{task}: {' '.join(LETTERS)}, not rated" for task in tasks)]
    lines = [
        "## One after the other",
        "",
        "Each step adds a choice to those above it; the last one is the rules `exact`.",
        "",
        "| " + " | ".join(map(_cell, head)) + " |",
        "|---|---:|" + "---:|" * len(tasks),
    ]
    for number, (name, chosen) in enumerate(zip(names, steps, strict=True)):
        letters = rater.letters(chosen)
        previous = rater.letters(steps[max(number - 1, 0)])
        changed = str(sum(letters[key] != previous[key] for key in letters)) if number else ""
        spread = (" ".join(map(str, _counts(letters, task))) for task in tasks)
        lines.append(f"| {name} | {changed} | {' | '.join(spread)} |")
    return [*lines, ""]


def _changes(changes: Sequence[Change]) -> list[str]:
    several = len({change.key[1] for change in changes}) > 1
    head = ["task", *(["data set"] if several else []), "environment", "model", "2022", "exact", "because of"]
    lines = [
        "## Every change",
        "",
        "Because of: the smallest combinations of choices that lead from the published rating to the exact one; "
        '"+" joins those that do it only together.',
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * (len(head) - 3) + ":-:|:-:|---|",
    ]
    names = [choice.name for choice in CHOICES]
    for change in changes:
        task, dataset, environment, model = change.key
        cells = [task, *([dataset] if several else []), environment, model, change.published or "-", change.exact or "-"]
        causes = (" + ".join(sorted(cause, key=names.index)) for cause in change.causes)
        lines.append("| " + " | ".join(map(_cell, cells)) + f" | {', or '.join(causes)} |")
    return lines


def _cell(text: str) -> str:
    """Escape a text for a cell of a Markdown table, on one line."""
    shown = "".join(f"\\{character}" if character in _MARKDOWN else character for character in printable(text))
    return " ".join(shown.split())


def _code(text: str) -> str:
    return printable(text).replace("`", "'")

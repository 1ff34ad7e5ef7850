"""Variants: runs of one model with other settings are no repeats of it, and get a name that says how they differ.

The settings that most models of an environment share have the plain name: `ResNet50` and, beside it,
`ResNet50 (image_size 384, compile)`. So models are compared with a reference that was run as they were.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mlee.assess.run import RunSummary

Settings = tuple[tuple[str, object], ...]
#: Settings that a name holds at most; of more it names two, and how many are left.
_MOST_NAMED = 3


def model_names(runs: Sequence[RunSummary], environments: Mapping[str, str]) -> dict[str, str]:
    """Map each run's id to the name of its model, with what sets it apart from other runs of the model in its environment.

    The plain name belongs to the settings that are most like those of the other models there; then to those with the most
    images, then to the earliest.
    """
    groups: dict[tuple[str, str, str], list[RunSummary]] = defaultdict(list)
    for run in runs:
        groups[run.task, run.dataset, environments[run.run_id]].append(run)
    names: dict[str, str] = {}
    for group in groups.values():
        group.sort(key=_rank)
        usual = _usual(group)
        alike: dict[str, dict[Settings, list[RunSummary]]] = defaultdict(lambda: defaultdict(list))
        for run in group:
            alike[run.model][run.settings].append(run)
        for model, by_settings in alike.items():
            plain = min(by_settings, key=lambda settings: len(_differences(settings, usual)))
            taken: set[str] = set()
            for settings, same in by_settings.items():
                name = _name(model, _differences(settings, dict(plain)), taken)
                names |= {run.run_id: name for run in same}
    return names


def _rank(run: RunSummary) -> tuple[object, ...]:
    return -(run.samples or 0), run.started_at, run.run_id


def _usual(runs: Sequence[RunSummary]) -> dict[str, object]:
    """Return of each setting the value that most models have, of equal ones the first."""
    models: dict[str, dict[object, set[str]]] = {}
    for run in runs:
        for name, value in run.settings:
            models.setdefault(name, {}).setdefault(value, set()).add(run.model)
    return {name: max(values, key=lambda value: len(values[value])) for name, values in models.items()}


def _differences(settings: Settings, usual: Mapping[str, object]) -> list[str]:
    return [_words(name, value) for name, value in settings if usual.get(name) != value]


def _name(model: str, differences: Sequence[str], taken: set[str]) -> str:
    words = list(differences)
    if len(words) > _MOST_NAMED:
        words[2:] = [f"{len(words) - 2} more"]
    name = f"{model} ({', '.join(words)})" if words else model
    number = 2
    while name in taken:
        name = f"{model} ({', '.join(words)}, no. {number})"
        number += 1
    taken.add(name)
    return name


def _words(name: str, value: object) -> str:
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name} {'none' if value is None else value}"

"""Variants: runs of one model with other settings are no repeats of it, and get a name that says how they differ.

What was run most thoroughly keeps the model's own name: `ResNet50` and, beside it, `ResNet50 (image_size 384, compile)`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mlee.assess.run import RunSummary

Settings = tuple[tuple[str, object], ...]


def model_names(runs: Sequence[RunSummary], environments: Mapping[str, str]) -> dict[str, str]:
    """Map each run's id to the name of its model, with what sets it apart from other runs of the model in its environment.

    The plain name belongs to the settings with the most images; then to those of the most runs, then to the earliest.
    """
    alike: dict[tuple[str, ...], dict[Settings, list[RunSummary]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        alike[run.task, run.dataset, environments[run.run_id], run.model][run.settings].append(run)
    names: dict[str, str] = {}
    for by_settings in alike.values():
        plain = min(by_settings, key=lambda settings: _rank(by_settings[settings]))
        for settings, same in by_settings.items():
            names |= {run.run_id: run.model + _difference(settings, plain) for run in same}
    return names


def network(name: str) -> str:
    """Return the name without what `model_names` put behind it.

    >>> network("ResNet50 (image_size 384, compile)")
    'ResNet50'
    """
    return name.partition(" (")[0]


def _rank(same: Sequence[RunSummary]) -> tuple[object, ...]:
    first = min(same, key=lambda run: (run.started_at, run.run_id))
    return -(first.samples or 0), -len(same), first.started_at, first.run_id


def _difference(settings: Settings, plain: Settings) -> str:
    usual = dict(plain)
    words = [_words(name, value) for name, value in settings if usual.get(name) != value]
    return f" ({', '.join(words)})" if words else ""


def _words(name: str, value: object) -> str:
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name} {'none' if value is None else value}"

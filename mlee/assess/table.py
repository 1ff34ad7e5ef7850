"""From runs to the table: one row a run, key columns, and one SI column a metric.

The formulas are those of the 2022 tool (docs/rating.md); what the rule sets do differently is marked by `rules.values`.
Missing values are NaN inside the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from mlee.assess.environment import base_environments, environment_keys
from mlee.assess.metrics import METRICS
from mlee.assess.rules import RatingRules
from mlee.assess.run import VERSION_2022, Accuracies, Repeat, RunSummary
from mlee.assess.variants import model_names
from mlee.catalogue import published_epochs
from mlee.records import FROM_FILE, RANDOM, TRAINED_IN, DeviceKind

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("task", "dataset", "environment", "model")
#: Columns beside keys and metrics. `repeats` counts the timed passes of the run.
FACTS = ("run_id", "started_at", "provenance", "accuracy_provenance", "scope", "repeats")
#: Behind a metric's key: standard error over the repeats, and the uncertainty of the measurement, both in its unit.
STANDARD_ERROR, UNCERTAINTY = "__standard_error", "__uncertainty"
#: Behind a metric's key in a pooled table: the number of repetitions its mean rests on, where it is not the row's `n`.
COUNT = "__n"
#: The data set, in small letters, for which the numbers of training epochs are published.
IMAGENET = "imagenet"
#: Images of the ImageNet validation set: what the files of 2022 do not say.
SAMPLES_2022 = 50_000


def make_table(runs: Sequence[RunSummary], rules: RatingRules) -> pd.DataFrame:
    """Make the table of runs (n rows); metrics that no run has are columns of NaN."""
    import pandas as pd

    environments = environment_keys(runs)
    bases = base_environments(runs)
    models = model_names(runs, environments)
    pretrained = _pretrained_accuracies(runs, bases)
    rows = [
        _row(
            run,
            (environments[run.run_id], models[run.run_id]),
            pretrained.get((run.dataset, bases[run.run_id], run.model)),
            rules,
        )
        for run in runs
    ]
    metric_columns = [key + suffix for key in METRICS for suffix in ("", STANDARD_ERROR, UNCERTAINTY)]
    table = pd.DataFrame(rows, columns=[*KEYS, *FACTS, *metric_columns])
    return table.astype(dict.fromkeys(metric_columns, "float64"))


def _row(
    run: RunSummary,
    names: tuple[str, str],
    pretrained: Accuracies | None,
    rules: RatingRules,
) -> dict[str, object]:
    row: dict[str, object] = {
        "task": run.task,
        "dataset": run.dataset,
        "environment": names[0],
        "model": names[1],
        "run_id": run.run_id,
        "started_at": run.started_at,
        "provenance": run.provenance,
        "accuracy_provenance": run.accuracy_provenance,
        "scope": "+".join(counted_kinds(run, rules)),
        "repeats": len(run.repeats),
        "parameters": run.parameters,
        "macs": _macs(run, rules),
        "weights_size": run.weights_bytes,
    }
    energies = [_energy_j(repeat, run, rules) for repeat in run.repeats]
    durations = [repeat.duration_s for repeat in run.repeats]
    unsure_j = [repeat.uncertainty_j for repeat in run.repeats]
    if run.task == "inference":
        samples = run.samples or SAMPLES_2022
        row |= _spread("energy_per_sample", energies, 1 / samples, unsure_j)
        row |= _spread("time_per_sample", durations, 1 / samples)
        row["top1_accuracy"], row["top5_accuracy"] = run.top1_accuracy, run.top5_accuracy
    elif run.epochs:
        epochs = published_epochs(run.model) if run.dataset.lower() == IMAGENET else None
        for name, values, unsure in (("energy", energies, unsure_j), ("time", durations, None)):
            row |= _spread(f"{name}_per_epoch", values, 1 / run.epochs, unsure)
            if epochs is not None:
                row |= _spread(f"{name}_full_training", values, epochs / run.epochs, unsure)
        own = (run.top1_accuracy, run.top5_accuracy)
        # A few epochs of a full training say nothing of what it leads to: that is the accuracy of pre-trained weights.
        partial = run.version == VERSION_2022 or (epochs is not None and run.epochs < epochs)
        row["top1_accuracy"], row["top5_accuracy"] = own
        if partial:
            top1, top5, row["accuracy_provenance"] = pretrained or (None, None, None)
            row["top1_accuracy"], row["top5_accuracy"] = top1, top5
    return row


def counted_kinds(run: RunSummary, rules: RatingRules) -> tuple[DeviceKind, ...]:
    """Return the kinds of devices whose energy the rules add up, sorted.

    Those of 2022 add GPUs and CPU packages at inference and GPUs alone at training, and never the DRAM.
    """
    if rules.values == "exact":
        return run.scope
    counted = ("gpu",) if run.task == "training" else ("cpu", "gpu")
    return tuple(kind for kind in run.scope if kind in counted or run.version != VERSION_2022)


def _energy_j(repeat: Repeat, run: RunSummary, rules: RatingRules) -> float | None:
    kinds = counted_kinds(run, rules)
    if not kinds or any(kind not in repeat.energy_j for kind in run.scope):
        return None
    return math.fsum(repeat.energy_j[kind] for kind in kinds)


def _macs(run: RunSummary, rules: RatingRules) -> float | None:
    """MACs; under exact rules without those of 2022 that are none: 0 (counted on a wrapped model), or counted on ONNX."""
    if rules.values == "exact" and run.version == VERSION_2022 and (not run.macs or run.backend.startswith("onnx")):
        return None
    return run.macs


def _spread(
    key: str, values: Sequence[float | None], factor: float, uncertainties: Sequence[float | None] | None = None
) -> dict[str, object]:
    """Mean of the repeats, their standard error, and the largest uncertainty of the measurement, scaled."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):  # a repeat without energy would bias the mean
        return {}
    row: dict[str, object] = {key: fmean(known) * factor}
    if len(known) > 1:
        row[key + STANDARD_ERROR] = stdev(known) / math.sqrt(len(known)) * factor
    unsure = [value for value in uncertainties or () if value is not None]
    if unsure:
        row[key + UNCERTAINTY] = max(unsure) * factor
    return row


def _pretrained_accuracies(runs: Sequence[RunSummary], bases: Mapping[str, str]) -> dict[tuple[str, str, str], Accuracies]:
    """Accuracies of pre-trained weights at inference, by data set, hardware with software, and model.

    Of several runs, that with the most images counts, then the earliest.
    """
    found = sorted(filter(_pretrained, runs), key=lambda run: (run.samples or 0, -run.started_at.timestamp(), run.run_id))
    return {
        (run.dataset, bases[run.run_id], run.model): (run.top1_accuracy, run.top5_accuracy, run.accuracy_provenance)
        for run in found
    }  # the last one stays


def _pretrained(run: RunSummary) -> bool:
    """Whether a run tells the accuracy of published weights: it counted with them, or took what was published."""
    if run.task != "inference" or run.top1_accuracy is None:
        return False
    weights = str(run.setting("weights"))
    own = weights == RANDOM or weights.startswith((FROM_FILE, TRAINED_IN))
    return run.accuracy_provenance == "published" or not own

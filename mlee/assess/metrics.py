"""The registry of metrics: what a model is rated by, in the order of the 2022 tool.

Weights are those of 2022: each of the three groups weighs 1 at inference; at training the resources weigh 1.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mlee.assess.metric import Metric
from mlee.errors import ConfigError
from mlee.units import J_PER_KWH

#: The field `format` of a file of weights.
WEIGHTS_FORMAT = "mlee-weights"
QUALITY, RESOURCES, COMPLEXITY = "Quality", "Resources", "Complexity"
_INFERENCE, _TRAINING = ("inference",), ("training",)
_BOTH = (*_INFERENCE, *_TRAINING)


def _metric(
    key: str,
    label: str,
    symbol: str,
    unit: str,
    group: str,
    weight: float,
    tasks: tuple[str, ...],
    key_2022: str,
    scale_2022: float = 1.0,
) -> Metric:
    return Metric(
        key=key,
        label=label,
        symbol=symbol,
        unit=unit,
        higher_is_better=group == QUALITY,
        group=group,
        weight=weight,
        tasks=tasks,
        key_2022=key_2022,
        scale_2022=scale_2022,
    )


#: key -> metric. `scale_2022` turns the SI value into the unit of 2022 (10^6, ms, kWh, h).
METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        _metric("parameters", "Parameters", "P", "", COMPLEXITY, 0.4, _BOTH, "parameters", 1e-6),
        _metric("macs", "MACs per sample", "M", "", COMPLEXITY, 0.2, _BOTH, "gflops", 1e-9),
        _metric("weights_size", "Size of the weights", "S", "B", COMPLEXITY, 0.4, _BOTH, "fsize", 1e-6),
        _metric("energy_per_sample", "Energy per sample", "E", "J", RESOURCES, 0.7, _INFERENCE, "inference_power_draw"),
        _metric("time_per_sample", "Time per sample", "T", "s", RESOURCES, 0.3, _INFERENCE, "inference_time", 1e3),
        _metric(
            "energy_per_epoch",
            "Energy per epoch",
            "Ee",
            "J",
            RESOURCES,
            0.2,
            _TRAINING,
            "train_power_draw_epoch",
            1 / J_PER_KWH,
        ),
        _metric(
            "energy_full_training",
            "Energy of the full training (extrapolated)",
            "Et",
            "J",
            RESOURCES,
            0.7,
            _TRAINING,
            "train_power_draw",
            1 / J_PER_KWH,
        ),
        _metric("time_per_epoch", "Time per epoch", "Te", "s", RESOURCES, 0.2, _TRAINING, "train_time_epoch", 1 / 3600),
        _metric(
            "time_full_training",
            "Time of the full training (extrapolated)",
            "Tt",
            "s",
            RESOURCES,
            0.3,
            _TRAINING,
            "train_time",
            1 / 3600,
        ),
        _metric("top1_accuracy", "Top-1 accuracy", "Q1", "", QUALITY, 0.8, _BOTH, "top1_val"),
        _metric("top5_accuracy", "Top-5 accuracy", "Q5", "", QUALITY, 0.2, _BOTH, "top5_val"),
    )
}
KEY_OF_2022 = {metric.key_2022: metric.key for metric in METRICS.values()}


def canonical_key(key: str) -> str:
    """Translate a key of 2022 into ours; every other key stays."""
    return KEY_OF_2022.get(key, key)


def with_weights(metrics: Mapping[str, Metric], weights: Mapping[str, float]) -> dict[str, Metric]:
    """Replace weights, by our keys or those of 2022; raises `ConfigError` naming an unknown metric or a bad weight."""
    changed = dict(metrics)
    for name, weight in weights.items():
        key = canonical_key(name)
        if key not in changed:
            raise ConfigError(f"Weight for unknown metric '{name}'.", f"known metrics: {', '.join(changed)}")
        try:
            changed[key] = replace(changed[key], weight=float(weight))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"The weight of {name} must be a finite number of 0 or more, got {weight!r}.") from error
    return changed


def of_task(metrics: Iterable[Metric], task: str) -> list[Metric]:
    """Return the metrics that apply to a task, in order."""
    return [metric for metric in metrics if not metric.tasks or task in metric.tasks]
